//! The store on a machine in memory: with losses of power, tiny bounds, and tables on a disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::causality::{Actor, Context, Dot, Record, RecordView, Time, Version, overwrite};
use crate::env::memory::MemoryMachine;
use crate::hints::{Hint, Hints, Keeper, Parts, Settings};
use crate::ring::{Candidate, Topology};
use crate::storage::Durability;
use crate::types::{ArcLayout, ClusterId, Database, NodeId, NodeNumber, slot_of};
use crate::worker::{Work, Worker};

const AWAY: NodeNumber = NodeNumber(2);
const OTHER: NodeNumber = NodeNumber(3);
const HOUR: Duration = Duration::from_secs(3600);

fn topology() -> Arc<Topology> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 6379));
    let candidate = |number: u8| Candidate {
        id: NodeId([number; 20]),
        name: format!("node-{number}"),
        dc: "dc".into(),
        zone: format!("zone-{number}"),
        weight: 100,
        peer: address,
        clients: address,
        http: None,
    };
    let candidates = (1..=3).map(candidate).collect();
    Arc::new(Topology::found(ClusterId([7; 20]), ArcLayout::default(), 3, candidates).expect("a cluster"))
}

/// A store with its keeper, on a machine.
struct Life {
    machine: MemoryMachine,
    hints: Arc<Hints>,
    keeper: Keeper,
    _topology: watch::Sender<Arc<Topology>>,
}

impl Life {
    fn begin(machine: MemoryMachine, durability: Durability, max_bytes: u64) -> Life {
        let (sender, topology) = watch::channel(topology());
        let settings = Settings { dir: Path::new("data/hints").into(), durability, max_bytes, max_age: HOUR };
        let hints = Hints::open(Parts { env: machine.env(), topology, settings }).expect("a sound disk");
        let keeper = Keeper::new(Arc::clone(&hints));
        Life { machine, hints, keeper, _topology: sender }
    }

    fn new(max_bytes: u64) -> Life {
        let mut life = Life::begin(MemoryMachine::new(1), Durability::Sync, max_bytes);
        life.keep_up();
        life
    }

    /// The keeper works until it rests.
    fn keep_up(&mut self) {
        while !matches!(self.keeper.work(), Work::Idle(_)) {
            self.machine.clock.advance(Duration::from_millis(100));
            self.machine.pool.run_until_idle();
        }
    }

    fn keep(&self, node: NodeNumber, key: &str, record: &Record) {
        self.hints.keep(node, Database(0), key.as_bytes(), record.as_bytes());
    }

    fn page(&self, node: NodeNumber) -> Vec<(String, Record)> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = self.hints.page(node, from, 200).expect("a sound disk");
            let read = |hint: Hint| {
                (String::from_utf8(hint.key).expect("text"), Record::decode(hint.record).expect("a record"))
            };
            all.extend(page.hints.into_iter().map(read));
            from = page.next;
            if from.is_none() {
                return all;
            }
        }
    }

    fn held(&self, node: NodeNumber) -> (u64, u64) {
        let held = self.hints.nodes().into_iter().find(|(of, _)| *of == node);
        held.map_or((0, 0), |(_, held)| (held.count, held.bytes))
    }

    fn forget(&self, key: &str, record: &Record) {
        let hint = Hint { database: Database(0), key: key.into(), record: record.as_bytes().to_vec() };
        self.hints.forget(AWAY, &hint).expect("a sound disk");
    }
}

/// A record with one version of `actor`, in the place of `old`.
fn record(old: Option<&Record>, (actor, time): (u64, u64), payload: &[u8]) -> Record {
    let none = RecordView::default();
    let old = old.map(Record::view).unwrap_or(none);
    let version = Version { dot: Dot::new(Actor::from_bits(actor), Time(time)), payload, expiry: None };
    overwrite(&old, &Context::new(), Time::ZERO, version).expect("room").to_record()
}

