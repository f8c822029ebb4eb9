//! `check`: every byte of every file that turns over is named; what is sound, and what a crash leaves, is not called damage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use annulus::env::memory::{MemoryMachine, Survival};
use annulus::env::{Disk as _, OpenMode};
use annulus::storage::{Durability, Error, Finding, Inspection, Options, ScanRange, Severity, inspect};

use crate::damage;
use crate::history::{Dice, Life, keys};
use crate::store::{State, contents, open, options, put, record};

/// What a store has held.
pub(crate) struct Past {
    /// When it was closed.
    pub(crate) last: State,
    /// All records that any key ever had.
    pub(crate) ever: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

pub(crate) const DIR: &str = "/data";

/// A closed store with tables on several levels, a drop, a tally and a log with records in two segments.
pub(crate) fn closed_store(options: &Options) -> (MemoryMachine, Past) {
    let mut ever = BTreeSet::new();
    let mut machine = MemoryMachine::new(3);
    let mut state = State::new();
    for round in 0..3u8 {
        let engine = open(&machine, options).unwrap();
        let mut life = Life::new(state);
        life.run(&machine, &engine, &mut Dice::new(u64::from(round) + 5), 120);
        machine.pool.run_until_idle();
        if round == 1 {
            let range = || ScanRange { from: vec![0, 0, 0], to: vec![0, 0, 1] };
            engine.drop_ranges(&mut || vec![range()]).unwrap();
        }
        for (index, key) in keys().enumerate().take(20) {
            put(&machine, &engine, (&key, &record(0, &[round, index as u8, 7]))).unwrap();
        }
        state = contents(&engine, 50).unwrap();
        ever.extend(life.states.into_iter().flatten());
        ever.extend(state.clone());
        engine.close().unwrap();
        machine = machine.kill();
    }
    (machine, Past { last: state, ever })
}

/// Options whose store keeps a log and several levels.
pub(crate) fn usual() -> Options {
    let mut options = options(Durability::Sync);
    options.stop_runs = 12;
    options
}

pub(crate) fn look(machine: &MemoryMachine) -> Result<Inspection, Error> {
    inspect(&machine.disk, Path::new(DIR))
}

/// Files of the store whose bytes matter.
pub(crate) fn files(machine: &MemoryMachine) -> Vec<(PathBuf, u64)> {
    let matters = |path: &PathBuf| !path.ends_with("lock") && !path.ends_with("spare");
    let length = |path: PathBuf| {
        let file = machine.disk.open(&path, OpenMode::Read).unwrap();
        (path, file.len().unwrap())
    };
    machine.disk.files().into_iter().filter(matters).map(length).collect()
}

fn names(finding: &Finding, path: &Path) -> bool {
    finding.path.ends_with(path)
}

#[test]
fn a_sound_store_is_called_sound_and_counted() {
    let (machine, _) = closed_store(&usual());
    let found = look(&machine).unwrap();
    assert_eq!(found.findings, []);
    assert_eq!(found.files, files(&machine).len() as u64);
    assert!(found.tables > 1 && found.entries > 20 && found.segments >= 1 && found.records > 5, "{found:?}");
    // Looking changes nothing.
    assert_eq!(look(&machine).unwrap(), found);
}

#[test]
fn every_flipped_bit_is_named_with_its_file() {
    let (machine, _) = closed_store(&usual());
    let mut dice = Dice::new(17);
    let mut damages = 0;
    for (path, len) in files(&machine) {
        for round in 0..120 {
            // All of a short file, the ends and random places of a long one.
            let byte = match round {
                0 => 0,
                1 => len - 1,
                _ => dice.roll(len),
            };
            let bit = byte * 8 + dice.roll(8);
            machine.disk.flip_bit(&path, bit);
            match look(&machine) {
                Ok(found) => {
                    let named: Vec<_> = found.findings.iter().filter(|finding| names(finding, &path)).collect();
                    let near = named.iter().any(|finding| finding.offset <= byte);
                    assert!(near, "{path:?} byte {byte} of {len}: {:?}", found.findings);
                    damages += u32::from(found.damages().count() > 0);
                }
                Err(Error::FutureFormat { path: named, .. }) => assert!(named.ends_with(&path)),
                Err(error) => panic!("{error}"),
            }
            machine.disk.flip_bit(&path, bit);
        }
    }
    assert!(damages > 500, "{damages}");
    assert_eq!(look(&machine).unwrap().findings, []);
}

#[test]
fn a_flipped_bit_of_a_table_is_placed_to_its_block() {
    let (machine, _) = closed_store(&usual());
    let tables = files(&machine).into_iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "table"));
    for (path, len) in tables {
        for byte in (0..len).step_by(61) {
            machine.disk.flip_bit(&path, byte * 8 + 3);
            let found = look(&machine).unwrap();
            let place = found.damages().find(|finding| names(finding, &path)).map(|finding| finding.offset);
            // Blocks are 512 bytes of contents, an entry more at most; filters are longer.
            assert!(place.is_some_and(|place| place <= byte && byte < place + 1200), "{path:?} {byte} {place:?}");
            machine.disk.flip_bit(&path, byte * 8 + 3);
        }
    }
}

