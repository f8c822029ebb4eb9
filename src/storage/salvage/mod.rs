//! Recovers what can be recovered of a damaged store: `annulus salvage`.
//!
//! `survey` reads everything and says what is lost; `rebuild` makes a store of what is left. What is kept, and why it may be:
//!
//! - **Tables** that are sound stay where they are. Of a damaged one the sound blocks are written into a new table in its
//!   place; a key whose newest entry was in a lost block shows an older one, or none: that is told.
//! - **The log**: all sound frames count, also behind a damaged one. A record is a whole one and not a change, so the newest
//!   that is left of a key is a state the key once had, and nothing that it supersedes is needed. What is given up is that
//!   the state is a prefix of the writes: a later write may be there and an earlier one, of another key, not. Each segment
//!   becomes a run of tables, newer than all before it, and the log begins anew.
//! - **Without a manifest** every table counts that none of its sound frames says was replaced. Of two tables with a key the
//!   one with the greater stamp is newer: flushes are in the order of stamps, and compaction writes the greatest of its
//!   inputs' stamps and gives its outputs greater numbers. Tables that hold what others replaced do no harm under those.
//! - **Counters** are counted anew from the records that are left, by the owner of the records.
//!
//! Invariant: nothing is changed before all that will be removed has a second name in a folder of its own; the rename of
//! `CURRENT` decides: a crash leaves the damaged store or the salvaged one.
//! Left out: the incarnation, which the caller raises first; what records mean.

mod rebuild;
mod survey;

use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::storage::error::Error;
use crate::storage::inspection::lock;
use crate::storage::note::Note;
use crate::storage::options::Options;
use crate::storage::salvage::rebuild::rebuild;
use crate::storage::salvage::survey::survey;
use crate::storage::table::LostKeys;

/// What the counters have to count of a record, as if nothing had been there before.
pub type Recount<'a> = &'a dyn Fn(&[u8], &[u8]) -> Note;

/// What a salvage finds and loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// What is lost.
    pub losses: Vec<Loss>,
    /// Entries of damaged tables and records of the log that are kept.
    pub kept: u64,
    /// Tables that stay as they are.
    pub sound_tables: u64,
    /// Files that go; copies of them are kept.
    pub removed: Vec<PathBuf>,
}

/// Something that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The file that had it.
    pub path: PathBuf,
    /// What it was.
    pub what: LossKind,
}

/// What was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// So many entries of a table, somewhere in these stretches of engine keys. Older
    /// values of the keys, or deleted ones, may show again.
    Entries {
        /// How many; `None` if the table no longer tells.
        count: Option<u64>,
        /// Where.
        keys: Vec<LostKeys>,
    },
    /// Writes and deletes in the log: so many bytes of records, or all up to the end.
    Writes {
        /// Bytes.
        bytes: Option<u64>,
    },
    /// Which tables counted, and which ranges were dropped since they were written.
    Manifest,
    /// The counters, which are counted anew.
    Counters,
}

/// Says what a salvage of the store in `options.dir` would keep and lose; changes nothing.
///
/// # Errors
/// As [`salvage`].
pub fn plan_salvage(env: &Env, options: &Options) -> Result<Salvaged, Error> {
    let _lock = lock(&*env.disk, &options.dir)?;
    Ok(survey(&*env.disk, &options.dir)?.salvaged)
}

/// Makes a sound store of what is left of the one in `options.dir`; copies of all that is removed go to `keep`, a directory
/// on the same filesystem that exists. The caller has raised the incarnation.
///
/// # Errors
/// `Locked`, `FutureFormat`, or what the disk says; then the store is as it was, or salvaged already.
pub fn salvage(env: &Env, options: &Options, keep: &Path, recount: Recount<'_>) -> Result<Salvaged, Error> {
    let _lock = lock(&*env.disk, &options.dir)?;
    let found = survey(&*env.disk, &options.dir)?;
    rebuild(env, options, (keep, recount), &found)?;
    Ok(found.salvaged)
}
