//! Waiting until what a reply shows is durable: one list of waiters per reactor, woken by that reactor alone.
//!
//! `everysec`, `none`: the first waiter of a turn wakes the reactor's commit task, which runs after every connection that is
//! ready has appended; it hands the log buffer to the OS once for all of them. `sync`: every waiter tells the engine's commit
//! thread, which gathers some before it syncs; its hook wakes this one task per reactor, which wakes the connections. No
//! wake of a connection crosses cores.
//!
//! Invariant: a waiter is woken only when `durable >= its position`, or when the engine failed (then the caller looks).
//! Invariant: while anybody waits, the task looks again by itself: a disk that was full and has space again wakes nobody.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::storage::{Durability, Engine};
use crate::types::Stamp;

/// How long the task waits for a sign before it looks by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One reactor's waiters for durability.
pub struct CommitQueue {
    engine: Arc<Engine>,
    durability: Durability,
    // Wakes the commit task of this reactor; the engine's hook holds it too.
    signal: Arc<Notify>,
    // Never contended: those who wait and the task share a thread. A lock all the same, because what peers ask is carried
    // out by futures that could move between threads.
    waiters: Mutex<Vec<(Stamp, Waker)>>,
    // Whether the task was signalled since it last ran.
    is_signalled: AtomicBool,
}

impl CommitQueue {
    /// A queue for the reactor that will run [`CommitQueue::serve`]; `signal` is what the engine's hook notifies.
    #[must_use]
    pub fn new(engine: Arc<Engine>, durability: Durability, signal: Arc<Notify>) -> Arc<Self> {
        Arc::new(CommitQueue {
            engine,
            durability,
            signal,
            waiters: Mutex::default(),
            is_signalled: AtomicBool::new(false),
        })
    }

    /// Whether everything up to `position` is durable.
    #[must_use]
    pub fn is_durable(&self, position: Stamp) -> bool {
        self.engine.durable() >= position
    }

    /// Waits until everything up to `position` is durable.
    ///
    /// # Errors
    /// The engine's failure: nothing after it is acknowledged, the process is about to stop.
    pub async fn wait(&self, position: Stamp) -> Result<(), String> {
        if let Some(pause) = self.engine.slow_down() {
            // Background work is behind: this batch waits a little, so that none has to wait long.
            tokio::time::sleep(pause).await;
        }
        poll_fn(|context| {
            if self.engine.durable() >= position {
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = self.engine.failure() {
                return Poll::Ready(Err(failure));
            }
            self.waiters.lock().push((position, context.waker().clone()));
            if self.durability == Durability::Sync {
                // Each one asks: the commit thread waits for a number of them before it syncs.
                self.engine.request_sync();
            } else if !self.is_signalled.swap(true, Ordering::Relaxed) {
                // The first of a turn asks, even if others wait for long already, as they do while the disk is full.
                self.signal.notify_one();
            }
            Poll::Pending
        })
        .await
    }

    /// The commit task: runs as long as the reactor.
    pub async fn serve(self: Arc<Self>) {
        loop {
            if self.waiters.lock().is_empty() {
                self.signal.notified().await;
            } else {
                // That the time is over says no more than a sign does.
                drop(tokio::time::timeout(LOOK_AGAIN, self.signal.notified()).await);
            }
            self.is_signalled.store(false, Ordering::Relaxed);
            if self.durability != Durability::Sync {
                // What found no space waits for the next look; a failure ends all waiting below.
                drop(self.engine.write_out());
            }
            self.wake();
            if self.durability == Durability::Sync && !self.waiters.lock().is_empty() {
                // What was appended while the last sync ran.
                self.engine.request_sync();
            }
        }
    }

    fn wake(&self) {
        let durable = self.engine.durable();
        let failed = self.engine.failure().is_some();
        let mut waiters = self.waiters.lock();
        waiters.retain(|(position, waker)| {
            let ready = failed || durable >= *position;
            if ready {
                waker.wake_by_ref();
            }
            !ready
        });
    }
}
