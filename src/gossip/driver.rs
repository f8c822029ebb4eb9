//! Shuttles between the core and the other nodes: a round each second, what they say, connections, the topology.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::causality::Hlc;
use crate::env::Env;
use crate::gossip::publish::State;
use crate::gossip::stats::Stats;
use crate::gossip::told;
use crate::gossip::{Figures, Measured, Owner, TOPIC, View};
use crate::membership::{Change, FAN_OUT, Key, Message, NoRoom, Numbers};
use crate::peer::{self, Peer, Peers, Terms};
use crate::ring::Topology;
use crate::types::{Incarnation, NodeId};
use crate::wire;

/// Time between two rounds; each is up to a tenth later, so that nodes do not fall into step.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rounds from one measurement of this node to the next.
const MEASURE_ROUNDS: u64 = 5;

/// Whom an exchange is with, and that it may end without an answer, is the exchange's own business.
type Exchange<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a [`Gossip`] is made of.
pub struct Parts {
    /// This node.
    pub me: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The machine.
    pub env: Env,
    /// The node's clock, which every message shows.
    pub hlc: Arc<Hlc>,
}

/// What gossip goes on between.
pub struct Around<'a> {
    /// The node that is spoken for.
    pub owner: &'a dyn Owner,
    /// The connections to the others.
    pub peers: &'a Peers,
    /// The topology and its changes.
    pub topologies: watch::Receiver<Arc<Topology>>,
}

/// This node's part in gossip.
pub struct Gossip {
    env: Env,
    hlc: Arc<Hlc>,
    started: Instant,

    stats: Stats,
    pub(super) view: ArcSwap<View>,
    /// Something has changed that is to be shown before the next round.
    changed: Notify,

    pub(super) state: Mutex<State>,
}

