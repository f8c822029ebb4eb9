//! The rules, one by one.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use crate::membership::tests::cluster::{Cluster, INTERVAL, JITTERY, id, members, node};
use crate::membership::{
    Delta, Digest, Entry, FAN_OUT, Key, Line, MAX_KEYS, MAX_MESSAGE_BYTES, MAX_STATE_BYTES, MAX_VALUE_BYTES,
    Membership, Message, MessageError, NoRoom, NodeDelta, Round, STRANGER_TTL, Standing,
};
use crate::types::{Incarnation, NodeId};

const START: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_secs(60);

/// A whole exchange, begun by `one`, through the bytes of each message.
fn exchange(one: &mut Membership, other: &mut Membership, now: Duration) {
    let carry = |message: Message| {
        let bytes = message.encode();
        assert!(bytes.len() <= message.bytes() && message.bytes() <= MAX_MESSAGE_BYTES, "{} bytes", bytes.len());
        Message::decode(&bytes).expect("it was encoded")
    };
    let reply = other.receive(&carry(one.open(now)), now).reply.expect("an opening has a reply");
    if let Some(close) = one.receive(&carry(reply), now).reply {
        assert_eq!(other.receive(&carry(close), now).reply, None);
    }
}

/// Nodes `0..count` that know of their membership, each with a heartbeat.
fn company(count: usize, zones: usize) -> Vec<Membership> {
    let mut nodes: Vec<Membership> = (0..count).map(|number| node(number, 1, START)).collect();
    for node in &mut nodes {
        node.set_members(&members(count, zones), &[], START);
        node.tick(START);
    }
    nodes
}

fn line(number: usize, incarnation: u64, heartbeat: u64) -> Line {
    Line { node: id(number), incarnation: Incarnation(incarnation), heartbeat, version: 0 }
}

/// Lets `node` hear these lines by way of somebody.
fn hear(node: &mut Membership, lines: &[Line], now: Duration) {
    let _ = node.receive(&Message::Open(Digest { is_whole: false, lines: lines.to_vec() }), now);
}

fn pair(nodes: &mut [Membership], one: usize, other: usize) -> (&mut Membership, &mut Membership) {
    let [one, other] = nodes.get_disjoint_mut([one, other]).expect("two of them");
    (one, other)
}

#[test]
fn an_exchange_brings_both_sides_level() {
    let mut nodes = company(3, 1);
    nodes[0].set(Key::LOAD, b"low").unwrap();
    nodes[1].set(Key::LOAD, b"high").unwrap();
    nodes[1].set(Key(999), b"a key of the future").unwrap();
    let (a, b) = pair(&mut nodes, 0, 1);
    exchange(a, b, START);
    assert_eq!((a.value(id(1), Key::LOAD), b.value(id(0), Key::LOAD)), (Some(&b"high"[..]), Some(&b"low"[..])));
    assert_eq!(a.digest(START).lines, b.digest(START).lines);
    let Some(Message::Reply { delta, wants }) = b.receive(&a.open(START), START).reply else { panic!("a reply") };
    assert!(delta.nodes.is_empty() && wants.lines.is_empty(), "nothing is told twice");
    let (b, c) = pair(&mut nodes, 1, 2);
    exchange(c, b, START);
    assert_eq!(c.value(id(0), Key::LOAD), Some(&b"low"[..]), "what a told b");
    assert_eq!(c.value(id(1), Key(999)), Some(&b"a key of the future"[..]));
}

#[test]
fn a_changed_value_replaces_the_old_one_and_is_told_as_a_change() {
    let mut nodes = company(2, 1);
    let (a, b) = pair(&mut nodes, 0, 1);
    for text in [&b"one"[..], b"two", b""] {
        a.set(Key::HINTS, text).unwrap();
        a.set(Key::HINTS, text).unwrap();
        let Some(reply) = a.receive(&b.open(START), START).reply else { panic!("a reply") };
        let changes = b.receive(&reply, START).changes;
        assert_eq!(changes.iter().map(|change| (change.node, change.key)).collect::<Vec<_>>(), [(id(0), Key::HINTS)]);
        assert_eq!(b.value(id(0), Key::HINTS), Some(text));
    }
}

