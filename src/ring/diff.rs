//! What changes from one topology to another: which arcs move from whom to whom.

use std::collections::BTreeMap;

use crate::ring::arc::lists;
use crate::ring::{Replica, Topology};
use crate::types::{ArcId, NodeNumber};

/// One replica of one arc that changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// The arc.
    pub arc: ArcId,
    /// Who gives it up; `None` if the arc gets one replica more.
    pub from: Option<NodeNumber>,
    /// Who gets it; `None` if the arc has one replica less.
    pub to: Option<NodeNumber>,
}

impl Topology {
    /// The moves from this topology to `other`, by the lists that hold once nothing moves; ascending by arc. Both are of
    /// the same cluster.
    #[must_use]
    pub fn moves_to(&self, other: &Topology) -> Vec<Move> {
        let pairs = self.numbered().zip(&other.arcs);
        pairs.flat_map(|((arc, old), new)| self.moves_of(other, (arc, old.target(), new.target()))).collect()
    }

    /// How many arcs go from whom to whom on the way to `other`.
    #[must_use]
    pub fn flows_to(&self, other: &Topology) -> BTreeMap<(Option<NodeNumber>, Option<NodeNumber>), u32> {
        let mut flows = BTreeMap::new();
        for Move { from, to, .. } in self.moves_to(other) {
            *flows.entry((from, to)).or_insert(0) += 1;
        }
        flows
    }

    /// The moves of one arc: who goes is paired with who comes, in the same data centre if there is one.
    fn moves_of(&self, other: &Topology, (arc, old, new): (ArcId, &[Replica], &[Replica])) -> Vec<Move> {
        let only = |here: &[Replica], there: &[Replica]| -> Vec<NodeNumber> {
            here.iter().map(|replica| replica.node).filter(|&node| !lists(there, node)).collect()
        };
        let dc = |node: NodeNumber| other.member(node).or_else(|| self.member(node)).map(|member| member.dc.as_str());
        let mut fresh = only(new, old);
        let mut moves = Vec::new();
        for from in only(old, new) {
            let to = fresh.iter().position(|&to| dc(to) == dc(from)).map(|index| fresh.remove(index));
            moves.push(Move { arc, from: Some(from), to });
        }
        moves.extend(fresh.into_iter().map(|to| Move { arc, from: None, to: Some(to) }));
        moves
    }
}
