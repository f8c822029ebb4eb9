//! Flush, compaction, drops and reads together against a map, and through crashes at every change of the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::env::Disk as _;
use crate::env::memory::{Cached, Fault, MemoryDisk, MemoryMachine, OperationKind};
use crate::storage::cursor::Cursor;
use crate::storage::error::Error;
use crate::storage::filter::{Depth, Filter, Judgement};
use crate::storage::options::{Durability, Options};
use crate::storage::tables::{Compactor, FlushEnd, Progress, RangeDrop, Recovered, Tables};
use crate::storage::view::{Lookup, View};
use crate::types::Stamp;

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

const DIR: &str = "/data";
/// A value that the filter may drop.
pub(crate) const TOMBSTONE: &[u8] = b"gone";

/// Wants every tombstone dropped: that this is only done where nothing deeper can come back is for compaction to see to.
pub(crate) struct Reaper;

impl Filter for Reaper {
    fn judge(&self, _: &[u8], value: &[u8], _: Depth) -> Judgement {
        match value {
            TOMBSTONE => Judgement::Drop,
            b"replace" => Judgement::Replace(b"replaced".to_vec()),
            _ => Judgement::Keep,
        }
    }
}

pub(crate) fn options() -> Options {
    let mut options = Options::new(DIR.into(), Durability::Sync);
    options.block_bytes = 512;
    options.table_bytes = 4096;
    options.memtable_bytes = 2048;
    options.level0_runs = 2;
    options.level1_runs = 2;
    options.fanout = 2;
    options.cache_bytes = 64 << 10;
    options.open_tables = 4;
    options
}

/// A cursor over a map's entries.
pub(crate) struct Listed {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    next: usize,
}

impl Listed {
    pub(crate) fn new(map: &Map) -> Self {
        Listed { entries: map.iter().map(|(key, value)| (key.clone(), value.clone())).collect(), next: 0 }
    }
}

impl Cursor for Listed {
    fn advance(&mut self) -> Result<bool, Error> {
        self.next += 1;
        Ok(self.next <= self.entries.len())
    }

    fn key(&self) -> &[u8] {
        &self.entries[self.next - 1].0
    }

    fn value(&self) -> &[u8] {
        &self.entries[self.next - 1].1
    }
}

/// A store of tables on a memory disk.
pub(crate) struct Store {
    pub(crate) disk: MemoryDisk,
    pub(crate) tables: Tables,
    pub(crate) compactor: Compactor,
    pub(crate) recovered: Recovered,
    pub(crate) options: Options,
}

impl Store {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        disk.make_dir(Path::new(DIR)).expect("a new disk takes a directory");
        disk.sync_dir(Path::new("/")).expect("sound");
        Store::open(disk, options()).expect("a new store opens")
    }

    pub(crate) fn open(disk: MemoryDisk, options: Options) -> Result<Self, Error> {
        let mut env = MemoryMachine::new(1).env();
        env.disk = Arc::new(disk.clone());
        let (tables, recovered) = Tables::open(&env, &options)?;
        let compactor = tables.compactor(Arc::new(Reaper));
        Ok(Store { disk, tables, compactor, recovered, options })
    }

    pub(crate) fn reopen(self) -> Self {
        let Store { disk, options, .. } = self;
        Store::open(disk, options).expect("sound")
    }

    pub(crate) fn flush(&self, map: &Map, stamp: u64) -> Result<(), Error> {
        let end =
            FlushEnd { max_stamp: Stamp(stamp), flushed_to: Stamp(stamp + 1), tally: stamp.to_be_bytes().to_vec() };
        let mut flush = self.tables.flush(Box::new(Listed::new(map)), end);
        while flush.step()? == Progress::Again {}
        Ok(())
    }

    pub(crate) fn compact(&mut self) -> Result<(), Error> {
        while self.compactor.step()? == Progress::Again {}
        Ok(())
    }

    pub(crate) fn drop_range(&self, from: &[u8], to: &[u8], stamp: u64) -> Result<(), Error> {
        self.tables.drop_ranges(&[RangeDrop { from: from.to_vec(), to: to.to_vec(), stamp: Stamp(stamp) }])
    }
}

/// Everything that a view shows, tombstones left out.
pub(crate) fn everything(view: &View) -> Map {
    let mut cursor = view.cursor(&[], &[255; 4]);
    let mut found = Map::new();
    while cursor.advance().expect("sound") {
        if cursor.value() != TOMBSTONE {
            assert!(found.insert(cursor.key().to_vec(), cursor.value().to_vec()).is_none(), "a key comes once");
        }
    }
    found
}