fn bytes_of(key: &str, record: &Record) -> u64 {
    (3 + key.len() + record.as_bytes().len()) as u64
}

#[test]
fn records_of_a_key_are_kept_as_one_and_outlive_a_loss_of_power() {
    let mut life = Life::new(1 << 20);
    let (one, beside) = (record(None, (1, 5), b"one"), record(None, (2, 6), b"beside"));
    let two = record(Some(&one), (1, 7), b"two");
    [&two, &one, &beside].into_iter().for_each(|record| life.keep(AWAY, "k", record));
    life.keep(AWAY, "l", &one);
    life.keep(OTHER, "k", &one);
    life.machine.pool.run_until_idle();
    let check = |life: &Life| {
        let kept = life.page(AWAY);
        assert_eq!(kept.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["k", "l"]);
        let both = kept[0].1.view();
        assert_eq!(both.versions().map(|version| version.payload).collect::<Vec<_>>(), [&b"two"[..], b"beside"]);
        assert_eq!(life.page(OTHER), [("k".to_owned(), one.clone())]);
        (life.held(AWAY), life.held(OTHER))
    };
    let before = check(&life);
    assert_eq!(before.1, (1, bytes_of("k", &one)));
    assert_eq!(life.hints.stats().kept, 5);
    life = Life::begin(life.machine.crash(), Durability::Sync, 1 << 20);
    assert_eq!((life.held(AWAY), life.hints.stats().is_counted), ((0, 0), false), "counted later");
    life.keep(AWAY, "k", &record(Some(&two), (1, 9), b"three"));
    life.keep_up();
    assert_eq!((life.held(OTHER), life.hints.stats().is_counted), (before.1, true));
    assert_eq!(life.held(AWAY), (2, before.0.1 + 2), "`three` is 2 bytes longer than `two`");
}

#[test]
fn without_sync_the_keeper_hands_over_what_was_appended() {
    for durability in [Durability::EverySec, Durability::None] {
        let mut life = Life::begin(MemoryMachine::new(1), durability, 1 << 20);
        life.keep_up();
        life.keep(AWAY, "k", &record(None, (1, 5), b"one"));
        assert!(!matches!(life.keeper.work(), Work::Idle(_)));
        let life = Life::begin(life.machine.kill(), durability, 1 << 20);
        assert_eq!(life.page(AWAY).len(), 1);
    }
}

#[test]
fn what_does_not_fit_is_counted_and_its_arc_marked() {
    let life = Life::new(600);
    let large = record(None, (1, 5), &[7; 400]);
    life.keep(AWAY, "a", &large);
    life.keep(AWAY, "b", &large);
    life.keep(OTHER, "a", &record(None, (1, 5), b"small"));
    let stats = life.hints.stats();
    assert_eq!((stats.kept, stats.overflowed, stats.marked_arcs), (2, 1, 1));
    assert_eq!(stats.bytes, life.held(AWAY).1 + life.held(OTHER).1);
    assert!(stats.bytes <= stats.limit_bytes);
    let arc = ArcLayout::default().arc_of(slot_of(b"b"));
    assert_eq!(life.hints.take_marked().into_iter().collect::<Vec<_>>(), [arc]);
    assert!(life.hints.take_marked().is_empty());
    life.forget("a", &large);
    life.keep(AWAY, "b", &large);
    assert_eq!((life.held(AWAY).0, life.hints.stats().overflowed), (1, 1), "there is room again");
}

#[test]
fn nothing_is_kept_for_a_node_that_is_no_member() {
    let life = Life::new(1 << 20);
    life.keep(NodeNumber(9), "k", &record(None, (1, 5), b"one"));
    let stats = life.hints.stats();
    assert_eq!((stats.strangers, stats.kept, stats.nodes), (1, 0, Vec::new()));
}

