//! Who decides the next topology: few nodes, so that deciding is quick, in as many data centres and zones as can be.

use std::collections::{BTreeMap, BTreeSet};

use crate::ring::{Member, Topology};
use crate::types::NodeNumber;

/// How many keepers a cluster of so many members has: odd, since an even one more helps nobody.
fn keeper_count(members: usize) -> usize {
    match members {
        0..3 => 1,
        3..5 => 3,
        5..20 => 5,
        _ => 7,
    }
}

impl Topology {
    /// Who should be the keepers if `live` are the nodes that are up: spread over data centres and zones, those that are
    /// keepers already rather than others, and the dead or leaving only where the living are too few.
    #[must_use]
    pub fn keepers_for(&self, live: &BTreeSet<NodeNumber>) -> Vec<NodeNumber> {
        let mut rest: Vec<&Member> = self.members.iter().collect();
        let (mut dcs, mut zones) = (BTreeMap::new(), BTreeMap::new());
        let mut keepers = Vec::new();
        while keepers.len() < keeper_count(self.members.len()) {
            let key = |member: &Member| {
                let is_fit = live.contains(&member.number) && !member.is_leaving;
                let in_dc: usize = dcs.get(&member.dc).copied().unwrap_or(0);
                let in_zone: usize = zones.get(&(&member.dc, &member.zone)).copied().unwrap_or(0);
                (!is_fit, in_dc, in_zone, !self.keepers.contains(&member.number), member.number)
            };
            let Some(best) = (0..rest.len()).min_by_key(|&index| key(rest[index])) else { break };
            let member = rest.swap_remove(best);
            *dcs.entry(&member.dc).or_insert(0) += 1;
            *zones.entry((&member.dc, &member.zone)).or_insert(0) += 1;
            keepers.push(member.number);
        }
        keepers.sort_unstable();
        keepers
    }
}