#[test]
fn missing_files_are_told() {
    let (machine, _) = closed_store(&usual());
    let is_log = |path: &PathBuf| path.to_string_lossy().contains("log-");
    for (path, _) in files(&machine).into_iter().filter(|(path, _)| !is_log(path)) {
        let (machine, _) = closed_store(&usual());
        machine.disk.remove(&Path::new("/").join(&path)).unwrap();
        assert!(look(&machine).unwrap().damages().count() > 0, "{path:?}");
    }
    let (machine, _) = damage::closed_store();
    machine.disk.remove(&Path::new("/").join(&damage::logs(&machine)[0])).unwrap();
    let found = look(&machine).unwrap();
    assert!(found.damages().next().unwrap().path.ends_with(&damage::logs(&machine)[0]), "{found:?}");
}

#[test]
fn what_a_crash_leaves_is_no_damage() {
    let options = usual();
    let mut torn = 0;
    for seed in 0..40 {
        let machine = MemoryMachine::new(seed);
        let engine = open(&machine, &options).unwrap();
        let mut life = Life::new(State::new());
        machine.disk.crash_at(60 + seed * 7);
        life.run(&machine, &engine, &mut Dice::new(seed), 150);
        drop(engine);
        let machine = machine.crash();
        let found = look(&machine).unwrap();
        assert_eq!(found.damages().collect::<Vec<_>>(), Vec::<&Finding>::new(), "seed {seed}");
        torn += u32::from(!found.findings.is_empty());
        // The next start mends it all.
        open(&machine, &options).unwrap().close().unwrap();
        let found = look(&machine.kill()).unwrap();
        assert!(found.findings.iter().all(|finding| finding.severity != Severity::Damage), "seed {seed}: {found:?}");
    }
    assert!(torn > 5, "{torn}");
}

#[test]
fn a_store_in_use_is_refused() {
    let options = usual();
    let machine = MemoryMachine::new(1);
    let engine = open(&machine, &options).unwrap();
    assert!(matches!(look(&machine), Err(Error::Locked { .. })));
    drop(engine);
    let mut next = MemoryMachine::new(2);
    next.disk = machine.disk.crash_with(Survival::Everything);
    assert!(look(&next).is_ok());
}

#[test]
fn a_frame_inside_of_a_value_is_not_taken_for_one() {
    // A value that holds the bytes of a whole log, written first and damaged at its beginning.
    let mut options = usual();
    options.memtable_bytes = 1 << 20;
    let machine = MemoryMachine::new(8);
    let engine = open(&machine, &options).unwrap();
    let key = keys().next().unwrap();
    for round in 0..8u8 {
        put(&machine, &engine, (&key, &record(0, &[round; 40]))).unwrap();
        engine.sync_to(engine.appended()).unwrap();
    }
    engine.close().unwrap();
    let machine = machine.kill();
    let (log, _) = files(&machine).into_iter().find(|(path, _)| path.to_string_lossy().contains("log-")).unwrap();
    let mut bytes = vec![0; 2000];
    machine.disk.open(&log, OpenMode::Read).unwrap().read_at(&mut bytes, 0).unwrap();
    let machine = MemoryMachine::new(9);
    let engine = open(&machine, &options).unwrap();
    for shift in 0..8 {
        put(&machine, &engine, (&key, &record(0, &[&vec![0; shift], &bytes[..]].concat()))).unwrap();
    }
    engine.sync_to(engine.appended()).unwrap();
    put(&machine, &engine, (&key, &record(0, b"last"))).unwrap();
    engine.close().unwrap();
    let machine = machine.kill();
    let records = look(&machine).unwrap().records;
    for byte in 24..52 {
        machine.disk.flip_bit(&log, byte * 8 + 1);
        let found = look(&machine).unwrap();
        assert_eq!(found.damages().map(|damage| damage.offset).collect::<Vec<_>>(), [24], "{found:?}");
        assert!(found.records < records, "what the damaged frame held is gone, and nothing has come: {found:?}");
        machine.disk.flip_bit(&log, byte * 8 + 1);
    }
}
