//! A replica among others: it takes the records that they hold, shows its own, and makes writes that go to them.
//!
//! Whole records travel, never deltas, and always with the fence of the arc they come from: a replica that has purged
//! further than the sender refuses versions it does not know, because they may be strays of what was deleted everywhere.
//!
//! Invariant: what is answered as taken is in this replica's log at the position of the answer, or was there before.
//! Invariant: records are merged, never overwritten; a merge that learns nothing writes nothing.
//! Left out: who sends to whom, and how many answers suffice.

use std::time::Duration;

use crate::causality::{Context, Plan, RecordView, Time, merge};
use crate::replica::answer::answer;
use crate::replica::cells::{Cells, Single};
use crate::replica::key::{encode_key, key_head};
use crate::replica::operation::{Operation, Outcome};
use crate::replica::site::{Site, raw_view};
use crate::replica::{Applied, Failure, Replica, Workspace};
use crate::storage::{Fetched, Read, Verdict};
use crate::types::{ArcId, Database, Stamp, slot_of};

/// What a write needs that goes to other replicas too, and what it leaves for them.
#[derive(Debug)]
pub struct Replication<'a> {
    /// What a majority has seen: the write covers it.
    pub seen: &'a Context,
    /// The record as it was written; empty if nothing was.
    pub record: &'a mut Vec<u8>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The sender's fence of the arc, read under the key's lock.
    pub fence: Time,
    /// For a fresh write: the latest time that its dots may have here. Records that come by repair are merged whatever
    /// their times are.
    pub latest: Option<Time>,
}

/// What became of a record that another replica sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All of it is here, once this position is durable.
    Stored(Stamp),
    /// The fence refused a version; the rest is here, once this position is durable. That counts for no quorum.
    Ignored(Stamp),
    /// It is a fresh write from too far ahead; nothing was done.
    Ahead,
    /// The cell has to be fetched from disk first; nothing was done.
    Cold,
    /// There is no room in memory; nothing was done.
    Busy,
}

/// What came of showing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It was shown; nobody may be told before this position is durable.
    Done(Stamp),
    /// The cell has to be fetched from disk first.
    Cold,
}

impl Replica {
    /// Engine key of the string cell of `key`.
    #[must_use]
    pub fn cell(database: Database, key: &[u8]) -> Vec<u8> {
        let mut cell = Vec::new();
        encode_key(database, key, &mut cell);
        cell
    }

    /// The arc that `key` lies in.
    #[inline]
    #[must_use]
    pub fn arc_of(&self, key: &[u8]) -> ArcId {
        self.options.layout.arc_of(slot_of(key))
    }

    /// This replica's fence of `arc`.
    #[must_use]
    pub fn fence(&self, arc: ArcId) -> Time {
        self.floors.fence_of(arc)
    }

    /// This replica's purge floor of `arc`: digests are cut there.
    #[must_use]
    pub fn floor(&self, arc: ArcId) -> Time {
        self.floors.of(arc)
    }

    /// The node's clock: what expiry is judged at, and what messages carry.
    #[must_use]
    pub fn reading(&self) -> Time {
        self.hlc.reading(self.clock.wall_ms())
    }

    /// Takes notice of another node's clock; `false` if it lies more than `max_skew` ahead of the wall here.
    pub fn observe(&self, time: Time, max_skew: Duration) -> bool {
        self.hlc.observe(self.clock.wall_ms(), time, max_skew).is_ok()
    }

    /// The latest time that a fresh write of another node may have.
    #[must_use]
    pub fn latest(&self, max_skew: Duration) -> Time {
        Time::bound(self.clock.wall_ms(), max_skew)
    }

    /// The outcome of an operation that only looks at its cell, from the cell's record as several replicas have it;
    /// `work.now_ms` is when expiry is judged.
    ///
    /// # Panics
    /// If the operation is another one.
    #[must_use]
    pub fn answer(&self, operation: &Operation, record: &RecordView<'_>, work: Workspace<'_>) -> Outcome {
        answer(operation, (record, self.flush_time(operation.database)), work)
    }

    /// Merges a record into that of the engine key `cell`.
    ///
    /// # Errors
    /// The merged record would be too large, or the store failed; nothing was done.
    pub fn take(
        &self,
        cell: &[u8],
        (theirs, origin): (&RecordView<'_>, Origin),
        fetched: &[Fetched],
    ) -> Result<Taken, Failure> {
        if origin.latest.is_some_and(|latest| theirs.newest_time() > latest) {
            return Ok(Taken::Ahead);
        }
        let (_, database) = key_head(cell).unwrap_or_default();
        let mut cells = Single { engine: &self.engine, fetched };
        let mut site = Site::new(self, &mut cells, cell, self.clock.wall_ms());
        let mut fenced = 0;
        let applied = site.alter(|site, mine, draft| {
            let theirs = theirs.after_flush(self.flush_time(database));
            let merged = merge(mine, &theirs, site.bounds(origin.fence))?;
            fenced = merged.fenced;
            if !merged.plan.adds_to(mine) {
                return Ok((Outcome::Absent, Verdict::Keep));
            }
            site.raise_newest(merged.plan.context().newest_time());
            site.store(&merged.plan, draft);
            Ok((Outcome::Written, Verdict::Put))
        })?;
        match applied {
            Applied::Done { position, .. } if fenced > 0 => Ok(Taken::Ignored(position)),
            Applied::Done { position, .. } => Ok(Taken::Stored(position)),
            Applied::Failed { failure, .. } => Err(failure),
            Applied::Cold => Ok(Taken::Cold),
            Applied::Busy | Applied::Global => Ok(Taken::Busy),
        }
    }

    /// Shows the record of the engine key `cell`, without what was flushed, to `see`, which runs under the key's lock.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn show(
        &self,
        cell: &[u8],
        fetched: &[Fetched],
        see: &mut dyn FnMut(&RecordView<'_>),
    ) -> Result<Shown, Failure> {
        let (_, database) = key_head(cell).unwrap_or_default();
        let flushed = self.flush_time(database);
        let mut cells = Single { engine: &self.engine, fetched };
        let mut seen = Ok(());
        let read = cells.read(cell, &mut |bytes| {
            seen = raw_view(bytes).map(|record| see(&record.after_flush(flushed)));
        })?;
        seen?;
        Ok(match read {
            Read::Done(position) => Shown::Done(position),
            Read::Cold => Shown::Cold,
        })
    }
}

/// Appends the bytes of a record as it is seen, flushed versions left out, to `out`.
pub fn put_record(record: &RecordView<'_>, out: &mut Vec<u8>) {
    Plan::unchanged(record).encode(out);
}
