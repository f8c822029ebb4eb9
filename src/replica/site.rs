//! One cell under operation: its engine key, its arc, and the steps that read and rewrite its record.
//!
//! Invariant: whatever a step finds out leaves through its result; a step that meets [`Applied::Cold`] or
//! [`Applied::Busy`] has changed nothing, not even the arena.

use std::sync::atomic::Ordering;

use crate::causality::{Context, Dot, Plan, PurgeBounds, RecordView, Time, Version, delete, overwrite, reap};
use crate::replica::answer::{copied, examined, fingerprint, found, measured};
use crate::replica::apply::{Applied, Call};
use crate::replica::cells::Cells;
use crate::replica::key::key_head;
use crate::replica::member::Replication;
use crate::replica::operation::{Answer, Current, Draft, Effect, Examine, Existed, Inputs, Outcome};
use crate::replica::{Failure, Replica, bucket_of};
use crate::storage::{self, Note, Read, Update, Verdict};
use crate::types::{ArcId, Database, Stamp};

/// One cell under operation.
pub(super) struct Site<'a, C> {
    replica: &'a Replica,
    cells: &'a mut C,
    key: &'a [u8],
    arc: ArcId,
    database: Database,
    now_ms: u64,
    replication: Option<Replication<'a>>,
}

type Step = Result<Applied, Failure>;

impl<'a, C: Cells> Site<'a, C> {
    /// The cell of the engine key `key`.
    #[inline]
    pub(super) fn new(replica: &'a Replica, cells: &'a mut C, key: &'a [u8], now_ms: u64) -> Self {
        let (slot, database) = key_head(key).unwrap_or_default();
        let arc = replica.options.layout.arc_of(slot);
        Site { replica, cells, key, arc, database, now_ms, replication: None }
    }

    /// With what a write that goes to other replicas too needs.
    #[inline]
    pub(super) fn replicated(self, replication: Option<Replication<'a>>) -> Self {
        Site { replication, ..self }
    }

