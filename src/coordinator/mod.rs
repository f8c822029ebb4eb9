//! Carries out a batch of operations: on this node's replica, waiting only where a device or memory makes it wait.
//!
//! With one replica the coordinator is a branch, not a future: [`Coordinator::advance`] runs operations until one cannot
//! go on, [`Coordinator::carry_on`] waits for what that one needs. Cold keys of a batch are one sorted job of the pool.
//!
//! Invariant: operations of a batch take effect in order, each exactly once; one that has to wait has done nothing.
//! Invariant: no lock is held across an await; [`Locked`] is made and used between two of them.

mod batch;
mod commit;
mod global;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use batch::{Batch, Carried};
pub use commit::CommitQueue;

use crate::env::Pool;
use crate::replica::{Applied, Failure, KeySet, Locked, Locking, Outcome, Replica};
use crate::storage::Fetched;
use crate::types::Stamp;

/// How far a batch got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// All operations asked for have outcomes.
    Done,
    /// The next operation needs something that takes time: see [`Coordinator::carry_on`].
    Waiting,
}

/// How long a write waits for memory to be flushed before it is refused.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// How long it waits before it looks again.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// Cold keys fetched by one job.
const FETCH_KEYS: usize = 1024;

/// Carries out batches for all connections of a node.
pub struct Coordinator {
    replica: Arc<Replica>,
    pool: Arc<dyn Pool>,
}

impl Coordinator {
    /// A coordinator over this node's replica.
    #[must_use]
    pub fn new(replica: Arc<Replica>, pool: Arc<dyn Pool>) -> Self {
        Coordinator { replica, pool }
    }

    /// This node's replica.
    #[must_use]
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Carries out operations in order until `until`, or until one has to wait.
    #[inline]
    pub fn advance(&self, batch: &mut Batch, input: &[u8], until: usize) -> Advanced {
        while batch.done < until {
            let operation = batch.operations[batch.done];
            match self.replica.apply(&operation, batch.parts(input)) {
                Applied::Done { outcome, position } => batch.finish_operation(outcome, position),
                Applied::Failed(failure) => batch.fail_operation(failure),
                Applied::Cold | Applied::Busy | Applied::Global => return Advanced::Waiting,
            }
        }
        Advanced::Done
    }

    /// Carries out operations in order until `until`, waiting where needed.
    pub async fn carry_on(&self, batch: &mut Batch, input: &[u8], until: usize) {
        let mut waited = Duration::ZERO;
        while self.advance(batch, input, until) == Advanced::Waiting {
            let operation = batch.operations[batch.done];
            if operation.action.is_global() {
                self.run_global(batch, input, operation).await;
                continue;
            }
            let ahead = batch.operations.len().min(batch.done + FETCH_KEYS);
            let cold = self.replica.cold_keys(&batch.operations[batch.done..ahead], input, &batch.arena);
            if !cold.is_empty() {
                match self.fetch(cold).await {
                    Ok(fetched) => batch.fetched = fetched,
                    Err(failure) => batch.fail_operation(failure),
                }
                continue;
            }
            // Nothing is cold (any more): the store had no room, or the operation became warm meanwhile.
            if waited >= BUSY_LIMIT {
                batch.fail_operation(Failure::Busy { waited_ms: waited.as_millis() as u64 });
                waited = Duration::ZERO;
                continue;
            }
            tokio::time::sleep(BUSY_PAUSE).await;
            waited += BUSY_PAUSE;
        }
    }

    /// Locks all of `keys`, for operations that must take effect together.
    ///
    /// # Errors
    /// The store's failure, or that it stayed without room.
    pub async fn lock(&self, keys: &KeySet) -> Result<Locked<'_>, Failure> {
        let mut fetched = Vec::new();
        let mut waited = Duration::ZERO;
        loop {
            let cold = match self.replica.lock(keys, &fetched)? {
                Locking::Ready(locked) => return Ok(locked),
                Locking::Cold(cold) => Some(cold),
                Locking::Busy => None,
            };
            match cold {
                Some(cold) => fetched = self.fetch(cold).await?,
                None if waited >= BUSY_LIMIT => return Err(Failure::Busy { waited_ms: waited.as_millis() as u64 }),
                None => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                    waited += BUSY_PAUSE;
                }
            }
        }
    }

    /// Carries out operations under locks; they cannot have to wait.
    pub fn advance_locked(&self, locked: &mut Locked<'_>, batch: &mut Batch, input: &[u8]) {
        while batch.done < batch.operations.len() {
            let operation = batch.operations[batch.done];
            match self.replica.apply_locked(locked, &operation, batch.parts(input)) {
                Applied::Done { outcome, position } => batch.finish_operation(outcome, position),
                Applied::Failed(failure) => batch.fail_operation(failure),
                Applied::Cold | Applied::Busy | Applied::Global => {
                    unreachable!("every key is warm and locked, and operations on whole databases run unlocked")
                }
            }
        }
    }

    async fn fetch(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Fetched>, Failure> {
        let replica = Arc::clone(&self.replica);
        self.on_pool(move || replica.fetch(keys)).await
    }

    async fn on_pool<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // Shared, because a full queue drops the box it was offered.
        let job = Arc::new(Mutex::new(Some(job)));
        let mut waited = Duration::ZERO;
        loop {
            let (sender, receiver) = oneshot::channel();
            let offered = Arc::clone(&job);
            let queued = self.pool.run(Box::new(move || {
                let run = offered.lock().take();
                if let Some(run) = run {
                    drop(sender.send(run()));
                }
            }));
            if queued.is_ok() {
                return receiver.await.unwrap_or_else(|_| Err(Failure::Stopping));
            }
            if waited >= BUSY_LIMIT {
                return Err(Failure::Busy { waited_ms: waited.as_millis() as u64 });
            }
            tokio::time::sleep(BUSY_PAUSE).await;
            waited += BUSY_PAUSE;
        }
    }
}

impl Batch {
    fn finish_operation(&mut self, outcome: Outcome, position: Stamp) {
        self.outcomes[self.done] = outcome;
        self.position = self.position.max(position);
        self.done += 1;
    }

    fn fail_operation(&mut self, failure: Failure) {
        self.failures.push(failure);
        self.outcomes[self.done] = Outcome::Failed(self.failures.len() - 1);
        self.done += 1;
    }
}