#[test]
fn a_gap_is_not_jumped() {
    let mut nodes = company(2, 1);
    let entry = |version| Entry { key: Key::LOAD, version, value: (&b"x"[..]).into() };
    let news = |since, entries| NodeDelta { node: id(1), incarnation: Incarnation(1), heartbeat: 1, since, entries };
    let apply = |node: &mut Membership, news| node.apply(&Delta { nodes: vec![news] }, START).len();
    assert_eq!(apply(&mut nodes[0], news(3, vec![entry(4)])), 0);
    assert_eq!(nodes[0].value(id(1), Key::LOAD), None);
    assert_eq!(apply(&mut nodes[0], news(0, vec![entry(4)])), 1);
    assert_eq!(apply(&mut nodes[0], news(0, vec![entry(4), entry(3)])), 0, "known already");
    assert_eq!(apply(&mut nodes[0], news(4, vec![entry(5)])), 1);
}

#[test]
fn a_newer_life_replaces_the_older_one_and_is_never_replaced_by_it() {
    let mut nodes = company(3, 1);
    nodes[1].set(Key::LOAD, b"old").unwrap();
    let (a, b) = pair(&mut nodes, 0, 1);
    exchange(a, b, START);
    let mut again = node(1, 2, START);
    again.set_members(&members(3, 1), &[], START);
    again.set(Key::EPOCH, b"new").unwrap();
    exchange(&mut nodes[0], &mut again, START);
    let (a, b) = pair(&mut nodes, 0, 1);
    for _ in 0..2 {
        assert_eq!((a.value(id(1), Key::LOAD), a.value(id(1), Key::EPOCH)), (None, Some(&b"new"[..])));
        assert_eq!(a.incarnation(id(1)), Some(Incarnation(2)));
        exchange(b, a, START);
    }
    assert_eq!(b.twin(), Some(Incarnation(2)), "the old process hears that it was replaced");
    assert_eq!(again.twin(), None);
}

#[test]
fn whoever_is_removed_is_never_heard_again() {
    let mut nodes = company(3, 1);
    let rest = members(3, 1)[..2].to_vec();
    nodes[0].set_members(&rest, &[id(2)], START);
    nodes[0].set_members(&members(3, 1)[..2], &[], START);
    hear(&mut nodes[0], &[line(2, 9, 9)], START);
    let (a, c) = pair(&mut nodes, 0, 2);
    c.set(Key::CANDIDATE, b"let me in").unwrap();
    exchange(a, c, START);
    assert_eq!((a.incarnation(id(2)), a.candidates(START).count()), (None, 0));
    assert!(a.digest(START).lines.iter().all(|line| line.node != id(2)));
}

#[test]
fn strangers_are_no_members_and_a_candidate_is_known_for_as_long_as_it_is_heard() {
    let mut nodes = company(3, 1);
    let mut stranger = node(7, 1, START);
    stranger.tick(START);
    stranger.set(Key::CANDIDATE, b"zone-1").unwrap();
    exchange(&mut stranger, &mut nodes[0], START);
    let (a, b) = pair(&mut nodes, 0, 1);
    exchange(a, b, START);
    assert_eq!(b.candidates(START).collect::<Vec<_>>(), [(id(7), &b"zone-1"[..])]);
    assert_eq!(b.standing(id(7), 10 * MINUTE), Standing::Up, "nobody accuses a stranger");

    // Two that have heard it at different times do not keep the memory of it alive between them.
    for second in 1..=300 {
        let now = second * INTERVAL;
        exchange(a, b, now);
        a.tick(now);
        b.tick(now);
        let is_shown = a.candidates(now).count() == 1;
        assert_eq!(is_shown, now <= STRANGER_TTL, "{now:?}");
        assert_eq!(a.incarnation(id(7)).is_some(), now <= 2 * STRANGER_TTL, "{now:?}");
    }
    for number in 100..400 {
        hear(a, &[line(number, 1, 1)], START);
    }
    assert_eq!(a.digest(300 * INTERVAL).lines.len(), 3);
    assert_eq!(a.digest(START).lines.len(), 3 + crate::membership::MAX_STRANGERS);
}

