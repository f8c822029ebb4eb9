//! One machine in memory: its disk, clock, randomness, pool and network, all from one seed.

use std::sync::Arc;

use crate::env::Env;
use crate::env::memory::{Jobs, ManualClock, MemoryDisk, MemoryNet, SeededRandom, SteppedPool};

/// 2026-01-01, so that times look like times.
const START_MS: u64 = 1_767_225_600_000;
/// Jobs that may wait in the pool.
const QUEUE: usize = 1024;

/// The parts, for the test to move; [`MemoryMachine::env`] is what the code under test sees of them.
#[derive(Clone)]
pub struct MemoryMachine {
    /// Files.
    pub disk: MemoryDisk,
    /// Time.
    pub clock: Arc<ManualClock>,
    /// Random bytes.
    pub random: Arc<SeededRandom>,
    /// Jobs and steps.
    pub pool: SteppedPool,
    /// Connections.
    pub net: MemoryNet,
    seed: u64,
}

impl MemoryMachine {
    /// A machine with an empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        MemoryMachine::with(seed, MemoryDisk::new(seed), Arc::new(ManualClock::new(START_MS)))
    }

    fn with(seed: u64, disk: MemoryDisk, clock: Arc<ManualClock>) -> Self {
        let pool = SteppedPool::new(seed, Arc::<ManualClock>::clone(&clock), Jobs::Queued(QUEUE));
        let random = Arc::new(SeededRandom::new(seed));
        MemoryMachine { disk, clock, random, pool, net: MemoryNet::default(), seed }
    }

    /// The machine as a node sees it.
    #[must_use]
    pub fn env(&self) -> Env {
        Env {
            clock: Arc::<ManualClock>::clone(&self.clock),
            random: Arc::<SeededRandom>::clone(&self.random),
            disk: Arc::new(self.disk.clone()),
            net: Arc::new(self.net.clone()),
            pool: Arc::new(self.pool.clone()),
        }
    }

    /// The machine after a loss of power: what its disk kept, nothing running, no connection, the clock going on.
    ///
    /// # Panics
    /// If the disk of this machine has been crashed or killed already.
    #[must_use]
    pub fn crash(&self) -> MemoryMachine {
        MemoryMachine::with(self.seed.wrapping_add(1), self.disk.crash(), Arc::clone(&self.clock))
    }

    /// The machine after its process was killed: as after [`MemoryMachine::crash`], with all that was written.
    ///
    /// # Panics
    /// If the disk of this machine has been crashed or killed already.
    #[must_use]
    pub fn kill(&self) -> MemoryMachine {
        MemoryMachine::with(self.seed.wrapping_add(1), self.disk.kill(), Arc::clone(&self.clock))
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryMachine;
    use crate::env::{OpenMode, Priority, Step};
    use std::path::Path;

    #[test]
    fn a_driven_writer_dies_with_its_machine() {
        let machine = MemoryMachine::new(1);
        let env = machine.env();
        let file = env.disk.open(Path::new("log"), OpenMode::CreateNew).unwrap();
        env.disk.sync_dir(Path::new("")).unwrap();
        let mut at = 0;
        let step = move || match file.write_at(b"x", at).and_then(|()| file.sync()) {
            Ok(()) => {
                at += 1;
                Step::Idle
            }
            Err(_) => Step::Done,
        };
        let wake = env.pool.drive("writer", Priority::Normal, Box::new(step));
        machine.pool.run_until_idle();
        let next = machine.crash();
        wake.wake();
        wake.join();
        let log = next.env().disk.open(Path::new("log"), OpenMode::Read).unwrap();
        assert_eq!(log.len().unwrap(), 1);
        assert_eq!(next.env().clock.wall_ms(), env.clock.wall_ms());
    }
}
