//! What a node has to remember whatever happens: who it is, how far it has promised to go, what it has agreed to.

use std::collections::BTreeMap;
use std::fmt;

use crate::causality::{Actor, Time};
use crate::paxos::Acceptor;
use crate::types::{ArcId, ArcLayout, ClusterId, Database, Epoch, Incarnation, NodeId, NodeNumber};

/// The key of everything that the cluster signs. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

/// The last flush of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Every version up to this time is superseded.
    pub time: Time,
    /// Whether what it superseded has been dropped here, so that no start has to do it again.
    pub is_carried_out: bool,
}

/// How far purging has come on an arc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArcFacts {
    /// Greatest time closed: no fresh write up to it is taken.
    pub closed: Time,
    /// Unknown versions up to this time are refused.
    pub fence: Time,
    /// Every member is known to have fenced at this time. Never above the fence.
    pub floor: Time,
}

/// The topology as agreed, in the encoding of whoever agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyValue {
    /// Its number.
    pub epoch: Epoch,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A node's durable facts. What is not named here is made again at every start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The node's name. Never changes.
    pub node_id: NodeId,
    /// The node's short number in its cluster. Never changes.
    pub node_number: NodeNumber,
    /// The cluster. Never changes.
    pub cluster_id: ClusterId,
    /// The cluster's secret.
    pub secret: Secret,
    /// The arcs of the ring. Never changes.
    pub layout: ArcLayout,
    /// Which life of the node this is; zero before the first. Never goes back.
    pub incarnation: Incarnation,
    /// The greatest time this node ever closed, on any arc, or flushed: its clock starts above it. Never goes back.
    pub hlc_floor: Time,
    /// The last flush of each database that was ever flushed.
    pub flushes: BTreeMap<Database, Flush>,
    /// Purging, of each arc that it ever touched.
    pub arcs: BTreeMap<ArcId, ArcFacts>,
    /// The topology that this node goes by; none only in a directory made before there were any.
    pub topology: Option<TopologyValue>,
    /// What this node has promised and accepted of the topology to come. Its instance never goes back.
    pub acceptor: Option<Acceptor>,
}

/// What a node gets from its cluster: with it, and nothing else, it becomes a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The name it has as a candidate.
    pub node_id: NodeId,
    /// The number that the topology gives it.
    pub node_number: NodeNumber,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The cluster's secret.
    pub secret: Secret,
    /// The arcs of the ring.
    pub layout: ArcLayout,
    /// The topology in which it is a member.
    pub topology: Option<TopologyValue>,
}

impl Facts {
    /// The facts of a node that has done nothing yet.
    pub(super) fn new(membership: Membership) -> Self {
        let Membership { node_id, node_number, cluster_id, secret, layout, topology } = membership;
        Facts {
            node_id,
            node_number,
            cluster_id,
            secret,
            layout,
            incarnation: Incarnation(0),
            hlc_floor: Time::ZERO,
            flushes: BTreeMap::new(),
            arcs: BTreeMap::new(),
            topology,
            acceptor: None,
        }
    }

    /// The number of the topology that this node goes by; zero if it has none.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.topology.as_ref().map_or(Epoch(0), |topology| topology.epoch)
    }

    /// The acceptor of the epoch to come.
    #[must_use]
    pub fn next_acceptor(&self) -> Acceptor {
        let next = Epoch(self.epoch().0 + 1);
        self.acceptor.clone().filter(|acceptor| acceptor.instance() == next).unwrap_or_else(|| Acceptor::new(next))
    }

    /// Goes by `topology` from now on, unless it goes by that or a later one; what was promised of it is forgotten in the same
    /// step: once it is decided nobody asks for votes any more.
    pub fn adopt(&mut self, topology: TopologyValue) {
        if topology.epoch > self.epoch() {
            self.acceptor = self.acceptor.take().filter(|acceptor| acceptor.instance() > topology.epoch);
            self.topology = Some(topology);
        }
    }

    /// The actor that this life of the node writes as. Only after [`crate::ledger::Ledger::raise`].
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::new(self.node_number, self.incarnation)
    }

    /// The last flush of `database`; of time zero and carried out if there was none.
    #[must_use]
    pub fn flush(&self, database: Database) -> Flush {
        self.flushes.get(&database).copied().unwrap_or(Flush { time: Time::ZERO, is_carried_out: true })
    }

    /// Flushes `database` up to `time`, to be carried out. Nothing happens if it was flushed up to then before. The clock
    /// starts above it from now on: a write that got an earlier time would be flushed with the rest.
    pub fn start_flush(&mut self, database: Database, time: Time) {
        if time > self.flush(database).time {
            self.flushes.insert(database, Flush { time, is_carried_out: false });
            self.hlc_floor = self.hlc_floor.max(time);
        }
    }

    /// Marks the flush of `database` up to `time` as carried out, unless a later one has begun.
    pub fn finish_flush(&mut self, database: Database, time: Time) {
        if let Some(flush) = self.flushes.get_mut(&database).filter(|flush| flush.time == time) {
            flush.is_carried_out = true;
        }
    }

    /// How far purging has come on `arc`.
    #[must_use]
    pub fn arc(&self, arc: ArcId) -> ArcFacts {
        self.arcs.get(&arc).copied().unwrap_or_default()
    }

    /// Closes `arc` up to `time`.
    pub fn close(&mut self, arc: ArcId, time: Time) {
        let facts = self.arcs.entry(arc).or_default();
        facts.closed = facts.closed.max(time);
        self.hlc_floor = self.hlc_floor.max(time);
    }

    /// Raises fence and floor of `arc` to `time`: every member has fenced there.
    pub fn raise_floor(&mut self, arc: ArcId, time: Time) {
        let facts = self.arcs.entry(arc).or_default();
        facts.fence = facts.fence.max(time);
        facts.floor = facts.floor.max(time);
    }

    /// What is wrong with facts that claim to follow `old`; `None` if nothing is.
    pub(super) fn contradiction(&self, old: &Facts) -> Option<&'static str> {
        let identity = |facts: &Facts| (facts.node_id, facts.node_number, facts.cluster_id, facts.layout);
        let flushed_back = || old.flushes.iter().any(|(&database, flush)| self.flush(database).time < flush.time);
        if identity(self) != identity(old) {
            Some("the identity changes")
        } else if self.incarnation < old.incarnation {
            Some("the incarnation goes back")
        } else if self.hlc_floor < old.hlc_floor {
            Some("the clock's floor goes back")
        } else if flushed_back() {
            Some("a flush is taken back")
        } else if self.epoch() < old.epoch() {
            Some("the topology goes back")
        } else if self.has_forgotten_votes(old) {
            Some("votes are forgotten before what they were about is decided")
        } else {
            None
        }
    }

    /// Whether votes of `old` are gone although the epoch that they were about is not decided here.
    fn has_forgotten_votes(&self, old: &Facts) -> bool {
        let Some(before) = old.acceptor.as_ref().map(Acceptor::instance) else { return false };
        let kept = self.acceptor.as_ref().is_some_and(|acceptor| acceptor.instance() >= before);
        !kept && self.epoch() < before
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
