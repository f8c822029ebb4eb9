//! Brings hints to members that are back.
//!
//! For each node that something is kept for there is a *lane*: a walk through its hints, a page at a time, one page under way.
//! A page goes out when the node can be reached and the bandwidth allows it; what arrived is forgotten, what was refused
//! stays. At the end of the walk the lane rests, longer each time that something failed, and begins again.
//!
//! A hint goes to whom the topology of the moment names: to its node if that still holds the arc; to all members of the arc
//! if it does not, or while the arc moves. So hints of nodes that have left do not go astray.
//!
//! Invariant: nothing is forgotten that was not acknowledged by all for whom it is.
//! Source: Apache Cassandra's hinted handoff, for pages and the throttle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::causality::Hlc;
use crate::env::Clock;
use crate::hints::{Hint, Hints};
use crate::peer::Terms;
use crate::repair::Courier;
use crate::repair::flight::Flight;
use crate::ring::Topology;
use crate::storage;
use crate::types::{Epoch, NodeNumber, slot_of};
use crate::worker::{Field, Work, Worker};

/// Bytes of a page.
const PAGE_BYTES: usize = 128 << 10;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often answers are looked for.
const POLL: Duration = Duration::from_millis(2);
/// How often it is looked whether a node is back, or something was kept.
const LOOK: Duration = Duration::from_millis(250);
/// How long a lane rests after a walk on which nothing failed.
const REST: Duration = Duration::from_secs(1);
/// How long it rests at most.
const REST_MOST: Duration = Duration::from_secs(60);

/// What the delivery is made of.
pub struct HandoffParts {
    /// This node.
    pub me: NodeNumber,
    /// What is kept.
    pub hints: Arc<Hints>,
    /// Who holds what.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// The way to the other members.
    pub courier: Arc<dyn Courier>,
    /// For pauses.
    pub clock: Arc<dyn Clock>,
    /// This node's hybrid clock.
    pub hlc: Arc<Hlc>,
    /// Bytes per second that are sent, or read to be sent, at most.
    pub bandwidth: u64,
}

/// What has been delivered since the start.
#[derive(Debug, Default)]
pub struct HandoffStats {
    /// Hints that have arrived.
    pub delivered: AtomicU64,
    /// Bytes that were sent.
    pub sent_bytes: AtomicU64,
    /// Records that were refused; their hints stay.
    pub refused: AtomicU64,
    /// Messages that were not sent, not answered or refused as a whole.
    pub failed: AtomicU64,
}

/// Delivers hints.
pub struct Handoff {
    parts: HandoffParts,
    stats: Arc<HandoffStats>,
    lanes: BTreeMap<NodeNumber, Lane>,
    /// Before this time the bandwidth is used up.
    free_at: Duration,
}

/// The way of one node's hints.
#[derive(Default)]
struct Lane {
    flight: Option<(Flight, Duration)>,
    /// Where the next page begins; none at the beginning of a walk.
    from: Option<Vec<u8>>,
    not_before: Duration,
    /// Walks in a row on which something failed.
    failures: u32,
    has_failed: bool,
    was_reachable: bool,
    /// While the node is away: the epoch whose members have got all that was not for the node itself.
    walked: Option<Epoch>,
}

