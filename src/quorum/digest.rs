//! A record without its payloads: what replicas are compared by.
//!
//! Invariant: two digests are only compared cut at the greater of their floors, because what lies below one replica's floor
//! may have been dropped there and not yet here.

use smallvec::SmallVec;

use crate::causality::{Context, Dot, RecordView, Time};

/// The name of a live version, and when that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveDot {
    /// The write that made it.
    pub dot: Dot,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expiry: Option<u64>,
}

impl LiveDot {
    /// Whether it has expired at `at_ms`.
    #[must_use]
    pub fn is_expired(&self, at_ms: u64) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= at_ms)
    }
}

/// What a replica holds of a cell, without payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The live versions, in order of dots.
    pub live: SmallVec<[LiveDot; 1]>,
    /// The entries of the context that lie above the floor.
    pub context: Context,
    /// The replica's purge floor for the arc.
    pub floor: Time,
    /// Its clock when it answered.
    pub hlc: Time,
}

impl Digest {
    /// The digest of `record` at a replica with this purge floor and clock.
    #[must_use]
    pub fn of(record: &RecordView<'_>, floor: Time, hlc: Time) -> Digest {
        let live = record.versions().map(|version| LiveDot { dot: version.dot, expiry: version.expiry });
        let above = record.entries().filter(|entry| entry.time > floor);
        Digest { live: live.collect(), context: collect(above), floor, hlc }
    }

    /// Whether there is nothing: the cell was never written, or what is left of it everybody knows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.context.is_empty()
    }

    /// Whether both replicas hold the same, as far as it still matters.
    #[must_use]
    pub fn says_same(&self, other: &Digest) -> bool {
        let floor = self.floor.max(other.floor);
        self.dots().eq(other.dots()) && self.above(floor).eq(other.above(floor))
    }

    /// Whether this replica holds all that the other holds, or what superseded it.
    #[must_use]
    pub fn includes(&self, other: &Digest) -> bool {
        self.joined(other).is_some_and(|joined| joined.says_same(self))
    }

    /// What both make together: the merge of records, on names. `None` if they name too many actors.
    #[must_use]
    pub fn joined(&self, other: &Digest) -> Option<Digest> {
        let kept = |mine: &Digest, theirs: &Digest| {
            let survives = |live: &&LiveDot| theirs.holds(live.dot) || !theirs.context.covers(live.dot);
            mine.live.iter().filter(survives).copied().collect::<Vec<_>>()
        };
        let mut live: SmallVec<[LiveDot; 1]> = SmallVec::from_vec(kept(self, other));
        live.extend(kept(other, self).into_iter().filter(|theirs| !self.holds(theirs.dot)));
        live.sort_unstable_by_key(|live| live.dot);
        let (floor, hlc) = (self.floor.max(other.floor), self.hlc.max(other.hlc));
        let context = Context::join_of(self.above(floor), other.above(floor)).ok()?;
        Some(Digest { live, context, floor, hlc })
    }

    fn holds(&self, dot: Dot) -> bool {
        self.live.iter().any(|live| live.dot == dot)
    }

    fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.live.iter().map(|live| live.dot)
    }

    fn above(&self, floor: Time) -> impl Iterator<Item = Dot> + Clone + '_ {
        self.context.iter().filter(move |entry| entry.time > floor)
    }
}

fn collect(entries: impl Iterator<Item = Dot>) -> Context {
    Context::join_of(entries, std::iter::empty()).expect("no more entries than the record has")
}
