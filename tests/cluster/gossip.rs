//! Gossip between nodes when the network splits, and when a node dies and begins a new life.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus::causality::{Hlc, Time};
use annulus::gossip::{Around, Disk, Event, Gossip, Measured, Owner, Parts};
use annulus::ledger::Secret;
use annulus::membership::Standing;
use annulus::peer::{self, Acceptor, Identity, Incoming, Local, Options, Peers, Remote, Response, ResponseFuture};
use annulus::ring::{Candidate, Topology};
use annulus::types::{ArcLayout, ClusterId, Epoch, Incarnation, NodeId};
use annulus::wire::Request;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::machine::Death;
use crate::world::{Events, Host, World};

const PORT: u16 = 16_379;
const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 3] = ["one", "two", "three"];

/// Where the nodes are: known when all hosts have their addresses, which is before any of them runs.
type Addresses = Rc<RefCell<Vec<SocketAddr>>>;

fn id(index: usize) -> NodeId {
    NodeId([index as u8 + 1; 20])
}

fn topology(addresses: &[SocketAddr]) -> Topology {
    let candidate = |(index, peer): (usize, &SocketAddr)| Candidate {
        id: id(index),
        name: NAMES[index].into(),
        dc: "dc".into(),
        zone: NAMES[index].into(),
        weight: 100,
        peer: *peer,
        clients: SocketAddr::new(peer.ip(), 6379),
        http: None,
    };
    let candidates = addresses.iter().enumerate().map(candidate).collect();
    Topology::found(ClusterId([1; 20]), ArcLayout::new(256).unwrap(), 3, candidates).unwrap()
}

/// Tells the others how many bytes it has, and keeps what gossip says.
#[derive(Default)]
struct Noting {
    used_bytes: u64,
    events: Mutex<Vec<Event>>,
}

impl Owner for Noting {
    fn measure(&self) -> Measured {
        Measured { disk: Some(Disk { used_bytes: self.used_bytes, free_bytes: 0 }), ..Measured::default() }
    }

    fn is_behind(&self, node: NodeId) {
        unreachable!("{node} goes by the same topology");
    }

    fn note(&self, event: &Event) {
        self.events.lock().push(event.clone());
    }
}

/// Serves gossip and nothing else.
struct Serving(Arc<Gossip>);

impl peer::Service for Serving {
    fn admit(&self, _from: &Remote) -> Result<(), String> {
        Ok(())
    }

    fn serve(&self, request: Incoming) -> ResponseFuture<'_> {
        let Ok(Request::Cold { bytes, .. }) = Request::decode(&request.frame) else { panic!("only gossip is served") };
        let message = self.0.answer(bytes).unwrap();
        Box::pin(async move { Response { message, epoch: Epoch(1), time: Time(1) } })
    }
}

/// Node `index` in its life `life`: its connections and its gossip, for as long as its host lives.
async fn gossiping(host: Host, (index, life): (usize, u64), addresses: Addresses) {
    let env = host.life.env.clone();
    let addresses = addresses.borrow().clone();
    let topology = topology(&addresses);
    let owner = Noting { used_bytes: life * 100, ..Noting::default() };
    let hlc = Arc::new(Hlc::new(Time(1)));
    let parts = Parts { me: id(index), incarnation: Incarnation(life), env: env.clone(), hlc };
    let gossip = Arc::new(Gossip::new(parts));
    let identity =
        Identity { node: id(index), cluster: Some(topology.cluster()), secret: Secret([1; 32]), door: Secret([2; 32]) };
    let (local, observing) = (Arc::new(Local::new(identity)), Arc::clone(&gossip));
    let peers = Peers::new(peer::Parts {
        net: Arc::clone(&env.net),
        random: Arc::clone(&env.random),
        local: Arc::clone(&local),
        options: Options::default(),
        observer: Arc::new(move |event: &peer::Event| observing.observe(event)),
    });
    let listener = env.net.listen(addresses[index]).await.unwrap();
    let service = Rc::new(Serving(Arc::clone(&gossip)));
    let acceptor = Rc::new(Acceptor::new(service, local, Arc::clone(&env.random), Options::default()));
    peers.keep(&topology.members().iter().map(|member| (member.id, member.peer)).collect());
    let (stopping, changes) = (CancellationToken::new(), watch::Sender::new(Arc::new(topology)));
    let around = Around { owner: &owner, peers: &peers, topologies: changes.subscribe() };
    tokio::join!(
        acceptor.run(listener, stopping.clone()),
        gossip.run(around, stopping),
        noting(&host, &gossip, &owner)
    );
}

