//! Topologies: what they answer, how they change, their bytes. What plans are like is tested in `plan/tests.rs`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::{prop_assert_eq, proptest};

use crate::ring::{
    Candidate, Change, DecodeError, MAX_MEMBERS, MAX_TOPOLOGY_BYTES, Refused, Replica, Settled, Topology, validate,
};
use crate::types::{ArcId, ArcLayout, ClusterId, Database, Epoch, NodeId, NodeNumber, Slot};

const GOLDEN: &str = include_str!("../../tests/data/topology-1.txt");

/// The id of the node with this index.
pub(super) fn node_id(index: usize) -> NodeId {
    let mut id = [7; 20];
    id[..8].copy_from_slice(&(index as u64).to_be_bytes());
    NodeId(id)
}

/// A node of weight 100.
pub(super) fn candidate(index: usize, dc: usize, zone: usize) -> Candidate {
    let address = |port: u16| ([10, 0, (index / 250) as u8, (index % 250) as u8], port).into();
    Candidate {
        id: node_id(index),
        name: format!("node-{index}"),
        dc: format!("dc{dc}"),
        zone: format!("zone-{zone}"),
        weight: 100,
        peer: address(16379),
        clients: address(6379),
        http: Some(address(8379)),
    }
}

/// A cluster of these nodes with 1,024 arcs.
pub(super) fn founded(candidates: Vec<Candidate>, replicas: u8) -> Topology {
    Topology::found(ClusterId([9; 20]), ArcLayout::default(), replicas, candidates).expect("a good cluster")
}

/// The topology in which all moves of `topology` are done.
pub(super) fn done(topology: &Topology) -> Topology {
    let moving = topology.numbered().filter(|(_, placement)| placement.is_moving());
    let moves = moving.map(|(arc, placement)| Settled { arc, begun: placement.changed }).collect();
    topology.apply(&Change::Moved(moves)).expect("moves may end")
}

fn three() -> Topology {
    founded((0..3).map(|index| candidate(index, 0, index)).collect(), 3)
}

fn six() -> Topology {
    founded((0..6).map(|index| candidate(index, index % 2, index / 2)).collect(), 2)
}

fn with(topology: &Topology, change: Change) -> Topology {
    topology.apply(&change).expect("the change is allowed")
}

/// A topology in which everything stands that can: two data centres, a node on its way out and one that is gone, moves and
/// flushes.
fn rich() -> Topology {
    let gone = done(&with(&six(), Change::Absent(node_id(1))));
    let flushed = with(&with(&gone, Change::Flush(Database(0), 77)), Change::Flush(Database(15), 1 << 40));
    let joining = with(&flushed, Change::Present(Candidate { http: None, ..candidate(300, 1, 0) }));
    with(&joining, Change::Absent(node_id(0)))
}

#[test]
fn a_founding_does_not_depend_on_who_asked_first() {
    let topology = three();
    let mut candidates: Vec<Candidate> = (0..3).map(|index| candidate(index, 0, index)).collect();
    candidates.rotate_left(1);
    assert_eq!(topology, founded(candidates, 3));
    assert_eq!((topology.epoch(), topology.keepers().len(), topology.is_moving()), (Epoch(1), 3, false));
    assert!((0..1024).all(|arc| topology.list(ArcId(arc)).len() == 3));
    assert!(topology.arcs().iter().flat_map(|arc| &arc.replicas).all(|replica| replica.since == Epoch(1)));
    assert_eq!(topology.members()[0].number, NodeNumber(1));
}

#[test]
fn foundings_that_cannot_be_are_refused() {
    let found = |replicas, candidates| Topology::found(ClusterId([9; 20]), ArcLayout::default(), replicas, candidates);
    let one = candidate(1, 0, 0);
    assert_eq!(found(3, vec![]), Err(Refused::Last));
    assert_eq!(found(3, vec![Candidate { weight: 0, ..one.clone() }]), Err(Refused::Last));
    assert_eq!(found(3, vec![one.clone(), one.clone()]), Err(Refused::Twins(one.id)));
    assert!(matches!(found(0, vec![one.clone()]), Err(Refused::Impossible(_))));
    for bad in [Candidate { zone: String::new(), ..one.clone() }, Candidate { weight: 10_001, ..one.clone() }] {
        assert!(matches!(found(3, vec![bad]), Err(Refused::Unfit { .. })));
    }
    let many = (0..=MAX_MEMBERS).map(|index| candidate(index, 0, 0)).collect();
    assert!(matches!(found(3, many), Err(Refused::Full(_))));
}

