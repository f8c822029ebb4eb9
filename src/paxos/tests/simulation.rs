//! Duels under loss, doubling, reordering and crashes, chosen by a seed; then a network that works again.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng as _};

use crate::paxos::tests::cluster::{INSTANCE, Judge, Keeper, node, value};
use crate::paxos::{Answer, Decided, Progress, Proposer, Request, Value};
use crate::types::NodeId;

const PATIENCE: Duration = Duration::from_millis(200);
const LONGEST_DELAY_MS: u64 = 40;

#[derive(Clone)]
enum Event {
    Request { from: NodeId, to: usize, request: Request },
    Answer { from: NodeId, to: NodeId, answer: Answer },
    Sync { keeper: usize },
    Start { proposer: usize, attempt: u64 },
}

struct Contender {
    core: Proposer,
    attempt: u64,
    outcome: Option<Value>,
}

/// What the network and the machines do to messages and nodes, each in percent.
#[derive(Clone, Copy)]
struct Faults {
    lost: u64,
    doubled: u64,
    crashes: u64,
}

const CALM: Faults = Faults { lost: 0, doubled: 0, crashes: 0 };

struct World {
    generator: Xoshiro256PlusPlus,
    now: Duration,
    faults: Faults,
    /// By time; among those of one time the earlier made first.
    events: Vec<(Duration, u64, Event)>,
    made: u64,
    keepers: Vec<Keeper>,
    /// What waits for a keeper's sync, and the request that each keeper is syncing.
    waiting: Vec<VecDeque<(NodeId, Request)>>,
    syncing: Vec<Option<Request>>,
    contenders: Vec<Contender>,
    lives: usize,
    judge: Judge,
}

impl World {
    fn new(seed: u64, keepers: usize, proposers: usize) -> Self {
        let mut world = World {
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            now: Duration::ZERO,
            faults: CALM,
            events: Vec::new(),
            made: 0,
            keepers: (0..keepers).map(|_| Keeper::new()).collect(),
            waiting: vec![VecDeque::new(); keepers],
            syncing: vec![None; keepers],
            contenders: Vec::new(),
            lives: 0,
            judge: Judge::new(keepers),
        };
        for proposer in 0..proposers {
            let core = world.proposer(proposer);
            world.contenders.push(Contender { core, attempt: 0, outcome: None });
            let delay = world.delay();
            world.push(delay, Event::Start { proposer, attempt: 0 });
        }
        world
    }

    /// A proposer that knows nothing, with a value that nobody else has.
    fn proposer(&mut self, proposer: usize) -> Proposer {
        self.lives += 1;
        let own = value(&format!("{proposer}.{}", self.lives));
        self.judge.proposed(&own);
        Proposer::new(node(proposer), INSTANCE, (0..self.keepers.len()).map(node).collect(), own)
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.generator.next_u64() % below
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(1 + self.draw(LONGEST_DELAY_MS))
    }

    fn push(&mut self, delay: Duration, event: Event) {
        self.made += 1;
        self.events.push((self.now + delay, self.made, event));
    }

    /// Sends a message, or two of it, or none.
    fn send(&mut self, event: &Event) {
        if self.draw(100) < self.faults.lost {
            return;
        }
        let copies = if self.draw(100) < self.faults.doubled { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.push(delay, event.clone());
        }
    }

    fn send_to_all(&mut self, from: NodeId, request: &Request) {
        for to in 0..self.keepers.len() {
            self.send(&Event::Request { from, to, request: request.clone() });
        }
    }

    fn step(&mut self) -> bool {
        let first = (0..self.events.len()).min_by_key(|&index| (self.events[index].0, self.events[index].1));
        let Some(first) = first else { return false };
        let (time, _, event) = self.events.swap_remove(first);
        self.now = time;
        match event {
            Event::Request { from, to, request } => {
                self.waiting[to].push_back((from, request));
                self.serve(to);
            }
            Event::Sync { keeper } => self.synced(keeper),
            Event::Answer { from, to, answer } => self.answered(from, to, &answer),
            Event::Start { proposer, attempt } => self.start(proposer, attempt),
        }
        if self.draw(1000) < self.faults.crashes * 10 {
            self.crash();
        }
        self.judge.check();
        true
    }

    /// Lets a keeper judge what waits, until it has to sync.
    fn serve(&mut self, keeper: usize) {
        while !self.keepers[keeper].is_syncing() {
            let Some((from, request)) = self.waiting[keeper].pop_front() else { return };
            match self.keepers[keeper].receive(from, &request) {
                Some(answer) => self.send(&Event::Answer { from: node(keeper), to: from, answer }),
                None => {
                    self.syncing[keeper] = Some(request);
                    let delay = self.delay();
                    self.push(delay, Event::Sync { keeper });
                }
            }
        }
    }

