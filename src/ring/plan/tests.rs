//! Plans against the three promises, with figures: `cargo test --lib ring::plan -- --nocapture`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use crate::ring::plan::share::goal;
use crate::ring::plan::site::Site;
use crate::ring::tests::{candidate, done, founded, node_id};
use crate::ring::{Candidate, Change, Topology};
use crate::types::{ArcId, NodeNumber};

/// What a topology's placement is worth.
#[derive(Debug, Default)]
struct Figures {
    /// Lists with fewer zones than there could be, or more in one zone than need be.
    crowded: usize,
    /// The furthest that a node is off its attainable share beyond one arc, in parts of that share.
    off: f64,
    /// The same for the share of firsts.
    firsts_off: f64,
}

fn figures(topology: &Topology) -> Figures {
    let (mut figures, arcs) = (Figures::default(), topology.arcs().len() as f64);
    let shares: BTreeMap<_, _> = topology.shares().into_iter().map(|share| (share.node, share)).collect();
    for site in Site::all(topology.members()) {
        let goal = goal(&site, usize::from(topology.replicas()));
        for arc in topology.arcs() {
            let mut zones = vec![0_usize; site.zone_count];
            let nodes: Vec<usize> = arc.target().iter().filter_map(|replica| site.index(replica.node)).collect();
            nodes.iter().for_each(|&node| zones[site.zones[node]] += 1);
            let is_spread = (0..zones.len()).all(|z| (goal.least[z]..=goal.most[z]).contains(&zones[z]));
            figures.crowded += usize::from(!is_spread || nodes.len() != goal.per_arc);
        }
        let firsts = firsts(&site, &goal.shares);
        for node in 0..site.len() {
            let (share, wanted) = (shares[&site.numbers[node]], goal.shares[node] * arcs);
            figures.off = figures.off.max(off(f64::from(share.arcs), wanted));
            figures.firsts_off = figures.firsts_off.max(off(f64::from(share.primaries), firsts[node] * arcs));
        }
    }
    figures
}

fn off(is: f64, wanted: f64) -> f64 {
    ((is - wanted).abs() - 1.0).max(0.0) / wanted.max(1.0)
}

/// The attainable shares of firsts, by small steps of water.
fn firsts(site: &Site, shares: &[f64]) -> Vec<f64> {
    let at = |level: f64| (0..site.len()).map(move |node| (level * f64::from(site.weights[node])).min(shares[node]));
    let mut level = 1e-6;
    while at(level).sum::<f64>() < 1.0 - 1e-9 && level < 1.0 {
        level *= 1.001;
    }
    let total: f64 = at(level).sum();
    at(level).map(|share| share / total).collect()
}

fn moved(old: &Topology, new: &Topology) -> usize {
    old.moves_to(new).iter().filter(|moved| moved.to.is_some()).count()
}

/// The fewest replicas that have to be given out to come from `old` to the attainable shares of `new`, whole arcs: as
/// many as nodes lack or lose altogether, or more if the arcs one by one need more.
fn fewest_moves(old: &Topology, new: &Topology) -> usize {
    let held: BTreeMap<_, _> = old.shares().into_iter().map(|share| (share.node, share.arcs as usize)).collect();
    let of_site = |site: &Site| {
        let (goal, arcs) = (goal(site, usize::from(new.replicas())), new.arcs().len() as f64);
        let held = |node: usize| held.get(&site.numbers[node]).copied().unwrap_or(0);
        let sum = |step: &dyn Fn(usize, f64) -> usize| (0..site.len()).map(|n| step(n, goal.shares[n] * arcs)).sum();
        let missing: usize = sum(&|node, wanted| ((wanted + 1e-6) as usize).saturating_sub(held(node)));
        let surplus: usize = sum(&|node, wanted| held(node).saturating_sub((wanted - 1e-6).ceil() as usize));
        let kept: usize = (0..site.len()).map(held).sum();
        missing.max((surplus + goal.per_arc * new.arcs().len()).saturating_sub(kept))
    };
    Site::all(new.members()).iter().map(of_site).sum::<usize>().max(forced_arc_by_arc(old, new))
}

/// The fewest replicas that have to be given out arc by arc: to nodes whose share is every arc, and to zones that have fewer
/// replicas of the arc than they must, be it by the rules or because their share leaves them no choice.
fn forced_arc_by_arc(old: &Topology, new: &Topology) -> usize {
    let mut forced = 0;
    for site in Site::all(new.members()) {
        let goal = goal(&site, usize::from(new.replicas()));
        let share_of = |zone: usize| site.nodes_in(zone).map(|node| goal.shares[node]).sum::<f64>();
        let is_full = |zone: usize| share_of(zone) > goal.most[zone] as f64 - 1e-6;
        let least = |zone: usize| if is_full(zone) { goal.most[zone] } else { goal.least[zone] };
        for arc in old.arcs() {
            let nodes: Vec<usize> = arc.target().iter().filter_map(|replica| site.index(replica.node)).collect();
            let there = |zone: usize| nodes.iter().filter(|&&node| site.zones[node] == zone).count();
            let must_join = |node: &usize| goal.shares[*node] > 1.0 - 1e-6 && !nodes.contains(node);
            let joining = |zone: usize| site.nodes_in(zone).filter(must_join).count();
            forced += (0..site.zone_count)
                .map(|zone| joining(zone).max(least(zone).saturating_sub(there(zone))))
                .sum::<usize>();
        }
    }
    forced
}