#[test]
fn a_change_that_holds_changes_nothing() {
    let all = with(&three(), Change::FlushAll(400));
    assert_eq!((all.flushed_to(Database(0)), all.flushed_to(Database(15)), all.flushes().len()), (400, 400, 16));
    let topology = with(&three(), Change::Flush(Database(3), 500));
    let holding = [
        Change::Present(candidate(1, 0, 1)),
        Change::Absent(node_id(50)),
        Change::Weight(NodeNumber(2), 100),
        Change::Flush(Database(3), 499),
        Change::Keepers(topology.keepers().to_vec()),
        Change::Placed,
        Change::Moved(vec![Settled { arc: ArcId(4), begun: Epoch(1) }]),
        Change::Cancelled(vec![Settled { arc: ArcId(60_000), begun: Epoch(1) }]),
    ];
    for change in holding {
        assert_eq!(topology.apply(&change), Ok(topology.clone()), "{change:?}");
    }
    for change in [Change::Present(candidate(9, 0, 0)), Change::Absent(node_id(0)), Change::Flush(Database(3), 501)] {
        let next = with(&topology, change.clone());
        assert_eq!(next.epoch(), Epoch(topology.epoch().0 + 1), "{change:?}");
        assert_eq!(next.apply(&change), Ok(next.clone()), "{change:?}");
    }
}

#[test]
fn a_member_may_move_house_but_not_to_another_data_centre() {
    let renamed = Candidate { name: "other".to_owned(), http: None, weight: 5, ..candidate(1, 0, 1) };
    let next = with(&three(), Change::Present(renamed.clone()));
    let member = next.by_id(renamed.id).expect("still a member");
    assert_eq!((member.name.as_str(), member.http, member.weight), ("other", None, 100));
    assert!(!next.is_moving());
    let abroad = Change::Present(candidate(1, 1, 1));
    assert!(matches!(three().apply(&abroad), Err(Refused::Unfit { .. })));
}

#[test]
fn who_is_removed_never_comes_back_and_its_number_is_never_given_again() {
    let topology = with(&three(), Change::Present(candidate(3, 0, 0)));
    let leaving = with(&done(&topology), Change::Absent(node_id(3)));
    assert!(leaving.is_member(node_id(3)) && leaving.is_moving(), "it holds its arcs until they have moved");
    let gone = done(&leaving);
    assert!(!gone.is_member(node_id(3)) && gone.was_removed(node_id(3)));
    assert_eq!(gone.apply(&Change::Present(candidate(3, 0, 0))), Err(Refused::Removed(node_id(3))));
    let again = with(&gone, Change::Present(candidate(4, 0, 0)));
    assert_eq!(again.by_id(node_id(4)).map(|member| member.number), Some(NodeNumber(5)));
    let alone = founded(vec![candidate(0, 0, 0)], 3);
    assert_eq!(alone.apply(&Change::Absent(node_id(0))), Err(Refused::Last));
    assert_eq!(alone.apply(&Change::Weight(NodeNumber(1), 0)), Err(Refused::Last));
}

#[test]
fn a_move_names_who_comes_and_who_goes_and_since_when() {
    let old = three();
    let moving = with(&old, Change::Present(candidate(3, 0, 0)));
    let fresh = NodeNumber(4);
    let (arc, placement) = moving.numbered().find(|(_, placement)| placement.is_moving()).expect("it gets arcs");
    assert_eq!(placement.replicas.len(), 3);
    assert_eq!((placement.since(fresh), placement.changed), (Some(Epoch(2)), Epoch(2)));
    let leaver = placement.nodes().find(|&node| placement.is_leaving(node)).expect("one goes");
    assert!(placement.is_pending(fresh) && !placement.is_pending(leaver) && placement.nodes().count() == 4);
    let wrong = Change::Moved(vec![Settled { arc, begun: Epoch(1) }]);
    assert_eq!(moving.apply(&wrong), Ok(moving.clone()), "that was another move");
    let ended = with(&moving, Change::Moved(vec![Settled { arc, begun: Epoch(2) }]));
    assert_eq!(ended.arc(arc).since(fresh), Some(Epoch(2)));
    assert!(!ended.arc(arc).holds(leaver) && ended.arc(arc).changed == Epoch(3));
    let cancelled = with(&moving, Change::Cancelled(vec![Settled { arc, begun: Epoch(2) }]));
    assert_eq!(cancelled.arc(arc).replicas, placement.replicas);
    assert!(!cancelled.is_placed());
    assert_eq!(with(&cancelled, Change::Placed).arc(arc).since(fresh), Some(Epoch(4)), "it starts anew");
}

