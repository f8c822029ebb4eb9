//! CLUSTER, READONLY, READWRITE, ASKING: the ring as Redis Cluster's clients expect it.
//!
//! Those clients know a master and its replicas for each slot: the first on the preference list and the others, those of
//! this node's data centre before the rest. Every node serves every key, so READONLY, READWRITE and ASKING change nothing.

use std::net::SocketAddr;

use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Flags, Group};
use crate::replica::{Action, Operand, Outcome, PageLimit, PageRequest};
use crate::resp::{Reply, parse_i64};
use crate::ring::{Member, Topology};
use crate::types::{ArcId, Args, SLOTS, slot_of};

const COLD: Flags = Flags::ALONE.with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("cluster", -2, Flags::NONE, (plan_nothing, finish_ok))
        .docs(Group::Cluster, "3.0.0", "Tells about the ring in Redis Cluster's words.")
        .subcommands(SUBCOMMANDS),
    mode("readonly", "Accepted for Redis Cluster's clients; every node serves reads."),
    mode("readwrite", "Accepted for Redis Cluster's clients; every node serves writes."),
    mode("asking", "Accepted for Redis Cluster's clients; every node serves every slot."),
];

static SUBCOMMANDS: &[Command] = &[
    sub("slots", 2, finish_slots, "Lists the runs of slots with their nodes."),
    sub("shards", 2, finish_shards, "Lists the groups of nodes with their slots."),
    sub("nodes", 2, finish_nodes, "Describes every node in one line."),
    sub("info", 2, finish_info, "Tells the state of the ring."),
    sub("myid", 2, finish_myid, "Tells this node's id."),
    sub("keyslot", 3, finish_keyslot, "Tells the slot of a key."),
    Command::new("countkeysinslot", 3, COLD.with(Flags::GLOBAL), (plan_count, finish_counted)).docs(
        Group::Cluster,
        "3.0.0",
        "Counts the keys of a slot.",
    ),
    Command::new("getkeysinslot", 4, COLD.with(Flags::GLOBAL), (plan_keys, finish_keys)).docs(
        Group::Cluster,
        "3.0.0",
        "Lists keys of a slot.",
    ),
    sub("help", 2, finish_help, "Lists the subcommands."),
];

const fn mode(name: &'static str, summary: &'static str) -> Command {
    let flags = Flags::FAST.with(Flags::LOADING).with(Flags::STALE);
    Command::new(name, 1, flags, (plan_nothing, finish_ok)).docs(Group::Cluster, "3.0.0", summary)
}

const fn sub(name: &'static str, arity: i16, finish: crate::command::Finish, summary: &'static str) -> Command {
    Command::new(name, arity, COLD, (plan_nothing, finish)).docs(Group::Cluster, "3.0.0", summary)
}

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "CLUSTER", SUBCOMMANDS)
}

/// Where the asking client reaches a member. This node: where it connected to, if the node listens everywhere.
fn endpoint(finishing: &Finishing<'_>, member: &Member) -> SocketAddr {
    let identity = finishing.services.admin.identity();
    if member.id == identity.node_id {
        SocketAddr::new(finishing.session.client.local_address.ip(), identity.client_address.port())
    } else {
        member.clients
    }
}

/// The members that hold `arc`, those near this node first.
fn holders<'a>(topology: &'a Topology, arc: ArcId, dc: &'a str) -> Vec<&'a Member> {
    topology.list_from(arc, dc).collect()
}

/// Runs of neighbouring slots with the same holders in the same order: first and last slot, and the holders.
fn runs<'a>(topology: &'a Topology, dc: &'a str) -> Vec<(u16, u16, Vec<&'a Member>)> {
    let layout = topology.layout();
    let mut runs: Vec<(u16, u16, Vec<&Member>)> = Vec::new();
    for arc in (0..layout.arcs()).map(ArcId) {
        let (first, nodes) = (layout.first_slot(arc).0, holders(topology, arc, dc));
        let last = first + (layout.slots_per_arc() - 1);
        match runs.last_mut().filter(|(_, _, before)| *before == nodes) {
            Some(run) => run.1 = last,
            None => runs.push((first, last, nodes)),
        }
    }
    runs
}

