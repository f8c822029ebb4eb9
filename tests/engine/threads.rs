//! Threads that race for the same keys on the machine's own disk: no update is lost, counters are exact, and flushes and
//! compactions go on underneath.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annulus::env::os;
use annulus::storage::{
    Begin, Depth, Durability, Engine, Fetched, Filter, Judgement, Note, Options, Read, ScanLimit, ScanRange, Update,
    Verdict,
};
use annulus::types::{Database, Slot};

const KEYS: u16 = 200;
const ROUNDS: u64 = 4_000;

struct KeepAll;

impl Filter for KeepAll {
    fn judge(&self, _key: &[u8], _value: &[u8], _depth: Depth) -> Judgement {
        Judgement::Keep
    }
}

fn key(number: u16) -> Vec<u8> {
    [&(number % 50 * 300).to_be_bytes()[..], &[0], format!("key {number}").as_bytes()].concat()
}

fn number(record: Option<&[u8]>) -> u64 {
    record.and_then(|record| record.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn increment(engine: &Engine, key: &[u8]) {
    let mut fetched: Vec<Fetched> = Vec::new();
    loop {
        let done = engine.update(key, fetched.first(), &mut |old, draft| {
            let value = draft.value(40);
            value.extend_from_slice(&number(old).wrapping_add(1).to_le_bytes());
            value.extend_from_slice(&[7; 32]);
            draft.note = Note { keys: i8::from(old.is_none()), ..Note::default() };
            Verdict::Put
        });
        match done.unwrap() {
            Update::Done(_) => return,
            Update::Cold => fetched = engine.fetch(&mut vec![key.to_vec()]).unwrap(),
            Update::Stalled => std::thread::yield_now(),
        }
    }
}

/// Moves one from a key to another.
fn transfer(engine: &Engine, from: &[u8], to: &[u8]) {
    let mut fetched = Vec::new();
    let mut transaction = loop {
        match engine.begin(&[from, to], &fetched).unwrap() {
            Begin::Ready(transaction) => break transaction,
            Begin::Cold => fetched = engine.fetch(&mut vec![from.to_vec(), to.to_vec()]).unwrap(),
            Begin::Stalled => std::thread::yield_now(),
        }
    };
    for (key, change) in [(from, u64::MAX), (to, 1)] {
        transaction.update(key, &mut |old, draft| {
            draft.value(8).extend_from_slice(&number(old).wrapping_add(change).to_le_bytes());
            draft.note.keys = i8::from(old.is_none());
            Verdict::Put
        });
    }
    transaction.commit().unwrap();
}

fn total(engine: &Engine) -> (u64, u64) {
    let range = ScanRange { from: Vec::new(), to: vec![0xff] };
    let (mut keys, mut sum) = (0, 0u64);
    let next = engine
        .scan(&range, ScanLimit { entries: usize::MAX, bytes: usize::MAX }, &mut |_, record| {
            keys += 1;
            sum = sum.wrapping_add(number(Some(record)));
        })
        .unwrap();
    assert_eq!(next, None);
    (keys, sum)
}

fn race(durability: Durability) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().to_owned(), durability);
    options.memtable_bytes = 64 << 10;
    options.table_bytes = 64 << 10;
    options.log_buffer_bytes = 16 << 10;
    let env = os::env(&os::Options::new());
    let engine = Engine::open(&env, options.clone(), Arc::new(KeepAll)).unwrap();
    let working = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (engine, working) = (&engine, &working);
        let writer = move |offset: u64| {
            for round in 0..ROUNDS {
                increment(engine, &key(((round + offset) % u64::from(KEYS)) as u16));
                if round % 16 == 0 {
                    transfer(engine, &key((round % 200) as u16), &key(((round * 7 + 1) % 200) as u16));
                    engine.write_out().unwrap();
                    engine.request_sync();
                }
            }
        };
        let writers = [scope.spawn(move || writer(0)), scope.spawn(move || writer(3))];
        scope.spawn(move || {
            let mut last = 0;
            while working.load(Ordering::Relaxed) {
                // One key only grows while nobody transfers from it: key 199 takes part in no transfer's giving side.
                let mut seen = last;
                let read = engine.read(&key(199), None, &mut |record| seen = number(record)).unwrap();
                if matches!(read, Read::Done(_)) {
                    assert!(seen >= last, "{seen} after {last}");
                    last = seen;
                }
                std::thread::yield_now();
            }
        });
        let ended = writers.map(|writer| writer.join());
        working.store(false, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    let check = |engine: &Engine| {
        assert_eq!(total(engine), (u64::from(KEYS), 2 * ROUNDS));
        assert_eq!(engine.database_count(Database(0)), u64::from(KEYS));
        assert_eq!((0..50).map(|slot| engine.key_count(Slot(slot * 300), Database(0))).sum::<u64>(), u64::from(KEYS));
    };
    check(&engine);
    engine.close().unwrap();
    check(&Engine::open(&env, options, Arc::new(KeepAll)).unwrap());
}

#[test]
fn racing_updates_are_all_counted() {
    race(Durability::EverySec);
    race(Durability::Sync);
}
