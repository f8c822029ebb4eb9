//! The engine: commit log, memtable, compressed tables, recovery. Synchronous; keys and values are opaque bytes.

mod cache;
mod compaction;
mod copies;
mod cursor;
mod draft;
mod drops;
mod engine;
mod error;
mod filter;
mod finding;
mod flush;
mod inspection;
mod log;
mod manifest;
mod memtable;
mod merge;
mod note;
mod options;
mod run;
mod salvage;
mod snapshot;
mod table;
mod tables;
mod tally;
mod transaction;
mod view;

pub use draft::{Draft, Fetched, Read, ScanLimit, ScanRange, Update, Verdict};
pub use engine::{Change, DurableHook, Engine, Gate, See, SeeEntry, Stats};
pub use error::Error;
pub use filter::{Depth, Filter, Judgement};
pub use finding::{Finding, Severity};
pub use inspection::{Inspection, inspect};
pub use note::{Bucket, Note, TreeChange};
pub use options::{Durability, Options};
pub use salvage::{Loss, LossKind, Recount, Salvaged, plan_salvage, salvage};
pub use snapshot::Snapshot;
pub use table::LostKeys;
pub use transaction::{Begin, Transaction};
pub use view::LevelStats;

/// The store's folder in a data directory.
pub const FOLDER: &str = "store";
