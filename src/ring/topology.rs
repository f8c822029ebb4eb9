//! The value that the whole cluster agrees on, and what may be asked of it.
//!
//! Invariants, which whoever makes or decodes a topology upholds: members ascend by number, ids are distinct, and none of
//! them was removed; there is one placement per arc; a list has distinct members, at most N of each data centre, data centre
//! by data centre; keepers are distinct members and odd in number; no epoch in it is later than its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::ring::{ArcPlacement, Member, Replica};
use crate::types::{ArcId, ArcLayout, ClusterId, Database, Epoch, NodeId, NodeNumber, SLOTS, Slot};

/// One state of the cluster, as agreed. Changed only by making the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    // Fixed when the cluster is founded.
    pub(super) cluster: ClusterId,
    pub(super) layout: ArcLayout,
    pub(super) replicas: u8,
    // Different in each epoch.
    pub(super) epoch: Epoch,
    pub(super) members: Vec<Member>,
    pub(super) next_number: u16,
    pub(super) removed: BTreeSet<NodeId>,
    pub(super) keepers: Vec<NodeNumber>,
    pub(super) arcs: Vec<ArcPlacement>,
    pub(super) flushes: BTreeMap<Database, u64>,
}

/// How much of the ring a node holds, counted by the lists that hold once nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The node.
    pub node: NodeNumber,
    /// Arcs that it is a replica of.
    pub arcs: u32,
    /// Arcs of which it is the first replica in its data centre.
    pub primaries: u32,
}

impl Topology {
    /// The cluster's name for ever.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its number: each topology has that of the one before plus one, the first has 1.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How the slots are divided into arcs.
    #[must_use]
    pub fn layout(&self) -> ArcLayout {
        self.layout
    }

    /// N: how many replicas each data centre should have. One with fewer nodes has fewer.
    #[must_use]
    pub fn replicas(&self) -> u8 {
        self.replicas
    }

    /// All members, ascending by number.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, number: NodeNumber) -> Option<&Member> {
        let index = self.members.binary_search_by_key(&number, |member| member.number).ok()?;
        self.members.get(index)
    }

    /// The member with this id.
    #[must_use]
    pub fn by_id(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether a node with this id is in the cluster.
    #[must_use]
    pub fn is_member(&self, id: NodeId) -> bool {
        self.by_id(id).is_some()
    }

    /// Whether a node with this id was in the cluster and may never come back.
    #[must_use]
    pub fn was_removed(&self, id: NodeId) -> bool {
        self.removed.contains(&id)
    }

    /// All ids that were members once and will never be again.
    pub fn removed(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.removed.iter().copied()
    }

    /// The names of the data centres, ascending.
    #[must_use]
    pub fn dcs(&self) -> BTreeSet<&str> {
        self.members.iter().map(|member| member.dc.as_str()).collect()
    }

    /// The members that decide the next topology.
    #[must_use]
    pub fn keepers(&self) -> &[NodeNumber] {
        &self.keepers
    }

    /// The raw hybrid time up to which every version of `database` is superseded; 0 if it was never flushed.
    #[must_use]
    pub fn flushed_to(&self, database: Database) -> u64 {
        self.flushes.get(&database).copied().unwrap_or(0)
    }

    /// The time of the last flush of each database that was ever flushed.
    #[must_use]
    pub fn flushes(&self) -> &BTreeMap<Database, u64> {
        &self.flushes
    }

    /// All placements, in the order of the arcs.
    #[must_use]
    pub fn arcs(&self) -> &[ArcPlacement] {
        &self.arcs
    }

    /// Who holds `arc`. In constant time.
    ///
    /// # Panics
    /// If the layout has no such arc.
    #[inline]
    #[must_use]
    pub fn arc(&self, arc: ArcId) -> &ArcPlacement {
        &self.arcs[usize::from(arc.0)]
    }

    /// The preference list of `arc`; while it moves, the old one. In constant time.
    ///
    /// # Panics
    /// If the layout has no such arc.
    #[inline]
    #[must_use]
    pub fn list(&self, arc: ArcId) -> &[Replica] {
        &self.arc(arc).replicas
    }

    /// Who holds the arc of `slot`. In constant time.
    #[inline]
    #[must_use]
    pub fn at(&self, slot: Slot) -> &ArcPlacement {
        self.arc(self.layout.arc_of(slot))
    }

    /// The preference list of `arc` as a client in data centre `dc` should see it: that data centre's replicas first.
    pub fn list_from<'a>(&'a self, arc: ArcId, dc: &'a str) -> impl Iterator<Item = &'a Member> {
        let members = || self.list(arc).iter().filter_map(|replica| self.member(replica.node));
        let near = members().filter(move |member| member.dc == dc);
        near.chain(members().filter(move |member| member.dc != dc))
    }

    /// Whether an arc is on its way to another list.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.arcs.iter().any(ArcPlacement::is_moving)
    }

    /// The arcs of which `node` is on a list, ascending.
    pub fn arcs_of(&self, node: NodeNumber) -> impl Iterator<Item = ArcId> + '_ {
        self.numbered().filter(move |(_, placement)| placement.holds(node)).map(|(arc, _)| arc)
    }

    /// The slots of which `node` is on a list, as the fewest ranges, ascending.
    #[must_use]
    pub fn slots_of(&self, node: NodeNumber) -> Vec<RangeInclusive<u16>> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        for arc in self.arcs_of(node) {
            let first = self.layout.first_slot(arc).0;
            let last = first + (self.layout.slots_per_arc() - 1);
            debug_assert!(last < SLOTS, "arcs divide the slots");
            match ranges.last_mut() {
                Some(range) if range.end() + 1 == first => *range = *range.start()..=last,
                _ => ranges.push(first..=last),
            }
        }
        ranges
    }

    /// How much each member holds, in the order of the members.
    #[must_use]
    pub fn shares(&self) -> Vec<Share> {
        let empty = |member: &Member| Share { node: member.number, arcs: 0, primaries: 0 };
        let mut shares: Vec<Share> = self.members.iter().map(empty).collect();
        for placement in &self.arcs {
            let mut dc = None;
            for replica in placement.target() {
                let Ok(index) = shares.binary_search_by_key(&replica.node, |share| share.node) else { continue };
                shares[index].arcs += 1;
                let own = Some(self.members[index].dc.as_str());
                shares[index].primaries += u32::from(own != dc);
                dc = own;
            }
        }
        shares
    }

    /// Each arc with its placement, in order.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (ArcId, &ArcPlacement)> {
        (0..self.layout.arcs()).map(ArcId).zip(&self.arcs)
    }
}
