//! Whole tables: what is written reads back by every way, damage shows, open files stay bounded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::env::memory::{Cached, MemoryDisk};
use crate::storage::cache::BlockCache;
use crate::storage::cursor::Cursor;
use crate::storage::drops::Age;
use crate::storage::error::Error;
use crate::storage::table::{
    Access, Compression, KeyHash, Lookup, OpenTables, Reads, RunOptions, RunWriter, Span, TableContext, TableCursor,
    TableFile, TableInfo, TableOptions, table_path,
};
use crate::types::{ArcLayout, Stamp};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn context(disk: &MemoryDisk, open_tables: usize) -> Arc<TableContext> {
    Arc::new(TableContext {
        disk: Arc::new(disk.clone()),
        dir: PathBuf::from("/data"),
        cache: BlockCache::new(1 << 20),
        open_tables: OpenTables::new(open_tables),
        garbage: Mutex::new(Vec::new()),
    })
}

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new(7);
    crate::env::Disk::make_dir(&disk, Path::new("/data")).expect("a new disk takes a directory");
    disk.set_cached(Cached::Always);
    disk
}

fn write(context: &Arc<TableContext>, map: &Map, compression: Compression, table_bytes: u64) -> Vec<TableInfo> {
    let options = RunOptions {
        table: TableOptions { level: 2, compression, block_bytes: 512 },
        table_bytes,
        layout: ArcLayout::default(),
        age: Age { max_stamp: Stamp(9), cleaned: 0 },
    };
    let mut writer = RunWriter::new(Arc::clone(context), Arc::new(AtomicU64::new(1)), options);
    for (key, value) in map {
        writer.add(key, value).expect("the disk is sound");
    }
    writer.finish().expect("the disk is sound")
}

/// Keys of 40 slots as `replica` makes them, values from 0 to 300 bytes of which half compress.
fn sample(count: u32) -> Map {
    let hash = |seed: u32| seed.wrapping_mul(2_654_435_761);
    let entry = |index: u32| {
        let mut key = ((hash(index) % 40) as u16).to_be_bytes().to_vec();
        key.push(0);
        key.extend_from_slice(&hash(index + 1000).to_be_bytes());
        key.extend_from_slice(format!("key:{index}").as_bytes());
        let value = (0..hash(index + 7) % 300)
            .map(|at| if index.is_multiple_of(2) { 7 } else { (hash(at + index) >> 24) as u8 });
        (key, value.collect())
    };
    (0..count).map(entry).collect()
}

type Entry = (Vec<u8>, Vec<u8>);

fn walk(cursor: &mut dyn Cursor) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    while cursor.advance()? {
        found.push((cursor.key().to_vec(), cursor.value().to_vec()));
    }
    Ok(found)
}

fn get(table: &Arc<TableFile>, key: &[u8], reads: Reads) -> Result<Option<Vec<u8>>, Error> {
    match table.get(key, KeyHash::of(key), reads)? {
        Lookup::Found(value) => Ok(Some(value.to_vec())),
        Lookup::Absent => Ok(None),
        Lookup::Cold => panic!("the table is open and the disk is cached"),
    }
}

fn check(map: &Map, compression: Compression) {
    let context = context(&disk(), 10);
    let infos = write(&context, map, compression, u64::MAX);
    let [info] = &infos[..] else { panic!("one table") };
    let table = Arc::new(TableFile::new(&context, info.number, info.bytes));
    let properties = table.properties().expect("sound");
    assert_eq!((properties.keys, properties.level, properties.max_stamp), (map.len() as u64, 2, Stamp(9)));
    assert_eq!((Some(&info.first), Some(&info.last)), (map.keys().next(), map.keys().next_back()));
    let pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in map {
        let near = [&key[..], b"\0"].concat();
        for reads in [Reads::Cached, Reads::Blocking] {
            assert_eq!(get(&table, key, reads).expect("sound").as_ref(), Some(value));
            assert_eq!(get(&table, &near, reads).expect("sound"), None);
            assert_eq!(get(&table, &key[..key.len() - 1], reads).expect("sound"), None);
        }
    }
    for access in [Access::Scan, Access::Once, Access::Scan] {
        for (from, to) in [(0, map.len()), (0, 1), (map.len() / 3, map.len() / 2), (map.len() - 1, map.len())] {
            let span = Span { from: &pairs[from].0, to: pairs.get(to).map(|(key, _)| &key[..]) };
            let mut cursor = TableCursor::new(&table, span, access).expect("sound");
            assert_eq!(walk(&mut cursor).expect("sound"), pairs[from..to]);
        }
        let mut all = TableCursor::new(&table, Span { from: &[], to: None }, access).expect("sound");
        assert_eq!(walk(&mut all).expect("sound"), pairs);
        let mut none = TableCursor::new(&table, Span { from: &[255; 9], to: None }, access).expect("sound");
        assert_eq!(walk(&mut none).expect("sound"), []);
    }
}