    /// Reads the winning value into the arena.
    #[inline]
    pub(super) fn read(&mut self, arena: &mut Vec<u8>) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        self.see(|record| found(record, at_ms, &mut |version| copied(version, arena)))
    }

    /// Looks at the winning value without copying it.
    pub(super) fn look(&mut self) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        self.see(|record| found(record, at_ms, &mut measured))
    }

    /// Answers from the winning value.
    pub(super) fn examine(&mut self, examine: Examine, inputs: &Inputs<'_>, arena: &mut Vec<u8>) -> Step {
        let inputs = Inputs { now_ms: self.replica.now_ms(self.now_ms), ..*inputs };
        self.see(|record| examined(record, (examine, &inputs), arena))
    }

    /// The record's fingerprint.
    pub(super) fn fingerprint(&mut self) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        // Read before the record is: a flush in between shows at the next look.
        let flushed = self.replica.flush_time(self.database);
        self.see(|record| fingerprint(record, at_ms, flushed))
    }

    /// The time at which this operation judges expiry.
    pub(super) fn at_ms(&self) -> u64 {
        self.replica.now_ms(self.now_ms)
    }

    #[inline]
    pub(super) fn see(&mut self, mut look: impl FnMut(&RecordView<'_>) -> Outcome) -> Step {
        let flushed = self.replica.flush_time(self.database);
        let mut outcome = Ok(Outcome::Absent);
        let read =
            self.cells.read(self.key, &mut |bytes| outcome = view(bytes, flushed).map(|record| look(&record)))?;
        Ok(match read {
            Read::Done(position) => applied(outcome, position),
            Read::Cold => Applied::Cold,
        })
    }

    /// A plain SET.
    #[inline]
    pub(super) fn write(&mut self, value: &[u8], expiry: Option<u64>) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        self.alter(|site, old, draft| {
            site.store_version((value, expiry), at_ms, old, draft)?;
            Ok((Outcome::Written, Verdict::Put))
        })
    }

    /// A plain DEL.
    pub(super) fn delete(&mut self) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        self.alter(|site, old, draft| {
            let outcome = Outcome::Deleted(existed(old, at_ms));
            let verdict = site.store_tombstone(old, draft)?;
            Ok((outcome, verdict))
        })
    }

    /// A read-modify-write.
    pub(super) fn change(&mut self, call: Call<'_>, key_bytes: usize) -> Step {
        let at_ms = self.replica.now_ms(self.now_ms);
        let Call { change, params, operand, value, arena } = call;
        self.alter(|site, old, draft| {
            let winner = old.winner(at_ms);
            let current = winner.map(|version| Current { value: version.payload, expiry: version.expiry });
            value.clear();
            let kept = arena.len();
            let inputs = Inputs { numbers: params.numbers, operand, now_ms: at_ms };
            let expiry = current.and_then(|current| current.expiry);
            let mut next = Draft { value: &mut *value, expiry, answer: Answer::Nil, arena: &mut *arena };
            let effect = change(current, &inputs, &mut next);
            let (answer, expiry) = (next.answer, next.expiry);
            let payload = match (effect, current) {
                (Effect::Keep, _) | (Effect::Touch, None) => return Ok((Outcome::Changed(answer), Verdict::Keep)),
                (Effect::Remove, _) => {
                    let verdict = site.store_tombstone(old, draft)?;
                    return Ok((Outcome::Changed(answer), verdict));
                }
                (Effect::Write, _) => value.as_slice(),
                (Effect::Touch, Some(current)) => current.value,
            };
            if let Err(failure) = site.replica.check_pair(key_bytes + payload.len()) {
                arena.truncate(kept);
                return Err(failure);
            }
            site.store_version((payload, expiry), at_ms, old, draft)?;
            Ok((Outcome::Changed(answer), Verdict::Put))
        })
    }

    /// Takes versions out of the record that expired by `until_ms` or were flushed.
    pub(super) fn settle(&mut self, until_ms: u64) -> Step {
        self.alter(|site, old, draft| {
            let plan = reap(old, until_ms).unwrap_or_else(|| Plan::unchanged(old));
            if plan.versions().len() == site.raw.versions().count() {
                return Ok((Outcome::Absent, Verdict::Keep));
            }
            site.store(&plan, draft);
            Ok((Outcome::Written, Verdict::Put))
        })
    }

    #[inline]
    pub(super) fn alter(
        &mut self,
        mut decide: impl FnMut(&Steady<'_>, &RecordView<'_>, &mut storage::Draft<'_>) -> Result<(Outcome, Verdict), Failure>,
    ) -> Step {
        let (replica, arc, now_ms, database) = (self.replica, self.arc, self.now_ms, self.database);
        let nothing = Context::new();
        let (seen, mut record) = match &mut self.replication {
            Some(replication) => (replication.seen, Some(&mut *replication.record)),
            None => (&nothing, None),
        };
        let mut decided = Ok(Outcome::Pending);
        let updated = self.cells.update(self.key, &mut |bytes, draft| {
            // Under the key's lock: a flush chooses its time while no change runs, so this one has it or comes before it.
            let flushed = replica.flush_time(database);
            let attempt = raw_view(bytes).and_then(|raw| {
                let steady = Steady { replica, arc, now_ms, raw, seen };
                decide(&steady, &raw.after_flush(flushed), draft)
            });
            let (outcome, verdict) = match attempt {
                Ok((outcome, verdict)) => (Ok(outcome), verdict),
                Err(failure) => (Err(failure), Verdict::Keep),
            };
            decided = outcome;
            if let Some(record) = record.as_deref_mut() {
                record.clear();
                if verdict == Verdict::Put {
                    record.extend_from_slice(draft.record());
                }
            }
            verdict
        })?;
        Ok(match updated {
            Update::Done(position) => applied(decided, position),
            Update::Cold => Applied::Cold,
            Update::Stalled => Applied::Busy,
        })
    }
}

/// What was decided from a record at `position`.
#[inline]
fn applied(decided: Result<Outcome, Failure>, position: Stamp) -> Applied {
    match decided {
        Ok(outcome) => Applied::Done { outcome, position },
        Err(failure) => Applied::Failed { failure, position },
    }
}

/// What stays the same while the engine calls back.
pub(super) struct Steady<'a> {
    pub(super) replica: &'a Replica,
    arc: ArcId,
    now_ms: u64,
    // The record as it lies there, flushed versions included: what the counters count.
    raw: RecordView<'a>,
    // What a majority has seen: covered by what is written.
    seen: &'a Context,
}

