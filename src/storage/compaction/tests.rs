//! What compaction chooses, keeps, drops and gives back.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

use crate::storage::compaction::plan::{Plan, plan};
use crate::storage::run::Run;
use crate::storage::tables::Progress;
use crate::storage::tables::tests::{Map, Store, TOMBSTONE, check_reads, everything};

fn key(slot: u16) -> Vec<u8> {
    [&slot.to_be_bytes()[..], b"key"].concat()
}

/// Values of 100 bytes that do not compress.
fn fill(slots: impl Iterator<Item = u16>, value: u8) -> Map {
    let noise = |slot: u16| (0..100).map(|at| xxh3_64(&[slot as u8, (slot >> 8) as u8, value, at]) as u8).collect();
    slots.map(|slot| (key(slot), noise(slot))).collect()
}

fn shape(store: &Store) -> Vec<usize> {
    store.tables.view().levels.iter().map(Vec::len).collect()
}

#[test]
fn runs_move_down_level_by_level() {
    let mut store = Store::new(1);
    let mut model = Map::new();
    let keys: BTreeSet<_> = (0..400).map(key).collect();
    for round in 0..16u16 {
        let batch = fill((0..400).skip(usize::from(round) % 4).step_by(4), round as u8);
        store.flush(&batch, u64::from(round) + 1).expect("sound");
        model.extend(batch);
        store.compact().expect("sound");
        let shape = shape(&store);
        assert!(shape[0] < 2 && shape[1] < 2 && shape[2..].iter().all(|runs| *runs <= 1), "{shape:?}");
        check_reads(&store.tables.view(), &model, &keys);
    }
    let stats = store.tables.view().stats();
    assert!(stats[3].keys > 0, "the third level is in use: {stats:?}");
    assert!(stats.iter().map(|level| level.keys).sum::<u64>() < 800, "{stats:?}");
}

#[test]
fn a_slice_of_level_1_trims_what_straddles_it() {
    let mut store = Store::new(1);
    let mut model = Map::new();
    let keys: BTreeSet<_> = (0..2000).map(key).collect();
    for round in 0..4u16 {
        // The runs of level 1 have tables of different ranges.
        let batch = fill((0..2000).step_by(1 + usize::from(round) / 2 * 4), round as u8);
        store.flush(&batch, u64::from(round) + 1).expect("sound");
        model.extend(batch);
        if round % 2 == 1 && round < 3 {
            store.compact().expect("sound");
        }
    }
    let mut trimmed = 0;
    loop {
        let more = store.compactor.step().expect("sound") == Progress::Again;
        let view = store.tables.view();
        let is_trimmed = |run: &Run| run.tables().first().is_some_and(|table| table.info.first.len() == 2);
        trimmed += view.levels[1].iter().filter(|run| is_trimmed(run)).count();
        if trimmed == 1 {
            check_reads(&view, &model, &keys);
            store = store.reopen();
        }
        if !more {
            break;
        }
    }
    assert!(trimmed > 0, "some slice ends inside of a table");
    check_reads(&store.tables.view(), &model, &keys);
}

#[test]
fn tombstones_go_only_where_nothing_deeper_can_come_back() {
    let mut store = Store::new(1);
    store.flush(&fill(0..100, 1), 1).expect("sound");
    store.flush(&fill(100..200, 1), 2).expect("sound");
    store.compact().expect("sound");
    let deleted: Map = (0..100).map(|slot| (key(slot), TOMBSTONE.to_vec())).collect();
    store.flush(&deleted, 3).expect("sound");
    store.flush(&fill(300..301, 1), 4).expect("sound");
    while store.tables.view().levels[0].len() == 2 {
        store.compactor.step().expect("sound");
    }
    let view = store.tables.view();
    assert_eq!(view.get(&key(5)).expect("sound").as_deref(), Some(TOMBSTONE), "an older value lies in level 1 still");
    store.compact().expect("sound");
    let view = store.tables.view();
    assert!(view.get(&key(5)).expect("sound").is_none());
    assert_eq!(view.stats().iter().map(|level| level.keys).sum::<u64>(), 101);
    assert_eq!(everything(&view).len(), 101);
}

#[test]
fn values_are_replaced_on_the_way() {
    let mut store = Store::new(1);
    for stamp in 1..3 {
        store.flush(&Map::from([(key(stamp as u16), b"replace".to_vec())]), stamp).expect("sound");
    }
    store.compact().expect("sound");
    let all = everything(&store.tables.view());
    assert!(all.len() == 2 && all.values().all(|value| value == b"replaced"));
}

#[test]
fn dropped_tables_go_at_once_and_touched_ones_are_cleaned() {
    let mut store = Store::new(1);
    store.flush(&fill(0..100, 1), 1).expect("sound");
    store.drop_range(&key(0), &key(1000), 2).expect("sound");
    assert_eq!(shape(&store)[0], 0, "the whole table was in the range");
    store.flush(&fill(0..100, 2), 3).expect("sound");
    store.drop_range(&key(10), &key(20), 4).expect("sound");
    store.drop_range(&key(30), &key(40), 4).expect("sound");
    assert_eq!(store.tables.view().drops.ranges().len(), 2);
    store.compact().expect("sound");
    let view = store.tables.view();
    assert_eq!(view.stats().iter().map(|level| level.keys).sum::<u64>(), 80, "what was dropped is gone from the file");
    // The log is flushed up to stamp 4 only, so that a replay may still meet older entries.
    assert_eq!(view.drops.ranges().len(), 0, "nothing older is left");
    store.drop_range(&key(50), &key(60), 4).expect("sound");
    assert_eq!(everything(&store.tables.view()).len(), 70, "a drop of the same stamp as one that was applied");
}

#[test]
fn a_drop_during_a_compaction_wins() {
    let mut store = Store::new(1);
    store.flush(&fill(0..400, 1), 1).expect("sound");
    store.flush(&fill(0..400, 2), 2).expect("sound");
    for _ in 0..2 {
        assert_eq!(store.compactor.step().expect("sound"), Progress::Again);
    }
    store.drop_range(&key(0), &key(1000), 3).expect("sound");
    store.compact().expect("sound");
    assert_eq!(everything(&store.tables.view()), Map::new());
    assert_eq!(shape(&store).iter().sum::<usize>(), 0);
}

#[test]
fn files_stay_while_a_view_names_them() {
    let mut store = Store::new(1);
    store.flush(&fill(0..100, 1), 1).expect("sound");
    let old = store.tables.view();
    store.flush(&fill(0..100, 2), 2).expect("sound");
    let tables = |store: &Store| {
        let is_table = |path: &&std::path::PathBuf| path.extension().is_some_and(|kind| kind == "table");
        store.disk.files().iter().filter(is_table).count()
    };
    store.compact().expect("sound");
    let with_old = tables(&store);
    assert_eq!(everything(&old), fill(0..100, 1));
    drop(old);
    store.compact().expect("sound");
    assert!(tables(&store) < with_old);
    assert_eq!(everything(&store.tables.view()), fill(0..100, 2));
}

#[test]
fn a_plan_needs_a_full_level() {
    let store = Store::new(1);
    assert!(plan(&store.tables.view(), &store.options).is_none());
    store.flush(&fill(0..10, 1), 1).expect("sound");
    assert!(plan(&store.tables.view(), &store.options).is_none());
    store.flush(&fill(0..10, 1), 2).expect("sound");
    match plan(&store.tables.view(), &store.options) {
        Some(Plan::Merge(merge)) => assert_eq!((merge.level, merge.inputs.len(), merge.deeper.len()), (1, 2, 0)),
        _ => panic!("two runs of level 0 are merged"),
    }
}
