//! Carries out a batch of operations: on this node's replica, waiting only where a device or memory makes it wait.
//!
//! With one replica the coordinator is a branch, not a future: [`Coordinator::advance`] runs operations until one cannot
//! go on, [`Coordinator::carry_on`] waits for what that one needs. Cold keys of a batch are one sorted job of the pool.
//!
//! Invariant: operations of a batch take effect in order, each exactly once; one that has to wait has done nothing.
//! Invariant: whoever waits for the disk fetches at least the record that the next operation needs, so each round gets on.
//! Invariant: no lock is held across an await; [`Locked`] is made and used between two of them.

mod batch;
mod cluster;
mod commit;
mod forward;
mod global;
mod member;
mod replicated;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use batch::{Batch, Carried, Levels, Lookups};
pub use cluster::{Answering, Cluster, ClusterOptions, ClusterParts, ClusterStats, KeepHints, Members, View};
pub use commit::CommitQueue;
pub use forward::Replies;
pub use member::MemberService;

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
    // None while the node is alone.
    cluster: Option<Arc<Cluster>>,
}

impl Coordinator {
    /// A coordinator over this node's replica, which is alone.
    #[must_use]
    pub fn new(replica: Arc<Replica>, pool: Arc<dyn Pool>) -> Self {
        Coordinator { replica, pool, cluster: None }
    }

    /// A coordinator of a node that is a member of `cluster`.
    #[must_use]
    pub fn of_cluster(replica: Arc<Replica>, pool: Arc<dyn Pool>, cluster: Arc<Cluster>) -> Self {
        Coordinator { replica, pool, cluster: Some(cluster) }
    }

    /// The cluster, unless this node is alone.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// This node's replica.
    #[must_use]
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Carries out operations in order until `until`, or until one has to wait.
    #[inline]
    pub fn advance(&self, batch: &mut Batch, input: &[u8], until: usize) -> Advanced {
        if self.cluster.is_some() {
            return if batch.done < until { Advanced::Waiting } else { Advanced::Done };
        }
        if self.run(batch, input, until).is_none() { Advanced::Done } else { Advanced::Waiting }
    }

    /// Carries out operations in order until `until`; what the next one waits for, if it has to.
    #[inline]
    fn run(&self, batch: &mut Batch, input: &[u8], until: usize) -> Option<Want> {
        while batch.done < until {
            let operation = batch.operations[batch.done];
            match self.replica.apply(&operation, batch.parts(input)) {
                Applied::Done { outcome, position } => batch.finish_operation(outcome, position),
                Applied::Failed { failure, position } => {
                    batch.raise_position(position);
                    batch.fail_operation(failure);
                }
                Applied::Cold => return Some(Want::Record),
                Applied::Busy => return Some(Want::Room),
                Applied::Global => return Some(Want::Pool),
            }
        }
        None
    }

    /// Carries out operations in order until `until`, waiting where needed.
    pub async fn carry_on(&self, batch: &mut Batch, input: &[u8], until: usize) {
        match &self.cluster {
            Some(cluster) => Box::pin(self.replicate(cluster, batch, input, until)).await,
            None => self.carry_on_here(batch, input, until).await,
        }
    }

    /// Carries out operations on this node's replica alone.
    async fn carry_on_here(&self, batch: &mut Batch, input: &[u8], until: usize) {
        let mut patience = Patience::default();
        while let Some(want) = self.run(batch, input, until) {
            match want {
                Want::Pool => {
                    let operation = batch.operations[batch.done];
                    self.run_global(batch, input, operation).await;
                }
                Want::Record => self.warm(batch, input).await,
                Want::Room => {
                    if let Err(failure) = patience.wait_for(batch.done).await {
                        batch.fail_operation(failure);
                    }
                }
            }
        }
    }

    /// Fetches the record of the next operation, and those of the operations after it that are cold too.
    async fn warm(&self, batch: &mut Batch, input: &[u8]) {
        let ahead = batch.operations.len().min(batch.done + FETCH_KEYS);
        let mut cold = self.replica.cold_keys(&batch.operations[batch.done..ahead], input, &batch.arena);
        let mut fetched = self.fetch_some(cold.clone()).await;
        if fetched.is_err() && cold.len() > 1 {
            // The damage may be at another key, whose own operation will tell.
            cold.truncate(1);
            fetched = self.fetch_some(cold).await;
        }
        match fetched {
            Ok(fetched) => batch.fetched = fetched,
            Err(failure) => batch.fail_operation(failure),
        }
    }

    /// Locks all of `keys`, for operations that must take effect together.
    ///
    /// # Errors
    /// The store's failure, or that it stayed without room.
    pub async fn lock(&self, keys: &KeySet) -> Result<Locked<'_>, Failure> {
        let mut fetched = Vec::new();
        let mut patience = Patience::default();
        loop {
            let cold = match self.replica.lock(keys, &fetched)? {
                Locking::Ready(locked) => return Ok(locked),
                Locking::Cold(cold) => Some(cold),
                Locking::Busy => None,
            };
            match cold {
                Some(cold) => fetched = self.fetch(cold).await?,
                None => patience.wait().await?,
            }
        }
    }

    /// Carries out operations under locks; they cannot have to wait.
    pub fn advance_locked(&self, locked: &mut Locked<'_>, batch: &mut Batch, input: &[u8]) {
        while batch.done < batch.operations.len() {
            let operation = batch.operations[batch.done];
            match self.replica.apply_locked(locked, &operation, batch.parts(input)) {
                Applied::Done { outcome, position } => batch.finish_operation(outcome, position),
                Applied::Failed { failure, position } => {
                    batch.raise_position(position);
                    batch.fail_operation(failure);
                }
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

    async fn fetch_some(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Fetched>, Failure> {
        let replica = Arc::clone(&self.replica);
        self.on_pool(move || replica.fetch_some(&keys)).await
    }

    async fn on_pool<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // Shared, because a full queue drops the box it was offered.
        let job = Arc::new(Mutex::new(Some(job)));
        let mut patience = Patience::default();
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
            patience.wait().await?;
        }
    }
}

/// What an operation waits for.
enum Want {
    /// Its record, from disk.
    Record,
    /// Room in memory.
    Room,
    /// A thread of the pool.
    Pool,
}

/// Waits for room, as long as is bearable.
#[derive(Default)]
struct Patience {
    waited: Duration,
    operation: usize,
}

impl Patience {
    /// Waits a little for `operation`; each has its own patience.
    async fn wait_for(&mut self, operation: usize) -> Result<(), Failure> {
        if self.operation != operation {
            *self = Patience { waited: Duration::ZERO, operation };
        }
        self.wait().await
    }

    /// Waits a little.
    async fn wait(&mut self) -> Result<(), Failure> {
        if self.waited >= BUSY_LIMIT {
            return Err(Failure::Busy { waited_ms: self.waited.as_millis() as u64 });
        }
        tokio::time::sleep(BUSY_PAUSE).await;
        self.waited += BUSY_PAUSE;
        Ok(())
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

#[cfg(test)]
mod tests;
