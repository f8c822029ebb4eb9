//! Waiting until what a reply shows is durable: one list of waiters per reactor, woken by that reactor alone.
//!
//! `everysec`, `none`: the first waiter wakes the reactor's commit task, which runs after every connection that is ready
//! has appended; it hands the log buffer to the OS once for all of them. `sync`: it asks the engine's commit thread, whose
//! hook wakes this one task per reactor, which wakes the connections. No wake of a connection crosses cores.
//!
//! Invariant: a waiter is woken only when `durable >= its position`, or when the engine failed (then the caller looks).

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::sync::Notify;

use crate::storage::{Durability, Engine};
use crate::types::Stamp;

/// One reactor's waiters for durability.
pub struct CommitQueue {
    engine: Arc<Engine>,
    durability: Durability,
    // Wakes the commit task of this reactor; the engine's hook holds it too.
    signal: Arc<Notify>,
    waiters: RefCell<Vec<(Stamp, Waker)>>,
}

impl CommitQueue {
    /// A queue for the reactor that will run [`CommitQueue::serve`]; `signal` is what the engine's hook notifies.
    #[must_use]
    pub fn new(engine: Arc<Engine>, durability: Durability, signal: Arc<Notify>) -> Rc<Self> {
        Rc::new(CommitQueue { engine, durability, signal, waiters: RefCell::default() })
    }

    /// Waits until everything up to `position` is durable.
    ///
    /// # Errors
    /// The engine's failure: nothing after it is acknowledged, the process is about to stop.
    pub async fn wait(&self, position: Stamp) -> Result<(), String> {
        poll_fn(|context| {
            if self.engine.durable() >= position {
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = self.engine.failure() {
                return Poll::Ready(Err(failure));
            }
            let mut waiters = self.waiters.borrow_mut();
            waiters.push((position, context.waker().clone()));
            if waiters.len() == 1 {
                self.signal.notify_one();
            }
            Poll::Pending
        })
        .await
    }

    /// The commit task: runs as long as the reactor.
    pub async fn serve(self: Rc<Self>) {
        loop {
            self.signal.notified().await;
            if self.durability != Durability::Sync {
                // A failed write leaves the waiters to the look at `failure` that waking brings.
                drop(self.engine.write_out());
            }
            self.wake();
            if self.durability == Durability::Sync && !self.waiters.borrow().is_empty() {
                self.engine.request_sync();
            }
        }
    }

    fn wake(&self) {
        let durable = self.engine.durable();
        let failed = self.engine.failure().is_some();
        let mut waiters = self.waiters.borrow_mut();
        waiters.retain(|(position, waker)| {
            let ready = failed || durable >= *position;
            if ready {
                waker.wake_by_ref();
            }
            !ready
        });
    }
}
