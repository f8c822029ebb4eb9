//! Power is lost, or the process killed, during every change of the disk: what comes back is the state after some piece of
//! work, not before the last one that was durable; counters are those of that state.

use annulus::env::memory::{MemoryMachine, Survival};
use annulus::storage::{Durability, Engine, Options};

use crate::history::{Dice, Life, keys};
use crate::store::{State, check, open, options, put, record};

fn machine_with(seed: u64, options: &Options, dice: &mut Dice) -> (MemoryMachine, State) {
    let machine = MemoryMachine::new(seed);
    let engine = open(&machine, options).unwrap();
    let mut life = Life::new(State::new());
    life.run(&machine, &engine, dice, 60);
    let state = life.states.pop().expect("there is a last state");
    engine.close().unwrap();
    (machine, state)
}

fn reopen(machine: MemoryMachine, options: &Options, dice: &mut Dice) -> (MemoryMachine, Engine) {
    let mut machine = machine;
    // The first recoveries may be cut short too.
    for _ in 0..2 {
        machine.disk.crash_at(dice.roll(12));
        let opened = open(&machine, options);
        if let Err(error) = &opened {
            assert!(machine.disk.is_dead(), "{error}");
        }
        drop(opened);
        machine = machine.crash();
    }
    let engine = open(&machine, options).unwrap();
    (machine, engine)
}

/// One life that ends at change `at`; `false` if it ended before.
fn crash_at(seed: u64, at: u64, options: &Options) -> bool {
    let mut dice = Dice::new(seed);
    let (machine, state) = machine_with(seed, options, &mut dice);
    let machine = machine.crash();
    machine.disk.crash_at(at);
    let mut life = Life::new(state);
    if let Ok(engine) = open(&machine, options) {
        life.run(&machine, &engine, &mut dice, 120);
    }
    let died = machine.disk.is_dead();
    let what = format!("seed {seed}, crash at change {at}");
    let (machine, engine) = reopen(machine.crash(), options, &mut dice);
    let state = life.judge(&engine, &what);
    // And it goes on from there.
    let mut life = Life::new(state);
    life.run(&machine, &engine, &mut dice, 30);
    check(&engine, life.last(), keys());
    died
}

#[test]
fn after_power_loss_at_any_change_the_state_is_a_recent_one() {
    let options = options(Durability::Sync);
    for seed in [1, 2] {
        assert!(!crash_at(seed, u64::MAX, &options));
        let mut at = 0;
        while crash_at(seed, at, &options) {
            at += 1;
        }
        assert!(at > 100, "the history is too short: {at} changes");
    }
}

#[test]
fn after_a_kill_all_that_was_handed_over_is_there() {
    for durability in [Durability::Sync, Durability::EverySec, Durability::None] {
        let options = options(durability);
        let mut dice = Dice::new(9);
        let mut machine = MemoryMachine::new(9);
        let mut state = State::new();
        for life_number in 0..25 {
            let engine = open(&machine, &options).unwrap();
            let mut life = Life::new(state);
            let rounds = dice.roll(60) as usize;
            life.run(&machine, &engine, &mut dice, rounds);
            drop(engine);
            machine = machine.kill();
            let engine = open(&machine, &options).unwrap();
            state = life.judge(&engine, &format!("{durability:?}, life {life_number}"));
            drop(engine);
            machine = machine.kill();
        }
    }
}

#[test]
fn a_sync_covers_the_segments_before_the_last_too() {
    let mut options = options(Durability::Sync);
    options.log_buffer_bytes = 1 << 20;
    let machine = MemoryMachine::new(4);
    let engine = open(&machine, &options).unwrap();
    machine.pool.run_until_idle();
    let records: State = keys().map(|key| (key, record(1, &[7; 60]))).collect();
    for (key, record) in &records {
        put(&machine, &engine, (key, record)).unwrap();
    }
    assert_eq!(engine.stats().frozen_memtables, 1, "the records lie in two segments");
    engine.sync_to(engine.appended()).unwrap();
    drop(engine);
    let mut after = MemoryMachine::new(5);
    after.disk = machine.disk.crash_with(Survival::Nothing);
    check(&open(&after, &options).unwrap(), &records, keys());
}
