//! A read: one record and digests of others, their merge where they differ, and its write-back until enough members hold it.
//!
//! ```text
//! asking    the nearest member for its record, others for digests, until the level is met
//! comparing all equal: that record;  else the records that differ (if one includes all others: only that), merged
//! writing   the merged record to the asked members that lack it, then to further ones, until the level holds it
//! done      members that lack it are sent it in the background; so are those that answer late
//! ```
//!
//! Invariant: what is answered is held by as many members as the level says: of each list, durably. "Ignored" is no holding.
//! *Breaks otherwise:* a read shows a value that one member has, the next read, of the others, shows the one before.

use smallvec::SmallVec;

use crate::causality::{ContextFull, PlanError, PurgeBounds, Record, Time, merge};
use crate::quorum::{Digest, MemberSet, Requirement, Stage, Standing, Timeout};
use crate::types::{Epoch, NodeNumber};

/// What a member is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its record.
    Record,
    /// The digest of it.
    Digest,
}

/// A request to one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whom.
    pub node: NodeNumber,
    /// For what.
    pub form: Form,
}

/// A member's record, as it answers it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The record; an empty one if it has none.
    pub record: Record,
    /// Its purge floor for the arc.
    pub floor: Time,
    /// Its clock.
    pub hlc: Time,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAction {
    /// Nothing: answers are awaited, or all has been done.
    Wait,
    /// Ask these.
    Ask(Vec<Ask>),
    /// Send [`ReadQuorum::merged`] to these and wait for what they say.
    WriteBack(Vec<NodeNumber>),
    /// Answer the client with [`ReadQuorum::merged`]; send it to these without waiting.
    Done(Vec<NodeNumber>),
    /// Answer that it took too long: the level is out of reach.
    GiveUp,
    /// Answer with this error: what the members hold does not fit into one record.
    Refuse(PlanError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Asking,
    Comparing,
    Writing,
    Done,
}

/// What a member has said.
#[derive(Clone, Debug, Default)]
struct Said {
    digest: Option<Digest>,
    record: Option<Record>,
}

type Nodes = SmallVec<[NodeNumber; 4]>;

/// Decides a read.
#[derive(Clone, Debug)]
pub struct ReadQuorum {
    requirement: Requirement,
    epoch: Epoch,
    /// The members that can be reached, nearest first.
    order: Nodes,
    step: Step,
    said: SmallVec<[Said; 4]>,
    /// Asked for a record or a digest, and not failed.
    asked: MemberSet,
    /// Asked for a record that has not come.
    fetching: MemberSet,
    failed: MemberSet,
    /// Whose answers make the read.
    voters: MemberSet,
    merged: Option<(Record, Digest)>,
    /// Hold what was merged.
    holders: MemberSet,
    /// Were sent it.
    sent: MemberSet,
}

impl ReadQuorum {
    /// A read of what `requirement` says, from the reachable members `order`, nearest first.
    #[must_use]
    pub fn new(requirement: Requirement, epoch: Epoch, order: &[NodeNumber]) -> Self {
        let none = MemberSet::EMPTY;
        let said = requirement.nodes().iter().map(|_| Said::default()).collect();
        ReadQuorum {
            requirement,
            epoch,
            order: SmallVec::from_slice(order),
            step: Step::Asking,
            said,
            asked: none,
            fetching: none,
            failed: none,
            voters: none,
            merged: None,
            holders: none,
            sent: none,
        }
    }

    /// Whom to ask first.
    pub fn begin(&mut self) -> ReadAction {
        self.ask()
    }

    /// A member has answered with its digest, in `epoch`.
    pub fn digest(&mut self, from: NodeNumber, epoch: Epoch, digest: Digest) -> ReadAction {
        match self.requirement.index_of(from).filter(|_| epoch == self.epoch) {
            Some(index) if self.said[index].digest.is_none() => self.take(index, digest, None),
            _ => ReadAction::Wait,
        }
    }

    /// A member has answered with its record, in `epoch`.
    pub fn record(&mut self, from: NodeNumber, epoch: Epoch, reading: Reading) -> ReadAction {
        let Some(index) = self.requirement.index_of(from).filter(|_| epoch == self.epoch) else {
            return ReadAction::Wait;
        };
        if self.said[index].record.is_some() {
            return ReadAction::Wait;
        }
        let digest = Digest::of(&reading.record.view(), reading.floor, reading.hlc);
        self.take(index, digest, Some(reading.record))
    }

    /// A member will not answer what it was last asked, or has refused or ignored what it was sent.
    pub fn failed(&mut self, from: NodeNumber) -> ReadAction {
        let Some(index) = self.requirement.index_of(from) else { return ReadAction::Wait };
        let is_awaited = match self.step {
            Step::Asking | Step::Comparing => self.fetching.has(index) || self.said[index].digest.is_none(),
            Step::Writing => !self.holders.has(index),
            Step::Done => false,
        };
        if self.failed.has(index) || !is_awaited {
            return ReadAction::Wait;
        }
        self.failed.insert(index);
        let gone = MemberSet::of(index);
        self.asked = self.asked.without(gone);
        self.fetching = self.fetching.without(gone);
        if self.step == Step::Comparing && self.voters.has(index) {
            // What it said cannot be had from it, so it counts as if it had said nothing.
            self.said[index] = Said::default();
            self.voters = self.voters.without(gone);
            self.step = Step::Asking;
        }
        self.go_on()
    }

    /// A member holds durably what it was sent, and said so in `epoch`.
    pub fn stored(&mut self, from: NodeNumber, epoch: Epoch) -> ReadAction {
        match self.requirement.index_of(from).filter(|_| epoch == self.epoch && self.step == Step::Writing) {
            Some(index) if self.sent.has(index) && !self.holders.has(index) => {
                self.holders.insert(index);
                self.go_on()
            }
            _ => ReadAction::Wait,
        }
    }

    /// Whom to ask beside, because one of those asked is slow; when, [`crate::quorum::HedgeBudget`] says. The nearest member
    /// that was not asked and could stand in for one that is awaited.
    pub fn hedge(&mut self) -> Option<Ask> {
        if self.step != Step::Asking {
            return None;
        }
        let out = self.asked.or(self.failed);
        let is_fresh = |node: &NodeNumber| self.requirement.index_of(*node).is_some_and(|index| !out.has(index));
        let fresh: Nodes = self.order.iter().copied().filter(is_fresh).collect();
        let useful = self.requirement.choose(self.answered(), &fresh);
        let node = fresh.into_iter().find(|node| self.is_in(useful, *node))?;
        Some(self.request(node))
    }

    /// The record that answers the read.
    #[must_use]
    pub fn merged(&self) -> Option<&Record> {
        self.merged.as_ref().map(|(record, _)| record)
    }

    /// The time at which expiry is judged: the greatest of the replies' clocks and of `own`.
    #[must_use]
    pub fn judged_at(&self, own: Time) -> Time {
        let replies = self.voters.iter().filter_map(|index| self.said.get(index)?.digest.as_ref());
        replies.fold(own, |latest, digest| latest.max(digest.hlc))
    }

    /// What is said when the time is over.
    #[must_use]
    pub fn timeout(&self, waited_ms: u64) -> Timeout {
        match self.step {
            Step::Asking => self.requirement.timeout(Stage::Read, self.answered(), waited_ms),
            Step::Comparing => {
                let here = self.voters.without(self.fetching);
                self.requirement.timeout(Stage::Read, here, waited_ms)
            }
            Step::Writing | Step::Done => self.requirement.timeout(Stage::WriteBack, self.holders, waited_ms),
        }
    }

    fn take(&mut self, index: usize, digest: Digest, record: Option<Record>) -> ReadAction {
        let is_late = self.step == Step::Done;
        let lacks = self.merged.as_ref().is_some_and(|(_, merged)| !digest.includes(merged));
        self.fetching = self.fetching.without(MemberSet::of(index));
        let said = &mut self.said[index];
        said.digest = Some(digest);
        said.record = record.or(said.record.take());
        if is_late {
            return self.repair(index, lacks);
        }
        if self.step == Step::Writing && !lacks {
            self.holders.insert(index);
        }
        self.go_on()
    }

    /// A late answer: if the member lacks what was read, it is sent it.
    fn repair(&mut self, index: usize, lacks: bool) -> ReadAction {
        let node = self.requirement.nodes().get(index).copied();
        match node.filter(|_| lacks && !self.sent.has(index)) {
            Some(node) => {
                self.sent.insert(index);
                ReadAction::Done(vec![node])
            }
            None => ReadAction::Wait,
        }
    }

    fn go_on(&mut self) -> ReadAction {
        match self.step {
            Step::Asking => match self.requirement.standing(self.answered(), self.failed) {
                Standing::OutOfReach => ReadAction::GiveUp,
                Standing::Pending => self.ask(),
                Standing::Met => {
                    self.voters = self.answered();
                    self.step = Step::Comparing;
                    self.compare()
                }
            },
            Step::Comparing => self.compare(),
            Step::Writing => self.write_back(),
            Step::Done => ReadAction::Wait,
        }
    }

    /// Asks as many more as are needed beside those asked; the first of all for its record.
    fn ask(&mut self) -> ReadAction {
        let chosen = self.requirement.choose(self.asked, &self.reachable());
        let nodes: Nodes = self.order.iter().copied().filter(|node| self.is_in(chosen, *node)).collect();
        if nodes.is_empty() {
            return if self.asked.without(self.answered()).is_empty() { ReadAction::GiveUp } else { ReadAction::Wait };
        }
        ReadAction::Ask(nodes.into_iter().map(|node| self.request(node)).collect())
    }

    fn request(&mut self, node: NodeNumber) -> Ask {
        let has_record = self.said.iter().any(|said| said.record.is_some());
        let form = if has_record || !self.fetching.is_empty() { Form::Digest } else { Form::Record };
        if let Some(index) = self.requirement.index_of(node) {
            self.asked.insert(index);
            if form == Form::Record {
                self.fetching.insert(index);
            }
        }
        Ask { node, form }
    }

    /// Compares what the voters said; once all records that are needed are here, merges them.
    fn compare(&mut self) -> ReadAction {
        let needed = match self.needed() {
            Ok(needed) => needed,
            Err(error) => return ReadAction::Refuse(error),
        };
        let mut asks = Vec::new();
        let mut records = Vec::new();
        for class in &needed {
            if let Some(index) = class.iter().find(|index| self.said[*index].record.is_some()) {
                records.push(index);
            } else if class.and(self.fetching).is_empty() {
                asks.extend(class.iter().next().and_then(|index| self.requirement.nodes().get(index).copied()));
            }
        }
        if records.len() < needed.len() {
            for index in asks.iter().filter_map(|node| self.requirement.index_of(*node)) {
                self.fetching.insert(index);
            }
            let asks: Vec<_> = asks.into_iter().map(|node| Ask { node, form: Form::Record }).collect();
            return if asks.is_empty() { ReadAction::Wait } else { ReadAction::Ask(asks) };
        }
        match self.merge(&records) {
            Ok(merged) => self.settle(merged),
            Err(error) => ReadAction::Refuse(error),
        }
    }

    /// Voters that said the same, in classes: only that one which includes all others if there is one, else all.
    fn needed(&self) -> Result<Vec<MemberSet>, PlanError> {
        let mut classes: Vec<MemberSet> = Vec::with_capacity(1);
        for (index, digest) in self.digests(self.voters) {
            let says_same = |class: &&mut MemberSet| self.digests(**class).all(|(_, other)| other.says_same(digest));
            match classes.iter_mut().find(says_same) {
                Some(class) => class.insert(index),
                None => classes.push(MemberSet::of(index)),
            }
        }
        if classes.len() > 1 {
            let mut together = Digest::default();
            for (_, digest) in self.digests(self.voters) {
                together = together.joined(digest).ok_or(PlanError::Context(ContextFull))?;
            }
            let includes_all = |class: &&MemberSet| self.digests(**class).any(|(_, one)| one.says_same(&together));
            if let Some(class) = classes.iter().find(includes_all) {
                return Ok(vec![*class]);
            }
        }
        Ok(classes)
    }

    fn digests(&self, members: MemberSet) -> impl Iterator<Item = (usize, &Digest)> {
        members.iter().filter_map(|index| Some((index, self.said.get(index)?.digest.as_ref()?)))
    }

    fn merge(&self, records: &[usize]) -> Result<(Record, Digest), PlanError> {
        let mut merged: Option<Record> = None;
        for record in records.iter().filter_map(|index| self.said.get(*index)?.record.as_ref()) {
            merged = Some(match merged {
                None => record.clone(),
                // No bounds: what a replica refuses, it refuses when it is sent the record.
                Some(merged) => merge(&merged.view(), &record.view(), PurgeBounds::default())?.plan.to_record(),
            });
        }
        let record = merged.expect("a level is met by at least one answer");
        let floor = self.digests(self.voters).map(|(_, digest)| digest.floor).max().unwrap_or_default();
        let digest = Digest::of(&record.view(), floor, Time::ZERO);
        Ok((record, digest))
    }

    fn settle(&mut self, merged: (Record, Digest)) -> ReadAction {
        let everyone = self.requirement.everyone();
        let holding = self.digests(everyone).filter(|(_, digest)| digest.includes(&merged.1));
        let holders = holding.fold(MemberSet::EMPTY, |set, (index, _)| set.or(MemberSet::of(index)));
        self.holders = holders;
        self.merged = Some(merged);
        self.step = Step::Writing;
        // A member that failed to answer may well take a record; only what it says to that counts now.
        self.failed = MemberSet::EMPTY;
        self.write_back()
    }

    fn write_back(&mut self) -> ReadAction {
        let lacking = self.answered().without(self.holders).without(self.sent);
        match self.requirement.standing(self.holders, self.failed) {
            Standing::Met => {
                self.step = Step::Done;
                self.sent = self.sent.or(lacking);
                ReadAction::Done(self.requirement.nodes_of(lacking).collect())
            }
            Standing::OutOfReach => ReadAction::GiveUp,
            Standing::Pending => {
                let under_way = self.holders.or(self.sent.without(self.failed)).or(lacking);
                let further = self.requirement.choose(under_way, &self.reachable());
                let to = lacking.or(further).without(self.sent);
                self.sent = self.sent.or(to);
                if !to.is_empty() {
                    return ReadAction::WriteBack(self.requirement.nodes_of(to).collect());
                }
                let awaited = self.sent.without(self.holders).without(self.failed);
                if awaited.is_empty() { ReadAction::GiveUp } else { ReadAction::Wait }
            }
        }
    }

    fn answered(&self) -> MemberSet {
        let mut answered = MemberSet::EMPTY;
        for (index, _) in self.said.iter().enumerate().filter(|(_, said)| said.digest.is_some()) {
            answered.insert(index);
        }
        answered
    }

    fn reachable(&self) -> Nodes {
        self.order.iter().copied().filter(|node| !self.is_in(self.failed, *node)).collect()
    }

    fn is_in(&self, set: MemberSet, node: NodeNumber) -> bool {
        self.requirement.index_of(node).is_some_and(|index| set.has(index))
    }
}
