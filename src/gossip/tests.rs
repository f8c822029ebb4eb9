//! One node's gossip against plain values in the place of the others. What takes a network is in `tests/cluster`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::causality::{Hlc, Time};
use crate::env::memory::MemoryMachine;
use crate::gossip::{Disk, Event, Gossip, Hints, Load, Measured, Owner, Parts, TOPIC, told};
use crate::membership::{self, Key, Membership, Message, Options, Standing};
use crate::peer;
use crate::ring::{Candidate, Change, Topology};
use crate::types::{ArcLayout, ClusterId, Epoch, Incarnation, NodeId};
use crate::wire;

const LIFE: Incarnation = Incarnation(7);
const MEASURED: Measured = Measured {
    load: Some(Load { commands_per_second: 100, connections: 9 }),
    disk: Some(Disk { used_bytes: 1 << 30, free_bytes: 1 << 33 }),
    hints: None,
};

#[derive(Default)]
struct Noting {
    events: Mutex<Vec<Event>>,
    ahead: Mutex<Vec<NodeId>>,
}

impl Owner for Noting {
    fn measure(&self) -> Measured {
        MEASURED
    }

    fn is_behind(&self, node: NodeId) {
        self.ahead.lock().push(node);
    }

    fn note(&self, event: &Event) {
        self.events.lock().push(event.clone());
    }
}

fn id(number: u8) -> NodeId {
    NodeId([number; 20])
}

fn candidate(number: u8) -> Candidate {
    let address = |port: u16| ([10, 0, 0, number], port).into();
    Candidate {
        id: id(number),
        name: format!("node-{number}"),
        dc: "one".into(),
        zone: format!("zone-{number}"),
        weight: 100,
        peer: address(16_379),
        clients: address(6379),
        http: None,
    }
}

fn topology() -> Topology {
    let candidates = [1, 2, 3].map(candidate).to_vec();
    Topology::found(ClusterId([1; 20]), ArcLayout::new(256).unwrap(), 3, candidates).unwrap()
}

/// Node 1 of three.
fn node_one() -> (Gossip, Arc<Noting>) {
    let owner = Arc::<Noting>::default();
    let (env, hlc) = (MemoryMachine::new(1).env(), Arc::new(Hlc::new(Time(1))));
    let parts = Parts { me: id(1), incarnation: LIFE, env, hlc };
    let gossip = Gossip::new(parts);
    gossip.set_topology(&topology());
    (gossip, owner)
}

/// What another node knows that has begun a life.
fn other(number: u8, incarnation: u64) -> Membership {
    let options = Options { me: id(number), incarnation: Incarnation(incarnation), interval: crate::gossip::INTERVAL };
    let mut other = Membership::new(options, Duration::ZERO);
    let members = [1, 2, 3].map(|number| membership::Member { id: id(number), zone: number.to_string() });
    other.set_members(&members, &[], Duration::ZERO);
    other.tick(Duration::ZERO);
    other
}

/// The bytes of what is answered to `message`.
fn answer(gossip: &Gossip, message: &Message) -> Vec<u8> {
    let answer = gossip.answer(&message.encode()).unwrap();
    assert_eq!((answer.kind(), answer.body()[0]), (wire::Kind::ColdAnswer, TOPIC));
    answer.body()[1..].to_vec()
}

/// A whole exchange that `other` begins.
fn exchange(gossip: &Gossip, other: &mut Membership) {
    let reply = Message::decode(&answer(gossip, &other.open(Duration::ZERO))).unwrap();
    if let Some(close) = other.receive(&reply, Duration::ZERO).reply {
        assert_eq!(answer(gossip, &close), b"");
    }
}

#[test]
fn both_sides_of_an_exchange_know_the_same() {
    let (gossip, owner) = node_one();
    gossip.tell(Key::floors(1), b"floor").unwrap();
    gossip.tell_measured(MEASURED);
    let mut two = other(2, 3);
    let hints = Hints { records: 5, bytes: 500 };
    two.set(Key::HINTS, &told::encode(Some(&hints))).unwrap();
    two.set(Key::EPOCH, &told::encode(Some(&Epoch(1)))).unwrap();
    exchange(&gossip, &mut two);
    assert_eq!(two.incarnation(id(1)), Some(LIFE));
    assert_eq!(two.value(id(1), Key::floors(1)), Some(&b"floor"[..]));
    assert_eq!(two.value(id(1), Key::EPOCH).and_then(told::decode), Some(Epoch(1)));
    assert_eq!(two.value(id(1), Key::LOAD).and_then(told::decode), MEASURED.load);
    assert_eq!(gossip.value(id(2), Key::HINTS), Some(told::encode(Some(&hints))));
    gossip.publish(&*owner);
    let view = gossip.view();
    let known = view.node(id(2)).unwrap();
    assert_eq!((known.incarnation, known.epoch), (Some(Incarnation(3)), Some(Epoch(1))));
    assert_eq!(known.told, Measured { hints: Some(hints), ..Measured::default() });
    assert_eq!(view.node(id(1)).unwrap().told, MEASURED);
    assert!(owner.events.lock().is_empty() && owner.ahead.lock().is_empty());
}

