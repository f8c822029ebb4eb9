//! The first round of a write at the QUORUM family: what a majority has seen, so that the write covers it.
//!
//! *Breaks otherwise:* `SET k 1` acknowledged by a, c; then `DEL k` via b, which had not got it: the tombstone does not cover
//! the value, and k reads 1 for ever.

use crate::causality::{Context, ContextFull};
use crate::quorum::{Digest, LiveDot, MemberSet, Requirement, Stage, Standing, Timeout};
use crate::types::{Epoch, NodeNumber};

/// What one member answers to the query: its record without payloads; a digest of nothing if it has none.
pub type QueryAnswer = Digest;

/// Asks members for their contexts until a majority has answered. The coordinator's own answer is one of them.
#[derive(Clone, Debug)]
pub struct QueryQuorum {
    requirement: Requirement,
    epoch: Epoch,
    asked: MemberSet,
    answered: MemberSet,
    failed: MemberSet,
    seen: Context,
    /// What the answers make together, to tell which versions are live. Cut at the greatest floor, which `seen` is not.
    together: Digest,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryAction {
    /// Nothing: answers are awaited.
    Wait,
    /// Write: [`QueryQuorum::contexts`] says what the write has to cover.
    Write,
    /// Answer that it took too long: a majority is out of reach. Nothing was written.
    GiveUp,
    /// Answer with this error: together the contexts name too many actors.
    Refuse(ContextFull),
}

/// What a majority has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contexts {
    /// All that the write has to cover.
    pub seen: Context,
    /// The versions that are live after all answers: whether one is unexpired is what DEL answers.
    pub live: Vec<LiveDot>,
    /// All members have answered that they have no record: a DEL then stores nothing.
    pub is_known_nowhere: bool,
}

impl QueryQuorum {
    /// A query for what `requirement` (of [`Requirement::of_query`]) says.
    #[must_use]
    pub fn new(requirement: Requirement, epoch: Epoch) -> Self {
        let none = MemberSet::EMPTY;
        let (seen, together) = (Context::new(), Digest::default());
        QueryQuorum { requirement, epoch, asked: none, answered: none, failed: none, seen, together }
    }

    /// Whom to ask, at first and after each failure: of the members `order`, nearest first, as many as are needed beside
    /// those that were asked and have not failed.
    pub fn ask(&mut self, order: &[NodeNumber]) -> Vec<NodeNumber> {
        let order: Vec<_> = order.iter().copied().filter(|node| !self.has_failed(*node)).collect();
        let chosen = self.requirement.choose(self.asked.without(self.failed), &order);
        self.asked = self.asked.or(chosen);
        self.requirement.nodes_of(chosen).collect()
    }

    /// A member has answered in `epoch`.
    pub fn answered(&mut self, from: NodeNumber, epoch: Epoch, answer: &QueryAnswer) -> QueryAction {
        let Some(index) = self.requirement.index_of(from).filter(|_| epoch == self.epoch) else {
            return self.action();
        };
        if !self.answered.has(index) {
            match (self.together.joined(answer), self.seen.join(&answer.context)) {
                (Some(together), Ok(())) => self.together = together,
                _ => return QueryAction::Refuse(ContextFull),
            }
            self.answered.insert(index);
        }
        self.action()
    }

    /// A member will not answer.
    pub fn failed(&mut self, from: NodeNumber) -> QueryAction {
        if let Some(index) = self.requirement.index_of(from).filter(|index| !self.answered.has(*index)) {
            self.failed.insert(index);
        }
        self.action()
    }

    /// What is to be done now.
    #[must_use]
    pub fn action(&self) -> QueryAction {
        match self.requirement.standing(self.answered, self.failed) {
            Standing::Pending => QueryAction::Wait,
            Standing::Met => QueryAction::Write,
            Standing::OutOfReach => QueryAction::GiveUp,
        }
    }

    /// What has been seen by those that answered.
    #[must_use]
    pub fn contexts(self) -> Contexts {
        let has_nothing = self.seen.is_empty() && self.together.is_empty();
        let is_known_nowhere = has_nothing && self.answered == self.requirement.everyone();
        Contexts { seen: self.seen, live: self.together.live.into_vec(), is_known_nowhere }
    }

    /// What is said when the time is over.
    #[must_use]
    pub fn timeout(&self, waited_ms: u64) -> Timeout {
        self.requirement.timeout(Stage::Query, self.answered, waited_ms)
    }

    fn has_failed(&self, node: NodeNumber) -> bool {
        self.requirement.index_of(node).is_some_and(|index| self.failed.has(index))
    }
}
