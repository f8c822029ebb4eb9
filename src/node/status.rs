//! Gathers the node's state at one moment, for INFO and the metrics.

use std::sync::atomic::Ordering;

use crate::command::{
    Admin, Budget, ClusterStatus, ConnectionStatus, KeyspaceStatus, ProcessStatus, Status, StoreStatus,
};
use crate::config::Settings;
use crate::env::os;
use crate::node::admin::NodeAdmin;
use crate::node::store;
use crate::replica::Replica;
use crate::session::Registry;
use crate::types::{ArcId, DATABASES, Database};

/// The state of the node behind `admin`.
pub(super) fn gather(admin: &NodeAdmin, settings: &Settings) -> Status {
    let engine = admin.replica.engine();
    let stats = engine.stats();
    let connections = connections(&admin.registry);
    let mut budgets = store::budgets(&stats, &admin.store);
    budgets.push(Budget {
        name: "connection_buffers",
        used: admin.buffers.held_bytes() as u64,
        limit: settings.bytes("connection-buffers-max"),
    });
    Status {
        uptime: admin.env.clock.monotonic().saturating_sub(admin.started),
        process: process(),
        connections,
        commands_per_second: 0,
        expired_keys: admin.replica.expired(),
        keyspace: keyspace(&admin.replica),
        budgets,
        store: StoreStatus {
            durability: store::durability_word(settings),
            log_bytes: engine.appended().0,
            log_durable_bytes: engine.durable().0,
            disk_free_bytes: admin.env.disk.free_bytes(admin.identity().data.as_ref()).unwrap_or(0),
            engine: store::numbers(&stats),
            last_error: stats.last_error,
        },
        gossip: admin.gossip.figures(),
        workers: admin.runner.statuses().iter().map(|status| (status.name, status.to_string())).collect(),
        cluster: ClusterStatus { is_member: admin.agreement.is_member(), unreachable: admin.agreement.unreachable() },
        hints: admin.hints_status(),
        failure: engine.failure(),
    }
}

fn process() -> ProcessStatus {
    let usage = os::usage();
    ProcessStatus {
        pid: std::process::id(),
        resident_bytes: usage.resident_bytes,
        resident_peak_bytes: usage.resident_peak_bytes,
        cpu_user: usage.cpu_user,
        cpu_system: usage.cpu_system,
    }
}

fn connections(registry: &Registry) -> ConnectionStatus {
    let (received, rejected) = registry.totals();
    let (received_bytes, sent_bytes) = registry.past_traffic();
    let clients = registry.list();
    let count = clients.len() as u64;
    let mut status = ConnectionStatus {
        count,
        limit: registry.limit(),
        received,
        rejected,
        received_bytes,
        sent_bytes,
        ..ConnectionStatus::default()
    };
    for client in clients {
        let (input, output) = (client.query_bytes.load(Ordering::Relaxed), client.reply_bytes.load(Ordering::Relaxed));
        status.received_bytes += client.received_bytes.load(Ordering::Relaxed);
        status.sent_bytes += client.sent_bytes.load(Ordering::Relaxed);
        status.largest_input_bytes = status.largest_input_bytes.max(input);
        status.largest_output_bytes = status.largest_output_bytes.max(output);
    }
    status
}

fn keyspace(replica: &Replica) -> Vec<KeyspaceStatus> {
    let databases = (0..DATABASES).map(Database);
    let counted = databases.map(|database| (database, replica.count(database))).filter(|(_, keys)| *keys > 0);
    counted.map(|(database, keys)| KeyspaceStatus { database, keys, expires: expiring(replica, database) }).collect()
}

fn expiring(replica: &Replica, database: Database) -> u64 {
    let buckets = (0..replica.layout().arcs()).flat_map(|arc| replica.engine().expiry_counts(ArcId(arc), database));
    buckets.map(|(_, count)| count).sum()
}
