//! One life of a node's replica, from a start to its end, with calls that wait for whatever they need.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::causality::{Context, Hlc, RecordView, Time};
use crate::env::Clock;
use crate::env::memory::MemoryMachine;
use crate::ledger::Ledger;
use crate::replica::{
    Action, Answer, Applied, Change, Effect, Failure, KeySet, Locked, Locking, Operand, Operation, Outcome, Params,
    PurgeFloors, Purger, Reaper, Replica, ReplicaOptions, ReplicaParts, Replication, Scratch, Workspace, decode_key,
};
use crate::storage::{Durability, Engine, Fetched, Options, ScanLimit, ScanRange};
use crate::types::{ArcLayout, Database, Span, Stamp};
use crate::worker::{Work, Worker};

/// Longest key and value together.
pub(super) const PAIR_BYTES: usize = 1 << 10;

/// A running replica.
pub(super) struct Life {
    pub(super) machine: MemoryMachine,
    pub(super) replica: Arc<Replica>,
    pub(super) ledger: Ledger,
    pub(super) reaper: Reaper,
    pub(super) purger: Purger,
}

/// A record as it lies in the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) key: String,
    pub(super) entries: usize,
    pub(super) versions: usize,
}

/// Sizes so small that a few hundred writes go through every part of the engine.
fn options(dir: &Path) -> Options {
    Options {
        layout: layout(),
        memtable_bytes: 16 << 10,
        segment_bytes: 32 << 10,
        log_buffer_bytes: 8 << 10,
        block_bytes: 512,
        cache_bytes: 16 << 10,
        table_bytes: 16 << 10,
        level0_runs: 1,
        level1_runs: 1,
        fanout: 2,
        ..Options::new(dir.to_owned(), Durability::EverySec)
    }
}

fn layout() -> ArcLayout {
    ArcLayout::new(256).expect("a power of two")
}

impl Life {
    /// The first life on an empty machine.
    pub(super) fn first(seed: u64) -> Life {
        Life::begin(MemoryMachine::new(seed)).expect("a sound machine")
    }

    /// A life on a machine that may have seen others.
    pub(super) fn begin(machine: MemoryMachine) -> Result<Life, Box<dyn std::error::Error>> {
        let (env, dir) = (machine.env(), Path::new("data"));
        let ledger = if Ledger::exists(&*env.disk, dir)? {
            Ledger::open(env.disk.clone(), dir)?
        } else {
            Ledger::found(env.disk.clone(), &*env.random, dir, layout())?
        };
        let actor = ledger.raise(env.clock.wall_ms())?;
        let floors = PurgeFloors::new(&ledger.facts());
        let filter = Arc::<PurgeFloors>::clone(&floors);
        let engine = Arc::new(Engine::open(&env, options(dir), filter)?);
        let hlc = Arc::new(Hlc::new(Time::from_ms(env.clock.wall_ms())));
        let parts = ReplicaParts { engine, ledger: ledger.clone(), floors, hlc, clock: env.clock, random: env.random };
        let options = ReplicaOptions { actor, layout: layout(), max_pair_bytes: PAIR_BYTES };
        let replica = Arc::new(Replica::open(parts, options));
        let (reaper, purger) =
            (Reaper::new(Arc::clone(&replica)), Purger::new(Arc::clone(&replica), Duration::from_secs(60)));
        Ok(Life { machine, replica, ledger, reaper, purger })
    }

    /// The next life after `kill -9`, with all that was written so far synced before.
    pub(super) fn restart(self) -> Life {
        self.sync();
        let next = self.machine.kill();
        drop(self);
        Life::begin(next).expect("a sound machine")
    }

    pub(super) fn sync(&self) {
        self.replica.engine().sync_to(self.replica.shown()).expect("a sound disk");
    }

    pub(super) fn advance(&self, milliseconds: u64) {
        self.machine.clock.advance(Duration::from_millis(milliseconds));
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.replica.now_ms(self.machine.clock.wall_ms())
    }

