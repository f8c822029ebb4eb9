//! What is left of a damaged store, and what is lost; nothing is changed.

use std::collections::BTreeSet;
use std::path::Path;

use crate::env::Disk;
use crate::storage::drops::Drops;
use crate::storage::error::Error;
use crate::storage::log::{self, Known};
use crate::storage::manifest::{self, Placed, Remains, State, read_tally, tally_path};
use crate::storage::salvage::{Loss, LossKind, Salvaged};
use crate::storage::table::{self, LostKeys, TableInfo, TableSurvey, table_path};
use crate::storage::tally;
use crate::types::Stamp;

/// What is left of a store.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is told of it.
    pub(super) salvaged: Salvaged,
    /// Tables and their places, damaged ones included.
    pub(super) tables: Vec<Placed>,
    /// Those of them that are damaged.
    pub(super) damaged: BTreeSet<u64>,
    /// Drops in force.
    pub(super) drops: Drops,
    /// What of the log is in tables.
    pub(super) known: Known,
    /// No record has a greater stamp.
    pub(super) end: Stamp,
    /// No segment has a greater generation.
    pub(super) generation: u64,
    /// No file has this number or a greater one.
    pub(super) next_number: u64,
}

/// Reads the whole store in `dir`.
pub(super) fn survey(disk: &dyn Disk, dir: &Path) -> Result<Found, Error> {
    let names = disk.list(dir).map_err(|source| Error::io(dir, source))?;
    let number_of = |name: &str| name.split_once('.').and_then(|(stem, _)| stem.parse::<u64>().ok());
    let mut found = Found { next_number: 2, ..Found::default() };
    found.next_number = names.iter().filter_map(|name| number_of(name)).max().map_or(2, |number| number + 1);
    match manifest::survey(disk, dir)?.state.filter(|state| manifest::overlapping(state).is_empty()) {
        Some(state) => found.by_manifest(disk, dir, state)?,
        None => {
            let numbers = names.iter().filter(|name| name.ends_with(".table")).filter_map(|name| number_of(name));
            found.by_tables(disk, dir, &numbers.collect::<Vec<_>>())?;
        }
    }
    found.log(disk, dir)?;
    found.list_removed(dir, &names);
    Ok(found)
}

impl Found {
    fn lose(&mut self, path: &Path, what: LossKind) {
        self.salvaged.losses.push(Loss { path: path.to_owned(), what });
    }

    // ---- With a manifest ----

    fn by_manifest(&mut self, disk: &dyn Disk, dir: &Path, state: State) -> Result<(), Error> {
        for placed in state.tables.into_values() {
            let path = table_path(dir, placed.info.number);
            let Some(found) = read_table(disk, &path)? else {
                let keys = vec![LostKeys { after: Some(placed.info.first), before: Some(placed.info.last) }];
                self.lose(&path, LossKind::Entries { count: Some(placed.info.keys), keys });
                continue;
            };
            let placed = match (&found.properties, found.flaws.is_empty()) {
                (Some(own), true) => Placed { info: sound_info(&placed.info, own, found.bytes), ..placed },
                _ => placed,
            };
            self.table(&path, placed, &found);
        }
        self.drops = state.drops;
        self.next_number = self.next_number.max(state.next_number);
        self.known.flushed_to = Some(state.flushed_to);
        self.known.generation = Some(0);
        if let Some(number) = state.tally {
            let path = tally_path(dir, number);
            self.known.generation = match read_tally(disk, &path) {
                Ok(bytes) => tally::decode(&bytes).map(|saved| saved.generation),
                Err(error @ Error::FutureFormat { .. }) => return Err(error),
                Err(_) => None,
            };
            if self.known.generation.is_none() {
                self.lose(&path, LossKind::Counters);
            }
        }
        Ok(())
    }

    fn table(&mut self, path: &Path, placed: Placed, found: &TableSurvey) {
        self.end = self.end.max(placed.info.max_stamp);
        if found.flaws.is_empty() {
            self.salvaged.sound_tables += 1;
        } else {
            self.damaged.insert(placed.info.number);
            self.salvaged.kept += found.keys;
            let count = placed.info.keys.checked_sub(found.keys).filter(|_| placed.info.keys > 0);
            if count != Some(0) || !found.lost.is_empty() {
                self.lose(path, LossKind::Entries { count, keys: found.lost.clone() });
            }
        }
        self.tables.push(placed);
    }

