//! CLUSTER, READONLY, READWRITE, ASKING: the ring as Redis Cluster's clients expect it.
//!
//! A ring of one node owns all 16,384 slots. Every node serves every key, so READONLY, READWRITE and ASKING change nothing.

use crate::command::admin::Identity;
use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Flags, Group};
use crate::replica::{Action, Operand, Outcome, PageLimit, PageRequest};
use crate::resp::parse_i64;
use crate::types::{Args, SLOTS, slot_of};

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

/// The address of this node that the asking client can reach: where it connected to, if the node listens everywhere.
fn reachable_ip(finishing: &Finishing<'_>) -> String {
    finishing.session.client.local_address.ip().to_string()
}

fn finish_slots(finishing: &mut Finishing<'_>) -> Next {
    let (ip, identity) = (reachable_ip(finishing), finishing.services.admin.identity());
    let reply = &mut finishing.reply;
    reply.array(1);
    reply.array(3);
    reply.integer(0);
    reply.integer(i64::from(SLOTS) - 1);
    reply.array(4);
    reply.bulk(ip.as_bytes());
    reply.integer(i64::from(identity.client_address.port()));
    reply.bulk(identity.node_id.to_string().as_bytes());
    reply.array(0);
    Next::Done
}

fn finish_shards(finishing: &mut Finishing<'_>) -> Next {
    let (ip, identity) = (reachable_ip(finishing), finishing.services.admin.identity());
    let id = identity.node_id.to_string();
    let reply = &mut finishing.reply;
    reply.array(1);
    reply.map(2);
    reply.bulk(b"slots");
    reply.array(2);
    reply.integer(0);
    reply.integer(i64::from(SLOTS) - 1);
    reply.bulk(b"nodes");
    reply.array(1);
    reply.map(7);
    for (field, value) in [("id", id.as_str()), ("ip", &ip), ("endpoint", &ip)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"port");
    reply.integer(i64::from(identity.client_address.port()));
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"replication-offset");
    reply.integer(0);
    reply.bulk(b"health");
    reply.bulk(b"online");
    Next::Done
}

fn finish_nodes(finishing: &mut Finishing<'_>) -> Next {
    let ip = reachable_ip(finishing);
    let Identity { node_id, client_address, peer_address, .. } = finishing.services.admin.identity();
    let (port, peer_port) = (client_address.port(), peer_address.port());
    let line = format!("{node_id} {ip}:{port}@{peer_port} myself,master - 0 0 1 connected 0-{}\n", SLOTS - 1);
    finishing.reply.verbatim(&line);
    Next::Done
}

fn finish_info(finishing: &mut Finishing<'_>) -> Next {
    let fields: [(&str, u64); 9] = [
        ("cluster_slots_assigned", u64::from(SLOTS)),
        ("cluster_slots_ok", u64::from(SLOTS)),
        ("cluster_slots_pfail", 0),
        ("cluster_slots_fail", 0),
        ("cluster_known_nodes", 1),
        ("cluster_size", 1),
        ("cluster_current_epoch", 1),
        ("cluster_my_epoch", 1),
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
