//! `annulus snapshot`: a verified copy of the data directory of a stopped node.

use std::path::Path;
use std::sync::Arc;

use crate::env::Disk;
use crate::ledger::Ledger;
use crate::node::error::Error;
use crate::replica::write_snapshot;
use crate::storage::{FOLDER, Inspection, Snapshot};

/// Copies the data directory `dir`, which no node has open, to `to`, which is empty or does not exist; what is in the copy.
///
/// # Errors
/// If a node has `dir` open, if it is damaged, or what the disk says.
pub fn snapshot(disk: &Arc<dyn Disk>, dir: &Path, to: &Path) -> Result<Inspection, Error> {
    let ledger = Ledger::open(Arc::clone(disk), dir)?;
    let snapshot = Snapshot::of_stopped(disk, &dir.join(FOLDER))?;
    Ok(write_snapshot(&snapshot, &ledger.facts(), to)?)
}
