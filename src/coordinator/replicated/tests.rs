//! Three replicas in one thread, with wires between them that the test cuts: every answer is what a client would get.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{LocalSet, yield_now};

use crate::causality::{Hlc, Record, Time};
use crate::coordinator::{
    Answering, Batch, Cluster, ClusterOptions, ClusterParts, CommitQueue, Coordinator, KeepHints, Levels,
    MemberService, Members,
};
use crate::env::Env;
use crate::env::memory::MemoryMachine;
use crate::hints;
use crate::ledger::Ledger;
use crate::peer::{CallError, Terms};
use crate::quorum::Level;
use crate::repair::{Handoff, HandoffParts};
use crate::replica::{
    Action, Answer, Change, Effect, Existed, Failure, Operand, Outcome, Params, PurgeFloors, Replica, ReplicaOptions,
    ReplicaParts, put_record,
};
use crate::ring::{Candidate, Topology};
use crate::storage::{Durability, Engine, Options};
use crate::types::{ArcLayout, ClusterId, Database, NodeId, NodeNumber, Span};
use crate::wire::{Frame, Frames, Header, Message, put_frame};
use crate::worker::Worker;

const TIMEOUT: Duration = Duration::from_millis(500);

/// Which wires are cut: messages from one node to another.
type Cuts = Arc<Mutex<BTreeSet<(u16, u16)>>>;

/// One member.
struct Member {
    machine: MemoryMachine,
    coordinator: Arc<Coordinator>,
    service: Arc<MemberService>,
    queue: Arc<CommitQueue>,
    hints: Arc<Hints>,
}

#[derive(Default)]
struct Hints {
    kept: Mutex<Vec<(NodeNumber, Vec<u8>)>>,
    /// Where they are kept, if they are to be delivered.
    store: OnceLock<Arc<hints::Hints>>,
}

impl KeepHints for Hints {
    fn keep(&self, node: NodeNumber, database: Database, key: &[u8], record: &[u8]) {
        self.kept.lock().push((node, key.to_vec()));
        if let Some(store) = self.store.get() {
            store.keep(node, database, key, record);
        }
    }
}

/// The wires of one member.
struct Wires {
    me: u16,
    cuts: Cuts,
    others: OnceLock<BTreeMap<u16, Weak<MemberService>>>,
    /// Cut wires that look whole: what is sent on them is lost.
    lossy: Arc<Mutex<BTreeSet<(u16, u16)>>>,
}

impl Members for Wires {
    fn is_reachable(&self, node: NodeNumber) -> bool {
        !self.cuts.lock().contains(&(self.me, node.0))
    }

    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError> {
        if !self.is_reachable(node) {
            return Err(CallError::NotConnected);
        }
        let service = self.others.get().and_then(|others| others.get(&node.0)?.upgrade()).expect("a member");
        let (request, deadline) = (frame(message, terms), terms.deadline);
        let is_lost = self.lossy.lock().contains(&(self.me, node.0));
        let terms = *terms;
        Ok(Box::pin(async move {
            if is_lost {
                tokio::time::sleep_until(deadline).await;
                return Err(CallError::TimedOut);
            }
            let answer = service.serve(&request).await.expect("a read or a write");
            Ok(frame(&answer, &Terms { now: deadline, ..terms }))
        }))
    }

    fn usual_time(&self, _: NodeNumber) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    fn flush(
        &self,
        _: Option<Database>,
        _: Time,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
        Box::pin(async { Err("nobody decides here".to_owned()) })
    }

    fn meets_topology(&self, _: NodeNumber, _: &[u8]) {}
}

fn frame(message: &Message, terms: &Terms) -> Frame {
    let left = terms.deadline.saturating_duration_since(terms.now).as_millis() as u32;
    let header = Header { kind: message.kind(), request: 1, epoch: terms.epoch, time: terms.time, time_left_ms: left };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, &header, message.body());
    let mut frames = Frames::new(1 << 20);
    frames.input().extend_from_slice(&bytes);
    frames.take().expect("a frame").expect("whole")
}

/// Three members of one cluster.
struct Trio {
    runtime: tokio::runtime::Runtime,
    members: Vec<Member>,
    wires: Vec<Arc<Wires>>,
    cuts: Cuts,
    lossy: Arc<Mutex<BTreeSet<(u16, u16)>>>,
}

