//! Hints on their way to members that a test lets answer, or not.

use std::collections::BTreeSet;
use std::future::{pending, ready};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::causality::{Actor, Context, Dot, Hlc, RecordView, Time, Version, overwrite};
use crate::env::Clock;
use crate::env::memory::MemoryMachine;
use crate::hints::{Hints, Keeper, Parts, Settings};
use crate::peer::{CallError, Terms};
use crate::repair::handoff::recipients;
use crate::repair::{Answering, Courier, Handoff, HandoffParts};
use crate::ring::{Candidate, Topology};
use crate::storage::Durability;
use crate::types::{ArcLayout, ClusterId, Database, Epoch, NodeId, NodeNumber};
use crate::wire::{
    Batch, Frames, Header, Kind, Message, Origin, Reason, Refusal, RefusedFrame, Request, WriteAnswer, put_frame,
};
use crate::worker::{Work, Worker};

const ME: NodeNumber = NodeNumber(1);
const AWAY: NodeNumber = NodeNumber(2);
const BANDWIDTH: u64 = 1 << 20;

/// What members answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Takes,
    /// All that is new to it is obsolete.
    Ignores,
    RefusesRecords,
    RefusesAll,
    GoesByAnotherTopology,
    IsSilent,
}

/// The members, as this node reaches them.
#[derive(Default)]
struct Town {
    reachable: Mutex<BTreeSet<NodeNumber>>,
    mood: Mutex<Mood>,
    /// Node and key of what was sent, in order.
    sent: Mutex<Vec<(NodeNumber, String)>>,
    topologies: Mutex<Vec<(NodeNumber, Vec<u8>)>>,
}

impl Courier for Town {
    fn is_reachable(&self, node: NodeNumber) -> bool {
        self.reachable.lock().contains(&node)
    }

    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError> {
        if !self.is_reachable(node) {
            return Err(CallError::NotConnected);
        }
        let mood = *self.mood.lock();
        let frame = framed(message, terms.epoch);
        let Ok(Request::Write(items)) = Request::decode(&frame) else { panic!("{frame:?}") };
        let mut answers = Batch::new(Kind::WriteAnswer);
        for item in items {
            assert_eq!((item.origin, item.fence), (Origin::Hint, Time::ZERO));
            assert!(RecordView::decode(item.record).is_ok());
            self.sent.lock().push((node, String::from_utf8_lossy(item.key).into_owned()));
            answers.push(&match mood {
                Mood::Ignores => WriteAnswer::Ignored,
                Mood::RefusesRecords => WriteAnswer::Refused(Refusal::bare(Reason::Busy)),
                _ => WriteAnswer::Merged,
            });
        }
        let refused = |reason| Message::refused(&RefusedFrame { refusal: Refusal::bare(reason), help: b"newer" });
        let answer = match mood {
            Mood::IsSilent => return Ok(Box::pin(pending())),
            Mood::RefusesAll => refused(Reason::OtherEpoch),
            _ => answers.finish(),
        };
        let epoch = if mood == Mood::GoesByAnotherTopology { Epoch(terms.epoch.0 + 1) } else { terms.epoch };
        Ok(Box::pin(ready(Ok(framed(&answer, epoch)))))
    }

    fn meets_topology(&self, node: NodeNumber, encoded: &[u8]) {
        self.topologies.lock().push((node, encoded.to_vec()));
    }
}

fn framed(message: &Message, epoch: Epoch) -> crate::wire::Frame {
    let time_left_ms = u32::from(!message.kind().is_answer());
    let header = Header { kind: message.kind(), request: 1, epoch, time: Time::ZERO, time_left_ms };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, &header, message.body());
    let mut frames = Frames::new(1 << 20);
    frames.input().extend_from_slice(&bytes);
    frames.take().expect("a frame").expect("whole")
}

fn topology(nodes: u8) -> Topology {
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
    Topology::found(ClusterId([7; 20]), ArcLayout::default(), 3, (1..=nodes).map(candidate).collect())
        .expect("a cluster")
}

/// A node with hints for others.
struct Life {
    machine: MemoryMachine,
    town: Arc<Town>,
    hints: Arc<Hints>,
    handoff: Handoff,
    topology: watch::Sender<Arc<Topology>>,
}

