//! A data centre as the planner sees it: its nodes by index, in the order of their numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::ring::Member;
use crate::types::NodeNumber;

/// The nodes of one data centre that may hold something. What belongs to a node stands at its index.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) numbers: Vec<NodeNumber>,
    /// All positive.
    pub(super) weights: Vec<u32>,
    /// The zone of each node, by index from 0.
    pub(super) zones: Vec<usize>,
    pub(super) zone_count: usize,
}

impl Site {
    /// The data centres in the order of their names.
    pub(super) fn all(members: &[Member]) -> Vec<Site> {
        let mut dcs: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
        for member in members.iter().filter(|member| member.effective_weight() > 0) {
            dcs.entry(&member.dc).or_default().push(member);
        }
        dcs.into_values().map(|nodes| Site::new(&nodes)).collect()
    }

    fn new(nodes: &[&Member]) -> Site {
        let names: BTreeSet<&str> = nodes.iter().map(|node| node.zone.as_str()).collect();
        let names: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
        Site {
            numbers: nodes.iter().map(|node| node.number).collect(),
            weights: nodes.iter().map(|node| node.effective_weight()).collect(),
            zones: nodes.iter().map(|node| names[node.zone.as_str()]).collect(),
            zone_count: names.len(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The index of the node with this number.
    pub(super) fn index(&self, number: NodeNumber) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// How many nodes each zone has.
    pub(super) fn zone_sizes(&self) -> Vec<usize> {
        (0..self.zone_count).map(|zone| self.nodes_in(zone).count()).collect()
    }

    /// The nodes of `zone`.
    pub(super) fn nodes_in(&self, zone: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(move |&node| self.zones[node] == zone)
    }

    /// A number that depends on a node and `salt` and looks like chance.
    pub(super) fn chance(&self, node: usize, salt: usize) -> u64 {
        mix(u64::from(self.numbers[node].0) << 32 | salt as u64)
    }
}

/// The finisher of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