impl Trio {
    fn new() -> Trio {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 6379));
        let candidate = |number: u16| Candidate {
            id: NodeId([number as u8; 20]),
            name: format!("node-{number}"),
            dc: "dc".into(),
            zone: format!("zone-{number}"),
            weight: 100,
            peer: address,
            clients: address,
            http: None,
        };
        let layout = ArcLayout::default();
        let candidates = (1..=3).map(candidate).collect();
        let topology = Topology::found(ClusterId([7; 20]), layout, 3, candidates).expect("a cluster");
        let (topology, cuts, lossy) = (Arc::new(topology), Cuts::default(), Arc::default());
        let wires: Vec<Arc<Wires>> = (1..=3)
            .map(|me| {
                let (cuts, lossy) = (Arc::clone(&cuts), Arc::clone(&lossy));
                Arc::new(Wires { me, cuts, lossy, others: OnceLock::new() })
            })
            .collect();
        let members: Vec<Member> = wires.iter().map(|wires| Member::new(wires, &topology)).collect();
        for wires in &wires {
            let others = (1..).zip(&members).map(|(number, member)| (number, Arc::downgrade(&member.service)));
            assert!(wires.others.set(others.collect()).is_ok());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        Trio { runtime: runtime.expect("a runtime"), members, wires, cuts, lossy }
    }

    /// Nobody reaches `node`, and it reaches nobody.
    fn isolate(&self, node: u16) {
        for other in (1..=3).filter(|other| *other != node) {
            self.cuts.lock().extend([(node, other), (other, node)]);
        }
    }

    fn heal(&self) {
        self.cuts.lock().clear();
        self.lossy.lock().clear();
    }

    /// What an operation by way of `node` leads to, and the bytes that it read.
    fn act(
        &self,
        node: u16,
        (key, action, operand): (&str, Action, &[u8]),
        level: Level,
    ) -> (Result<Outcome, Failure>, Vec<u8>) {
        let member = &self.members[usize::from(node) - 1];
        let input = [key.as_bytes(), operand].concat();
        let span = |start: usize, len: usize| Operand::Input(Span { start: start as u32, len: len as u32 });
        let value = span(key.len(), operand.len());
        let action = match action {
            Action::Write { expiry, .. } => Action::Write { value, expiry },
            Action::Change(change, params) => Action::Change(change, Params { operand: value, ..params }),
            other => other,
        };
        let mut batch = Batch::default();
        batch.clear(member.coordinator.replica().now_ms(0));
        batch.set_levels(Levels { read: level, write: level });
        batch.push(Database(0), span(0, key.len()), action);
        self.run(async {
            member.coordinator.carry_on(&mut batch, &input, 1).await;
            member.queue.wait(batch.position()).await.expect("a sound disk");
        });
        let bytes = batch.value(0).unwrap_or_default().to_vec();
        (batch.failure(0, 1).cloned().map_or_else(|| Ok(batch.outcome(0)), Err), bytes)
    }

    fn set(&self, node: u16, key: &str, value: &str, level: Level) -> Result<Outcome, Failure> {
        let write = Action::Write { value: Operand::default(), expiry: None };
        self.act(node, (key, write, value.as_bytes()), level).0
    }

    fn get(&self, node: u16, key: &str, level: Level) -> Result<Option<String>, Failure> {
        let (outcome, bytes) = self.act(node, (key, Action::Read, b""), level);
        Ok(match outcome? {
            Outcome::Found(_) => Some(String::from_utf8(bytes).expect("text")),
            Outcome::Absent => None,
            other => panic!("{other:?}"),
        })
    }

    fn delete(&self, node: u16, key: &str) -> Existed {
        match self.act(node, (key, Action::Delete, b""), Level::Quorum).0 {
            Ok(Outcome::Deleted(existed)) => existed,
            other => panic!("{other:?}"),
        }
    }

    fn append(&self, node: u16, key: &str, text: &str) -> Result<Outcome, Failure> {
        let append: Change = |current, inputs, draft| {
            draft.value.extend_from_slice(current.map_or(b"", |current| current.value));
            draft.value.extend_from_slice(inputs.operand);
            draft.answer = Answer::Integer(draft.value.len() as i64);
            Effect::Write
        };
        self.act(node, (key, Action::Change(append, Params::default()), text.as_bytes()), Level::Quorum).0
    }

    /// What `node` itself holds.
    fn held(&self, node: u16, key: &str) -> Record {
        let cell = Replica::cell(Database(0), key.as_bytes());
        let mut bytes = Vec::new();
        let replica = self.members[usize::from(node) - 1].coordinator.replica();
        replica.show(&cell, &[], &mut |record| put_record(record, &mut bytes)).expect("readable");
        Record::decode(bytes).expect("a record")
    }

    fn hints(&self, node: u16) -> Vec<(NodeNumber, Vec<u8>)> {
        self.members[usize::from(node) - 1].hints.kept.lock().clone()
    }

    /// From now on the hints of `node` are kept in a store.
    fn keep_hints(&self, node: u16) -> Handoff {
        let member = &self.members[usize::from(node) - 1];
        let cluster = member.coordinator.cluster().expect("one of three");
        let (_, topology) = tokio::sync::watch::channel(Arc::clone(&cluster.view().topology));
        let settings = hints::Settings {
            dir: "data/hints".into(),
            durability: Durability::None,
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(3600),
        };
        let env = member.machine.env();
        let parts = hints::Parts { env: env.clone(), topology: topology.clone(), settings };
        let store = hints::Hints::open(parts).expect("a sound disk");
        assert!(member.hints.store.set(Arc::clone(&store)).is_ok());
        let members = Arc::clone(&self.wires[usize::from(node) - 1]) as Arc<dyn Members>;
        Handoff::new(HandoffParts {
            me: NodeNumber(node),
            hints: store,
            topology,
            courier: Arc::new(members),
            clock: env.clock,
            hlc: Arc::new(Hlc::new(Time::ZERO)),
            bandwidth: 1 << 20,
        })
    }

    /// Lets what is followed up in the background come to its end.
    fn settle(&self) {
        self.run(async { tokio::time::sleep(TIMEOUT * 2).await });
    }

    /// Runs `future` while the machines take steps.
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let local = LocalSet::new();
        for member in &self.members {
            local.spawn_local(Arc::clone(&member.queue).serve());
        }
        local.block_on(&self.runtime, async {
            let mut future = std::pin::pin!(future);
            let mut idle = 0;
            loop {
                tokio::select! {
                    biased;
                    done = &mut future => return done,
                    () = yield_now() => {}
                }
                let stepped = self.members.iter().filter(|member| member.machine.pool.step()).count();
                idle = if stepped > 0 { 0 } else { idle + 1 };
                if idle > 10 {
                    self.members.iter().for_each(|member| member.machine.clock.advance(Duration::from_millis(1)));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        })
    }
}

