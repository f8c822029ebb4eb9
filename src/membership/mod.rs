//! Who is alive, and what everybody tells of himself: gossip and failure detection, as plain values.
//!
//! Read `message` (what travels, limits), `node` (what is known of one node), `exchange` (digests and deltas), `detector`
//! (phi of a silence), `suspicion` (from suspecting to down), `round` (with whom to talk).
//!
//! How a driver uses it: once per [`Options::interval`] it calls [`Membership::tick`], asks [`Membership::round`] for peers
//! with numbers that it drew, and sends each of them [`Membership::open`]. What arrives goes to [`Membership::receive`],
//! which may give a message to send back. It says at once when a connection closes or opens.
//!
//! Invariant: who is a member is the topology's word alone ([`Membership::set_members`]). Gossip adds nobody; of nodes that
//! are no members it carries what they tell for as long as they are heard ([`STRANGER_TTL`]), so that one that wants to
//! join is known to all. An id that the topology has removed is never heard again.
//! Invariant: a newer incarnation of a node replaces all that was known of it, suspicions included: it is up at once.
//! Invariant: each message is bounded, whatever the number of nodes; see `message`.
//! Invariant: *down* is never one node's opinion while two are alive; see `suspicion`.
//!
//! Heartbeats travel in the digests themselves, values only in deltas: in a cluster at rest an exchange is one digest and the
//! lines in which one side was ahead.
//!
//! Choices, by the figures of `tests/figures.rs` (100 nodes, one round per second, messages 1 to 50 ms on the way and one in
//! a hundred lost, rounds up to a tenth late):
//!
//! | peers in a round | all know of a change | messages per node and second | KB per node and second |
//! | --- | --- | --- | --- |
//! | 1 | 4.7 s | 2.8 | 4.1 |
//! | 2 | 2.9 s | 4.0 | 6.3 |
//! | 3 = [`FAN_OUT`] | 2.7 s | 5.8 | 9.4 |
//!
//! A third peer costs 3 KB per second and halves what one lost message delays; a fourth would bring little. A dead node is
//! down everywhere after 6.0 s, after 4.5 s if its connections were closed; among three nodes after 4.4 s (at most 5.1 s in
//! 20 runs) and 3.1 s (3.4 s). Two halves of 20 nodes that had lost each other are one again 1.5 s after the heal, a node
//! in a new life is up everywhere 1.0 s after its start.
//!
//! [`PHI_SILENT`] is 10 and a deviation is taken as half an interval at least, because gossip has a longer tail than the
//! normal distribution: with a third of an interval, 15 minutes of 100 nodes had four false alarms at phi 8; with half,
//! none at phi 8 and one at phi 6. The hour of 3 and of 8 nodes in the tests has none.
//!
//! Left out on purpose: sending, timers, addresses, what the values mean, who replaces a node that is down. Nothing here
//! reads a clock, draws a random number or iterates a randomly seeded map.
//!
//! Sources: van Renesse, Dumitriu, Gough, Thomas, "Efficient Reconciliation and Flow Control for Anti-Entropy Protocols"
//! (2008), known as Scuttlebutt; Das, Gupta, Motivala, "SWIM" (2002) for refuting a suspicion by evidence; and the paper
//! named in `detector`.

mod detector;
mod exchange;
mod message;
mod node;
mod round;
mod suspicion;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::types::{Incarnation, NodeId};

pub use exchange::{Change, Received};
pub use message::{
    Delta, Digest, Entry, Key, Line, MAX_KEYS, MAX_MESSAGE_BYTES, MAX_STATE_BYTES, MAX_VALUE_BYTES, Message,
    MessageError, NodeDelta,
};
pub use round::{FAN_OUT, Numbers, Round};
pub use suspicion::{MAX_SUSPECTS, PHI_CLOSED, PHI_SILENT, Standing};

use node::Node;

/// A node that is no member is forgotten by those who have heard nothing new of it for this long.
pub const STRANGER_TTL: Duration = Duration::from_secs(60);

/// Most nodes that are no members and yet carried.
pub const MAX_STRANGERS: usize = 128;

/// After a sleep of this many intervals a node blames nobody for the silence.
const SLEEP_INTERVALS: u32 = 3;

/// What does not change in the life of a node.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// This node.
    pub me: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Time between two rounds.
    pub interval: Duration,
}

/// A member as failure detection sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: NodeId,
    /// What it may fall together with.
    pub zone: String,
}

/// A value that cannot be told: too long, or one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for {bytes} bytes under {key:?}")]
pub struct NoRoom {
    /// Its key.
    pub key: Key,
    /// Its length.
    pub bytes: usize,
}

/// All that a node knows of the nodes around it.
///
/// Times are durations since any fixed moment, never going back.
#[derive(Debug)]
pub struct Membership {
    options: Options,

