//! Why the topology was not changed, or not adopted.

use crate::ledger;
use crate::paxos::ValueTooLong;
use crate::ring::{DecodeError, Refused};

/// Why the topology was not changed, or not adopted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The change cannot be made to hold.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too few of the nodes that decide answered in time. The change may still be decided.
    #[error(
        "a change of the cluster needs {needed} of its {keepers} keepers, {reached} can be reached; it may still be made"
    )]
    NoMajority {
        /// Keepers that have to agree.
        needed: usize,
        /// All of them.
        keepers: usize,
        /// Those with a connection, this node included if it is one.
        reached: usize,
    },
    /// The topology has grown out of what can be agreed on.
    #[error("the topology is too large: {0}")]
    TooLarge(#[from] ValueTooLong),
    /// A topology that another node sent, or that the ledger has, cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// It is not what it was sent as.
    #[error("the topology is {0}")]
    Unfit(&'static str),
    /// It could not be made durable.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The node could not be made to go by it.
    #[error("the topology was not taken over: {0}")]
    NotAdopted(String),
    /// The pool ended, with the node.
    #[error("the node is stopping")]
    Stopping,
}