    fn synced(&mut self, keeper: usize) {
        if let Some((to, answer)) = self.keepers[keeper].sync() {
            let request = self.syncing[keeper].take().expect("what it syncs was asked");
            self.judge.voted(node(keeper), &request, &answer);
            self.send(&Event::Answer { from: node(keeper), to, answer });
        }
        self.serve(keeper);
    }

    fn answered(&mut self, from: NodeId, to: NodeId, answer: &Answer) {
        let proposer = usize::from(to.0[0]);
        let contender = &mut self.contenders[proposer];
        match contender.core.receive(from, answer) {
            Progress::Wait => {}
            Progress::Send(request) => self.send_to_all(to, &request),
            Progress::Retry => self.back_off(proposer),
            Progress::Decided { decided, .. } => self.decided(proposer, &decided),
            Progress::Overtaken(_) => panic!("there is one instance"),
        }
    }

    fn back_off(&mut self, proposer: usize) {
        let random = self.generator.next_u64();
        let contender = &mut self.contenders[proposer];
        contender.attempt += 1;
        let (attempt, delay) = (contender.attempt, contender.core.back_off(random));
        self.push(delay, Event::Start { proposer, attempt });
    }

    fn start(&mut self, proposer: usize, attempt: u64) {
        let contender = &mut self.contenders[proposer];
        if contender.attempt != attempt || contender.outcome.is_some() {
            return;
        }
        // If nothing comes of it in time, the next attempt follows the same wait.
        contender.attempt += 1;
        let (next, request) = (contender.attempt, contender.core.start());
        self.send_to_all(node(proposer), &request);
        let random = self.generator.next_u64();
        let patience = PATIENCE + self.contenders[proposer].core.back_off(random);
        self.push(patience, Event::Start { proposer, attempt: next });
    }

    fn decided(&mut self, proposer: usize, decided: &Decided) {
        self.judge.told(&decided.value);
        self.contenders[proposer].outcome = Some(decided.value.clone());
        let keeper = self.draw(self.keepers.len() as u64) as usize;
        self.keepers[keeper].learn(&decided.value);
    }

    /// A keeper loses what it has not synced and what waits, or a proposer all it knows.
    fn crash(&mut self) {
        let victim = self.draw((self.keepers.len() + self.contenders.len()) as u64) as usize;
        if victim < self.keepers.len() {
            self.keepers[victim].crash();
            self.syncing[victim] = None;
            self.waiting[victim].clear();
            self.events.retain(|(_, _, event)| !matches!(event, Event::Sync { keeper } if *keeper == victim));
            return;
        }
        let proposer = victim - self.keepers.len();
        if self.contenders[proposer].outcome.is_none() {
            let core = self.proposer(proposer);
            self.contenders[proposer].core = core;
            self.back_off(proposer);
        }
    }

    fn is_over(&self) -> bool {
        self.contenders.iter().all(|contender| contender.outcome.is_some())
    }
}

/// A run: two seconds of faults, then calm until everybody knows. Gives the time of calm that this took.
fn run(seed: u64, keepers: usize, proposers: usize) -> Duration {
    let mut world = World::new(seed, keepers, proposers);
    world.faults = Faults { lost: seed % 41, doubled: seed % 17, crashes: seed % 13 };
    while world.now < Duration::from_secs(2) && !world.is_over() && world.step() {}
    let began = world.now;
    world.faults = CALM;
    while !world.is_over() {
        assert!(world.step(), "an attempt always has a next one");
        assert!(world.now < began + Duration::from_secs(60), "no decision in a minute of calm");
    }
    let outcomes: BTreeSet<_> = world.contenders.iter().map(|contender| contender.outcome.clone()).collect();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    world.now - began
}

#[test]
fn whatever_happens_all_are_told_one_value_that_was_proposed() {
    for (keepers, proposers) in [(3, 2), (3, 4), (5, 3), (7, 3)] {
        let seeds: u64 = 250;
        let mut times: Vec<Duration> = (0..seeds)
            .map(|seed| {
                let outcome = std::panic::catch_unwind(|| run(seed, keepers, proposers));
                outcome.unwrap_or_else(|_| panic!("{keepers} keepers, {proposers} proposers, seed {seed}"))
            })
            .collect();
        times.sort();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{keepers} keepers, {proposers} proposers: all know {median:?} (median), {last:?} (last) after the calm"
        );
    }
}

/// Without any fault, a duel ends quickly: the back-off makes room.
#[test]
fn a_duel_without_faults_ends_soon() {
    let mut times: Vec<Duration> = Vec::new();
    for seed in 0..200 {
        let mut world = World::new(seed, 3, 3);
        while !world.is_over() {
            assert!(world.step());
        }
        times.push(world.now);
    }
    times.sort();
    println!("three proposers at once: median {:?}, p99 {:?}, last {:?}", times[100], times[198], times[199]);
    assert!(times[198] < Duration::from_secs(10), "{times:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7, 5, 3), run(7, 5, 3));
}
