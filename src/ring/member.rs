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

impl Candidate {
    /// What is wrong with it; `None` if nothing is.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        flaw(&[&self.name, &self.dc, &self.zone], self.weight)
    }

    /// The member that it becomes.
    pub(super) fn admit(self, number: NodeNumber) -> Member {
        let Candidate { id, name, dc, zone, weight, peer, clients, http } = self;
        Member { number, id, name, dc, zone, weight, peer, clients, http, is_leaving: false }
    }
}

impl Member {
    /// What is wrong with it; `None` if nothing is.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        flaw(&[&self.name, &self.dc, &self.zone], self.weight)
    }

    /// Takes over what a member may change by itself: all but its id, its data centre and its weight.
    pub(super) fn update(&mut self, candidate: &Candidate) {
        self.name.clone_from(&candidate.name);
        self.zone.clone_from(&candidate.zone);
        (self.peer, self.clients, self.http) = (candidate.peer, candidate.clients, candidate.http);
    }

    /// The weight that counts when arcs are given out.
    pub(super) fn effective_weight(&self) -> u32 {
        if self.is_leaving { 0 } else { self.weight }
    }
}

fn flaw(names: &[&String; 3], weight: u32) -> Option<&'static str> {
    let is_bad = |name: &&String| {
        name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    if names.iter().any(is_bad) {
        Some("a name, zone or data centre is empty, longer than 64 bytes or has white space in it")
    } else if weight > MAX_WEIGHT {
        Some("the weight is above 10000")
    } else {
        None
    }
}
