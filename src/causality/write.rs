//! What one write makes of a record: SET, DEL, VSET, VDEL, and the end of expired versions; and what purging leaves of it.
//!
//! Every function takes the record under its key's lock, the dot drawn after all times that the write will cover
//! (`Hlc::next(now, max(old.newest_time(), covered.newest_time()))`), and the arc's purge floor, at which the old record's
//! context is first cut as `Plan::cut` says: without that each restart of a node would leave one more entry in the records
//! it writes, for ever.
//!
//! Left out on purpose: conditions (`NX`, `XX`), which are judged before; what the old record was is the caller's to keep.

use crate::causality::{Context, Dot, MAX_VERSIONS, Plan, PlanError, RecordView, Time, Version};

/// Most versions that a write may leave in its coordinator's record.
pub const MAX_SIBLINGS: usize = 16;

const _: () = assert!(MAX_SIBLINGS < MAX_VERSIONS, "what a write may leave must be encodable after merging");

/// SET: `version` in the place of everything that the record and `seen`, what a majority has seen, cover.
///
/// # Errors
/// [`PlanError`] if the context is full or time is over.
///
/// # Panics
/// If the dot is not later than all that it covers.
#[inline]
pub fn overwrite<'a>(
    old: &RecordView<'a>,
    seen: &Context,
    floor: Time,
    version: Version<'a>,
) -> Result<Plan<'a>, PlanError> {
    let mut plan = delete(old, seen, floor, version.dot)?;
    plan.versions.push(version);
    Ok(plan)
}

/// DEL: no version in the place of everything that the record and `seen` cover; the dot stays in the context only.
///
/// # Errors
/// As [`overwrite`].
///
/// # Panics
/// As [`overwrite`].
#[inline]
pub fn delete<'a>(old: &RecordView<'a>, seen: &Context, floor: Time, dot: Dot) -> Result<Plan<'a>, PlanError> {
    let mut plan = covering(old, seen, floor, dot)?;
    plan.versions.clear();
    Ok(plan)
}

/// VSET: `version` in the place of what the context `token` covers; the record's other versions stay beside it.
///
/// # Errors
/// [`PlanError::Siblings`] if more than [`MAX_SIBLINGS`] versions would be left; else as [`overwrite`].
///
/// # Panics
/// As [`overwrite`].
pub fn replace_covered<'a>(
    old: &RecordView<'a>,
    token: &Context,
    floor: Time,
    version: Version<'a>,
) -> Result<Plan<'a>, PlanError> {
    let mut plan = remove_covered(old, token, floor, version.dot)?;
    if plan.versions.len() >= MAX_SIBLINGS {
        return Err(PlanError::Siblings);
    }
    let index = plan.versions.partition_point(|kept| kept.dot < version.dot);
    plan.versions.insert(index, version);
    Ok(plan)
}

/// VDEL: nothing in the place of what the context `token` covers; the record's other versions stay.
///
/// # Errors
/// As [`overwrite`].
///
/// # Panics
/// As [`overwrite`].
pub fn remove_covered<'a>(old: &RecordView<'a>, token: &Context, floor: Time, dot: Dot) -> Result<Plan<'a>, PlanError> {
    let mut plan = covering(old, token, floor, dot)?;
    plan.versions.retain(|kept| !token.covers(kept.dot));
    Ok(plan)
}

/// The record without the versions that expired at `until_ms` or before; their dots stay in the context. `None` if there
/// are none. Any replica may do this alone, once `until_ms` lies safely behind every clock.
#[must_use]
pub fn reap<'a>(old: &RecordView<'a>, until_ms: u64) -> Option<Plan<'a>> {
    if !old.versions().any(|version| version.is_expired(until_ms)) {
        return None;
    }
    let mut plan = Plan::unchanged(old);
    plan.versions.retain(|version| !version.is_expired(until_ms));
    Some(plan)
}

/// What purging makes of a record that lies somewhere and is not being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purged<'a> {
    /// It stays as it is.
    Unchanged,
    /// It needs less context; versions, and so all counters, stay as they were.
    Less(Plan<'a>),
    /// Nothing of it is needed any more.
    Nothing,
}

