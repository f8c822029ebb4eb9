//! What commands ask of a replica, as plain values: operations, the changes they carry, and the outcomes.
//!
//! An operation names its bytes (key, value) by place instead of holding them: in the request's buffer or in the
//! batch's arena. So a pipeline of a thousand SETs is a thousand small copies of this struct and no allocation.
//! A read-modify-write is a function pointer with a few numbers: the function runs under the key's lock.

use crate::causality::Time;
use crate::types::{Database, Span};

/// Where bytes of an operation lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// In the buffer that the request arrived in.
    Input(Span),
    /// In the arena of the batch.
    Arena(Span),
}

impl Default for Operand {
    fn default() -> Self {
        Operand::Input(Span::default())
    }
}

/// One operation on one cell, or on a whole database.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The database it is about.
    pub database: Database,
    /// The user's key; unused by operations on a whole database.
    pub key: Operand,
    /// What to do.
    pub action: Action,
}

/// What an operation does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Reads the value that a plain client sees: the greatest unexpired version.
    Read,
    /// As `Read`, without copying the value: presence, length, expiry, time of the write.
    Look,
    /// Answers from the value that `Read` would show, copying only what the answer needs.
    Examine(Examine, Params),
    /// The fingerprint of the record as it is now, for WATCH.
    Fingerprint,
    /// A plain SET: supersedes all that this record's context covers. With an expiry in the past it leaves no value.
    Write {
        /// The new value.
        value: Operand,
        /// When it expires, in milliseconds since the Unix epoch.
        expiry: Option<u64>,
    },
    /// A plain DEL.
    Delete,
    /// All unexpired versions, and what the record has seen.
    Versions,
    /// A write in the place of what `token` covers; other versions stay beside it. With an expiry in the past it leaves none.
    ReplaceCovered {
        /// The context that it covers, encoded.
        token: Operand,
        /// The new value.
        value: Operand,
        /// When it expires, in milliseconds since the Unix epoch.
        expiry: Option<u64>,
    },
    /// A delete of what `token` covers; other versions stay.
    RemoveCovered {
        /// The context that it covers, encoded.
        token: Operand,
    },
    /// A read-modify-write.
    Change(Change, Params),
    /// A page of keys.
    Page(PageRequest),
    /// The number of keys of the database (`DBSIZE`), expired ones included until they are reaped.
    Count,
    /// The number of keys of one slot of the database.
    CountSlot(u16),
    /// Any key of the database.
    RandomKey,
    /// Deletes everything of the database.
    Flush,
    /// Deletes everything of every database.
    FlushAll,
    /// Copies everything into the directory whose path stands in the place of the key.
    Snapshot,
}

/// Computes a new value from the current one, under the key's lock.
pub type Change = fn(Option<Current<'_>>, &Inputs<'_>, &mut Draft<'_>) -> Effect;

/// Answers from the current value; what the answer points into is appended to the arena.
pub type Examine = fn(Option<Current<'_>>, &Inputs<'_>, &mut Vec<u8>) -> Answer;

/// The numbers and bytes that a change is made with; what they mean is the change's business.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    /// Numbers.
    pub numbers: [i64; 3],
    /// Bytes.
    pub operand: Operand,
}

/// The value that a change starts from.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The payload.
    pub value: &'a [u8],
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<u64>,
}

/// What a change was asked with.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// As the command planned it.
    pub numbers: [i64; 3],
    /// The bytes of `Params::operand`.
    pub operand: &'a [u8],
    /// The time at which expiry is judged, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// What a change leaves behind.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The new value, empty at first; used when the effect is [`Effect::Write`].
    pub value: &'a mut Vec<u8>,
    /// The new value's expiry; starts as the current one's (as `KEEPTTL` does).
    pub expiry: Option<u64>,
    /// What the command answers.
    pub answer: Answer,
    /// Bytes that the answer may point into (append, then name the span).
    pub arena: &'a mut Vec<u8>,
}

impl Draft<'_> {
    /// Puts `bytes` into the arena and answers with them.
    pub fn answer_bytes(&mut self, bytes: &[u8]) {
        self.answer = Answer::bytes(bytes, self.arena);
    }
}

