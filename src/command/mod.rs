//! The command table and what each command does, one file per family.
//!
//! A command is data ([`Command`]): name, arity, flags, key positions, a `plan` and a `finish`. `plan` turns arguments into
//! operations of the batch, without waiting; the coordinator carries the batch out; `finish` turns outcomes into the reply,
//! or plans more operations and is called again ([`Next::More`]). Errors of `plan` become the reply, in order.
//!
//! Invariant: `plan` and `finish` never block and never wait; what takes long is an operation.
//! Routing, arity errors, `COMMAND` and key extraction come from the table; nothing else lists commands.

mod admin;
mod arguments;
mod bitmap;
mod bitop;
mod client;
mod cluster;
mod connection;
mod consistency;
mod context;
mod dump;
mod error;
mod expire;
mod help;
mod info;
mod introspection;
mod keys;
mod lcs;
mod lookup;
mod multi;
mod numbers;
mod object;
mod ranges;
mod rename;
mod report;
mod ring;
mod scan;
mod server;
mod settings;
mod slowlog;
mod stats;
mod status;
mod strings;
mod table;
mod token;
mod transactions;
mod versions;

pub use admin::{Admin, Identity, RefusedReason, Setting, SettingRefused, Tunables};
pub use context::{Finishing, Next, Planning, Services};
pub use error::{CommandError, Result};
pub use lookup::{Resolved, resolve};
pub use slowlog::{SlowBatch, SlowLog};
pub use stats::{CommandCounts, CommitWaits, Latency, Period, Stats};
pub use status::{
    Budget, ClusterStatus, ConnectionStatus, HintsStatus, KeyspaceStatus, ProcessStatus, Status, StoreStatus, Totals,
};
pub use table::{Command, Finish, Flags, Group, Keys, Plan, commands};
pub use token::Tokens;
