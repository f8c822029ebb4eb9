//! Carries out operations in a cluster: rounds of messages for all operations of a batch together.
//!
//! ```text
//! 1  ask      what has a majority seen (writes of the QUORUM family), what do R members hold (reads, read-modify-writes)
//! 2  answer   reads, from what the members hold together, once R of them hold it
//! 3  write    here, under the key's lock, covering what was seen; then the records to all other members
//! 4  wait     until each write is held by W members; what is missing later becomes a hint
//! ```
//!
//! A batch goes through in *segments*: a read of a key that an earlier operation of the batch writes begins the next one, so
//! that commands of a connection take effect in their order. One query per key serves all writes of a segment to it: all
//! were received before it began.
//!
//! A read-modify-write first merges what a majority holds into the record here, and computes from that under the key's lock,
//! so those of one coordinator never lose each other's effect.
//!
//! Invariant: an outcome is shown only once this node's own part of it is durable too: the batch's position covers it.
//! Invariant: at most one message to each member leaves at a time for everything that became due together.
//! Left out: operations on whole databases, which are about this node's share; forwarding, which is about commands.

mod ask;
mod flight;
mod pass;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio::time::Instant;

use crate::causality::{Context, Time};
use crate::coordinator::cluster::{Cluster, ClusterStats, Reached, View};
use crate::coordinator::forward::coordinates;
use crate::coordinator::replicated::ask::{Ask, Asked};
use crate::coordinator::replicated::spread::Spread;
use crate::coordinator::{Batch, Coordinator, Levels, Patience};
use crate::peer::Terms;
use crate::quorum::{Contexts, Level, LiveDot, Purpose};
use crate::replica::{Action, Applied, Existed, Failure, Operand, Operation, Outcome, Replica, Replication};
use crate::types::{Database, NodeNumber, Stamp, slot_of};

/// How long is waited for a member that goes by another topology: for it to catch up, or for this node to.
const EPOCH_PAUSE: Duration = Duration::from_millis(3);

/// Whether the members go by the topology of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Epochs {
    /// All that matter.
    Agree,
    /// One does not, and there was no going on without it.
    Differ,
}

/// One segment under way.
struct Segment<'a> {
    cluster: &'a Cluster,
    view: Arc<View>,
    terms: Terms,
    /// What is asked about each cell.
    asks: Vec<Ask>,
    /// For each operation of the segment: its ask, if it has one, or why it is not carried out.
    plans: Vec<Result<Option<usize>, Failure>>,
}

impl Coordinator {
    /// Carries out operations in order until `until`.
    pub(super) async fn replicate(&self, cluster: &Cluster, batch: &mut Batch, input: &[u8], until: usize) {
        while batch.done < until {
            let end = segment_end(batch, input, until);
            if end == batch.done {
                // About whole databases: this node's share.
                self.carry_on_here(batch, input, end + 1).await;
            } else {
                self.replicate_segment(cluster, batch, input, end).await;
            }
        }
    }

    async fn replicate_segment(&self, cluster: &Cluster, batch: &mut Batch, input: &[u8], end: usize) {
        let now = Instant::now();
        let deadline = now + cluster.options().timeout;
        let mut view = cluster.view();
        let mut segment = loop {
            let (epoch, time) = (view.topology.epoch(), self.replica.reading());
            let terms = Terms { epoch, time, now, deadline };
            let mut segment = Segment { cluster, view: Arc::clone(&view), terms, asks: Vec::new(), plans: Vec::new() };
            segment.plan(batch, input, end);
            // Asking changes nothing, so it begins anew where a member goes by another topology.
            if self.ask_all(&mut segment, batch).await == Epochs::Agree || Instant::now() + EPOCH_PAUSE >= deadline {
                break segment;
            }
            tokio::time::sleep(EPOCH_PAUSE).await;
            view = cluster.view();
        };
        let mut spread = Spread::new(cluster, segment.terms);
        for (offset, index) in (batch.done..end).enumerate() {
            let outcome = match segment.plans[offset].clone() {
                Ok(ask) => self.carry_out(&mut segment, (batch, input), (index, ask), &mut spread).await,
                Err(failure) => Err(failure),
            };
            batch.settle(index, outcome);
        }
        for (index, failure) in spread.finish().await {
            batch.settle(index, Err(failure));
        }
        batch.done = end;
    }

