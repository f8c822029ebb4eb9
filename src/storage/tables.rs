//! All tables of a data directory: the view of what is on disk, and the ways it changes (flush, compaction, drops).
//!
//! Invariant: every change is one manifest edit, durable before the new view is installed; the manifest's lock orders them.
//! Invariant: files that the newest view does not name are removed once no older view names them, by the threads that
//! change the view and never by a reader.
//! Left out: memory, the log and the lock of the directory, which the engine keeps.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;

use crate::env::{Clock, Env};
use crate::storage::cache::BlockCache;
use crate::storage::compaction::waiting_bytes;
use crate::storage::cursor::Cursor;
use crate::storage::drops::{Age, Drops, NumberedDrop};
use crate::storage::error::Error;
use crate::storage::filter::Filter;
use crate::storage::manifest::{Edit, ManifestFile, State, read_tally, tally_path};
use crate::storage::options::Options;
use crate::storage::run::Run;
use crate::storage::table::{
    Compression, OpenTables, RunOptions, RunWriter, Table, TableContext, TableFile, TableOptions, table_path,
};
use crate::storage::view::{LEVELS, View};
use crate::types::Stamp;

pub(crate) use crate::storage::compaction::Compactor;
pub(crate) use crate::storage::drops::RangeDrop;
pub(crate) use crate::storage::flush::{Flush, FlushEnd};

/// What an open of the tables found for the rest of the engine.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The tally saved by the last flush; `None` before the first.
    pub(crate) tally: Option<Vec<u8>>,
    /// Drops that entries of the log may still fall under: those with a stamp below the drop's are gone.
    pub(crate) drops: Vec<RangeDrop>,
    /// Every log entry below it is in tables.
    pub(crate) flushed_to: Stamp,
}

/// How far a stepped job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// One unit was done, more are left.
    Again,
    /// Nothing is left to do.
    Done,
}

/// All tables of a data directory; a cheap handle.
#[derive(Clone)]
pub(crate) struct Tables {
    shared: Arc<Shared>,
}

/// What flush, compaction and readers share.
pub(crate) struct Shared {
    options: Options,
    clock: Arc<dyn Clock>,
    context: Arc<TableContext>,
    numbers: Arc<AtomicU64>,
    view: ArcSwap<View>,
    manifest: Mutex<Manifest>,
}

struct Manifest {
    file: ManifestFile,
    state: State,
    /// Views built so far.
    views: u64,
}

impl Tables {
    /// Opens what `options.dir` holds (an empty directory is a new store) and removes what no edit names.
    pub(crate) fn open(env: &Env, options: &Options) -> Result<(Tables, Recovered), Error> {
        let (disk, dir) = (&env.disk, &options.dir);
        let (file, mut state) = match ManifestFile::open(disk, dir)? {
            Some((file, state)) => (file, state),
            None => {
                remove_orphans(env, dir, |_, _| false)?;
                let state = State { next_number: 2, ..State::default() };
                (ManifestFile::create(disk, dir, (1, &state))?, state)
            }
        };
        state.forget_drops();
        check_tables(env, dir, &state)?;
        remove_orphans(env, dir, |kind, number| match kind {
            "table" => state.tables.contains_key(&number),
            "tally" => state.tally == Some(number),
            _ => file.number() == number,
        })?;
        let tally = state.tally.map(|number| read_tally(&**disk, &tally_path(dir, number))).transpose()?;
        let drops = state.drops.ranges().iter().map(|numbered| numbered.drop.clone()).collect();
        let recovered = Recovered { tally, drops, flushed_to: state.flushed_to };
        let context = Arc::new(TableContext {
            disk: Arc::clone(disk),
            dir: dir.clone(),
            cache: BlockCache::new(options.cache_bytes),
            open_tables: OpenTables::new(options.open_tables),
            garbage: Mutex::new(Vec::new()),
        });
        let view = build_view(&state, &context, (1, &HashMap::new()))?;
        let next_number = state.next_number.max(file.number() + 1);
        let shared = Shared {
            options: options.clone(),
            clock: Arc::clone(&env.clock),
            context,
            numbers: Arc::new(AtomicU64::new(next_number)),
            view: ArcSwap::from_pointee(view),
            manifest: Mutex::new(Manifest { file, state, views: 1 }),
        };
        Ok((Tables { shared: Arc::new(shared) }, recovered))
    }

    /// What is on disk now.
    #[inline]
    pub(crate) fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// What the manifest says now, and the view of the same moment.
    pub(crate) fn pinned(&self) -> (State, Arc<View>) {
        let manifest = self.shared.manifest.lock();
        let next_number = self.shared.numbers.load(Ordering::Relaxed);
        (State { next_number, ..manifest.state.clone() }, self.shared.view())
    }

