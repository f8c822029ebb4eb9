//! The sections of INFO, as text: Redis's fields that clients and tools read, then our own.
//!
//! Invariant: a field that Redis has means here what it means there; where there is nothing to tell it is left out, unless
//! clients look for it.
//! Source: Redis 7.0.15's own answer.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::command::connection::REDIS_VERSION;
use crate::command::context::Services;
use crate::command::stats::Period;
use crate::command::status::{HintsStatus, Status};
use crate::ring::Topology;

/// One section.
pub(super) struct Section {
    /// Its name as an argument, lower case.
    pub(super) name: &'static str,
    /// Whether INFO shows it when nothing is asked for.
    pub(super) is_default: bool,
    title: &'static str,
    write: fn(&Report<'_>, &mut Lines),
}

/// All sections in the order in which they are shown.
pub(super) static SECTIONS: &[Section] = &[
    Section { name: "server", is_default: true, title: "Server", write: server },
    Section { name: "clients", is_default: true, title: "Clients", write: clients },
    Section { name: "memory", is_default: true, title: "Memory", write: memory },
    Section { name: "persistence", is_default: true, title: "Persistence", write: persistence },
    Section { name: "stats", is_default: true, title: "Stats", write: stats },
    Section { name: "replication", is_default: true, title: "Replication", write: replication },
    Section { name: "cpu", is_default: true, title: "CPU", write: cpu },
    Section { name: "commandstats", is_default: false, title: "Commandstats", write: command_stats },
    Section { name: "errorstats", is_default: true, title: "Errorstats", write: error_stats },
    Section { name: "latencystats", is_default: false, title: "Latencystats", write: latency_stats },
    Section { name: "cluster", is_default: true, title: "Cluster", write: cluster },
    Section { name: "keyspace", is_default: true, title: "Keyspace", write: keyspace },
];

impl Section {
    /// Title and lines.
    pub(super) fn text(&self, report: &Report<'_>) -> String {
        let mut lines = Lines(format!("# {}\r\n", self.title));
        (self.write)(report, &mut lines);
        lines.0
    }
}

/// What the sections are written from.
pub(super) struct Report<'a> {
    services: &'a Services,
    status: Status,
    now_ms: u64,
}

impl<'a> Report<'a> {
    /// The node at this moment.
    pub(super) fn new(services: &'a Services, now_ms: u64) -> Self {
        Report { services, status: services.admin.status(), now_ms }
    }
}

/// Lines `name:value`.
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    fn all<V: Display>(&mut self, lines: &[(&str, V)]) {
        lines.iter().for_each(|(name, value)| self.line(name, value));
    }

    /// A number of bytes, and the same for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.line(name, bytes);
        self.line(&format!("{name}_human"), human(bytes));
    }
}

fn server(report: &Report<'_>, lines: &mut Lines) {
    let identity = report.services.admin.identity();
    let uptime = report.status.uptime.as_secs();
    lines.all(&[
        ("redis_version", REDIS_VERSION),
        ("annulus_version", identity.version),
        ("redis_mode", "cluster"),
        ("os", &identity.system),
        ("arch_bits", "64"),
        ("multiplexing_api", "epoll"),
    ]);
    lines.line("process_id", report.status.process.pid);
    lines.line("run_id", &identity.run_id);
    lines.line("tcp_port", identity.client_address.port());
    lines.line("http_port", identity.http_address.map_or(0, |address| address.port()));
    lines.line("server_time_usec", report.now_ms * 1000);
    lines.line("uptime_in_seconds", uptime);
    lines.line("uptime_in_days", uptime / 86_400);
    lines.line("config_file", identity.config_file.as_deref().unwrap_or_default());
    lines.line("data", &identity.data);
}

fn clients(report: &Report<'_>, lines: &mut Lines) {
    let connections = &report.status.connections;
    lines.all(&[
        ("connected_clients", connections.count),
        ("cluster_connections", 0),
        ("maxclients", connections.limit),
        ("client_recent_max_input_buffer", connections.largest_input_bytes),
        ("client_recent_max_output_buffer", connections.largest_output_bytes),
        ("blocked_clients", 0),
    ]);
}