#[test]
fn tables_read_back() {
    for compression in [Compression::Raw, Compression::Zstd(1), Compression::Zstd(3)] {
        check(&sample(2000), compression);
        check(&sample(1), compression);
    }
    let large = Map::from([(b"a".to_vec(), vec![1; 700_000]), (b"b".to_vec(), vec![]), (vec![9; 70_000], vec![2; 3])]);
    check(&large, Compression::Zstd(1));
}

#[test]
fn tables_with_many_filters_read_back() {
    let map: Map = (0..150_000u32).map(|index| (index.to_be_bytes().to_vec(), vec![index as u8])).collect();
    let context = context(&disk(), 10);
    let infos = write(&context, &map, Compression::Zstd(1), u64::MAX);
    let table = Arc::new(TableFile::new(&context, infos[0].number, infos[0].bytes));
    table.properties().expect("sound");
    for index in (0..150_000u32).step_by(97).chain([65_535, 65_536, 131_071, 131_072, 149_999]) {
        assert_eq!(
            get(&table, &index.to_be_bytes(), Reads::Cached).expect("sound"),
            Some(vec![index as u8]),
            "{index}"
        );
    }
}

#[test]
fn runs_are_cut_at_arc_boundaries_past_half_of_the_size() {
    let context = context(&disk(), 10);
    let map = sample(3000);
    let infos = write(&context, &map, Compression::Raw, 60_000);
    assert!(infos.len() > 4, "{} tables", infos.len());
    assert!(infos.windows(2).all(|pair| pair[0].last < pair[1].first));
    assert_eq!(infos.iter().map(|info| info.keys).sum::<u64>(), 3000);
    let arc = |key: &[u8]| u16::from_be_bytes([key[0], key[1]]) / 16;
    let mut at_boundary = 0;
    for pair in infos.windows(2) {
        let is_boundary = arc(&pair[0].last) != arc(&pair[1].first);
        at_boundary += u32::from(is_boundary);
        assert!(pair[0].bytes >= if is_boundary { 30_000 } else { 60_000 });
    }
    assert!(at_boundary > 0);
}

