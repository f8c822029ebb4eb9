//! Verifies every file of a store that no process has open: `annulus check`.
//!
//! Nothing is changed and nothing is assumed: what a start would take from the manifest is compared with what the files say.
//!
//! Invariant: each byte that a start, a read or a compaction would rely on is read, and what is wrong is told with file and
//! offset. What a crash leaves and a start mends is told too, but is no damage.
//! Left out: what keys and values mean.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::env::{Disk, FileLock};
use crate::storage::engine::LOCK;
use crate::storage::error::Error;
use crate::storage::finding::{Finding, Flaw, Severity};
use crate::storage::log::{self, Known, SegmentSurvey};
use crate::storage::manifest::{self, Placed, State, read_tally, tally_path};
use crate::storage::table::{self, TableSurvey, table_path};
use crate::storage::tally;

/// What an inspection found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What is wrong, and what is left over; damage first.
    pub findings: Vec<Finding>,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tables.
    pub tables: u64,
    /// Entries in them, superseded ones included.
    pub entries: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Records in the log that are not in tables.
    pub records: u64,
}

impl Inspection {
    /// What is damaged.
    pub fn damages(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Damage)
    }

    /// Counts one more file.
    pub fn count_file(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Verifies every file of the store in `dir`.
///
/// # Errors
/// `Locked` while a process has the store open; `FutureFormat`; what the disk says of the directory.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Inspection, Error> {
    let _lock = lock(disk, dir)?;
    let mut inspector = Inspector { disk, dir, found: Inspection::default(), live: BTreeSet::new() };
    inspector.run()?;
    let mut found = inspector.found;
    found.findings.sort_by(|a, b| (a.severity, &a.path, a.offset).cmp(&(b.severity, &b.path, b.offset)));
    Ok(found)
}

/// Keeps every other process out of the store in `dir`, which must exist.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn FileLock>, Error> {
    disk.list(dir).map_err(|source| Error::io(dir, source))?;
    let path = dir.join(LOCK);
    disk.lock(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { path },
        _ => Error::io(&path, source),
    })
}

struct Inspector<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    found: Inspection,
    /// Names of files that count.
    live: BTreeSet<String>,
}

