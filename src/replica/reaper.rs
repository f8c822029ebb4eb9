//! The worker that takes expired versions out of records, and completes flushes that were interrupted.
//!
//! Both are sweeps: some ranges are read page by page, and records that hold what has to go are written without it, as any
//! write is, with their counters; the dots stay in the contexts. A unit is one page and what it found. A quarter of one
//! processor is the most that it takes.
//!
//! Arcs are read only if something in them may be due: [`crate::replica::due`] knows when that is, exactly once the arc was
//! read, and before that the engine's sums say so.
//!
//! Invariant: nothing is reaped before its expiry lies [`GRACE_MS`] behind the clock, so that no other clock within the
//! bound of skew still shows it.
//! Invariant: a sweep that is interrupted by a full memory goes on where it was; one that fails begins again.
//! Left out: hiding what expired, which every read does by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::causality::RecordView;
use crate::replica::due::UNKNOWN;
use crate::replica::expiry::begin_of;
use crate::replica::flush::Unfinished;
use crate::replica::{Failure, GRACE_MS, Replica};
use crate::storage::{ScanLimit, ScanRange};
use crate::types::{ArcId, Database, Slot};
use crate::worker::{Field, Work, Worker};

/// Records read by one unit.
const PAGE: ScanLimit = ScanLimit { entries: 256, bytes: 256 << 10 };
/// Arcs whose sums one unit looks at.
const LOOKS: u16 = 64;
/// How long nothing is looked at once nothing is due.
const REST: Duration = Duration::from_secs(1);
/// How long a unit is followed by a pause, in times of its own length.
const PAUSE_RATIO: u32 = 3;
/// The shortest pause.
const PAUSE_LEAST: Duration = Duration::from_micros(500);
/// The pause when the store has no room, or failed.
const RETRY: Duration = Duration::from_millis(250);

/// Reaps and completes flushes in the background.
pub struct Reaper {
    replica: Arc<Replica>,
    sweep: Option<Sweep>,
    next: ArcId,
    // Arcs that this round has not looked at.
    left: u16,
    scanned: u64,
    arcs_read: u64,
    failures: u64,
}

/// Ranges being read, and what to do at their end.
struct Sweep {
    // The last is read first.
    ranges: Vec<ScanRange>,
    // Found and not yet settled.
    found: Vec<Vec<u8>>,
    until_ms: u64,
    goal: Goal,
}

enum Goal {
    /// An arc, and the earliest expiry found that is not due.
    Arc(ArcId, u64),
    /// A flush.
    Flush(Unfinished),
}

/// What a unit came to.
enum Unit {
    Worked,
    Nothing,
}

impl Reaper {
    /// A reaper for `replica`.
    #[must_use]
    pub fn new(replica: Arc<Replica>) -> Self {
        Reaper { replica, sweep: None, next: ArcId(0), left: 0, scanned: 0, arcs_read: 0, failures: 0 }
    }

    fn unit(&mut self) -> Result<Unit, Failure> {
        if self.sweep.is_none() {
            self.sweep = self.find();
        }
        let Some(sweep) = &mut self.sweep else { return Ok(Unit::Nothing) };
        if sweep.found.is_empty()
            && let Some(range) = sweep.ranges.pop()
        {
            let rest = sweep.read(&self.replica, &range, &mut self.scanned)?;
            sweep.ranges.extend(rest);
        }
        self.replica.settle_all(&mut sweep.found, sweep.until_ms)?;
        if sweep.ranges.is_empty() {
            self.arcs_read += u64::from(matches!(sweep.goal, Goal::Arc(..)));
            sweep.end(&self.replica)?;
            self.sweep = None;
        }
        Ok(Unit::Worked)
    }

    /// The next sweep, if there is one among the arcs that a unit may look at.
    fn find(&mut self) -> Option<Sweep> {
        if let Some(unfinished) = self.replica.unfinished_flush() {
            let ranges = self.replica.ranges_of(&[unfinished.database]);
            return Some(Sweep { ranges, found: Vec::new(), until_ms: 0, goal: Goal::Flush(unfinished) });
        }
        let arcs = self.replica.options.layout.arcs();
        if self.left == 0 {
            self.left = arcs;
        }
        let until_ms = self.replica.reapable_ms();
        let mut looks = LOOKS;
        while self.left > 0 && looks > 0 {
            let arc = self.next;
            self.next = ArcId((arc.0 + 1) % arcs);
            self.left -= 1;
            if self.replica.due_times.of(arc) <= until_ms {
                looks -= 1;
                if let Some(sweep) = Sweep::of_arc(&self.replica, arc, until_ms) {
                    return Some(sweep);
                }
            }
        }
        None
    }

