//! The only door to clock, randomness, disk, network, threads and reactors.
//!
//! Everything above asks these traits, so that a test can hand in a disk that loses power, a clock that jumps, a network
//! that splits. [`os`] is the machine; [`memory`] is one that a seed decides, whose disk loses power and fails on request.
//!
//! Invariant: no other module of the crate touches `std::fs`, sockets, `std::time`, `rand` or threads (`.clippy.toml`).
//! Timers come from tokio's time, which a simulation can pause; wall time comes from [`Clock`].

#[cfg(test)]
mod conformance;
mod failure;
pub mod memory;
pub mod os;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// A future that is allocated and owned by its caller.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A future that stays on the reactor which made it.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Everything a node needs from the machine, handed down by the composition root.
#[derive(Clone)]
pub struct Env {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Threads for work that may wait.
    pub pool: Arc<dyn Pool>,
}

/// Wall time and a clock that never goes back.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch; may jump when the machine's clock is set.
    fn wall_ms(&self) -> u64;
    /// Time since an arbitrary moment of this process; never goes back.
    fn monotonic(&self) -> Duration;
}

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number below 2^64.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// A file that must not exist yet, for reading and writing. Its name is durable after [`Disk::sync_dir`].
    CreateNew,
}

/// A directory tree. Names become durable, or stay gone, only by [`Disk::sync_dir`] of their directory.
pub trait Disk: Send + Sync {
    /// Opens or makes a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>>;
    /// Names of the entries of a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Moves a file over another name in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must not exist yet, without copying it.
    ///
    /// # Errors
    /// `CrossesDevices` if the names would be on different filesystems, `Unsupported` or `PermissionDenied` where there are
    /// no second names: then the file has to be copied.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory and its parents; no error if it exists.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on the file `path` (made if absent) until the guard is dropped or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` if another process, or another guard of this one, holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
    /// Bytes that an ordinary user can still write on the filesystem of `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// Holds an exclusive lock while it lives.
pub trait FileLock: Send + Sync {}

/// What will soon happen to a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The range will be read soon.
    WillNeed,
    /// The range will not be read again.
    DontNeed,
}

/// An open file. All calls take positions, so that a file can be shared by threads.
pub trait File: Send + Sync {
    /// Fills `bytes` from `offset`; `UnexpectedEof` if the file ends before.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Fills `bytes` if that needs no wait for a device: `false`, with `bytes` unspecified, if it would.
    fn read_if_cached(&self, bytes: &mut [u8], offset: u64) -> io::Result<bool>;
    /// Writes all of `bytes` at `offset`, extending the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reserves space up to `bytes` in all, so that later writes below it cannot run out of space; the length grows to it
    /// and reads as zeros.
    fn reserve(&self, bytes: u64) -> io::Result<()>;
    /// Cuts or extends the file to `bytes`.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Makes data and length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Tells the machine what will be read; only a hint.
    fn advise(&self, offset: u64, bytes: u64, advice: Advice);
}

/// A byte stream of one connection, registered with the reactor that attached it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An accepted connection that no reactor owns yet.
pub trait Unattached: Send {
    /// Registers the connection with the runtime of the calling task.
    fn attach(self: Box<Self>) -> io::Result<Box<dyn Stream>>;
    /// Address of the other end.
    fn peer_address(&self) -> SocketAddr;
}

/// A bound socket that hands out connections.
pub trait Listener: Send + Sync {
    /// Waits for the next connection.
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Unattached>>>;
    /// The address that was bound, with the port that the machine chose if 0 was asked for.
    fn local_address(&self) -> SocketAddr;
}

/// Sockets.
pub trait Net: Send + Sync {
    /// Binds `address` (port 0: any free one) and listens. Must be called on the runtime that accepts.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Connects to `address`.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// What a driven piece of work wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More to do: call again soon.
    Again,
    /// Call again after this long, or when woken.
    After(Duration),
    /// Nothing to do until woken.
    Idle,
    /// Never call again.
    Done,
}

/// A driven piece of work, seen from outside; cheap and callable from any thread.
pub trait Wake: Send + Sync {
    /// Makes an idle piece of work take its next step soon; a wake during a step makes for one more step.
    fn wake(&self);
    /// Waits until the piece has answered [`Step::Done`]; it does not tell it to.
    ///
    /// # Panics
    /// If the piece panicked, or (in simulation) if it is idle and nothing will wake it.
    fn join(&self);
}

/// Priority of a driven thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As any other thread: somebody waits for it.
    Normal,
    /// Background work, which gives way to all others.
    Low,
}

/// A pool took no job because its queue is full.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of the read pool is full")]
pub struct PoolFull;

/// Threads for work that may wait for a device.
pub trait Pool: Send + Sync {
    /// Runs `job` once on one of the pool's threads.
    ///
    /// # Errors
    /// [`PoolFull`] if the bounded queue has no room; the job is dropped.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), PoolFull>;
    /// Gives `step` a thread of its own (in simulation: a place in the seeded order) until it answers [`Step::Done`].
    fn drive(&self, name: &'static str, priority: Priority, step: Box<dyn FnMut() -> Step + Send>) -> Arc<dyn Wake>;
    /// Waits until every driven piece of work has answered [`Step::Done`] and queued jobs have run.
    fn join(&self);
}

/// Makes the one future that runs on a reactor, on that reactor's thread.
pub type MakeReactor = Box<dyn FnOnce() -> LocalFuture + Send>;

/// Current-thread runtimes that serve connections.
pub trait Reactors: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;
    /// Starts reactor `index` with the future that `make` builds on it; the reactor ends with that future.
    fn run(&self, index: usize, make: MakeReactor);
    /// Waits until every reactor that was started has ended.
    fn join(&self);
}