    /// Carries out one operation whose members have been asked; a write is handed to `spread`.
    async fn carry_out(
        &self,
        segment: &mut Segment<'_>,
        (batch, input): (&mut Batch, &[u8]),
        (index, ask): (usize, Option<usize>),
        spread: &mut Spread<'_>,
    ) -> Result<Outcome, Failure> {
        let operation = batch.operations[index];
        let asked = match ask.map(|ask| segment.asks[ask].asked()) {
            Some(asked) => asked?,
            None => Asked::Nothing,
        };
        if !operation.action.is_write() {
            let (record, time) = match asked {
                Asked::Record(record, time) => (record, time),
                _ => return self.apply_here((batch, input), index, (&Context::new(), &mut Vec::new())).await,
            };
            let mut work = batch.parts(input);
            work.now_ms = self.replica.now_ms(time.wall_ms());
            return Ok(self.replica.answer(&operation, &record.view(), work));
        }
        if let Some(members) = segment.elsewhere(&operation, batch.operand(operation.key, input)) {
            return self.pass_on((batch, input), index, &members).await;
        }
        let nothing = Contexts { seen: Context::new(), live: Vec::new(), is_known_nowhere: false };
        let contexts = match asked {
            Asked::Contexts(contexts) => contexts,
            _ => &nothing,
        };
        let mut record = Vec::new();
        let outcome = self.apply_here((batch, input), index, (&contexts.seen, &mut record)).await?;
        let outcome = with_answers(outcome, &contexts.live, self.replica.reading());
        if !record.is_empty() {
            ClusterStats::add(&segment.cluster.stats().writes, 1);
            let key = batch.operand(operation.key, input).to_vec();
            let arc = self.replica.arc_of(&key);
            let level = batch.levels(index).write;
            let requirement = segment.view.seating.requirement(level, segment.view.placement(arc));
            spread.add(index, (level, requirement), (operation.database, key, record), self.replica.fence(arc));
        }
        Ok(outcome)
    }

    /// Carries out one operation on this node's replica, covering `seen`; the record that was written is left behind.
    async fn apply_here(
        &self,
        (batch, input): (&mut Batch, &[u8]),
        index: usize,
        (seen, record): (&Context, &mut Vec<u8>),
    ) -> Result<Outcome, Failure> {
        let operation = batch.operations[index];
        let mut patience = Patience::default();
        loop {
            let mut work = batch.parts(input);
            work.replication = Some(Replication { seen, record });
            match self.replica.apply(&operation, work) {
                Applied::Done { outcome, position } => {
                    batch.raise_position(position);
                    return Ok(outcome);
                }
                Applied::Failed { failure, position } => {
                    batch.raise_position(position);
                    return Err(failure);
                }
                Applied::Cold => self.warm_one(batch, input, index).await?,
                Applied::Busy | Applied::Global => patience.wait().await?,
            }
        }
    }

    async fn warm_one(&self, batch: &mut Batch, input: &[u8], index: usize) -> Result<(), Failure> {
        let operation = batch.operations[index];
        let cell = Replica::cell(operation.database, batch.operand(operation.key, input));
        batch.fetched = self.fetch(vec![cell]).await?;
        Ok(())
    }
}

