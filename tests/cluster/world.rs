//! Hosts on a network in a time of their own, what is done to them, and what happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulus::codec::crc64;

use crate::machine::{Death, Life, Machine};

/// Longest run in the world's time.
const LONGEST: Duration = Duration::from_secs(3600);

/// What happened, in order: all that two runs of a seed must have in common.
#[derive(Clone, Default)]
pub(crate) struct Events {
    lines: Rc<RefCell<Vec<String>>>,
}

impl Events {
    /// Notes an event of `host`, with the time.
    pub(crate) fn note(&self, host: &str, what: &str) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.lines.borrow_mut().push(format!("{:>9.3} {host}: {what}", at.as_secs_f64()));
    }

    /// How many events of `host` have `what` in them.
    pub(crate) fn count(&self, host: &str, what: &str) -> usize {
        let of_host = format!(" {host}: ");
        self.lines.borrow().iter().filter(|line| line.contains(&of_host) && line.contains(what)).count()
    }

    /// All of them, for people.
    pub(crate) fn text(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// A number that changes with any of them.
    pub(crate) fn digest(&self) -> u64 {
        crc64(self.text().as_bytes())
    }
}

/// What runs on a host gets this at each start.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) life: Life,
    pub(crate) events: Events,
}

impl Host {
    pub(crate) fn note(&self, what: &str) {
        self.events.note(&self.name, what);
    }
}

/// Hosts and their network.
pub(crate) struct World {
    sim: turmoil::Sim<'static>,
    seed: u64,
    machines: BTreeMap<String, Rc<RefCell<Machine>>>,
    pub(crate) events: Events,
}

impl World {
    /// A world without hosts, in which messages take 0.1 to 2 ms.
    pub(crate) fn new(seed: u64) -> World {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .tick_duration(Duration::from_millis(1))
            .simulation_duration(LONGEST)
            .min_message_latency(Duration::from_micros(100))
            .max_message_latency(Duration::from_millis(2))
            .tcp_capacity(4096)
            .enable_random_order();
        World { sim: builder.build(), seed, machines: BTreeMap::new(), events: Events::default() }
    }

    /// Adds a host and starts `software` on it, with a machine of its own; again at each restart.
    pub(crate) fn host<F, Fut>(&mut self, name: &str, software: F)
    where
        F: Fn(Host) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let seed = self.seed.wrapping_add(1 + self.machines.len() as u64);
        let machine = Rc::new(RefCell::new(Machine::new(seed)));
        self.machines.insert(name.to_owned(), Rc::clone(&machine));
        let (owned, events) = (name.to_owned(), self.events.clone());
        self.sim.host(name, move || {
            let life = machine.borrow_mut().start();
            let running = software(Host { name: owned.clone(), life, events: events.clone() });
            async move {
                running.await;
                // A host's software does not end by itself: what it started goes on.
                std::future::pending().await
            }
        });
    }

    /// The address of a host, with a port.
    pub(crate) fn address(&self, name: &str, port: u16) -> SocketAddr {
        let ip: IpAddr = self.sim.lookup(name);
        SocketAddr::new(ip, port)
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            self.sim.step().unwrap();
        }
    }

    /// Lets time pass until `what` happens; answers how long it took.
    pub(crate) fn until(&mut self, limit: Duration, what: impl Fn(&Events) -> bool) -> Duration {
        let begun = self.sim.elapsed();
        while !what(&self.events) {
            let passed = self.sim.elapsed() - begun;
            assert!(passed < limit, "seed {}: not within {limit:?}:\n{}", self.seed, self.events.text());
            self.sim.step().unwrap();
        }
        self.sim.elapsed() - begun
    }

    /// Messages between the two are lost from now on.
    pub(crate) fn partition(&mut self, one: &str, other: &str) {
        self.sim.partition(one, other);
    }

    /// Messages between the two arrive again.
    pub(crate) fn heal(&mut self, one: &str, other: &str) {
        self.sim.repair(one, other);
    }

    /// Every message between the two takes `time`.
    pub(crate) fn delay(&mut self, one: &str, other: &str, time: Duration) {
        self.sim.set_link_latency(one, other, time);
    }

    /// Ends what runs on a host.
    pub(crate) fn crash(&mut self, name: &str, death: Death) {
        self.sim.crash(name);
        self.machines[name].borrow_mut().die(death);
    }

    /// Starts a host's software again after its crash.
    pub(crate) fn restart(&mut self, name: &str) {
        self.sim.bounce(name);
    }
}
