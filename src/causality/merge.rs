//! What two replicas' records of one cell make together.
//!
//! Commutative, associative and idempotent; never folds siblings, never looks at a clock. Whole records go in, never
//! deltas: a version without its context could not be told from one that was superseded.
//!
//! Invariant: a version is lost only if the other record covers it without holding it, or the fence refuses it.

use crate::causality::{Context, MAX_VERSIONS, Plan, PlanError, RecordView, Time, Version};

/// How far purging has come on an arc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurgeBounds {
    /// Versions not known here with this time or an earlier one are refused. Zero where the record comes from a sender whose
    /// own fence is not below this replica's: then what it holds is no stray.
    pub fence: Time,
    /// Every member is known to have fenced here; contexts may be cut. Never above the arc's fence.
    pub floor: Time,
}

/// A merged record, and what became of the other one's versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged<'a> {
    /// Both records in one. `plan.adds_to(&mine)` says whether it has to be stored.
    pub plan: Plan<'a>,
    /// Versions that were unknown here and refused because of the fence. If there are any, the answer is "ignored", which
    /// counts for no quorum; a pending or salvaged member must then not store the plan at all.
    pub fenced: usize,
}

/// Merges `theirs` into `mine`.
///
/// # Errors
/// [`PlanError`] if together they name too many actors, or hold too many versions.
pub fn merge<'a>(mine: &RecordView<'a>, theirs: &RecordView<'a>, bounds: PurgeBounds) -> Result<Merged<'a>, PlanError> {
    let context = Context::join_of(mine.entries(), theirs.entries())?;
    let mut merged = Merged { plan: Plan { context, versions: Default::default() }, fenced: 0 };
    let (mut ours, mut others) = (mine.versions().peekable(), theirs.versions().peekable());
    loop {
        let (own, other) = match (ours.peek(), others.peek()) {
            (None, None) => break,
            (Some(own), Some(other)) if own.dot == other.dot => (ours.next(), others.next()),
            (Some(own), Some(other)) if own.dot < other.dot => (ours.next(), None),
            (Some(_), None) => (ours.next(), None),
            (_, Some(_)) => (None, others.next()),
        };
        match (own, other) {
            (Some(both), Some(_)) => merged.keep(both)?,
            (Some(own), None) if !theirs.covers(own.dot) => merged.keep(own)?,
            (None, Some(other)) if !mine.covers(other.dot) && other.dot.time <= bounds.fence => merged.fenced += 1,
            (None, Some(other)) if !mine.covers(other.dot) => merged.keep(other)?,
            _ => {}
        }
    }
    merged.plan.cut(bounds.floor);
    Ok(merged)
}