impl Handoff {
    /// A delivery that has nothing under way.
    #[must_use]
    pub fn new(parts: HandoffParts) -> Self {
        Handoff { parts, stats: Arc::default(), lanes: BTreeMap::new(), free_at: Duration::ZERO }
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> Arc<HandoffStats> {
        Arc::clone(&self.stats)
    }

    /// A lane for each node that something is kept for; what is under way comes to its end all the same.
    fn open_lanes(&mut self) {
        let nodes: Vec<NodeNumber> = self.parts.hints.nodes().into_iter().map(|(node, _)| node).collect();
        self.lanes.retain(|node, lane| lane.flight.is_some() || nodes.contains(node));
        for node in nodes {
            self.lanes.entry(node).or_default();
        }
    }

    /// Takes in the answers to what is under way on a lane.
    fn land(&self, node: NodeNumber, lane: &mut Lane, now: Duration) {
        let Some((flight, until)) = &mut lane.flight else { return };
        if !flight.poll(&*self.parts.courier) {
            if now < *until {
                return;
            }
            flight.give_up();
        }
        let Some((flight, _)) = lane.flight.take() else { return };
        let (arrived, reception) = flight.land();
        add(&self.stats.delivered, arrived.len() as u64);
        add(&self.stats.failed, reception.failed);
        add(&self.stats.refused, reception.refused);
        for hint in &arrived {
            if let Err(error) = self.parts.hints.forget(node, hint) {
                tracing::warn!(%error, "a hint that was delivered could not be removed; it is delivered again");
                lane.has_failed = true;
                break;
            }
        }
        if reception.refused > 0 || reception.failed > 0 {
            (lane.has_failed, lane.walked) = (true, None);
        }
        if reception.failed > 0 {
            // The walk goes on behind what failed, slowly: one page that never arrives must not hold up all others.
            lane.failures = lane.failures.saturating_add(1);
            lane.not_before = now + rest_after(lane.failures);
        }
        if lane.from.is_none() {
            lane.end_walk(now);
        }
    }

    /// Sends the next page of a lane, if it may.
    fn send(&mut self, node: NodeNumber, lane: &mut Lane, now: Duration) -> Result<(), storage::Error> {
        let topology = Arc::clone(&self.parts.topology.borrow());
        let is_reachable = self.parts.courier.is_reachable(node);
        if is_reachable && !lane.was_reachable {
            (lane.not_before, lane.failures, lane.from) = (now, 0, None);
        }
        lane.was_reachable = is_reachable;
        let is_due = now >= lane.not_before && now >= self.free_at;
        if !is_due || (!is_reachable && lane.walked == Some(topology.epoch())) {
            return Ok(());
        }
        let page = self.parts.hints.page(node, lane.from.take(), PAGE_BYTES)?;
        lane.from = page.next;
        let read: usize = page.hints.iter().map(|hint| hint.key.len() + hint.record.len()).sum();
        let addressed = self.address(node, page.hints, &topology, lane);
        let flight = Flight::start(addressed, &*self.parts.courier, &self.terms(topology.epoch()));
        add(&self.stats.sent_bytes, flight.bytes as u64);
        self.spend(read.max(flight.bytes), now);
        lane.flight = Some((flight, now + 2 * TIMEOUT));
        if lane.from.is_none() && !is_reachable {
            // What was for others and did not reach them makes the walk a failure; then it is not the last of this epoch.
            lane.walked = Some(topology.epoch()).filter(|_| !lane.has_failed);
        }
        self.land(node, lane, now);
        Ok(())
    }

    /// The hints with the members that they are for, without those for members that cannot be reached.
    fn address(
        &self,
        node: NodeNumber,
        hints: Vec<Hint>,
        topology: &Topology,
        lane: &mut Lane,
    ) -> Vec<(Hint, Vec<NodeNumber>)> {
        let mut addressed = Vec::with_capacity(hints.len());
        for hint in hints {
            let nodes = recipients(topology, (self.parts.me, node), &hint.key);
            let is_away = |to: &NodeNumber| !self.parts.courier.is_reachable(*to);
            if !nodes.iter().any(is_away) {
                addressed.push((hint, nodes));
            } else if nodes != [node] {
                lane.has_failed = true;
            }
        }
        addressed
    }

    fn terms(&self, epoch: Epoch) -> Terms {
        let now = Instant::now();
        let time = self.parts.hlc.reading(self.parts.clock.wall_ms());
        Terms { epoch, time, now, deadline: now + TIMEOUT }
    }

    fn spend(&mut self, bytes: usize, now: Duration) {
        let seconds = bytes as f64 / self.parts.bandwidth.max(1) as f64;
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(seconds);
    }

    /// When there is something to do again.
    fn pause(&self, now: Duration) -> Duration {
        let pauses = self.lanes.values().map(|lane| match lane.flight {
            Some(_) => POLL,
            None => lane.not_before.max(self.free_at).saturating_sub(now).max(POLL),
        });
        pauses.min().unwrap_or(LOOK).min(LOOK)
    }
}

impl Worker for Handoff {
    fn name(&self) -> &'static str {
        "handoff"
    }

    fn work(&mut self) -> Work {
        let now = self.parts.clock.monotonic();
        self.open_lanes();
        let mut lanes = std::mem::take(&mut self.lanes);
        for (node, lane) in &mut lanes {
            if lane.flight.is_some() {
                self.land(*node, lane, now);
            } else if let Err(error) = self.send(*node, lane, now) {
                tracing::warn!(%error, "hints cannot be read");
                (lane.has_failed, lane.from) = (true, None);
                lane.end_walk(now);
            }
        }
        self.lanes = lanes;
        Work::Idle(self.pause(now))
    }

    fn status(&self) -> Vec<Field> {
        let field = |name, counter: &AtomicU64| Field { name, value: counter.load(Ordering::Relaxed) };
        vec![
            field("delivered", &self.stats.delivered),
            field("sent_bytes", &self.stats.sent_bytes),
            field("refused", &self.stats.refused),
            field("failed", &self.stats.failed),
        ]
    }
}

impl Lane {
    fn end_walk(&mut self, now: Duration) {
        self.failures = if self.has_failed { self.failures.saturating_add(1) } else { 0 };
        self.has_failed = false;
        self.not_before = now + rest_after(self.failures);
    }
}

/// How long a lane rests after so many walks in a row on which something failed.
fn rest_after(failures: u32) -> Duration {
    REST.saturating_mul(1 << failures.min(6)).min(REST_MOST)
}

/// Who is to get a hint that was kept for `node`: nobody if only this node, `me`, holds the arc now.
pub(super) fn recipients(topology: &Topology, (me, node): (NodeNumber, NodeNumber), key: &[u8]) -> Vec<NodeNumber> {
    let placement = topology.at(slot_of(key));
    if placement.holds(node) && !placement.is_moving() {
        return vec![node];
    }
    placement.nodes().filter(|member| *member != me).collect()
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
