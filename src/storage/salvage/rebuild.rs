//! Makes a store of what a survey found: new tables, counters, a manifest; then `CURRENT`, then the old files go.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::env::{Disk, Env};
use crate::storage::cache::BlockCache;
use crate::storage::copies::link_or_copy;
use crate::storage::drops::Age;
use crate::storage::error::Error;
use crate::storage::log::{self, Write};
use crate::storage::manifest::{ManifestFile, Placed, State, tally_path, write_tally};
use crate::storage::options::Options;
use crate::storage::salvage::Recount;
use crate::storage::salvage::survey::Found;
use crate::storage::table::{
    self, Compression, OpenTables, RunOptions, RunWriter, TableContext, TableOptions, table_path,
};
use crate::storage::tables::build_view;
use crate::storage::tally::{self, Head, Tally};
use crate::types::Stamp;

/// Memory for blocks while the counters are counted anew.
const CACHE_BYTES: u64 = 8 << 20;

/// Writes the salvaged store.
pub(super) fn rebuild(
    env: &Env,
    options: &Options,
    (keep, recount): (&Path, Recount<'_>),
    found: &Found,
) -> Result<(), Error> {
    let (disk, dir) = (&env.disk, &options.dir);
    keep_copies(&**disk, keep, found)?;
    let builder = Builder::new(env, options, found);
    let mut state = builder.tables()?;
    builder.log(&mut state)?;
    let tally = builder.count(&state, recount)?;
    let number = builder.number();
    write_tally(&**disk, &tally_path(dir, number), &tally)?;
    disk.sync_dir(dir).map_err(|source| Error::io(dir, source))?;
    state.tally = Some(number);
    let manifest = builder.number();
    state.next_number = manifest + 1;
    ManifestFile::create(disk, dir, (manifest, &state))?;
    // From here on the store is sound; what is left of the old one, the next start would remove.
    for path in found.salvaged.removed.iter().filter(|path| !path.ends_with("CURRENT")) {
        match disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path, error)),
            _ => {}
        }
    }
    disk.sync_dir(dir).map_err(|source| Error::io(dir, source))
}

/// Gives all that will be removed a second name, durably.
fn keep_copies(disk: &dyn Disk, keep: &Path, found: &Found) -> Result<(), Error> {
    for path in &found.salvaged.removed {
        if let Some(name) = path.file_name() {
            link_or_copy(disk, path, &keep.join(name))?;
        }
    }
    disk.sync_dir(keep).map_err(|source| Error::io(keep, source))
}

struct Builder<'a> {
    options: &'a Options,
    found: &'a Found,
    context: Arc<TableContext>,
    numbers: Arc<AtomicU64>,
}

