//! The second round of a write, or its only one: acknowledgements, and who needs a hint.

use crate::quorum::{MemberSet, Requirement, Stage, Standing, Timeout};
use crate::types::{Epoch, NodeNumber};

/// Counts the members that have a write durably. The record is sent to all members, of both lists while the arc moves.
#[derive(Clone, Debug)]
pub struct WriteQuorum {
    requirement: Requirement,
    epoch: Epoch,
    acknowledged: MemberSet,
    failed: MemberSet,
    hinted: MemberSet,
    /// Whether the client has been answered, one way or the other.
    is_answered: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAction {
    /// Nothing: acknowledgements are awaited, or all has been done.
    Wait,
    /// Answer the client: the write is acknowledged at its level. Acknowledgements that are still awaited may come late.
    Reply,
    /// Answer that it took too long: the level is out of reach. The write may still take effect.
    GiveUp,
    /// Drop the hint that was written for this member: it has the write.
    DropHint(NodeNumber),
}

impl WriteQuorum {
    /// Counts for a record that is about to be sent to all members in `epoch`.
    #[must_use]
    pub fn new(requirement: Requirement, epoch: Epoch) -> Self {
        let none = MemberSet::EMPTY;
        WriteQuorum { requirement, epoch, acknowledged: none, failed: none, hinted: none, is_answered: false }
    }

    /// A newer epoch was met: the same record is sent again to all members of the new topology, and the count starts again.
    /// What was acknowledged before counts for nothing there: that member may have left the list, or dropped what it had.
    pub fn restart(&mut self, requirement: Requirement, epoch: Epoch) {
        assert!(epoch > self.epoch, "a write goes on in a newer epoch, not from {} in {}", self.epoch.0, epoch.0);
        *self = WriteQuorum { is_answered: self.is_answered, ..WriteQuorum::new(requirement, epoch) };
    }

    /// A member has the write durably, and said so in `epoch`.
    pub fn acknowledged(&mut self, from: NodeNumber, epoch: Epoch) -> WriteAction {
        let index = self.requirement.index_of(from).filter(|_| epoch == self.epoch);
        let Some(index) = index.filter(|index| !self.acknowledged.has(*index)) else { return WriteAction::Wait };
        self.acknowledged.insert(index);
        if self.hinted.has(index) {
            return WriteAction::DropHint(from);
        }
        self.answer()
    }

    /// A member will not acknowledge: it cannot be reached, or it refused or ignored the record.
    pub fn failed(&mut self, from: NodeNumber) -> WriteAction {
        let index = self.requirement.index_of(from).filter(|index| !self.acknowledged.has(*index));
        let Some(index) = index else { return WriteAction::Wait };
        self.failed.insert(index);
        self.answer()
    }

    /// Whether the level is met.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.requirement.standing(self.acknowledged, self.failed)
    }

    /// Once the client has been answered, or its time is over: the members that need a hint, because they have not said
    /// that they have the write. Whatever the client was told: part of the members may have it, so all have to get it.
    pub fn hint(&mut self) -> Vec<NodeNumber> {
        self.is_answered = true;
        let missing = self.requirement.everyone().without(self.acknowledged).without(self.hinted);
        self.hinted = self.hinted.or(missing);
        self.requirement.nodes_of(missing).collect()
    }

    /// Members from which nothing has been heard.
    pub fn silent(&self) -> impl Iterator<Item = NodeNumber> + '_ {
        let heard = self.acknowledged.or(self.failed);
        self.requirement.nodes_of(self.requirement.everyone().without(heard))
    }

    /// What is said when the time is over.
    #[must_use]
    pub fn timeout(&self, waited_ms: u64) -> Timeout {
        self.requirement.timeout(Stage::Write, self.acknowledged, waited_ms)
    }

    /// The client is answered once, whatever comes late.
    fn answer(&mut self) -> WriteAction {
        let action = match self.standing() {
            Standing::Met if !self.is_answered => WriteAction::Reply,
            Standing::OutOfReach if !self.is_answered => WriteAction::GiveUp,
            _ => return WriteAction::Wait,
        };
        self.is_answered = true;
        action
    }
}
