//! From a silence to the word *down*.
//!
//! A node *suspects* a member whose phi has reached [`PHI_SILENT`], or [`PHI_CLOSED`] if its own connection to it is closed.
//! It tells whom it suspects under [`Key::SUSPECTS`], each with the life and the last heartbeat that it heard: an
//! *accusation*. An accusation stands for whoever has not heard a later heartbeat, and falls by itself for whoever has, so
//! that nobody has to take anything back.
//!
//! Invariant: a member is *down* for a node that sees standing accusations by min(2, live members in view) members that it
//! does not suspect itself, and of min(2, zones of those live members) zones: if a zone loses sight of another, those in
//! between are asked too.
//!
//! A closed connection alone accuses nobody. It is a reason for [`Membership::is_reachable`] to say no at once, and to wait
//! less long for a heartbeat by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::membership::{Key, MAX_VALUE_BYTES, Membership};
use crate::types::{Incarnation, NodeId};

/// A member is suspected from this phi on.
pub const PHI_SILENT: f64 = 10.0;

/// The same if the connection to it is closed.
pub const PHI_CLOSED: f64 = 3.0;

/// Most members that a node accuses at a time; of more, the first by id.
pub const MAX_SUSPECTS: usize = 400;

/// Bytes of the longest accusation.
const ACCUSATION_BYTES: usize = 20 + 10 + 10;

const _: () = assert!(MAX_SUSPECTS * ACCUSATION_BYTES + 4 <= MAX_VALUE_BYTES, "all accusations fit into a value");

/// Who is accused, in which life, after which heartbeat.
type Accusation = (NodeId, Incarnation, u64);

/// What this node thinks of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Heard of lately.
    Up,
    /// Not heard of lately by those named, who are too few to call it down.
    Suspected(Vec<NodeId>),
    /// Not heard of lately by all those named.
    Down(Vec<NodeId>),
}

impl Membership {
    /// The connection to `id` was closed, or could not be opened.
    pub fn connection_closed(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.is_closed = true;
        }
    }

    /// There is a connection to `id`.
    pub fn connection_opened(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.is_closed = false;
        }
    }

    /// Whether to send to `id`: its connection was not closed, and its silence is short. Changes at once with
    /// [`Membership::connection_closed`], whatever others say.
    #[must_use]
    pub fn is_reachable(&self, id: NodeId, now: Duration) -> bool {
        self.nodes.get(&id).is_some_and(|node| !node.is_closed && !self.is_suspect(id, now))
    }

    /// How surprising the silence of `id` is; zero for this node and for those unknown.
    #[must_use]
    pub fn phi(&self, id: NodeId, now: Duration) -> f64 {
        self.nodes.get(&id).filter(|_| id != self.options.me).map_or(0.0, |node| node.detector.phi(now))
    }

    /// What this node thinks of member `id`, by its own evidence and that of others.
    #[must_use]
    pub fn standing(&self, id: NodeId, now: Duration) -> Standing {
        let accusers = self.accusers(id, now);
        if accusers.is_empty() {
            return Standing::Up;
        }
        let live: Vec<NodeId> = self.live(now).filter(|live| *live != id).collect();
        let is_enough = accusers.len() >= live.len().min(2);
        let is_spread = self.zones(&accusers) >= self.zones(&live).min(2);
        if is_enough && is_spread { Standing::Down(accusers) } else { Standing::Suspected(accusers) }
    }

    /// The members whose accusation of `id` stands, of those that are live themselves.
    fn accusers(&self, id: NodeId, now: Duration) -> Vec<NodeId> {
        let Some(accused) = self.nodes.get(&id).filter(|_| id != self.options.me) else { return Vec::new() };
        let stands = |&(node, incarnation, heartbeat): &Accusation| {
            node == id && incarnation == accused.incarnation && heartbeat >= accused.heartbeat
        };
        let accuses = |by: &NodeId| *by != id && self.accusations(*by).iter().any(stands);
        self.members.keys().copied().filter(accuses).filter(|by| !self.is_suspect(*by, now)).collect()
    }

    /// Members that this node does not suspect, itself included.
    fn live(&self, now: Duration) -> impl Iterator<Item = NodeId> {
        self.members.keys().copied().filter(move |id| !self.is_suspect(*id, now))
    }

    fn zones(&self, nodes: &[NodeId]) -> usize {
        nodes.iter().filter_map(|id| self.members.get(id)).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn is_suspect(&self, id: NodeId, now: Duration) -> bool {
        let Some(node) = self.nodes.get(&id).filter(|_| id != self.options.me) else { return false };
        node.detector.phi(now) >= if node.is_closed { PHI_CLOSED } else { PHI_SILENT }
    }

    /// Tells whom this node suspects now.
    pub(super) fn accuse(&mut self, now: Duration) {
        let suspects = self.members.keys().copied().filter(|id| self.is_suspect(*id, now));
        let accusation = |id| self.nodes.get(&id).map(|node| (id, node.incarnation, node.heartbeat));
        let accusations: Vec<Accusation> = suspects.filter_map(accusation).take(MAX_SUSPECTS).collect();
        if accusations.is_empty() && self.value(self.options.me, Key::SUSPECTS).is_none_or(<[u8]>::is_empty) {
            return;
        }
        let value = match accusations.is_empty() {
            true => Vec::new(),
            false => postcard::to_allocvec(&accusations).expect("plain values are encoded into memory"),
        };
        // If its other values left no room for it, a node accuses nobody new: others will.
        let _ = self.set(Key::SUSPECTS, &value);
    }

    /// Whom `by` accuses; nobody if what it tells cannot be read.
    fn accusations(&self, by: NodeId) -> Vec<Accusation> {
        let told = self.value(by, Key::SUSPECTS).filter(|value| !value.is_empty());
        told.and_then(|value| postcard::from_bytes(value).ok()).unwrap_or_default()
    }

    /// All members that are down for this node, with their accusers.
    #[must_use]
    pub fn down(&self, now: Duration) -> BTreeMap<NodeId, Vec<NodeId>> {
        let accused: BTreeSet<NodeId> =
            self.members.keys().flat_map(|by| self.accusations(*by)).map(|(id, ..)| id).collect();
        let down = |id: NodeId| match self.standing(id, now) {
            Standing::Down(accusers) => Some((id, accusers)),
            Standing::Up | Standing::Suspected(_) => None,
        };
        accused.into_iter().filter(|id| self.members.contains_key(id)).filter_map(down).collect()
    }
}
