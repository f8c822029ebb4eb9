//! RING: who holds what, in this store's own words; CLUSTER tells the same in those of Redis Cluster.

use std::sync::Arc;

use crate::command::context::{Finishing, Next, plan_nothing};
use crate::command::help::reply_help;
use crate::command::table::{Command, Finish, Flags, Group};
use crate::resp::Reply;
use crate::ring::{Member, Topology};
use crate::types::{NodeId, SLOTS, slot_of};

const COLD: Flags = Flags::ALONE.with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("ring", -1, COLD, (plan_nothing, finish_ring))
    .docs(Group::Cluster, "annulus", "Answers a map: the state of the ring.")
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    sub("nodes", 2, finish_nodes, "Answers a map for each node: who it is, where it is, what it holds."),
    sub("key", 3, finish_key, "Answers a map: a key's slot and arc, and the nodes that hold it, the first one first."),
    sub("help", 2, finish_help, "Lists the subcommands."),
];

const fn sub(name: &'static str, arity: i16, finish: Finish, summary: &'static str) -> Command {
    Command::new(name, arity, COLD, (plan_nothing, finish)).docs(Group::Cluster, "annulus", summary)
}

/// The ring as this node sees it.
struct Ring {
    topology: Arc<Topology>,
    own: NodeId,
}

impl Ring {
    fn of(finishing: &Finishing<'_>) -> Ring {
        let services = finishing.services;
        Ring { topology: services.topology.topology(), own: services.admin.identity().node_id }
    }

    fn who(&self, reply: &mut Reply<'_>, member: &Member) {
        text(reply, "name", &member.name);
        number(reply, "number", u64::from(member.number.0));
        text(reply, "id", &member.id.to_string());
        text(reply, "dc", &member.dc);
        text(reply, "zone", &member.zone);
        text(reply, "clients", &member.clients.to_string());
        number(reply, "self", u64::from(member.id == self.own));
    }
}

/// Pairs that [`Ring::who`] writes.
const WHO: usize = 7;

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "RING", SUBCOMMANDS)
}

fn finish_ring(finishing: &mut Finishing<'_>) -> Next {
    let ring = Ring::of(finishing);
    let reply = &mut finishing.reply;
    reply.map(6);
    let topology = &ring.topology;
    number(reply, "epoch", topology.epoch().0);
    number(reply, "nodes", topology.members().len() as u64);
    number(reply, "replicas", u64::from(topology.replicas()));
    number(reply, "slots", u64::from(SLOTS));
    number(reply, "arcs", u64::from(topology.layout().arcs()));
    number(reply, "moving-arcs", topology.arcs().iter().filter(|arc| arc.is_moving()).count() as u64);
    Next::Done
}

fn finish_nodes(finishing: &mut Finishing<'_>) -> Next {
    let ring = Ring::of(finishing);
    let unreachable = finishing.services.admin.status().cluster.unreachable;
    let reply = &mut finishing.reply;
    reply.array(ring.topology.members().len());
    for (member, share) in ring.topology.members().iter().zip(ring.topology.shares()) {
        reply.map(WHO + 6);
        ring.who(reply, member);
        text(reply, "peers", &member.peer.to_string());
        text(reply, "http", &member.http.map_or_else(String::new, |http| http.to_string()));
        number(reply, "weight", u64::from(member.weight));
        number(reply, "arcs", u64::from(share.arcs));
        number(reply, "first-of", u64::from(share.primaries));
        text(reply, "state", if unreachable.contains(&member.id) { "unreachable" } else { "up" });
    }
    Next::Done
}

fn finish_key(finishing: &mut Finishing<'_>) -> Next {
    let ring = Ring::of(finishing);
    let slot = slot_of(finishing.args.get(2));
    let layout = ring.topology.layout();
    let arc = layout.arc_of(slot);
    let first = layout.first_slot(arc).0;
    let dc = finishing.services.admin.identity().dc.clone();
    let holders: Vec<&Member> = ring.topology.list_from(arc, &dc).collect();
    let reply = &mut finishing.reply;
    reply.map(6);
    number(reply, "slot", u64::from(slot.0));
    number(reply, "arc", u64::from(arc.0));
    number(reply, "first-slot", u64::from(first));
    number(reply, "last-slot", u64::from(first + (layout.slots_per_arc() - 1)));
    number(reply, "epoch", ring.topology.epoch().0);
    reply.bulk(b"replicas");
    reply.array(holders.len());
    for member in holders {
        reply.map(WHO);
        ring.who(reply, member);
    }
    Next::Done
}

fn text(reply: &mut Reply<'_>, field: &str, value: &str) {
    reply.bulk(field.as_bytes());
    reply.bulk(value.as_bytes());
}

fn number(reply: &mut Reply<'_>, field: &str, value: u64) {
    reply.bulk(field.as_bytes());
    reply.integer(value as i64);
}
