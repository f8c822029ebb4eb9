//! Connections between nodes when the network splits, slows down, or loses a host.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus::causality::Time;
use annulus::ledger::Secret;
use annulus::peer::{
    Acceptor, CallError, Event, Identity, Incoming, Local, Options, Parts, Peer, Remote, Response, ResponseFuture,
    Service, Target, Terms,
};
use annulus::types::{ClusterId, Epoch, NodeId};
use annulus::wire::Message;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::machine::Death;
use crate::world::{Host, World};

const PORT: u16 = 16_379;
const SECOND: Duration = Duration::from_secs(1);

struct Echo;

impl Service for Echo {
    fn admit(&self, _from: &Remote) -> Result<(), String> {
        Ok(())
    }

    fn serve(&self, _request: Incoming) -> ResponseFuture<'_> {
        Box::pin(async { Response { message: Message::cold_answer(0, b""), epoch: Epoch(1), time: Time(1) } })
    }
}

fn local(number: u8) -> Arc<Local> {
    let cluster = Some(ClusterId([1; 20]));
    let (secret, door) = (Secret([1; 32]), Secret([2; 32]));
    Arc::new(Local::new(Identity { node: NodeId([number; 20]), cluster, secret, door }))
}

/// Answers whatever is asked.
async fn answerer(host: Host) {
    host.note("started");
    let listener = host.life.env.net.listen(SocketAddr::from(([0, 0, 0, 0], PORT))).await.unwrap();
    let acceptor = Acceptor::new(Rc::new(Echo), local(2), Arc::clone(&host.life.env.random), Options::default());
    Rc::new(acceptor).run(listener, tokio_util::sync::CancellationToken::new()).await;
}

/// Asks node 2 every 50 ms, and notes what changes.
async fn asker(host: Host, address: SocketAddr) {
    let changes = Arc::<Mutex<Vec<Event>>>::default();
    let sink = Arc::clone(&changes);
    let parts = Parts {
        net: Arc::clone(&host.life.env.net),
        random: Arc::clone(&host.life.env.random),
        local: local(1),
        options: Options::default(),
        observer: Arc::new(move |event: &Event| sink.lock().push(event.clone())),
    };
    let peer = Peer::start(parts, Target { node: Some(NodeId([2; 20])), address });
    let mut last = String::new();
    loop {
        let now = Instant::now();
        let terms = Terms { epoch: Epoch(1), time: Time(1), now, deadline: now + Duration::from_millis(200) };
        let answer = match peer.call(&Message::cold(0, b"are you there?"), &terms) {
            Ok(call) => call.await.map(|_| ()),
            Err(error) => Err(error),
        };
        for event in changes.lock().drain(..) {
            host.note(if matches!(event, Event::Connected(_)) { "connected" } else { "disconnected" });
        }
        let outcome = match answer {
            Ok(()) => "answered".to_owned(),
            Err(error @ CallError::Closed { may_have_left }) => format!("{error}, may have left: {may_have_left}"),
            Err(error) => error.to_string(),
        };
        if outcome != last {
            host.note(&outcome);
            last = outcome;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Two hosts, the first asking the second, once the first answer is there.
fn two_hosts(seed: u64) -> World {
    let mut world = World::new(seed);
    world.host("two", answerer);
    let address = world.address("two", PORT);
    world.host("one", move |host| asker(host, address));
    world.until(2 * SECOND, |events| events.count("one", "answered") == 1);
    world
}

#[test]
fn a_partition_is_noticed_and_healed() {
    let mut world = two_hosts(1);
    world.partition("one", "two");
    world.until(SECOND, |events| events.count("one", "did not answer in time") == 1);
    world.until(5 * SECOND, |events| events.count("one", "is not connected") == 1);
    world.pass(30 * SECOND);
    assert_eq!(world.events.count("one", "answered"), 1, "{}", world.events.text());
    world.heal("one", "two");
    // An attempt under way runs into its timeout (3 s), then the longest pause (5 s) may follow.
    world.until(10 * SECOND, |events| events.count("one", "answered") == 2);
}

#[test]
fn a_partition_shorter_than_the_patience_for_silence_costs_one_connection_at_most() {
    let mut world = two_hosts(2);
    world.partition("one", "two");
    world.pass(SECOND);
    world.heal("one", "two");
    world.until(12 * SECOND, |events| events.count("one", "answered") == 2);
    assert!(world.events.count("one", ": connected") <= 2, "{}", world.events.text());
}

#[test]
fn a_slow_network_costs_answers_but_no_connection() {
    let mut world = two_hosts(3);
    world.delay("one", "two", Duration::from_millis(150));
    world.until(2 * SECOND, |events| events.count("one", "did not answer in time") == 1);
    world.pass(20 * SECOND);
    assert_eq!(world.events.count("one", "disconnected"), 0, "{}", world.events.text());
    world.delay("one", "two", Duration::from_millis(50));
    world.until(2 * SECOND, |events| events.count("one", "answered") == 2);
}

#[test]
fn a_host_that_crashes_is_noticed_at_once_and_found_again() {
    let mut world = two_hosts(4);
    world.crash("two", Death::Kill);
    let noticed = world.until(SECOND, |events| events.count("one", "disconnected") == 1);
    assert!(noticed < Duration::from_millis(100), "noticed after {noticed:?}");
    world.pass(20 * SECOND);
    world.restart("two");
    world.until(9 * SECOND, |events| events.count("one", "answered") == 2);
    assert_eq!(world.events.count("two", "started"), 2);
}

#[test]
fn a_host_that_is_told_nothing_of_a_crash_finds_out_by_itself() {
    let mut world = two_hosts(5);
    // What the dying host sends to close its connections is lost.
    world.partition("one", "two");
    world.crash("two", Death::Power);
    world.heal("one", "two");
    world.restart("two");
    world.until(9 * SECOND, |events| events.count("one", "answered") == 2);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = two_hosts(seed);
        world.partition("one", "two");
        world.pass(7 * SECOND);
        world.heal("one", "two");
        world.pass(7 * SECOND);
        world.crash("two", Death::Power);
        world.pass(3 * SECOND);
        world.restart("two");
        world.pass(9 * SECOND);
        (world.events.digest(), world.events.text())
    };
    let (first, again) = (run(11), run(11));
    assert_eq!(first, again);
    assert!(first.1.lines().count() > 8, "{}", first.1);
    assert_ne!(first.0, run(12).0);
}