fn memory(report: &Report<'_>, lines: &mut Lines) {
    let status = &report.status;
    lines.bytes("used_memory", status.process.resident_bytes);
    lines.bytes("used_memory_rss", status.process.resident_bytes);
    lines.bytes("used_memory_peak", status.process.resident_peak_bytes);
    lines.all(&[("maxmemory", "0"), ("maxmemory_policy", "noeviction"), ("mem_allocator", "mimalloc")]);
    for budget in &status.budgets {
        lines.line(&format!("budget_{}", budget.name), format_args!("used={},limit={}", budget.used, budget.limit));
    }
}

fn persistence(report: &Report<'_>, lines: &mut Lines) {
    let store = &report.status.store;
    let write_status = if report.status.failure.is_none() { "ok" } else { "err" };
    lines.all(&[
        ("loading", "0"),
        ("async_loading", "0"),
        ("rdb_changes_since_last_save", "0"),
        ("rdb_bgsave_in_progress", "0"),
    ]);
    lines.line("rdb_last_save_time", report.now_ms / 1000);
    lines.all(&[
        ("rdb_last_bgsave_status", "ok"),
        ("aof_enabled", "1"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_last_write_status", write_status),
        ("durability", store.durability),
        ("store_failure", report.status.failure.as_deref().unwrap_or_default()),
        ("store_last_error", store.last_error.as_deref().unwrap_or_default()),
    ]);
    lines.all(&[
        ("log_bytes", store.log_bytes),
        ("log_durable_bytes", store.log_durable_bytes),
        ("disk_free_bytes", store.disk_free_bytes),
    ]);
    lines.all(&store.engine);
    for (name, said) in &report.status.workers {
        lines.line(&format!("worker_{name}"), said);
    }
}

fn stats(report: &Report<'_>, lines: &mut Lines) {
    let commands = &report.services.stats;
    let totals = commands.since_reset(report.status.totals());
    let (lookups, waits) = (commands.lookups(Period::Reset), commands.commit_waits(Period::Reset));
    let processed: u64 = commands.commands(Period::Reset).iter().map(|(_, counts, _)| counts.calls).sum();
    let errors: u64 = commands.errors(Period::Reset).iter().map(|(_, count)| count).sum();
    lines.all(&[
        ("total_connections_received", totals.connections_received),
        ("total_commands_processed", processed),
        ("instantaneous_ops_per_sec", report.status.commands_per_second),
        ("total_net_input_bytes", totals.received_bytes),
        ("total_net_output_bytes", totals.sent_bytes),
        ("rejected_connections", totals.connections_rejected),
        ("expired_keys", totals.expired_keys),
        ("evicted_keys", 0),
        ("keyspace_hits", lookups.hits),
        ("keyspace_misses", lookups.misses),
        ("pubsub_channels", 0),
        ("pubsub_patterns", 0),
        ("total_error_replies", errors),
        ("commit_waits", waits.count),
        ("commit_wait_usec", waits.nanoseconds / 1000),
    ]);
}

fn replication(report: &Report<'_>, lines: &mut Lines) {
    lines.all(&[("role", "master"), ("connected_slaves", "0"), ("master_failover_state", "no-failover")]);
    lines.line("master_replid", &report.services.admin.identity().run_id);
    lines.line("master_repl_offset", report.status.store.log_bytes);
}

fn cpu(report: &Report<'_>, lines: &mut Lines) {
    let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
    lines.line("used_cpu_sys", seconds(report.status.process.cpu_system));
    lines.line("used_cpu_user", seconds(report.status.process.cpu_user));
}

fn command_stats(report: &Report<'_>, lines: &mut Lines) {
    for (name, counts, _) in report.services.stats.commands(Period::Reset) {
        let microseconds = counts.nanoseconds / 1000;
        let each = if counts.calls == 0 { 0.0 } else { counts.nanoseconds as f64 / 1000.0 / counts.calls as f64 };
        lines.line(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={},usec={microseconds},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                counts.calls, counts.rejected, counts.failed
            ),
        );
    }
}