impl<'a> Merged<'a> {
    fn keep(&mut self, version: Version<'a>) -> Result<(), PlanError> {
        if self.plan.versions.len() == MAX_VERSIONS {
            return Err(PlanError::Versions);
        }
        self.plan.versions.push(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{PurgeBounds, merge};
    use crate::causality::tests::{check_record, record, seen};
    use crate::causality::{MAX_ACTORS, MAX_VERSIONS, PlanError, Record, Time, Version, overwrite};

    const OPEN: PurgeBounds = PurgeBounds { fence: Time::ZERO, floor: Time::ZERO };

    fn bounds(fence: u64, floor: u64) -> PurgeBounds {
        PurgeBounds { fence: Time(fence), floor: Time(floor) }
    }

    fn check(mine: &Record, theirs: &Record, entries: &[(u64, u64)], live: &[(u64, u64)]) {
        for (left, right) in [(mine, theirs), (theirs, mine)] {
            let (left, right) = (left.view(), right.view());
            check_record(&merge(&left, &right, OPEN).expect("room").plan, entries, live);
        }
    }

    #[test]
    fn concurrent_versions_become_siblings_and_covered_ones_go() {
        let (a, b) = (record(&[(1, 5)], &[(1, 5)]), record(&[(2, 7)], &[(2, 7)]));
        check(&a, &b, &[(1, 5), (2, 7)], &[(1, 5), (2, 7)]);
        check(&a, &a, &[(1, 5)], &[(1, 5)]);
        check(&a, &record(&[(1, 5), (2, 7)], &[(2, 7)]), &[(1, 5), (2, 7)], &[(2, 7)]);
        check(&a, &record(&[(1, 9)], &[]), &[(1, 9)], &[]);
        check(&record(&[(1, 9)], &[(1, 5), (1, 9)]), &a, &[(1, 9)], &[(1, 5), (1, 9)]);
        check(&a, &record(&[], &[]), &[(1, 5)], &[(1, 5)]);
    }

    #[test]
    fn a_delete_through_a_coordinator_that_missed_the_write_covers_it_by_what_a_majority_has_seen() {
        // `SET k 1` acknowledged by a and c; then `DEL k` via b, which had not got it.
        let (at_a, at_b) = (record(&[(1, 5)], &[(1, 5)]), record(&[], &[]));
        let asked = at_a.view().context();
        let dot = crate::causality::tests::dot(2, 9);
        let deleted = crate::causality::delete(&at_b.view(), &asked, Time::ZERO, dot).expect("room").to_record();
        check(&at_a, &deleted, &[(1, 5), (2, 9)], &[]);
    }

    #[test]
    fn a_context_is_cut_as_a_whole_or_not_at_all() {
        // v@b:1 lives everywhere, P = 1; a DEL misses b. Cut entry by entry it would no longer cover v.
        let (live, deleted) = (record(&[(2, 1)], &[(2, 1)]), record(&[(1, 2), (2, 1)], &[]));
        let at_a = merge(&live.view(), &deleted.view(), bounds(1, 1)).expect("room").plan.to_record();
        assert_eq!(at_a.view().context(), seen(&[(1, 2), (2, 1)]));
        let at_b = merge(&live.view(), &at_a.view(), bounds(1, 1)).expect("room").plan;
        assert!(at_b.is_tombstone(), "v is back");
        let all_old = merge(&deleted.view(), &deleted.view(), bounds(2, 2)).expect("room").plan;
        check_record(&all_old, &[], &[]);
        let kept = record(&[(1, 2), (2, 1)], &[(1, 2)]);
        check_record(&merge(&kept.view(), &kept.view(), bounds(2, 2)).expect("room").plan, &[(1, 2)], &[(1, 2)]);
    }

    #[test]
    fn a_delayed_copy_of_a_purged_value_is_refused() {
        // a and y purge their tombstones; a delayed copy of the deleted value reaches z.
        let (purged, copy) = (record(&[], &[]), record(&[(2, 4)], &[(2, 4)]));
        let (mine, theirs) = (purged.view(), copy.view());
        let merged = merge(&mine, &theirs, bounds(4, 4)).expect("room");
        assert_eq!((merged.fenced, merged.plan.is_tombstone(), merged.plan.adds_to(&mine)), (1, true, false));
        let later = merge(&mine, &theirs, bounds(3, 3)).expect("room");
        assert_eq!((later.fenced, later.plan.is_tombstone(), later.plan.adds_to(&mine)), (0, false, true));
    }

    #[test]
    fn the_fence_lets_known_versions_pass() {
        let mine = record(&[(1, 3), (2, 4)], &[(2, 4)]);
        let theirs = record(&[(1, 3), (2, 4)], &[(1, 3), (2, 4)]);
        let merged = merge(&mine.view(), &theirs.view(), bounds(9, 0)).expect("room");
        check_record(&merged.plan, &[(1, 3), (2, 4)], &[(2, 4)]);
        assert_eq!(merged.fenced, 0, "what is held or was superseded here is not unknown");
    }

    #[test]
    fn two_folded_sets_of_siblings_would_lose_values_so_merging_never_folds() {
        // a merges siblings 1-17, b merges 2-18.
        let siblings = |range: std::ops::RangeInclusive<u64>| range.map(|actor| (actor, actor)).collect::<Vec<_>>();
        let (a, b) = (siblings(1..=17), siblings(2..=18));
        check(&record(&a, &a), &record(&b, &b), &siblings(1..=18), &siblings(1..=18));
    }

    #[test]
    fn limits_are_refused_and_not_exceeded() {
        let actors = |range: std::ops::Range<u64>| range.map(|actor| (actor, 1)).collect::<Vec<_>>();
        let half = MAX_ACTORS as u64 / 2;
        let (low, high) = (record(&actors(0..half + 1), &[]), record(&actors(half..2 * half + 1), &[]));
        let refused = merge(&low.view(), &high.view(), OPEN);
        assert!(matches!(refused, Err(PlanError::Context(_))), "{refused:?}");
        let times = |range: std::ops::Range<u64>| range.map(|time| (1, time)).collect::<Vec<_>>();
        let most = MAX_VERSIONS as u64;
        let (many, more) = (record(&[(1, 2)], &[(1, 2)]), record(&[(2, most)], &versions_of(2, most)));
        let refused = merge(&many.view(), &more.view(), OPEN);
        assert_eq!(refused.expect_err("too many"), PlanError::Versions);
        let whole = record(&[(1, most)], &times(1..most + 1));
        assert_eq!(merge(&whole.view(), &whole.view(), OPEN).expect("room").plan.versions().len(), MAX_VERSIONS);
    }

    fn versions_of(actor: u64, most: u64) -> Vec<(u64, u64)> {
        (1..=most).map(|time| (actor, time)).collect()
    }

    #[test]
    fn a_flushed_version_is_gone_and_stays_covered() {
        let (mine, theirs) = (record(&[(1, 5)], &[(1, 5)]), record(&[(1, 5), (2, 8)], &[(1, 5), (2, 8)]));
        let (mine, theirs) = (mine.view().after_flush(Time(6)), theirs.view().after_flush(Time(6)));
        assert!(mine.is_tombstone() && mine.winner(0).is_none());
        check_record(&merge(&mine, &theirs, OPEN).expect("room").plan, &[(1, 5), (2, 8)], &[(2, 8)]);
        let value = Version { dot: crate::causality::tests::dot(3, 9), payload: b"", expiry: None };
        check_record(&overwrite(&mine, &seen(&[]), Time::ZERO, value).expect("room"), &[(1, 5), (3, 9)], &[(3, 9)]);
    }
}