impl Inspector<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let names = self.disk.list(self.dir).map_err(|source| Error::io(self.dir, source))?;
        let manifest = manifest::survey(self.disk, self.dir)?;
        self.live.extend([LOCK, crate::storage::engine::SPARE, "CURRENT"].map(str::to_owned));
        if let Some(number) = manifest.number {
            self.live.insert(format!("{number:012}.manifest"));
            self.found.files += 2;
            self.found.bytes += manifest.bytes;
        }
        let is_whole = manifest.findings.iter().all(|finding| finding.severity != Severity::Damage);
        self.found.findings.extend(manifest.findings);
        let mut known = Known::default();
        match &manifest.state {
            Some(state) => {
                self.tables(state)?;
                known = Known { generation: self.tally(state)?, flushed_to: Some(state.flushed_to) };
            }
            // A store that never had a manifest begins with nothing.
            None if is_whole => known = Known { generation: Some(0), flushed_to: Some(Default::default()) },
            None => self.unnamed_tables(&names)?,
        }
        self.log(known)?;
        self.left_over(&names);
        Ok(())
    }

    // ---- Tables ----

    fn tables(&mut self, state: &State) -> Result<(), Error> {
        for placed in state.tables.values() {
            let path = table_path(self.dir, placed.info.number);
            if let Some(found) = self.table(&path)?
                && found.flaws.is_empty()
                && let Some(what) = misfit(placed, &found)
            {
                self.damage(&path, Flaw { offset: 0, what });
            }
        }
        for placed in manifest::overlapping(state) {
            let flaw = Flaw { offset: 0, what: "the table overlaps another one of its run" };
            self.damage(&table_path(self.dir, placed.info.number), flaw);
        }
        Ok(())
    }

    /// Without a manifest nobody knows which tables count: all are read.
    fn unnamed_tables(&mut self, names: &[String]) -> Result<(), Error> {
        names
            .iter()
            .filter(|name| name.ends_with(".table"))
            .try_for_each(|name| self.table(&self.dir.join(name)).map(|_| ()))
    }

    fn table(&mut self, path: &Path) -> Result<Option<TableSurvey>, Error> {
        self.live.insert(name_of(path));
        let found = match table::survey(self.disk, path, &mut |_, _| Ok(())) {
            Err(Error::Io { source, .. }) => {
                let what = match source.kind() {
                    io::ErrorKind::NotFound => "the manifest names the file, but there is none".to_owned(),
                    _ => source.to_string(),
                };
                self.found.findings.push(Finding::new(Severity::Damage, (path, 0), what));
                return Ok(None);
            }
            other => other?,
        };
        self.found.count_file(found.bytes);
        self.found.tables += 1;
        self.found.entries += found.keys;
        found.flaws.iter().for_each(|flaw| self.damage(path, *flaw));
        Ok(Some(found))
    }

    // ---- Counters and log ----

    /// The generation up to which segments are in tables, as the tally says.
    fn tally(&mut self, state: &State) -> Result<Option<u64>, Error> {
        let Some(number) = state.tally else { return Ok(Some(0)) };
        let path = tally_path(self.dir, number);
        self.live.insert(name_of(&path));
        match read_tally(self.disk, &path) {
            Ok(bytes) => {
                self.found.count_file(bytes.len() as u64);
                let saved = tally::decode(&bytes);
                if saved.is_none() {
                    self.damage(&path, Flaw { offset: 0, what: "the tally makes no sense" });
                }
                Ok(saved.map(|saved| saved.generation))
            }
            Err(Error::Corrupt { offset, what, .. }) => {
                self.damage(&path, Flaw { offset, what });
                Ok(None)
            }
            Err(Error::Io { source, .. }) => {
                self.found.findings.push(Finding::new(Severity::Damage, (&path, 0), source.to_string()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn log(&mut self, known: Known) -> Result<(), Error> {
        let survey = log::survey(self.disk, self.dir, known, &mut |_, _| Ok(()))?;
        for SegmentSurvey { path, bytes, records, flaws, torn, .. } in &survey.segments {
            self.live.insert(name_of(path));
            self.found.count_file(*bytes);
            self.found.segments += 1;
            self.found.records += records;
            flaws.iter().for_each(|flaw| self.damage(path, *flaw));
            let note = |torn: &Flaw| Finding::new(Severity::Note, (path, torn.offset), torn.what);
            self.found.findings.extend(torn.iter().map(note));
        }
        Ok(())
    }

    // ---- The rest ----

    fn left_over(&mut self, names: &[String]) {
        for name in names.iter().filter(|name| !self.live.contains(*name)) {
            let is_ours = [".table", ".tally", ".manifest"].iter().any(|kind| name.ends_with(kind))
                || log::segment_generation(name).is_some()
                || manifest::is_left_over(name);
            let (severity, what) = match is_ours {
                true => (Severity::Orphan, "nothing names the file; the next start removes it"),
                false => (Severity::Note, "a file that is none of Annulus's"),
            };
            self.found.findings.push(Finding::new(severity, (&self.dir.join(name), 0), what));
        }
    }

    fn damage(&mut self, path: &Path, flaw: Flaw) {
        self.found.findings.push(Finding::new(Severity::Damage, (path, flaw.offset), flaw.what));
    }
}

/// What of a sound table is not as the manifest says.
fn misfit(placed: &Placed, found: &TableSurvey) -> Option<&'static str> {
    let (info, own) = (&placed.info, found.properties.as_ref()?);
    // Compaction moves the first key that counts upwards.
    let fits = info.bytes == found.bytes
        && info.keys == own.keys
        && info.max_stamp == own.max_stamp
        && info.last == own.last
        && info.first >= own.first;
    (!fits).then_some("the manifest tells of another table than this")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