/// What is left of a record of an arc whose purge floor is `floor`.
#[must_use]
pub fn purge<'a>(old: &RecordView<'a>, floor: Time) -> Purged<'a> {
    if old.newest_time() > floor {
        return Purged::Unchanged;
    }
    if old.is_tombstone() {
        return Purged::Nothing;
    }
    let is_needed = |entry: Dot| old.versions().any(|version| version.dot.actor == entry.actor);
    if old.entries().all(is_needed) {
        return Purged::Unchanged;
    }
    let mut plan = Plan::unchanged(old);
    plan.cut(floor);
    Purged::Less(plan)
}

/// The record, cut, its context joined with `covered` and the dot of the write; versions as they were.
#[inline]
fn covering<'a>(old: &RecordView<'a>, covered: &Context, floor: Time, dot: Dot) -> Result<Plan<'a>, PlanError> {
    let mut plan = Plan::unchanged(old);
    // Cut before anything new comes in: now it is a record that this replica holds, which is what the rule speaks of. The
    // entries of versions that this write supersedes stay, because other replicas still hold those versions.
    plan.cut(floor);
    plan.context.join(covered)?;
    let newest = plan.context.newest_time();
    assert!(dot.time > newest, "the dot {dot} has to lie after {newest}, which it covers");
    if dot.time >= Time::LIMIT {
        return Err(PlanError::NoTimeLeft { newest });
    }
    plan.context.insert(dot)?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::{MAX_SIBLINGS, Purged, delete, overwrite, purge, reap, remove_covered, replace_covered};
    use crate::causality::tests::{check_record, dot, record, seen};
    use crate::causality::{MAX_ACTORS, PlanError, RecordView, Time, Version};

    fn value(actor: u64, time: u64) -> Version<'static> {
        Version { dot: dot(actor, time), payload: b"new", expiry: None }
    }

    #[test]
    fn a_set_covers_the_record_and_what_a_majority_has_seen() {
        let old = record(&[(1, 5), (2, 3)], &[(1, 5), (2, 3)]);
        let plan = overwrite(&old.view(), &seen(&[(3, 7)]), Time::ZERO, value(2, 9)).expect("room");
        check_record(&plan, &[(1, 5), (2, 9), (3, 7)], &[(2, 9)]);
        let plan = overwrite(&RecordView::default(), &seen(&[]), Time::ZERO, value(2, 9)).expect("room");
        check_record(&plan, &[(2, 9)], &[(2, 9)]);
    }

    #[test]
    fn a_delete_leaves_its_dot_in_the_context() {
        let old = record(&[(1, 5)], &[(1, 5)]);
        let plan = delete(&old.view(), &seen(&[]), Time::ZERO, dot(2, 9)).expect("room");
        check_record(&plan, &[(1, 5), (2, 9)], &[]);
        assert_eq!((plan.is_tombstone(), plan.change_from(&old.view()).keys()), (true, -1));
    }

    #[test]
    fn restarts_do_not_make_contexts_grow() {
        let mut current = record(&[], &[]);
        for life in 1..2000 {
            let floor = Time(life - 1);
            let next = overwrite(&current.view(), &seen(&[]), floor, value(life, life)).expect("room").to_record();
            assert!(next.view().entries().len() <= 2, "life {life}");
            current = next;
        }
    }

    #[test]
    fn a_context_that_the_floor_has_not_reached_is_not_cut() {
        let old = record(&[(1, 5), (2, 8)], &[(2, 8)]);
        let plan = overwrite(&old.view(), &seen(&[]), Time(7), value(3, 9)).expect("room");
        check_record(&plan, &[(1, 5), (2, 8), (3, 9)], &[(3, 9)]);
        let plan = overwrite(&old.view(), &seen(&[]), Time(8), value(3, 9)).expect("room");
        check_record(&plan, &[(2, 8), (3, 9)], &[(3, 9)]);
    }

    #[test]
    fn a_full_context_refuses_the_write() {
        let full: Vec<_> = (0..MAX_ACTORS as u64).map(|actor| (actor, actor + 1)).collect();
        let old = record(&full, &[]);
        let refused = overwrite(&old.view(), &seen(&[]), Time::ZERO, value(9_999, 9_999));
        assert_eq!(refused.expect_err("full").to_string(), "a context names at most 512 actors");
        assert!(overwrite(&old.view(), &seen(&[]), Time(512), value(9_999, 9_999)).is_ok(), "purging makes room");
    }

    #[test]
    fn what_a_token_does_not_cover_is_kept() {
        let old = record(&[(1, 5), (2, 3), (4, 6)], &[(1, 5), (2, 3), (4, 2), (4, 6)]);
        let token = seen(&[(1, 5), (4, 4)]);
        let plan = replace_covered(&old.view(), &token, Time::ZERO, value(3, 9)).expect("room");
        check_record(&plan, &[(1, 5), (2, 3), (3, 9), (4, 6)], &[(2, 3), (3, 9), (4, 6)]);
        let plan = remove_covered(&old.view(), &token, Time::ZERO, dot(3, 9)).expect("room");
        check_record(&plan, &[(1, 5), (2, 3), (3, 9), (4, 6)], &[(2, 3), (4, 6)]);
    }

    #[test]
    fn the_seventeenth_sibling_is_refused() {
        let mut current = record(&[], &[]);
        for actor in 1..=MAX_SIBLINGS as u64 {
            let plan = replace_covered(&current.view(), &seen(&[]), Time::ZERO, value(actor, actor));
            let next = plan.expect("room").to_record();
            current = next;
        }
        assert_eq!(current.view().versions().count(), MAX_SIBLINGS);
        let refused = replace_covered(&current.view(), &seen(&[]), Time::ZERO, value(20, 20));
        assert_eq!(refused.expect_err("full"), PlanError::Siblings);
        let resolved = replace_covered(&current.view(), &current.view().context(), Time::ZERO, value(20, 20));
        assert_eq!(resolved.expect("covers all").versions().len(), 1);
    }

    #[test]
    fn expired_versions_are_reaped_and_stay_covered() {
        let version = |actor, expiry| Version { expiry, ..value(actor, actor) };
        let mut current = record(&[], &[]);
        for version in [version(1, Some(100)), version(2, None), version(3, Some(101))] {
            let next = replace_covered(&current.view(), &seen(&[]), Time::ZERO, version).expect("room").to_record();
            current = next;
        }
        assert!(reap(&current.view(), 99).is_none());
        let plan = reap(&current.view(), 100).expect("one has expired");
        check_record(&plan, &[(1, 1), (2, 2), (3, 3)], &[(2, 2), (3, 3)]);
    }

    #[test]
    fn purging_takes_what_no_version_needs_once_all_of_it_is_old() {
        let check = |entries: &[(u64, u64)], live: &[(u64, u64)], floor, left: Option<&[(u64, u64)]>| {
            let old = record(entries, live);
            match (purge(&old.view(), Time(floor)), left) {
                (Purged::Unchanged, Some(left)) => assert_eq!(left, entries),
                (Purged::Less(plan), Some(left)) => check_record(&plan, left, live),
                (Purged::Nothing, None) => {}
                other => panic!("{entries:?} {live:?} {floor}: {other:?}"),
            }
        };
        check(&[], &[], 0, None);
        check(&[(1, 5), (2, 9)], &[], 8, Some(&[(1, 5), (2, 9)]));
        check(&[(1, 5), (2, 9)], &[], 9, None);
        check(&[(1, 5), (2, 9)], &[(2, 9)], 8, Some(&[(1, 5), (2, 9)]));
        check(&[(1, 5), (2, 9)], &[(2, 9)], 9, Some(&[(2, 9)]));
        check(&[(1, 5), (2, 9)], &[(1, 3)], 9, Some(&[(1, 5)]));
        check(&[(1, 5)], &[(1, 5)], 9, Some(&[(1, 5)]));
    }

    #[test]
    #[should_panic(expected = "has to lie after")]
    fn a_dot_before_what_it_covers_is_a_mistake() {
        let _ = overwrite(&RecordView::default(), &seen(&[(1, 9)]), Time::ZERO, value(2, 9));
    }

    #[test]
    fn after_the_last_time_nothing_is_written() {
        let last = Time::LIMIT.0 - 1;
        let refused = overwrite(&RecordView::default(), &seen(&[(1, last)]), Time::ZERO, value(1, last + 1));
        assert_eq!(refused.expect_err("over"), PlanError::NoTimeLeft { newest: Time(last) });
    }
}