#[test]
fn down_takes_two_accusers_in_two_zones() {
    // Zones by number: 0, 1, 2, 0, 1, 2.
    let mut nodes = company(6, 3);
    let mut now = START;
    let (silent, far) = (3, 5);
    for beat in 2..40 {
        now += INTERVAL;
        let lines: Vec<Line> = (1..6).filter(|number| *number != silent).map(|number| line(number, 1, beat)).collect();
        hear(&mut nodes[0], &lines, now);
        nodes[0].tick(now);
    }
    assert!(nodes[0].phi(id(silent), now) > 10.0 && nodes[0].phi(id(far), now) < 1.0);
    let suspected = |accusers: &[usize]| {
        let mut accusers: Vec<NodeId> = accusers.iter().copied().map(id).collect();
        accusers.sort();
        accusers
    };
    assert_eq!(nodes[0].standing(id(silent), now), Standing::Suspected(suspected(&[0])));
    // A second accuser, and a third of another zone.
    let accuse = |by: usize, heartbeat: u64| {
        let value = postcard::to_allocvec(&vec![(id(silent), Incarnation(0), heartbeat)]).unwrap();
        let entries = vec![Entry { key: Key::SUSPECTS, version: 1, value: value.into() }];
        Delta { nodes: vec![NodeDelta { node: id(by), incarnation: Incarnation(1), heartbeat: 1, since: 0, entries }] }
    };
    let mut same_zone = members(6, 3);
    same_zone[1].zone = "zone-0".to_owned();
    nodes[0].set_members(&same_zone, &[], now);
    nodes[0].apply(&accuse(1, 0), now);
    assert_eq!(nodes[0].standing(id(silent), now), Standing::Suspected(suspected(&[0, 1])), "one zone");
    nodes[0].apply(&accuse(2, 0), now);
    assert_eq!(nodes[0].standing(id(silent), now), Standing::Down(suspected(&[0, 1, 2])));
    assert_eq!(nodes[0].down(now).len(), 1);
    // A later life makes all of that void at once.
    hear(&mut nodes[0], &[line(silent, 1, 1)], now);
    assert_eq!(nodes[0].standing(id(silent), now), Standing::Up);
    assert!(nodes[0].is_reachable(id(silent), now) && nodes[0].down(now).is_empty());
}

#[test]
fn a_heartbeat_or_a_new_life_refutes_those_who_have_not_heard_it() {
    for news in [line(3, 1, 9), line(3, 2, 1)] {
        let mut nodes = company(4, 1);
        hear(&mut nodes[0], &[line(3, 1, 8)], START);
        for (by, heartbeat) in [(1, 7), (2, 8)] {
            let value = postcard::to_allocvec(&vec![(id(3), Incarnation(1), heartbeat as u64)]).unwrap();
            let entries = vec![Entry { key: Key::SUSPECTS, version: 1, value: value.into() }];
            let news = NodeDelta { node: id(by), incarnation: Incarnation(1), heartbeat: 1, since: 0, entries };
            nodes[0].apply(&Delta { nodes: vec![news] }, START);
        }
        assert_eq!(nodes[0].standing(id(3), START), Standing::Suspected(vec![id(2)]));
        hear(&mut nodes[0], &[news], START);
        assert_eq!(nodes[0].standing(id(3), START), Standing::Up);
    }
}