#[test]
fn a_hint_that_has_learned_more_is_not_forgotten() {
    let life = Life::new(1 << 20);
    let one = record(None, (1, 5), b"one");
    life.keep(AWAY, "k", &one);
    let two = record(Some(&one), (1, 7), b"two");
    life.keep(AWAY, "k", &two);
    life.forget("k", &one);
    assert_eq!(life.page(AWAY), [("k".to_owned(), two.clone())]);
    life.forget("k", &record(Some(&two), (2, 9), b"three"));
    assert_eq!((life.page(AWAY).len(), life.held(AWAY), life.hints.stats().forgotten), (0, (0, 0), 1));
}

#[test]
fn what_is_too_old_goes_and_its_arc_is_marked() {
    let mut life = Life::new(1 << 20);
    let one = record(None, (1, 5), b"one");
    life.keep(AWAY, "old", &one);
    life.keep(AWAY, "added-to", &one);
    life.machine.clock.advance(HOUR / 2);
    life.keep(AWAY, "young", &one);
    life.keep(AWAY, "added-to", &record(Some(&one), (1, 7), b"two"));
    life.keep_up();
    assert_eq!(life.held(AWAY).0, 3, "nothing is too old yet");
    life.machine.clock.advance(HOUR / 2 + Duration::from_millis(1));
    life.keep_up();
    let keys: Vec<String> = life.page(AWAY).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["added-to", "young"]);
    let stats = life.hints.stats();
    assert_eq!((stats.aged, stats.marked_arcs, life.held(AWAY).0), (1, 1, 2));
    let now_ms = crate::env::Clock::wall_ms(&*life.machine.clock);
    assert!(stats.nodes[0].1.oldest_ms + HOUR.as_millis() as u64 > now_ms);
    life.machine.clock.advance(HOUR);
    life.keep_up();
    assert_eq!((life.page(AWAY).len(), life.hints.stats().aged), (0, 3));
}

#[test]
fn a_record_is_merged_with_a_hint_that_lies_on_disk() {
    let mut life = Life::new(1 << 20);
    let one = record(None, (1, 5), b"one");
    life.keep(AWAY, "k", &one);
    life.hints.engine.freeze().expect("a sound disk");
    life.keep(AWAY, "l", &one);
    life.hints.engine.freeze().expect("a sound disk");
    let beside = record(None, (2, 6), b"beside");
    life.keep(AWAY, "k", &beside);
    assert_eq!(life.page(AWAY)[0].1, one, "no reactor reads a table");
    life.keep_up();
    assert_eq!(life.page(AWAY)[0].1.view().versions().count(), 2);
    assert_eq!((life.held(AWAY).0, life.hints.queue.lock().bytes), (2, 0));
    life.forget("l", &one);
    assert_eq!(life.held(AWAY).0, 1, "from disk too");
}

#[test]
fn the_space_of_many_hints_that_went_is_given_back() {
    let mut life = Life::new(1 << 20);
    let one = record(None, (1, 5), b"one");
    let keys: Vec<String> = (0..1500).map(|number| format!("k{number}")).collect();
    keys.iter().for_each(|key| life.keep(AWAY, key, &one));
    life.keep(OTHER, "k", &one);
    keys.iter().for_each(|key| life.forget(key, &one));
    let entries = |life: &Life| {
        let mut count = 0;
        let limit = crate::storage::ScanLimit { entries: 1 << 20, bytes: 1 << 30 };
        let range = super::entry::everything();
        life.hints.engine.scan(&range, limit, &mut |_, _| count += 1).expect("a sound disk");
        count
    };
    assert_eq!(entries(&life), 1501);
    life.keep_up();
    assert_eq!((entries(&life), life.page(OTHER).len()), (1, 1));
    life.keep(AWAY, "k0", &one);
    life = Life::begin(life.machine.kill(), Durability::Sync, 1 << 20);
    life.keep_up();
    assert_eq!((life.held(AWAY).0, life.held(OTHER).0, entries(&life)), (0, 1, 1), "unsynced, as `kill` leaves it");
}