/// Notes what gossip says, and every change of what it shows.
async fn noting(host: &Host, gossip: &Gossip, owner: &Noting) {
    let name = |node: NodeId| NAMES[usize::from(node.0[0]) - 1];
    let names = |nodes: &[NodeId]| nodes.iter().map(|node| name(*node)).collect::<Vec<_>>().join("+");
    let mut shown = [const { String::new() }; NAMES.len()];
    loop {
        for event in owner.events.lock().drain(..) {
            match event {
                Event::Down { node, accusers } => {
                    host.note(&format!("says {} down by {}", name(node), names(&accusers)))
                }
                Event::Back { node } => host.note(&format!("says {} back", name(node))),
                Event::Twin { .. } => host.note("says twin"),
            }
        }
        let view = gossip.view();
        for ((node, known), shown) in view.nodes().zip(&mut shown) {
            let standing = match &known.standing {
                Standing::Up => "up".into(),
                Standing::Suspected(by) => format!("suspected by {}", names(by)),
                Standing::Down(by) => format!("down by {}", names(by)),
            };
            let used = known.told.disk.map_or(0, |disk| disk.used_bytes);
            let (life, reach) =
                (known.incarnation.map_or(0, |life| life.0), if known.is_reachable { "in" } else { "out of" });
            let now = format!("sees {} {standing}, {reach} reach, life {life}, used {used}", name(node));
            if now != *shown {
                host.note(&now);
                *shown = now;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Three nodes that know each other.
fn three_nodes(seed: u64) -> World {
    let mut world = World::new(seed);
    let addresses = Addresses::default();
    for (index, name) in NAMES.into_iter().enumerate() {
        let (lives, known) = (Cell::new(0), Rc::clone(&addresses));
        world.host(name, move |host| {
            lives.set(lives.get() + 1);
            gossiping(host, (index, lives.get()), Rc::clone(&known))
        });
    }
    *addresses.borrow_mut() = NAMES.map(|name| world.address(name, PORT)).to_vec();
    let sees = |events: &Events, by: &str, node: &str| {
        events.count(by, &format!("sees {node} up, in reach, life 1, used 100")) > 0
    };
    world.until(3 * SECOND, |events| NAMES.iter().all(|by| NAMES.iter().all(|node| sees(events, by, node))));
    world
}

fn cut_off_three(world: &mut World) {
    world.partition("one", "three");
    world.partition("two", "three");
}

fn heal_three(world: &mut World) {
    world.heal("one", "three");
    world.heal("two", "three");
}

#[test]
fn a_node_that_nobody_hears_is_down_by_two_and_back_after_the_heal() {
    let mut world = three_nodes(1);
    world.pass(20 * SECOND);
    assert_eq!(NAMES.map(|name| world.events.count(name, "says")), [0; 3], "{}", world.events.text());
    cut_off_three(&mut world);
    let both_say =
        |what: &'static str| move |events: &Events| ["one", "two"].iter().all(|by| events.count(by, what) == 1);
    let took = world.until(10 * SECOND, both_say("says three down by one+two"));
    assert!(took > 2 * SECOND, "{took:?}");
    world.pass(20 * SECOND);
    let silence = |world: &World| ["one", "two"].map(|by| world.events.count(by, "says"));
    assert_eq!(silence(&world), [1, 1], "said once: {}", world.events.text());
    // Alone it has nobody to ask: its own word counts for itself.
    assert_eq!(world.events.count("three", "says one down by three"), 1, "{}", world.events.text());
    heal_three(&mut world);
    // An attempt to connect under way runs into its timeout (3 s), then the longest pause (5 s) may follow.
    world.until(12 * SECOND, both_say("says three back"));
    world.until(12 * SECOND, |events| events.count("three", "back") == 2);
    world.pass(20 * SECOND);
    assert_eq!(silence(&world), [2, 2], "{}", world.events.text());
}

#[test]
fn a_node_that_only_another_hears_is_out_of_reach_but_not_down() {
    let mut world = three_nodes(2);
    world.partition("one", "three");
    world.until(6 * SECOND, |events| events.count("one", "sees three up, out of reach, life 1") > 0);
    world.pass(60 * SECOND);
    assert_eq!(NAMES.map(|name| world.events.count(name, "says")), [0; 3], "{}", world.events.text());
    assert_eq!(world.events.count("one", "sees three suspected"), 0, "{}", world.events.text());
    assert_eq!(world.events.count("two", "out of reach, life 1"), 0, "{}", world.events.text());
}

#[test]
fn a_new_life_is_seen_at_once_however_the_old_one_ended() {
    let mut world = three_nodes(3);
    // In the middle between two rounds.
    world.pass(SECOND / 2);
    world.crash("three", Death::Kill);
    let lost = "sees three up, out of reach, life 1";
    let reroutes = world.until(SECOND, |events| events.count("one", lost) == 1 && events.count("two", lost) == 1);
    assert!(reroutes < Duration::from_millis(100), "{reroutes:?}");
    world.until(10 * SECOND, |events| events.count("one", "says three down by one+two") == 1);
    world.restart("three");
    let back = |events: &Events| {
        ["one", "two"].iter().all(|by| {
            events.count(by, "says three back") == 1
                && events.count(by, "sees three up, in reach, life 2, used 200") == 1
        })
    };
    // The longest pause before connecting again is 5 s.
    world.until(8 * SECOND, back);
    assert_eq!(world.events.count("three", "twin"), 0, "{}", world.events.text());
}

#[test]
fn a_quick_restart_is_no_failure() {
    let mut world = three_nodes(4);
    world.crash("three", Death::Kill);
    world.pass(SECOND / 2);
    world.restart("three");
    world.until(6 * SECOND, |events| events.count("one", "sees three up, in reach, life 2, used 200") == 1);
    assert_eq!(NAMES.map(|name| world.events.count(name, "says")), [0; 3], "{}", world.events.text());
}

#[test]
fn the_same_seed_gives_the_same_gossip() {
    let run = |seed| {
        let mut world = three_nodes(seed);
        cut_off_three(&mut world);
        world.pass(12 * SECOND);
        heal_three(&mut world);
        world.pass(12 * SECOND);
        (world.events.digest(), world.events.text())
    };
    let (first, again) = (run(11), run(11));
    assert_eq!(first, again);
    assert_ne!(first.0, run(12).0);
}