#[test]
fn the_last_one_judges_alone() {
    let mut nodes = company(3, 3);
    let late = 20 * INTERVAL;
    for second in 1..=20 {
        nodes[0].tick(second * INTERVAL);
    }
    assert_eq!(nodes[0].standing(id(1), late), Standing::Down(vec![id(0)]));
    assert_eq!(nodes[0].standing(id(0), late), Standing::Up);
    let mut alone = node(0, 1, START);
    alone.set_members(&members(1, 1), &[], START);
    alone.tick(late);
    assert!(alone.down(late).is_empty());
}

#[test]
fn a_closed_connection_reroutes_at_once_and_accuses_nobody() {
    let mut nodes = company(3, 1);
    let now = INTERVAL;
    hear(&mut nodes[0], &[line(1, 1, 2)], now);
    assert!(nodes[0].is_reachable(id(1), now));
    nodes[0].connection_closed(id(1));
    nodes[0].tick(now);
    assert!(!nodes[0].is_reachable(id(1), now));
    assert_eq!(nodes[0].standing(id(1), now), Standing::Up);
    // Its silence is judged sooner than that of another.
    let later = now + 3 * INTERVAL;
    hear(&mut nodes[0], &[line(2, 1, 2)], now);
    nodes[0].tick(later);
    assert!((3.0..10.0).contains(&nodes[0].phi(id(1), later)));
    assert_eq!(nodes[0].standing(id(1), later), Standing::Suspected(vec![id(0)]));
    assert_eq!(nodes[0].standing(id(2), later), Standing::Up);
    nodes[0].connection_opened(id(1));
    assert!(nodes[0].is_reachable(id(1), later));
}

#[test]
fn the_word_of_a_node_that_is_silent_itself_counts_no_more() {
    let mut nodes = company(4, 1);
    let value = postcard::to_allocvec(&vec![(id(3), Incarnation(0), 0_u64)]).unwrap();
    let entries = vec![Entry { key: Key::SUSPECTS, version: 1, value: value.into() }];
    let news = NodeDelta { node: id(1), incarnation: Incarnation(1), heartbeat: 1, since: 0, entries };
    nodes[0].apply(&Delta { nodes: vec![news] }, START);
    assert_eq!(nodes[0].standing(id(3), START), Standing::Suspected(vec![id(1)]));
    assert_eq!(nodes[0].standing(id(3), MINUTE), Standing::Up, "this node has not judged yet, and 1 is silent");
}

#[test]
fn a_node_that_slept_blames_nobody() {
    let mut cluster = Cluster::new(5, 3, JITTERY);
    cluster.run(20 * INTERVAL);
    let now = cluster.now + MINUTE;
    cluster.nodes[0].tick(now);
    assert!(cluster.nodes[0].is_reachable(id(1), now) && cluster.nodes[0].down(now).is_empty());
    assert!(cluster.nodes[1].phi(id(2), now) > 100.0, "without the excuse");
}

#[test]
fn news_by_way_of_others_keep_a_node_up() {
    let mut cluster = Cluster::new(6, 4, JITTERY);
    cluster.cut(0, 1);
    for _ in 0..120 {
        cluster.run(INTERVAL);
        assert!(cluster.is_well() && cluster.false_alarms() == 0, "at {:?}", cluster.now);
    }
}

#[test]
fn a_partition_heals() {
    let mut cluster = Cluster::new(7, 20, JITTERY);
    cluster.run(20 * INTERVAL);
    cluster.split(|number| usize::from(number >= 10));
    let split = cluster.run_until(MINUTE, |cluster| {
        (0..10).all(|target| cluster.is_down_for_all(target, 1) && cluster.is_down_for_all(target + 10, 0))
    });
    cluster.run(2 * MINUTE);
    cluster.split(|_| 0);
    let healed = cluster.run_until(MINUTE, Cluster::is_well);
    println!("20 nodes in halves: the other half is down after {split:.1} s, all are up {healed:.1} s after the heal");
    assert!(split < 15.0 && healed < 10.0);
}