impl Life {
    fn begin(machine: MemoryMachine, town: Arc<Town>, nodes: u8) -> Life {
        let (sender, topology) = watch::channel(Arc::new(topology(nodes)));
        let env = machine.env();
        let settings = Settings {
            dir: Path::new("data/hints").into(),
            durability: Durability::Sync,
            max_bytes: 8 << 20,
            max_age: Duration::from_secs(3600),
        };
        let parts = Parts { env: env.clone(), topology: topology.clone(), settings };
        let hints = Hints::open(parts).expect("a sound disk");
        let mut keeper = Keeper::new(Arc::clone(&hints));
        while !matches!(keeper.work(), Work::Idle(_)) {}
        let handoff = Handoff::new(HandoffParts {
            me: ME,
            hints: Arc::clone(&hints),
            topology,
            courier: Arc::clone(&town) as Arc<dyn Courier>,
            clock: env.clock,
            hlc: Arc::new(Hlc::new(Time::ZERO)),
            bandwidth: BANDWIDTH,
        });
        Life { machine, town, hints, handoff, topology: sender }
    }

    fn new(nodes: u8) -> Life {
        Life::begin(MemoryMachine::new(1), Arc::default(), nodes)
    }

    fn keep(&self, node: NodeNumber, key: &str, bytes: usize) {
        let payload = vec![7; bytes];
        let version = Version { dot: Dot::new(Actor::from_bits(1), Time(5)), payload: &payload, expiry: None };
        let none = (RecordView::default(), Context::new());
        let record = overwrite(&none.0, &none.1, Time::ZERO, version).expect("room").to_record();
        self.hints.keep(node, Database(0), key.as_bytes(), record.as_bytes());
        self.machine.pool.run_until_idle();
    }

    fn reach(&self, nodes: &[NodeNumber]) {
        *self.town.reachable.lock() = nodes.iter().copied().collect();
    }

    fn feel(&self, mood: Mood) {
        *self.town.mood.lock() = mood;
    }

    /// The handoff works for so long.
    fn pass(&mut self, time: Duration) {
        let until = self.machine.clock.monotonic() + time;
        loop {
            let Work::Idle(pause) = self.handoff.work() else { panic!("it rests between its looks") };
            assert!(pause >= Duration::from_millis(2));
            self.machine.pool.run_until_idle();
            if self.machine.clock.monotonic() + pause > until {
                return;
            }
            self.machine.clock.advance(pause);
        }
    }

