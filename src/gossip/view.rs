//! What the rest of the node sees: a value, made anew with each round and each change, read by anybody at any time.

use std::collections::BTreeMap;

use crate::gossip::{Counted, Measured};
use crate::membership::Standing;
use crate::types::{Epoch, Incarnation, NodeId};

/// What is known of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Whether it is up.
    pub standing: Standing,
    /// Whether to send to it: its connection stands, and its silence is short.
    pub is_reachable: bool,
    /// How surprising its silence is.
    pub phi: f64,
    /// Its life that was last heard of; none if nothing was.
    pub incarnation: Option<Incarnation>,
    /// The topology that it goes by, as far as was heard.
    pub epoch: Option<Epoch>,
    /// What else it tells of itself.
    pub told: Measured,
}

/// All members, this node included, and who wants to be one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub(super) nodes: BTreeMap<NodeId, NodeView>,
    pub(super) candidates: BTreeMap<NodeId, Vec<u8>>,
    pub(super) twin: Option<Incarnation>,
}

/// Members by standing, and what has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Members that are up, this node included.
    pub up: u64,
    /// Members that too few suspect.
    pub suspected: u64,
    /// Members that are down.
    pub down: u64,
    /// Members that it can be sent to, this node included.
    pub reachable: u64,
    /// What gossip has done.
    pub counted: Counted,
}

impl View {
    /// What is known of `node`, if it is a member.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeView> {
        self.nodes.get(&node)
    }

    /// What this node and the others think of `node`, if it is a member.
    #[must_use]
    pub fn standing(&self, node: NodeId) -> Option<&Standing> {
        self.nodes.get(&node).map(|node| &node.standing)
    }

    /// Whether `node` is a member to which can be sent.
    #[must_use]
    pub fn is_reachable(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.is_reachable)
    }

    /// All members, by id.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeView)> {
        self.nodes.iter().map(|(&id, node)| (id, node))
    }

    /// Nodes that want to be members, with what they say of themselves.
    pub fn candidates(&self) -> impl Iterator<Item = (NodeId, &[u8])> {
        self.candidates.iter().map(|(&id, told)| (id, &told[..]))
    }

    /// The life of another process that goes by this node's name, if one was heard of.
    #[must_use]
    pub fn twin(&self) -> Option<Incarnation> {
        self.twin
    }

    pub(super) fn figures(&self, counted: Counted) -> Figures {
        let mut figures = Figures { counted, ..Figures::default() };
        for node in self.nodes.values() {
            match node.standing {
                Standing::Up => figures.up += 1,
                Standing::Suspected(_) => figures.suspected += 1,
                Standing::Down(_) => figures.down += 1,
            }
            figures.reachable += u64::from(node.is_reachable);
        }
        figures
    }
}