#[test]
fn a_node_in_a_new_life_is_up_at_once() {
    let mut cluster = Cluster::new(8, 20, JITTERY);
    cluster.run(20 * INTERVAL);
    cluster.kill(4);
    cluster.close_connections(4);
    cluster.run_until(MINUTE, |cluster| cluster.is_down_for_all(4, 0));
    cluster.restart(4, 2);
    let up = cluster.run_until(MINUTE, Cluster::is_well);
    println!("20 nodes: up everywhere {up:.1} s after its restart");
    assert!(up < 4.0 && cluster.nodes[0].is_reachable(id(4), cluster.now));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut cluster = Cluster::new(9, 10, JITTERY);
        cluster.run(20 * INTERVAL);
        cluster.kill(3);
        cluster.run(20 * INTERVAL);
        (cluster.messages, cluster.bytes, format!("{:?}", cluster.nodes))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_cut_is_bounded_and_fair() {
    let count = 40;
    let mut nodes = company(count, 1);
    for (number, node) in nodes.iter_mut().enumerate() {
        let keys = if number == 0 { 40 } else { 2 };
        for key in 0..keys {
            node.set(Key::floors(key), &vec![number as u8; 1000]).unwrap();
        }
    }
    // 0 tells much, and has learned all that the others tell.
    for other in 1..count {
        let (teller, other) = pair(&mut nodes, 0, other);
        exchange(teller, other, START);
    }
    let mut novice = node(99, 1, START);
    let known = |node: &Membership| (0..count).filter(|n| node.value(id(*n), Key::floors(1)).is_some()).count();
    exchange(&mut novice, &mut nodes[0], START);
    assert!(known(&novice) >= 20, "after one message {}", known(&novice));
    let mut messages = 1;
    while novice.value(id(0), Key::floors(39)).is_none() || known(&novice) < count {
        nodes[0].tick(START);
        exchange(&mut novice, &mut nodes[0], START);
        messages += 1;
    }
    assert!(messages <= 4, "{messages} messages for 118 KB");
}

#[test]
fn a_digest_too_long_for_a_message_shows_all_in_turn() {
    let count = 2500;
    let mut one = node(0, 1, START);
    one.set_members(&members(count, 1), &[], START);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        one.tick(START);
        let digest = one.digest(START);
        assert!(!digest.is_whole && Message::Open(digest.clone()).bytes() <= MAX_MESSAGE_BYTES);
        seen.extend(digest.lines.iter().map(|line| line.node));
    }
    assert_eq!(seen.len(), count);
}

#[test]
fn a_reply_is_bounded_whatever_is_asked() {
    let count = 2500;
    let mut one = node(0, 1, START);
    one.set_members(&members(count, 1), &[], START);
    let far: Vec<Line> = (1..count).map(|number| line(number, 1, u64::MAX)).collect();
    hear(&mut one, &far, START);
    let ahead = (1..count).map(|number| Line { version: 1, ..line(number, 1, 0) }).collect();
    let open = Message::Open(Digest { is_whole: false, lines: ahead });
    let Some(reply) = one.receive(&open, START).reply else { panic!("a reply") };
    assert!(reply.bytes() <= MAX_MESSAGE_BYTES && reply.encode().len() <= MAX_MESSAGE_BYTES);
}

