//! A copy of a node's data directory, from which a node can be started: `annulus snapshot` and the command SNAPSHOT.
//!
//! The store is copied and verified first; the ledger comes last, so that a directory with a ledger is a whole copy: a start
//! refuses one without. The facts in it are those of the moment of the snapshot: a flush decided before it is in both, one
//! decided later in neither. The copy is the same node in an earlier state; its next start raises the incarnation as every
//! start does, above the wall clock, so that no dot is issued twice.

use std::io::ErrorKind;
use std::path::Path;

use crate::env::Disk;
use crate::ledger::{Facts, Ledger};
use crate::replica::{Failure, Replica};
use crate::storage::{FOLDER, Inspection, Snapshot, inspect};

impl Replica {
    /// Writes a copy of all that is acknowledged now, and of some of what is written meanwhile, into `to`, which is empty or
    /// does not exist. Waits for the disk, so only for the pool.
    ///
    /// # Errors
    /// Why there is no copy.
    pub fn snapshot(&self, to: &Path) -> Result<Inspection, Failure> {
        let (facts, snapshot) = loop {
            let facts = self.ledger.facts();
            let snapshot = self.engine.snapshot()?;
            // A flush in between would be in one of them only.
            if self.ledger.facts().flushes == facts.flushes {
                break (facts, snapshot);
            }
        };
        write_snapshot(&snapshot, &facts, to)
    }
}

/// Writes and verifies the copy `to` of a data directory whose store is `snapshot` and whose ledger says `facts`.
///
/// # Errors
/// Why there is no copy; without a ledger nobody takes what is there for one.
pub fn write_snapshot(snapshot: &Snapshot, facts: &Facts, to: &Path) -> Result<Inspection, Failure> {
    let disk = &**snapshot.disk();
    let failed = |what: &str| Failure::Storage(format!("{}: {what}", to.display()).into());
    let told = |error: std::io::Error| Failure::Storage(error.to_string().into());
    match disk.list(to) {
        Ok(names) if names.is_empty() => {}
        Ok(_) => return Err(failed("a snapshot is made in an empty directory, and this one is not")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(told(error)),
    }
    let store = to.join(FOLDER);
    disk.make_dir(&store).map_err(told)?;
    snapshot.copy_to(&store)?;
    let found = inspect(disk, &store)?;
    if let Some(damage) = found.damages().next() {
        let what = format!("the copy is damaged: {} at {}: {}", damage.path.display(), damage.offset, damage.what);
        return Err(failed(&what));
    }
    sync_names(disk, to).map_err(told)?;
    Ledger::write_copy(disk, to, facts)?;
    Ok(found)
}

/// Makes the names of `to` and of what is above it durable.
fn sync_names(disk: &dyn Disk, to: &Path) -> std::io::Result<()> {
    to.ancestors().take(2).try_for_each(|dir| disk.sync_dir(dir))
}
