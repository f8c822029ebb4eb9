//! Every metric.

use crate::metrics::{Kind, Metric};

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

/// Declares metrics and the list of all.
macro_rules! metrics {
    ($($name:ident = $metric:expr;)*) => {
        $(#[doc = concat!("See its help: `", stringify!($metric), "`.")] pub static $name: Metric = $metric;)*
        /// All of them.
        pub static METRICS: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    NODE = gauge("annulus_node_info", &["version", "node_id", "name", "zone", "dc"], "Always 1; its labels say who this is.");
    HEALTHY = gauge("annulus_healthy", &[], "1 while the node takes writes, 0 once its store has failed.");
    CLUSTER_EPOCH = gauge("annulus_cluster_epoch", &[], "Number of the topology that this node goes by.");
    CLUSTER_NODES = gauge("annulus_cluster_nodes", &[], "Members of the cluster.");
    CLUSTER_UNREACHABLE = gauge("annulus_cluster_nodes_unreachable", &[], "Members that this node has no connection to.");
    UPTIME = gauge("annulus_uptime_seconds", &[], "Time since the start of the process.");
    COMMAND_CALLS = counter("annulus_command_calls_total", &["command"], "Calls of a command.");
    COMMAND_TIME = counter(
        "annulus_command_duration_microseconds_total",
        &["command"],
        "Time that calls took, each its equal share of its pipeline's batch."
    );
    COMMAND_FAILURES = counter("annulus_command_failures_total", &["command"], "Calls that were answered with an error.");
    COMMAND_REJECTIONS = counter("annulus_command_rejections_total", &["command"], "Calls refused before they began.");
    COMMAND_LATENCY = gauge(
        "annulus_command_latency_seconds",
        &["command", "quantile"],
        "Latency that this share of the calls since the start (or CONFIG RESETSTAT) did not exceed."
    );
    LOOKUP_HITS = counter("annulus_keyspace_hits_total", &[], "Keys that commands which only read looked for and found.");
    LOOKUP_MISSES = counter("annulus_keyspace_misses_total", &[], "Keys that such commands looked for in vain.");
    EXPIRED_KEYS = counter("annulus_expired_keys_total", &[], "Keys whose value was taken out because it had expired.");
    COMMIT_WAITS = counter("annulus_commit_waits_total", &[], "Batches that waited until what they show was durable.");
    COMMIT_WAIT_TIME = counter(
        "annulus_commit_wait_microseconds_total",
        &[],
        "Time of those waits, which is no part of the time of commands."
    );
    ERROR_REPLIES = counter("annulus_error_replies_total", &["code"], "Error replies by their first word.");
    CONNECTIONS = gauge("annulus_connections", &[], "Connections of clients.");
    CONNECTIONS_LIMIT = gauge("annulus_connections_limit", &[], "Connections that max-clients allows.");
    CONNECTIONS_RECEIVED = counter("annulus_connections_received_total", &[], "Connections that were accepted.");
    CONNECTIONS_REJECTED = counter("annulus_connections_rejected_total", &[], "Connections refused for max-clients.");
    RECEIVED_BYTES = counter("annulus_received_bytes_total", &[], "Bytes received from clients.");
    SENT_BYTES = counter("annulus_sent_bytes_total", &[], "Bytes sent to clients.");
    KEYS = gauge("annulus_keys", &["database"], "Keys, expired ones included until they are reaped.");
    KEYS_EXPIRING = gauge("annulus_keys_expiring", &["database"], "Keys that have an expiry.");
    MEMORY_RESIDENT = gauge("annulus_memory_resident_bytes", &[], "Memory of the process.");
    MEMORY_USED = gauge("annulus_memory_used_bytes", &["budget"], "Memory that is bounded by a setting.");
    MEMORY_LIMIT = gauge("annulus_memory_limit_bytes", &["budget"], "The bound.");
    CPU_TIME = counter("annulus_cpu_milliseconds_total", &["mode"], "Processor time of the process.");
    LOG_BYTES = counter("annulus_log_bytes_total", &[], "Bytes appended to the commit log since the data was made.");
    LOG_DURABLE_BYTES = counter("annulus_log_durable_bytes_total", &[], "The part of them that counts as durable.");
    DISK_FREE = gauge("annulus_disk_free_bytes", &[], "Space left where the data is.");
    HINTS = gauge("annulus_hints", &["node"], "Writes kept for a member that missed them, one per key.");
    HINTS_BYTES = gauge("annulus_hints_bytes", &["node"], "Bytes of their keys and records.");
    HINTS_AGE = gauge("annulus_hints_age_seconds", &["node"], "How long the oldest of them has been kept, at most.");
    HINTS_LIMIT = gauge("annulus_hints_limit_bytes", &[], "Bytes of them that hints-max-bytes allows.");
    HINTS_MARKED = gauge("annulus_hints_arcs_to_compare", &[], "Arcs of which some were given up undelivered.");
    HINTS_KEPT = counter("annulus_hints_kept_total", &[], "Writes that were kept for a member.");
    HINTS_DELIVERED = counter("annulus_hints_delivered_total", &[], "Hints that all their members have taken.");
    HINTS_REFUSED = counter("annulus_hints_refused_total", &[], "Hints that a member refused; they stay.");
    HINTS_DROPPED = counter("annulus_hints_dropped_total", &["reason"], "Hints that were given up undelivered.");
    HANDOFF_BYTES = counter("annulus_handoff_sent_bytes_total", &[], "Bytes sent to deliver hints.");
    HANDOFF_FAILURES = counter("annulus_handoff_failures_total", &[], "Messages with hints that brought nothing.");
    COORDINATED = counter(
        "annulus_coordinated_total",
        &["what"],
        "What carrying out commands with other members took, as in INFO cluster."
    );
    CLUSTER_STANDINGS = gauge("annulus_cluster_standings", &["standing"], "Members that are up, suspected, or down.");
    GOSSIP_ROUNDS = counter("annulus_gossip_rounds_total", &[], "Rounds of gossip that this node began.");
    GOSSIP_MESSAGES = counter("annulus_gossip_messages_total", &["direction"], "Messages of gossip, sent and received.");
    GOSSIP_BYTES = counter("annulus_gossip_bytes_total", &["direction"], "Bytes of those messages.");
    GOSSIP_FAILURES = counter(
        "annulus_gossip_failures_total",
        &["kind"],
        "Exchanges that went unanswered, and messages that could not be read."
    );
    ENGINE = gauge("annulus_engine", &["field"], "Figures of the storage engine, as in INFO persistence.");
}
