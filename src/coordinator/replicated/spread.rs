//! The second round: records that were written here go to all other members, until each is held by as many as its level says.
//!
//! When that is so the client is answered, and what is still on its way is followed up in the background: a member that has
//! not acknowledged when the time is over gets a hint, whatever the client was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::causality::Time;
use crate::coordinator::cluster::{Cluster, ClusterStats, KeepHints};
use crate::coordinator::replicated::EPOCH_PAUSE;
use crate::coordinator::replicated::ask::help;
use crate::coordinator::replicated::flight::{Arrived, Errand, Flight, Sent, next_of};
use crate::peer::Terms;
use crate::quorum::{Level, Requirement, Standing, WriteAction, WriteQuorum};
use crate::replica::Failure;
use crate::types::{Database, Epoch, NodeNumber, slot_of};
use crate::wire::{self, Answer, WriteAnswer, WriteItem};

/// A record on its way to the other members.
struct Write {
    /// The operation that made it.
    index: usize,
    database: Database,
    key: Vec<u8>,
    record: Vec<u8>,
    fence: Time,
    level: Level,
    members: Vec<NodeNumber>,
    quorum: WriteQuorum,
    /// Members that went by another topology: they are sent it again.
    apart: Vec<NodeNumber>,
}

/// Whether a write waits for members that went by another topology.
fn is_apart(write: &Write) -> bool {
    !write.apart.is_empty() && write.quorum.standing() == Standing::Pending
}

/// The writes of one segment.
pub(super) struct Spread<'a> {
    cluster: &'a Cluster,
    terms: Terms,
    writes: Vec<Write>,
}

impl<'a> Spread<'a> {
    pub(super) fn new(cluster: &'a Cluster, terms: Terms) -> Self {
        Spread { cluster, terms, writes: Vec::new() }
    }

    /// Adds what operation `index` has written here.
    pub(super) fn add(
        &mut self,
        index: usize,
        (level, requirement): (Level, Requirement),
        (database, key, record): (Database, Vec<u8>, Vec<u8>),
        fence: Time,
    ) {
        let members = requirement.nodes().to_vec();
        let mut quorum = WriteQuorum::new(requirement, self.terms.epoch);
        // Held here durably before anybody is told: the batch waits for its position.
        quorum.acknowledged(self.cluster.me(), self.terms.epoch);
        let apart = Vec::new();
        self.writes.push(Write { index, database, key, record, fence, level, members, quorum, apart });
    }

    /// Sends all of them and waits until every one is decided: the operations that failed.
    pub(super) async fn finish(mut self) -> Vec<(usize, Failure)> {
        if self.writes.is_empty() {
            return Vec::new();
        }
        let mut flight = Flight::new(self.cluster, self.terms);
        flight.send(self.errands(|_| true));
        let is_pending = |write: &Write| write.quorum.standing() == Standing::Pending;
        while self.writes.iter().any(is_pending) {
            match flight.arrive(self.terms.deadline).await {
                Some(arrived) => receive(&mut self.writes, arrived, (self.cluster, self.terms.epoch)),
                None if Instant::now() + EPOCH_PAUSE < self.terms.deadline && self.writes.iter().any(is_apart) => {
                    tokio::time::sleep(EPOCH_PAUSE).await;
                    self.send_again(&mut flight);
                }
                None => break,
            }
        }
        let failed = self.failures();
        self.follow_up(flight.leave());
        failed
    }

    /// Sends the same records again to members that went by another topology: if it is the newer one, under that, to all of
    /// its members, with counts that start again; acknowledgements of different epochs are never added.
    fn send_again(&mut self, flight: &mut Flight<'_>) {
        let view = self.cluster.view();
        let epoch = view.topology.epoch();
        if epoch > self.terms.epoch {
            self.terms.epoch = epoch;
            flight.terms.epoch = epoch;
            for write in self.writes.iter_mut().filter(|write| write.quorum.standing() != Standing::Met) {
                let placement = view.topology.at(slot_of(&write.key));
                let requirement = view.seating.requirement(write.level, placement);
                write.members = requirement.nodes().to_vec();
                write.quorum.restart(requirement, epoch);
                write.quorum.acknowledged(self.cluster.me(), epoch);
                write.apart.clone_from(&write.members);
            }
        }
        flight.send(self.errands(|(write, node)| write.apart.contains(&node)));
        self.writes.iter_mut().for_each(|write| write.apart.clear());
    }

