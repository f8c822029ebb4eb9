//! With whom to talk in a round: a few that are live, sometimes one that is not, sometimes a seed.
//!
//! The dead are tried more often the more there are of them, so that two halves that have lost each other find each other
//! again; a seed more often the fewer nodes are known.

use std::time::Duration;

use crate::membership::Membership;
use crate::types::NodeId;

/// Live peers in a round.
pub const FAN_OUT: usize = 3;

/// Random numbers for a round: one for each live peer, one for the dead, one for the seeds.
pub type Numbers = [u64; FAN_OUT + 2];

/// Whom to send [`Membership::open`] in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Distinct nodes that are known.
    pub peers: Vec<NodeId>,
    /// One of the addresses by which this node was told to find others.
    pub seed: Option<usize>,
}

impl Membership {
    /// Chooses by `numbers`, any random ones, among the nodes known and a number of `seeds`.
    #[must_use]
    pub fn round(&self, numbers: &Numbers, seeds: usize, now: Duration) -> Round {
        let known = self.shown(now).map(|(id, _)| id).filter(|id| *id != self.options.me);
        let (mut live, dead): (Vec<NodeId>, Vec<NodeId>) = known.partition(|id| self.is_reachable(*id, now));
        let [for_live @ .., for_dead, for_seed] = numbers;
        let (alive, nodes) = (live.len(), live.len() + dead.len());
        let mut peers = Vec::with_capacity(FAN_OUT + 1);
        for number in for_live.iter().filter(|_| alive > 0) {
            if !live.is_empty() {
                peers.push(live.swap_remove(scale(*number, live.len())));
            }
        }
        let chances = if alive == 0 { dead.len() } else { dead.len() + alive + 1 };
        peers.extend(dead.get(scale(*for_dead, chances)));
        let seed = Some(scale(*for_seed, (seeds + nodes).max(1))).filter(|index| *index < seeds);
        Round { peers, seed }
    }
}

/// The number below `count` that is to it as `number` to 2^64.
fn scale(number: u64, count: usize) -> usize {
    ((u128::from(number) * count as u128) >> u64::BITS) as usize
}
