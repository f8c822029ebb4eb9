//! The cores of a write: any order of acknowledgements, failures, duplicates, strangers and other epochs.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::causality::{Context, Time};
use crate::quorum::tests::{blind, lists, node, nodes, nothing, seats, set};
use crate::quorum::{Digest, Level, QueryAction, QueryQuorum, Requirement, Standing, WriteAction, WriteQuorum};
use crate::types::Epoch;

const NOW: Epoch = Epoch(7);

#[derive(Clone, Copy, Debug)]
enum Event {
    Ack(u16, u64),
    Fail(u16),
    Hint,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..7_u16, 6..9_u64).prop_map(|(from, epoch)| Event::Ack(from, epoch)),
        2 => (1..7_u16).prop_map(Event::Fail),
        1 => proptest::prelude::Just(Event::Hint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_write_is_acknowledged_once_and_whoever_may_lack_it_gets_a_hint(
        level in (0..Level::NAMED.len()).prop_map(|index| Level::NAMED[index]),
        moves in proptest::bool::ANY,
        events in vec(event(), 0..20),
    ) {
        let (now, next) = (seats(&[1, 2, 3]), seats(&[2, 4, 5]));
        let requirement = Requirement::new(level, lists(&now, moves.then_some(&next)));
        let members: BTreeSet<u16> = requirement.nodes().iter().map(|node| node.0).collect();
        let mut write = WriteQuorum::new(requirement.clone(), NOW);
        let (mut acked, mut failed, mut hinted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut replied, mut gave_up) = (0, 0);
        for event in events {
            let action = match event {
                Event::Ack(from, epoch) => {
                    let counts = members.contains(&from) && Epoch(epoch) == NOW && acked.insert(from);
                    let action = write.acknowledged(node(from), Epoch(epoch));
                    let drops = counts && hinted.remove(&from);
                    prop_assert_eq!(action == WriteAction::DropHint(node(from)), drops);
                    action
                }
                Event::Fail(from) => {
                    if members.contains(&from) && !acked.contains(&from) {
                        failed.insert(from);
                    }
                    write.failed(node(from))
                }
                Event::Hint => {
                    let new: BTreeSet<u16> = write.hint().iter().map(|node| node.0).collect();
                    prop_assert!(new.is_disjoint(&hinted), "no hint twice");
                    hinted.extend(new);
                    let missing: BTreeSet<u16> = members.difference(&acked).copied().collect();
                    prop_assert_eq!(&hinted, &missing);
                    WriteAction::Wait
                }
            };
            replied += u32::from(action == WriteAction::Reply);
            gave_up += u32::from(action == WriteAction::GiveUp);
            let set = |numbers: &BTreeSet<u16>| requirement.set_of(numbers.iter().copied().map(node));
            prop_assert_eq!(write.standing(), requirement.standing(set(&acked), set(&failed)));
        }
        prop_assert!(replied + gave_up <= 1, "one answer");
        prop_assert!(replied == 0 || write.standing() == Standing::Met);
    }
}

#[test]
fn each_acknowledgement_is_counted_in_its_own_epoch() {
    let (old, new) = (seats(&[1, 2, 3]), seats(&[2, 3, 4]));
    let quorum = |seats| Requirement::new(Level::Quorum, lists(seats, None));
    let mut write = WriteQuorum::new(quorum(&old), NOW);
    assert_eq!(write.acknowledged(node(2), NOW), WriteAction::Wait);
    write.restart(quorum(&new), Epoch(8));
    assert_eq!(write.acknowledged(node(3), Epoch(8)), WriteAction::Wait, "one of each epoch are not two");
    assert_eq!(write.acknowledged(node(2), NOW), WriteAction::Wait, "nor is what was late in the old one");
    assert_eq!(write.hint(), nodes(&[2, 4]), "nobody knows what 2 kept of it");
    assert_eq!(write.acknowledged(node(2), Epoch(8)), WriteAction::DropHint(node(2)));
    assert_eq!(write.standing(), Standing::Met);
}