fn finish_slots(finishing: &mut Finishing<'_>) -> Next {
    let topology = finishing.services.topology.topology();
    let runs = runs(&topology, &finishing.services.admin.identity().dc);
    finishing.reply.array(runs.len());
    for (first, last, nodes) in runs {
        finishing.reply.array(2 + nodes.len());
        finishing.reply.integer(i64::from(first));
        finishing.reply.integer(i64::from(last));
        for member in nodes {
            let address = endpoint(finishing, member);
            let reply = &mut finishing.reply;
            reply.array(4);
            reply.bulk(address.ip().to_string().as_bytes());
            reply.integer(i64::from(address.port()));
            reply.bulk(member.id.to_string().as_bytes());
            reply.array(0);
        }
    }
    Next::Done
}

fn finish_shards(finishing: &mut Finishing<'_>) -> Next {
    let topology = finishing.services.topology.topology();
    let dc = &finishing.services.admin.identity().dc;
    // Those with the same holders in the same order are one shard.
    let mut shards: Vec<(Vec<&Member>, Vec<u16>)> = Vec::new();
    for (first, last, nodes) in runs(&topology, dc) {
        match shards.iter_mut().find(|(holders, _)| *holders == nodes) {
            Some((_, bounds)) => bounds.extend([first, last]),
            None => shards.push((nodes, vec![first, last])),
        }
    }
    let unreachable = finishing.services.admin.status().cluster.unreachable;
    finishing.reply.array(shards.len());
    for (nodes, bounds) in shards {
        finishing.reply.map(2);
        finishing.reply.bulk(b"slots");
        finishing.reply.array(bounds.len());
        bounds.iter().for_each(|bound| finishing.reply.integer(i64::from(*bound)));
        finishing.reply.bulk(b"nodes");
        finishing.reply.array(nodes.len());
        for (index, member) in nodes.into_iter().enumerate() {
            let address = endpoint(finishing, member);
            let role = if index == 0 { "master" } else { "replica" };
            let health = if unreachable.contains(&member.id) { "failed" } else { "online" };
            reply_shard_node(&mut finishing.reply, (member, address), role, health);
        }
    }
    Next::Done
}

fn reply_shard_node(reply: &mut Reply<'_>, (member, address): (&Member, SocketAddr), role: &str, health: &str) {
    let (id, ip) = (member.id.to_string(), address.ip().to_string());
    reply.map(7);
    for (field, value) in [("id", id.as_str()), ("ip", &ip), ("endpoint", &ip)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"port");
    reply.integer(i64::from(address.port()));
    reply.bulk(b"role");
    reply.bulk(role.as_bytes());
    reply.bulk(b"replication-offset");
    reply.integer(0);
    reply.bulk(b"health");
    reply.bulk(health.as_bytes());
}

/// Every node is shown as a master, of the slots that it is the first to hold: each takes reads and writes of any key.
fn finish_nodes(finishing: &mut Finishing<'_>) -> Next {
    let topology = finishing.services.topology.topology();
    let identity = finishing.services.admin.identity();
    let runs = runs(&topology, &identity.dc);
    let unreachable = finishing.services.admin.status().cluster.unreachable;
    let mut text = String::new();
    for member in topology.members() {
        let (address, peers) = (endpoint(finishing, member), member.peer.port());
        let is_gone = unreachable.contains(&member.id);
        let flags = match (member.id == identity.node_id, is_gone) {
            (true, _) => "myself,master",
            (false, false) => "master",
            (false, true) => "master,fail?",
        };
        let (epoch, link) = (topology.epoch().0, if is_gone { "disconnected" } else { "connected" });
        text.push_str(&format!("{} {address}@{peers} {flags} - 0 0 {epoch} {link}", member.id));
        for range in ranges_led_by(&runs, member) {
            text.push_str(&format!(" {}-{}", range.0, range.1));
        }
        text.push('\n');
    }
    finishing.reply.verbatim(&text);
    Next::Done
}