    /// Carries out an action on database 0 that covers what a majority has `seen`; the record that goes to other replicas.
    pub(super) fn replicate(&self, key: &str, (action, operand): (Action, &[u8]), seen: &Context) -> Vec<u8> {
        let (operation, input) = operation(0, key, action, operand);
        let (mut arena, mut scratch, mut record) = (Vec::new(), Scratch::default(), Vec::new());
        let work = Workspace {
            input: &input,
            arena: &mut arena,
            scratch: &mut scratch,
            fetched: &[],
            now_ms: self.now_ms(),
            replication: Some(Replication { seen, record: &mut record }),
        };
        assert!(matches!(self.replica.apply(&operation, work), Applied::Done { .. }), "{key}");
        record
    }

    /// Carries out an action; its answer's bytes are in the vector.
    pub(super) fn apply(&self, database: u8, key: &str, action: Action, operand: &[u8]) -> (Outcome, Vec<u8>) {
        let (outcome, _, arena) = self.try_apply(database, key, action, operand).expect("carried out");
        (outcome, arena)
    }

    pub(super) fn try_apply(
        &self,
        database: u8,
        key: &str,
        action: Action,
        operand: &[u8],
    ) -> Result<(Outcome, Stamp, Vec<u8>), Failure> {
        let (operation, input) = operation(database, key, action, operand);
        let (mut arena, mut scratch) = (Vec::new(), Scratch::default());
        let mut fetched: Vec<Fetched> = Vec::new();
        loop {
            let work = Workspace {
                input: &input,
                arena: &mut arena,
                scratch: &mut scratch,
                fetched: &fetched,
                now_ms: self.now_ms(),
                replication: None,
            };
            match self.replica.apply(&operation, work) {
                Applied::Done { outcome, position } => return Ok((outcome, position, arena)),
                Applied::Failed { failure, .. } => return Err(failure),
                Applied::Cold => {
                    let keys = self.replica.cold_keys(&[operation], &input, &arena);
                    fetched = self.replica.fetch_some(&keys)?;
                }
                Applied::Busy => drop(self.machine.pool.step()),
                Applied::Global => panic!("not about one key"),
            }
        }
    }

    pub(super) fn set(&self, database: u8, key: &str, value: &[u8]) {
        self.set_until(database, key, (value, None));
    }

    pub(super) fn set_until(&self, database: u8, key: &str, (value, expiry): (&[u8], Option<u64>)) {
        let action = Action::Write { value: Operand::default(), expiry };
        assert!(matches!(self.apply(database, key, action, value).0, Outcome::Written));
    }