#[test]
fn a_move_to_a_node_that_leaves_takes_another_way() {
    let four = done(&with(&three(), Change::Present(candidate(3, 0, 0))));
    let joining = with(&four, Change::Present(candidate(4, 0, 1)));
    let next = with(&joining, Change::Absent(node_id(4)));
    assert!(!next.is_member(node_id(4)), "it never held anything");
    assert!(next.arcs().iter().all(|placement| !placement.holds(NodeNumber(5))));
    let leaving = with(&joining, Change::Absent(node_id(3)));
    assert!(leaving.arcs().iter().all(|placement| !placement.target().iter().any(|r| r.node == NodeNumber(4))));
}

#[test]
fn keepers_are_odd_spread_and_alive() {
    for (nodes, expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (19, 5), (20, 7), (100, 7)] {
        let topology = founded((0..nodes).map(|index| candidate(index, 0, index * 3 / nodes)).collect(), 3);
        assert_eq!(topology.keepers().len(), expected, "{nodes} nodes");
        let zone = |keeper: &NodeNumber| topology.member(*keeper).map(|member| member.zone.clone());
        let zones: BTreeSet<_> = topology.keepers().iter().map(zone).collect();
        assert_eq!(zones.len(), expected.min(3), "{nodes} nodes");
        let dead = topology.keepers()[0];
        let live: BTreeSet<_> =
            topology.members().iter().map(|member| member.number).filter(|&node| node != dead).collect();
        let next = topology.propose(&Change::Flush(Database(0), 9), &live).expect("flushing is allowed");
        assert_eq!(next.keepers().contains(&dead), nodes == expected, "{nodes} nodes");
        let kept = topology.keepers().iter().filter(|keeper| next.keepers().contains(keeper)).count();
        assert!(kept + 1 >= expected, "the living stay");
    }
    let three = three();
    for bad in [vec![], vec![NodeNumber(1), NodeNumber(2)], vec![NodeNumber(1); 3], vec![NodeNumber(9)]] {
        assert!(three.apply(&Change::Keepers(bad.clone())).is_err(), "{bad:?}");
    }
}

#[test]
fn slots_lists_and_differences_agree_with_the_arcs() {
    let topology = six();
    assert_eq!(three().slots_of(NodeNumber(2)), vec![0..=16_383]);
    for member in topology.members() {
        let slots: usize = topology.slots_of(member.number).iter().map(|range| range.len()).sum();
        assert_eq!(slots, 16 * topology.arcs_of(member.number).count());
    }
    assert!(topology.at(Slot(16)) == topology.arc(ArcId(1)) && topology.dcs().len() == 2);
    let dcs = |dc| topology.list_from(ArcId(7), dc).map(|member| member.dc.as_str()).collect::<Vec<_>>();
    assert_eq!((dcs("dc0"), dcs("dc1")), (vec!["dc0", "dc0", "dc1", "dc1"], vec!["dc1", "dc1", "dc0", "dc0"]));
    let next = with(&topology, Change::Present(candidate(6, 0, 0)));
    let flows = topology.flows_to(&next);
    let dc_of = |node: Option<NodeNumber>| node.and_then(|node| next.member(node)).map(|member| member.dc.as_str());
    assert!(flows.keys().all(|&(from, to)| to == Some(NodeNumber(7)) && dc_of(from) == Some("dc0")), "{flows:?}");
    let given: u32 = flows.values().sum();
    assert_eq!(given, next.shares()[6].arcs);
    assert_eq!(given as usize, topology.moves_to(&next).len());
}

