//! Schedules that break naive versions of the rules; each fails when its rule is taken away.

use crate::causality::{Context, Time, Version, delete, overwrite};
use crate::quorum::tests::{blind, dot, lists, live, merged, node, nodes, nothing, seats};
use crate::quorum::{
    Ask, Digest, Form, Level, QueryAction, QueryQuorum, ReadAction, ReadQuorum, Reading, Requirement, Seat, Standing,
};
use crate::types::Epoch;

const NOW: Epoch = Epoch(1);

/// `SET k 1` acknowledged by a and c; then `DEL k` via b, which had not got it.
#[test]
fn a_delete_via_a_coordinator_that_missed_the_write_still_deletes_it() {
    let [a, b, c] = [1, 2, 3].map(node);
    let (value, at_b) = (blind(&nothing(), (1, 5)), nothing());
    let all = seats(&[1, 2, 3]);
    let query = Requirement::of_query(Level::Quorum, lists(&all, None)).expect("QUORUM asks first");
    let mut query = QueryQuorum::new(query, NOW);
    let digest = |record: &crate::causality::Record| Digest::of(&record.view(), Time::ZERO, Time::ZERO);
    assert_eq!(query.answered(b, NOW, &digest(&at_b)), QueryAction::Wait, "its own answer is no majority");
    assert_eq!(query.answered(c, NOW, &digest(&value)), QueryAction::Write);
    let contexts = query.contexts();
    assert!(contexts.live.iter().any(|live| !live.is_expired(0)), "DEL answers 1");
    let gone = delete(&at_b.view(), &contexts.seen, Time::ZERO, dot(2, 9)).expect("few actors").to_record();
    assert_eq!(live(&merged(&value, &gone)), [], "k reads 1 for ever at {a:?}");
}

/// A value that only a has: the first read, of a and b, shows it; the second, of b and c, must not go back.
#[test]
fn a_value_that_was_read_is_read_again() {
    let all = seats(&[1, 2, 3]);
    let mut records = [blind(&nothing(), (1, 5)), nothing(), nothing()];
    for (first, second) in [(0, 1), (1, 2), (2, 0)] {
        let order = nodes(&[first as u16 + 1, second as u16 + 1]);
        let requirement = Requirement::new(Level::Quorum, lists(&all, None));
        let mut read = ReadQuorum::new(requirement, NOW, &order);
        assert!(matches!(read.begin(), ReadAction::Ask(asks) if asks.len() == 2));
        let floor = Time::ZERO;
        read.record(order[0], NOW, Reading { record: records[first].clone(), floor, hlc: floor });
        let mut action = read.digest(order[1], NOW, Digest::of(&records[second].view(), floor, floor));
        if let ReadAction::Ask(asks) = &action {
            assert_eq!(asks.as_slice(), [Ask { node: order[1], form: Form::Record }]);
            let record = records[second].clone();
            action = read.record(order[1], NOW, Reading { record, floor, hlc: floor });
        }
        let answer = read.merged().expect("both answered").clone();
        if let ReadAction::WriteBack(to) = &action {
            for to in to.clone() {
                let record = &mut records[usize::from(to.0) - 1];
                *record = merged(record, &answer);
                action = read.stored(to, NOW);
            }
            assert!(matches!(action, ReadAction::Done(_)));
        }
        assert_eq!(live(&answer), [(1, 5)], "read of {order:?}");
    }
}

/// The winner has expired by the clock of one replica; an older sibling has not.
#[test]
fn an_expired_winner_shows_its_sibling_by_the_greatest_clock() {
    let version = |at, payload, expiry| Version { dot: at, payload, expiry };
    let plan = |version| overwrite(&nothing().view(), &Context::new(), Time::ZERO, version).expect("few").to_record();
    let older = plan(version(dot(1, 5), b"older", None));
    let winner = plan(version(dot(2, 9), b"winner", Some(100)));
    let both = merged(&older, &winner);
    let all = seats(&[1, 2, 3]);
    let mut read = ReadQuorum::new(Requirement::new(Level::Quorum, lists(&all, None)), NOW, &nodes(&[1, 2, 3]));
    read.begin();
    let floor = Time::ZERO;
    read.record(node(1), NOW, Reading { record: both.clone(), floor, hlc: Time::from_ms(99) });
    let done = read.digest(node(2), NOW, Digest::of(&both.view(), floor, Time::from_ms(100)));
    assert!(matches!(done, ReadAction::Done(_)));
    let answer = read.merged().expect("an answer").view();
    let shown = |own: u64| answer.winner(read.judged_at(Time::from_ms(own)).wall_ms()).map(|version| version.payload);
    assert_eq!(shown(50), Some(&b"older"[..]), "the second replica's clock has passed the expiry");
}

/// Subsets of `from` that are enough for `requirement`.
fn enough(requirement: &Requirement, from: &[u16]) -> Vec<Vec<u16>> {
    let subsets = (0..1_u32 << from.len()).map(|mask| {
        let has = |index: &usize| mask & (1 << index) != 0;
        (0..from.len()).filter(has).map(|index| from[index]).collect::<Vec<_>>()
    });
    let none = requirement.set_of([]);
    subsets.filter(|set| requirement.standing(requirement.set_of(nodes(set)), none) == Standing::Met).collect()
}

/// Whether every set that is enough for `one` shares a member with every set that is enough for `other`.
fn meet(one: &Requirement, other: &Requirement, everyone: &[u16]) -> bool {
    let others = enough(other, everyone);
    enough(one, everyone).iter().all(|set| others.iter().all(|other| set.iter().any(|node| other.contains(node))))
}

/// X leaves, P comes: a writer at e+2 gets {P, Y} while a reader still at e+1 asks {X, Z}.
#[test]
fn a_quorum_of_one_epoch_meets_those_of_the_epochs_beside_it() {
    const X: u16 = 1;
    const P: u16 = 4;
    let (old, new) = (seats(&[X, 2, 3]), seats(&[P, 2, 3]));
    let everyone = [X, 2, 3, P];
    let epoch = |now: &[Seat], next| Requirement::new(Level::Quorum, lists(now, next));
    let (before, moving, after) = (epoch(&old, None), epoch(&old, Some(&new)), epoch(&new, None));
    for (one, other) in
        [(&before, &before), (&before, &moving), (&moving, &moving), (&moving, &after), (&after, &after)]
    {
        assert!(meet(one, other, &everyone) && meet(other, one, &everyone));
    }
    assert!(!meet(&before, &after, &everyone), "what would be missed with reads from the old list only");
}

/// Quorums are counted on the list: two halves of a partition never both have one.
#[test]
fn a_majority_is_one_of_the_list_not_of_those_that_are_up() {
    let four = seats(&[1, 2, 3, 4]);
    let quorum = Requirement::new(Level::Quorum, lists(&four, None));
    let half = |nodes_up: &[u16]| quorum.standing(quorum.set_of(nodes(nodes_up)), quorum.set_of([]));
    assert_eq!((half(&[1, 2]), half(&[3, 4]), half(&[1, 2, 3])), (Standing::Pending, Standing::Pending, Standing::Met));
}
