//! Why a request has no answer, and why a connection did not come about.

use crate::wire::WireError;

/// A request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection now.
    #[error("is not connected")]
    NotConnected,
    /// As much is waiting for the peer as may.
    #[error("is overloaded: its queue is full")]
    Overloaded,
    /// The time was over.
    #[error("did not answer in time")]
    TimedOut,
    /// The connection ended before the answer came.
    #[error("closed the connection")]
    Closed {
        /// Whether any byte of the request may have left this node.
        may_have_left: bool,
    },
}

impl CallError {
    /// Whether the request may have been, or may yet be, carried out. If not, it can be repeated elsewhere.
    #[must_use]
    pub fn may_have_left(self) -> bool {
        match self {
            CallError::NotConnected | CallError::Overloaded => false,
            CallError::TimedOut => true,
            CallError::Closed { may_have_left } => may_have_left,
        }
    }
}

/// What kept two nodes from talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fault {
    /// The address does not answer, or the connection broke.
    Unreachable = 0,
    /// The other end speaks another protocol version.
    Version = 1,
    /// It belongs to another cluster.
    Cluster = 2,
    /// It does not know the cluster's secret.
    Secret = 3,
    /// It is this node itself.
    Itself = 4,
    /// Another node has the address.
    OtherNode = 5,
    /// It was asked, and does not let this node in (or this node it).
    NotAdmitted = 6,
    /// What it sends is no handshake.
    Garbage = 7,
    /// The handshake took too long.
    Slow = 8,
}

impl Fault {
    /// All of them, by their numbers.
    pub const ALL: [Fault; 9] = [
        Fault::Unreachable,
        Fault::Version,
        Fault::Cluster,
        Fault::Secret,
        Fault::Itself,
        Fault::OtherNode,
        Fault::NotAdmitted,
        Fault::Garbage,
        Fault::Slow,
    ];

    /// As a label of a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Unreachable => "unreachable",
            Fault::Version => "version",
            Fault::Cluster => "cluster",
            Fault::Secret => "secret",
            Fault::Itself => "itself",
            Fault::OtherNode => "other_node",
            Fault::NotAdmitted => "not_admitted",
            Fault::Garbage => "garbage",
            Fault::Slow => "slow",
        }
    }
}

/// A connection that did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HandshakeError {
    /// What kept it.
    pub fault: Fault,
    /// For people: what is wrong and what to do.
    pub text: String,
}

impl HandshakeError {
    pub(super) fn new(fault: Fault, text: impl Into<String>) -> Self {
        HandshakeError { fault, text: text.into() }
    }
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        HandshakeError::new(Fault::Unreachable, error.to_string())
    }
}

/// How a connection ended that had come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the other end closed it")]
    Closed,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("it sent what is no message: {0}")]
    Malformed(#[from] WireError),
    #[error("it sent an answer to what was not asked")]
    Unasked,
    #[error("it was silent for {0:?}")]
    Silent(std::time::Duration),
}