    pub(super) fn get(&self, database: u8, key: &str) -> Option<(Vec<u8>, Option<u64>)> {
        match self.apply(database, key, Action::Read, b"") {
            (Outcome::Found(found), arena) => Some((found.value.of(&arena).to_vec(), found.expiry)),
            (Outcome::Absent, _) => None,
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Whether the key was there.
    pub(super) fn delete(&self, database: u8, key: &str) -> bool {
        match self.apply(database, key, Action::Delete, b"").0 {
            Outcome::Deleted(existed) => existed == crate::replica::Existed::Yes,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn change(&self, database: u8, key: &str, (change, operand): (Change, &[u8])) -> Answer {
        let action = Action::Change(change, Params::default());
        match self.apply(database, key, action, operand).0 {
            Outcome::Changed(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn flush(&self, databases: &[u8]) -> Result<(), Failure> {
        let databases: Vec<Database> = databases.iter().copied().map(Database).collect();
        self.replica.flush(&databases)
    }

    pub(super) fn count(&self, database: u8) -> u64 {
        self.replica.count(Database(database))
    }

    /// Lets the reaper look at everything once, and at everything that came meanwhile.
    pub(super) fn reap(&mut self) {
        let mut rests = 0;
        while rests < 2 {
            match self.reaper.work() {
                Work::Idle(_) => rests += 1,
                Work::Busy | Work::Throttled(_) => drop(self.machine.pool.step()),
            }
        }
    }

    /// One round of the purger.
    pub(super) fn purge(&mut self) {
        let before = self.purger.status();
        assert!(matches!(self.purger.work(), Work::Idle(_)));
        let failures = |fields: &[crate::worker::Field]| fields.iter().find(|field| field.name == "failures").copied();
        assert_eq!(failures(&before), failures(&self.purger.status()));
    }

    /// Flushes memory to tables and lets compaction come to rest.
    pub(super) fn compact(&self) {
        self.replica.engine().freeze().expect("a sound disk");
        self.machine.pool.run_until_idle();
    }

    /// Compacts as often as it takes for everything to be at the bottom: writes to keys of its own push what there is down.
    pub(super) fn compact_all(&self) {
        for round in 0..8 {
            for index in 0..40 {
                self.set(15, &format!("ballast:{index}"), &[round; 100]);
            }
            self.compact();
        }
    }

    /// All records as they lie there, but ballast.
    pub(super) fn raw(&self) -> Vec<Raw> {
        let mut records = Vec::new();
        let mut range = ScanRange { from: Vec::new(), to: vec![0xff] };
        loop {
            let limit = ScanLimit { entries: 100, bytes: 1 << 20 };
            let next = self.replica.engine().scan(&range, limit, &mut |key, value| {
                let cell = decode_key(key).expect("a key of ours");
                let record = RecordView::decode(value).expect("a record");
                let (entries, versions) = (record.entries().len(), record.versions().count());
                if cell.database != Database(15) {
                    records.push(Raw { key: String::from_utf8_lossy(cell.key).into_owned(), entries, versions });
                }
            });
            match next.expect("a sound disk") {
                Some(next) => range.from = next,
                None => return records,
            }
        }
    }

    /// Locks keys of database 0.
    pub(super) fn lock(&self, keys: &[&str]) -> Locked<'_> {
        let mut set = KeySet::default();
        keys.iter().for_each(|key| set.add(Database(0), key.as_bytes()));
        let mut fetched = Vec::new();
        loop {
            match self.replica.lock(&set, &fetched).expect("a sound store") {
                Locking::Ready(locked) => return locked,
                Locking::Cold(keys) => fetched = self.replica.fetch(keys).expect("a sound store"),
                Locking::Busy => drop(self.machine.pool.step()),
            }
        }
    }

    /// Carries out an action on a locked key of database 0.
    pub(super) fn apply_locked(
        &self,
        locked: &mut Locked<'_>,
        (key, action): (&str, Action),
        operand: &[u8],
    ) -> Outcome {
        let (operation, input) = operation(0, key, action, operand);
        let (mut arena, mut scratch) = (Vec::new(), Scratch::default());
        let work = Workspace {
            input: &input,
            arena: &mut arena,
            scratch: &mut scratch,
            fetched: &[],
            now_ms: self.now_ms(),
            replication: None,
        };
        match self.replica.apply_locked(locked, &operation, work) {
            Applied::Done { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        }
    }
}

/// The operation, with key and operand in a request of their own.
fn operation(database: u8, key: &str, mut action: Action, operand: &[u8]) -> (Operation, Vec<u8>) {
    let span = |start: usize, len: usize| Operand::Input(Span { start: start as u32, len: len as u32 });
    let place = span(key.len(), operand.len());
    match &mut action {
        Action::Write { value, .. } => *value = place,
        // The token stands before the value, behind its length.
        Action::ReplaceCovered { token, value, .. } => {
            let (start, count) = (key.len() + 1, usize::from(operand[0]));
            *token = span(start, count);
            *value = span(start + count, operand.len() - 1 - count);
        }
        Action::RemoveCovered { token } => *token = place,
        Action::Change(_, params) | Action::Examine(_, params) => params.operand = place,
        _ => {}
    }
    let operation = Operation { database: Database(database), key: span(0, key.len()), action };
    (operation, [key.as_bytes(), operand].concat())
}

/// APPEND; answers the new length.
pub(super) const APPEND: Change = |current, inputs, draft| {
    draft.value.extend_from_slice(current.map_or(b"", |current| current.value));
    draft.value.extend_from_slice(inputs.operand);
    draft.answer = Answer::Integer(draft.value.len() as i64);
    Effect::Write
};

/// INCR.
pub(super) const INCREMENT: Change = |current, _, draft| {
    let old = current.map_or(0, |current| i64::from_le_bytes(current.value.try_into().expect("a counter")));
    draft.value.extend_from_slice(&(old + 1).to_le_bytes());
    draft.answer = Answer::Integer(old + 1);
    Effect::Write
};
