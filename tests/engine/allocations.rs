//! How often the hot path asks for memory: not at all to read, about once to write.

use allocation_counter::measure;
use annulus::env::memory::MemoryMachine;
use annulus::storage::{Durability, Engine, Note, Options, Read, Update, Verdict};

use crate::store::{key, open, options};

const KEYS: u16 = 2_000;
const VALUE: [u8; 100] = [7; 100];

fn set(engine: &Engine, key: &[u8]) {
    let done = engine.update(key, None, &mut |old, draft| {
        draft.value(VALUE.len()).extend_from_slice(&VALUE);
        draft.note = Note { keys: i8::from(old.is_none()), ..Note::default() };
        Verdict::Put
    });
    assert!(matches!(done, Ok(Update::Done(_))), "{done:?}");
}

fn get(engine: &Engine, key: &[u8]) {
    let mut seen = 0;
    let read = engine.read(key, None, &mut |value| seen = value.map_or(0, <[u8]>::len));
    assert!(matches!(read, Ok(Read::Done(_))) && seen == VALUE.len(), "{read:?}, {seen} bytes");
}

fn large() -> Options {
    let large = 8 << 20;
    Options {
        memtable_bytes: large,
        segment_bytes: large,
        log_buffer_bytes: large as usize,
        cache_bytes: large,
        ..options(Durability::None)
    }
}

#[test]
fn a_write_allocates_its_entry_and_a_read_nothing() {
    let machine = MemoryMachine::new(1);
    let engine = open(&machine, &large()).unwrap();
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let fresh = measure(|| keys.iter().for_each(|key| set(&engine, key))).count_total as f64 / f64::from(KEYS);
    let again = measure(|| keys.iter().for_each(|key| set(&engine, key))).count_total as f64 / f64::from(KEYS);
    println!("allocations: {fresh:.3} for each new key, {again:.3} for each overwritten one");
    assert!(fresh <= 1.2 && again <= 1.2, "{fresh} and {again} allocations for a write");
    let read = measure(|| keys.iter().for_each(|key| get(&engine, key))).count_total;
    assert_eq!(read, 0, "allocations of {KEYS} reads from memory");
}

#[test]
fn a_read_of_a_cached_block_allocates_nothing() {
    let machine = MemoryMachine::new(2);
    let engine = open(&machine, &large()).unwrap();
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    keys.iter().for_each(|key| set(&engine, key));
    // Opened anew, nothing that was flushed is in memory.
    engine.freeze().unwrap();
    engine.close().unwrap();
    let engine = open(&machine, &large()).unwrap();
    engine.fetch(&mut keys.clone()).unwrap();
    keys.iter().for_each(|key| get(&engine, key));
    let read = measure(|| keys.iter().for_each(|key| get(&engine, key))).count_total;
    assert_eq!(read, 0, "allocations of {KEYS} reads from cached blocks");
    let absent: Vec<_> = (KEYS..2 * KEYS).map(key).collect();
    let look = |key: &Vec<u8>| {
        assert!(matches!(engine.read(key, None, &mut |value| assert!(value.is_none())), Ok(Read::Done(_))))
    };
    absent.iter().for_each(look);
    assert_eq!(measure(|| absent.iter().for_each(look)).count_total, 0, "allocations of {KEYS} reads of absent keys");
}
