//! Many nodes in one thread and in virtual time: each message takes its time, or is lost; a seed decides.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng as _};

use crate::membership::{FAN_OUT, Key, Member, Membership, Message, Options, Standing};
use crate::types::{Incarnation, NodeId};

pub(super) const INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn id(number: usize) -> NodeId {
    let mut bytes = [0; 20];
    // Ids of nodes are random: their order says nothing.
    let scattered = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&scattered.to_be_bytes());
    bytes[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    NodeId(bytes)
}

/// Members `0..count`, in as many zones.
pub(super) fn members(count: usize, zones: usize) -> Vec<Member> {
    (0..count).map(|number| Member { id: id(number), zone: format!("zone-{}", number % zones) }).collect()
}

pub(super) fn node(number: usize, incarnation: u64, now: Duration) -> Membership {
    Membership::new(Options { me: id(number), incarnation: Incarnation(incarnation), interval: INTERVAL }, now)
}

enum Event {
    Tick { node: usize, life: u64 },
    Message { from: usize, to: usize, message: Message },
}

/// How the network treats messages.
#[derive(Clone, Copy)]
pub(super) struct Network {
    pub(super) lost_per_mille: u64,
    pub(super) delay_ms: (u64, u64),
    /// How late a round may be.
    pub(super) late_ms: u64,
    pub(super) fan_out: usize,
}

pub(super) const JITTERY: Network = Network { lost_per_mille: 10, delay_ms: (1, 50), late_ms: 100, fan_out: FAN_OUT };

pub(super) struct Cluster {
    pub(super) now: Duration,
    pub(super) nodes: Vec<Membership>,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) longest: usize,
    pub(super) network: Network,
    members: Vec<Member>,
    /// The life of each node, zero while it is dead.
    lives: Vec<u64>,
    /// Only nodes of one side hear each other.
    sides: Vec<usize>,
    /// Two nodes that do not hear each other.
    cut: Option<(usize, usize)>,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    payloads: std::collections::BTreeMap<u64, Event>,
    made: u64,
    generator: Xoshiro256PlusPlus,
}

impl Cluster {
    pub(super) fn new(seed: u64, count: usize, network: Network) -> Self {
        let members = members(count, 3);
        let mut cluster = Cluster {
            now: Duration::ZERO,
            nodes: (0..count).map(|number| node(number, 1, Duration::ZERO)).collect(),
            messages: 0,
            bytes: 0,
            longest: 0,
            network,
            members,
            lives: vec![1; count],
            sides: vec![0; count],
            cut: None,
            events: BinaryHeap::new(),
            payloads: std::collections::BTreeMap::new(),
            made: 0,
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
        };
        for number in 0..count {
            cluster.nodes[number].set_members(&cluster.members, &[], Duration::ZERO);
            cluster.describe(number);
            let first = Duration::from_millis(cluster.draw(1000));
            cluster.push(first, Event::Tick { node: number, life: 1 });
        }
        cluster
    }

