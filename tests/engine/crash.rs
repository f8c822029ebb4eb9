//! Power is lost, or the process killed, during every change of the disk: what comes back is the state after some piece of
//! work, not before the last one that was durable; counters are those of that state.

use std::collections::BTreeSet;

use annulus::env::memory::MemoryMachine;
use annulus::storage::{Durability, Engine, Options};
use annulus::types::Stamp;

use crate::history::{Dice, Work, keys};
use crate::store::{State, check, check_counters, contents, open, options};

/// What a life leaves behind: the states it went through, and the first that may come back.
struct Life {
    states: Vec<State>,
    durable: usize,
}

impl Life {
    fn new(state: State) -> Self {
        Life { states: vec![state], durable: 0 }
    }

    /// Works until the disk dies or the work is done.
    fn run(&mut self, machine: &MemoryMachine, engine: &Engine, dice: &mut Dice, rounds: usize) {
        let mut stamps = Vec::new();
        for _ in 0..rounds {
            let work = Work::draw(dice);
            let mut next = self.states.last().expect("there is a first").clone();
            work.apply(&mut next);
            let before = engine.appended();
            let done = work.run(machine, engine);
            // Work that failed may still have taken effect.
            if done.is_ok() || engine.appended() > before {
                self.states.push(next);
                stamps.push(if done.is_ok() { engine.appended() } else { Stamp(u64::MAX) });
            }
            let durable = engine.durable();
            self.durable = stamps.iter().take_while(|stamp| **stamp <= durable).count().max(self.durable);
            if matches!(work, Work::Drop(..)) && done.is_ok() {
                self.durable = self.states.len() - 1;
            }
            if machine.disk.is_dead() || done.is_err() {
                return;
            }
        }
    }

    /// The state that came back is one of those that may.
    fn judge(&self, engine: &Engine, what: &str) -> State {
        let found = contents(engine, 50).unwrap_or_else(|error| panic!("{what}: {error}"));
        let allowed = &self.states[self.durable..];
        let nearest = allowed.iter().map(|state| difference(state, &found)).min_by_key(|(count, _)| *count);
        if let Some((1.., example)) = nearest {
            panic!("{what}: none of the {} states that may come back; the nearest differs by {example}", allowed.len());
        }
        check_counters(engine, &found);
        found
    }
}

/// How many records differ, and the first of them.
fn difference(wanted: &State, found: &State) -> (usize, String) {
    let all: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let differing: Vec<_> = all.into_iter().filter(|key| wanted.get(*key) != found.get(*key)).collect();
    let first = differing.first().map(|key| (key, wanted.get(*key).map(Vec::len), found.get(*key).map(Vec::len)));
    (differing.len(), format!("{} records, the first (key, wanted length, found) {first:?}", differing.len()))
}

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
    check(&engine, life.states.last().expect("there is a last state"), keys());
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