impl Member {
    fn new(wires: &Arc<Wires>, topology: &Arc<Topology>) -> Member {
        let machine = MemoryMachine::new(u64::from(wires.me));
        // Lives that begin at different times have different names.
        machine.clock.advance(Duration::from_millis(u64::from(wires.me)));
        let Env { clock, random, disk, pool, .. } = machine.env();
        let (dir, layout) = (Path::new("data"), topology.layout());
        let ledger = Ledger::found(disk, &*random, dir, layout).expect("an empty disk");
        let actor = ledger.raise(crate::env::Clock::wall_ms(&*clock)).expect("a sound disk");
        let floors = PurgeFloors::new(&ledger.facts());
        let filter = Arc::<PurgeFloors>::clone(&floors);
        let options = Options::new(dir.into(), Durability::None);
        let engine = Arc::new(Engine::open(&machine.env(), options, filter).expect("an empty disk"));
        let signal = Arc::<Notify>::default();
        let queue = CommitQueue::new(Arc::clone(&engine), Durability::None, signal);
        let parts = ReplicaParts { engine, ledger, floors, hlc: Arc::new(Hlc::new(Time::ZERO)), clock, random };
        let replica = Arc::new(Replica::open(parts, ReplicaOptions { actor, layout, max_pair_bytes: 1 << 20 }));
        let hints = Arc::<Hints>::default();
        let cluster = Cluster::new(ClusterParts {
            me: NodeNumber(wires.me),
            dc: "dc".into(),
            topology: Arc::clone(topology),
            members: Arc::clone(wires) as Arc<dyn Members>,
            hints: Arc::clone(&hints) as Arc<dyn KeepHints>,
            options: ClusterOptions { timeout: TIMEOUT, max_skew: Duration::from_millis(500) },
        });
        let coordinator = Arc::new(Coordinator::of_cluster(replica, pool, Arc::clone(&cluster)));
        let service = Arc::new(MemberService::new(Arc::clone(&coordinator), cluster, Arc::clone(&queue)));
        Member { machine, coordinator, service, queue, hints }
    }
}

