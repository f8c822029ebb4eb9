//! Requirements against counting by hand.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::quorum::tests::{lists, node, nodes, seats};
use crate::quorum::{Dc, Level, Lists, Purpose, Requirement, Seat, Stage, Standing};
use crate::types::NodeNumber;

/// Whether `yes` is enough in one list, as the level's definition says it.
fn enough(level: Level, seats: &[Seat], local: Dc, yes: &[NodeNumber]) -> bool {
    let count = |dc: Option<Dc>| {
        let inside = seats.iter().filter(|seat| dc.is_none_or(|dc| seat.dc == dc));
        (inside.clone().filter(|seat| yes.contains(&seat.node)).count(), inside.count())
    };
    let at_least = |needed: usize| count(None).0 >= needed;
    let most = |dc| {
        let (of, all) = count(dc);
        2 * of > all
    };
    match level {
        Level::One => at_least(1),
        Level::Two => at_least(2),
        Level::Three => at_least(3),
        Level::Number(number) => at_least(usize::from(number)),
        Level::LocalOne => count(Some(local)).0 > 0,
        Level::Quorum => most(None),
        Level::LocalQuorum => most(Some(local)),
        Level::EachQuorum => !seats.is_empty() && seats.iter().all(|seat| most(Some(seat.dc))),
        Level::All => !seats.is_empty() && count(None).0 == seats.len(),
    }
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![(0..Level::NAMED.len()).prop_map(|index| Level::NAMED[index]), (1..8_u8).prop_map(Level::Number)]
}

/// A list of distinct nodes; which data centre a node is in follows from its number.
fn list() -> impl Strategy<Value = Vec<Seat>> {
    vec(1..12_u16, 0..7).prop_map(|mut numbers| {
        numbers.sort_unstable();
        numbers.dedup();
        numbers.iter().map(|number| Seat { node: node(*number), dc: Dc((number % 3) as u8) }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_level_is_met_where_its_definition_says_so(
        level in level(),
        now in list(),
        next in option::of(list()),
        yes in vec(1..12_u16, 0..8),
        no in vec(1..12_u16, 0..8),
        order in Just(nodes(&[5, 3, 11, 1, 9, 2, 7, 4, 10, 8, 6])).prop_shuffle(),
    ) {
        let requirement = Requirement::new(level, Lists { now: &now, next: next.as_deref(), local: Dc(1) });
        let yes = nodes(&yes);
        let no: Vec<_> = nodes(&no).into_iter().filter(|node| !yes.contains(node)).collect();
        let everywhere = |yes: &[NodeNumber]| {
            [Some(&now), next.as_ref()].into_iter().flatten().all(|seats| enough(level, seats, Dc(1), yes))
        };
        let hoped: Vec<_> = (1..12).map(node).filter(|node| !no.contains(node)).collect();
        let expected = match (everywhere(&yes), everywhere(&hoped)) {
            (true, _) => Standing::Met,
            (false, true) => Standing::Pending,
            (false, false) => Standing::OutOfReach,
        };
        let (yes_set, no_set) = (requirement.set_of(yes.clone()), requirement.set_of(no));
        prop_assert_eq!(requirement.standing(yes_set, no_set), expected);

        let everyone = requirement.everyone();
        let short = requirement.shortfall(Purpose::Write, yes_set);
        prop_assert_eq!(short.is_none(), expected == Standing::Met);
        if let Some(short) = short {
            prop_assert!(short.reachable < short.need && short.reachable + short.down.len() == short.of);
        }
        let chosen = requirement.choose(yes_set, &order);
        let can_be_met = requirement.shortfall(Purpose::Read, everyone).is_none();
        let met = requirement.standing(yes_set.or(chosen), requirement.set_of([])) == Standing::Met;
        prop_assert_eq!(met, can_be_met);
        prop_assert!(chosen.and(yes_set).is_empty());
        // No one is asked in vain: without the last chosen it would not be enough.
        let last = order.iter().rev().find_map(|node| requirement.index_of(*node).filter(|at| chosen.has(*at)));
        if let Some(last) = last.filter(|_| can_be_met) {
            let fewer = yes_set.or(chosen).without(requirement.set_of([requirement.nodes()[last]]));
            prop_assert!(requirement.standing(fewer, requirement.set_of([])) == Standing::Pending);
        }
    }
}

#[test]
fn the_query_asks_a_majority_of_those_concerned() {
    let seats =
        [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)].map(|(number, dc)| Seat { node: node(number), dc: Dc(dc) });
    let lists = Lists { now: &seats, next: None, local: Dc(1) };
    for (level, expected) in [
        (Level::Quorum, Some(&[1, 2, 3, 4][..])),
        (Level::All, Some(&[1, 2, 3, 4])),
        (Level::LocalQuorum, Some(&[4, 5])),
        (Level::EachQuorum, Some(&[1, 2, 4, 5])),
        (Level::One, None),
        (Level::Number(4), None),
        (Level::LocalOne, None),
    ] {
        let chosen = Requirement::of_query(level, lists).map(|query| {
            let asked = query.choose(query.set_of([]), &nodes(&[1, 2, 3, 4, 5, 6]));
            query.nodes_of(asked).collect::<Vec<_>>()
        });
        assert_eq!(chosen, expected.map(nodes), "{level}");
    }
}

#[test]
fn errors_name_the_numbers() {
    let (three, moved) = (seats(&[1, 2, 3]), seats(&[1, 4, 5]));
    let unavailable = |level, lists: Lists<'_>, up: &[u16]| {
        let requirement = Requirement::new(level, lists);
        requirement.shortfall(Purpose::Write, requirement.set_of(nodes(up))).map(|short| short.to_string())
    };
    let only = lists(&three, None);
    let moving = lists(&three, Some(&moved));
    for (level, lists, up, expected) in [
        (Level::Quorum, only, &[1][..], "write needs 2 of 3 replicas, 1 is reachable (node-2, node-3 down)"),
        (Level::All, only, &[1, 3], "write needs 3 of 3 replicas, 2 are reachable (node-2 down)"),
        (Level::Number(5), only, &[1, 2, 3], "write needs 5 of 3 replicas, 3 are reachable"),
        (
            Level::LocalQuorum,
            only,
            &[],
            "write needs 2 of 3 replicas in dc-0, 0 are reachable (node-1, node-2, node-3 down)",
        ),
        (
            Level::Quorum,
            moving,
            &[1, 2, 3],
            "write needs 2 of 3 replicas of the list after the move, 1 is reachable (node-4, node-5 down)",
        ),
    ] {
        assert_eq!(unavailable(level, lists, up).as_deref(), Some(expected));
    }
    assert_eq!(unavailable(Level::Quorum, moving, &[1, 2, 4]), None);
    let quorum = Requirement::new(Level::Quorum, only);
    let timeout = |stage| quorum.timeout(stage, quorum.set_of(nodes(&[2])), 2000).to_string();
    assert_eq!(timeout(Stage::Write), "write got 1 of 2 acknowledgements in 2000 ms; it may still take effect");
    assert_eq!(timeout(Stage::Query), "write got 1 of 2 contexts in 2000 ms; it was not done");
    assert_eq!(timeout(Stage::Read), "read got 1 of 2 answers in 2000 ms");
    assert_eq!(
        timeout(Stage::WriteBack),
        "read got its answers, but what it found was held by 1 of 2 replicas after 2000 ms"
    );
}