#[test]
fn bytes_say_the_topology() {
    for topology in [three(), six(), rich()] {
        assert_eq!(Topology::decode(&topology.encode()), Ok(topology));
    }
    let size = |nodes: usize, arcs: u16| {
        let layout = ArcLayout::new(arcs).expect("a power of two");
        let candidates = (0..nodes).map(|index| candidate(index, 0, index % 3)).collect();
        Topology::found(ClusterId([9; 20]), layout, 3, candidates).expect("a good cluster").encode().len()
    };
    for (nodes, arcs, limit) in [(3, 1024, 10_000), (100, 1024, 17_000), (100, 16_384, 160_000)] {
        println!("{nodes} nodes, {arcs} arcs: {} bytes", size(nodes, arcs));
        assert!(size(nodes, arcs) < limit);
    }
}

#[test]
fn bytes_of_a_released_format_stay_readable() {
    let small = Topology::found(
        ClusterId([9; 20]),
        ArcLayout::new(256).expect("a power of two"),
        2,
        vec![
            candidate(0, 0, 0),
            candidate(1, 0, 1),
            Candidate { peer: "[::1]:16379".parse().expect("an address"), ..candidate(2, 1, 0) },
        ],
    );
    let flushed = with(&small.expect("a good cluster"), Change::Flush(Database(2), 1 << 50));
    let moving = with(&done(&with(&flushed, Change::Absent(node_id(1)))), Change::Present(candidate(3, 0, 0)));
    let hex: String = moving.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN.trim(), "a change of the format needs a new version and a golden file of its own");
}

#[test]
fn bytes_of_a_later_version_are_told_from_damage() {
    let mut bytes = three().encode();
    bytes[0] = 2;
    assert_eq!(Topology::decode(&bytes), Err(DecodeError::Future { version: 2 }));
    assert!(Topology::decode(&bytes).expect_err("later").to_string().contains("upgrade this node"));
    assert!(matches!(Topology::decode(&[]), Err(DecodeError::Malformed(_))));
    let mut long = three().encode();
    long.push(0);
    assert!(matches!(Topology::decode(&long), Err(DecodeError::Malformed(_))));
    assert!(matches!(Topology::decode(&vec![1; MAX_TOPOLOGY_BYTES + 1]), Err(DecodeError::Malformed(_))));
}

type Spoil = fn(&mut Topology);

#[test]
fn topologies_that_cannot_be_are_refused() {
    let replica = |node, since| Replica { node: NodeNumber(node), since: Epoch(since) };
    let cases: [(&str, Spoil); 13] = [
        ("members are not in order", |t| t.members.swap(0, 1)),
        ("two members have the same id", |t| t.members[0].id = t.members[1].id),
        ("a member's number was never given", |t| t.next_number = 3),
        ("a member was removed", |t| t.removed = [node_id(1)].into()),
        ("the weight is above 10000", |t| t.members[2].weight = 10_001),
        ("the number of keepers is 1, 3, 5 or 7", |t| t.keepers.truncate(2)),
        ("a keeper is no member", |t| t.keepers = vec![NodeNumber(9)]),
        ("there is no such database", |t| t.flushes = [(Database(16), 1)].into()),
        ("arcs are missing", |t| t.arcs.truncate(9)),
        ("an arc has no replica", |t| t.arcs[3].replicas.clear()),
        ("a list has a node twice", |t| t.arcs[3].replicas[0] = t.arcs[3].replicas[1]),
        ("a replica since no known epoch", |t| t.arcs[3].replicas[0].since = Epoch(2)),
        ("the epoch is 0", |t| t.epoch = Epoch(0)),
    ];
    for (flaw, spoil) in cases {
        let mut topology = three();
        spoil(&mut topology);
        assert_eq!(Topology::decode(&topology.encode()), Err(DecodeError::Invalid(flaw)));
    }
    let lists = [
        ("a replica is no member", vec![replica(9, 1)]),
        ("a list is too long", vec![replica(1, 1), replica(3, 1), replica(5, 1)]),
    ];
    for (flaw, list) in lists {
        let mut topology = six();
        topology.arcs[8].next = Some(list.into());
        assert_eq!(Topology::decode(&topology.encode()), Err(DecodeError::Invalid(flaw)));
    }
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(cuts in vec((0..20_000_usize, 0..=255_u8), 1..4), end in 0..20_000_usize) {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| rich().encode());
        let mut bytes = BYTES.clone();
        bytes.truncate(end.max(1));
        for (place, byte) in cuts {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        if let Ok(topology) = Topology::decode(&bytes) {
            prop_assert_eq!(validate::flaw(&topology), None);
        }
    }
}