#[test]
fn what_is_no_request_is_not_answered() {
    let (gossip, _) = node_one();
    let mut two = other(2, 1);
    let reply = two.receive(&other(3, 1).open(Duration::ZERO), Duration::ZERO).reply.unwrap();
    let before = gossip.value(id(2), Key::EPOCH);
    for bytes in [&b""[..], b"\xff\xff\xff", &reply.encode()] {
        assert_eq!(gossip.answer(bytes), None);
    }
    assert_eq!(gossip.value(id(2), Key::EPOCH), before);
    let counted = gossip.figures().counted;
    assert_eq!((counted.received, counted.unreadable, counted.sent), (3, 3, 0));
}

#[test]
fn a_member_that_goes_by_a_newer_topology_is_asked_until_this_node_does_too() {
    let (gossip, owner) = node_one();
    let mut two = other(2, 1);
    two.set(Key::EPOCH, &told::encode(Some(&Epoch(2)))).unwrap();
    exchange(&gossip, &mut two);
    gossip.publish(&*owner);
    gossip.publish(&*owner);
    assert_eq!(*owner.ahead.lock(), [id(2), id(2)]);
    let newer = topology().apply(&Change::Weight(topology().members()[0].number, 50)).unwrap();
    assert_eq!(newer.epoch(), Epoch(2));
    gossip.set_topology(&newer);
    gossip.publish(&*owner);
    assert_eq!(owner.ahead.lock().len(), 2);
}

#[test]
fn a_node_that_is_down_is_said_to_be_so_once() {
    let (gossip, owner) = node_one();
    let publish = |standing: &Standing| {
        let mut view = (*gossip.view()).clone();
        view.nodes.get_mut(&id(3)).unwrap().standing = standing.clone();
        gossip.state.lock().news(&view)
    };
    let accusers = vec![id(1), id(2)];
    let (down, suspected) = (Standing::Down(accusers.clone()), Standing::Suspected(vec![id(1)]));
    assert_eq!(publish(&suspected), []);
    assert_eq!(publish(&down), [Event::Down { node: id(3), accusers }]);
    assert_eq!(publish(&down), []);
    assert_eq!(publish(&suspected), [], "not back as long as anybody accuses it");
    assert_eq!(publish(&down), []);
    assert_eq!(publish(&Standing::Up), [Event::Back { node: id(3) }]);
    assert_eq!(publish(&Standing::Up), []);
    assert!(owner.events.lock().is_empty());
}

#[test]
fn a_copied_data_directory_is_noticed() {
    let (gossip, owner) = node_one();
    exchange(&gossip, &mut other(1, LIFE.0 + 1));
    gossip.publish(&*owner);
    gossip.publish(&*owner);
    assert_eq!(*owner.events.lock(), [Event::Twin { incarnation: Incarnation(LIFE.0 + 1) }]);
    assert_eq!(gossip.view().twin(), Some(Incarnation(LIFE.0 + 1)));
}

#[test]
fn a_connection_decides_at_once_whether_to_send() {
    let (gossip, owner) = node_one();
    let remote = peer::Remote { node: id(2), cluster: Some(ClusterId([1; 20])) };
    let seen = |event: &peer::Event| {
        gossip.observe(event);
        gossip.publish(&*owner);
        (gossip.is_reachable(id(2)), gossip.figures().reachable, gossip.view().standing(id(2)).cloned())
    };
    assert!(!gossip.is_reachable(id(2)) && gossip.is_reachable(id(1)));
    assert_eq!(seen(&peer::Event::Connected(remote)), (true, 2, Some(Standing::Up)));
    assert_eq!(seen(&peer::Event::Disconnected(remote)), (false, 1, Some(Standing::Up)));
}

#[test]
fn who_is_removed_is_shown_no_more_and_a_stranger_may_want_to_join() {
    let (gossip, owner) = node_one();
    let mut nine = other(9, 1);
    nine.set(Key::CANDIDATE, b"I am nine").unwrap();
    exchange(&gossip, &mut nine);
    let without = topology().apply(&Change::Absent(id(3))).unwrap();
    gossip.set_topology(&without);
    gossip.publish(&*owner);
    let view = gossip.view();
    assert_eq!(view.candidates().collect::<Vec<_>>(), [(id(9), &b"I am nine"[..])]);
    assert_eq!(view.node(id(9)), None);
    let shown = view.nodes().map(|(node, _)| node).collect::<Vec<_>>();
    let members = without.members().iter().map(|member| member.id).collect::<Vec<_>>();
    assert_eq!(shown, members);
}
