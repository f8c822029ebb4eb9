//! The table of all settings: each is a flag of `annulus serve`, a key of the file and an `ANNULUS_*` variable.
//!
//! Invariant: nothing else lists settings; help, file, variables, `CONFIG GET` and `annulus config --print` come from here.

use crate::config::value::Kind;

/// When a setting may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At the start only.
    AtStart,
    /// While the node runs too, by `CONFIG SET`.
    WhileRunning,
}

/// One setting.
#[derive(Debug)]
pub struct Spec {
    /// Its name, kebab-case.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What it is if nobody sets it.
    pub default: &'static str,
    /// What it means, as sentences.
    pub meaning: &'static str,
    /// When it may change.
    pub change: Change,
}

impl Spec {
    const fn new(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Spec {
        Spec { name, kind, default, meaning, change: Change::AtStart }
    }

    const fn changes(self) -> Spec {
        Spec { change: Change::WhileRunning, ..self }
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("ANNULUS_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

/// Every setting, in the order of the file.
pub static SPECS: &[Spec] = &[
    Spec::new("listen", Kind::Address, "127.0.0.1:6379", "Where clients connect. Port 0 takes any free one."),
    Spec::new(
        "peer-listen",
        Kind::DerivedAddress,
        "",
        "Where other nodes connect, an address of this machine that they can reach. Empty: the client port + 10000.",
    ),
    Spec::new(
        "http-listen",
        Kind::OptionalAddress,
        "",
        "Where /metrics (Prometheus) and /health are. Empty: the client port + 2000; off: nowhere.",
    ),
    Spec::new("data", Kind::Text, "annulus-data", "The data directory."),
    Spec::new(
        "found",
        Kind::Number(0, 1000),
        "0",
        "Founds a new cluster of so many nodes if the data directory is empty, and waits until the others have come with \
         --join. Give it once, on the command line; never put it into a service file.",
    ),
    Spec::new(
        "join",
        Kind::Addresses,
        "",
        "Peer addresses of nodes, one of them the founder, whose cluster this node is to be in if its data directory is \
         empty. A restart does not need it.",
    ),
    Spec::new(
        "cluster-secret",
        Kind::Text,
        "",
        "What all nodes of the cluster know and nobody else does. A cluster of several nodes needs it, the same on each, \
         unless all of them listen for peers on loopback.",
    ),
    Spec::new(
        "replicas",
        Kind::Number(1, 15),
        "3",
        "Nodes of each data centre that hold a key, as far as there are so many. Fixed when the cluster is founded.",
    ),
    Spec::new("name", Kind::Word, "", "What people call this node. Empty: made of its id."),
    Spec::new("zone", Kind::Word, "zone1", "Rack or availability zone of this node."),
    Spec::new("dc", Kind::Word, "dc1", "Data centre of this node."),
    Spec::new("weight", Kind::Number(1, 10_000), "100", "Share of the ring, against the weights of other nodes."),
    Spec::new(
        "durability",
        Kind::Choice(&["sync", "everysec", "none"]),
        "sync",
        "When a write is acknowledged: sync, once it is on stable storage; everysec, once the operating system has it, \
         which is synced every second; none, the same without the sync.",
    ),
    Spec::new("requirepass", Kind::Text, "", "The password that clients have to give. Empty: none.").changes(),
    Spec::new(
        "allow-open",
        Kind::Switch,
        "false",
        "Allows a listen address other than loopback without a password: anybody who reaches it can read and delete all.",
    ),
    Spec::new("max-clients", Kind::Number(1, 1_000_000), "10000", "Connections of clients at a time.").changes(),
    Spec::new(
        "request-timeout",
        Kind::Duration(10, 3_600_000),
        "2s",
        "How long the replicas of a key may take to answer a read or a write, before the client gets an error.",
    ),
    Spec::new(
        "max-clock-skew",
        Kind::Duration(1, 60_000),
        "500ms",
        "How far ahead of this node's clock a write of another node may be dated; beyond that it is refused.",
    ),
    Spec::new(
        "hints-max-bytes",
        Kind::Bytes(MB, 1024 * GB),
        "1GB",
        "Disk for writes that other members missed, kept until they are back. What does not fit is found when it is read.",
    ),
    Spec::new(
        "hints-max-age",
        Kind::Duration(60_000, 8_760 * 3_600_000),
        "24h",
        "How long such a write is kept for a member that stays away.",
    ),
    Spec::new(
        "handoff-bandwidth",
        Kind::Bytes(10 * KB, 64 * GB),
        "16MB",
        "Bytes per second at which such writes are sent to members that are back.",
    ),
    Spec::new(
        "timeout",
        Kind::Number(0, i32::MAX as i64),
        "0",
        "Seconds after which a connection that sends nothing is closed. 0: never.",
    )
    .changes(),
    Spec::new(
        "drain-timeout",
        Kind::Duration(0, 3_600_000),
        "10s",
        "How long a stop waits for clients to take their last replies.",
    ),
    Spec::new(
        "snapshot-dir",
        Kind::Text,
        "",
        "The directory that SNAPSHOT makes copies of the data in, each in a folder of its own. Empty: SNAPSHOT is refused.",
    ),
    Spec::new(
        "purge-interval",
        Kind::Duration(1000, 86_400_000),
        "1m",
        "How often it is found out what of deleted keys need not be remembered any more.",
    ),
    Spec::new("max-pair-bytes", Kind::Bytes(KB, 512 * MB), "1MB", "Longest key and value together."),
    Spec::new(
        "query-buffer-max",
        Kind::Bytes(MB, 2 * GB),
        "32MB",
        "Bytes of requests that one connection may have waiting, and so the longest request.",
    ),
    Spec::new(
        "connection-buffers-max",
        Kind::Bytes(2 * MB, 64 * GB),
        "64MB",
        "Memory for requests, replies and transactions of all connections together. What a connection holds up to 32 KB \
         does not count. Once it is full, connections that hold some without progress are closed.",
    ),
    Spec::new("keys-reply-max", Kind::Number(1, 100_000_000), "1000000", "Keys that KEYS answers at most.").changes(),
    Spec::new(
        "memtable-bytes",
        Kind::Bytes(MB, 16 * GB),
        "64MB",
        "Memory for recent writes before they are flushed to a table; up to five of these exist at a time.",
    ),
    Spec::new("cache-bytes", Kind::Bytes(MB, 1024 * GB), "128MB", "Memory for blocks of tables, filters and indexes."),
    Spec::new(
        "reactors",
        Kind::Number(0, 1024),
        "0",
        "Threads that serve connections. 0: one per core but one, which is left to commit, flush and compaction.",
    ),
    Spec::new("read-threads", Kind::Number(1, 256), "6", "Threads for reads that wait for the disk."),
    Spec::new(
        "slowlog-log-slower-than",
        Kind::Number(-1, i64::MAX),
        "10000",
        "Microseconds from which a command is kept in SLOWLOG. 0: every one; -1: none.",
    )
    .changes(),
    Spec::new("slowlog-max-len", Kind::Number(0, 1_000_000), "128", "Commands that SLOWLOG keeps.").changes(),
    Spec::new(
        "log-level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "The least important lines that are logged.",
    )
    .changes(),
    Spec::new("log-format", Kind::Choice(&["text", "json"]), "text", "Lines for people, or JSON, on standard error."),
];

/// The setting called `name` and its place in the table.
#[must_use]
pub(super) fn find(name: &str) -> Option<(usize, &'static Spec)> {
    SPECS.iter().enumerate().find(|(_, spec)| spec.name == name)
}

/// The name most like `name`, if one is close enough to be meant.
pub(super) fn suggestion(name: &str) -> Option<&'static str> {
    let distances = SPECS.iter().map(|spec| (distance(name, spec.name), spec.name));
    distances.min().filter(|(distance, _)| *distance <= 2).map(|(_, name)| name)
}

/// Letters to insert, delete or replace (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{SPECS, suggestion};

    #[test]
    fn every_default_is_allowed_and_written_as_it_stands() {
        for spec in SPECS {
            let value = spec.kind.parse(spec.default).unwrap_or_else(|flaw| panic!("{}: {flaw}", spec.name));
            assert_eq!(value.to_string(), spec.default, "{}", spec.name);
            assert!(spec.meaning.ends_with('.'), "{}", spec.name);
        }
        let mut names: Vec<_> = SPECS.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SPECS.len());
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(suggestion("listne"), Some("listen"));
        assert_eq!(suggestion("max-client"), Some("max-clients"));
        assert_eq!(suggestion("colour"), None);
    }
}
