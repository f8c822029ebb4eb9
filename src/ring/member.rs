//! Who makes the cluster: a node that asks to join, and a node that has.
//!
//! Invariant: a number names the same node for ever, as does an id; both outlive the node's membership.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::types::{NodeId, NodeNumber};

/// The greatest weight.
pub const MAX_WEIGHT: u32 = 10_000;

/// Most bytes of a node's name, and of the names of its zone and data centre.
pub const MAX_NAME_BYTES: usize = 64;

/// What a node says of itself when it asks to be in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name for ever.
    pub id: NodeId,
    /// What people call it; need not be unique.
    pub name: String,
    /// Its data centre. Never changes.
    pub dc: String,
    /// Its zone (rack, availability zone) in that data centre.
    pub zone: String,
    /// Its share of the ring against the weights of others, up to [`MAX_WEIGHT`]; with 0 it holds nothing.
    pub weight: u32,
    /// Where other nodes reach it.
    pub peer: SocketAddr,
    /// Where clients reach it.
    pub clients: SocketAddr,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its short name for ever.
    pub number: NodeNumber,
    /// Its name for ever.
    pub id: NodeId,
    /// What people call it; need not be unique.
    pub name: String,
    /// Its data centre.
    pub dc: String,
    /// Its zone in that data centre: the same word in two data centres means two zones.
    pub zone: String,
    /// Its share of the ring against the weights of others; with 0 it holds nothing.
    pub weight: u32,
    /// Where other nodes reach it.
    pub peer: SocketAddr,
    /// Where clients reach it.
    pub clients: SocketAddr,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// Whether it is on its way out: it is given nothing more, and is no member once it holds nothing.
    pub is_leaving: bool,
}