fn live(value: Option<Vec<u8>>) -> Option<Vec<u8>> {
    value.filter(|value| value != TOMBSTONE)
}

pub(crate) fn check_reads(view: &View, model: &Map, keys: &BTreeSet<Vec<u8>>) {
    assert_eq!(&everything(view), model);
    for key in keys {
        let wanted = model.get(key);
        let found = live(view.get(key).expect("sound").map(|value| value.to_vec()));
        assert_eq!(found.as_ref(), wanted, "{key:?}");
        match view.get_cached(key).expect("sound") {
            Lookup::Found(value) => assert_eq!(live(Some(value.to_vec())).as_ref(), wanted),
            Lookup::Absent => assert_eq!(None, wanted),
            Lookup::Cold => {}
        }
    }
}

/// Keys of a few slots, with values of mixed length; some overwrite, some delete.
fn batch(random: &mut SmallRng) -> Map {
    let count = random.random_range(1..40);
    let entry = |random: &mut SmallRng| {
        let slot = random.random_range(0u16..200);
        let key = [&slot.to_be_bytes()[..], &[random.random_range(0..3)]].concat();
        let value = match random.random_range(0..10) {
            0..=2 => TOMBSTONE.to_vec(),
            _ => vec![random.random(); random.random_range(0..200)],
        };
        (key, value)
    };
    (0..count).map(|_| entry(random)).collect()
}

fn put(model: &mut Map, batch: &Map) {
    for (key, value) in batch {
        if value == TOMBSTONE {
            model.remove(key);
        } else {
            model.insert(key.clone(), value.clone());
        }
    }
}

fn random_range(random: &mut SmallRng) -> (Vec<u8>, Vec<u8>) {
    let slot = random.random_range(0u16..200);
    let width = if random.random_range(0..3) == 0 { 100 } else { random.random_range(1..10) };
    (slot.to_be_bytes().to_vec(), (slot + width).to_be_bytes().to_vec())
}

#[test]
fn random_histories_agree_with_a_map() {
    for seed in 0..6 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut store = Store::new(seed);
        let (mut model, mut keys, mut stamp) = (Map::new(), BTreeSet::new(), 0);
        let mut old: Option<(Arc<View>, Map)> = None;
        for _ in 0..80 {
            stamp += 1;
            match random.random_range(0..10) {
                0..=4 => {
                    let batch = batch(&mut random);
                    store.flush(&batch, stamp).expect("sound");
                    put(&mut model, &batch);
                    keys.extend(batch.into_keys());
                }
                5 => {
                    let (from, to) = random_range(&mut random);
                    store.drop_range(&from, &to, stamp).expect("sound");
                    model.retain(|key, _| *key < from || *key >= to);
                }
                6 => store.compact().expect("sound"),
                7 => {
                    // Views do not outlive their process.
                    old = None;
                    store = store.reopen();
                }
                8 => {
                    if let Some((view, model)) = old.replace((store.tables.view(), model.clone())) {
                        check_reads(&view, &model, &keys);
                    }
                }
                // Part of a compaction, so that flushes, drops and restarts come in its middle.
                _ => (0..random.random_range(0..20)).for_each(|_| {
                    store.compactor.step().expect("sound");
                }),
            }
            check_reads(&store.tables.view(), &model, &keys);
        }
        drop(old);
        store.compact().expect("sound");
        let view = store.tables.view();
        assert!(view.levels[0].len() < 2 && view.levels[1].len() < 2, "seed {seed}");
        check_reads(&view, &model, &keys);
        let view_files = view.runs().map(|run| run.tables().len()).sum::<usize>();
        drop(view);
        store.compact().expect("sound");
        let files = store.disk.files();
        let count =
            |kind: &str| files.iter().filter(|path| path.extension().is_some_and(|found| found == kind)).count();
        assert_eq!((count("table"), count("manifest")), (view_files, 1), "seed {seed}: {files:?}");
        assert!(count("tally") <= 1);
    }
}

