//! What may be asked of a topology: states to be reached, so that asking twice is asking once.

use serde::{Deserialize, Serialize};

use crate::ring::Candidate;
use crate::types::{ArcId, Database, Epoch, NodeId, NodeNumber};

/// A state that somebody wants the next topology to be in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// This node is a member, with this name, zone and these addresses. The weight counts only for a node that was none.
    Present(Candidate),
    /// The node with this id is no member, or is on its way out.
    Absent(NodeId),
    /// The node has this weight.
    Weight(NodeNumber, u32),
    /// Every version of the database up to this time (the raw value of a hybrid time) is superseded.
    Flush(Database, u64),
    /// The same of every database.
    FlushAll(u64),
    /// These nodes decide the next topology.
    Keepers(Vec<NodeNumber>),
    /// The arcs lie as planned, or are on their way there.
    Placed,
    /// These moves are done: the new list of each arc holds alone.
    Moved(Vec<Settled>),
    /// These moves are called off: the old list of each arc holds alone.
    Cancelled(Vec<Settled>),
}

/// A move that is over: of this arc, begun at this epoch. A move that was begun later is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The arc.
    pub arc: ArcId,
    /// The epoch that began the move, see [`crate::ring::ArcPlacement::changed`].
    pub begun: Epoch,
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The id was a member's once.
    #[error(
        "node {0} was removed from the cluster for good; start it with an empty data directory to join as a new node"
    )]
    Removed(NodeId),
    /// What the node says of itself cannot be.
    #[error("node {id} cannot be a member: {reason}")]
    Unfit {
        /// The node.
        id: NodeId,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two candidates of a founding have the same id.
    #[error("two nodes have the id {0}")]
    Twins(NodeId),
    /// No such member.
    #[error("node {0:?} is no member of the cluster")]
    Unknown(NodeNumber),
    /// Nobody would hold the data.
    #[error("no node would be left to hold the data")]
    Last,
    /// The change names what cannot be.
    #[error("{0}")]
    Impossible(&'static str),
    /// There is no room for it.
    #[error("the cluster is full: {0}")]
    Full(&'static str),
}