#[test]
fn a_client_is_answered_once_whatever_comes_late() {
    let three = seats(&[1, 2, 3]);
    let mut write = WriteQuorum::new(Requirement::new(Level::Quorum, lists(&three, None)), NOW);
    write.acknowledged(node(1), NOW);
    assert_eq!(write.silent().collect::<Vec<_>>(), nodes(&[2, 3]));
    assert_eq!(write.failed(node(3)), WriteAction::Wait);
    assert_eq!(write.failed(node(2)), WriteAction::GiveUp);
    assert_eq!(write.timeout(3).to_string(), "write got 1 of 2 acknowledgements in 3 ms; it may still take effect");
    assert_eq!(write.acknowledged(node(3), NOW), WriteAction::Wait, "the client was answered");
    assert_eq!((write.standing(), write.hint()), (Standing::Met, nodes(&[2])));
}

fn digest(record: &crate::causality::Record) -> Digest {
    Digest::of(&record.view(), Time::ZERO, Time::ZERO)
}

#[test]
fn a_query_joins_what_a_majority_has_seen() {
    let three = seats(&[1, 2, 3]);
    let mut query = QueryQuorum::new(Requirement::new(Level::Quorum, lists(&three, None)), NOW);
    assert_eq!(query.ask(&nodes(&[2, 1, 3])), nodes(&[1, 2]));
    let (at_1, at_2) = (blind(&nothing(), (1, 5)), blind(&nothing(), (2, 7)));
    assert_eq!(query.answered(node(2), NOW, &digest(&at_2)), QueryAction::Wait);
    assert_eq!(query.answered(node(2), NOW, &digest(&at_2)), QueryAction::Wait, "once");
    assert_eq!(query.answered(node(9), NOW, &digest(&at_1)), QueryAction::Wait, "a stranger");
    assert_eq!(query.answered(node(1), Epoch(6), &digest(&at_1)), QueryAction::Wait, "another epoch");
    assert_eq!(query.failed(node(3)), QueryAction::Wait);
    assert_eq!((query.ask(&nodes(&[1, 3])), query.failed(node(2))), (vec![], QueryAction::Wait), "it has answered");
    let mut lost = query.clone();
    assert_eq!(lost.failed(node(1)), QueryAction::GiveUp);
    assert_eq!(lost.timeout(9).to_string(), "write got 1 of 2 contexts in 9 ms; it was not done");
    assert_eq!(query.answered(node(1), NOW, &digest(&at_1)), QueryAction::Write);
    let contexts = query.contexts();
    assert_eq!((contexts.seen.len(), contexts.live.len(), contexts.is_known_nowhere), (2, 2, false));
    let next = set(&at_1, &contexts.seen, (1, 8));
    assert!(next.view().covers(crate::quorum::tests::dot(2, 7)));
}

#[test]
fn a_delete_counts_what_is_live_after_all_answers() {
    let three = seats(&[1, 2, 3]);
    let quorum = Requirement::new(Level::Quorum, lists(&three, None));
    let value = blind(&nothing(), (1, 5));
    let gone = crate::causality::delete(&value.view(), &Context::new(), Time::ZERO, crate::quorum::tests::dot(2, 6));
    let gone = gone.expect("few actors").to_record();
    let mut query = QueryQuorum::new(quorum.clone(), NOW);
    query.answered(node(1), NOW, &digest(&value));
    assert_eq!(query.answered(node(2), NOW, &digest(&gone)), QueryAction::Write);
    assert_eq!(query.contexts().live, [], "an acknowledged delete has superseded it");
    let mut query = QueryQuorum::new(quorum, NOW);
    for (number, is_known_nowhere) in [(1, false), (2, false), (3, true)] {
        query.answered(node(number), NOW, &digest(&nothing()));
        assert_eq!(query.clone().contexts().is_known_nowhere, is_known_nowhere, "{number} of all");
    }
}