/// Flushes, drops and compacts; answers the model after each step that was acknowledged, the last one first to be torn.
fn history(store: &mut Store, seed: u64) -> (Vec<(u64, Map)>, Result<(), Error>) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut models = vec![(0, Map::new())];
    for stamp in 1..14 {
        let mut model = models.last().map(|(_, model)| model.clone()).unwrap_or_default();
        let done = if stamp % 6 == 5 {
            let (from, to) = random_range(&mut random);
            model.retain(|key, _| *key < from || *key >= to);
            models.push((stamp, model));
            store.drop_range(&from, &to, stamp)
        } else {
            let batch = batch(&mut random);
            put(&mut model, &batch);
            models.push((stamp, model));
            store.flush(&batch, stamp)
        };
        let done = done.and_then(|()| if stamp % 3 == 0 { store.compact() } else { Ok(()) });
        if done.is_err() {
            return (models, done);
        }
    }
    (models, Ok(()))
}

#[test]
fn a_crash_at_any_change_loses_nothing_that_was_acknowledged() {
    let changes = {
        let mut store = Store::new(1);
        let begin = store.disk.changes();
        history(&mut store, 5).1.expect("sound");
        begin..store.disk.changes()
    };
    assert!(changes.end - changes.start > 100, "{changes:?}");
    for change in changes {
        let mut store = Store::new(change);
        store.disk.crash_at(change);
        // It may end well: that a file which nobody names could not be removed is no error.
        let (models, ended) = history(&mut store, 5);
        let disk = store.disk.crash();
        // A second loss of power while the first start recovers.
        disk.crash_at(change % 4);
        let disk = match Store::open(disk.clone(), options()) {
            Ok(store) => store.disk,
            Err(_) => disk.crash(),
        };
        disk.crash_at(u64::MAX);
        let mut store = Store::open(disk, options()).unwrap_or_else(|error| panic!("change {change}: {error}"));
        let found = everything(&store.tables.view());
        let possible = &models[models.len() - if ended.is_ok() { 1 } else { 2 }..];
        let matching = possible.iter().find(|(_, model)| *model == found);
        let (stamp, model) = matching.unwrap_or_else(|| panic!("change {change} shows what never was"));
        if let Some(tally) = &store.recovered.tally {
            assert_eq!(store.recovered.flushed_to.0 - 1, u64::from_be_bytes(tally[..].try_into().expect("8 bytes")));
        }
        assert!(store.recovered.flushed_to.0 <= stamp + 1);
        store.compact().expect("sound");
        store.flush(&Map::from([(vec![1], vec![2])]), 99).expect("sound");
        let mut model = model.clone();
        model.insert(vec![1], vec![2]);
        assert_eq!(everything(&store.tables.view()), model, "change {change}");
    }
}

#[test]
fn a_full_disk_fails_a_flush_and_leaves_the_store_usable() {
    let calls = {
        let mut store = Store::new(1);
        let begin = store.disk.operations();
        history(&mut store, 8).1.expect("sound");
        begin..store.disk.operations()
    };
    for call in calls.step_by(5) {
        let mut store = Store::new(call);
        store.disk.set_cached(Cached::Always);
        store.disk.fail_at(call, Fault::Full);
        let (models, ended) = history(&mut store, 8);
        store.disk.heal();
        if ended.is_err() && matches!(store.flush(&Map::new(), 50), Err(Error::Poisoned { .. })) {
            continue;
        }
        let possible = &models[models.len().saturating_sub(2)..];
        let found = everything(&store.tables.view());
        assert!(possible.iter().any(|(_, model)| *model == found), "call {call}");
        store.compact().expect("space is back");
        let store = store.reopen();
        assert_eq!(everything(&store.tables.view()), found, "call {call}");
    }
}

#[test]
fn a_table_that_is_missing_is_reported_at_open() {
    let store = Store::new(1);
    store.flush(&Map::from([(vec![1], vec![2])]), 1).expect("sound");
    let table = store.disk.files().into_iter().find(|path| path.extension().is_some_and(|kind| kind == "table"));
    store.disk.remove(&Path::new("/").join(table.expect("one was flushed"))).expect("sound");
    assert!(matches!(Store::open(store.disk.clone(), options()), Err(Error::Corrupt { .. })));
}

#[test]
fn an_error_of_the_device_ends_the_flush_and_never_the_data() {
    let store = Store::new(1);
    store.flush(&Map::from([(vec![1], vec![2])]), 1).expect("sound");
    store.disk.fail_where(|operation| (operation.kind == OperationKind::Sync).then_some(Fault::Io));
    assert!(matches!(store.flush(&Map::from([(vec![3], vec![4])]), 2), Err(Error::Io { .. })));
    store.disk.heal();
    let store = store.reopen();
    assert_eq!(everything(&store.tables.view()), Map::from([(vec![1], vec![2])]));
    assert_eq!(store.recovered.flushed_to, Stamp(2));
}
