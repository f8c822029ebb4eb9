//! Carries out one operation on one cell.
//!
//! Source of the rules: reads show the greatest unexpired version by (time, actor); a plain write covers all that this
//! record's context covers; a delete leaves its dot in the context; a change computes from the winner under the key's lock.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::causality::{Context, FormatError};
use crate::codec::Reader;
use crate::replica::cells::{Cells, Single};
use crate::replica::key::encode_key;
use crate::replica::member::Replication;
use crate::replica::operation::{Action, Change, Inputs, Operand, Operation, Outcome, Params};
use crate::replica::site::Site;
use crate::replica::{Failure, Replica};
use crate::storage::{Fetched, Read};
use crate::types::{Slot, Stamp};

/// Buffers that operations reuse.
#[derive(Default)]
pub struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What an operation works with.
pub struct Workspace<'a> {
    /// The buffer that `Operand::Input` points into.
    pub input: &'a [u8],
    /// The buffer that `Operand::Arena` points into, and where values that were read go.
    pub arena: &'a mut Vec<u8>,
    /// Buffers for the operation's own use.
    pub scratch: &'a mut Scratch,
    /// What was fetched from disk for this batch, sorted by key.
    pub fetched: &'a [Fetched],
    /// Wall clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// What a write that goes to other replicas too needs.
    pub replication: Option<Replication<'a>>,
}

/// What came of an operation.
#[derive(Debug)]
pub enum Applied {
    /// It is carried out.
    Done {
        /// What it led to.
        outcome: Outcome,
        /// What has to be durable before the outcome is shown.
        position: Stamp,
    },
    /// It was refused, because of what was there if that has a position.
    Failed {
        /// Why.
        failure: Failure,
        /// What has to be durable before the failure is shown.
        position: Stamp,
    },
    /// Its key has to be fetched from disk first; nothing was done.
    Cold,
    /// There is no room in memory; nothing was done.
    Busy,
    /// It is about whole databases and belongs on the pool; nothing was done.
    Global,
}

/// A change with what it is made with.
pub(super) struct Call<'a> {
    pub(super) change: Change,
    pub(super) params: Params,
    pub(super) operand: &'a [u8],
    /// Where the new value is computed.
    pub(super) value: &'a mut Vec<u8>,
    /// Where answers go.
    pub(super) arena: &'a mut Vec<u8>,
}

impl Replica {
    /// Carries out `operation`, taking the key's lock for its duration.
    #[inline]
    pub fn apply(&self, operation: &Operation, work: Workspace<'_>) -> Applied {
        let mut cells = Single { engine: &self.engine, fetched: work.fetched };
        self.apply_on(&mut cells, operation, work)
    }

    #[inline]
    pub(super) fn apply_on<C: Cells>(&self, cells: &mut C, operation: &Operation, work: Workspace<'_>) -> Applied {
        let Workspace { input, arena, scratch: Scratch { key: engine_key, value: scratch }, now_ms, .. } = work;
        let replication = work.replication;
        let database = operation.database;
        let key = bytes_of(operation.key, input, arena);
        let key_bytes = key.len();
        encode_key(database, key, engine_key);
        let mut site = Site::new(self, cells, engine_key, now_ms).replicated(replication);
        let result = match operation.action {
            Action::Read => site.read(arena),
            Action::Look => site.look(),
            Action::Fingerprint => site.fingerprint(),
            Action::Write { value, expiry } => {
                let value = bytes_of(value, input, arena);
                self.check_pair(key_bytes + value.len()).and_then(|()| site.write(value, expiry))
            }
            Action::Delete => site.delete(),
            Action::Versions => site.versions(arena),
            Action::ReplaceCovered { token, value, expiry } => {
                let token = read_token(bytes_of(token, input, arena));
                let value = &*beside_answers(value, input, arena);
                let fits = self.check_pair(key_bytes + value.len());
                fits.and(token).and_then(|token| site.replace_covered(&token, (value, expiry), arena))
            }
            Action::RemoveCovered { token } => {
                read_token(bytes_of(token, input, arena)).and_then(|token| site.remove_covered(&token))
            }
            Action::Change(change, params) => {
                let operand = &*beside_answers(params.operand, input, arena);
                site.change(Call { change, params, operand, value: scratch, arena }, key_bytes)
            }
            Action::Examine(examine, params) => {
                let operand = &*beside_answers(params.operand, input, arena);
                let inputs = Inputs { numbers: params.numbers, operand, now_ms };
                site.examine(examine, &inputs, arena)
            }
            Action::Count => self.counted(self.count(database)),
            Action::CountSlot(slot) => self.counted(self.engine.key_count(Slot(slot), database)),
            Action::Page(_) | Action::RandomKey | Action::Flush | Action::FlushAll | Action::Snapshot => {
                return Applied::Global;
            }
        };
        result.unwrap_or_else(|failure| Applied::Failed { failure, position: Stamp(0) })
    }

