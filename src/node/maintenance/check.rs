//! `annulus check`: every file of a data directory is read and verified; nothing is changed.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::env::{Disk, OpenMode};
use crate::ledger::{self, Ledger};
use crate::node::error::Error;
use crate::storage::{FOLDER, Finding, Inspection, Severity, inspect};

/// Verifies the data directory `dir`: its ledger and its store.
///
/// # Errors
/// If it is no data directory, a node has it open, a later release wrote it, or the disk does not say what is in it.
pub fn check(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Inspection, Error> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(source) => return Err(Error::Machine { tried: "the data directory cannot be read", source }),
    };
    let has = |name: &str| names.iter().any(|found| found == name);
    if !has("ledger") && !has(FOLDER) {
        let found = names.first().cloned();
        return Err(found.map_or_else(
            || Error::Empty { path: dir.to_owned() },
            |found| Error::Foreign { path: dir.to_owned(), found },
        ));
    }
    let (opened, finding) = open_ledger(disk, dir)?;
    let mut found = if has(FOLDER) { inspect(&**disk, &dir.join(FOLDER))? } else { Inspection::default() };
    if opened.is_some() {
        let path = dir.join("ledger");
        let length = disk.open(&path, OpenMode::Read).and_then(|file| file.len());
        found.count_file(length.map_err(|source| Error::Machine { tried: "the ledger cannot be read", source })?);
    }
    found.findings.splice(0..0, finding);
    if has("ledger.next") {
        let what = "what a crash left of a write of the ledger; the next write removes it";
        found.findings.push(Finding::new(Severity::Orphan, (&dir.join("ledger.next"), 0), what));
    }
    Ok(found)
}

/// The ledger, held open so that no node starts meanwhile; or what is wrong with it.
pub(super) fn open_ledger(
    disk: &Arc<dyn Disk>,
    dir: &Path,
) -> Result<(Option<Ledger>, Option<Finding>), ledger::Error> {
    let path = dir.join("ledger");
    let damage = |offset, what: String| Ok((None, Some(Finding::new(Severity::Damage, (&path, offset), what))));
    match Ledger::open(Arc::clone(disk), dir) {
        Ok(ledger) => Ok((Some(ledger), None)),
        Err(ledger::Error::Missing { .. }) => damage(0, "the ledger is missing".to_owned()),
        Err(ledger::Error::Corrupt { offset, what, .. }) => damage(offset as u64, what),
        Err(ledger::Error::TooLarge { bytes, .. }) => damage(0, format!("a ledger is never {bytes} bytes long")),
        Err(ledger::Error::Io { source }) if source.kind() == ErrorKind::UnexpectedEof => damage(0, source.to_string()),
        Err(error) => Err(error),
    }
}
