//! What every topology has to be like, whoever made it.

use std::collections::BTreeSet;

use crate::ring::apply::{MAX_MEMBERS, MAX_REPLICAS};
use crate::ring::{ArcPlacement, Member, Replica, Topology};
use crate::types::{DATABASES, Database, Epoch, NodeId, NodeNumber};

/// No time of a flush lies there: the clock's own limit.
const TIME_LIMIT: u64 = 1 << 62;

/// What is wrong with `topology`; `None` if nothing is.
pub(super) fn flaw(topology: &Topology) -> Option<&'static str> {
    members_flaw(topology)
        .or_else(|| keepers_flaw(&topology.keepers))
        .or_else(|| {
            unless(topology.keepers.iter().all(|&node| topology.member(node).is_some()), "a keeper is no member")
        })
        .or_else(|| topology.flushes.iter().find_map(|(&database, &time)| flush_flaw(database, time)))
        .or_else(|| unless(topology.arcs.len() == usize::from(topology.layout.arcs()), "arcs are missing"))
        .or_else(|| topology.arcs.iter().find_map(|arc| arc_flaw(topology, arc)))
}

fn unless(holds: bool, flaw: &'static str) -> Option<&'static str> {
    (!holds).then_some(flaw)
}

fn members_flaw(topology: &Topology) -> Option<&'static str> {
    let Topology { members, removed, next_number, epoch, replicas, .. } = topology;
    let ids: BTreeSet<NodeId> = members.iter().map(|member| member.id).collect();
    let is_numbered = |member: &Member| (1..*next_number).contains(&member.number.0);
    unless(epoch.0 > 0, "the epoch is 0")
        .or_else(|| unless((1..=MAX_REPLICAS).contains(replicas), "the number of replicas is out of range"))
        .or_else(|| unless((1..=MAX_MEMBERS).contains(&members.len()), "there is no member, or too many"))
        .or_else(|| unless(members.is_sorted_by(|a, b| a.number < b.number), "members are not in order"))
        .or_else(|| unless(members.iter().all(is_numbered), "a member's number was never given"))
        .or_else(|| unless(ids.len() == members.len(), "two members have the same id"))
        .or_else(|| unless(ids.is_disjoint(removed), "a member was removed"))
        .or_else(|| unless(removed.len() + members.len() < usize::from(*next_number), "more nodes than numbers"))
        .or_else(|| members.iter().find_map(Member::flaw))
}

/// What is wrong with a list of keepers.
pub(super) fn keepers_flaw(keepers: &[NodeNumber]) -> Option<&'static str> {
    unless(matches!(keepers.len(), 1 | 3 | 5 | 7), "the number of keepers is 1, 3, 5 or 7")
        .or_else(|| unless(keepers.is_sorted_by(|a, b| a < b), "keepers are out of order or named twice"))
}

/// What is wrong with a flush.
pub(super) fn flush_flaw(database: Database, time: u64) -> Option<&'static str> {
    unless(database.0 < DATABASES, "there is no such database")
        .or_else(|| unless((1..TIME_LIMIT).contains(&time), "the time of a flush is out of range"))
}

fn arc_flaw(topology: &Topology, arc: &ArcPlacement) -> Option<&'static str> {
    let known = Epoch(1)..=topology.epoch;
    let next = arc.next.iter().flatten();
    let agrees =
        |replica: &Replica| arc.replicas.iter().all(|old| old.node != replica.node || old.since == replica.since);
    unless(known.contains(&arc.changed), "an arc changed in no known epoch")
        .or_else(|| list_flaw(topology, &arc.replicas))
        .or_else(|| arc.next.as_ref().and_then(|next| list_flaw(topology, next)))
        .or_else(|| unless(next.clone().all(agrees), "the lists of an arc disagree"))
        .or_else(|| {
            unless(arc.replicas.iter().chain(next).all(|r| known.contains(&r.since)), "a replica since no known epoch")
        })
}

/// What is wrong with a preference list.
fn list_flaw(topology: &Topology, list: &[Replica]) -> Option<&'static str> {
    let members: Option<Vec<&Member>> = list.iter().map(|replica| topology.member(replica.node)).collect();
    let Some(members) = members else { return Some("a replica is no member") };
    let is_twice = |index: usize| list[..index].iter().any(|replica| replica.node == list[index].node);
    let by_dc = || members.chunk_by(|a, b| a.dc == b.dc);
    unless(!list.is_empty(), "an arc has no replica")
        .or_else(|| unless(!(0..list.len()).any(is_twice), "a list has a node twice"))
        .or_else(|| unless(members.is_sorted_by(|a, b| a.dc <= b.dc), "a list is not in the order of data centres"))
        .or_else(|| unless(by_dc().all(|dc| dc.len() <= usize::from(topology.replicas)), "a list is too long"))
}