    /// What is on disk now, for a look that ends before the caller does anything else.
    #[inline]
    pub(crate) fn glance(&self) -> Guard<Arc<View>> {
        self.shared.view.load()
    }

    /// Starts to write `entries` (newest per key, ascending) into level 0; flushes run one after the other. An empty cursor
    /// writes only the edit.
    pub(crate) fn flush(&self, entries: Box<dyn Cursor>, end: FlushEnd) -> Flush {
        Flush::new(&self.shared, entries, end)
    }

    /// Hides the ranges durably, all of them or none. A drop's stamp is above that of every entry in tables, and not below
    /// that of any drop before.
    pub(crate) fn drop_ranges(&self, ranges: &[RangeDrop]) -> Result<(), Error> {
        let numbered = |drop: &RangeDrop| NumberedDrop { number: self.shared.next_number(), drop: drop.clone() };
        let new: Vec<_> = ranges.iter().map(numbered).collect();
        let mut drops = Drops::default();
        new.iter().for_each(|drop| drops.insert(drop.clone()));
        let view = self.view();
        let is_covered = |table: &&Arc<Table>| drops.cover((&table.info.first, &table.info.last), table.info.age());
        let covered = view.runs().flat_map(Run::tables).filter(is_covered);
        let removed = covered.map(|table| table.info.number).collect();
        // The view would keep the files of what is removed.
        std::mem::drop(view);
        if !self.shared.commit(Edit { removed, drops: new.clone(), ..Edit::default() })? {
            // Compaction replaced one of the tables meanwhile: what is hidden goes when it next looks for work.
            self.shared.commit(Edit { drops: new, ..Edit::default() })?;
        }
        Ok(())
    }

    /// Compaction's driver; there is at most one at a time.
    pub(crate) fn compactor(&self, filter: Arc<dyn Filter>) -> Compactor {
        Compactor::new(&self.shared, filter)
    }

    /// Bytes of tables that lie in levels which are to be compacted.
    pub(crate) fn compaction_bytes(&self) -> u64 {
        waiting_bytes(&self.shared.view(), &self.shared.options)
    }

    /// Bytes in the block cache, and its limit.
    pub(crate) fn cache_bytes(&self) -> (u64, u64) {
        (self.shared.context.cache.used_bytes(), self.shared.context.cache.limit_bytes())
    }
}

impl Shared {
    /// What all tables share.
    pub(crate) fn context(&self) -> &Arc<TableContext> {
        &self.context
    }

    /// The engine's settings.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Time, for units of bounded length.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What is on disk now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// A number that nothing has had before.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Begins a run for a level, written with that compression.
    pub(crate) fn run_writer(&self, (level, compression): (u8, Compression), age: Age) -> RunWriter {
        let Options { block_bytes, table_bytes, layout, .. } = self.options;
        let options = RunOptions { table: TableOptions { level, compression, block_bytes }, table_bytes, layout, age };
        RunWriter::new(Arc::clone(&self.context), Arc::clone(&self.numbers), options)
    }

    /// Makes `edit` durable and installs the view that follows from it. `false`: a table that it removes or trims is no
    /// longer there; nothing was changed.
    pub(crate) fn commit(&self, mut edit: Edit) -> Result<bool, Error> {
        let mut files: HashMap<u64, Arc<TableFile>> = HashMap::new();
        let ready = self.open_added(&edit, &mut files);
        let mut manifest = self.manifest.lock();
        let mut named = edit.removed.iter().chain(edit.trimmed.iter().map(|(number, _)| number));
        let is_current = named.all(|number| manifest.state.tables.contains_key(number));
        if ready.is_err() || !is_current {
            self.discard(&edit);
            return ready.map(|()| false);
        }
        edit.next_number = self.numbers.load(Ordering::Relaxed);
        if let Err(error) = manifest.file.append(&edit) {
            if !manifest.file.is_failed() {
                self.discard(&edit);
            }
            return Err(error);
        }
        let old_tally = manifest.state.tally;
        manifest.install(&edit, &self.context, (&self.view, files))?;
        if let (Some(_), Some(old)) = (edit.tally, old_tally) {
            let _ = self.context.disk.remove(&tally_path(&self.context.dir, old));
        }
        if manifest.file.is_long() {
            let Manifest { file, state, .. } = &mut *manifest;
            file.begin_next(self.next_number(), state)?;
            state.next_number = self.numbers.load(Ordering::Relaxed);
        }
        drop(manifest);
        self.sweep();
        Ok(true)
    }

    /// Removes the files of an edit that will not be made. An error leaves orphans, which the next open removes.
    pub(crate) fn discard(&self, edit: &Edit) {
        let kept: Vec<u64> = edit.removed.clone();
        let tables = edit.added.iter().map(|placed| placed.info.number).filter(|number| !kept.contains(number));
        let tables = tables.map(|number| table_path(&self.context.dir, number));
        for path in tables.chain(edit.tally.map(|number| tally_path(&self.context.dir, number))) {
            let _ = self.context.disk.remove(&path);
        }
    }

