//! The node behind this gossip: what it is asked, and what it is told.

use crate::gossip::Measured;
use crate::types::{Incarnation, NodeId};

/// What people want to know of, and what others may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member is down.
    Down {
        /// Which.
        node: NodeId,
        /// The members that have not heard of it.
        accusers: Vec<NodeId>,
    },
    /// A member that was down is up.
    Back {
        /// Which.
        node: NodeId,
    },
    /// Another process goes by this node's name: one of the two runs on a copied data directory.
    Twin {
        /// Its life.
        incarnation: Incarnation,
    },
}

/// The node that gossip speaks for. Called by gossip's own task: nothing here may wait.
pub trait Owner: Send + Sync {
    /// What this node tells the others of itself; asked every few seconds.
    fn measure(&self) -> Measured;

    /// `node` goes by a newer topology than this node; said again each round until it goes by one that is as new.
    fn is_behind(&self, node: NodeId);

    /// Something happened; it has been logged.
    fn note(&self, event: &Event);
}
