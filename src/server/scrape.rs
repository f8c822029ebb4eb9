//! What a scrape sees: the node's status, written to its board.

use crate::command::{HintsStatus, Period, Services, Status};
use crate::hints::Held;
use crate::metrics::{self, Board};

/// Brings the board up to date.
pub(super) fn refresh(board: &Board, services: &Services) {
    let status = services.admin.status();
    node(board, services, &status);
    commands(board, services);
    connections(board, &status);
    memory(board, &status);
    store(board, &status);
    gossip(board, &status);
    if let Some(cluster) = services.coordinator.cluster() {
        for (name, count) in cluster.stats().counted() {
            board.count(&metrics::COORDINATED, &[name], count);
        }
    }
    if let Some(status) = &status.hints {
        hints(board, status, services);
    }
}

fn hints(board: &Board, status: &HintsStatus, services: &Services) {
    // Every member, so that one that has got all does not keep its last number.
    for member in services.topology.topology().members() {
        let found = status.store.nodes.iter().find(|(node, _)| *node == member.number);
        let held = found.map_or_else(Held::default, |(_, held)| *held);
        let labels = [member.name.as_str()];
        board.gauge(&metrics::HINTS, &labels, held.count as f64);
        board.gauge(&metrics::HINTS_BYTES, &labels, held.bytes as f64);
        board.gauge(&metrics::HINTS_AGE, &labels, status.age_seconds(&held) as f64);
    }
    board.gauge(&metrics::HINTS_LIMIT, &[], status.store.limit_bytes as f64);
    board.gauge(&metrics::HINTS_MARKED, &[], status.store.marked_arcs as f64);
    board.count(&metrics::HINTS_KEPT, &[], status.store.kept);
    board.count(&metrics::HINTS_DELIVERED, &[], status.delivered);
    board.count(&metrics::HINTS_REFUSED, &[], status.refused);
    for (reason, count) in status.dropped() {
        board.count(&metrics::HINTS_DROPPED, &[reason], count);
    }
    board.count(&metrics::HANDOFF_BYTES, &[], status.sent_bytes);
    board.count(&metrics::HANDOFF_FAILURES, &[], status.failed);
}

fn node(board: &Board, services: &Services, status: &Status) {
    let identity = services.admin.identity();
    let id = identity.node_id.to_string();
    board.gauge(&metrics::NODE, &[identity.version, &id, &identity.name, &identity.zone, &identity.dc], 1.0);
    board.gauge(&metrics::HEALTHY, &[], if status.failure.is_none() { 1.0 } else { 0.0 });
    let topology = services.topology.topology();
    board.gauge(&metrics::CLUSTER_EPOCH, &[], topology.epoch().0 as f64);
    board.gauge(&metrics::CLUSTER_NODES, &[], topology.members().len() as f64);
    board.gauge(&metrics::CLUSTER_UNREACHABLE, &[], status.cluster.unreachable.len() as f64);
    board.gauge(&metrics::UPTIME, &[], status.uptime.as_secs_f64());
    board.count(&metrics::CPU_TIME, &["user"], status.process.cpu_user.as_millis() as u64);
    board.count(&metrics::CPU_TIME, &["system"], status.process.cpu_system.as_millis() as u64);
}

fn commands(board: &Board, services: &Services) {
    for (name, counts, latency) in services.stats.commands(Period::Start) {
        let name = name.as_str();
        board.count(&metrics::COMMAND_CALLS, &[name], counts.calls);
        board.count(&metrics::COMMAND_TIME, &[name], counts.nanoseconds / 1000);
        board.count(&metrics::COMMAND_FAILURES, &[name], counts.failed);
        board.count(&metrics::COMMAND_REJECTIONS, &[name], counts.rejected);
        let latency = latency.unwrap_or_default();
        for (quantile, nanoseconds) in [("0.5", latency.p50), ("0.99", latency.p99), ("0.999", latency.p999)] {
            board.gauge(&metrics::COMMAND_LATENCY, &[name, quantile], nanoseconds as f64 / 1e9);
        }
    }
    let (lookups, waits) = (services.stats.lookups(Period::Start), services.stats.commit_waits(Period::Start));
    board.count(&metrics::LOOKUP_HITS, &[], lookups.hits);
    board.count(&metrics::LOOKUP_MISSES, &[], lookups.misses);
    board.count(&metrics::COMMIT_WAITS, &[], waits.count);
    board.count(&metrics::COMMIT_WAIT_TIME, &[], waits.nanoseconds / 1000);
    for (code, count) in services.stats.errors(Period::Start) {
        board.count(&metrics::ERROR_REPLIES, &[&code], count);
    }
}

fn connections(board: &Board, status: &Status) {
    let connections = &status.connections;
    board.gauge(&metrics::CONNECTIONS, &[], connections.count as f64);
    board.gauge(&metrics::CONNECTIONS_LIMIT, &[], connections.limit as f64);
    board.count(&metrics::CONNECTIONS_RECEIVED, &[], connections.received);
    board.count(&metrics::CONNECTIONS_REJECTED, &[], connections.rejected);
    board.count(&metrics::RECEIVED_BYTES, &[], connections.received_bytes);
    board.count(&metrics::SENT_BYTES, &[], connections.sent_bytes);
}

fn memory(board: &Board, status: &Status) {
    board.gauge(&metrics::MEMORY_RESIDENT, &[], status.process.resident_bytes as f64);
    for budget in &status.budgets {
        board.gauge(&metrics::MEMORY_USED, &[budget.name], budget.used as f64);
        board.gauge(&metrics::MEMORY_LIMIT, &[budget.name], budget.limit as f64);
    }
}

fn store(board: &Board, status: &Status) {
    board.count(&metrics::EXPIRED_KEYS, &[], status.expired_keys);
    // Every database, so that one that was emptied does not keep its last number.
    for database in 0..crate::types::DATABASES {
        let found = status.keyspace.iter().find(|keyspace| keyspace.database.0 == database);
        let (keys, expires) = found.map_or((0, 0), |keyspace| (keyspace.keys, keyspace.expires));
        let database = database.to_string();
        board.gauge(&metrics::KEYS, &[&database], keys as f64);
        board.gauge(&metrics::KEYS_EXPIRING, &[&database], expires as f64);
    }
    board.count(&metrics::LOG_BYTES, &[], status.store.log_bytes);
    board.count(&metrics::LOG_DURABLE_BYTES, &[], status.store.log_durable_bytes);
    board.gauge(&metrics::DISK_FREE, &[], status.store.disk_free_bytes as f64);
    for (name, value) in &status.store.engine {
        board.gauge(&metrics::ENGINE, &[name], *value as f64);
    }
}

fn gossip(board: &Board, status: &Status) {
    let gossip = &status.gossip;
    for (standing, nodes) in [("up", gossip.up), ("suspected", gossip.suspected), ("down", gossip.down)] {
        board.gauge(&metrics::CLUSTER_STANDINGS, &[standing], nodes as f64);
    }
    let counted = &gossip.counted;
    board.count(&metrics::GOSSIP_ROUNDS, &[], counted.rounds);
    board.count(&metrics::GOSSIP_MESSAGES, &["sent"], counted.sent);
    board.count(&metrics::GOSSIP_MESSAGES, &["received"], counted.received);
    board.count(&metrics::GOSSIP_BYTES, &["sent"], counted.sent_bytes);
    board.count(&metrics::GOSSIP_BYTES, &["received"], counted.received_bytes);
    board.count(&metrics::GOSSIP_FAILURES, &["unanswered"], counted.unanswered);
    board.count(&metrics::GOSSIP_FAILURES, &["unreadable"], counted.unreadable);
}