#[test]
fn what_a_node_tells_has_limits() {
    let mut one = node(0, 1, START);
    let long = vec![1; MAX_VALUE_BYTES + 1];
    assert_eq!(one.set(Key::LOAD, &long), Err(NoRoom { key: Key::LOAD, bytes: long.len() }));
    let parts = MAX_STATE_BYTES / MAX_VALUE_BYTES;
    (0..parts).for_each(|part| one.set(Key::floors(part as u8), &long[1..]).unwrap());
    assert!(one.set(Key::LOAD, b"x").is_err());
    assert!(one.set(Key::floors(0), &vec![2; MAX_VALUE_BYTES]).is_ok(), "in the place of the old one");
    let mut many = node(0, 1, START);
    (0..MAX_KEYS).for_each(|key| many.set(Key(key as u16), b"x").unwrap());
    assert!(many.set(Key(MAX_KEYS as u16), b"x").is_err());
    // The same limits hold for what others tell.
    let mut other = node(1, 1, START);
    let entries =
        (0..=MAX_KEYS as u64).map(|key| Entry { key: Key(key as u16), version: key + 1, value: [1][..].into() });
    let news =
        NodeDelta { node: id(0), incarnation: Incarnation(1), heartbeat: 1, since: 0, entries: entries.collect() };
    assert_eq!(other.apply(&Delta { nodes: vec![news] }, START).len(), MAX_KEYS);
}

#[test]
fn a_round_has_distinct_live_peers_sometimes_a_dead_one_and_a_seed_for_whoever_is_alone() {
    let mut nodes = company(6, 1);
    let one = &mut nodes[0];
    one.connection_closed(id(5));
    let (mut dead, mut seeds) = (0, 0);
    for number in 0..600u64 {
        let numbers = std::array::from_fn(|place| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 + 2 * place as u64));
        let Round { peers, seed } = one.round(&numbers, 1, START);
        let distinct: std::collections::BTreeSet<_> = peers.iter().collect();
        assert!(distinct.len() == peers.len() && !peers.contains(&id(0)));
        assert_eq!(peers[..FAN_OUT].iter().filter(|peer| **peer == id(5)).count(), 0);
        dead += usize::from(peers.contains(&id(5)));
        seeds += usize::from(seed.is_some());
    }
    assert!((60..150).contains(&dead) && (60..150).contains(&seeds), "{dead} {seeds} of 600");
    let alone = node(0, 1, START);
    let far = [u64::MAX; FAN_OUT + 2];
    assert_eq!(alone.round(&far, 3, START), Round { peers: Vec::new(), seed: Some(2) });
    assert_eq!(alone.round(&far, 0, START), Round { peers: Vec::new(), seed: None });
    (1..6).for_each(|number| nodes[0].connection_closed(id(number)));
    assert_eq!(nodes[0].round(&far, 0, START).peers.len(), 1, "one of the dead if there are no others");
}

#[test]
fn messages_that_are_none_are_refused() {
    assert_eq!(Message::decode(&vec![0; MAX_MESSAGE_BYTES + 1]), Err(MessageError::Long(MAX_MESSAGE_BYTES + 1)));
    let bytes = Message::Open(Digest::default()).encode();
    assert_eq!(Message::decode(&[&bytes[..], &[0]].concat()), Err(MessageError::Malformed));
    let long = Entry { key: Key::LOAD, version: 1, value: vec![0; MAX_VALUE_BYTES + 1].into() };
    let news = NodeDelta { node: id(1), incarnation: Incarnation(1), heartbeat: 1, since: 0, entries: vec![long] };
    let bytes = Message::Close(Delta { nodes: vec![news] }).encode();
    assert_eq!(Message::decode(&bytes), Err(MessageError::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_received_or_refused(tag in 0u8..4, bytes in vec(any::<u8>(), 0..120), damage in 0usize..200) {
        let mut one = node(0, 1, START);
        one.set_members(&members(3, 1), &[], START);
        let mut near = one.open(START).encode();
        if let Some(byte) = near.get_mut(damage) {
            *byte ^= 1 + tag;
        }
        for bytes in [[&[tag], &bytes[..]].concat(), near] {
            if let Ok(message) = Message::decode(&bytes) {
                let reply = one.receive(&message, START).reply;
                one.tick(INTERVAL);
                prop_assert!(reply.is_none_or(|reply| reply.encode().len() <= MAX_MESSAGE_BYTES));
            }
        }
    }
}
