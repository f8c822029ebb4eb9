//! A small store on a machine in memory, and how its records look.
//!
//! A record is empty (the key was deleted) or begins with the expiry bucket (u16): so that the counters that must hold
//! follow from the records alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use annulus::env::memory::MemoryMachine;
use annulus::storage::{
    Begin, Bucket, Depth, Draft, Durability, Engine, Error, Fetched, Filter, Judgement, Note, Options, Read, ScanLimit,
    ScanRange, Transaction, TreeChange, Update, Verdict,
};
use annulus::types::{ArcId, ArcLayout, Database, Slot, Stamp};

/// What a store holds: records by key.
pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

struct KeepAll;

impl Filter for KeepAll {
    fn judge(&self, _key: &[u8], _value: &[u8], _depth: Depth) -> Judgement {
        Judgement::Keep
    }
}

/// Sizes so small that a few hundred writes go through every part.
pub(crate) fn options(durability: Durability) -> Options {
    let mut options = Options::new(PathBuf::from("/data"), durability);
    options.layout = ArcLayout::new(256).unwrap();
    options.memtable_bytes = 4 << 10;
    options.segment_bytes = 8 << 10;
    options.log_buffer_bytes = 2 << 10;
    options.block_bytes = 512;
    options.cache_bytes = 16 << 10;
    options.table_bytes = 4 << 10;
    options.level0_runs = 2;
    options.level1_runs = 2;
    options.fanout = 2;
    options.stop_runs = 6;
    options
}

pub(crate) fn open(machine: &MemoryMachine, options: &Options) -> Result<Engine, Error> {
    Engine::open(&machine.env(), options.clone(), Arc::new(KeepAll))
}

/// Key `number` of a few slots and databases.
pub(crate) fn key(number: u16) -> Vec<u8> {
    let slot = number % 7 * 2_000;
    let database = (number / 7 % 2) as u8;
    let mut key = slot.to_be_bytes().to_vec();
    key.push(database);
    // Some keys share all their first bytes.
    key.extend_from_slice(&(u32::from(number) / 20).to_be_bytes());
    key.extend_from_slice(format!("key-{number}").as_bytes());
    key
}

pub(crate) fn record(bucket: u16, payload: &[u8]) -> Vec<u8> {
    [&bucket.to_le_bytes()[..], payload].concat()
}

fn bucket(record: &[u8]) -> Bucket {
    record.first_chunk().map_or(Bucket(0), |bytes| Bucket(u16::from_le_bytes(*bytes)))
}

/// The note of a change from one record to another.
pub(crate) fn note(old: Option<&[u8]>, new: &[u8]) -> Note {
    let old = old.unwrap_or(&[]);
    let tree = Some(TreeChange { leaf: new.len() as u8, hash: new.len() as u64 * 77, count: 1 });
    Note {
        keys: i8::from(!new.is_empty()) - i8::from(!old.is_empty()),
        expiry_out: bucket(old),
        expiry_in: bucket(new),
        tree: tree.filter(|_| new.len().is_multiple_of(2)),
    }
}

fn write(new: &[u8]) -> impl FnMut(Option<&[u8]>, &mut Draft<'_>) -> Verdict {
    move |old, draft| {
        draft.value(new.len()).extend_from_slice(new);
        draft.note = note(old, new);
        Verdict::Put
    }
}

/// Writes `record`, taking turns with the machine's driven work while the engine is behind. What it saw, and the stamp.
pub(crate) fn put(machine: &MemoryMachine, engine: &Engine, (key, new): (&[u8], &[u8])) -> Result<Stamp, Error> {
    let mut fetched: Vec<Fetched> = Vec::new();
    loop {
        match engine.update(key, fetched.first(), &mut write(new))? {
            Update::Done(stamp) => return Ok(stamp),
            Update::Cold => fetched = engine.fetch(&mut vec![key.to_vec()])?,
            Update::Stalled => assert!(wait(machine), "a stalled engine has work to do"),
        }
    }
}

/// Lets driven work go on, and time if nothing is due; `false` if nothing will ever be due.
pub(crate) fn wait(machine: &MemoryMachine) -> bool {
    if !machine.pool.step() {
        let Some(due) = machine.pool.next_due() else { return false };
        machine.clock.advance(due.saturating_sub(machine.env().clock.monotonic()));
    }
    true
}