/// What a change does to the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Keep,
    /// Writes the draft's value and expiry; with an expiry in the past it leaves no value.
    Write,
    /// Writes the current value once more, with the draft's expiry.
    Touch,
    /// Deletes the key.
    Remove,
}

/// The answer of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Answer {
    /// No value.
    #[default]
    Nil,
    /// `+OK`.
    Ok,
    /// A number.
    Integer(i64),
    /// Bytes of the arena.
    Bytes(Span),
    /// An error line of Redis, code first, without the dash.
    Error(&'static str),
}

impl Answer {
    /// An answer of `bytes`, which are appended to the arena.
    #[inline]
    #[must_use]
    pub fn bytes(bytes: &[u8], arena: &mut Vec<u8>) -> Answer {
        let start = arena.len() as u32;
        arena.extend_from_slice(bytes);
        Answer::Bytes(Span { start, len: bytes.len() as u32 })
    }
}

impl Fingerprint {
    /// Whether the record is another one than it was at `seen`. A value that only expired since counts, as in Redis 7; one
    /// that had expired before and is gone now does not.
    #[must_use]
    pub fn has_changed_since(&self, seen: Fingerprint) -> bool {
        self.hash != seen.hash || self.newest > seen.newest
    }
}

/// What a page asks for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Where to begin: a cursor as `SCAN` shows it (`slot << 32 | hash`), 0 for the first page.
    pub cursor: u64,
    /// First slot that is not asked for any more (16,384: to the end).
    pub end_slot: u16,
    /// Where the page ends.
    pub limit: PageLimit,
    /// A glob pattern that answered keys match.
    pub pattern: Option<Operand>,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLimit {
    /// Once about so many keys were looked at, matching or not, and never between keys of equal hash: `SCAN`.
    Examine(usize),
    /// Once so many keys are answered; there is no going on: `CLUSTER GETKEYSINSLOT`.
    First(usize),
    /// At the end; more keys than that are an error: `KEYS`.
    All(usize),
}

/// What an operation led to.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Not carried out yet.
    Pending,
    /// There is no value.
    Absent,
    /// There is one.
    Found(Found),
    /// The write is done.
    Written,
    /// The delete is done; whether an unexpired value was there.
    Deleted(Existed),
    /// The change is done, or decided to do nothing.
    Changed(Answer),
    /// The value was examined, if there was one.
    Examined(Answer, Existed),
    /// The record's fingerprint.
    Fingerprint(Fingerprint),
    /// A record in the arena, encoded, without versions that are expired or flushed; the context is whole.
    Record(Span),
    /// The write in the place of some versions is done.
    Replaced {
        /// Unexpired versions that are left, the new one included.
        versions: usize,
        /// If only the new one is: the context of the whole record in the arena, encoded.
        alone: Option<Span>,
    },
    /// A page: keys are `Batch::page_keys[first..first + count]`.
    Page {
        /// Index of the first key.
        first: usize,
        /// Number of keys.
        count: usize,
        /// Where to go on; 0 when the pages are through.
        cursor: u64,
    },
    /// A number of keys.
    Count(u64),
    /// The write was refused, or the store failed: the index of the failure in the batch.
    Failed(usize),
}

impl Outcome {
    /// Whether the value was there that a read looked for; `None` for what is no read.
    #[must_use]
    pub fn looked_up(self) -> Option<Existed> {
        match self {
            Outcome::Found(_) => Some(Existed::Yes),
            Outcome::Absent => Some(Existed::No),
            Outcome::Examined(_, existed) => Some(existed),
            _ => None,
        }
    }
}

/// Whether a key existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existed {
    /// An unexpired value was there.
    Yes,
    /// None was.
    No,
}

/// A value that was read.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The value in the arena; for `Action::Look` only its length means something.
    pub value: Span,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<u64>,
    /// When it was written.
    pub written: Time,
}

/// A record's state in a few bytes, compared by `EXEC` with what `WATCH` saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash over the dots of unexpired versions; 0 if there are none.
    pub hash: u64,
    /// Time of the newest write that the record has seen, or of the last flush of its database: a key that was written
    /// and deleted again looks as before but for this. Purging takes it away, so only a later one tells of a change.
    pub newest: Time,
}
