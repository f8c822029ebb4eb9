//! From a topology to what is counted: where each member sits, and what people call it.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::quorum::{Dc, Level, Lists, Names, Requirement, Seat};
use crate::ring::{ArcPlacement, Member, Replica};
use crate::types::NodeNumber;

/// The members of one topology, as one of them needs them to count; made once per topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    /// The data centres' names, ascending: a [`Dc`] is an index here.
    dcs: Vec<String>,
    /// Ascending by number.
    members: Vec<Placed>,
    local: Dc,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    seat: Seat,
    name: String,
}

impl Seating {
    /// The seats of `members`, as the node in data centre `local` counts them.
    #[must_use]
    pub fn new(members: &[Member], local: &str) -> Self {
        let mut dcs: Vec<String> = members.iter().map(|member| member.dc.clone()).collect();
        dcs.push(local.to_owned());
        dcs.sort_unstable();
        dcs.dedup();
        let place = |dc: &str| dcs.iter().position(|name| name == dc).and_then(|index| u8::try_from(index).ok());
        let seated = members.iter().filter_map(|member| {
            let seat = Seat { node: member.number, dc: Dc(place(&member.dc)?) };
            Some(Placed { seat, name: member.name.clone() })
        });
        let mut placed: Vec<Placed> = seated.collect();
        placed.sort_unstable_by_key(|placed| placed.seat.node);
        let local = Dc(place(local).unwrap_or_default());
        Seating { dcs, members: placed, local }
    }

    /// What `level` requires of an arc's members.
    #[must_use]
    pub fn requirement(&self, level: Level, placement: &ArcPlacement) -> Requirement {
        self.with_lists(placement, |lists| Requirement::new(level, lists))
    }

    /// What the query before a write at `level` requires of an arc's members; `None` where there is no query.
    #[must_use]
    pub fn query(&self, level: Level, placement: &ArcPlacement) -> Option<Requirement> {
        self.with_lists(placement, |lists| Requirement::of_query(level, lists))
    }

    fn with_lists<T>(&self, placement: &ArcPlacement, count: impl FnOnce(Lists<'_>) -> T) -> T {
        let now = self.seats(&placement.replicas);
        let next = placement.next.as_ref().map(|next| self.seats(next));
        count(Lists { now: &now, next: next.as_deref(), local: self.local })
    }

    fn seats(&self, replicas: &[Replica]) -> SmallVec<[Seat; 4]> {
        replicas.iter().filter_map(|replica| Some(self.placed(replica.node)?.seat)).collect()
    }

    fn placed(&self, node: NodeNumber) -> Option<&Placed> {
        let index = self.members.binary_search_by_key(&node, |placed| placed.seat.node).ok()?;
        self.members.get(index)
    }
}

impl Names for Seating {
    fn node(&self, node: NodeNumber) -> Cow<'_, str> {
        match self.placed(node) {
            Some(placed) => Cow::Borrowed(&placed.name),
            None => format!("node-{}", node.0).into(),
        }
    }

    fn dc(&self, dc: Dc) -> Cow<'_, str> {
        match self.dcs.get(usize::from(dc.0)) {
            Some(name) => Cow::Borrowed(name),
            None => format!("dc-{}", dc.0).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seating;
    use crate::quorum::{Level, Purpose};
    use crate::ring::{ArcPlacement, Member, Replica};
    use crate::types::{Epoch, NodeId, NodeNumber};

    fn member(number: u16, dc: &str) -> Member {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 6379));
        Member {
            number: NodeNumber(number),
            id: NodeId([number as u8; 20]),
            name: format!("host-{number}"),
            dc: dc.into(),
            zone: "z".into(),
            weight: 100,
            peer: address,
            clients: address,
            http: None,
            is_leaving: false,
        }
    }

    #[test]
    fn local_levels_count_the_data_centre_of_the_asking_node() {
        let members = [member(1, "west"), member(2, "east"), member(3, "east"), member(4, "east"), member(9, "west")];
        let list = |numbers: &[u16]| {
            numbers.iter().map(|number| Replica { node: NodeNumber(*number), since: Epoch(1) }).collect()
        };
        let mut placement = ArcPlacement { replicas: list(&[2, 3, 4, 1]), next: None, changed: Epoch(1) };
        let (west, east) = (Seating::new(&members, "west"), Seating::new(&members, "east"));
        let told = |seating: &Seating, level, placement: &ArcPlacement, up: &[u16]| {
            let requirement = seating.requirement(level, placement);
            let up = requirement.set_of(up.iter().copied().map(NodeNumber));
            requirement.shortfall(Purpose::Read, up).map(|short| short.told(seating))
        };
        assert_eq!(told(&west, Level::LocalQuorum, &placement, &[1]), None);
        let expected = "read needs 2 of 3 replicas in east, 0 are reachable (host-2, host-3, host-4 down)";
        assert_eq!(told(&east, Level::LocalQuorum, &placement, &[1]).as_deref(), Some(expected));
        let nowhere = Seating::new(&members, "north");
        let expected = "read needs 1 of 0 replicas in north, 0 are reachable";
        assert_eq!(told(&nowhere, Level::LocalOne, &placement, &[1]).as_deref(), Some(expected));
        placement.next = Some(list(&[2, 3, 4, 9]));
        let expected = "read needs 1 of 1 replicas of the list after the move in west, 0 are reachable (host-9 down)";
        assert_eq!(told(&west, Level::LocalOne, &placement, &[1]).as_deref(), Some(expected));
        assert!(west.query(Level::One, &placement).is_none() && west.query(Level::All, &placement).is_some());
    }
}