pub(crate) fn begin<'a>(machine: &MemoryMachine, engine: &'a Engine, keys: &[&[u8]]) -> Result<Transaction<'a>, Error> {
    let mut fetched = Vec::new();
    loop {
        match engine.begin(keys, &fetched)? {
            Begin::Ready(transaction) => return Ok(transaction),
            Begin::Cold => fetched = engine.fetch(&mut keys.iter().map(|key| key.to_vec()).collect())?,
            Begin::Stalled => assert!(wait(machine), "a stalled engine has work to do"),
        }
    }
}

/// Writes all of `records` as one.
pub(crate) fn put_all(
    machine: &MemoryMachine,
    engine: &Engine,
    records: &[(Vec<u8>, Vec<u8>)],
) -> Result<Stamp, Error> {
    let keys: Vec<&[u8]> = records.iter().map(|(key, _)| key.as_slice()).collect();
    let mut transaction = begin(machine, engine, &keys)?;
    for (key, new) in records {
        transaction.update(key, &mut write(new));
    }
    transaction.commit()
}

pub(crate) fn get(engine: &Engine, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut fetched: Vec<Fetched> = Vec::new();
    loop {
        let mut seen = None;
        match engine.read(key, fetched.first(), &mut |value| seen = value.map(<[u8]>::to_vec))? {
            Read::Done(_) => return Ok(seen),
            Read::Cold => fetched = engine.fetch(&mut vec![key.to_vec()])?,
        }
    }
}

/// Everything, in pages of `limit` entries.
pub(crate) fn contents(engine: &Engine, limit: usize) -> Result<State, Error> {
    let mut state = State::new();
    let mut from = Some(Vec::new());
    while let Some(next) = from {
        let range = ScanRange { from: next, to: vec![0xff] };
        let limit = ScanLimit { entries: limit, bytes: 4 << 10 };
        from = engine.scan(&range, limit, &mut |key, value| {
            let last = state.last_key_value().map(|(key, _)| key.as_slice());
            assert!(last.is_none_or(|last| last < key), "a scan goes on behind its last key");
            state.insert(key.to_vec(), value.to_vec());
        })?;
    }
    Ok(state)
}

/// Everything there is agrees with `state`: scans, reads of `keys`, counters.
pub(crate) fn check(engine: &Engine, state: &State, keys: impl Iterator<Item = Vec<u8>>) {
    assert_eq!(&contents(engine, 13).unwrap(), state);
    for key in keys {
        assert_eq!(get(engine, &key).unwrap().as_ref(), state.get(&key), "{key:?}");
    }
    check_counters(engine, state);
}

/// The counters are those that follow from `state`.
pub(crate) fn check_counters(engine: &Engine, state: &State) {
    let layout = ArcLayout::new(256).unwrap();
    let (mut keys, mut databases, mut expiries) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (key, record) in state.iter().filter(|(_, record)| !record.is_empty()) {
        let (slot, database) = (Slot(u16::from_be_bytes([key[0], key[1]])), Database(key[2]));
        *keys.entry((slot, database)).or_insert(0) += 1;
        *databases.entry(database).or_insert(0) += 1;
        if bucket(record).0 != 0 {
            *expiries
                .entry((layout.arc_of(slot), database))
                .or_insert_with(BTreeMap::new)
                .entry(bucket(record))
                .or_insert(0) += 1u64;
        }
    }
    for (slot, database) in
        (0..7).flat_map(|slot| [(Slot(slot * 2_000), Database(0)), (Slot(slot * 2_000), Database(1))])
    {
        let wanted = keys.get(&(slot, database)).copied().unwrap_or(0);
        assert_eq!(engine.key_count(slot, database), wanted, "{slot:?} {database:?}");
        let arc: ArcId = layout.arc_of(slot);
        let wanted: Vec<_> = expiries.get(&(arc, database)).cloned().unwrap_or_default().into_iter().collect();
        assert_eq!(engine.expiry_counts(arc, database), wanted, "{arc:?} {database:?}");
    }
    for database in [Database(0), Database(1)] {
        assert_eq!(engine.database_count(database), databases.get(&database).copied().unwrap_or(0));
    }
}