    /// Members, with their zones.
    members: BTreeMap<NodeId, String>,
    removed: BTreeSet<NodeId>,
    /// This node, all other members, and strangers.
    nodes: BTreeMap<NodeId, Node>,
    /// Rounds so far: where digests and deltas begin.
    turn: u64,
    ticked_at: Duration,
    /// Another process that goes by this node's name.
    twin: Option<Incarnation>,
}

impl Membership {
    /// A node that knows nobody.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let mut myself = Node::unknown(options.interval, now);
        myself.incarnation = options.incarnation;
        Membership {
            options,
            members: BTreeMap::new(),
            removed: BTreeSet::new(),
            nodes: BTreeMap::from([(options.me, myself)]),
            turn: 0,
            ticked_at: now,
            twin: None,
        }
    }

    /// Takes over the members of a topology and the ids that it has removed for ever. Who was a member and was not removed
    /// is a stranger from now on.
    pub fn set_members(&mut self, members: &[Member], removed: &[NodeId], now: Duration) {
        self.members = members.iter().map(|member| (member.id, member.zone.clone())).collect();
        self.removed.extend(removed);
        let (me, removed, interval) = (self.options.me, &self.removed, self.options.interval);
        self.nodes.retain(|id, _| *id == me || !removed.contains(id));
        for &id in self.members.keys().filter(|id| !removed.contains(id)) {
            self.nodes.entry(id).or_insert_with(|| Node::unknown(interval, now));
        }
    }

    /// Tells all others `value` under `key` from now on. An empty value takes back what was told before.
    ///
    /// # Errors
    /// [`NoRoom`] beyond [`MAX_VALUE_BYTES`], [`MAX_STATE_BYTES`] or [`MAX_KEYS`].
    pub fn set(&mut self, key: Key, value: &[u8]) -> Result<(), NoRoom> {
        let myself = self.myself();
        if myself.value(key) == Some(value) {
            return Ok(());
        }
        if !myself.has_room(key, value.len()) {
            return Err(NoRoom { key, bytes: value.len() });
        }
        myself.set(key, value);
        Ok(())
    }

    /// A round begins: this node's heartbeat, and its verdict on the silence of the others.
    pub fn tick(&mut self, now: Duration) {
        let gap = now.saturating_sub(self.ticked_at);
        if gap > self.options.interval * SLEEP_INTERVALS {
            self.nodes.values_mut().for_each(|node| node.detector.excuse(gap));
        }
        self.ticked_at = now;
        self.turn = self.turn.wrapping_add(1);
        self.myself().heartbeat += 1;
        self.bury_strangers(now);
        self.accuse(now);
    }

    /// What `id` tells under `key`, if anything is known of it.
    #[must_use]
    pub fn value(&self, id: NodeId, key: Key) -> Option<&[u8]> {
        self.nodes.get(&id)?.value(key)
    }

    /// The life of `id` that was last heard of.
    #[must_use]
    pub fn incarnation(&self, id: NodeId) -> Option<Incarnation> {
        self.nodes.get(&id).map(|node| node.incarnation).filter(|incarnation| incarnation.0 > 0)
    }

    /// Nodes that are no members, tell [`Key::CANDIDATE`] and were heard lately, by id.
    pub fn candidates(&self, now: Duration) -> impl Iterator<Item = (NodeId, &[u8])> {
        self.shown(now).filter(|(id, _)| !self.members.contains_key(id) && *id != self.options.me).filter_map(
            |(id, node)| node.value(Key::CANDIDATE).filter(|value| !value.is_empty()).map(|value| (id, value)),
        )
    }

    /// The incarnation of another process that goes by this node's name, if one was heard of: a copied data directory.
    #[must_use]
    pub fn twin(&self) -> Option<Incarnation> {
        self.twin
    }

    fn myself(&mut self) -> &mut Node {
        self.nodes.get_mut(&self.options.me).expect("a node never forgets itself")
    }

    /// All nodes but the strangers that were not heard of lately, by id.
    fn shown(&self, now: Duration) -> impl Iterator<Item = (NodeId, &Node)> {
        let is_shown = move |(id, node): &(NodeId, &Node)| {
            self.members.contains_key(id) || *id == self.options.me || now <= node.heard_at + STRANGER_TTL
        };
        self.nodes.iter().map(|(&id, node)| (id, node)).filter(is_shown)
    }

    /// Forgets strangers after twice the time in which they are shown: in between nobody shows them any more, and what is
    /// still on the way is no news. Forgetting at once, two nodes would remind each other for ever.
    fn bury_strangers(&mut self, now: Duration) {
        let (me, members) = (self.options.me, &self.members);
        self.nodes.retain(|id, node| *id == me || members.contains_key(id) || now <= node.heard_at + 2 * STRANGER_TTL);
    }

    fn strangers(&self) -> usize {
        let is_mine = usize::from(!self.members.contains_key(&self.options.me));
        self.nodes.len() - is_mine - self.members.keys().filter(|id| self.nodes.contains_key(id)).count()
    }
}
