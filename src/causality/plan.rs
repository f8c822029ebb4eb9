//! A record about to be written: its size is known exactly before the one allocation that will hold it.
//!
//! Invariant: entries are sorted by actor, versions by dot, and every version's dot is covered by the context.
//! Up to four actors and two versions cost no allocation; payloads are borrowed until they are encoded.

use smallvec::SmallVec;

use crate::causality::format::{self, EXPIRES, SINGLE};
use crate::causality::{
    Change, Context, ContextFull, Dot, MAX_SIBLINGS, MAX_VERSIONS, Presence, Record, RecordView, Time, Version,
};
use crate::codec::{put_u64, put_varint, varint_len};

/// Versions that fit into the plan itself.
const INLINE: usize = 2;

/// Why a change cannot be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too many actors.
    #[error(transparent)]
    Context(#[from] ContextFull),
    /// A write would leave more siblings than allowed.
    #[error("key has {MAX_SIBLINGS} concurrent values; read them with VGET and resolve")]
    Siblings,
    /// A merge would exceed the hard limit of the format.
    #[error("a record holds at most {MAX_VERSIONS} concurrent values")]
    Versions,
    /// The record covers a write whose time is the last that there is.
    #[error("the record's newest write is at {newest}, after which there is no time left")]
    NoTimeLeft {
        /// Greatest time covered.
        newest: Time,
    },
}

/// A record as values, not yet as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    pub(super) context: Context,
    pub(super) versions: SmallVec<[Version<'a>; INLINE]>,
}

impl<'a> Plan<'a> {
    /// The record as it is.
    #[must_use]
    pub fn unchanged(record: &RecordView<'a>) -> Self {
        Plan { context: record.context(), versions: record.versions().collect() }
    }

    /// The live versions in order of dots.
    #[must_use]
    pub fn versions(&self) -> &[Version<'a>] {
        &self.versions
    }

    /// The context.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether no version is live.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.versions.is_empty()
    }

    /// Whether this knows of a write, or of the end of a version, that `record` does not: whether `record`'s holder has to
    /// be told. What purging dropped from a context does not count.
    #[must_use]
    pub fn adds_to(&self, record: &RecordView<'_>) -> bool {
        let versions = self.versions.iter().map(|version| version.dot);
        !versions.eq(record.versions().map(|version| version.dot))
            || self.context.iter().any(|entry| !record.covers(entry))
    }

    /// What putting this in the place of `old` means for counters.
    #[must_use]
    pub fn change_from(&self, old: &RecordView<'_>) -> Change {
        Change { before: old.presence(), after: Presence::of(self.versions.iter().copied()) }
    }

    /// Bytes that [`Plan::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        if let Some(version) = self.single() {
            let expiry = if version.expiry.is_some() { 8 } else { 0 };
            return 1 + format::ENTRY_BYTES + expiry + version.payload.len();
        }
        let versions = self.placed().map(|(version, index, entry)| format::version_len(version, index, entry));
        let counts = 1 + format::context_len(self.context.len()) + varint_len(self.versions.len() as u64);
        counts + versions.sum::<usize>()
    }

    /// Appends the record's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(version) = self.single() {
            out.push(if version.expiry.is_some() { SINGLE | EXPIRES } else { SINGLE });
            format::put_entry(out, version.dot);
            if let Some(expiry) = version.expiry {
                put_u64(out, expiry);
            }
            out.extend_from_slice(version.payload);
            return;
        }
        out.push(0);
        format::put_context(out, self.context.iter());
        put_varint(out, self.versions.len() as u64);
        self.placed().for_each(|(version, index, entry)| format::put_version(out, version, index, entry));
    }

    /// The record with bytes of its own.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        Record::of_encoded(bytes)
    }

    /// Drops what purging allows: if every entry is at or below `floor`, those of actors without a live version.
    ///
    /// All or nothing: an entry above the floor says that this record is newer than what every member is known to have, and
    /// then an entry below may be what keeps a deleted version, still held by others, from coming back.
    pub(super) fn cut(&mut self, floor: Time) {
        let Plan { context, versions } = self;
        if context.iter().all(|entry| entry.time <= floor) {
            context.retain(|entry| versions.iter().any(|version| version.dot.actor == entry.actor));
        }
    }

    /// The version of a record that has the short form.
    fn single(&self) -> Option<&Version<'a>> {
        let mut entries = self.context.iter();
        match (self.versions.as_slice(), entries.next(), entries.next()) {
            ([version], Some(entry), None) if version.dot == entry => Some(version),
            _ => None,
        }
    }

    /// The versions, each with its actor's entry and where that stands.
    fn placed(&self) -> impl Iterator<Item = (&Version<'a>, usize, Dot)> {
        self.versions.iter().map(|version| {
            let (index, entry) = self.context.entry_of(version.dot.actor).expect("the context covers every version");
            (version, index, entry)
        })
    }
}
