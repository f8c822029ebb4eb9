//! What commands ask of the node above them: who it is, its settings, its state, and that it stop.
//!
//! `node` implements [`Admin`]; commands see nothing else of the layers above. [`Tunables`] are the settings that hot paths
//! read: plain atomics, so that reading one costs no lock and no call.
//!
//! Left out: how settings are named, parsed and kept (`config`), how the state is gathered (`node`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use crate::command::status::Status;
use crate::types::{NodeId, NodeNumber};

/// What commands ask of the node above them.
pub trait Admin: Send + Sync {
    /// Everything about this node that replies show and that does not change while it runs.
    fn identity(&self) -> &Identity;
    /// The password that clients have to give, if one is set.
    fn password(&self) -> Option<Arc<str>>;
    /// The settings that are read while commands run.
    fn tunables(&self) -> &Tunables;
    /// Every setting with its value now, in the order of the configuration file. The password is among them.
    fn settings(&self) -> Vec<Setting>;
    /// Changes all the settings that `changes` names (name, value), or none of them.
    ///
    /// # Errors
    /// The first setting that cannot be changed so, and why.
    fn set(&self, changes: &[(&str, &str)]) -> Result<(), SettingRefused>;
    /// The node at this moment. Costs up to a millisecond: for INFO and scrapes, not for hot paths.
    fn status(&self) -> Status;
    /// Starts a graceful stop, as SIGTERM does: replies that are due are still sent. Returns at once.
    fn shut_down(&self);
}

/// Names and addresses of this node.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name for ever.
    pub node_id: NodeId,
    /// Its short name in the cluster.
    pub node_number: NodeNumber,
    /// The name of this run of the process: 40 hexadecimal digits.
    pub run_id: String,
    /// What people call it.
    pub name: String,
    /// Rack or availability zone.
    pub zone: String,
    /// Data centre.
    pub dc: String,
    /// Share of the ring, against the weights of other nodes.
    pub weight: u32,
    /// Version of Annulus.
    pub version: &'static str,
    /// Where clients connect; the address may be unspecified (`0.0.0.0`, all of the machine's).
    pub client_address: SocketAddr,
    /// Where other nodes connect.
    pub peer_address: SocketAddr,
    /// Where `/metrics` and `/health` are, if anywhere.
    pub http_address: Option<SocketAddr>,
    /// When this run of the process started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// The data directory.
    pub data: String,
    /// Operating system, its release and the architecture.
    pub system: String,
    /// The configuration file, if one was read.
    pub config_file: Option<String>,
}

/// Settings that are read while commands run; changed by `CONFIG SET` alone.
#[derive(Debug)]
pub struct Tunables {
    /// `slowlog-log-slower-than`: microseconds; 0 logs every command, a negative number none.
    pub slowlog_slower_than_us: AtomicI64,
    /// `slowlog-max-len`: entries that are kept.
    pub slowlog_max_len: AtomicU64,
    /// `keys-reply-max`: keys that `KEYS` answers at most.
    pub keys_reply_max: AtomicU64,
    /// `timeout`: milliseconds after which an idle connection is closed; 0 never.
    pub idle_timeout_ms: AtomicU64,
}

/// A setting and its value now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// Its value, as `CONFIG SET` and flags take it.
    pub value: String,
    /// Whether `CONFIG SET` may change it.
    pub can_change: bool,
}

/// Why settings were not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRefused {
    /// The setting that was named.
    pub name: String,
    /// What is wrong.
    pub reason: RefusedReason,
}

/// What is wrong with the change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedReason {
    /// There is no such setting.
    Unknown,
    /// It only changes with a restart.
    Fixed,
    /// The value is not allowed; what is.
    Value(String),
    /// The value is allowed, but could not be put into effect.
    Failed(String),
}
