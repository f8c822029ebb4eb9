//! Digests and deltas: what one side knows, what the other lacks.
//!
//! A cut is fair: of all nodes first the heartbeats, then their values, in turn the oldest that is missing of each node, then
//! the next of each; and each round begins with another node. So a node with much to tell delays nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::membership::message::FRAME_BYTES;
use crate::membership::node::Node;
use crate::membership::{Delta, Digest, Key, Line, MAX_MESSAGE_BYTES, MAX_STRANGERS, Membership, Message, NodeDelta};
use crate::types::NodeId;

/// A value that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub node: NodeId,
    /// Which.
    pub key: Key,
}

/// What a message led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Received {
    /// Goes back to the sender.
    pub reply: Option<Message>,
    /// What is known now and was not before.
    pub changes: Vec<Change>,
}

impl Membership {
    /// The message that begins an exchange.
    #[must_use]
    pub fn open(&self, now: Duration) -> Message {
        Message::Open(self.digest(now))
    }

    /// What follows from a message of a peer.
    pub fn receive(&mut self, message: &Message, now: Duration) -> Received {
        match message {
            Message::Open(digest) => {
                self.observe(digest, now);
                let wants = self.wants(digest);
                let delta = self.delta_for(digest, MAX_MESSAGE_BYTES - FRAME_BYTES - wants.bytes(), now);
                Received { reply: Some(Message::Reply { delta, wants }), changes: Vec::new() }
            }
            Message::Reply { delta, wants } => {
                let changes = self.apply(delta, now);
                let delta = self.delta_for(wants, MAX_MESSAGE_BYTES - FRAME_BYTES, now);
                Received { reply: (!delta.nodes.is_empty()).then_some(Message::Close(delta)), changes }
            }
            Message::Close(delta) => Received { reply: None, changes: self.apply(delta, now) },
        }
    }

    /// What this node knows, in lines: of all, or if that were too long of the next ones in turn. Half a message at most:
    /// the other half of the reply is for what it wants.
    #[must_use]
    pub fn digest(&self, now: Duration) -> Digest {
        let all: Vec<Line> = self.shown(now).map(|(id, node)| node.line(id)).collect();
        let mut digest = Digest { is_whole: true, lines: Vec::with_capacity(all.len()) };
        let mut room = MAX_MESSAGE_BYTES / 2 - FRAME_BYTES;
        for line in in_turn(&all, self.turn) {
            let bytes = line.bytes();
            if bytes > room {
                digest.is_whole = false;
                break;
            }
            room -= bytes;
            digest.lines.push(*line);
        }
        digest
    }

    /// What somebody lacks who knows no more than `digest`, in at most `max_bytes`.
    #[must_use]
    pub fn delta_for(&self, digest: &Digest, max_bytes: usize, now: Duration) -> Delta {
        let lines: BTreeMap<NodeId, &Line> = digest.lines.iter().map(|line| (line.node, line)).collect();
        let news = |(id, node): (NodeId, &Node)| match lines.get(&id) {
            None if !digest.is_whole => None,
            line => node.news_for(id, line.copied()),
        };
        let all: Vec<NodeDelta> = self.shown(now).filter_map(news).collect();
        cut(&in_turn(&all, self.turn).collect::<Vec<_>>(), max_bytes)
    }

    /// Takes a delta, and says what changed by it.
    pub fn apply(&mut self, delta: &Delta, now: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for news in &delta.nodes {
            let NodeDelta { node, incarnation, heartbeat, .. } = *news;
            self.hear(&Line { node, incarnation, heartbeat, version: 0 }, now);
            if let Some(known) = self.nodes.get_mut(&node).filter(|_| node != self.options.me) {
                changes.extend(known.take(news).into_iter().map(|key| Change { node, key }));
            }
        }
        changes
    }

    /// Takes the heartbeats out of a digest.
    fn observe(&mut self, digest: &Digest, now: Duration) {
        digest.lines.iter().for_each(|line| self.hear(line, now));
    }

    fn hear(&mut self, line: &Line, now: Duration) {
        if line.node == self.options.me {
            let myself = self.myself();
            if (line.incarnation, line.heartbeat) > (myself.incarnation, myself.heartbeat) {
                self.twin = Some(line.incarnation);
            }
            return;
        }
        let interval = self.options.interval;
        if let Some(node) = self.nodes.get_mut(&line.node) {
            node.hear(line, (interval, now));
        } else if !self.removed.contains(&line.node) && self.strangers() < MAX_STRANGERS && line.incarnation.0 > 0 {
            let mut node = Node::unknown(interval, now);
            node.hear(line, (interval, now));
            self.nodes.insert(line.node, node);
        }
    }

    /// How far this node has come where the sender of `digest` has values beyond.
    fn wants(&self, digest: &Digest) -> Digest {
        let is_behind = |line: &&Line| {
            let known = self.nodes.get(&line.node).filter(|_| line.node != self.options.me);
            known.is_some_and(|node| {
                let mine = node.line(line.node);
                mine.incarnation == line.incarnation && mine.version < line.version
            })
        };
        let mine = |line: &Line| self.nodes.get(&line.node).map(|node| node.line(line.node));
        let mut wants = Digest { is_whole: false, lines: Vec::new() };
        let mut room = MAX_MESSAGE_BYTES / 2 - FRAME_BYTES;
        let behind: Vec<Line> = digest.lines.iter().filter(is_behind).filter_map(mine).collect();
        for line in in_turn(&behind, self.turn) {
            room = room.saturating_sub(line.bytes());
            if room == 0 {
                break;
            }
            wants.lines.push(*line);
        }
        wants
    }
}

/// All of `items`, beginning with another one each turn: the places of the golden ratio are spread evenly, however many
/// turns there are.
fn in_turn<T>(items: &[T], turn: u64) -> impl Iterator<Item = &T> {
    let fraction = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let start = (fraction * items.len() as u64) >> 32;
    let (before, from) = items.split_at_checked(start as usize).unwrap_or((items, &[]));
    from.iter().chain(before)
}

/// As much of `all` as `max_bytes` hold: heads first, then entry by entry of each node in turn.
fn cut(all: &[&NodeDelta], max_bytes: usize) -> Delta {
    let mut room = max_bytes;
    let mut delta = Delta::default();
    for &news in all {
        if news.head_bytes() > room {
            break;
        }
        room -= news.head_bytes();
        delta.nodes.push(NodeDelta { entries: Vec::new(), ..news.clone() });
    }
    let mut open: Vec<usize> = (0..delta.nodes.len()).collect();
    for rank in 0.. {
        open.retain(|&index| {
            let entry = all.get(index).and_then(|news| news.entries.get(rank)).filter(|entry| entry.bytes() <= room);
            if let (Some(entry), Some(node)) = (entry, delta.nodes.get_mut(index)) {
                room -= entry.bytes();
                node.entries.push(entry.clone());
            }
            entry.is_some()
        });
        if open.is_empty() {
            break;
        }
    }
    delta
}