    fn second(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    fn sent(&self) -> Vec<(NodeNumber, String)> {
        std::mem::take(&mut self.town.sent.lock())
    }

    fn count(&self) -> u64 {
        self.hints.nodes().iter().map(|(_, held)| held.count).sum()
    }

    fn delivered(&self) -> u64 {
        self.handoff.stats().delivered.load(Ordering::Relaxed)
    }
}

#[test]
fn a_member_that_comes_back_gets_all_that_was_kept_for_it_once() {
    let mut life = Life::new(3);
    let keys: Vec<String> = (0..2000).map(|number| format!("key-{number:04}")).collect();
    keys.iter().for_each(|key| life.keep(AWAY, key, 10));
    life.keep(NodeNumber(3), "other", 10);
    life.second();
    assert_eq!((life.sent().len(), life.count()), (0, 2001));
    life.reach(&[AWAY]);
    life.second();
    let sent = life.sent();
    assert!(sent.iter().all(|(node, _)| *node == AWAY));
    assert_eq!(sent.into_iter().map(|(_, key)| key).collect::<Vec<_>>(), keys);
    assert_eq!((life.count(), life.delivered()), (1, 2000));
    life.second();
    assert!(life.sent().is_empty());
}

#[test]
fn what_is_obsolete_there_need_not_be_kept() {
    let mut life = Life::new(3);
    life.keep(AWAY, "k", 10);
    life.reach(&[AWAY]);
    life.feel(Mood::Ignores);
    life.second();
    assert_eq!((life.count(), life.delivered()), (0, 1));
}

#[test]
fn what_is_not_acknowledged_stays_and_is_brought_again() {
    for mood in [Mood::RefusesRecords, Mood::RefusesAll, Mood::GoesByAnotherTopology, Mood::IsSilent] {
        let mut life = Life::new(3);
        life.keep(AWAY, "k", 10);
        life.reach(&[AWAY]);
        life.feel(mood);
        life.pass(Duration::from_secs(60));
        let attempts = life.sent().len();
        assert!((2..10).contains(&attempts), "{mood:?}: it backs off, {attempts} attempts");
        assert_eq!((life.count(), life.delivered()), (1, 0), "{mood:?}");
        assert_eq!(life.town.topologies.lock().is_empty(), mood != Mood::RefusesAll);
        life.feel(Mood::Takes);
        life.pass(Duration::from_secs(60));
        assert_eq!((life.count(), life.delivered()), (0, 1), "{mood:?}");
    }
}

#[test]
fn a_node_that_was_away_again_is_tried_at_once() {
    let mut life = Life::new(3);
    life.keep(AWAY, "k", 10);
    life.reach(&[AWAY]);
    life.feel(Mood::RefusesAll);
    life.pass(Duration::from_secs(300));
    life.reach(&[]);
    life.second();
    life.reach(&[AWAY]);
    life.feel(Mood::Takes);
    life.second();
    assert_eq!(life.count(), 0, "whatever it did before");
}

#[test]
fn a_crash_between_sending_and_forgetting_delivers_again() {
    let mut life = Life::new(3);
    life.keep(AWAY, "k", 10);
    life.keep(AWAY, "l", 10);
    life.reach(&[AWAY]);
    life.feel(Mood::IsSilent);
    life.handoff.work();
    assert_eq!(life.sent().len(), 2);
    let mut life = Life::begin(life.machine.crash(), Arc::clone(&life.town), 3);
    life.feel(Mood::Takes);
    life.second();
    assert_eq!((life.sent().len(), life.count()), (2, 0));
    life.machine.pool.run_until_idle();
    let mut life = Life::begin(life.machine.crash(), Arc::clone(&life.town), 3);
    life.second();
    assert!(life.sent().is_empty(), "what was forgotten stays so");
}

#[test]
fn no_more_is_sent_than_the_bandwidth_allows() {
    let mut life = Life::new(3);
    let kept = 6 * BANDWIDTH as usize;
    (0..kept / 10_000).for_each(|number| life.keep(AWAY, &format!("key-{number}"), 10_000));
    life.reach(&[AWAY]);
    life.pass(Duration::from_secs(3));
    let sent = life.handoff.stats().sent_bytes.load(Ordering::Relaxed);
    assert!((2 * BANDWIDTH..4 * BANDWIDTH).contains(&sent), "{sent} bytes in 3 seconds");
    life.pass(Duration::from_secs(5));
    assert_eq!(life.count(), 0);
}

#[test]
fn a_hint_goes_to_whom_the_topology_names_when_it_is_delivered() {
    // Five nodes, three replicas: some keys are not node 2's.
    let mut life = Life::new(5);
    let topology = Arc::clone(&life.topology.borrow());
    let holds = |key: &str| topology.at(crate::types::slot_of(key.as_bytes())).holds(AWAY);
    let keys: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
    keys.iter().for_each(|key| life.keep(AWAY, key, 10));
    let (own, others): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| holds(key));
    assert!(own.len() > 5 && others.len() > 3);
    life.reach(&[NodeNumber(3), NodeNumber(4), NodeNumber(5)]);
    life.second();
    let sent = life.sent();
    for key in &own {
        assert_eq!(recipients(&topology, (ME, AWAY), key.as_bytes()), [AWAY]);
        assert!(!sent.iter().any(|(_, of)| of == *key), "{key} waits for its node");
    }
    for key in &others {
        let placement = topology.at(crate::types::slot_of(key.as_bytes()));
        let mut expected: Vec<NodeNumber> = placement.nodes().filter(|node| *node != ME).collect();
        expected.sort_unstable();
        let got: Vec<NodeNumber> = sent.iter().filter(|(_, of)| of == *key).map(|(node, _)| *node).collect();
        assert_eq!(got, expected, "each member once");
    }
    assert_eq!(life.count() as usize, own.len());
    life.second();
    assert!(life.sent().is_empty(), "the others are not read again and again");
    life.reach(&[AWAY]);
    life.second();
    assert_eq!((life.sent().len(), life.count()), (own.len(), 0));
}

#[test]
fn a_hint_for_several_members_stays_until_all_have_it() {
    let mut life = Life::new(5);
    let topology = Arc::clone(&life.topology.borrow());
    let named = |number: u32| format!("key-{number}");
    let away_from = |key: &String| {
        let nodes = recipients(&topology, (ME, AWAY), key.as_bytes());
        nodes.len() > 1 && nodes.contains(&NodeNumber(5))
    };
    let key = (0..).map(named).find(away_from).expect("some arc lies so");
    life.keep(AWAY, &key, 10);
    life.reach(&[NodeNumber(3), NodeNumber(4)]);
    life.pass(Duration::from_secs(10));
    assert_eq!(life.count(), 1);
    life.reach(&[NodeNumber(3), NodeNumber(4), NodeNumber(5)]);
    life.pass(Duration::from_secs(60));
    assert_eq!(life.count(), 0);
}