    // ---- Without ----

    fn by_tables(&mut self, disk: &dyn Disk, dir: &Path, numbers: &[u64]) -> Result<(), Error> {
        self.lose(&dir.join("CURRENT"), LossKind::Manifest);
        let mut remains = manifest::remains(disk, dir)?;
        for number in numbers.iter().filter(|number| !remains.removed.contains(number)) {
            let path = table_path(dir, *number);
            let Some(found) = read_table(disk, &path)? else { continue };
            let info = match &found.properties {
                Some(own) => own_info((*number, found.bytes), own, &remains),
                // Neither its age nor its range is known: it goes below all others, as far as its blocks tell.
                None => TableInfo { number: *number, bytes: found.bytes, ..unknown_info() },
            };
            // Its run follows once all tables are known.
            self.table(&path, Placed { level: 0, run: 0, info }, &found);
        }
        remains.drops.sort_by_key(|drop| drop.number);
        remains.drops.into_iter().for_each(|drop| self.drops.insert(drop));
        self.next_number = self.next_number.max(remains.next_number);
        self.known = Known { generation: None, flushed_to: None };
        Ok(())
    }

    // ---- The log ----

    fn log(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        let mut writes = 0;
        let survey = log::survey(disk, dir, self.known, &mut |_, _| {
            writes += 1;
            Ok(())
        })?;
        self.salvaged.kept += writes;
        for segment in &survey.segments {
            for (from, to) in &segment.lost {
                self.lose(&segment.path, LossKind::Writes { bytes: to.map(|to| to - from) });
            }
        }
        let newest_drop = self.drops.ranges().iter().map(|drop| drop.drop.stamp).max();
        self.end = self.end.max(survey.end).max(newest_drop.unwrap_or_default());
        self.generation = survey.generation.max(self.known.generation.unwrap_or(0));
        self.salvaged.removed = survey.old;
        self.salvaged.removed.extend(survey.segments.into_iter().map(|segment| segment.path));
        Ok(())
    }

    fn list_removed(&mut self, dir: &Path, names: &[String]) {
        let stays: BTreeSet<_> = self
            .tables
            .iter()
            .map(|placed| placed.info.number)
            .filter(|number| !self.damaged.contains(number))
            .map(|number| table_path(dir, number))
            .collect();
        let goes = |name: &&String| {
            [".table", ".tally", ".manifest"].iter().any(|kind| name.ends_with(kind)) || name.starts_with("CURRENT")
        };
        let paths = names.iter().filter(goes).map(|name| dir.join(name));
        self.salvaged.removed.extend(paths.filter(|path| !stays.contains(path)));
    }
}

/// Reads a table; `None` if there is no such file, or the disk does not open it.
fn read_table(disk: &dyn Disk, path: &Path) -> Result<Option<TableSurvey>, Error> {
    match table::survey(disk, path, &mut |_, _| Ok(())) {
        Ok(found) => Ok(Some(found)),
        Err(Error::Io { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a sound table says, with what only the manifest knows of it.
fn sound_info(info: &TableInfo, own: &table::Properties, bytes: u64) -> TableInfo {
    TableInfo {
        number: info.number,
        bytes,
        keys: own.keys,
        max_stamp: own.max_stamp,
        cleaned: info.cleaned,
        first: own.first.clone().max(info.first.clone()),
        last: own.last.clone(),
    }
}

/// What a table says of itself, with what is left of the manifest's knowledge.
fn own_info((number, bytes): (u64, u64), own: &table::Properties, remains: &Remains) -> TableInfo {
    let (first, cleaned) = remains.known.get(&number).cloned().unwrap_or_default();
    let info = TableInfo { number, cleaned, first, ..unknown_info() };
    sound_info(&info, own, bytes)
}

fn unknown_info() -> TableInfo {
    let (first, last) = (Vec::new(), vec![u8::MAX; 3]);
    TableInfo { number: 0, bytes: 0, keys: 0, max_stamp: Stamp(0), cleaned: 0, first, last }
}