impl Segment<'_> {
    /// The members that have to carry out a write whose key this node does not hold, best first.
    fn elsewhere(&self, operation: &Operation, key: &[u8]) -> Option<Vec<NodeNumber>> {
        let placement = self.view.topology.at(slot_of(key));
        let is_elsewhere = operation.action.is_write() && !coordinates(placement, self.cluster.me());
        is_elsewhere.then(|| {
            let live = placement.nodes().filter(|node| self.cluster.reaches(*node));
            live.filter(|node| coordinates(placement, *node)).collect()
        })
    }

    /// Says of each operation whom it has to ask, or why it cannot be carried out.
    fn plan(&mut self, batch: &Batch, input: &[u8], end: usize) {
        let mut reached = Reached::new(self.cluster);
        let mut known: HashMap<(Database, Vec<u8>, bool), usize, FixedState> = HashMap::default();
        for index in batch.done..end {
            let operation = batch.operations[index];
            let key = batch.operand(operation.key, input);
            let plan = self.plan_one(&operation, key, (batch.levels(index), &mut reached)).map(|wanted| {
                let (is_query, make) = wanted?;
                let place = (operation.database, key.to_vec(), is_query);
                Some(*known.entry(place).or_insert_with(|| {
                    self.asks.push(make);
                    self.asks.len() - 1
                }))
            });
            self.plans.push(plan);
        }
    }

    /// What has to be asked for an operation, and whether that is a query; `None` if nothing has to be.
    fn plan_one(
        &self,
        operation: &Operation,
        key: &[u8],
        (Levels { read, write }, reached): (Levels, &mut Reached<'_>),
    ) -> Result<Option<(bool, Ask)>, Failure> {
        let arc = self.view.topology.layout().arc_of(slot_of(key));
        let (seating, placement) = (&self.view.seating, self.view.placement(arc));
        let mut check = |level, purpose| {
            let requirement = seating.requirement(level, placement);
            let up = requirement.set_of(requirement.nodes().iter().copied().filter(|node| reached.has(*node)));
            match requirement.shortfall(purpose, up) {
                None => Ok(requirement),
                Some(short) => {
                    ClusterStats::add(&self.cluster.stats().unavailable, 1);
                    Err(Failure::Unavailable(short.told(seating).into()))
                }
            }
        };
        let (epoch, cell) = (self.terms.epoch, (operation.database, key));
        if operation.action.is_write() && self.elsewhere(operation, key).is_some() {
            return Ok(None);
        }
        if !operation.action.is_write() {
            let requirement = check(read, Purpose::Read)?;
            self.cluster.note_read();
            return Ok(Some((false, Ask::read(cell, requirement, epoch, reached.order(placement)))));
        }
        check(write, Purpose::Write)?;
        if matches!(operation.action, Action::Change(..)) {
            let requirement = check(Level::Quorum, Purpose::Write)?;
            return Ok(Some((false, Ask::merge(cell, requirement, epoch, reached.order(placement)))));
        }
        // What a token names is what it covers: nobody is asked.
        let covers_all = matches!(operation.action, Action::Write { .. } | Action::Delete);
        let query = if covers_all { seating.query(write, placement) } else { None };
        ClusterStats::add(&self.cluster.stats().queries, u64::from(query.is_some()));
        Ok(query.map(|requirement| (true, Ask::query(cell, requirement, epoch, reached.order(placement)))))
    }
}

/// Where the segment that begins at the next operation ends: before an operation without a key, and before one that reads
/// what another one of the segment writes.
fn segment_end(batch: &Batch, input: &[u8], until: usize) -> usize {
    let mut written = 0_u64;
    for index in batch.done..until {
        let operation = batch.operations[index];
        if !operation.action.has_key() {
            return index;
        }
        let bit = 1 << (slot_of(batch.operand(operation.key, input)).0 % 64);
        if operation.action.is_write() {
            written |= bit;
        } else if written & bit != 0 {
            return index;
        }
    }
    until
}

/// A delete's outcome with what the members asked have shown: an unexpired version that this node had not heard of counts.
fn with_answers(outcome: Outcome, live: &[LiveDot], now: Time) -> Outcome {
    match outcome {
        Outcome::Deleted(Existed::No) if live.iter().any(|live| !live.is_expired(now.wall_ms())) => {
            Outcome::Deleted(Existed::Yes)
        }
        outcome => outcome,
    }
}

impl Action {
    /// Whether the action may change its cell.
    fn is_write(&self) -> bool {
        let supersedes = matches!(self, Action::ReplaceCovered { .. } | Action::RemoveCovered { .. });
        supersedes || matches!(self, Action::Write { .. } | Action::Delete | Action::Change(..))
    }
}

impl Batch {
    /// The bytes of an operand.
    pub(super) fn operand<'a>(&'a self, operand: Operand, input: &'a [u8]) -> &'a [u8] {
        match operand {
            Operand::Input(span) => span.of(input),
            Operand::Arena(span) => span.of(&self.arena),
        }
    }

    /// Sets the outcome of an operation; a later one takes the place of an earlier one.
    fn settle(&mut self, index: usize, outcome: Result<Outcome, Failure>) {
        self.outcomes[index] = outcome.unwrap_or_else(|failure| {
            self.failures.push(failure);
            Outcome::Failed(self.failures.len() - 1)
        });
    }

    /// Raises the position to that of what a member shows of itself.
    fn note_shown(&mut self, position: Stamp) {
        self.raise_position(position);
    }
}
