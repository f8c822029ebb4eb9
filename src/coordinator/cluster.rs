//! What a coordinator knows of the cluster it belongs to: the topology, how the members are reached, how long it waits.
//!
//! A node that is alone has none of this: then the coordinator is a branch, not a future.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::causality::Time;
use crate::hints::Hints;
use crate::peer::{CallError, Terms};
use crate::quorum::{HedgeBudget, Names, Seating};
use crate::repair::Courier;
use crate::ring::{ArcPlacement, Topology};
use crate::types::{ArcId, Database, NodeNumber};
use crate::wire::Message;

pub use crate::repair::Answering;

/// The other members, as the coordinator uses them.
pub trait Members: Send + Sync {
    /// Whether a request can be sent to `node` now.
    fn is_reachable(&self, node: NodeNumber) -> bool;
    /// Sends a request.
    ///
    /// # Errors
    /// It cannot be sent now.
    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError>;
    /// What most requests to `node` took lately, if anything is known: past that another member is asked too.
    fn usual_time(&self, node: NodeNumber) -> Option<Duration>;
    /// Has the cluster agree that all versions of a database, or of every one, are superseded up to `time`; what is answered is
    /// that this node goes by it, or why not.
    fn flush(&self, database: Option<Database>, time: Time)
    -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
    /// A member goes by another topology; what it sent of a newer one, if it did.
    fn meets_topology(&self, node: NodeNumber, encoded: &[u8]);
}

/// Where writes are kept for members that have not acknowledged them.
pub trait KeepHints: Send + Sync {
    /// Keeps a record for `node`, merged with what is kept already. What does not fit is left to repair.
    fn keep(&self, node: NodeNumber, database: Database, key: &[u8], record: &[u8]);
}

impl KeepHints for Hints {
    fn keep(&self, node: NodeNumber, database: Database, key: &[u8], record: &[u8]) {
        Hints::keep(self, node, database, key, record);
    }
}

/// Repair reaches the members as the coordinator does.
impl Courier for Arc<dyn Members> {
    fn is_reachable(&self, node: NodeNumber) -> bool {
        (**self).is_reachable(node)
    }

    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError> {
        (**self).ask(node, message, terms)
    }

    fn meets_topology(&self, node: NodeNumber, encoded: &[u8]) {
        (**self).meets_topology(node, encoded);
    }
}

/// A topology with what is derived from it once.
pub struct View {
    /// The value that was agreed.
    pub topology: Arc<Topology>,
    /// Where its members sit, as this node counts them.
    pub seating: Seating,
}

/// How a coordinator behaves.
#[derive(Clone, Copy, Debug)]
pub struct ClusterOptions {
    /// How long a read or a write may take.
    pub timeout: Duration,
    /// How far ahead of the clock here the dot of a fresh write may lie.
    pub max_skew: Duration,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct ClusterStats {
    /// Reads that several members were asked for.
    pub reads: AtomicU64,
    /// Writes that were sent to other members.
    pub writes: AtomicU64,
    /// Rounds that asked a majority what it has seen.
    pub queries: AtomicU64,
    /// Records that reads sent to members that lacked them.
    pub write_backs: AtomicU64,
    /// Members asked beside those that were slow.
    pub hedges: AtomicU64,
    /// Writes that some member had not acknowledged when their time was over.
    pub hinted: AtomicU64,
    /// Commands sent to members for them to carry out.
    pub forwarded: AtomicU64,
    /// Operations refused because too few members could be reached.
    pub unavailable: AtomicU64,
    /// Operations that too few members answered in time.
    pub timeouts: AtomicU64,
}

/// The parts of a [`Cluster`].
pub struct ClusterParts {
    /// This node's number.
    pub me: NodeNumber,
    /// Its data centre.
    pub dc: String,
    /// The topology at the start.
    pub topology: Arc<Topology>,
    /// The other members.
    pub members: Arc<dyn Members>,
    /// Where missed writes are kept.
    pub hints: Arc<dyn KeepHints>,
    /// How to behave.
    pub options: ClusterOptions,
}

/// The cluster as this node's coordinator sees it.
pub struct Cluster {
    // For what is followed up in the background.
    itself: Weak<Cluster>,
    me: NodeNumber,
    dc: String,
    view: ArcSwap<View>,
    members: Arc<dyn Members>,
    hints: Arc<dyn KeepHints>,
    options: ClusterOptions,
    stats: ClusterStats,
    hedges: Mutex<HedgeBudget>,
    late: TaskTracker,
}

impl Cluster {
    /// The cluster that this node is a member of.
    #[must_use]
    pub fn new(parts: ClusterParts) -> Arc<Self> {
        let ClusterParts { me, dc, topology, members, hints, options } = parts;
        let seating = Seating::new(topology.members(), &dc);
        Arc::new_cyclic(|itself| Cluster {
            itself: Weak::clone(itself),
            me,
            dc,
            view: ArcSwap::from_pointee(View { topology, seating }),
            members,
            hints,
            options,
            stats: ClusterStats::default(),
            hedges: Mutex::default(),
            late: TaskTracker::new(),
        })
    }

