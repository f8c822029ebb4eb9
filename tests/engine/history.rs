//! Random work whose every intermediate state is known.

use annulus::env::memory::MemoryMachine;
use annulus::storage::{Engine, Error, ScanRange};
use annulus::types::Stamp;

use crate::store::{State, key, put, put_all, record};

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
                engine.drop_ranges(&[range], &mut || true).map(|_| engine.appended())
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
