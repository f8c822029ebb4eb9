//! When what was appended becomes durable: the commit thread, and the calls that write or wait for it.
//!
//! At `sync` the thread writes and syncs what has gathered. Clients that were answered come back with their next writes
//! together, so after a sync it lingers until about 90 % of the last group is back, at most a quarter of a sync and 2 ms:
//! groups stay large without a pause for the first. At the other modes reactors write for themselves (a wake-up costs more
//! than the write) and the thread syncs each second or 4 MB, or never.
//!
//! Invariant: a record that was appended before `request_sync` is never left waiting: the thread says at which record it
//! wants to be woken and looks once more before it sleeps; both sides put a fence between their store and their load.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::env::Step;
use crate::storage::engine::{DurableHook, Engine, RETRY, Shared};
use crate::storage::error::Error;
use crate::storage::options::Durability;
use crate::types::Stamp;

/// Longest wait for the last group to come back.
const LINGER_LIMIT: Duration = Duration::from_millis(2);
/// How long at most data waits for its sync at `everysec`.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Unsynced bytes that start a sync at `everysec`.
const SYNC_BYTES: u64 = 4 << 20;

impl Engine {
    /// Hands everything appended to the operating system; for reactors, at durability other than `Sync`.
    ///
    /// # Errors
    /// `Full`: what was appended waits, and is written once there is space. `Io`, `Poisoned`: writing has ended.
    pub fn write_out(&self) -> Result<Stamp, Error> {
        let shared = &*self.shared;
        let written = shared.log.write_out()?;
        if shared.options.durability == Durability::EverySec && written - shared.log.synced() >= SYNC_BYTES {
            shared.wake_commit();
        }
        Ok(Stamp(written))
    }

    /// Asks for a sync of everything appended; the hook tells when it is done. For durability `Sync`.
    #[inline]
    pub fn request_sync(&self) {
        fence(Ordering::SeqCst);
        if self.shared.log.records() >= self.shared.commit_target.load(Ordering::SeqCst) {
            self.shared.wake_commit();
        }
    }

    /// Sets what the commit thread calls after each sync, and after one that failed: then [`Engine::writable`] tells why.
    pub fn on_durable(&self, hook: DurableHook) {
        *self.shared.hook.write() = Some(hook);
    }

    /// Waits until `stamp` is on stable storage, in every mode. May wait: only on the pool.
    ///
    /// # Errors
    /// As [`Engine::write_out`].
    pub fn sync_to(&self, stamp: Stamp) -> Result<(), Error> {
        if self.shared.log.synced() < stamp.0 {
            self.shared.log.sync()?;
        }
        Ok(())
    }
}

/// The commit thread's state.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    /// Records that the last group ended with.
    committed: u64,
    /// Records of the last group.
    group: u64,
    linger_until: Duration,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Committer { shared, committed: 0, group: 0, linger_until: Duration::ZERO }
    }

    /// One group, or the decision to wait.
    pub(crate) fn step(&mut self) -> Step {
        if self.shared.is_closing() {
            return Step::Done;
        }
        match self.shared.options.durability {
            Durability::Sync => self.group_step(),
            Durability::EverySec => self.interval_step(),
            Durability::None => self.leftover_step(),
        }
    }

    fn group_step(&mut self) -> Step {
        let log = &self.shared.log;
        let now = self.shared.env.clock.monotonic();
        let wanted = if now < self.linger_until { (self.group * 9 / 10).max(1) } else { 1 };
        let mut pending = self.pending_with_target(wanted);
        if pending == 0 {
            // No timer runs while idle, so the very next record has to wake this thread, linger or not.
            pending = self.pending_with_target(1);
        }
        if pending == 0 {
            return Step::Idle;
        }
        if pending < wanted && self.pending_with_target(wanted) < wanted {
            return Step::After(self.linger_until - now);
        }
        // Nobody needs to wake a thread that will look by itself.
        self.shared.commit_target.store(u64::MAX, Ordering::SeqCst);
        let records = log.records();
        if !self.sync() {
            return Step::After(RETRY);
        }
        let done = self.shared.env.clock.monotonic();
        self.group = records - self.committed;
        self.committed = records;
        self.linger_until = done + ((done - now) / 4).min(LINGER_LIMIT);
        Step::Again
    }

    /// Asks to be woken once `wanted` records are pending, and tells how many are.
    fn pending_with_target(&self, wanted: u64) -> u64 {
        self.shared.commit_target.store(self.committed + wanted, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.shared.log.records() - self.committed
    }

    fn interval_step(&mut self) -> Step {
        if self.shared.log.synced() == self.shared.log.appended() || self.sync() {
            return Step::After(SYNC_INTERVAL);
        }
        Step::After(RETRY)
    }

    /// Writes what no reactor wrote, or what found no space.
    fn leftover_step(&mut self) -> Step {
        match self.shared.log.write_out() {
            Ok(_) => {
                // Whoever could not write for lack of space waits for what was written now.
                self.tell_hook();
                Step::After(SYNC_INTERVAL)
            }
            Err(error) => {
                self.shared.note_error(&error);
                Step::After(RETRY)
            }
        }
    }

    fn sync(&self) -> bool {
        let synced = self.shared.log.sync();
        if let Err(error) = &synced {
            self.shared.note_error(error);
        }
        self.tell_hook();
        synced.is_ok()
    }

    fn tell_hook(&self) {
        let hook = self.shared.hook.read().clone();
        if let Some(hook) = hook {
            hook(self.shared.durable());
        }
    }
}
