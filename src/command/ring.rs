//! RING: who holds what, in this store's own words; CLUSTER tells the same in those of Redis Cluster.

use crate::command::context::{Finishing, Next, plan_nothing};
use crate::command::help::reply_help;
use crate::command::table::{Command, Finish, Flags, Group};
use crate::resp::Reply;
use crate::ring::Member;
use crate::types::{ArcLayout, Epoch, NodeNumber, SLOTS, slot_of};

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
    epoch: Epoch,
    layout: ArcLayout,
    /// N: replicas of each arc in each data centre.
    replicas: usize,
    members: Vec<Member>,
    own: NodeNumber,
}

impl Ring {
    /// The ring of a node that is alone: it holds every arc.
    fn of(finishing: &Finishing<'_>) -> Ring {
        let identity = finishing.services.admin.identity();
        let member = Member {
            number: identity.node_number,
            id: identity.node_id,
            name: identity.name.clone(),
            dc: identity.dc.clone(),
            zone: identity.zone.clone(),
            weight: identity.weight,
            peer: identity.peer_address,
            clients: identity.client_address,
            http: identity.http_address,
            is_leaving: false,
        };
        let layout = finishing.services.coordinator.replica().layout();
        Ring { epoch: Epoch(1), layout, replicas: 1, members: vec![member], own: identity.node_number }
    }

    fn who(&self, reply: &mut Reply<'_>, member: &Member) {
        text(reply, "name", &member.name);
        number(reply, "number", u64::from(member.number.0));
        text(reply, "id", &member.id.to_string());
        text(reply, "dc", &member.dc);
        text(reply, "zone", &member.zone);
        text(reply, "clients", &member.clients.to_string());
        number(reply, "self", u64::from(member.number == self.own));
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
    number(reply, "epoch", ring.epoch.0);
    number(reply, "nodes", ring.members.len() as u64);
    number(reply, "replicas", ring.replicas as u64);
    number(reply, "slots", u64::from(SLOTS));
    number(reply, "arcs", u64::from(ring.layout.arcs()));
    number(reply, "moving-arcs", 0);
    Next::Done
}

fn finish_nodes(finishing: &mut Finishing<'_>) -> Next {
    let ring = Ring::of(finishing);
    let reply = &mut finishing.reply;
    reply.array(ring.members.len());
    for member in &ring.members {
        reply.map(WHO + 5);
        ring.who(reply, member);
        text(reply, "peers", &member.peer.to_string());
        text(reply, "http", &member.http.map_or_else(String::new, |http| http.to_string()));
        number(reply, "weight", u64::from(member.weight));
        number(reply, "arcs", u64::from(ring.layout.arcs()));
        text(reply, "state", "up");
    }
    Next::Done
}

fn finish_key(finishing: &mut Finishing<'_>) -> Next {
    let ring = Ring::of(finishing);
    let slot = slot_of(finishing.args.get(2));
    let arc = ring.layout.arc_of(slot);
    let first = ring.layout.first_slot(arc).0;
    let reply = &mut finishing.reply;
    reply.map(6);
    number(reply, "slot", u64::from(slot.0));
    number(reply, "arc", u64::from(arc.0));
    number(reply, "first-slot", u64::from(first));
    number(reply, "last-slot", u64::from(first + (ring.layout.slots_per_arc() - 1)));
    number(reply, "epoch", ring.epoch.0);
    reply.bulk(b"replicas");
    reply.array(ring.members.len());
    for member in &ring.members {
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
