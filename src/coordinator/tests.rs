//! Batches on a machine in memory, stepped by the test: what has to wait gets on, and nobody's wake is lost.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{LocalSet, yield_now};

use crate::causality::{Hlc, Time};
use crate::coordinator::{Advanced, Batch, CommitQueue, Coordinator};
use crate::env::memory::{Cached, MemoryMachine};
use crate::env::{Clock, Env};
use crate::ledger::Ledger;
use crate::replica::{
    Action, Failure, KeySet, Locked, Operand, Outcome, PurgeFloors, Replica, ReplicaOptions, ReplicaParts,
};
use crate::storage::{Durability, Engine, Options};
use crate::types::{ArcLayout, Database, Span, Stamp};

const PAIR_BYTES: usize = 1 << 20;

/// A node's replica with its coordinator.
struct Node {
    machine: MemoryMachine,
    coordinator: Coordinator,
}

impl Node {
    fn new(seed: u64, durability: Durability) -> Node {
        let machine = MemoryMachine::new(seed);
        let Env { clock, random, disk, pool, .. } = machine.env();
        let (dir, layout) = (Path::new("data"), ArcLayout::default());
        let ledger = Ledger::found(disk, &*random, dir, layout).expect("an empty disk");
        let actor = ledger.raise(clock.wall_ms()).expect("a sound disk");
        let floors = PurgeFloors::new(&ledger.facts());
        let filter = Arc::<PurgeFloors>::clone(&floors);
        // With so few memtables none is kept for lookups: what was flushed has to be read from disk.
        let options = Options {
            memtable_bytes: 256 << 10,
            frozen_memtables: 2,
            cache_bytes: 1 << 10,
            ..Options::new(dir.into(), durability)
        };
        let engine = Arc::new(Engine::open(&machine.env(), options, filter).expect("an empty disk"));
        let hlc = Arc::new(Hlc::new(Time::ZERO));
        let parts = ReplicaParts { engine, ledger, floors, hlc, clock, random };
        let options = ReplicaOptions { actor, layout, max_pair_bytes: PAIR_BYTES };
        let replica = Arc::new(Replica::open(parts, options));
        Node { machine, coordinator: Coordinator::new(replica, pool) }
    }

    fn engine(&self) -> &Arc<Engine> {
        self.coordinator.replica().engine()
    }

    /// Runs `future` while the machine takes steps.
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut future = std::pin::pin!(future);
            loop {
                tokio::select! {
                    biased;
                    done = &mut future => return done,
                    () = yield_now() => {
                        if !self.machine.pool.step() {
                            // Nothing but time helps now: that of the machine and that of timers go together.
                            self.machine.clock.advance(Duration::from_millis(1));
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
            }
        })
    }

    fn carry_out(&self, batch: &mut Batch, input: &[u8]) {
        let until = batch.len();
        if self.coordinator.advance(batch, input, until) == Advanced::Waiting {
            self.run(self.coordinator.carry_on(batch, input, until));
        }
        assert_eq!(self.coordinator.advance(batch, input, until), Advanced::Done);
    }

    fn set(&self, keys: &[&str], value: &[u8]) {
        let (mut batch, mut input) = self.batch();
        for key in keys {
            let write = Action::Write { value: put(&mut input, value), expiry: None };
            batch.push(Database(0), put(&mut input, key.as_bytes()), write);
        }
        self.carry_out(&mut batch, &input);
        (0..keys.len()).for_each(|index| assert!(matches!(batch.outcome(index), Outcome::Written)));
    }

    /// Writes without waiting; what has to be durable before anybody is told, or nothing if the store takes no writes.
    fn try_set(&self, key: &str) -> Option<Stamp> {
        let (mut batch, mut input) = self.batch();
        let write = Action::Write { value: Operand::default(), expiry: None };
        batch.push(Database(0), put(&mut input, key.as_bytes()), write);
        let advanced = self.coordinator.advance(&mut batch, &input, 1);
        (advanced == Advanced::Done && matches!(batch.outcome(0), Outcome::Written)).then(|| batch.position())
    }