    /// What every node tells of itself in production, by and large.
    fn describe(&mut self, number: usize) {
        let texts = [(Key::EPOCH, 8), (Key::LOAD, 4), (Key::DISK, 16), (Key::HINTS, 4), (Key::ADDRESSES, 40)];
        for (key, bytes) in texts {
            self.nodes[number].set(key, &vec![number as u8; bytes]).expect("small");
        }
    }

    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.generator.next_u64() % below
    }

    fn push(&mut self, delay: Duration, event: Event) {
        self.made += 1;
        self.events.push(Reverse((self.now + delay, self.made)));
        self.payloads.insert(self.made, event);
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let bytes = message.bytes();
        self.messages += 1;
        self.bytes += bytes as u64;
        self.longest = self.longest.max(bytes);
        let (least, most) = self.network.delay_ms;
        let delay = least + self.draw(most - least + 1);
        let is_cut = self.sides[from] != self.sides[to] || [Some((from, to)), Some((to, from))].contains(&self.cut);
        if self.draw(1000) >= self.network.lost_per_mille && !is_cut {
            self.push(Duration::from_millis(delay), Event::Message { from, to, message });
        }
    }

    pub(super) fn is_alive(&self, number: usize) -> bool {
        self.lives[number] > 0
    }

    /// Runs to the next event, or not at all if that lies after `until`.
    fn step(&mut self, until: Duration) -> bool {
        let Some(&Reverse((time, made))) = self.events.peek() else { return false };
        if time > until {
            return false;
        }
        self.events.pop();
        self.now = time;
        match self.payloads.remove(&made).expect("every event has one") {
            Event::Tick { node, life } if self.lives[node] == life => self.tick(node),
            Event::Message { from, to, message } if self.is_alive(to) => {
                if let Some(reply) = self.nodes[to].receive(&message, time).reply {
                    self.send(to, from, reply);
                }
            }
            _ => {}
        }
        true
    }

    fn tick(&mut self, number: usize) {
        self.nodes[number].tick(self.now);
        let numbers = std::array::from_fn(|_| self.generator.next_u64());
        let round = self.nodes[number].round(&numbers, 0, self.now);
        let fewer = FAN_OUT - self.network.fan_out;
        for peer in round.peers.into_iter().skip(fewer) {
            let to = self.members.iter().position(|member| member.id == peer).expect("peers are members");
            let open = self.nodes[number].open(self.now);
            self.send(number, to, open);
        }
        let delay = INTERVAL + Duration::from_millis(self.draw(self.network.late_ms + 1));
        let life = self.lives[number];
        self.push(delay, Event::Tick { node: number, life });
    }

    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Runs until `is_done`, looking every 100 ms, and gives the seconds that it took.
    #[track_caller]
    pub(super) fn run_until(&mut self, limit: Duration, is_done: impl Fn(&Cluster) -> bool) -> f64 {
        let began = self.now;
        while !is_done(self) {
            assert!(self.now < began + limit, "not within {limit:?}");
            self.run(Duration::from_millis(100));
        }
        (self.now - began).as_secs_f64()
    }

    pub(super) fn kill(&mut self, number: usize) {
        self.lives[number] = 0;
    }

    /// Tells all live nodes that their connection to `number` is closed, as the system does when a process dies.
    pub(super) fn close_connections(&mut self, number: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != number) {
            self.nodes[other].connection_closed(id(number));
        }
    }

    /// Starts it in a new life, knowing nobody but the members.
    pub(super) fn restart(&mut self, number: usize, life: u64) {
        self.lives[number] = life;
        self.nodes[number] = node(number, life, self.now);
        self.nodes[number].set_members(&self.members, &[], self.now);
        self.describe(number);
        self.push(Duration::ZERO, Event::Tick { node: number, life });
    }

    /// Splits the cluster: nodes hear only those that `side` gives the same number.
    pub(super) fn split(&mut self, side: impl Fn(usize) -> usize) {
        self.sides = (0..self.nodes.len()).map(side).collect();
    }

    /// Breaks the way between two nodes.
    pub(super) fn cut(&mut self, one: usize, other: usize) {
        self.cut = Some((one, other));
    }

    pub(super) fn live(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|number| self.is_alive(*number))
    }

    /// Whether `target` is down for every live node of `side`.
    pub(super) fn is_down_for_all(&self, target: usize, side: usize) -> bool {
        let is_down = |number: usize| matches!(self.nodes[number].standing(id(target), self.now), Standing::Down(accusers) if accusers.len() > 1);
        self.live().filter(|number| *number != target && self.sides[*number] == side).all(is_down)
    }

    /// Whether every live node calls every live node up.
    pub(super) fn is_well(&self) -> bool {
        let up = |by: usize, of: usize| self.nodes[by].standing(id(of), self.now) == Standing::Up;
        self.live().all(|by| self.live().all(|of| up(by, of)))
    }

    /// How many live nodes suspect somebody who is alive.
    pub(super) fn false_alarms(&self) -> usize {
        let alarmed = |by: &usize| self.live().any(|of| self.nodes[*by].is_suspect(id(of), self.now));
        self.live().filter(alarmed).count()
    }
}