impl Gossip {
    /// A node that knows nobody until [`Gossip::set_topology`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { me, incarnation, env, hlc } = parts;
        let options = crate::membership::Options { me, incarnation, interval: INTERVAL };
        Gossip {
            env,
            hlc,
            started: Instant::now(),
            stats: Stats::default(),
            view: ArcSwap::default(),
            changed: Notify::new(),
            state: Mutex::new(State::new(options)),
        }
    }

    /// Talks to the others until `stopping`; must run on the runtime that serves the connections, once.
    pub async fn run(&self, around: Around<'_>, stopping: CancellationToken) {
        let Around { owner, peers, mut topologies } = around;
        self.set_topology(&topologies.borrow_and_update().clone());
        let mut exchanges = FuturesUnordered::<Exchange<'_>>::new();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = sleep_until(next) => {
                    let late = self.env.random.next_u64() % (INTERVAL.as_nanos() as u64 / 10);
                    next = Instant::now() + INTERVAL + Duration::from_nanos(late);
                    exchanges.extend(self.begin_round(owner, peers));
                    self.publish(owner);
                }
                Ok(()) = topologies.changed() => self.set_topology(&topologies.borrow_and_update().clone()),
                () = self.changed.notified() => self.publish(owner),
                Some(()) = exchanges.next() => (),
            }
        }
    }

    /// Answers the bytes of a cold message of [`TOPIC`], from a node that has proved to be of this cluster; nothing if they
    /// are no request of gossip.
    #[must_use]
    pub fn answer(&self, bytes: &[u8]) -> Option<wire::Message> {
        let message = match self.read(bytes)? {
            Message::Reply { .. } => return self.unreadable(),
            request => request,
        };
        let reply = self.receive(&message);
        let bytes = reply.map_or_else(Vec::new, |reply| self.write(&reply));
        Some(wire::Message::cold_answer(TOPIC, &bytes))
    }

    /// Takes note of a connection, at once.
    pub fn observe(&self, event: &peer::Event) {
        let mut state = self.state.lock();
        match event {
            peer::Event::Connected(remote) => state.core.connection_opened(remote.node),
            peer::Event::Disconnected(remote) => state.core.connection_closed(remote.node),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Goes by the members of `topology`, and tells the others of its epoch. New members are up until their silence says
    /// otherwise, and not connected until that is seen.
    pub fn set_topology(&self, topology: &Topology) {
        let (mut state, now) = (self.state.lock(), self.now());
        state.go_by(topology, now);
        self.show(&state, now);
        drop(state);
        self.changed.notify_one();
    }

    /// Tells all others `value` under `key`; an empty one takes back what was told. For values that have a rhythm of their
    /// own, such as purge floors; those that are [`Measured`] are asked for.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn tell(&self, key: Key, value: &[u8]) -> Result<(), NoRoom> {
        self.state.lock().core.set(key, value)
    }

    /// What `node` tells under `key`.
    #[must_use]
    pub fn value(&self, node: NodeId, key: Key) -> Option<Vec<u8>> {
        self.state.lock().core.value(node, key).map(<[u8]>::to_vec)
    }

    /// What is known now. Never waits.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Whether `node` is a member to which can be sent: [`View::is_reachable`] without holding on to the view.
    #[must_use]
    pub fn is_reachable(&self, node: NodeId) -> bool {
        self.view.load().is_reachable(node)
    }

    /// What to show of gossip.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.view.load().figures(self.stats.counted())
    }

    /// The time that the core goes by.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A heartbeat, a verdict on the silence of the others, and whom to talk to.
    fn begin_round<'a>(&'a self, owner: &dyn Owner, peers: &Peers) -> Vec<Exchange<'a>> {
        let round = self.stats.begin_round();
        if round.is_multiple_of(MEASURE_ROUNDS) {
            self.tell_measured(owner.measure());
        }
        // Whatever was said of connections while they were opened and closed: this is how it is.
        let is_connected = |node: &NodeId| peers.get(node).is_some_and(|peer| peer.is_connected());
        let connected: Vec<(NodeId, bool)> =
            self.view.load().nodes().map(|(node, _)| (node, is_connected(&node))).collect();
        let numbers: Numbers = [(); FAN_OUT + 2].map(|()| self.env.random.next_u64());
        let now = self.now();
        let mut state = self.state.lock();
        state.connections_are(&connected);
        state.core.tick(now);
        let (chosen, open) = (state.core.round(&numbers, 0, now).peers, state.core.open(now));
        drop(state);
        let open = Arc::new(open.encode());
        let exchange = |node| {
            let peer = peers.get(&node)?;
            Some(Box::pin(self.exchange(peer, Arc::clone(&open))) as Exchange<'_>)
        };
        chosen.into_iter().filter_map(exchange).collect()
    }

    /// Sends what this node knows, takes what the other knows beyond that, and sends what the other lacks.
    async fn exchange(&self, peer: Arc<Peer>, open: Arc<Vec<u8>>) {
        let Some(call) = self.send(&peer, &open) else { return };
        let Ok(frame) = call.await else { return Stats::add(&self.stats.unanswered) };
        let message = match wire::Answer::decode(&frame) {
            Ok(wire::Answer::Cold { topic: TOPIC, bytes }) => self.read(bytes),
            // It will not or cannot say anything now.
            Ok(_) => return Stats::add(&self.stats.unanswered),
            Err(_) => self.unreadable(),
        };
        let Some(reply @ Message::Reply { .. }) = message else { return };
        if let Some(close) = self.receive(&reply) {
            // Its answer is empty: nobody waits for it.
            drop(self.send(&peer, &close.encode()));
        }
    }

    /// Sends a request, if there is a connection with room for it.
    fn send(&self, peer: &Peer, bytes: &[u8]) -> Option<peer::Call> {
        let now = Instant::now();
        let (epoch, time) = (self.state.lock().epoch, self.hlc.reading(self.env.clock.wall_ms()));
        let terms = Terms { epoch, time, now, deadline: now + PATIENCE };
        let call = peer.call(&wire::Message::cold(TOPIC, bytes), &terms).ok()?;
        self.stats.count_sent(bytes.len());
        Some(call)
    }

    fn receive(&self, message: &Message) -> Option<Message> {
        let received = self.state.lock().core.receive(message, self.now());
        if received.changes.iter().any(is_urgent) {
            self.changed.notify_one();
        }
        received.reply
    }

    fn read(&self, bytes: &[u8]) -> Option<Message> {
        self.stats.count_received(bytes.len());
        Message::decode(bytes).ok().or_else(|| self.unreadable())
    }

    fn unreadable<T>(&self) -> Option<T> {
        Stats::add(&self.stats.unreadable);
        None
    }

    fn write(&self, message: &Message) -> Vec<u8> {
        let bytes = message.encode();
        self.stats.count_sent(bytes.len());
        bytes
    }

    pub(super) fn tell_measured(&self, measured: Measured) {
        let Measured { load, disk, hints } = measured.rounded();
        let values = [
            (Key::LOAD, told::encode(load.as_ref())),
            (Key::DISK, told::encode(disk.as_ref())),
            (Key::HINTS, told::encode(hints.as_ref())),
        ];
        for (key, value) in values {
            if let Err(error) = self.tell(key, &value) {
                tracing::warn!(%error, "the others are not told a figure of this node");
            }
        }
    }
}

/// Whether a change is shown before the next round.
fn is_urgent(change: &Change) -> bool {
    [Key::SUSPECTS, Key::EPOCH, Key::CANDIDATE].contains(&change.key)
}
