//! The machine under one node: its disk outlives crashes as a disk does, all else begins anew with each start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annulus::env::memory::{Jobs, MemoryDisk, SeededRandom, SteppedPool};
use annulus::env::{Clock, Env, LocalFuture, MakeReactor, Reactors};
use annulus::node::Surroundings;

use crate::net::SimNet;

/// 2026-01-01, so that times look like times.
const START_MS: u64 = 1_767_225_600_000;
/// Jobs that may wait in the pool.
const QUEUE: usize = 1024;
/// How long a job or a step waits for its turn at most.
const TURN: Duration = Duration::from_millis(1);

/// How a machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process is gone; the disk has all that was written.
    Kill,
    /// The power is gone; of what was not synced the disk has what it likes.
    Power,
}

/// What is left of a machine between two starts.
pub(crate) struct Machine {
    seed: u64,
    starts: u64,
    disk: MemoryDisk,
}

/// One life of a machine.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) env: Env,
    pool: SteppedPool,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Machine {
        Machine { seed, starts: 0, disk: MemoryDisk::new(seed) }
    }

    /// Begins a life; its randomness is its own.
    pub(crate) fn start(&mut self) -> Life {
        self.starts += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts);
        let clock = Arc::new(SimClock::default());
        let pool = SteppedPool::new(seed, Arc::<SimClock>::clone(&clock), Jobs::Queued(QUEUE));
        let env = Env {
            clock,
            random: Arc::new(SeededRandom::new(seed)),
            disk: Arc::new(self.disk.clone()),
            net: Arc::new(SimNet),
            pool: Arc::new(pool.clone()),
        };
        Life { env, pool }
    }

    /// What the disk has after the death of what ran on it.
    pub(crate) fn die(&mut self, death: Death) {
        self.disk = match death {
            Death::Kill => self.disk.kill(),
            Death::Power => self.disk.crash(),
        };
    }
}

impl Life {
    /// What a node needs of its process. Must be called on its host: there jobs and steps run from now on.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let pool = self.pool.clone();
        tokio::task::spawn_local(async move {
            loop {
                pool.run_until_idle();
                tokio::time::sleep(TURN).await;
            }
        });
        let reactors = Arc::new(HostReactors);
        Surroundings { env: self.env.clone(), reactors, log: None, system: "simulated".into(), open_files: 10_000 }
    }
}

/// The world's time. A node that is being torn down after its host's end sees the last time it knew.
#[derive(Debug, Default)]
struct SimClock {
    last_ns: AtomicU64,
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        START_MS + self.monotonic().as_millis() as u64
    }

    fn monotonic(&self) -> Duration {
        if let Some(elapsed) = turmoil::sim_elapsed() {
            self.last_ns.fetch_max(elapsed.as_nanos() as u64, Ordering::Relaxed);
        }
        Duration::from_nanos(self.last_ns.load(Ordering::Relaxed))
    }
}

/// One reactor: the host's own runtime.
struct HostReactors;

impl Reactors for HostReactors {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, _index: usize, make: MakeReactor) {
        let reactor: LocalFuture = make();
        tokio::task::spawn_local(reactor);
    }

    /// The runtime ends with its host; nobody could wait for it here.
    fn join(&self) {}
}