/// What the bounds do not know: where zones leave no choice, a few arcs go over another node.
const ROUNDING: f64 = 3.0;

/// A cluster's shape: nodes, zones, data centres, and the weight of each node by its index.
struct Shape {
    name: &'static str,
    nodes: usize,
    zones: usize,
    dcs: usize,
    weight: fn(usize) -> u32,
}

const EQUAL: fn(usize) -> u32 = |_| 100;
const MIXED: fn(usize) -> u32 = |index| [100, 200, 50, 400][index % 4];

const fn shape(name: &'static str, nodes: usize, (zones, dcs): (usize, usize), weight: fn(usize) -> u32) -> Shape {
    Shape { name, nodes, zones, dcs, weight }
}

const SHAPES: &[Shape] = &[
    shape("one node", 1, (1, 1), EQUAL),
    shape("two nodes", 2, (2, 1), EQUAL),
    shape("three nodes", 3, (3, 1), EQUAL),
    shape("three nodes, mixed weights", 3, (1, 1), MIXED),
    shape("four nodes, two zones", 4, (2, 1), EQUAL),
    shape("five nodes, no zones", 5, (1, 1), EQUAL),
    shape("six nodes, three zones, mixed", 6, (3, 1), MIXED),
    shape("seven nodes, three zones", 7, (3, 1), EQUAL),
    shape("ten nodes, four zones, mixed", 10, (4, 1), MIXED),
    shape("twelve nodes, two dcs", 12, (3, 2), EQUAL),
    shape("thirty nodes, three dcs, mixed", 30, (3, 3), MIXED),
    shape("fifty nodes, no zones", 50, (1, 1), EQUAL),
    shape("hundred nodes, no zones", 100, (1, 1), EQUAL),
    shape("hundred nodes, three zones", 100, (3, 1), EQUAL),
    shape("hundred nodes, five zones, mixed", 100, (5, 1), MIXED),
];

impl Shape {
    fn node(&self, index: usize) -> Candidate {
        Candidate { weight: (self.weight)(index), ..candidate(index, index % self.dcs, index / self.dcs % self.zones) }
    }

    fn found(&self) -> Topology {
        founded((0..self.nodes).map(|index| self.node(index)).collect(), 3)
    }
}

/// Checks the plan behind `change`; prints moves and their lower bound.
fn check_step(name: &str, old: &Topology, change: &Change) -> Topology {
    let new = old.apply(change).expect("the change is allowed");
    let figures = figures(&new);
    let (moves, bound) = (moved(old, &new), fewest_moves(old, &new));
    println!(
        "{name:>40}: {moves:4} moves, at least {bound:4}; shares {:.3} off, firsts {:.3}",
        figures.off, figures.firsts_off
    );
    assert_eq!(figures.crowded, 0, "{name}: zones");
    assert!(figures.off <= 0.05 && figures.firsts_off <= 0.05, "{name}: {figures:?}");
    assert!(moves as f64 <= bound as f64 * 1.05 + ROUNDING, "{name}: {moves} moves, {bound} would do");
    done(&new)
}

#[test]
fn plans_are_spread_even_and_sparing() {
    for shape in SHAPES {
        let first = shape.found();
        let found = figures(&first);
        println!("{:>40}: founded, shares {:.3} off, firsts {:.3} off", shape.name, found.off, found.firsts_off);
        assert_eq!(found.crowded, 0, "{}: zones", shape.name);
        assert!(found.off <= 0.05 && found.firsts_off <= 0.05, "{}: {found:?}", shape.name);
        let grown = check_step("one more", &first, &Change::Present(shape.node(shape.nodes)));
        let heavy = check_step("twice the weight", &grown, &Change::Weight(NodeNumber(1), 2 * (shape.weight)(0)));
        let light = check_step("back to its weight", &heavy, &Change::Weight(NodeNumber(1), (shape.weight)(0)));
        check_step("one less", &light, &Change::Absent(node_id(0)));
    }
}