    /// After a failure: what was under way begins again, later.
    fn give_up(&mut self) {
        self.failures += 1;
        if let Some(Sweep { goal: Goal::Arc(arc, _), .. }) = self.sweep.take() {
            self.replica.due_times.lower(arc, UNKNOWN);
        }
    }
}

impl Worker for Reaper {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn work(&mut self) -> Work {
        let begun = self.replica.clock.monotonic();
        match self.unit() {
            Ok(Unit::Nothing) if self.left == 0 => return Work::Idle(REST),
            Ok(_) => {}
            Err(Failure::Busy { .. }) => return Work::Throttled(RETRY),
            Err(failure) => {
                tracing::warn!(%failure, "expired keys could not be taken out");
                self.give_up();
                return Work::Throttled(RETRY);
            }
        }
        let taken = self.replica.clock.monotonic().saturating_sub(begun);
        Work::Throttled((taken * PAUSE_RATIO).max(PAUSE_LEAST))
    }

    fn status(&self) -> Vec<Field> {
        let field = |name, value| Field { name, value };
        vec![
            field("reaped", self.replica.reaped()),
            field("scanned", self.scanned),
            field("arcs_read", self.arcs_read),
            field("failures", self.failures),
        ]
    }
}

impl Sweep {
    /// What there is to read in `arc`, whose bound this takes; `None` if nothing in it can be due.
    fn of_arc(replica: &Replica, arc: ArcId, until_ms: u64) -> Option<Sweep> {
        replica.due_times.take(arc);
        let all = replica.engine.databases_of(arc);
        let (mut due, mut later) = (Vec::new(), u64::MAX);
        for database in &all {
            let begins = replica.engine.expiry_counts(arc, *database).into_iter();
            match begins.map(|(bucket, _)| begin_of(bucket, until_ms)).min() {
                Some(begin) if begin <= until_ms => due.push(*database),
                begin => later = later.min(begin.unwrap_or(u64::MAX)),
            }
        }
        if due.is_empty() {
            replica.due_times.lower(arc, later);
            return None;
        }
        let ranges = if due.len() == all.len() { vec![replica.arc_range(arc)] } else { replica.runs_of(arc, &due) };
        Some(Sweep { ranges, found: Vec::new(), until_ms, goal: Goal::Arc(arc, later) })
    }

    /// Reads one page of `range`; what is left of it.
    fn read(&mut self, replica: &Replica, range: &ScanRange, scanned: &mut u64) -> Result<Option<ScanRange>, Failure> {
        let until_ms = self.until_ms;
        let (found, goal) = (&mut self.found, &mut self.goal);
        let next = replica.engine.scan(range, PAGE, &mut |key, value| {
            *scanned += 1;
            // What cannot be read is left to whoever asks for it.
            let Ok(record) = RecordView::decode(value) else { return };
            let has_to_go = match goal {
                Goal::Flush(flush) => record.versions().any(|version| version.dot.time <= flush.time),
                Goal::Arc(_, earliest) => {
                    let expiries = record.unexpired(until_ms).filter_map(|version| version.expiry);
                    *earliest = expiries.min().map_or(*earliest, |expiry| expiry.min(*earliest));
                    record.versions().any(|version| version.is_expired(until_ms))
                }
            };
            if has_to_go {
                found.push(key.to_vec());
            }
        })?;
        Ok(next.map(|from| ScanRange { from, to: range.to.clone() }))
    }

    fn end(&self, replica: &Replica) -> Result<(), Failure> {
        match &self.goal {
            Goal::Arc(arc, earliest) => replica.due_times.lower(*arc, *earliest),
            Goal::Flush(flush) => replica.finish_flush(&[flush.database], flush.time)?,
        }
        Ok(())
    }
}

impl Replica {
    /// Versions that expired by then may be reaped.
    fn reapable_ms(&self) -> u64 {
        self.now_ms(self.clock.wall_ms()).saturating_sub(GRACE_MS)
    }

    /// Versions and flushed records that were taken out since the start.
    #[must_use]
    pub fn reaped(&self) -> u64 {
        self.reaped.load(Ordering::Relaxed)
    }

    fn arc_range(&self, arc: ArcId) -> ScanRange {
        let layout = self.options.layout;
        let first = layout.first_slot(arc).0;
        let bound = |slot: u16| slot.to_be_bytes().to_vec();
        ScanRange { from: bound(first), to: bound(first + layout.slots_per_arc()) }
    }

    /// The runs of some databases in an arc, those that have keys.
    fn runs_of(&self, arc: ArcId, databases: &[Database]) -> Vec<ScanRange> {
        let layout = self.options.layout;
        let first = layout.first_slot(arc).0;
        let slots = (first..first + layout.slots_per_arc()).map(Slot);
        self.runs(slots, databases)
    }
}
