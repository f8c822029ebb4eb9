//! Reads `CURRENT` and the manifest, whatever is wrong with them.
//!
//! [`survey`] says what a start would find. [`remains`] gathers for a salvage what sound frames still say when no manifest
//! can be replayed: which tables are known to be gone, which of their keys, which ranges were dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::env::{Disk, OpenMode};
use crate::storage::drops::NumberedDrop;
use crate::storage::error::Error;
use crate::storage::finding::{Finding, Severity};
use crate::storage::manifest::file::{
    CURRENT, CURRENT_NEW, MAX_MANIFEST_BYTES, current, current_text, manifest_path, replay,
};
use crate::storage::manifest::format::{
    Edit, FORMAT_VERSION, FRAME_HEADER_BYTES, HEADER_BYTES, Placed, frame_at, header_version,
};
use crate::storage::manifest::state::State;
use crate::types::Stamp;

/// What was found of the manifest.
#[derive(Debug, Default)]
pub(crate) struct ManifestSurvey {
    /// The number that `CURRENT` names.
    pub(crate) number: Option<u64>,
    /// What the store consists of; `None` if that cannot be read, and if the directory never had a manifest.
    pub(crate) state: Option<State>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
    /// Length of both files.
    pub(crate) bytes: u64,
}

/// Reads `CURRENT` and the manifest that it names.
///
/// # Errors
/// If the directory cannot be listed, or a later release wrote the manifest.
pub(crate) fn survey(disk: &dyn Disk, dir: &Path) -> Result<ManifestSurvey, Error> {
    let mut found = ManifestSurvey::default();
    match read(disk, dir, &mut found) {
        Err(Error::Corrupt { path, offset, what }) => {
            found.findings.push(Finding::new(Severity::Damage, (&path, offset), what));
        }
        Err(Error::Io { path, source }) if path != dir => {
            found.findings.push(Finding::new(Severity::Damage, (&path, 0), source.to_string()));
        }
        other => other?,
    }
    Ok(found)
}

fn read(disk: &dyn Disk, dir: &Path, found: &mut ManifestSurvey) -> Result<(), Error> {
    let Some(number) = current(disk, dir)? else { return Ok(()) };
    found.number = Some(number);
    let (text, path) = (dir.join(CURRENT), manifest_path(dir, number));
    let bytes = contents(disk, &text)?;
    let own = current_text(0).len();
    if bytes.len() != own {
        found.findings.push(Finding::new(
            Severity::Damage,
            (&text, own as u64),
            "the file is longer than it was written",
        ));
    }
    found.bytes = bytes.len() as u64;
    let bytes = contents(disk, &path)?;
    found.bytes += bytes.len() as u64;
    let (state, end) = replay(&path, &bytes)?;
    if end < bytes.len() as u64 {
        let what = "the manifest's end is torn, as a crash leaves it";
        found.findings.push(Finding::new(Severity::Note, (&path, end), what));
    }
    found.state = Some(state);
    Ok(())
}

/// What the store in `dir` consists of; nothing yet if it never had a manifest.
///
/// # Errors
/// `Corrupt`, `FutureFormat`, or what the disk says.
pub(crate) fn read_state(disk: &dyn Disk, dir: &Path) -> Result<State, Error> {
    let Some(number) = current(disk, dir)? else { return Ok(State { next_number: 2, ..State::default() }) };
    let path = manifest_path(dir, number);
    let (mut state, _) = replay(&path, &contents(disk, &path)?)?;
    state.next_number = state.next_number.max(number + 1);
    Ok(state)
}

fn contents(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::io(path, source);
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let len = file.len().map_err(io)?;
    if len > MAX_MANIFEST_BYTES {
        return Err(Error::corrupt(path, 0, "a manifest is never this long"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_at(&mut bytes, 0).map_err(io)?;
    Ok(bytes)
}

/// What sound frames of damaged manifests still say.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// Tables that no longer counted.
    pub(crate) removed: BTreeSet<u64>,
    /// First keys that counted of tables, and the newest drop that they are clean of.
    pub(crate) known: BTreeMap<u64, (Vec<u8>, u64)>,
    /// Drops.
    pub(crate) drops: Vec<NumberedDrop>,
    /// Every log entry below it was in tables.
    pub(crate) flushed_to: Stamp,
    /// No file has this number or a greater one, as far as is known.
    pub(crate) next_number: u64,
}

/// Gathers what all manifests in `dir` still say, oldest first.
///
/// # Errors
/// If the directory cannot be listed, or a later release wrote one of them.
pub(crate) fn remains(disk: &dyn Disk, dir: &Path) -> Result<Remains, Error> {
    let mut remains = Remains::default();
    for path in manifests(disk, dir)? {
        let Ok(bytes) = contents(disk, &path) else { continue };
        match header_version(&bytes) {
            Some(FORMAT_VERSION) | None => {}
            Some(version) => return Err(Error::FutureFormat { path, version, supported: FORMAT_VERSION }),
        }
        let mut offset = HEADER_BYTES;
        while offset < bytes.len() {
            match frame_at(&bytes, offset).map(|body| (body.len(), Edit::decode(body))) {
                Some((len, Ok(edit))) => {
                    remains.take(&edit);
                    offset += FRAME_HEADER_BYTES + len;
                }
                _ => offset += 1,
            }
        }
    }
    Ok(remains)
}

fn manifests(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let names = disk.list(dir).map_err(|source| Error::io(dir, source))?;
    Ok(names.iter().filter(|name| name.ends_with(".manifest")).map(|name| dir.join(name)).collect())
}

impl Remains {
    fn take(&mut self, edit: &Edit) {
        for placed in &edit.added {
            // A table that changes its level is removed and added by one edit.
            self.known.insert(placed.info.number, (placed.info.first.clone(), placed.info.cleaned));
        }
        for (number, first) in &edit.trimmed {
            self.known.entry(*number).or_default().0.clone_from(first);
        }
        self.removed.extend(edit.removed.iter().copied());
        self.removed.retain(|number| edit.added.iter().all(|placed| placed.info.number != *number));
        self.drops.extend(edit.drops.iter().cloned());
        self.flushed_to = self.flushed_to.max(edit.flushed_to.unwrap_or_default());
        self.next_number = self.next_number.max(edit.next_number);
    }
}

/// Whether a file of this name belongs to the manifest and is left over by a crash.
pub(crate) fn is_left_over(name: &str) -> bool {
    name == CURRENT_NEW
}

/// Tables that lie over another one of their run.
pub(crate) fn overlapping(state: &State) -> Vec<&Placed> {
    let mut placed: Vec<_> = state.tables.values().collect();
    placed.sort_by(|a, b| (a.level, a.run, &a.info.first).cmp(&(b.level, b.run, &b.info.first)));
    let overlaps = |pair: &[&Placed]| match pair {
        [a, b] => (a.level, a.run) == (b.level, b.run) && a.info.last >= b.info.first,
        _ => false,
    };
    placed.windows(2).filter(|pair| overlaps(pair)).filter_map(|pair| pair.last().copied()).collect()
}