#[test]
fn an_unfinished_run_leaves_nothing() {
    let disk = disk();
    let context = context(&disk, 10);
    let options = RunOptions {
        table: TableOptions { level: 0, compression: Compression::Raw, block_bytes: 512 },
        table_bytes: 10_000,
        layout: ArcLayout::default(),
        age: Age { max_stamp: Stamp(9), cleaned: 0 },
    };
    let mut writer = RunWriter::new(context, Arc::new(AtomicU64::new(1)), options);
    for (key, value) in sample(300) {
        writer.add(&key, &value).expect("sound");
    }
    assert!(!disk.files().is_empty());
    drop(writer);
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_closed_table_is_cold_until_a_reader_may_wait() {
    let disk = disk();
    let context = context(&disk, 10);
    let map = sample(100);
    let infos = write(&context, &map, Compression::Raw, u64::MAX);
    let table = Arc::new(TableFile::new(&context, infos[0].number, infos[0].bytes));
    let key = &infos[0].first;
    let look = |reads| table.get(key, KeyHash::of(key), reads).expect("sound");
    assert!(matches!(look(Reads::Cached), Lookup::Cold));
    assert!(matches!(look(Reads::Blocking), Lookup::Found(_)));
    disk.set_cached(Cached::Never);
    assert!(matches!(look(Reads::Cached), Lookup::Found(_)), "its blocks are in our cache");
    let last = &infos[0].last;
    let cold = table.get(last, KeyHash::of(last), Reads::Cached).expect("sound");
    assert!(matches!(cold, Lookup::Cold), "another block is not");
}

#[test]
fn open_tables_are_bounded() {
    let context = context(&disk(), 3);
    let map = sample(3000);
    let infos = write(&context, &map, Compression::Raw, 30_000);
    assert!(infos.len() > 6);
    let tables: Vec<_> = infos.iter().map(|info| Arc::new(TableFile::new(&context, info.number, info.bytes))).collect();
    for (key, value) in &map {
        let index = infos.partition_point(|info| info.last < *key);
        assert_eq!(get(&tables[index], key, Reads::Blocking).expect("sound").as_ref(), Some(value));
        assert!(context.open_tables.count() <= 3);
    }
    let open = infos.iter().zip(&tables).filter(|(info, table)| {
        !matches!(table.get(&info.first, KeyHash::of(&info.first), Reads::Cached), Ok(Lookup::Cold))
    });
    assert_eq!(open.count(), 3);
}

#[test]
fn every_flipped_bit_gives_an_error_or_the_right_value() {
    for compression in [Compression::Raw, Compression::Zstd(1)] {
        let disk = disk();
        let map = sample(12);
        let info = write(&context(&disk, 10), &map, compression, u64::MAX).remove(0);
        let path = table_path(Path::new("/data"), info.number);
        let pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for bit in 0..info.bytes * 8 {
            disk.flip_bit(&path, bit);
            let context = context(&disk, 10);
            let table = Arc::new(TableFile::new(&context, info.number, info.bytes));
            let mut errors = 0;
            for (key, value) in &map {
                match get(&table, key, Reads::Blocking) {
                    Ok(found) => assert_eq!(found.as_ref(), Some(value), "bit {bit}"),
                    Err(Error::Corrupt { offset, .. }) if offset < info.bytes => errors += 1,
                    Err(error) => panic!("bit {bit}: {error}"),
                }
            }
            let walked =
                TableCursor::new(&table, Span { from: &[], to: None }, Access::Once).and_then(|mut all| walk(&mut all));
            match walked {
                Ok(found) => assert_eq!(found, pairs, "bit {bit}"),
                Err(_) => errors += 1,
            }
            assert!(errors > 0, "bit {bit} is under no checksum that is looked at");
            disk.flip_bit(&path, bit);
        }
    }
}

/// Tables as hexadecimal digits: what a release wrote once, every later one reads. The first has a filter of the kind that
/// is no longer written.
const GOLDEN: [&str; 2] =
    [include_str!("../../../tests/data/table-1.txt"), include_str!("../../../tests/data/table-2.txt")];

fn golden_map() -> Map {
    (0..40u16).map(|index| (index.to_be_bytes().to_vec(), vec![index as u8; 20])).collect()
}

#[test]
fn the_format_is_the_one_of_the_golden_file() {
    let disk = disk();
    let info = write(&context(&disk, 10), &golden_map(), Compression::Raw, u64::MAX).remove(0);
    let path = table_path(Path::new("/data"), info.number);
    let file = crate::env::Disk::open(&disk, &path, crate::env::OpenMode::ReadWrite).expect("there");
    let mut bytes = vec![0; info.bytes as usize];
    file.read_at(&mut bytes, 0).expect("sound");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN[1].split_whitespace().collect::<String>());
}

#[test]
fn golden_tables_read_back() {
    for (number, golden) in (1..).zip(GOLDEN) {
        let digits: String = golden.split_whitespace().collect();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        let disk = disk();
        let path = table_path(Path::new("/data"), number);
        let file = crate::env::Disk::open(&disk, &path, crate::env::OpenMode::CreateNew).expect("a new file");
        file.write_at(&bytes, 0).expect("the disk is sound");
        let table = Arc::new(TableFile::new(&context(&disk, 10), number, bytes.len() as u64));
        for (key, value) in golden_map() {
            assert_eq!(get(&table, &key, Reads::Blocking).expect("sound"), Some(value), "table {number}");
        }
        assert_eq!(get(&table, &[0, 40], Reads::Blocking).expect("sound"), None);
    }
}

#[test]
fn pinned_parts_count_and_go_with_their_table() {
    let context = context(&disk(), 10);
    let map = sample(3000);
    let infos = write(&context, &map, Compression::Raw, u64::MAX);
    let table = Arc::new(TableFile::new(&context, infos[0].number, infos[0].bytes));
    let key = map.keys().next().expect("there are keys");
    assert!(get(&table, key, Reads::Blocking).expect("sound").is_some());
    let filter_and_one_part = context.cache.used_bytes();
    assert!(filter_and_one_part > 3000, "{filter_and_one_part}");
    for key in map.keys() {
        assert!(get(&table, key, Reads::Cached).expect("sound").is_some());
    }
    let all = context.cache.used_bytes();
    table.close();
    assert!(context.cache.used_bytes() < all - 3000, "what was pinned is free again");
    assert!(get(&table, key, Reads::Blocking).expect("sound").is_some());
}
