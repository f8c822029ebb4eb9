//! What counters of keys and of expiries need to know of a change: before, after, the difference.

use crate::causality::Time;

/// The earliest expiry of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// When the version that expires was written: together they name the counter's bucket the same way on every node and
    /// whenever it is asked, so that what was counted can be taken back.
    pub written: Time,
}

/// What counters hold of one record: a function of its live versions alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whether there is a live version, expired or not: the key counts.
    pub is_live: bool,
    /// The earliest expiry among them.
    pub expiry: Option<Expiry>,
}

/// What a change means for counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What they hold now.
    pub before: Presence,
    /// What they have to hold then.
    pub after: Presence,
}

impl Change {
    /// By how much the number of keys changes: -1, 0 or 1.
    #[must_use]
    pub fn keys(&self) -> i8 {
        i8::from(self.after.is_live) - i8::from(self.before.is_live)
    }
}