impl<'a> Builder<'a> {
    fn new(env: &Env, options: &'a Options, found: &'a Found) -> Self {
        let context = TableContext {
            disk: Arc::clone(&env.disk),
            dir: options.dir.clone(),
            cache: BlockCache::new(CACHE_BYTES),
            open_tables: OpenTables::new(options.open_tables),
            garbage: Mutex::new(Vec::new()),
        };
        let numbers = Arc::new(AtomicU64::new(found.next_number));
        Builder { options, found, context: Arc::new(context), numbers }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn writer(&self, level: u8, age: Age) -> RunWriter {
        let compression = if level == 0 { Compression::Raw } else { Compression::Zstd(1) };
        let Options { block_bytes, layout, table_bytes, .. } = *self.options;
        let table = TableOptions { level, compression, block_bytes };
        let options = RunOptions { table, table_bytes, layout, age };
        RunWriter::new(Arc::clone(&self.context), Arc::clone(&self.numbers), options)
    }

    /// The sound tables, and new ones of the sound blocks of the others.
    fn tables(&self) -> Result<State, Error> {
        let mut state = State { drops: self.found.drops.clone(), flushed_to: self.found.end, ..State::default() };
        for placed in &self.found.tables {
            if !self.found.damaged.contains(&placed.info.number) {
                state.tables.insert(placed.info.number, placed.clone());
                continue;
            }
            let mut writer = self.writer(placed.level, placed.info.age());
            let path = table_path(&self.options.dir, placed.info.number);
            table::survey(&*self.context.disk, &path, &mut |key, value| match key >= placed.info.first.as_slice() {
                true => writer.add(key, value),
                false => Ok(()),
            })?;
            self.place(&mut state, writer, (placed.level, placed.run))?;
        }
        Ok(state)
    }

    fn place(&self, state: &mut State, writer: RunWriter, (level, run): (u8, u64)) -> Result<(), Error> {
        for info in writer.finish()? {
            state.tables.insert(info.number, Placed { level, run, info });
        }
        Ok(())
    }

    /// What is in the log: a run for each segment.
    fn log(&self, state: &mut State) -> Result<(), Error> {
        let mut generation = 0;
        let mut writes = Writes::default();
        log::survey(&*self.context.disk, &self.options.dir, self.found.known, &mut |of, write| {
            if of != generation {
                self.flush(state, std::mem::take(&mut writes))?;
                generation = of;
            }
            if !self.is_dropped(&write) {
                writes.entries.insert(write.key.to_vec(), write.value.to_vec());
            }
            writes.end = write.stamp;
            Ok(())
        })?;
        self.flush(state, writes)?;
        if self.found.known.flushed_to.is_none() {
            arrange(state);
        }
        Ok(())
    }

    /// Whether a range with the key was dropped after the write.
    fn is_dropped(&self, write: &Write<'_>) -> bool {
        let hides = |drop: &crate::storage::tables::RangeDrop| {
            drop.stamp > write.stamp && *write.key >= *drop.from && *write.key < *drop.to
        };
        self.found.drops.ranges().iter().any(|numbered| hides(&numbered.drop))
    }

    fn flush(&self, state: &mut State, writes: Writes) -> Result<(), Error> {
        if writes.entries.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer(0, Age { max_stamp: writes.end, cleaned: 0 });
        for (key, value) in &writes.entries {
            writer.add(key, value)?;
        }
        self.place(state, writer, (0, self.number()))
    }

    /// The counters of what the tables of `state` hold.
    fn count(&self, state: &State, recount: Recount<'_>) -> Result<Vec<u8>, Error> {
        let view = build_view(state, &self.context, (1, &HashMap::new()))?;
        let layout = self.options.layout;
        let mut tallies = vec![Tally::default(); usize::from(layout.arcs())];
        let mut cursor = view.cursor(&[], &[u8::MAX; 3]);
        let shift = layout.slots_per_arc().trailing_zeros();
        while cursor.advance()? {
            let head = Head::of(cursor.key());
            let note = recount(cursor.key(), cursor.value());
            let last = tallies.len() - 1;
            if let Some(tally) = tallies.get_mut((usize::from(head.slot) >> shift).min(last)) {
                tally.apply(head, &note);
            }
        }
        Ok(tally::encode(self.found.generation, tallies.iter()))
    }
}

/// Makes runs of tables that no manifest tells the places of: each in the lowest run above those of all older tables that it
/// overlaps, where the greater stamp and then the greater number is newer.
fn arrange(state: &mut State) {
    let mut placed: Vec<Placed> = std::mem::take(&mut state.tables).into_values().collect();
    placed.sort_by_key(|placed| (placed.info.max_stamp, placed.info.number));
    for Placed { info, .. } in placed {
        let overlaps = |other: &&Placed| other.info.first <= info.last && info.first <= other.info.last;
        let run = state.tables.values().filter(overlaps).map(|other| other.run + 1).max().unwrap_or(0);
        state.tables.insert(info.number, Placed { level: 0, run, info });
    }
}

/// What one segment holds.
#[derive(Default)]
struct Writes {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    end: Stamp,
}