    /// Goes by a newer topology from now on; an older one changes nothing.
    pub fn adopt(&self, topology: Arc<Topology>) {
        let seating = Seating::new(topology.members(), &self.dc);
        let next = Arc::new(View { topology, seating });
        self.view.rcu(|view| {
            let is_newer = next.topology.epoch() > view.topology.epoch();
            Arc::clone(if is_newer { &next } else { view })
        });
    }

    /// This node's number.
    #[must_use]
    pub fn me(&self) -> NodeNumber {
        self.me
    }

    /// What is agreed now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> &ClusterStats {
        &self.stats
    }

    /// The other members.
    #[must_use]
    pub fn members(&self) -> &dyn Members {
        &*self.members
    }

    /// Waits until no write is followed up any more: to be called when nothing new is begun.
    pub async fn settle(&self) {
        self.late.close();
        self.late.wait().await;
    }

    pub(super) fn hints(&self) -> &Arc<dyn KeepHints> {
        &self.hints
    }

    /// What people call `node`.
    pub(super) fn name(&self, node: NodeNumber) -> String {
        self.view().seating.node(node).into_owned()
    }

    pub(super) fn itself(&self) -> Option<Arc<Cluster>> {
        self.itself.upgrade()
    }

    pub(super) fn late(&self) -> &TaskTracker {
        &self.late
    }

    /// The members of an arc that can be reached, this node first, then those that answer soonest.
    #[cfg(test)]
    pub(super) fn order(&self, placement: &ArcPlacement) -> Vec<NodeNumber> {
        Reached::new(self).order(placement)
    }

    /// Whether `node` is this one, or can be asked now.
    pub(super) fn reaches(&self, node: NodeNumber) -> bool {
        node == self.me || self.members.is_reachable(node)
    }

    /// Takes note of a read, for the share of them that may be hedged.
    pub(super) fn note_read(&self) {
        ClusterStats::add(&self.stats.reads, 1);
        self.hedges.lock().note_read();
    }

    /// Whether one more member is to be asked now beside `slow`, which was asked at `asked`.
    pub(super) fn may_hedge(&self, slow: NodeNumber, asked: Instant) -> bool {
        let usual = self.members.usual_time(slow).unwrap_or(self.options.timeout / 4);
        let may = self.hedges.lock().take(asked.elapsed(), usual);
        ClusterStats::add(&self.stats.hedges, u64::from(may));
        may
    }
}

/// Which members can be reached, and how soon they answer: looked up once for each member and segment.
pub(super) struct Reached<'a> {
    cluster: &'a Cluster,
    known: Vec<(NodeNumber, Option<Speed>)>,
}

/// How soon a member answers; this node at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Speed {
    Here,
    Usually(Duration),
}

impl<'a> Reached<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Reached { cluster, known: Vec::new() }
    }

    /// Whether `node` is this one, or can be asked.
    pub(super) fn has(&mut self, node: NodeNumber) -> bool {
        self.speed(node).is_some()
    }

    /// The members of an arc that can be reached, this node first, then those that answer soonest.
    pub(super) fn order(&mut self, placement: &ArcPlacement) -> Vec<NodeNumber> {
        let mut order: Vec<(Speed, NodeNumber)> =
            placement.nodes().filter_map(|node| self.speed(node).map(|speed| (speed, node))).collect();
        order.sort_by_key(|(speed, _)| *speed);
        order.into_iter().map(|(_, node)| node).collect()
    }

    fn speed(&mut self, node: NodeNumber) -> Option<Speed> {
        if let Some((_, speed)) = self.known.iter().find(|(known, _)| *known == node) {
            return *speed;
        }
        let cluster = self.cluster;
        let usual = || Speed::Usually(cluster.members.usual_time(node).unwrap_or_default());
        let speed = if node == cluster.me { Some(Speed::Here) } else { cluster.reaches(node).then(usual) };
        self.known.push((node, speed));
        speed
    }
}

impl View {
    /// Who holds `arc`.
    #[must_use]
    pub fn placement(&self, arc: ArcId) -> &ArcPlacement {
        self.topology.arc(arc)
    }
}

impl ClusterStats {
    /// All counts, by the names that people see.
    #[must_use]
    pub fn counted(&self) -> [(&'static str, u64); 9] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("reads", of(&self.reads)),
            ("writes", of(&self.writes)),
            ("queries", of(&self.queries)),
            ("write_backs", of(&self.write_backs)),
            ("hedges", of(&self.hedges)),
            ("hinted", of(&self.hinted)),
            ("forwarded", of(&self.forwarded)),
            ("unavailable", of(&self.unavailable)),
            ("timeouts", of(&self.timeouts)),
        ]
    }

    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}
