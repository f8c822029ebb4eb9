//! `salvage`: a store with damage anywhere becomes a sound one that opens; it holds values that its keys once had, counts
//! them rightly, and whatever was removed is kept beside it. A crash during a salvage leaves one that can be salvaged.

use std::path::{Path, PathBuf};

use annulus::env::Disk as _;
use annulus::env::memory::MemoryMachine;
use annulus::storage::{Engine, Error, LossKind, Note, Salvaged, Severity, plan_salvage, salvage};

use crate::damage;
use crate::history::Dice;
use crate::inspection::{Past, closed_store, files, look, usual};
use crate::store::{State, check_counters, contents, key, note, open, put, record};

const KEEP: &str = "/keep";

fn recount(_: &[u8], value: &[u8]) -> Note {
    Note { tree: None, ..note(None, value) }
}

fn run(machine: &MemoryMachine) -> Result<Salvaged, Error> {
    machine.disk.make_dir(Path::new(KEEP)).unwrap();
    salvage(&machine.env(), &usual(), Path::new(KEEP), &recount)
}

/// The store is sound, opens, and holds nothing but what its keys once had.
fn judge(machine: &MemoryMachine, past: &Past, what: &str) -> State {
    let found = look(machine).unwrap();
    assert!(found.findings.iter().all(|finding| finding.severity != Severity::Damage), "{what}: {found:?}");
    let engine: Engine = open(machine, &usual()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let state = contents(&engine, 50).unwrap();
    for entry in &state {
        assert!(past.ever.contains(&(entry.0.clone(), entry.1.clone())), "{what}: {entry:?} was never written");
    }
    check_counters(&engine, &state);
    // It goes on from there, and its newest write wins.
    put(machine, &engine, (&key(3), &record(0, b"after"))).unwrap();
    engine.freeze().unwrap();
    machine.pool.run_until_idle();
    let after = contents(&engine, 50).unwrap();
    assert_eq!(after.get(&key(3)), Some(&record(0, b"after")), "{what}");
    assert!(state.iter().all(|(other, value)| *other == key(3) || after.get(other) == Some(value)), "{what}");
    engine.close().unwrap();
    state
}

#[test]
fn a_store_with_one_damage_is_sound_again_and_loses_little() {
    let mut dice = Dice::new(23);
    let (mut damaged, mut whole) = (0, 0);
    for round in 0..90 {
        let (machine, past) = closed_store(&usual());
        let files = files(&machine);
        let (path, len) = &files[round % files.len()];
        let bit = dice.roll(*len * 8);
        machine.disk.flip_bit(path, bit);
        let what = format!("{path:?} bit {bit} of {len} bytes");
        match look(&machine) {
            Ok(found) if found.damages().count() > 0 => {}
            _ => continue,
        }
        damaged += 1;
        let planned = plan_salvage(&machine.env(), &usual()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let salvaged = run(&machine).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(planned, salvaged, "{what}");
        for gone in &salvaged.removed {
            let copy = Path::new(KEEP).join(gone.file_name().unwrap());
            assert!(machine.disk.open(&copy, annulus::env::OpenMode::Read).is_ok(), "{what}: {gone:?}");
        }
        let state = judge(&machine, &past, &what);
        let same = past.last.iter().filter(|(key, value)| state.get(*key) == Some(value)).count();
        assert!(same * 2 > past.last.len(), "{what}: {same} of {} keys", past.last.len());
        let is_kept = state == past.last;
        whole += u32::from(is_kept);
        assert!(is_kept || !salvaged.losses.is_empty(), "{what}: a loss that is not told");
    }
    assert!(damaged > 35 && whole > 5, "{damaged} {whole}");
}

#[test]
fn a_store_with_many_damages_is_sound_again() {
    let mut dice = Dice::new(29);
    for round in 0..30 {
        let (machine, past) = closed_store(&usual());
        let files = files(&machine);
        for _ in 0..2 + round % 5 {
            let (path, len) = &files[dice.roll(files.len() as u64) as usize];
            machine.disk.flip_bit(path, dice.roll(*len * 8));
        }
        match run(&machine) {
            Ok(_) => drop(judge(&machine, &past, &format!("round {round}"))),
            Err(Error::FutureFormat { .. }) => {}
            Err(error) => panic!("round {round}: {error}"),
        }
    }
}

#[test]
fn a_crash_during_a_salvage_leaves_what_can_be_salvaged() {
    let damage = |machine: &MemoryMachine| {
        let is_table = |(path, _): &&(PathBuf, u64)| path.extension().is_some_and(|kind| kind == "table");
        let files = files(machine);
        let (path, _) = files.iter().find(is_table).unwrap();
        machine.disk.flip_bit(path, 8 * 100);
    };
    for at in 0.. {
        let (machine, past) = closed_store(&usual());
        damage(&machine);
        machine.disk.make_dir(Path::new(KEEP)).unwrap();
        machine.disk.sync_dir(Path::new("/")).unwrap();
        machine.disk.crash_at(machine.disk.changes() + at);
        let done = salvage(&machine.env(), &usual(), Path::new(KEEP), &recount).is_ok();
        let died = machine.disk.is_dead();
        let machine = machine.crash();
        let what = format!("crash at change {at}");
        if look(&machine).unwrap().damages().count() > 0 {
            let again = Path::new("/again");
            machine.disk.make_dir(again).unwrap();
            salvage(&machine.env(), &usual(), again, &recount).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        judge(&machine, &past, &what);
        if done && !died {
            assert!(at > 10, "{at}");
            break;
        }
    }
}

#[test]
fn sound_frames_behind_a_damaged_one_are_kept() {
    let (machine, states) = damage::closed_store();
    let log = damage::logs(&machine)[0].clone();
    // In the records of the second frame.
    machine.disk.flip_bit(&log, 8 * 190);
    assert_eq!(look(&machine).unwrap().damages().count(), 1);
    let salvaged = run(&machine).unwrap();
    assert!(matches!(salvaged.losses[..], [ref loss] if matches!(loss.what, LossKind::Writes { bytes: Some(1..) })));
    let engine = open(&machine, &usual()).unwrap();
    // The records of the second frame were written over by later ones.
    assert_eq!(Some(&contents(&engine, 50).unwrap()), states.last());
}
