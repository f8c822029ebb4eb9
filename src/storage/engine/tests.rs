//! The facade on the machine's own disk; what needs a disk that fails is in `tests/engine`.

use std::path::Path;
use std::sync::Arc;

use crate::env::{Env, os};
use crate::storage::{
    Begin, Bucket, Depth, Draft, Durability, Engine, Error, Filter, Judgement, Note, Options, Read, ScanLimit,
    ScanRange, Update, Verdict,
};
use crate::types::{ArcId, Database, Slot, Stamp};

struct KeepAll;

impl Filter for KeepAll {
    fn judge(&self, _key: &[u8], _value: &[u8], _depth: Depth) -> Judgement {
        Judgement::Keep
    }
}

fn open(dir: &Path, durability: Durability) -> Result<Engine, Error> {
    let mut options = Options::new(dir.to_owned(), durability);
    options.memtable_bytes = 1 << 20;
    Engine::open(&environment(), options, Arc::new(KeepAll))
}

fn key(slot: u16, database: u8, name: &str) -> Vec<u8> {
    [&slot.to_be_bytes()[..], &[database], name.as_bytes()].concat()
}

fn put(engine: &Engine, key: &[u8], value: &[u8]) -> Stamp {
    let mut change = |old: Option<&[u8]>, draft: &mut Draft<'_>| {
        draft.value(value.len()).extend_from_slice(value);
        draft.note =
            Note { keys: i8::from(old.is_none()), expiry_in: Bucket(u16::from(old.is_none())), ..Note::default() };
        Verdict::Put
    };
    match engine.update(key, None, &mut change).unwrap() {
        Update::Done(stamp) => stamp,
        other => panic!("{other:?}"),
    }
}

fn get(engine: &Engine, key: &[u8]) -> Option<Vec<u8>> {
    let mut seen = None;
    let read = engine.read(key, None, &mut |value| seen = value.map(<[u8]>::to_vec)).unwrap();
    assert!(matches!(read, Read::Done(_)));
    seen
}

fn page(engine: &Engine, from: &[u8], entries: usize) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    let range = ScanRange { from: from.to_vec(), to: vec![0xff] };
    let mut keys = Vec::new();
    let next =
        engine.scan(&range, ScanLimit { entries, bytes: 1 << 20 }, &mut |key, _| keys.push(key.to_vec())).unwrap();
    (keys, next)
}

#[test]
fn what_was_written_is_there_after_a_reopen() {
    for durability in [Durability::Sync, Durability::EverySec, Durability::None] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path(), durability).unwrap();
        let (one, two) = (key(1, 0, "one"), key(9_000, 3, "two"));
        let first = put(&engine, &one, b"1");
        assert!(put(&engine, &two, b"2") > first);
        put(&engine, &one, b"3");
        engine.sync_to(engine.appended()).unwrap();
        assert_eq!(engine.durable(), engine.appended());
        assert!(matches!(open(dir.path(), durability), Err(Error::Locked { .. })));
        drop(engine);
        // The threads of a dropped engine end by themselves.
        let engine = loop {
            match open(dir.path(), durability) {
                Err(Error::Locked { .. }) => std::thread::yield_now(),
                other => break other.unwrap(),
            }
        };
        assert_eq!((get(&engine, &one), get(&engine, &two)), (Some(b"3".to_vec()), Some(b"2".to_vec())));
        assert_eq!((engine.key_count(Slot(1), Database(0)), engine.database_count(Database(3))), (1, 1));
        assert_eq!(engine.expiry_counts(ArcId(0), Database(0)), [(Bucket(1), 1)]);
        assert_eq!(engine.databases_of(ArcId(9_000 / 16)), [Database(3)]);
        put(&engine, &two, b"4");
        engine.close().unwrap();
        assert_eq!(get(&open(dir.path(), durability).unwrap(), &two), Some(b"4".to_vec()));
    }
}

#[test]
fn a_scan_goes_through_all_shards_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Durability::None).unwrap();
    let mut keys: Vec<_> =
        (0..500u16).map(|index| key(index.wrapping_mul(37) % 16_384, 0, &index.to_string())).collect();
    for key in &keys {
        put(&engine, key, b"v");
    }
    keys.sort();
    let (mut from, mut seen) = (Some(Vec::new()), Vec::new());
    while let Some(next) = from {
        let (mut keys, next) = page(&engine, &next, 7);
        assert!(keys.len() <= 7);
        seen.append(&mut keys);
        from = next;
    }
    assert_eq!(seen, keys);
}

#[test]
fn a_transaction_takes_effect_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Durability::None).unwrap();
    let (one, two) = (key(1, 0, "one"), key(2, 0, "two"));
    put(&engine, &one, b"1");
    for commit in [false, true] {
        let Begin::Ready(mut transaction) = engine.begin(&[&two, &one, &two], &[]).unwrap() else {
            panic!("not ready")
        };
        transaction.update(&one, &mut |old, draft| {
            assert_eq!(old, Some(&b"1"[..]));
            draft.value(1).push(b'x');
            Verdict::Put
        });
        transaction.update(&two, &mut |old, draft| {
            assert_eq!(old, None);
            draft.value(1).push(b'y');
            Verdict::Put
        });
        transaction.read(&one, &mut |seen| assert_eq!(seen, Some(&b"x"[..])));
        if commit {
            assert_eq!(transaction.commit().unwrap(), engine.appended());
        } else {
            drop(transaction);
            assert_eq!((get(&engine, &one), get(&engine, &two)), (Some(b"1".to_vec()), None));
        }
    }
    assert_eq!((get(&engine, &one), get(&engine, &two)), (Some(b"x".to_vec()), Some(b"y".to_vec())));
}

#[test]
fn what_was_just_flushed_is_read_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Durability::None).unwrap();
    let (one, two) = (key(1, 0, "one"), key(2, 0, "two"));
    put(&engine, &one, b"1");
    engine.freeze().unwrap();
    assert!(engine.stats().kept_bytes > 0);
    assert_eq!((get(&engine, &one), engine.stats().cache_bytes), (Some(b"1".to_vec()), 0));
    // A drop takes it from there too; the next flush takes its place.
    engine.drop_ranges(&mut || vec![ScanRange { from: key(1, 0, ""), to: key(1, 1, "") }]).unwrap();
    assert_eq!(get(&engine, &one), None);
    put(&engine, &two, b"2");
    engine.freeze().unwrap();
    assert_eq!((get(&engine, &one), get(&engine, &two)), (None, Some(b"2".to_vec())));
}

#[test]
fn the_commit_thread_answers_a_request() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Durability::Sync).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let send = parking_lot::Mutex::new(send);
    engine.on_durable(Arc::new(move |stamp| send.lock().send(stamp).unwrap()));
    for round in 0..20u8 {
        let stamp = put(&engine, &key(1, 0, "k"), &[round]);
        engine.request_sync();
        while receive.recv().unwrap() < stamp {}
        assert!(engine.durable() >= stamp);
    }
    assert!(engine.stats().syncs >= 20);
}

fn environment() -> Env {
    os::env(&os::Options::new())
}