/// The text of the error that a client gets.
fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    result.expect_err("too few replicas").to_string()
}

#[test]
fn what_is_written_by_way_of_one_is_read_by_way_of_another() {
    let trio = Trio::new();
    assert_eq!(trio.get(2, "k", Level::Quorum).expect("all are there"), None);
    trio.set(1, "k", "one", Level::Quorum).expect("all are there");
    for node in 1..=3 {
        assert_eq!(trio.get(node, "k", Level::Quorum).expect("all are there").as_deref(), Some("one"));
    }
    trio.settle();
    for node in 1..=3 {
        assert_eq!(trio.held(node, "k"), trio.held(1, "k"), "the third gets it too, unasked");
        assert!(trio.hints(node).is_empty());
    }
    assert_eq!(trio.delete(3, "k"), Existed::Yes);
    assert_eq!((trio.get(1, "k", Level::Quorum).expect("there"), trio.delete(2, "k")), (None, Existed::No));
}

#[test]
fn a_delete_by_way_of_a_node_that_missed_the_write_deletes_it() {
    let trio = Trio::new();
    trio.isolate(2);
    trio.set(1, "k", "1", Level::Quorum).expect("acknowledged by 1 and 3");
    trio.heal();
    assert!(trio.held(2, "k").view().versions().next().is_none());
    assert_eq!(trio.delete(2, "k"), Existed::Yes, "a majority has it");
    for node in 1..=3 {
        assert_eq!(trio.get(node, "k", Level::Quorum).expect("all are there"), None);
    }
}

#[test]
fn a_read_does_not_go_back_behind_another() {
    let trio = Trio::new();
    trio.set(1, "k", "old", Level::Quorum).expect("all are there");
    trio.settle();
    trio.lossy.lock().extend([(1, 2), (1, 3)]);
    // Answers to the query do not come either, so nothing is written at QUORUM; at ONE it is.
    let told = refused(trio.set(1, "k", "never", Level::Quorum));
    assert!(told.starts_with("write got 1 of 2 contexts in 5") && told.ends_with("it was not done"), "{told}");
    trio.set(1, "k", "new", Level::One).expect("held here");
    trio.heal();
    trio.isolate(3);
    assert_eq!(trio.get(1, "k", Level::Quorum).expect("1 and 2").as_deref(), Some("new"));
    assert_eq!(trio.held(2, "k"), trio.held(1, "k"), "what was shown is held by two");
    trio.heal();
    trio.isolate(1);
    assert_eq!(trio.get(3, "k", Level::Quorum).expect("2 and 3").as_deref(), Some("new"));
}

#[test]
fn a_change_computes_from_what_a_majority_holds() {
    let trio = Trio::new();
    trio.set(1, "k", "old", Level::Quorum).expect("all are there");
    trio.settle();
    trio.isolate(2);
    trio.set(1, "k", "new", Level::Quorum).expect("acknowledged by 1 and 3");
    trio.heal();
    let changed = trio.append(2, "k", "er").expect("all are there");
    assert!(matches!(changed, Outcome::Changed(Answer::Integer(5))), "{changed:?}");
    for node in 1..=3 {
        assert_eq!(trio.get(node, "k", Level::Quorum).expect("all are there").as_deref(), Some("newer"));
        assert_eq!(trio.held(node, "k").view().versions().count(), 1, "nothing is left beside it");
    }
}