    /// The engine key of the first of `operations`, which turned out to be cold, and those of the others that are cold too,
    /// each once and in their order.
    #[must_use]
    pub fn cold_keys(&self, operations: &[Operation], input: &[u8], arena: &[u8]) -> Vec<Vec<u8>> {
        let mut cold = Vec::new();
        let mut known = BTreeSet::new();
        let mut key = Vec::new();
        for operation in operations.iter().filter(|operation| operation.action.has_key()) {
            encode_key(operation.database, bytes_of(operation.key, input, arena), &mut key);
            // The first may have become warm meanwhile, and cold again by the next look: it is fetched whatever it is now.
            let is_cold = || matches!(self.engine.read(&key, None, &mut |_| ()), Ok(Read::Cold));
            if !known.contains(&key) && (cold.is_empty() || is_cold()) {
                known.insert(key.clone());
                cold.push(key.clone());
            }
        }
        cold
    }

    /// The outcome of a count that was just made: whatever it counts was appended before.
    fn counted(&self, count: u64) -> Result<Applied, Failure> {
        Ok(Applied::Done { outcome: Outcome::Count(count), position: self.shown() })
    }

    pub(super) fn check_pair(&self, bytes: usize) -> Result<(), Failure> {
        let limit = self.options.max_pair_bytes;
        if bytes > limit { Err(Failure::PairTooLarge { bytes, limit }) } else { Ok(()) }
    }
}

impl Action {
    /// Whether the action is about one key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        match self {
            Action::Read | Action::Look | Action::Examine(..) | Action::Fingerprint => true,
            Action::Write { .. } | Action::Delete | Action::Change(..) => true,
            Action::Versions | Action::ReplaceCovered { .. } | Action::RemoveCovered { .. } => true,
            Action::Page(_) | Action::Count | Action::CountSlot(_) => false,
            Action::RandomKey | Action::Flush | Action::FlushAll | Action::Snapshot => false,
        }
    }

    /// Whether the action is about whole databases and runs on the pool.
    #[must_use]
    pub fn is_global(&self) -> bool {
        matches!(self, Action::Page(_) | Action::RandomKey | Action::Flush | Action::FlushAll | Action::Snapshot)
    }
}

/// The context that a token covers. Whoever made the operation has checked the token, so this does not fail.
fn read_token(bytes: &[u8]) -> Result<Context, Failure> {
    let unreadable = |error: FormatError| Failure::Storage(format!("a token cannot be read: {error}").into());
    Context::decode(&mut Reader::new(bytes)).map_err(unreadable)
}

#[inline]
fn bytes_of<'a>(operand: Operand, input: &'a [u8], arena: &'a [u8]) -> &'a [u8] {
    match operand {
        Operand::Input(span) => span.of(input),
        Operand::Arena(span) => span.of(arena),
    }
}

/// The bytes of an operand while answers are appended to the arena: what lies there is copied.
pub(super) fn beside_answers<'a>(operand: Operand, input: &'a [u8], arena: &[u8]) -> Cow<'a, [u8]> {
    match operand {
        Operand::Input(span) => Cow::Borrowed(span.of(input)),
        Operand::Arena(span) => Cow::Owned(span.of(arena).to_vec()),
    }
}
