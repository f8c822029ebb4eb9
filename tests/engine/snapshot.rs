//! Snapshots: what the store was when one was taken, whatever happens until it is copied. And formats of later releases,
//! which every file may have.

use std::path::{Path, PathBuf};

use annulus::codec::crc64;
use annulus::env::memory::MemoryMachine;
use annulus::env::{Disk, OpenMode};
use annulus::storage::{Engine, Error, Options, Snapshot, inspect};

use crate::history::{Dice, Life, keys};
use crate::inspection::{closed_store, files, look, usual};
use crate::store::{State, check, contents, open, put, record};

const COPY: &str = "/copy";

fn open_copy(machine: &MemoryMachine) -> Engine {
    let found = inspect(&machine.disk, Path::new(COPY)).unwrap();
    assert_eq!(found.findings, []);
    open(machine, &Options { dir: PathBuf::from(COPY), ..usual() }).unwrap()
}

#[test]
fn a_snapshot_of_a_running_store_is_what_it_was_then() {
    for seed in 0..12 {
        let options = usual();
        let machine = MemoryMachine::new(seed);
        let engine = open(&machine, &options).unwrap();
        let mut dice = Dice::new(seed + 40);
        let mut life = Life::new(State::new());
        life.run(&machine, &engine, &mut dice, 80 + 10 * seed as usize);
        for (index, key) in keys().enumerate().take(10) {
            put(&machine, &engine, (&key, &record(0, &[index as u8; 5]))).unwrap();
        }
        let then = contents(&engine, 50).unwrap();
        let snapshot = engine.snapshot().unwrap();
        // What the snapshot names is written over, flushed, compacted and dropped before it is copied.
        let mut later = Life::new(then.clone());
        later.run(&machine, &engine, &mut dice, 150);
        engine.freeze().unwrap();
        machine.pool.run_until_idle();
        machine.disk.make_dir(Path::new(COPY)).unwrap();
        snapshot.copy_to(Path::new(COPY)).unwrap();
        machine.disk.sync_dir(Path::new("/")).unwrap();
        drop(snapshot);
        let now = contents(&engine, 50).unwrap();
        assert_ne!(now, then, "seed {seed}");
        check(&open_copy(&machine), &then, keys());
        // Both go their own ways: what the copy compacts and removes, the original keeps.
        let copy = open_copy_of_crash(&machine, &engine, &now);
        check(&copy, &then, keys());
    }
}

/// The copy after a loss of power, in which the original lost nothing either.
fn open_copy_of_crash(machine: &MemoryMachine, engine: &Engine, now: &State) -> Engine {
    engine.sync_to(engine.appended()).unwrap();
    let machine = machine.crash();
    let original = open(&machine, &usual()).unwrap();
    assert_eq!(&contents(&original, 50).unwrap(), now);
    open_copy(&machine)
}

#[test]
fn a_snapshot_of_a_stopped_store_is_the_store() {
    let (machine, past) = closed_store(&usual());
    let disk = machine.env().disk;
    let snapshot = Snapshot::of_stopped(&disk, Path::new("/data")).unwrap();
    assert!(matches!(look(&machine), Err(Error::Locked { .. })), "it stays stopped meanwhile");
    disk.make_dir(Path::new(COPY)).unwrap();
    snapshot.copy_to(Path::new(COPY)).unwrap();
    check(&open_copy(&machine), &past.last, keys());
}

/// Puts a later version into a file of the store, under a checksum that fits.
fn forge(machine: &MemoryMachine, path: &Path) {
    let file = machine.disk.open(path, OpenMode::ReadWrite).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let end = bytes.len();
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("table") => {
            bytes[end - 12] = 9;
            let crc = crc64(&bytes[end - 48..]).to_le_bytes();
            bytes[end - 56..end - 48].copy_from_slice(&crc);
        }
        Some(kind @ ("manifest" | "tally")) => {
            bytes[8] = 9;
            let covered = if kind == "tally" { [&bytes[..12], &bytes[20..]].concat() } else { bytes[..12].to_vec() };
            bytes[12..20].copy_from_slice(&crc64(&covered).to_le_bytes());
        }
        _ => bytes[8] = 9,
    }
    file.write_at(&bytes, 0).unwrap();
}

#[test]
fn every_file_of_a_later_release_is_refused_by_name() {
    let (machine, _) = closed_store(&usual());
    let mut kinds = 0;
    for (path, _) in files(&machine).into_iter().filter(|(path, _)| !path.ends_with("CURRENT")) {
        let (machine, _) = closed_store(&usual());
        forge(&machine, &path);
        let is_named = |error: &Error| {
            let text = error.to_string();
            assert!(text.contains("has format version 9, this release reads up to 1"), "{text}");
            matches!(error, Error::FutureFormat { path: named, version: 9, .. } if named.ends_with(&path))
        };
        let looked = look(&machine).err();
        assert!(looked.as_ref().is_some_and(is_named), "{path:?}: {looked:?}");
        // A table is opened by the first who reads it.
        let opened = open(&machine, &usual()).and_then(|engine| contents(&engine, 50));
        assert!(opened.as_ref().err().is_some_and(is_named), "{path:?}: {opened:?}");
        kinds += 1;
    }
    assert!(kinds >= 5, "{kinds}");
}
