//! Background work: the one trait that all of it implements, and the one runner that starts, lists, wakes and stops it.
//!
//! A worker does one bounded unit at a time (about a millisecond, or 256 KB) and says what it wants next. It may wait for
//! the disk, never for a client. Each has a driven place of its own in the pool, so that a slow one delays no other.
//!
//! Invariant: nothing here is held while a worker works: whoever lists the workers never waits for a unit to end.
//! Invariant: a throttled worker cannot be woken early; an idle one can. Stopping ends both after the unit under way.

mod runner;
mod status;

use std::time::Duration;

pub use runner::{Runner, WORKERS_LIMIT, Waker};
pub use status::{Field, State, Status};

/// What a worker wants after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// There is more to do now.
    Busy,
    /// There is more to do, but not before this long has passed.
    Throttled(Duration),
    /// There is nothing to do; look again after this long, or when woken.
    Idle(Duration),
}

/// Background work in bounded units.
pub trait Worker: Send {
    /// The name in INFO and of the thread: lower case, at most 15 bytes.
    fn name(&self) -> &'static str;
    /// Does one bounded unit.
    fn work(&mut self) -> Work;
    /// What it has done and how far it is; asked after every unit, so it must be cheap.
    fn status(&self) -> Vec<Field>;
}
