//! A disk that fails or fills up at any call: the call is answered with an error or was not needed, reads go on, nothing
//! acknowledged is lost, and a full disk is no end.

use std::io::Write as _;

use annulus::env::memory::{Fault, MemoryMachine};
use annulus::storage::{Durability, Error};

use crate::history::{Dice, Life, keys};
use crate::store::{State, check, get, open, options, wait};

/// One life in which call `at` fails with `fault`; `false` if there was no such call.
fn fail_at(seed: u64, at: u64, fault: Fault) -> bool {
    let what = format!("seed {seed}, {fault:?} at call {at}");
    let options = options(Durability::Sync);
    let mut dice = Dice::new(seed);
    let machine = MemoryMachine::new(seed);
    machine.disk.fail_at(at, fault);
    let Ok(engine) = open(&machine, &options) else {
        // An open that fails leaves nothing behind that stops the next one.
        drop(open(&machine, &options).unwrap_or_else(|error| panic!("{what}: {error}")));
        return true;
    };
    let mut life = Life::new(State::new());
    life.run(&machine, &engine, &mut dice, 80);
    let reached = machine.disk.operations() > at;
    machine.disk.heal();
    // Memory and tables still answer, and rightly.
    life.judge(&engine, &what);
    if engine.failure().is_some() {
        let refused =
            engine.update(&keys().next().unwrap(), None, &mut |_, _| panic!("a poisoned engine runs no change"));
        assert!(matches!(refused, Err(Error::Poisoned { .. })), "{refused:?}");
        assert!(engine.close().is_err());
    } else if engine.close().is_ok() && life.error.is_none() {
        life.settle();
    }
    let machine = machine.kill();
    let engine = open(&machine, &options).unwrap_or_else(|error| panic!("{what}: {error}"));
    life.judge(&engine, &what);
    reached
}

#[test]
fn a_failure_at_any_call_is_told_and_never_spreads() {
    for fault in [Fault::Io, Fault::Full] {
        let mut at = 0;
        while fail_at(5, at, fault) {
            at += 1;
        }
        assert!(at > 200, "the history is too short: {at} calls");
        let _ = writeln!(std::io::stderr(), "fault matrix: {at} calls failed with {fault:?}");
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let modes = [Durability::Sync, Durability::EverySec, Durability::None];
    for (seed, durability) in (0..12).zip(modes.into_iter().cycle()) {
        let options = options(durability);
        let mut dice = Dice::new(seed);
        let machine = MemoryMachine::new(seed);
        let engine = open(&machine, &options).unwrap();
        let mut life = Life::new(State::new());
        life.run(&machine, &engine, &mut dice, 80);
        assert!(life.error.is_none());
        machine.disk.set_capacity(Some(machine.disk.used_bytes() + 500 * seed));
        life.run(&machine, &engine, &mut dice, 4_000);
        assert!(matches!(life.error, Some(Error::Full { .. })), "seed {seed}: {:?}", life.error);
        assert_eq!(engine.failure(), None);
        let found = life.judge(&engine, &format!("seed {seed}"));
        for key in keys() {
            assert_eq!(get(&engine, &key).unwrap().as_ref(), found.get(&key));
        }
        machine.disk.set_capacity(None);
        // The next tries of the background work find space.
        (0..2_000).take_while(|_| wait(&machine)).for_each(drop);
        engine.writable().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut life = Life::new(found);
        life.run(&machine, &engine, &mut dice, 200);
        assert!(life.error.is_none(), "seed {seed}: {:?}", life.error);
        check(&engine, life.last(), keys());
        engine.close().unwrap();
        let engine = open(&machine, &options).unwrap();
        check(&engine, life.last(), keys());
    }
}