#[test]
fn too_few_replicas_are_told_by_their_numbers() {
    let trio = Trio::new();
    trio.isolate(2);
    trio.cuts.lock().extend([(1, 3), (3, 1)]);
    let told = refused(trio.set(1, "k", "v", Level::Quorum));
    assert!(told.starts_with("write needs 2 of 3 replicas, 1 is reachable (node-"), "{told}");
    let told = refused(trio.get(1, "k", Level::All));
    assert!(told.starts_with("read needs 3 of 3 replicas, 1 is reachable (node-"), "{told}");
    assert!(told.contains("node-2") && told.contains("node-3") && !told.contains("node-1"), "{told}");
    trio.set(1, "k", "v", Level::One).expect("held here");
    assert_eq!(trio.get(1, "k", Level::One).expect("held here").as_deref(), Some("v"));
    trio.settle();
    let mut hinted: Vec<u16> = trio.hints(1).iter().map(|(node, _)| node.0).collect();
    hinted.sort_unstable();
    assert_eq!(hinted, [2, 3]);
}

#[test]
fn a_member_that_stays_silent_gets_a_hint_and_the_client_its_answer() {
    let trio = Trio::new();
    trio.lossy.lock().insert((1, 3));
    trio.set(1, "k", "v", Level::Two).expect("2 acknowledges");
    assert!(trio.hints(1).is_empty(), "the answer may still come");
    trio.settle();
    assert_eq!(trio.hints(1), [(NodeNumber(3), b"k".to_vec())]);
    let told = refused(trio.set(1, "k", "w", Level::Three));
    assert!(told.starts_with("write got 2 of 3 acknowledgements in 5"), "{told}");
    assert!(told.ends_with("it may still take effect"), "{told}");
}

#[test]
fn a_slow_replica_is_not_waited_for() {
    let trio = Trio::new();
    for round in 0..100 {
        trio.set(1, "k", &round.to_string(), Level::Quorum).expect("all are there");
        assert!(trio.get(1, "k", Level::Quorum).is_ok());
    }
    trio.settle();
    let cluster = trio.members[0].coordinator.cluster().expect("one of three");
    let arc = trio.members[0].coordinator.replica().arc_of(b"k");
    let nearest = cluster.order(cluster.view().placement(arc))[1];
    trio.lossy.lock().insert((1, nearest.0));
    let before = cluster.stats().hedges.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(trio.get(1, "k", Level::Quorum).expect("3 stands in").as_deref(), Some("99"));
    assert_eq!(cluster.stats().hedges.load(std::sync::atomic::Ordering::Relaxed), before + 1);
}

#[test]
fn concurrent_writes_stay_beside_each_other() {
    let trio = Trio::new();
    trio.isolate(1);
    trio.set(1, "k", "a", Level::One).expect("held here");
    trio.set(2, "k", "b", Level::One).expect("held here");
    trio.heal();
    assert!(trio.get(1, "k", Level::All).expect("all are there").is_some());
    trio.settle();
    for node in 1..=3 {
        assert_eq!(trio.held(node, "k").view().versions().count(), 2, "siblings, on every replica");
    }
    trio.set(3, "k", "c", Level::Quorum).expect("all are there");
    trio.settle();
    for node in 1..=3 {
        assert_eq!(trio.get(node, "k", Level::Quorum).expect("there").as_deref(), Some("c"));
        assert_eq!(trio.held(node, "k").view().versions().count(), 1);
    }
}

#[test]
fn a_member_that_was_away_is_whole_again_without_any_read() {
    let trio = Trio::new();
    let mut handoff = trio.keep_hints(1);
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    for key in &keys {
        trio.set(1, key, "before", Level::All).expect("all are there");
    }
    trio.isolate(3);
    for key in &keys {
        trio.set(1, key, "after", Level::Quorum).expect("a majority is there");
    }
    trio.set(1, "new", "after", Level::Quorum).expect("a majority is there");
    assert_eq!(trio.delete(1, "key-0"), Existed::Yes);
    trio.settle();
    trio.heal();
    assert_eq!(trio.held(3, "key-1").view().winner(0).map(|winner| winner.payload.to_vec()), Some(b"before".to_vec()));
    trio.run(async {
        for _ in 0..2000 {
            handoff.work();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    for key in keys.iter().map(String::as_str).chain(["new"]) {
        assert_eq!(trio.held(3, key), trio.held(1, key), "{key}");
    }
    assert!(trio.members[0].hints.store.get().expect("a store").nodes().is_empty());
    trio.isolate(1);
    assert_eq!(trio.get(3, "key-0", Level::One).expect("held here"), None);
    assert_eq!(trio.get(3, "new", Level::One).expect("held here").as_deref(), Some("after"));
}
