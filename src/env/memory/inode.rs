//! A file's bytes twice: as calls see them, and as a loss of power would find them.
//!
//! Invariant: `durable` with `pending` applied in order is `current`, until a failed sync has dropped something.

use rand::RngExt as _;

use crate::env::memory::random::Generator;
use crate::env::memory::survival::{Fate, SECTOR, Survival};

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

/// One file, whatever its names.
#[derive(Debug, Default)]
pub(crate) struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Bytes of space taken, which a length alone does not take.
    reserved: u64,
    /// Handles that keep the file although it has no name.
    pub(crate) handles: usize,
}

impl Inode {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.current
    }

    /// Space that the file takes on the disk.
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.reserved = self.reserved.max(offset + bytes.len() as u64);
        self.change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.max(bytes);
        if bytes > self.current.len() as u64 {
            self.change(Change::Length(bytes));
        }
    }

    pub(crate) fn truncate(&mut self, bytes: u64) {
        self.reserved = self.reserved.min(bytes);
        self.change(Change::Length(bytes));
    }

    /// Turns a bit over where it lies, as a decaying device would.
    pub(crate) fn flip_bit(&mut self, bit: u64) {
        let (index, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        assert!(index < self.current.len(), "the file has no bit {bit}");
        self.current[index] ^= mask;
        if let Some(byte) = self.durable.get_mut(index) {
            *byte ^= mask;
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    pub(crate) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync that failed: some of the changes got through, the others are forgotten although reads still see them
    /// (the kernel marks pages clean that it could not write).
    pub(crate) fn fail_sync(&mut self, generator: &mut Generator) {
        self.survive(Survival::Reordered, generator);
    }

    /// After a loss of power only what was durable is there, and of the rest what `survival` leaves.
    pub(crate) fn lose_power(&mut self, survival: Survival, generator: &mut Generator) {
        self.survive(survival, generator);
        self.current = self.durable.clone();
        self.reserved = self.durable.len() as u64;
    }

    fn survive(&mut self, survival: Survival, generator: &mut Generator) {
        let changes = std::mem::take(&mut self.pending);
        let fates = survival.fates(changes.len(), generator);
        for (change, fate) in changes.iter().zip(fates) {
            match fate {
                Fate::Lost => {}
                Fate::Kept => apply(&mut self.durable, change),
                Fate::Torn => tear(&mut self.durable, change, generator),
            }
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length as usize, 0),
        Change::Write { offset, bytes: written } => write(bytes, *offset as usize, written),
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

/// Applies some sectors of a write, or some other change wholly or not.
fn tear(bytes: &mut Vec<u8>, change: &Change, generator: &mut Generator) {
    let Change::Write { offset, bytes: written } = change else {
        if generator.random_bool(0.5) {
            apply(bytes, change);
        }
        return;
    };
    let mut at = 0;
    while at < written.len() {
        let position = *offset + at as u64;
        let count = (SECTOR - position % SECTOR).min((written.len() - at) as u64) as usize;
        if generator.random_bool(0.5) {
            write(bytes, position as usize, &written[at..at + count]);
        }
        at += count;
    }
}
