//! Random work whose every intermediate state is known.

use std::collections::BTreeSet;

use annulus::env::memory::MemoryMachine;
use annulus::storage::{Engine, Error, ScanRange};
use annulus::types::Stamp;

use crate::store::{State, check_counters, contents, key, put, put_all, record};

/// Keys that histories use.
pub(crate) const KEYS: u16 = 60;

/// A small generator, so that a history is a function of its seed.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// One piece of work.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Writes these records as one.
    Write(Vec<(Vec<u8>, Vec<u8>)>),
    /// Drops a range.
    Drop(Vec<u8>, Vec<u8>),
    /// Flushes memory.
    Freeze,
    /// Syncs all that was appended.
    Sync,
    /// Hands it to the operating system.
    WriteOut,
    /// Lets driven work take some steps.
    Steps(u64),
}

impl Work {
    pub(crate) fn draw(dice: &mut Dice) -> Work {
        match dice.roll(40) {
            0 => {
                let slot = (dice.roll(7) * 2_000) as u16;
                let mut to = slot.to_be_bytes().to_vec();
                let from = [to.as_slice(), &[0]].concat();
                to.push(1 + dice.roll(2) as u8);
                Work::Drop(from, to)
            }
            1 => Work::Freeze,
            2..=4 => Work::Sync,
            5..=8 => Work::WriteOut,
            9..=14 => Work::Steps(dice.roll(30)),
            15..=18 => Work::Write((0..2 + dice.roll(4)).map(|_| draw_record(dice)).collect()),
            _ => Work::Write(vec![draw_record(dice)]),
        }
    }

    /// What the work does to the state.
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            Work::Write(records) => state.extend(records.iter().cloned()),
            Work::Drop(from, to) => state.retain(|key, _| key < from || key >= to),
            Work::Freeze | Work::Sync | Work::WriteOut | Work::Steps(_) => {}
        }
    }

    /// Does it.
    pub(crate) fn run(&self, machine: &MemoryMachine, engine: &Engine) -> Result<Stamp, Error> {
        match self {
            Work::Write(records) => match records.as_slice() {
                [(key, record)] => put(machine, engine, (key, record)),
                records => put_all(machine, engine, records),
            },
            Work::Drop(from, to) => {
                let range = ScanRange { from: from.clone(), to: to.clone() };
                engine.drop_ranges(&mut || vec![range.clone()]).map(|_| engine.appended())
            }
            Work::Freeze => engine.freeze().map(|()| engine.appended()),
            Work::Sync => engine.sync_to(engine.appended()).map(|()| engine.appended()),
            Work::WriteOut => engine.write_out(),
            Work::Steps(count) => {
                (0..*count).take_while(|_| machine.pool.step()).for_each(drop);
                Ok(engine.appended())
            }
        }
    }
}

fn draw_record(dice: &mut Dice) -> (Vec<u8>, Vec<u8>) {
    let key = key(dice.roll(u64::from(KEYS)) as u16);
    let payload: Vec<u8> = (0..dice.roll(120)).map(|_| dice.roll(256) as u8).collect();
    let deleted = dice.roll(6) == 0;
    (key, if deleted { Vec::new() } else { record(dice.roll(4) as u16, &payload) })
}

/// All keys that histories use.
pub(crate) fn keys() -> impl Iterator<Item = Vec<u8>> {
    (0..KEYS).map(key)
}

/// What a life leaves behind: the states it went through, and the first that may come back.
pub(crate) struct Life {
    /// The state after each piece of work.
    pub(crate) states: Vec<State>,
    durable: usize,
    /// Ended by this error.
    pub(crate) error: Option<Error>,
}

impl Life {
    pub(crate) fn new(state: State) -> Self {
        Life { states: vec![state], durable: 0, error: None }
    }

    /// Works until the disk dies or the work is done.
    pub(crate) fn run(&mut self, machine: &MemoryMachine, engine: &Engine, dice: &mut Dice, rounds: usize) {
        let mut stamps = Vec::new();
        for _ in 0..rounds {
            let work = Work::draw(dice);
            let mut next = self.last().clone();
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
            self.error = done.err();
            if machine.disk.is_dead() || self.error.is_some() {
                return;
            }
        }
    }

    /// All work so far is durable.
    pub(crate) fn settle(&mut self) {
        self.durable = self.states.len() - 1;
    }

    /// The state after the last work.
    pub(crate) fn last(&self) -> &State {
        self.states.last().expect("there is a first")
    }

    /// The state that came back is one of those that may.
    pub(crate) fn judge(&self, engine: &Engine, what: &str) -> State {
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
