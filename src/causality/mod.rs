//! HLC, dots, contexts, records, their merge and their encoding: pure values.
//!
//! A record is the unit of versioning: what one replica knows of one cell. Its context says which writes it has seen, its
//! versions are those of them that no write it has seen supersedes. Two or more versions are siblings: concurrent writes.
//!
//! Read in this order: `time` and `dot` (names of writes), `clock` (where their times come from), `context` (sets of
//! writes), `format` (bytes of a record), `record` (reading them), `plan` (a record about to be written), `write` (what SET,
//! DEL, VSET and expiry make of a record), `merge` (what two replicas make of theirs), `presence` (what counters need).
//!
//! Invariant (I1): if a record's context covers a dot of that cell, the record holds that version, or something that
//! superseded it was merged into it, or it has expired. Every function here takes records for which that holds and gives
//! such records; a rule that lets a context cover a dot that nobody in the write's history has seen loses data.
//!
//! Invariant: bytes that come from outside never panic and never make an allocation larger than themselves.
//!
//! Left out on purpose: locks, clocks, keys, epochs, who is asked for a record. A change is planned first ([`Plan`]), so that
//! its exact size is known before the one allocation that holds it, and then encoded into that.
//!
//! Source: Preguiça et al., "Dotted Version Vectors" (2010); Kulkarni et al., "Logical Physical Clocks" (2014).

mod clock;
mod context;
mod dot;
mod format;
mod merge;
mod plan;
mod presence;
mod record;
mod time;
mod write;

#[cfg(test)]
mod tests;

pub use clock::{Ahead, Hlc};
pub use context::{Context, ContextFull, MAX_ACTORS};
pub use dot::{Actor, Dot, MAX_INCARNATION};
pub use format::{FormatError, MAX_VERSIONS};
pub use merge::{Merged, PurgeBounds, merge};
pub use plan::{Plan, PlanError};
pub use presence::{Change, Expiry, Presence};
pub use record::{Record, RecordView, Version, Versions};
pub use time::Time;
pub use write::{MAX_SIBLINGS, Purged, delete, overwrite, purge, reap, remove_covered, replace_covered};
