//! A batch: the operations of the commands that one connection had ready, their bytes and their outcomes.
//!
//! Invariant: every vector here is cleared and reused, so a batch of hot commands allocates nothing in a steady state.
//! Operations are carried out in order; outcome `i` belongs to operation `i`. Outcomes stay until [`Batch::clear`], so a
//! command that planned more operations after seeing the first outcomes finds all of them.

use std::ops::AddAssign;

use crate::quorum::Level;
use crate::replica::{Action, Existed, Failure, Found, Operand, Operation, Outcome, Scratch, Workspace};
use crate::storage::Fetched;
use crate::types::{Database, Span, Stamp};

/// Operations and what became of them.
#[derive(Default)]
pub struct Batch {
    pub(super) operations: Vec<Operation>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) arena: Vec<u8>,
    pub(super) page_keys: Vec<Span>,
    pub(super) failures: Vec<Failure>,
    pub(super) fetched: Vec<Fetched>,
    pub(super) position: Stamp,
    // Index of the first operation that is not carried out yet.
    pub(super) done: usize,
    /// Levels, each from the operation on that was the next when they were set.
    levels: Vec<(usize, Levels)>,
    scratch: Scratch,
    carried: Carried,
    now_ms: u64,
}

/// The levels that operations are carried out at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Of reads.
    pub read: Level,
    /// Of writes.
    pub write: Level,
}

impl Default for Levels {
    fn default() -> Self {
        Levels { read: Level::Quorum, write: Level::Quorum }
    }
}

/// What a command that runs in phases keeps between them; it begins by resetting it.
#[derive(Debug, Default)]
pub struct Carried {
    /// How far it got, or whatever else is a number.
    pub number: usize,
    /// What it has gathered.
    pub bytes: Vec<u8>,
}

/// What reads found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Values that were there.
    pub hits: u64,
    /// Values that were not.
    pub misses: u64,
}

impl AddAssign for Lookups {
    fn add_assign(&mut self, other: Lookups) {
        self.hits += other.hits;
        self.misses += other.misses;
    }
}

impl Batch {
    /// Forgets all operations and outcomes; `now_ms` (wall clock, Unix epoch) is the time the new ones are judged at.
    pub fn clear(&mut self, now_ms: u64) {
        self.operations.clear();
        self.outcomes.clear();
        self.page_keys.clear();
        self.failures.clear();
        self.fetched.clear();
        self.position = Stamp(0);
        self.done = 0;
        self.now_ms = now_ms;
        self.levels.clear();
        self.carried = Carried::default();
        self.arena.clear();
        if self.arena.capacity() > ARENA_KEPT_BYTES {
            self.arena.shrink_to(ARENA_KEPT_BYTES);
        }
    }

    /// The time at which this batch is carried out, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Adds an operation on `key`; its outcome gets the index that is returned.
    pub fn push(&mut self, database: Database, key: Operand, action: Action) -> usize {
        self.operations.push(Operation { database, key, action });
        self.outcomes.push(Outcome::Pending);
        self.operations.len() - 1
    }

    /// Operations that are added from now on are carried out at `levels`.
    pub fn set_levels(&mut self, levels: Levels) {
        if self.levels(self.operations.len()) != levels {
            self.levels.push((self.operations.len(), levels));
        }
    }

    /// Operations that are added from now on are carried out at the usual levels.
    #[inline]
    pub fn reset_levels(&mut self) {
        if !self.levels.is_empty() {
            self.set_levels(Levels::default());
        }
    }

    /// The levels of operation `index`.
    #[must_use]
    pub fn levels(&self, index: usize) -> Levels {
        let set = self.levels.iter().rev().find(|(first, _)| *first <= index);
        set.map_or_else(Levels::default, |(_, levels)| *levels)
    }

    /// Forgets the operations from `first` on, none of which was carried out.
    pub fn forget(&mut self, first: usize) {
        self.operations.truncate(first);
        self.outcomes.truncate(first);
        self.levels.retain(|(from, _)| *from <= first);
    }

    /// Number of operations so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was planned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Outcome of operation `index`.
    #[must_use]
    pub fn outcome(&self, index: usize) -> Outcome {
        self.outcomes[index]
    }

    /// Forgets the outcomes from that of operation `index` on: their operations are planned again.
    pub fn forget_from(&mut self, index: usize) {
        self.outcomes[index..].fill(Outcome::Pending);
    }

    /// Values that the operations `from..to` looked for: how many were there, and how many were not.
    #[must_use]
    pub fn lookups(&self, from: usize, to: usize) -> Lookups {
        let mut lookups = Lookups::default();
        for outcome in &self.outcomes[from..to] {
            match outcome.looked_up() {
                Some(Existed::Yes) => lookups.hits += 1,
                Some(Existed::No) => lookups.misses += 1,
                None => {}
            }
        }
        lookups
    }

    /// The value that operation `index` read, if there was one.
    #[must_use]
    pub fn found(&self, index: usize) -> Option<Found> {
        match self.outcomes[index] {
            Outcome::Found(found) => Some(found),
            _ => None,
        }
    }

    /// The bytes of the value that operation `index` read.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<&[u8]> {
        self.found(index).map(|found| self.bytes(found.value))
    }

    /// Bytes of the arena.
    #[must_use]
    pub fn bytes(&self, span: Span) -> &[u8] {
        span.of(&self.arena)
    }

    /// Puts `bytes` into the arena, for an operation that needs bytes which no request holds.
    pub fn store(&mut self, bytes: &[u8]) -> Operand {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        Operand::Arena(Span { start, len: bytes.len() as u32 })
    }

    /// The keys of a page.
    #[must_use]
    pub fn page_keys(&self, first: usize, count: usize) -> &[Span] {
        &self.page_keys[first..first + count]
    }

    /// The first failure among the outcomes `from..to`.
    #[must_use]
    pub fn failure(&self, from: usize, to: usize) -> Option<&Failure> {
        if self.failures.is_empty() {
            return None;
        }
        self.outcomes[from..to].iter().find_map(|outcome| match outcome {
            Outcome::Failed(index) => self.failures.get(*index),
            _ => None,
        })
    }

    /// The log position that must be durable before any reply of this batch is sent.
    #[must_use]
    pub fn position(&self) -> Stamp {
        self.position
    }

    /// Raises the position that must be durable.
    pub fn raise_position(&mut self, position: Stamp) {
        self.position = self.position.max(position);
    }

    /// What the command at work keeps between its phases.
    pub fn carried(&mut self) -> &mut Carried {
        &mut self.carried
    }

    /// Drops what was appended to the arena beyond `bytes`; outcomes that point there must have been used.
    pub fn truncate_arena(&mut self, bytes: usize) {
        self.arena.truncate(bytes);
    }

    /// What carrying out the next operation works with.
    #[inline]
    pub(super) fn parts<'a>(&'a mut self, input: &'a [u8]) -> Workspace<'a> {
        Workspace {
            input,
            arena: &mut self.arena,
            scratch: &mut self.scratch,
            fetched: &self.fetched,
            now_ms: self.now_ms,
            replication: None,
        }
    }

    /// Bytes that outcomes hold in the arena.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.arena.len()
    }
}

/// The arena keeps at most this much capacity between batches.
const ARENA_KEPT_BYTES: usize = 64 << 10;
