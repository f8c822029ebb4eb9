//! What is known of one node.
//!
//! Invariant: `version` is the greatest version of `entries`, and of all versions up to it nothing is missing but what a
//! later one replaced.
//! Invariant: a newer incarnation starts from nothing; an older one changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::membership::detector::Detector;
use crate::membership::{Entry, Key, Line, MAX_KEYS, MAX_STATE_BYTES, MAX_VALUE_BYTES, NodeDelta};
use crate::types::{Incarnation, NodeId};

/// The state of a node: of this one as it tells it, of another as far as it was heard.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) incarnation: Incarnation,
    pub(super) heartbeat: u64,
    version: u64,
    entries: BTreeMap<Key, (u64, Arc<[u8]>)>,
    /// Bytes of all values.
    bytes: usize,

    pub(super) detector: Detector,
    /// When its last new heartbeat came.
    pub(super) heard_at: Duration,
    /// Whether this node's connection to it was closed and not opened again.
    pub(super) is_closed: bool,
}

impl Node {
    /// A node of which nothing was heard.
    pub(super) fn unknown(interval: Duration, now: Duration) -> Self {
        Node {
            incarnation: Incarnation(0),
            heartbeat: 0,
            version: 0,
            entries: BTreeMap::new(),
            bytes: 0,
            detector: Detector::new(interval, now),
            heard_at: now,
            is_closed: false,
        }
    }

    /// How far it is known.
    pub(super) fn line(&self, node: NodeId) -> Line {
        Line { node, incarnation: self.incarnation, heartbeat: self.heartbeat, version: self.version }
    }

    pub(super) fn value(&self, key: Key) -> Option<&[u8]> {
        self.entries.get(&key).map(|(_, value)| &value[..])
    }

    /// Takes a heartbeat, and says whether it is news. A newer life forgets all of the older one.
    pub(super) fn hear(&mut self, line: &Line, (interval, now): (Duration, Duration)) -> bool {
        if line.incarnation > self.incarnation {
            let heartbeat = line.heartbeat;
            *self = Node { incarnation: line.incarnation, heartbeat, ..Node::unknown(interval, now) };
            return true;
        }
        let is_news = line.incarnation == self.incarnation && line.heartbeat > self.heartbeat;
        if is_news {
            self.heartbeat = line.heartbeat;
            self.heard_at = now;
            self.detector.heard(now);
        }
        is_news
    }

    /// What somebody lacks who has come as far as `line`, with its entries; `None` if nothing.
    pub(super) fn news_for(&self, node: NodeId, line: Option<&Line>) -> Option<NodeDelta> {
        let same_life = line.filter(|line| line.incarnation == self.incarnation);
        let since = same_life.map_or(0, |line| line.version);
        let is_older = line.is_some_and(|line| line.incarnation > self.incarnation);
        let is_known = same_life.is_some_and(|line| line.heartbeat >= self.heartbeat && line.version >= self.version);
        if is_older || is_known || self.incarnation == Incarnation(0) {
            return None;
        }
        let newer = self.entries.iter().filter(|(_, (version, _))| *version > since);
        let mut entries: Vec<Entry> =
            newer.map(|(&key, (version, value))| Entry { key, version: *version, value: value.clone() }).collect();
        entries.sort_by_key(|entry| entry.version);
        Some(NodeDelta { node, incarnation: self.incarnation, heartbeat: self.heartbeat, since, entries })
    }

    /// Takes entries of this life, and gives the keys that changed. Stops where one would leave a gap or break a limit.
    pub(super) fn take(&mut self, delta: &NodeDelta) -> Vec<Key> {
        let mut changed = Vec::new();
        if delta.incarnation != self.incarnation || delta.since > self.version {
            return changed;
        }
        for entry in delta.entries.iter().filter(|entry| entry.version > delta.since) {
            if entry.version <= self.version {
                continue;
            }
            if !self.has_room(entry.key, entry.value.len()) {
                break;
            }
            self.put(entry.key, entry.value.clone(), entry.version);
            changed.push(entry.key);
        }
        changed
    }

    /// Whether a value of `bytes` may be put under `key`.
    pub(super) fn has_room(&self, key: Key, bytes: usize) -> bool {
        let old = self.value(key).map(<[u8]>::len);
        let keys = self.entries.len() + usize::from(old.is_none());
        bytes <= MAX_VALUE_BYTES && self.bytes - old.unwrap_or(0) + bytes <= MAX_STATE_BYTES && keys <= MAX_KEYS
    }

    /// Gives `key` a new value in the next version.
    pub(super) fn set(&mut self, key: Key, value: &[u8]) {
        self.put(key, value.into(), self.version + 1);
    }

    fn put(&mut self, key: Key, value: Arc<[u8]>, version: u64) {
        self.bytes += value.len();
        self.version = version;
        if let Some((_, old)) = self.entries.insert(key, (version, value)) {
            self.bytes -= old.len();
        }
    }
}
