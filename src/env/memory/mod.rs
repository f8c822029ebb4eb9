//! A machine in memory that a seed decides: for tests of everything that must outlive crashes, full disks and bad luck.
//!
//! [`MemoryMachine`] holds one of each; the parts also serve alone. Nothing here reads a clock or a random number of the
//! real machine, so that the same seed and the same calls give the same run.

mod clock;
mod disk;
mod inode;
mod machine;
mod net;
mod operation;
mod pool;
mod random;
mod state;
mod survival;
mod tree;

pub use clock::ManualClock;
pub use disk::MemoryDisk;
pub use machine::MemoryMachine;
pub use net::MemoryNet;
pub use operation::{Fault, Operation, OperationKind};
pub use pool::{Jobs, SteppedPool};
pub use random::SeededRandom;
pub use state::Cached;
pub use survival::Survival;
