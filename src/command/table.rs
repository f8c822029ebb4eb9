//! The table's types, and the table itself: every family's list, in one place.

use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::Result;
use crate::command::{
    bitmap, bitop, client, cluster, connection, consistency, dump, expire, info, introspection, keys, lcs, multi,
    numbers, object, ranges, rename, ring, scan, server, settings, slowlog, strings, transactions, versions,
};
use crate::types::Args;

/// Plans a command's operations; an error becomes its reply.
pub type Plan = fn(&mut Planning<'_>, Args<'_>) -> Result<()>;

/// Writes a command's reply from the outcomes, or plans more.
pub type Finish = fn(&mut Finishing<'_>) -> Next;

/// One command, or one subcommand of a container command.
pub struct Command {
    /// Name in lower case; a subcommand's own name.
    pub name: &'static str,
    /// Number of arguments with the name (for a subcommand: with both names); negative: at least so many.
    pub arity: i16,
    /// What routing and `COMMAND` need to know.
    pub flags: Flags,
    /// Which arguments are keys.
    pub keys: Keys,
    /// Family, as `COMMAND DOCS` shows it.
    pub group: Group,
    /// Redis version that first had it ("annulus" for our own).
    pub since: &'static str,
    /// One line of help.
    pub summary: &'static str,
    /// Turns arguments into operations.
    pub plan: Plan,
    /// Turns outcomes into the reply.
    pub finish: Finish,
    /// Subcommands of a container command.
    pub subcommands: &'static [Command],
}

/// Properties of a command, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(0);
    /// May change data.
    pub const WRITE: Flags = Flags(1);
    /// Reads data and changes none.
    pub const READONLY: Flags = Flags(1 << 1);
    /// Refused when memory is short in Redis (here: shown only).
    pub const DENYOOM: Flags = Flags(1 << 2);
    /// Administration.
    pub const ADMIN: Flags = Flags(1 << 3);
    /// Constant or logarithmic time.
    pub const FAST: Flags = Flags(1 << 4);
    /// Allowed before authentication.
    pub const NO_AUTH: Flags = Flags(1 << 5);
    /// Allowed while data is loading (shown only).
    pub const LOADING: Flags = Flags(1 << 6);
    /// Allowed on a stale replica (shown only).
    pub const STALE: Flags = Flags(1 << 7);
    /// Not allowed in scripts (shown only).
    pub const NOSCRIPT: Flags = Flags(1 << 8);
    /// Publish and subscribe.
    pub const PUBSUB: Flags = Flags(1 << 9);
    /// Ends the batch before it and is a batch of its own: it changes the connection, or may take long.
    pub const ALONE: Flags = Flags(1 << 10);
    /// All its keys are locked together while it runs; implies `ALONE`.
    pub const ATOMIC: Flags = Flags(1 << 11);
    /// Runs at once inside MULTI instead of being queued (EXEC, DISCARD, MULTI, WATCH, QUIT, RESET).
    pub const NOT_QUEUED: Flags = Flags(1 << 12);
    /// Refused inside MULTI (shown as `no_multi`).
    pub const NO_MULTI: Flags = Flags(1 << 13);
    /// Works on whole databases, or counts what is in them: in EXEC it runs with no key locked, because counters are behind
    /// the locks of keys.
    pub const GLOBAL: Flags = Flags(1 << 14);
    /// Blocks its client (shown only).
    pub const BLOCKING: Flags = Flags(1 << 15);
    /// Not shown in MONITOR and SLOWLOG, for it carries secrets.
    pub const SECRET: Flags = Flags(1 << 16);

    /// Runs the queue of the transaction: `EXEC`.
    pub const RUNS_QUEUE: Flags = Flags(1 << 17);
    /// May touch its keys in any database: `COPY`.
    pub const ANY_DATABASE: Flags = Flags(1 << 18);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    #[inline]
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Key positions: the first, the last (negative: counted from the end) and the step, 0 for no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Index of the first key.
    pub first: i16,
    /// Index of the last key.
    pub last: i16,
    /// Distance between keys.
    pub step: i16,
}

impl Keys {
    /// No keys.
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    /// Argument 1.
    pub const ONE: Keys = Keys { first: 1, last: 1, step: 1 };
    /// Argument 1 to the last.
    pub const ALL: Keys = Keys { first: 1, last: -1, step: 1 };

    /// The indexes of the keys among `count` arguments.
    pub fn indexes(self, count: usize) -> impl Iterator<Item = usize> {
        let last = if self.last < 0 { count as i64 + i64::from(self.last) } else { i64::from(self.last) };
        let end = if self.first == 0 { 0 } else { (last + 1).clamp(0, count as i64) as usize };
        (self.first.max(0) as usize..end).step_by(self.step.max(1) as usize)
    }
}

/// A command's family, as `COMMAND DOCS` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Strings.
    String,
    /// Bit operations.
    Bitmap,
    /// Any key.
    Generic,
    /// The connection.
    Connection,
    /// The server.
    Server,
    /// Cluster.
    Cluster,
    /// Transactions.
    Transactions,
    /// Scripts and functions.
    Scripting,
}

impl Group {
    /// The name that Redis uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Generic => "generic",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
        }
    }
}

impl Command {
    /// A generic command without keys and subcommands; `keys`, `docs` and `subcommands` say more of it.
    #[must_use]
    pub const fn new(name: &'static str, arity: i16, flags: Flags, run: (Plan, Finish)) -> Command {
        let (plan, finish) = run;
        Command {
            name,
            arity,
            flags,
            keys: Keys::NONE,
            group: Group::Generic,
            since: "1.0.0",
            summary: "",
            plan,
            finish,
            subcommands: &[],
        }
    }

    /// With these key positions.
    #[must_use]
    pub const fn keys(self, keys: Keys) -> Command {
        Command { keys, ..self }
    }

    /// With what `COMMAND DOCS` tells.
    #[must_use]
    pub const fn docs(self, group: Group, since: &'static str, summary: &'static str) -> Command {
        Command { group, since, summary, ..self }
    }

    /// With subcommands.
    #[must_use]
    pub const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command { subcommands, ..self }
    }

    /// Whether `count` arguments are enough and not too many.
    #[inline]
    #[must_use]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 { count >= arity } else { count == arity }
    }
}

/// Every family's commands.
static FAMILIES: [&[Command]; 25] = [
    strings::COMMANDS,
    numbers::COMMANDS,
    ranges::COMMANDS,
    multi::COMMANDS,
    lcs::COMMANDS,
    bitmap::COMMANDS,
    bitop::COMMANDS,
    keys::COMMANDS,
    expire::COMMANDS,
    scan::COMMANDS,
    dump::COMMANDS,
    rename::COMMANDS,
    object::COMMANDS,
    connection::COMMANDS,
    client::COMMANDS,
    transactions::COMMANDS,
    server::COMMANDS,
    slowlog::COMMANDS,
    settings::COMMANDS,
    info::COMMANDS,
    introspection::COMMANDS,
    cluster::COMMANDS,
    versions::COMMANDS,
    consistency::COMMANDS,
    ring::COMMANDS,
];

/// Every command, in the order of the families.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().flat_map(|family| family.iter())
}
