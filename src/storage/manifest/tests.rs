//! The manifest on a disk that loses power, fills up and decays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::memory::{Fault, MemoryDisk, OperationKind, Survival};
use crate::env::{Disk, OpenMode};
use crate::storage::drops::{NumberedDrop, RangeDrop};
use crate::storage::error::Error;
use crate::storage::manifest::{Edit, ManifestFile, Placed, State};
use crate::storage::table::TableInfo;
use crate::types::Stamp;

const DIR: &str = "/data";

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new(3);
    disk.make_dir(Path::new(DIR)).expect("a new disk takes a directory");
    disk
}

fn dynamic(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open(disk: &MemoryDisk) -> Result<Option<(ManifestFile, State)>, Error> {
    ManifestFile::open(&dynamic(disk), Path::new(DIR))
}

fn create(disk: &MemoryDisk, number: u64, state: &State) -> Result<ManifestFile, Error> {
    ManifestFile::create(&dynamic(disk), Path::new(DIR), (number, state))
}

fn add(number: u64) -> Edit {
    let info = TableInfo {
        number,
        bytes: 100,
        keys: 1,
        max_stamp: Stamp(number),
        cleaned: 0,
        first: number.to_be_bytes().to_vec(),
        last: number.to_be_bytes().to_vec(),
    };
    Edit { added: vec![Placed { level: 0, run: number, info }], next_number: number + 1, ..Edit::default() }
}

/// The manifest of a new store after tables 10, 11, .. were added, and the state after each.
fn sample(disk: &MemoryDisk, edits: u64) -> Vec<State> {
    let mut states = vec![State { next_number: 2, ..State::default() }];
    let mut file = create(disk, 1, &states[0]).expect("sound");
    for number in 10..10 + edits {
        let edit = add(number);
        file.append(&edit).expect("sound");
        let mut state = states.last().cloned().expect("one at least");
        state.apply(&edit).expect("fits");
        states.push(state);
    }
    states
}

fn manifest_path(disk: &MemoryDisk) -> PathBuf {
    let found = disk.files().into_iter().find(|path| path.extension().is_some_and(|kind| kind == "manifest"));
    Path::new("/").join(found.expect("there is a manifest"))
}

#[test]
fn edits_come_back() {
    let disk = disk();
    assert!(open(&disk).expect("sound").is_none());
    let states = sample(&disk, 5);
    let (mut file, state) = open(&disk).expect("sound").expect("there is one");
    assert_eq!(Some(&state), states.last());
    file.append(&add(99)).expect("sound");
    let (_, state) = open(&disk).expect("sound").expect("there is one");
    assert!(state.tables.contains_key(&99) && state.tables.contains_key(&14));
}

#[test]
fn a_torn_tail_is_cut_and_written_over() {
    for cut in 1..60 {
        let disk = disk();
        let states = sample(&disk, 3);
        let path = manifest_path(&disk);
        let file = disk.open(&path, OpenMode::ReadWrite).expect("there");
        let len = file.len().expect("sound");
        if cut >= 50 {
            // Past the length of a frame: zeros behind a sound end.
            file.write_at(&[0; 60], len).expect("sound");
        } else {
            file.truncate(len - cut).expect("sound");
        }
        let (mut file, state) = open(&disk).expect("torn").expect("there is one");
        assert_eq!(Some(&state), if cut >= 50 { states.last() } else { states.get(2) }, "cut {cut}");
        file.append(&add(50)).expect("sound");
        let (_, state) = open(&disk).expect("sound").expect("there is one");
        assert!(state.tables.contains_key(&50));
    }
}

#[test]
fn every_flipped_bit_before_the_last_frame_is_reported() {
    let disk = disk();
    let states = sample(&disk, 3);
    let path = manifest_path(&disk);
    let len = disk.open(&path, OpenMode::Read).expect("there").len().expect("sound");
    // The four frames: 23 bytes for the empty snapshot, then three of equal length.
    let last = len - (len - 20 - 31) / 3;
    let mut cut = 0;
    for bit in 0..len * 8 {
        disk.flip_bit(&path, bit);
        match open(&disk) {
            Err(Error::Corrupt { path: named, .. }) => assert_eq!(named, path),
            Err(error) => panic!("bit {bit}: {error}"),
            Ok(found) => {
                let (_, state) = found.expect("there is one");
                assert!(bit / 8 >= last, "bit {bit} of {len} bytes, the last frame begins at {last}");
                assert_eq!(Some(&state), states.get(2));
                cut += 1;
            }
        }
        if cut > 0 {
            break;
        }
        disk.flip_bit(&path, bit);
    }
    assert_eq!(cut, 1, "the last frame may be torn");
}

#[test]
fn every_flipped_bit_of_current_is_reported() {
    let disk = disk();
    sample(&disk, 1);
    let path = Path::new(DIR).join("CURRENT");
    for bit in 0..disk.open(&path, OpenMode::Read).expect("there").len().expect("sound") * 8 {
        disk.flip_bit(&path, bit);
        assert!(open(&disk).is_err(), "bit {bit}");
        disk.flip_bit(&path, bit);
    }
    assert!(open(&disk).is_ok());
}

#[test]
fn tables_without_current_are_not_taken_for_a_new_store() {
    let disk = disk();
    disk.open(&Path::new(DIR).join("000000000007.table"), OpenMode::CreateNew).expect("sound");
    assert!(matches!(open(&disk), Err(Error::Corrupt { .. })));
}

#[test]
fn a_snapshot_begins_a_new_file_and_survives_a_crash_anywhere() {
    let history = |disk: &MemoryDisk| -> Result<(), Error> {
        let mut state = State { next_number: 2, ..State::default() };
        let mut file = create(disk, 1, &state)?;
        for number in [10, 11] {
            file.append(&add(number))?;
            state.apply(&add(number)).expect("fits");
        }
        file.begin_next(12, &state)?;
        file.append(&add(13))
    };
    let all = disk();
    let before = all.changes();
    history(&all).expect("sound");
    assert_eq!(all.files().iter().filter(|path| path.extension().is_some_and(|kind| kind == "manifest")).count(), 1);
    for change in before..=all.changes() {
        for survival in [Survival::Nothing, Survival::Everything, Survival::Prefix, Survival::Torn, Survival::Reordered]
        {
            let first = disk();
            first.sync_dir(Path::new("/")).expect("sound");
            let offset = first.changes() - before;
            first.crash_at(change + offset);
            let ended = history(&first);
            let disk = first.crash_with(survival);
            match open(&disk).unwrap_or_else(|error| panic!("change {change}, {survival:?}: {error}")) {
                None => assert!(ended.is_err()),
                Some((_, state)) => {
                    let wanted = if ended.is_ok() { 13 } else { 0 };
                    assert!(wanted == 0 || state.tables.contains_key(&wanted), "change {change}, {survival:?}");
                    assert!(!state.tables.contains_key(&13) || state.tables.contains_key(&11));
                }
            }
        }
    }
}

#[test]
fn a_full_disk_changes_nothing_and_a_failed_sync_ends_all() {
    let disk = disk();
    let mut file = create(&disk, 1, &State::default()).expect("sound");
    file.append(&add(10)).expect("sound");
    disk.fail_where(|operation| (operation.kind == OperationKind::Write).then_some(Fault::Full));
    assert!(matches!(file.append(&add(11)), Err(Error::Full { .. })));
    disk.heal();
    file.append(&add(12)).expect("space is back");
    let (_, state) = open(&disk).expect("sound").expect("there is one");
    assert_eq!(state.tables.keys().copied().collect::<Vec<_>>(), [10, 12]);
    disk.fail_where(|operation| (operation.kind == OperationKind::Sync).then_some(Fault::Io));
    assert!(matches!(file.append(&add(13)), Err(Error::Io { .. })));
    disk.heal();
    assert!(matches!(file.append(&add(14)), Err(Error::Poisoned { .. })));
    assert!(file.is_failed());
}

/// A manifest of format version 1 and its `CURRENT`, as hexadecimal digits.
const GOLDEN: &str = include_str!("../../../tests/data/manifest-1.txt");

#[test]
fn the_format_is_the_one_of_the_golden_file() {
    let disk = disk();
    let mut file = create(&disk, 1, &State { next_number: 2, ..State::default() }).expect("sound");
    file.append(&add(10)).expect("sound");
    let drop = RangeDrop { from: b"a".to_vec(), to: b"b".to_vec(), stamp: Stamp(300) };
    let edit = Edit {
        trimmed: vec![(10, 10u64.to_be_bytes().to_vec())],
        drops: vec![NumberedDrop { number: 11, drop }],
        tally: Some(12),
        flushed_to: Some(Stamp(200)),
        next_number: 13,
        ..Edit::default()
    };
    file.append(&edit).expect("sound");
    file.append(&Edit { removed: vec![10], next_number: 13, ..Edit::default() }).expect("sound");
    let hex = |path: &Path| {
        let file = disk.open(path, OpenMode::Read).expect("there");
        let mut bytes = vec![0; file.len().expect("sound") as usize];
        file.read_at(&mut bytes, 0).expect("sound");
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let found = [hex(&manifest_path(&disk)), hex(&Path::new(DIR).join("CURRENT"))].concat();
    assert_eq!(found, GOLDEN.split_whitespace().collect::<String>());
}
