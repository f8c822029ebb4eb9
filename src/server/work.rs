//! The buffers a connection works with, lent by its reactor while there is something to do.

use std::cell::RefCell;

use crate::command::{CommandError, Resolved};
use crate::coordinator::{Batch, Levels};
use crate::types::{NodeNumber, Span};

/// Bytes read from a socket at a time.
pub(super) const READ_BYTES: usize = 16 << 10;
/// Idle sets of buffers that a reactor keeps.
const SPARE_SETS: usize = 64;
/// A set whose buffers grew beyond this is freed rather than kept.
const SPARE_BYTES: usize = 256 << 10;

/// One request of a batch.
pub(super) struct Entry {
    /// Its spans: `Work::spans[first..end]`.
    pub(super) spans: std::ops::Range<usize>,
    /// Its operations.
    pub(super) operations: std::ops::Range<usize>,
    /// What to finish, or what to reply.
    pub(super) step: EntryStep,
}

/// What is left to do for a request once its operations are carried out.
pub(super) enum EntryStep {
    /// Let the command write its reply.
    Finish(Resolved),
    /// Reply with this error, which planning the command has found, or which came before any command was known.
    Refuse(CommandError, Option<Resolved>),
    /// Reply `+QUEUED`.
    Queued,
    /// One of these members has to carry the command out.
    Forward(Resolved, Vec<NodeNumber>, Levels),
}

impl EntryStep {
    /// The command that was called.
    pub(super) fn command(&self) -> Option<Resolved> {
        match self {
            EntryStep::Finish(resolved) | EntryStep::Forward(resolved, ..) => Some(*resolved),
            EntryStep::Refuse(_, resolved) => *resolved,
            EntryStep::Queued => None,
        }
    }
}

/// All buffers of one connection at work.
#[derive(Default)]
pub(super) struct Work {
    /// Bytes received and not yet consumed.
    pub(super) input: Vec<u8>,
    /// Arguments of the batch's requests.
    pub(super) spans: Vec<Span>,
    /// The batch's requests.
    pub(super) entries: Vec<Entry>,
    /// Their operations and outcomes.
    pub(super) batch: Batch,
    /// Replies to send.
    pub(super) output: Vec<u8>,
}

impl Work {
    /// Whether nothing is held that must be kept.
    pub(super) fn is_idle(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// Bytes that requests and replies take up.
    pub(super) fn held_bytes(&self) -> usize {
        self.input.len() + self.output.capacity()
    }

    fn bytes(&self) -> usize {
        self.input.capacity() + self.output.capacity() + self.batch.arena_bytes()
    }
}

/// A reactor's spare buffers.
#[derive(Default)]
pub(super) struct WorkPool {
    #[expect(clippy::vec_box, reason = "sets are handed over by the box; moving one would copy all of its vectors")]
    spare: RefCell<Vec<Box<Work>>>,
}

impl WorkPool {
    /// A set of buffers, used before or new.
    pub(super) fn take(&self) -> Box<Work> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a set back.
    pub(super) fn give(&self, mut work: Box<Work>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_SETS && work.bytes() <= SPARE_BYTES {
            work.input.clear();
            work.output.clear();
            work.spans.clear();
            work.entries.clear();
            spare.push(work);
        }
    }
}