    fn batch(&self) -> (Batch, Vec<u8>) {
        let mut batch = Batch::default();
        batch.clear(self.coordinator.replica().now_ms(self.machine.clock.wall_ms()));
        (batch, Vec::new())
    }

    fn freeze(&self) {
        self.engine().freeze().expect("a sound disk");
        self.machine.pool.run_until_idle();
    }
}

fn put(input: &mut Vec<u8>, bytes: &[u8]) -> Operand {
    let start = input.len() as u32;
    input.extend_from_slice(bytes);
    Operand::Input(Span { start, len: bytes.len() as u32 })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("k{index}")).collect()
}

#[test]
fn cold_keys_are_read_in_order_whatever_the_cache_does() {
    for (seed, cached) in [(1, Cached::Never), (2, Cached::Always), (3, Cached::Seeded), (4, Cached::Seeded)] {
        let node = Node::new(seed, Durability::None);
        let keys = names(300);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        node.set(&keys, &[7; 300]);
        node.freeze();
        node.machine.disk.set_cached(cached);
        let (mut batch, mut input) = node.batch();
        for key in keys.iter().chain(&keys) {
            let key = put(&mut input, key.as_bytes());
            batch.push(Database(0), key, Action::Read);
            batch.push(Database(0), key, Action::Delete);
            batch.push(Database(0), key, Action::Look);
        }
        node.carry_out(&mut batch, &input);
        for index in (0..batch.len()).step_by(3) {
            let is_first = index < batch.len() / 2;
            assert_eq!(batch.value(index), is_first.then_some(&[7; 300][..]), "operation {index}");
            assert!(matches!(batch.outcome(index + 2), Outcome::Absent));
        }
        let locked: Locked<'_> = node.run(node.coordinator.lock(&key_set(&keys))).expect("a sound store");
        drop(locked);
    }
}

fn key_set(keys: &[&str]) -> KeySet {
    let mut set = KeySet::default();
    keys.iter().for_each(|key| set.add(Database(0), key.as_bytes()));
    set
}

#[test]
fn large_cold_values_are_fetched_a_few_at_a_time() {
    let node = Node::new(1, Durability::None);
    let keys = names(40);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.iter().for_each(|key| node.set(&[key], &vec![7; PAIR_BYTES - 10]));
    node.freeze();
    node.machine.disk.set_cached(Cached::Never);
    let fetched = node.coordinator.replica().fetch_some(&cold(&node, &keys)).expect("a sound store");
    assert_eq!(fetched.len(), 40, "one piece of the list is the least");
    let many: Vec<Vec<u8>> = cold(&node, &keys).into_iter().cycle().take(200).collect();
    assert_eq!(node.coordinator.replica().fetch_some(&many).expect("a sound store").len(), 40);
}

fn cold(node: &Node, keys: &[&str]) -> Vec<Vec<u8>> {
    let (mut batch, mut input) = node.batch();
    for key in keys {
        batch.push(Database(0), put(&mut input, key.as_bytes()), Action::Look);
    }
    node.coordinator.replica().cold_keys(&batch.operations, &input, &[])
}

#[test]
fn a_damaged_block_fails_only_whom_it_concerns() {
    let node = Node::new(1, Durability::None);
    let keys = names(300);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    node.set(&keys, &[7; 300]);
    node.freeze();
    node.machine.disk.set_cached(Cached::Never);
    let files = node.machine.disk.files();
    let table = files.iter().find(|path| path.extension().is_some_and(|kind| kind == "table")).expect("a table");
    node.machine.disk.flip_bit(table, 8 * 50_000);
    let (mut batch, mut input) = node.batch();
    for key in &keys {
        batch.push(Database(0), put(&mut input, key.as_bytes()), Action::Read);
    }
    node.carry_out(&mut batch, &input);
    let failed = (0..keys.len()).filter(|index| matches!(batch.outcome(*index), Outcome::Failed(_))).count();
    let read = (0..keys.len()).filter(|index| batch.value(*index) == Some(&[7; 300])).count();
    assert!((1..30).contains(&failed) && read + failed == 300, "{failed} failed, {read} were read");
}