fn error_stats(report: &Report<'_>, lines: &mut Lines) {
    for (code, count) in report.services.stats.errors(Period::Reset) {
        lines.line(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn latency_stats(report: &Report<'_>, lines: &mut Lines) {
    let us = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    for (name, _, latency) in report.services.stats.commands(Period::Reset) {
        let Some(latency) = latency else { continue };
        lines.line(
            &format!("latency_percentiles_usec_{name}"),
            format_args!("p50={:.3},p99={:.3},p99.9={:.3}", us(latency.p50), us(latency.p99), us(latency.p999)),
        );
    }
}

fn cluster(report: &Report<'_>, lines: &mut Lines) {
    let identity = report.services.admin.identity();
    lines.line("cluster_enabled", 1);
    lines.line("node_id", identity.node_id);
    lines.all(&[("node_name", &identity.name), ("node_zone", &identity.zone), ("node_dc", &identity.dc)]);
    lines.line("node_weight", identity.weight);
    let topology = report.services.topology.topology();
    lines.line("cluster_id", topology.cluster());
    lines.line("cluster_epoch", topology.epoch().0);
    lines.line("cluster_nodes", topology.members().len());
    lines.line("cluster_replicas", topology.replicas());
    lines.line("cluster_nodes_unreachable", report.status.cluster.unreachable.len());
    if let Some(cluster) = report.services.coordinator.cluster() {
        for (name, count) in cluster.stats().counted() {
            lines.line(&format!("coordinated_{name}"), count);
        }
    }
    let gossip = &report.status.gossip;
    let counted = &gossip.counted;
    lines.all(&[
        ("cluster_nodes_up", gossip.up),
        ("cluster_nodes_suspected", gossip.suspected),
        ("cluster_nodes_down", gossip.down),
        ("gossip_rounds", counted.rounds),
        ("gossip_messages_sent", counted.sent),
        ("gossip_messages_received", counted.received),
        ("gossip_sent_bytes", counted.sent_bytes),
        ("gossip_received_bytes", counted.received_bytes),
        ("gossip_unanswered", counted.unanswered),
        ("gossip_unreadable", counted.unreadable),
    ]);
    if let Some(hints) = &report.status.hints {
        hints_of(hints, &topology, lines);
    }
}

fn hints_of(hints: &HintsStatus, topology: &Topology, lines: &mut Lines) {
    lines.all(&[
        ("hints_bytes", hints.store.bytes),
        ("hints_limit_bytes", hints.store.limit_bytes),
        ("hints_counted", u64::from(hints.store.is_counted)),
        ("hints_kept", hints.store.kept),
        ("hints_delivered", hints.delivered),
        ("hints_refused", hints.refused),
        ("hints_messages_failed", hints.failed),
        ("hints_sent_bytes", hints.sent_bytes),
        ("hints_arcs_to_compare", hints.store.marked_arcs),
    ]);
    for (reason, count) in hints.dropped() {
        lines.line(&format!("hints_dropped_{reason}"), count);
    }
    lines.line("hints_last_error", hints.store.last_error.as_deref().unwrap_or_default());
    for (node, held) in &hints.store.nodes {
        let name = topology.member(*node).map_or_else(|| node.0.to_string(), |member| member.name.clone());
        lines.line(
            &format!("hints_for_{name}"),
            format_args!("count={},bytes={},oldest_seconds={}", held.count, held.bytes, hints.age_seconds(held)),
        );
    }
}

fn keyspace(report: &Report<'_>, lines: &mut Lines) {
    for keyspace in &report.status.keyspace {
        lines.line(
            &format!("db{}", keyspace.database.0),
            format_args!("keys={},expires={},avg_ttl=0", keyspace.keys, keyspace.expires),
        );
    }
}

/// A number of bytes as Redis shows it to people: `1.50M`.
fn human(bytes: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", bytes as f64 / unit as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::{SECTIONS, human};

    #[test]
    fn bytes_are_shown_as_redis_shows_them() {
        let shown = [0, 1023, 1024, 21_486_984, 3 << 30, 1 << 41].map(human);
        assert_eq!(shown, ["0B", "1023B", "1.00K", "20.49M", "3.00G", "2.00T"]);
    }

    #[test]
    fn sections_are_named_like_their_titles() {
        for section in SECTIONS {
            assert_eq!(section.title.to_lowercase(), section.name);
        }
    }
}
