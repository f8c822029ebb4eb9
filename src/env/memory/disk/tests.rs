//! What a loss of power, a full disk and a broken one do to a memory disk, over many seeds.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use crate::env::memory::{Cached, Fault, MemoryDisk, OperationKind, Survival};
use crate::env::{Disk, File, OpenMode};

const DIR: &str = "/data";
const PATH: &str = "/data/file";
const OTHER: &str = "/data/other";

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A disk with a durable directory.
fn disk(seed: u64) -> MemoryDisk {
    let disk = MemoryDisk::new(seed);
    disk.make_dir(path(DIR)).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk
}

fn create(disk: &MemoryDisk, name: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = disk.open(path(name), OpenMode::CreateNew).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

fn durable(disk: &MemoryDisk, name: &str, bytes: &[u8]) -> Box<dyn File> {
    let file = create(disk, name, bytes);
    file.sync().unwrap();
    disk.sync_dir(path(DIR)).unwrap();
    file
}

fn contents(disk: &MemoryDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(path(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

/// What a history leaves after a crash, over many seeds.
fn outcomes<T: Ord>(history: impl Fn(&MemoryDisk), read: impl Fn(&MemoryDisk) -> T) -> BTreeSet<T> {
    let outcome = |seed| {
        let before = disk(seed);
        history(&before);
        read(&before.crash())
    };
    (0..400).map(outcome).collect()
}

#[test]
fn what_is_synced_outlives_every_crash() {
    let history = |disk: &MemoryDisk| drop(durable(disk, PATH, b"synced"));
    assert_eq!(outcomes(history, |disk| contents(disk, PATH)), BTreeSet::from([Some(b"synced".to_vec())]));
}

#[test]
fn unsynced_writes_vanish_stay_tear_and_swap_their_order() {
    let history = |disk: &MemoryDisk| {
        let file = durable(disk, PATH, &[b'0'; 1024]);
        file.write_at(&[b'1'; 1024], 0).unwrap();
        file.write_at(&[b'2'; 512], 0).unwrap();
    };
    let sectors = |disk: &MemoryDisk| {
        let bytes = contents(disk, PATH).unwrap();
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector never tears");
        String::from_utf8(bytes.iter().step_by(512).copied().collect()).unwrap()
    };
    let wanted = ["00", "01", "10", "11", "20", "21"].map(str::to_owned);
    assert_eq!(outcomes(history, sectors), BTreeSet::from(wanted));
}

#[test]
fn an_unsynced_length_may_be_any_of_those_it_had() {
    let history = |disk: &MemoryDisk| {
        let file = durable(disk, PATH, b"abc");
        file.truncate(1).unwrap();
        file.reserve(5).unwrap();
    };
    let read = |disk: &MemoryDisk| String::from_utf8(contents(disk, PATH).unwrap()).unwrap();
    let wanted = ["abc", "a", "a\0\0\0\0", "abc\0\0"].map(str::to_owned);
    assert_eq!(outcomes(history, read), BTreeSet::from(wanted));
}

#[test]
fn an_unsynced_name_may_vanish_with_synced_bytes_and_stay_with_lost_ones() {
    let synced = |disk: &MemoryDisk| create(disk, PATH, b"bytes").sync().unwrap();
    assert_eq!(outcomes(synced, |disk| contents(disk, PATH)), BTreeSet::from([None, Some(b"bytes".to_vec())]));
    let named = |disk: &MemoryDisk| {
        create(disk, PATH, b"bytes");
        disk.sync_dir(path(DIR)).unwrap();
    };
    let wanted = BTreeSet::from([Some(Vec::new()), Some(b"bytes".to_vec())]);
    assert_eq!(outcomes(named, |disk| contents(disk, PATH)), wanted);
}

#[test]
fn a_rename_happens_or_not_and_a_removed_file_may_come_back() {
    let read = |disk: &MemoryDisk| (contents(disk, PATH).is_some(), contents(disk, OTHER));
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    let history = |disk: &MemoryDisk| {
        durable(disk, PATH, b"new");
        durable(disk, OTHER, b"old");
        disk.rename(path(PATH), path(OTHER)).unwrap();
    };
    assert_eq!(outcomes(history, read), BTreeSet::from([(true, old), (false, new.clone())]));
    let synced = |disk: &MemoryDisk| {
        history(disk);
        disk.sync_dir(path(DIR)).unwrap();
    };
    assert_eq!(outcomes(synced, read), BTreeSet::from([(false, new.clone())]));
    let removed = |disk: &MemoryDisk| {
        synced(disk);
        disk.remove(path(OTHER)).unwrap();
    };
    assert_eq!(outcomes(removed, read), BTreeSet::from([(false, None), (false, new)]));
}

#[test]
fn a_rename_to_another_directory_lasts_once_either_is_synced() {
    for synced in [DIR, "/"] {
        let history = |disk: &MemoryDisk| {
            create(disk, PATH, b"x").sync().unwrap();
            disk.rename(path(PATH), path("/moved")).unwrap();
            disk.sync_dir(path(synced)).unwrap();
        };
        let files = |disk: &MemoryDisk| disk.files();
        assert_eq!(outcomes(history, files), BTreeSet::from([vec![path("moved").to_owned()]]));
    }
}

#[test]
fn an_unsynced_directory_takes_its_files_along() {
    let history = |disk: &MemoryDisk| {
        disk.make_dir(path("/data/a")).unwrap();
        create(disk, "/data/a/file", b"x").sync().unwrap();
        disk.sync_dir(path("/data/a")).unwrap();
    };
    let wanted = BTreeSet::from([None, Some(b"x".to_vec())]);
    assert_eq!(outcomes(history, |disk| contents(disk, "/data/a/file")), wanted);
}

#[test]
fn power_goes_at_the_change_that_the_test_names() {
    for change in 0..4 {
        let disk = disk(change);
        disk.crash_at(disk.changes() + change);
        let run = || {
            let file = disk.open(path(PATH), OpenMode::CreateNew)?;
            file.write_at(b"x", 0)?;
            file.sync()?;
            disk.sync_dir(path(DIR))
        };
        let error = run().unwrap_err();
        assert!(error.to_string().ends_with("the machine has lost power"), "{error}");
        assert!(disk.is_dead());
        disk.list(path("/")).unwrap_err();
        assert_eq!(disk.changes(), 2 + change + 1);
        let next = disk.crash();
        assert_eq!((next.changes(), next.operations(), next.is_dead()), (0, 0, false));
        next.list(path(DIR)).unwrap();
    }
}

#[test]
fn a_kill_keeps_what_was_written_and_a_later_crash_may_not() {
    let first = disk(1);
    let file = create(&first, PATH, b"written");
    let lock = first.lock(path("/data/LOCK")).unwrap();
    let second = first.kill();
    assert_eq!(contents(&second, PATH), Some(b"written".to_vec()));
    let _taken = second.lock(path("/data/LOCK")).unwrap();
    drop(lock);
    second.lock(path("/data/LOCK")).err().expect("the dead process's guard released nothing");
    file.write_at(b"late", 0).unwrap_err();
    file.len().unwrap_err();
    drop(file);
    assert_eq!(contents(&second, PATH), Some(b"written".to_vec()));
    assert_eq!(contents(&second.crash_with(Survival::Nothing), PATH), None);
}

#[test]
fn a_failed_sync_loses_what_a_later_sync_does_not_bring_back() {
    let history = |disk: &MemoryDisk| {
        let file = durable(disk, PATH, b"old");
        file.write_at(b"new", 0).unwrap();
        disk.fail_at(disk.operations(), Fault::Io);
        let error = file.sync().unwrap_err();
        assert!(error.to_string().starts_with("cannot sync /data/file: "), "{error}");
        disk.heal();
        file.sync().unwrap();
        assert_eq!(contents(disk, PATH), Some(b"new".to_vec()), "reads still see it");
    };
    let wanted = BTreeSet::from([Some(b"new".to_vec()), Some(b"old".to_vec())]);
    assert_eq!(outcomes(history, |disk| contents(disk, PATH)), wanted);
}

#[test]
fn a_rule_fails_what_it_names() {
    let disk = disk(3);
    let file = create(&disk, PATH, b"");
    disk.fail_where(|operation| {
        let hit = operation.kind == OperationKind::Write && operation.path == path("data/file");
        hit.then_some(Fault::Full)
    });
    let other = create(&disk, OTHER, b"fine");
    assert_eq!(file.write_at(b"0123456789", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(b"0123456789".starts_with(&contents(&disk, PATH).unwrap()), "a first part may be written");
    disk.heal();
    file.write_at(b"x", 0).unwrap();
    drop(other);
}

#[test]
fn a_full_disk_refuses_until_space_returns_and_keeps_what_was_reserved() {
    let disk = disk(4);
    disk.set_capacity(Some(1000));
    let log = disk.open(path(PATH), OpenMode::CreateNew).unwrap();
    log.reserve(600).unwrap();
    assert_eq!((disk.used_bytes(), disk.free_bytes(path(DIR)).unwrap()), (600, 400));
    let other = disk.open(path(OTHER), OpenMode::CreateNew).unwrap();
    assert_eq!(other.reserve(401).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 0);
    assert_eq!(other.write_at(&[1; 500], 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 400, "what fits is written");
    log.write_at(&[2; 600], 0).unwrap();
    log.write_at(&[2; 1], 600).unwrap_err();
    disk.remove(path(OTHER)).unwrap();
    log.write_at(&[2; 1], 600).expect_err("an open file keeps its space");
    drop(other);
    log.write_at(&[2; 1], 600).unwrap();
    log.truncate(10).unwrap();
    assert_eq!(disk.used_bytes(), 10);
}

#[test]
fn a_turned_bit_is_read_and_outlives_a_crash() {
    let disk = disk(5);
    durable(&disk, PATH, b"ab");
    disk.flip_bit(path(PATH), 8);
    assert_eq!(contents(&disk, PATH), Some(b"ac".to_vec()));
    assert_eq!(contents(&disk.crash(), PATH), Some(b"ac".to_vec()));
}

#[test]
fn cached_reads_answer_as_set() {
    let disk = disk(6);
    let file = create(&disk, PATH, b"x");
    let count = |cached| {
        disk.set_cached(cached);
        (0..100).filter(|_| file.read_if_cached(&mut [0], 0).unwrap()).count()
    };
    assert_eq!((count(Cached::Always), count(Cached::Never)), (100, 0));
    assert!((20..80).contains(&count(Cached::Seeded)));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let before = disk(seed);
        for index in 0..20_u8 {
            let file = create(&before, &format!("/data/{index}"), &[index; 3000]);
            file.write_at(&[0xFF; 700], 100).unwrap();
        }
        let after = before.crash();
        after.files().iter().map(|name| contents(&after, name.to_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(run(9), run(9));
    assert!((0..20).map(run).collect::<BTreeSet<_>>().len() > 10);
}

#[test]
#[should_panic(expected = "the next life of this disk has begun already")]
fn a_life_ends_once() {
    let disk = disk(7);
    let _next = disk.crash();
    let _other = disk.crash();
}