    /// One errand for each write and member that `wants` it.
    fn errands(&self, wants: impl Fn((&Write, NodeNumber)) -> bool) -> BTreeMap<NodeNumber, Vec<Errand<'_>>> {
        let mut errands: BTreeMap<NodeNumber, Vec<Errand<'_>>> = BTreeMap::new();
        for (job, write) in self.writes.iter().enumerate() {
            let item = WriteItem {
                origin: wire::Origin::Fresh,
                database: write.database,
                fence: write.fence,
                key: &write.key,
                record: &write.record,
            };
            let others = write.members.iter().filter(|node| **node != self.cluster.me());
            for node in others.filter(|node| wants((write, **node))) {
                errands.entry(*node).or_default().push(Errand::Write { job, item });
            }
        }
        errands
    }

    fn failures(&self) -> Vec<(usize, Failure)> {
        let waited = self.terms.now.elapsed().as_millis() as u64;
        let view = self.cluster.view();
        let undecided = self.writes.iter().filter(|write| write.quorum.standing() != Standing::Met);
        let failed: Vec<_> = undecided
            .map(|write| {
                let told = write.quorum.timeout(waited).told(&view.seating);
                (write.index, Failure::TimedOut(told.into()))
            })
            .collect();
        ClusterStats::add(&self.cluster.stats().timeouts, failed.len() as u64);
        failed
    }

    /// Waits in the background for what is still on its way, then leaves hints.
    fn follow_up(self, sent: Vec<Sent>) {
        let Spread { cluster, terms, mut writes } = self;
        if writes.iter_mut().all(|write| write.quorum.silent().next().is_none()) {
            return leave_hints(&mut writes, cluster, cluster.hints());
        }
        cluster.follow(LateWrites { writes, sent, deadline: terms.deadline, epoch: terms.epoch });
    }
}

/// Writes whose client has been answered.
pub(in crate::coordinator) struct LateWrites {
    writes: Vec<Write>,
    sent: Vec<Sent>,
    deadline: Instant,
    epoch: Epoch,
}

impl Cluster {
    /// Follows writes up until all members have acknowledged them or their time is over.
    fn follow(&self, late: LateWrites) {
        let Some(cluster) = self.itself() else { return };
        self.late().spawn(async move {
            let LateWrites { mut writes, mut sent, deadline, epoch } = late;
            while !sent.is_empty() {
                match tokio::time::timeout_at(deadline, next_of(&mut sent)).await {
                    Ok(arrived) => receive(&mut writes, arrived, (&cluster, epoch)),
                    Err(_) => break,
                }
            }
            leave_hints(&mut writes, &cluster, cluster.hints());
        });
    }
}

fn leave_hints(writes: &mut [Write], cluster: &Cluster, hints: &Arc<dyn KeepHints>) {
    for write in writes {
        for node in write.quorum.hint() {
            ClusterStats::add(&cluster.stats().hinted, 1);
            hints.keep(node, write.database, &write.key, &write.record);
        }
    }
}

fn receive(writes: &mut [Write], arrived: Arrived, (cluster, epoch): (&Cluster, Epoch)) {
    let Arrived { node, jobs, frame } = arrived;
    let answer = frame.as_ref().and_then(|frame| Answer::decode(frame).ok().map(|answer| (frame.header, answer)));
    match answer {
        Some((header, Answer::Write(items))) if items.len() == jobs.len() && header.epoch == epoch => {
            for (job, item) in jobs.into_iter().zip(items) {
                count(&mut writes[job], node, (epoch, item));
            }
        }
        other => {
            let is_apart = other.as_ref().is_some_and(|(header, _)| header.epoch != epoch);
            if let Some((_, answer)) = other.filter(|_| is_apart) {
                cluster.members().meets_topology(node, help(&answer));
            }
            for job in jobs {
                if is_apart {
                    writes[job].apart.push(node);
                } else {
                    writes[job].quorum.failed(node);
                }
            }
        }
    }
}

fn count(write: &mut Write, node: NodeNumber, (epoch, answer): (Epoch, WriteAnswer<'_>)) -> WriteAction {
    match answer {
        WriteAnswer::Merged => write.quorum.acknowledged(node, epoch),
        WriteAnswer::Ignored | WriteAnswer::Refused(_) => write.quorum.failed(node),
    }
}
