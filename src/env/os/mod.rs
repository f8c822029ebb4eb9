//! The machine itself: its clocks, randomness, files, sockets and threads.
//!
//! Linux is the platform that this is written and measured for; every call is safe code over `std`, `rustix`, `socket2` and
//! tokio. What a filesystem cannot do is replaced by the slower way with the same promise, never left out.

mod child;
mod clock;
mod disk;
mod net;
mod pool;
mod process;
mod random;
mod reactors;

use std::sync::Arc;

use crate::env::Env;

pub use child::{Child, end_with_parent};
pub use clock::OsClock;
pub use disk::OsDisk;
pub use net::OsNet;
pub use pool::OsPool;
pub use process::{Usage, raise_open_files, system_name, usage};
pub use random::OsRandom;
pub use reactors::OsReactors;

/// How many threads wait for the disk, and how many jobs may wait for a thread.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads for cold reads.
    pub pool_threads: usize,
    /// Jobs that may wait for one of them.
    pub pool_queue: usize,
}

impl Options {
    /// Six threads: enough for a device's queue at small reads, few enough for two cores. The queue holds one job for
    /// each of a thousand connections.
    #[must_use]
    pub fn new() -> Self {
        Options { pool_threads: 6, pool_queue: 1024 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

/// The machine as an [`Env`]; starts the threads of the pool.
#[must_use]
pub fn env(options: &Options) -> Env {
    Env {
        clock: Arc::new(OsClock::new()),
        random: Arc::new(OsRandom),
        disk: Arc::new(OsDisk),
        net: Arc::new(OsNet),
        pool: Arc::new(OsPool::new(options.pool_threads, options.pool_queue)),
    }
}

/// `count` current-thread runtimes; for 0 one per core but one, which is left to commit, flush and compaction; at least one.
#[must_use]
pub fn reactors(count: usize) -> OsReactors {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    OsReactors::new("reactor", if count == 0 { cores.saturating_sub(1).max(1) } else { count })
}
