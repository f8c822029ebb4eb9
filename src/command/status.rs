//! The node at one moment, as INFO and the metrics show it.
//!
//! A snapshot of plain values: gathered by `node`, formatted by `info` and by the HTTP endpoint, so that both always agree.
//! Counters of commands are not in it; they are in [`crate::command::Stats`].

use std::collections::BTreeSet;
use std::time::Duration;

use crate::gossip;
use crate::hints::{Held, Stats};
use crate::types::{Database, NodeId};

/// The node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Since the start.
    pub uptime: Duration,
    /// The process.
    pub process: ProcessStatus,
    /// Connections of clients.
    pub connections: ConnectionStatus,
    /// Commands carried out in the last second.
    pub commands_per_second: u64,
    /// Keys that went because they expired, since the start.
    pub expired_keys: u64,
    /// Databases that have keys.
    pub keyspace: Vec<KeyspaceStatus>,
    /// Memory that is bounded by settings.
    pub budgets: Vec<Budget>,
    /// The store.
    pub store: StoreStatus,
    /// The members of the cluster and what gossip has done.
    pub gossip: gossip::Figures,
    /// Background work: name, and what it says of itself as `field=value,..`.
    pub workers: Vec<(&'static str, String)>,
    /// The cluster, as this node sees it.
    pub cluster: ClusterStatus,
    /// What is kept for other members; nothing if the node is alone.
    pub hints: Option<HintsStatus>,
    /// Why the node cannot take writes, if it cannot.
    pub failure: Option<String>,
}

/// What only grows while the process runs, but `CONFIG RESETSTAT` lets INFO count anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted.
    pub connections_received: u64,
    /// Connections refused for the limit.
    pub connections_rejected: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Keys that expired.
    pub expired_keys: u64,
}

impl Totals {
    /// What has come since they stood at `before`.
    #[must_use]
    pub fn since(self, before: Totals) -> Totals {
        Totals {
            connections_received: self.connections_received.saturating_sub(before.connections_received),
            connections_rejected: self.connections_rejected.saturating_sub(before.connections_rejected),
            received_bytes: self.received_bytes.saturating_sub(before.received_bytes),
            sent_bytes: self.sent_bytes.saturating_sub(before.sent_bytes),
            expired_keys: self.expired_keys.saturating_sub(before.expired_keys),
        }
    }
}

impl Status {
    /// What only grows.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            connections_received: self.connections.received,
            connections_rejected: self.connections.rejected,
            received_bytes: self.connections.received_bytes,
            sent_bytes: self.connections.sent_bytes,
            expired_keys: self.expired_keys,
        }
    }
}

/// The cluster, as one node sees it.
#[derive(Clone, Debug, Default)]
pub struct ClusterStatus {
    /// Whether the node is a member of the topology that it goes by.
    pub is_member: bool,
    /// Other members that it has no connection to.
    pub unreachable: BTreeSet<NodeId>,
}

/// What is kept for members that were away.
#[derive(Clone, Debug, Default)]
pub struct HintsStatus {
    /// The store at this moment.
    pub store: Stats,
    /// The wall clock, against which the ages in it count.
    pub now_ms: u64,
    /// Hints that have arrived, since the start.
    pub delivered: u64,
    /// Bytes that were sent for that.
    pub sent_bytes: u64,
    /// Records that members refused.
    pub refused: u64,
    /// Messages that brought nothing.
    pub failed: u64,
}

impl HintsStatus {
    /// Why records or hints were given up before they were delivered, with how many.
    #[must_use]
    pub fn dropped(&self) -> [(&'static str, u64); 3] {
        [("age", self.store.aged), ("overflow", self.store.overflowed), ("stranger", self.store.strangers)]
    }

    /// Seconds since the oldest of these was kept, at most.
    #[must_use]
    pub fn age_seconds(&self, held: &Held) -> u64 {
        if held.count == 0 { 0 } else { self.now_ms.saturating_sub(held.oldest_ms) / 1000 }
    }
}

/// The process as the machine sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessStatus {
    /// Its number.
    pub pid: u32,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// The most it was, in bytes.
    pub resident_peak_bytes: u64,
    /// Time spent in the program.
    pub cpu_user: Duration,
    /// Time spent in the kernel for it.
    pub cpu_system: Duration,
}

/// Connections of clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionStatus {
    /// Connections now.
    pub count: u64,
    /// Connections allowed.
    pub limit: u64,
    /// Connections accepted since the start.
    pub received: u64,
    /// Connections refused for the limit.
    pub rejected: u64,
    /// Bytes received in all.
    pub received_bytes: u64,
    /// Bytes sent in all.
    pub sent_bytes: u64,
    /// Largest unexecuted input of a connection, in bytes.
    pub largest_input_bytes: u64,
    /// Largest undelivered output of a connection, in bytes.
    pub largest_output_bytes: u64,
}

/// A database's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyspaceStatus {
    /// The database.
    pub database: Database,
    /// Its keys, expired ones included until they are reaped.
    pub keys: u64,
    /// Those that have an expiry.
    pub expires: u64,
}

/// Memory that a setting bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What it is for: a word, lower case with underscores.
    pub name: &'static str,
    /// Bytes in use.
    pub used: u64,
    /// Bytes allowed.
    pub limit: u64,
}

/// The store on disk.
#[derive(Clone, Debug, Default)]
pub struct StoreStatus {
    /// When a write counts as done: `sync`, `everysec` or `none`.
    pub durability: &'static str,
    /// Bytes appended to the log since the data directory was made.
    pub log_bytes: u64,
    /// Bytes of the log known durable.
    pub log_durable_bytes: u64,
    /// Bytes that can still be written where the data is.
    pub disk_free_bytes: u64,
    /// What the engine tells of itself, each a name (lower case with underscores, ending in its unit) and a number.
    pub engine: Vec<(&'static str, u64)>,
    /// The last error of background work or of a sync.
    pub last_error: Option<String>,
}