/// The slots that `member` is the first to hold, as the fewest ranges.
fn ranges_led_by(runs: &[(u16, u16, Vec<&Member>)], member: &Member) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for (first, last, nodes) in runs {
        if nodes.first().is_none_or(|leader| leader.id != member.id) {
            continue;
        }
        match ranges.last_mut().filter(|range| range.1 + 1 == *first) {
            Some(range) => range.1 = *last,
            None => ranges.push((*first, *last)),
        }
    }
    ranges
}

fn finish_info(finishing: &mut Finishing<'_>) -> Next {
    let topology = finishing.services.topology.topology();
    let size = topology.shares().iter().filter(|share| share.primaries > 0).count();
    let epoch = topology.epoch().0;
    let fields: [(&str, u64); 9] = [
        ("cluster_slots_assigned", u64::from(SLOTS)),
        ("cluster_slots_ok", u64::from(SLOTS)),
        ("cluster_slots_pfail", 0),
        ("cluster_slots_fail", 0),
        ("cluster_known_nodes", topology.members().len() as u64),
        ("cluster_size", size as u64),
        ("cluster_current_epoch", epoch),
        ("cluster_my_epoch", epoch),
        ("cluster_stats_messages_sent", 0),
    ];
    let mut text = String::from("cluster_state:ok\r\n");
    for (field, value) in fields {
        text.push_str(&format!("{field}:{value}\r\n"));
    }
    text.push_str("cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n");
    finishing.reply.verbatim(&text);
    Next::Done
}

fn finish_myid(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.bulk(finishing.services.admin.identity().node_id.to_string().as_bytes());
    Next::Done
}

fn finish_keyslot(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer(i64::from(slot_of(finishing.args.get(2)).0));
    Next::Done
}

fn plan_count(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let slot = parse_slot(args.get(2))?;
    planning.batch.push(planning.session.database, Operand::default(), Action::CountSlot(slot));
    Ok(())
}

fn finish_counted(finishing: &mut Finishing<'_>) -> Next {
    if let Outcome::Count(count) = finishing.batch.outcome(finishing.first) {
        finishing.reply.integer(count as i64);
    }
    Next::Done
}

fn plan_keys(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let slot = parse_i64(args.get(2)).ok_or(CommandError::NOT_INTEGER)?;
    let wanted = parse_i64(args.get(3)).ok_or(CommandError::NOT_INTEGER)?;
    let slot = u16::try_from(slot).ok().filter(|slot| *slot < SLOTS);
    let (Some(slot), Ok(wanted)) = (slot, usize::try_from(wanted)) else {
        return Err(CommandError::text("ERR Invalid slot or number of keys"));
    };
    let request = PageRequest {
        cursor: u64::from(slot) << 32,
        end_slot: slot + 1,
        limit: PageLimit::First(wanted),
        pattern: None,
    };
    planning.batch.push(planning.session.database, Operand::default(), Action::Page(request));
    Ok(())
}

fn finish_keys(finishing: &mut Finishing<'_>) -> Next {
    if let Outcome::Page { first, count, .. } = finishing.batch.outcome(finishing.first) {
        finishing.reply.array(count);
        for key in finishing.batch.page_keys(first, count) {
            finishing.reply.bulk(finishing.batch.bytes(*key));
        }
    }
    Next::Done
}

fn parse_slot(text: &[u8]) -> Result<u16> {
    let slot = parse_i64(text).ok_or(CommandError::NOT_INTEGER)?;
    let slot = u16::try_from(slot).ok().filter(|slot| *slot < SLOTS);
    slot.ok_or(CommandError::text("ERR Invalid slot"))
}
