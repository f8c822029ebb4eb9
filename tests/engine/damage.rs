//! Bits of the log that turn over: an error that names file and offset, or a state that the log may end with; never a wrong
//! record, and never a state older than what a later frame proves durable.

use std::path::{Path, PathBuf};

use annulus::env::memory::MemoryMachine;
use annulus::storage::{Durability, Error};

use crate::history::Dice;
use crate::store::{State, contents, key, open, options, put, put_all, record};

/// A store whose log has some frames in two segments and was closed, and the states after each frame.
pub(crate) fn closed_store() -> (MemoryMachine, Vec<State>) {
    let mut options = options(Durability::Sync);
    options.memtable_bytes = 1 << 20;
    let mut machine = MemoryMachine::new(3);
    let mut states = vec![State::new()];
    for life in 0..2u8 {
        let engine = open(&machine, &options).unwrap();
        for round in 0..6u16 {
            let (first, second) = (key(round), key(round + 1 + u16::from(life)));
            let records = vec![(first, record(1, &[life; 20])), (second, record(2, &[round as u8; 9]))];
            put_all(&machine, &engine, &records).unwrap();
            let mut state = states.last().unwrap().clone();
            state.extend(records);
            states.push(state);
            engine.sync_to(engine.appended()).unwrap();
        }
        if life == 1 {
            engine.close().unwrap();
        }
        machine = machine.kill();
    }
    (machine, states)
}

pub(crate) fn logs(machine: &MemoryMachine) -> Vec<PathBuf> {
    let is_log = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"));
    machine.disk.files().into_iter().filter(is_log).collect()
}

/// Opens a store of which bit `bit` of log `index` was turned over.
fn open_flipped(index: usize, bit: u64) -> Option<(Vec<State>, Result<State, Error>, PathBuf)> {
    let (machine, states) = closed_store();
    let mut options = options(Durability::Sync);
    options.memtable_bytes = 1 << 20;
    let path = logs(&machine)[index].clone();
    let disk = machine.env().disk;
    let len = disk.open(&Path::new("/").join(&path), annulus::env::OpenMode::Read).unwrap().len().unwrap();
    if bit >= len * 8 {
        return None;
    }
    machine.disk.flip_bit(&path, bit);
    let opened = open(&machine, &options).map(|engine| contents(&engine, 100).unwrap());
    Some((states, opened, path))
}

#[test]
fn a_flipped_bit_in_the_log_is_told_or_changes_nothing() {
    let mut dice = Dice::new(11);
    let mut told = 0;
    for round in 0..250 {
        let index = round % 2;
        // The frames lie at the beginning; reserved zeros follow in the newest segment.
        let Some((states, opened, path)) = open_flipped(index, dice.roll(1_100 * 8)) else { continue };
        match opened {
            Ok(state) => assert_eq!(Some(&state), states.last(), "{path:?} lost a frame silently"),
            Err(Error::Corrupt { path: told_path, .. }) => {
                assert!(told_path.ends_with(&path), "{told_path:?} {path:?}");
                told += 1;
            }
            Err(Error::FutureFormat { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(told > 80, "{told}");
}

#[test]
fn a_log_of_the_future_is_refused_by_name() {
    let (machine, _) = closed_store();
    let path = logs(&machine)[0].clone();
    // The lowest bit but one of the format version.
    machine.disk.flip_bit(&path, 8 * 8 + 1);
    let opened = open(&machine, &options(Durability::Sync));
    assert!(matches!(opened, Err(Error::FutureFormat { version: 3, supported: 1, .. })));
}

#[test]
fn a_missing_segment_is_told() {
    let (machine, _) = closed_store();
    let first = Path::new("/").join(&logs(&machine)[0]);
    machine.env().disk.remove(&first).unwrap();
    assert!(matches!(open(&machine, &options(Durability::Sync)), Err(Error::Corrupt { .. })));
}

#[test]
fn a_damaged_store_is_left_as_it_is() {
    let (machine, states) = closed_store();
    let mut options = options(Durability::Sync);
    options.memtable_bytes = 1 << 20;
    let path = logs(&machine)[0].clone();
    machine.disk.flip_bit(&path, 100 * 8);
    assert!(matches!(open(&machine, &options), Err(Error::Corrupt { .. })));
    assert!(matches!(open(&machine, &options), Err(Error::Corrupt { .. })));
    machine.disk.flip_bit(&path, 100 * 8);
    let engine = open(&machine, &options).unwrap();
    assert_eq!(Some(&contents(&engine, 100).unwrap()), states.last());
    put(&machine, &engine, (&key(1), &record(0, b"more"))).unwrap();
}

#[test]
fn a_damaged_header_is_told_even_before_a_single_frame() {
    for bit in 0..24 * 8 {
        let options = options(Durability::EverySec);
        let machine = MemoryMachine::new(6);
        let engine = open(&machine, &options).unwrap();
        put(&machine, &engine, (&key(1), &record(0, b"one"))).unwrap();
        engine.write_out().unwrap();
        drop(engine);
        let machine = machine.kill();
        machine.disk.flip_bit(&logs(&machine)[0], bit);
        let opened = open(&machine, &options).map(drop);
        let is_told = matches!(opened, Err(Error::Corrupt { offset: 0, .. } | Error::FutureFormat { .. }));
        assert!(is_told, "bit {bit}: {opened:?}");
    }
}
