//! A proposer's part: attempts with rising ballots until a majority of the keepers has accepted one.
//!
//! Invariant: answers are counted per keeper, never per message; those of nodes that are no keepers count for nothing.
//! Invariant: a value of its own is sent only if no promise of the majority names an accepted one.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::paxos::{Accept, Accepted, Answer, Ballot, Decided, MAX_KEEPERS, Prepare, Promise, Refused, Request, Value};
use crate::types::{Epoch, NodeId};

/// The first attempt that failed is followed by a wait of up to this. A few round trips and syncs.
pub const MIN_BACK_OFF: Duration = Duration::from_millis(40);

/// Waits double with each attempt up to this.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(2);

/// A proposer of one value in one instance.
#[derive(Clone, Debug)]
pub struct Proposer {
    me: NodeId,
    instance: Epoch,
    keepers: BTreeSet<NodeId>,
    own: Value,

    ballot: Ballot,
    /// Highest round that anybody was heard to use.
    highest_round: u64,
    attempts: u32,
    refused: BTreeSet<NodeId>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Not started, or an attempt that cannot succeed any more.
    Idle,
    Preparing {
        promised: BTreeSet<NodeId>,
        highest: Option<(Ballot, Value)>,
    },
    Accepting {
        value: Value,
        accepted: BTreeSet<NodeId>,
    },
    Over,
}

/// What an answer led to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Nothing to do but wait for more answers.
    Wait,
    /// A majority has promised: this goes to all keepers.
    Send(Request),
    /// This attempt cannot succeed: wait for [`Proposer::back_off`], then [`Proposer::start`] again.
    Retry,
    /// The instance is decided. Told once.
    Decided {
        /// The value; the proposer makes it known to all.
        decided: Decided,
        /// Whether it is the value that this proposer was made for. If not, it makes a new one from what was decided.
        is_own: bool,
    },
    /// A later instance is decided already, so this one is too. Told once.
    Overtaken(Decided),
}

impl Proposer {
    /// A proposer of `own` in the instance whose keepers are `keepers`.
    ///
    /// # Panics
    /// If the number of keepers is not 1, 3, 5 or 7.
    #[must_use]
    pub fn new(me: NodeId, instance: Epoch, keepers: BTreeSet<NodeId>, own: Value) -> Self {
        assert!(keepers.len() % 2 == 1 && keepers.len() <= MAX_KEEPERS, "{} keepers", keepers.len());
        let ballot = Ballot { round: 0, proposer: me };
        let (refused, phase) = (BTreeSet::new(), Phase::Idle);
        Proposer { me, instance, keepers, own, ballot, highest_round: 0, attempts: 0, refused, phase }
    }

    /// Those that its requests go to.
    #[must_use]
    pub fn keepers(&self) -> &BTreeSet<NodeId> {
        &self.keepers
    }

    /// Begins an attempt, above every round heard of: this goes to all keepers. Answers to earlier attempts count no more.
    ///
    /// # Panics
    /// If the instance is over.
    #[must_use]
    pub fn start(&mut self) -> Request {
        assert!(!matches!(self.phase, Phase::Over), "nothing is proposed in an instance that is over");
        self.highest_round = self.highest_round.saturating_add(1);
        self.ballot = Ballot { round: self.highest_round, proposer: self.me };
        self.attempts = self.attempts.saturating_add(1);
        self.refused.clear();
        self.phase = Phase::Preparing { promised: BTreeSet::new(), highest: None };
        Request::Prepare(Prepare { instance: self.instance, ballot: self.ballot })
    }

    /// What follows from the answer of `from`.
    pub fn receive(&mut self, from: NodeId, answer: &Answer) -> Progress {
        if matches!(self.phase, Phase::Over) {
            return Progress::Wait;
        }
        match answer {
            Answer::Decided(decided) => self.decided(decided),
            _ if !self.keepers.contains(&from) => Progress::Wait,
            Answer::Promise(promise) if self.is_current(promise.instance, promise.ballot) => {
                self.promised(from, promise)
            }
            Answer::Accepted(Accepted { instance, ballot }) if self.is_current(*instance, *ballot) => {
                self.accepted(from)
            }
            Answer::Refused(refused) if self.is_current(refused.instance, refused.ballot) => {
                self.refused(from, refused)
            }
            Answer::Promise(_) | Answer::Accepted(_) | Answer::Refused(_) => Progress::Wait,
        }
    }

    /// How long to wait before the next attempt: `random`, any number, chooses evenly from a window that doubles with each
    /// attempt, so that of two in a duel one soon has the time it needs.
    #[must_use]
    pub fn back_off(&self, random: u64) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(16);
        let window = MIN_BACK_OFF.saturating_mul(1 << doublings).min(MAX_BACK_OFF);
        let nanos = (u128::from(random) * window.as_nanos()) >> u64::BITS;
        Duration::from_nanos(nanos as u64)
    }

    fn is_current(&self, instance: Epoch, ballot: Ballot) -> bool {
        instance == self.instance && ballot == self.ballot
    }

    fn majority(&self) -> usize {
        self.keepers.len() / 2 + 1
    }

    fn promised(&mut self, from: NodeId, promise: &Promise) -> Progress {
        let majority = self.majority();
        let Phase::Preparing { promised, highest } = &mut self.phase else { return Progress::Wait };
        promised.insert(from);
        let is_higher = |(ballot, _): &&(Ballot, Value)| highest.as_ref().is_none_or(|(best, _)| ballot > best);
        if let Some(accepted) = promise.accepted.as_ref().filter(is_higher) {
            *highest = Some(accepted.clone());
        }
        if promised.len() < majority {
            return Progress::Wait;
        }
        let value = highest.take().map_or_else(|| self.own.clone(), |(_, value)| value);
        self.phase = Phase::Accepting { value: value.clone(), accepted: BTreeSet::new() };
        self.refused.clear();
        Progress::Send(Request::Accept(Accept { instance: self.instance, ballot: self.ballot, value }))
    }

    fn accepted(&mut self, from: NodeId) -> Progress {
        let majority = self.majority();
        let Phase::Accepting { value, accepted } = &mut self.phase else { return Progress::Wait };
        accepted.insert(from);
        if accepted.len() < majority {
            return Progress::Wait;
        }
        let decided = Decided { instance: self.instance, value: value.clone() };
        self.decided(&decided)
    }

    fn refused(&mut self, from: NodeId, refused: &Refused) -> Progress {
        self.highest_round = self.highest_round.max(refused.promised.round);
        // A doubled request is refused for its own sake: the first of the two had another answer.
        if refused.promised <= self.ballot || matches!(self.phase, Phase::Idle) {
            return Progress::Wait;
        }
        self.refused.insert(from);
        if self.keepers.len() - self.refused.len() >= self.majority() {
            return Progress::Wait;
        }
        self.phase = Phase::Idle;
        Progress::Retry
    }

    fn decided(&mut self, decided: &Decided) -> Progress {
        if decided.instance < self.instance {
            return Progress::Wait;
        }
        self.phase = Phase::Over;
        if decided.instance > self.instance {
            return Progress::Overtaken(decided.clone());
        }
        Progress::Decided { decided: decided.clone(), is_own: decided.value == self.own }
    }
}