#[test]
fn a_full_memory_is_waited_for_and_in_the_end_refused() {
    let node = Node::new(1, Durability::None);
    let value = vec![7; 100 << 10];
    let (mut batch, mut input) = node.batch();
    for key in names(60) {
        let write = Action::Write { value: put(&mut input, &value), expiry: None };
        batch.push(Database(0), put(&mut input, key.as_bytes()), write);
    }
    node.carry_out(&mut batch, &input);
    assert!((0..60).all(|index| matches!(batch.outcome(index), Outcome::Written)), "flushes make room");
    // Now nobody flushes, and each of the writes that find no room is given its own time.
    let (mut batch, mut input) = node.batch();
    for key in names(60) {
        let write = Action::Write { value: put(&mut input, &value), expiry: None };
        batch.push(Database(0), put(&mut input, key.as_bytes()), write);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let waited = runtime.expect("a runtime").block_on(async {
        let begun = tokio::time::Instant::now();
        node.coordinator.carry_on(&mut batch, &input, 60).await;
        begun.elapsed()
    });
    let refused = (0..60).filter(|index| matches!(batch.outcome(*index), Outcome::Failed(_))).count();
    assert!(refused > 0);
    assert!(matches!(batch.failure(0, 60), Some(Failure::Busy { waited_ms: 10_000 })));
    assert!(waited >= Duration::from_secs(10) * refused as u32, "{refused} in {waited:?}");
}

/// Many tasks that write and wait, some while others wait already; all of them must be told.
fn all_waiters_are_told(seed: u64, durability: Durability) -> usize {
    let node = Rc::new(Node::new(seed, durability));
    let signal = Arc::new(Notify::new());
    let hook = Arc::clone(&signal);
    node.engine().on_durable(Arc::new(move |_| hook.notify_one()));
    let queue = CommitQueue::new(Arc::clone(node.engine()), durability, signal);
    let told = Rc::new(Cell::new(0));
    let local = LocalSet::new();
    local.spawn_local(Arc::clone(&queue).serve());
    for writer in 0..12_u64 {
        let (node, queue, told) = (Rc::clone(&node), Arc::clone(&queue), Rc::clone(&told));
        local.spawn_local(async move {
            for turn in 0..20 {
                for _ in 0..(seed + writer * 7 + turn * 3) % 5 {
                    yield_now().await;
                }
                // Refused while the disk is full.
                let position = loop {
                    match node.try_set(&format!("{writer}:{turn}")) {
                        Some(position) => break position,
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                };
                queue.wait(position).await.expect("a sound disk");
                assert!(node.engine().durable() >= position);
                told.set(told.get() + 1);
            }
        });
    }
    let (at_work, told_so_far) = (Rc::clone(&node), Rc::clone(&told));
    node.run(local.run_until(async move {
        // A disk that is full for a while, in the middle of it.
        while told_so_far.get() < 80 {
            yield_now().await;
        }
        at_work.machine.disk.fail_where(|operation| {
            let writes = operation.kind == crate::env::memory::OperationKind::Write;
            writes.then_some(crate::env::memory::Fault::Full)
        });
        for _ in 0..50 {
            yield_now().await;
        }
        at_work.machine.disk.heal();
        for _ in 0..30_000 {
            if told_so_far.get() == 240 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }));
    told.get()
}

#[test]
fn no_waiter_is_forgotten() {
    for durability in [Durability::Sync, Durability::EverySec, Durability::None] {
        for seed in 0..3 {
            assert_eq!(all_waiters_are_told(seed, durability), 240, "{durability:?} {seed}");
        }
    }
}