impl Steady<'_> {
    /// The name of a new write that covers all of `old` and what a majority has seen; called under the key's lock.
    #[inline]
    fn next_dot(&self, old: &RecordView<'_>) -> Dot {
        self.next_dot_after(old.newest_time().max(self.seen.newest_time()))
    }

    /// The name of a new write that covers times up to `covered`; called under the key's lock.
    #[inline]
    pub(super) fn next_dot_after(&self, covered: Time) -> Dot {
        let time = self.replica.hlc.next(self.now_ms, covered);
        self.raise_newest(time);
        Dot { actor: self.replica.options.actor, time }
    }

    /// Counts `time` among those that the arc holds.
    #[inline]
    pub(super) fn raise_newest(&self, time: Time) {
        if let Some(newest) = self.replica.newest.get(usize::from(self.arc.0)) {
            // The lock of the arc's shard keeps other writers away.
            if newest.load(Ordering::Relaxed) < time.0 {
                newest.store(time.0, Ordering::Release);
            }
        }
    }

    /// The bounds that a record is merged by whose sender has `fence`.
    pub(super) fn bounds(&self, fence: Time) -> PurgeBounds {
        let own = self.replica.floors.fence_of(self.arc);
        PurgeBounds { fence: if fence >= own { Time::ZERO } else { own }, floor: self.purge_floor() }
    }

    #[inline]
    pub(super) fn purge_floor(&self) -> Time {
        self.replica.floors.of(self.arc)
    }

    /// Encodes the new record and notes what it changes in the counters.
    #[inline]
    pub(super) fn store(&self, plan: &Plan<'_>, draft: &mut storage::Draft<'_>) {
        let change = plan.change_from(&self.raw);
        if let Some(expiry) = change.before.expiry
            && change.after.expiry != change.before.expiry
            && expiry.at_ms <= self.replica.now_ms(self.now_ms)
        {
            self.replica.expired.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(expiry) = change.after.expiry {
            self.replica.due_times.lower(self.arc, expiry.at_ms);
        }
        draft.note = Note {
            keys: change.keys(),
            expiry_out: bucket_of(change.before.expiry),
            expiry_in: bucket_of(change.after.expiry),
            tree: None,
        };
        plan.encode(draft.value(plan.encoded_len()));
    }

    /// A new value with its expiry in the place of all of `old`. One that has expired already leaves no version, but its
    /// dot even where nothing was: who watches the key has to notice.
    #[inline]
    fn store_version(
        &self,
        (payload, expiry): (&[u8], Option<u64>),
        at_ms: u64,
        old: &RecordView<'_>,
        draft: &mut storage::Draft<'_>,
    ) -> Result<(), Failure> {
        let dot = self.next_dot(old);
        let plan = if expiry.is_some_and(|expiry| expiry <= at_ms) {
            delete(old, self.seen, self.purge_floor(), dot)?
        } else {
            overwrite(old, self.seen, self.purge_floor(), Version { dot, payload, expiry })?
        };
        self.store(&plan, draft);
        Ok(())
    }

    /// A delete; a record without versions needs none, unless a majority has seen something else.
    fn store_tombstone(&self, old: &RecordView<'_>, draft: &mut storage::Draft<'_>) -> Result<Verdict, Failure> {
        if old.is_tombstone() && self.seen.is_empty() {
            return Ok(Verdict::Keep);
        }
        let plan = delete(old, self.seen, self.purge_floor(), self.next_dot(old))?;
        self.store(&plan, draft);
        Ok(Verdict::Put)
    }
}

/// The record in the engine's bytes, without what was flushed.
#[inline]
pub(super) fn view(bytes: Option<&[u8]>, flushed: Time) -> Result<RecordView<'_>, Failure> {
    raw_view(bytes).map(|record| record.after_flush(flushed))
}

#[inline]
pub(super) fn raw_view(bytes: Option<&[u8]>) -> Result<RecordView<'_>, Failure> {
    let unreadable = |error| Failure::Storage(format!("a stored record cannot be read: {error}").into());
    RecordView::of(bytes).map_err(unreadable)
}

pub(super) fn existed(record: &RecordView<'_>, at_ms: u64) -> Existed {
    if record.winner(at_ms).is_some() { Existed::Yes } else { Existed::No }
}