#[test]
fn a_cluster_grows_from_one_node_to_a_hundred_and_back() {
    let node = |index: usize| candidate(index, 0, index % 3);
    let (mut topology, mut moves, mut bound) = (founded(vec![node(0)], 3), 0, 0);
    let mut step = |topology: &Topology, change: Change| {
        let next = topology.apply(&change).expect("the change is allowed");
        (moves, bound) = (moves + moved(topology, &next), bound + fewest_moves(topology, &next));
        if next.members().len() < 12 || next.epoch().0.is_multiple_of(16) {
            let figures = figures(&next);
            assert_eq!(figures.crowded, 0, "{change:?}");
            assert!(figures.off <= 0.05 && figures.firsts_off <= 0.05, "{change:?}: {figures:?}");
        }
        done(&next)
    };
    (1..100).for_each(|index| topology = step(&topology, Change::Present(node(index))));
    (0..99).for_each(|index| topology = step(&topology, Change::Absent(node_id(index * 37 % 100))));
    println!("1 to 100 nodes and back to 1: {moves} moves, at least {bound}");
    assert_eq!(topology.members().len(), 1);
    assert!(moves as f64 <= bound as f64 * 1.05, "{moves} moves, {bound} would do");
}

#[test]
fn what_a_lost_node_held_is_spread_over_the_others() {
    let topology = founded((0..100).map(|index| candidate(index, 0, index % 5)).collect(), 3);
    let lost = NodeNumber(7);
    let partners: BTreeSet<_> =
        topology.arcs_of(lost).flat_map(|arc: ArcId| topology.list(arc).iter().map(|r| r.node)).collect();
    println!("the arcs of one node of 100 have {} nodes for their other replicas", partners.len() - 1);
    assert!(partners.len() > 30, "{}", partners.len());
}

#[test]
fn a_plan_that_holds_is_left_alone() {
    for shape in SHAPES {
        let topology = shape.found();
        assert_eq!(topology.apply(&Change::Placed), Ok(topology.clone()), "{}", shape.name);
        let grown = done(&topology.apply(&Change::Present(shape.node(shape.nodes))).expect("there is room"));
        assert!(grown.is_placed(), "{}", shape.name);
    }
}

#[test]
fn moving_arcs_stay_on_their_way() {
    let topology = founded((0..5).map(|index| candidate(index, 0, 0)).collect(), 3);
    let first = topology.apply(&Change::Present(candidate(5, 0, 0))).expect("there is room");
    let second = first.apply(&Change::Present(candidate(6, 0, 0))).expect("there is room");
    for (before, after) in first.arcs().iter().zip(second.arcs()).filter(|(before, _)| before.is_moving()) {
        assert_eq!(before, after);
    }
    assert!(second.shares()[6].arcs > 0, "the others move");
}

/// A node: data centre, zone, weight.
fn nodes() -> impl Strategy<Value = Vec<(usize, usize, u32)>> {
    vec((0..2_usize, 0..4_usize, proptest::sample::select(vec![1_u32, 10, 50, 100, 150, 1000])), 1..16)
}

proptest! {
    // The same clusters in every run: how near a plan comes to what would do is no law, and must not depend on luck.
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 48,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        ..proptest::prelude::ProptestConfig::default()
    })]

    #[test]
    fn any_cluster_is_planned_well(nodes in nodes(), replicas in 1..6_u8, change in 0..4_usize, weight in 1..500_u32) {
        let of = |(index, &(dc, zone, weight)): (usize, &(usize, usize, u32))| Candidate { weight, ..candidate(index, dc, zone) };
        let candidates: Vec<Candidate> = nodes.iter().enumerate().map(of).collect();
        let topology = founded(candidates.clone(), replicas);
        let reversed = founded(candidates.into_iter().rev().collect(), replicas);
        prop_assert_eq!(&topology, &reversed);
        let change = match change {
            0 => Change::Weight(NodeNumber(1), weight),
            1 if nodes.len() > 1 => Change::Absent(node_id(nodes.len() / 2)),
            _ => Change::Present(candidate(nodes.len(), change % 2, change)),
        };
        let next = topology.apply(&change).expect("the change is allowed");
        for topology in [&topology, &next, &done(&next)] {
            let figures = figures(topology);
            prop_assert_eq!(figures.crowded, 0);
            prop_assert!(figures.off <= 0.05 && figures.firsts_off <= 0.05, "{:?}", figures);
            let bytes = topology.encode();
            prop_assert_eq!(&Topology::decode(&bytes).expect("it was encoded"), topology);
        }
        prop_assert_eq!(next.apply(&change).expect("it holds"), next.clone());
        let bound = fewest_moves(&topology, &next);
        let moves = moved(&topology, &next);
        // The bound knows nothing of zones, so that some clusters cannot reach it; the shapes above are held to 5 %.
        prop_assert!(moves as f64 <= bound as f64 * 1.25 + 4.0 * ROUNDING, "{} moves, {} would do", moves, bound);
    }
}