    /// Removes files that no view names any more. An error leaves orphans, which the next open removes.
    pub(crate) fn sweep(&self) {
        let garbage = std::mem::take(&mut *self.context.garbage.lock());
        for number in garbage {
            let _ = self.context.disk.remove(&table_path(&self.context.dir, number));
        }
    }

    /// Makes the names of the edit's files durable and opens its tables: what cannot be read is not named.
    fn open_added(&self, edit: &Edit, files: &mut HashMap<u64, Arc<TableFile>>) -> Result<(), Error> {
        if !edit.added.is_empty() || edit.tally.is_some() {
            let dir = &self.context.dir;
            self.context.disk.sync_dir(dir).map_err(|source| Error::io(dir, source))?;
        }
        for placed in edit.added.iter().filter(|placed| !edit.removed.contains(&placed.info.number)) {
            let info = &placed.info;
            let file = Arc::new(TableFile::new(&self.context, info.number, info.bytes));
            file.properties()?;
            files.insert(info.number, file);
        }
        Ok(())
    }
}

impl Manifest {
    /// Applies a durable edit and installs the view.
    fn install(
        &mut self,
        edit: &Edit,
        context: &Arc<TableContext>,
        (view, mut files): (&ArcSwap<View>, HashMap<u64, Arc<TableFile>>),
    ) -> Result<(), Error> {
        let misfit = |what| Error::corrupt(&context.dir, 0, what);
        self.state.apply(edit).map_err(misfit)?;
        self.state.forget_drops();
        let old = view.load_full();
        for table in old.runs().flat_map(Run::tables) {
            files.insert(table.info.number, Arc::clone(&table.file));
        }
        self.views += 1;
        let new = build_view(&self.state, context, (self.views, &files))?;
        view.store(Arc::new(new));
        // Only now: a table that is dropped while it is named must keep its file.
        for number in edit.removed.iter().filter(|number| !self.state.tables.contains_key(number)) {
            if let Some(file) = files.get(number) {
                file.retire();
            }
        }
        Ok(())
    }
}

/// The view of `state`; files that are known already are taken from `files`.
pub(crate) fn build_view(
    state: &State,
    context: &Arc<TableContext>,
    (id, files): (u64, &HashMap<u64, Arc<TableFile>>),
) -> Result<View, Error> {
    let mut runs: BTreeMap<(u8, u64), Vec<Arc<Table>>> = BTreeMap::new();
    for placed in state.tables.values() {
        let (number, bytes) = (placed.info.number, placed.info.bytes);
        let file = files.get(&number).map(Arc::clone);
        let file = file.unwrap_or_else(|| Arc::new(TableFile::new(context, number, bytes)));
        let table = Arc::new(Table { info: placed.info.clone(), file });
        runs.entry((placed.level, placed.run)).or_default().push(table);
    }
    let mut levels: [Vec<Run>; LEVELS] = Default::default();
    // From the greatest number down: newest first.
    for ((level, run), mut tables) in runs.into_iter().rev() {
        tables.sort_by(|a, b| a.info.first.cmp(&b.info.first));
        if let Some(pair) = tables.windows(2).find(|pair| pair[0].info.last >= pair[1].info.first) {
            return Err(Error::corrupt(pair[1].file.path(), 0, "the table overlaps another one of its run"));
        }
        if let Some(level) = levels.get_mut(usize::from(level)) {
            level.push(Run::new(run, tables));
        }
    }
    Ok(View { id, levels, drops: Arc::new(state.drops.clone()) })
}

/// Every table that the manifest names must be there: a missing one is reported now rather than by the first read.
fn check_tables(env: &Env, dir: &Path, state: &State) -> Result<(), Error> {
    let names = env.disk.list(dir).map_err(|source| Error::io(dir, source))?;
    for number in state.tables.keys() {
        let path = table_path(dir, *number);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if names.binary_search_by(|found| found.as_str().cmp(name)).is_err() {
            return Err(Error::corrupt(&path, 0, "the manifest names the table, but there is no such file"));
        }
    }
    Ok(())
}

/// Removes our numbered files for which `is_live(kind, number)` is false.
fn remove_orphans(env: &Env, dir: &Path, is_live: impl Fn(&str, u64) -> bool) -> Result<(), Error> {
    for name in env.disk.list(dir).map_err(|source| Error::io(dir, source))? {
        let Some((stem, kind)) = name.split_once('.') else { continue };
        let Ok(number) = stem.parse() else { continue };
        if matches!(kind, "table" | "tally" | "manifest") && !is_live(kind, number) {
            let path: PathBuf = dir.join(&name);
            env.disk.remove(&path).map_err(|source| Error::io(&path, source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
