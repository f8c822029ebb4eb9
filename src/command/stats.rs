//! What `INFO commandstats` tells: calls, time, rejected and failed calls of every command.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::command::lookup::{self, Resolved};

/// Counters of all commands, indexed by [`Resolved::index`].
pub struct Stats {
    commands: Vec<CommandStats>,
}

/// Counters of one command.
#[derive(Default)]
pub struct CommandStats {
    /// Calls that were carried out.
    pub calls: AtomicU64,
    /// Their time in microseconds; a batch's time is shared equally by its commands.
    pub microseconds: AtomicU64,
    /// Calls refused before or while they were planned.
    pub failed: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats { commands: lookup::all().map(|_| CommandStats::default()).collect() }
    }
}

impl Stats {
    /// Counts a call that took `share_us`.
    #[inline]
    pub fn count(&self, resolved: Resolved, share_us: u64) {
        if let Some(stats) = self.commands.get(resolved.index) {
            stats.calls.fetch_add(1, Ordering::Relaxed);
            stats.microseconds.fetch_add(share_us, Ordering::Relaxed);
        }
    }

    /// Counts a call that was refused.
    pub fn count_failed(&self, resolved: Resolved) {
        if let Some(stats) = self.commands.get(resolved.index) {
            stats.calls.fetch_add(1, Ordering::Relaxed);
            stats.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Full name (`config|get`) and counters of every command.
    pub fn iter(&self) -> impl Iterator<Item = (String, &CommandStats)> {
        lookup::all().zip(&self.commands).map(|((container, command), stats)| {
            let name = container.map_or_else(|| command.name.to_owned(), |above| format!("{above}|{}", command.name));
            (name, stats)
        })
    }

    /// Calls of all commands.
    pub fn total_calls(&self) -> u64 {
        self.commands.iter().map(|stats| stats.calls.load(Ordering::Relaxed)).sum()
    }

    /// Back to zero (`CONFIG RESETSTAT`).
    pub fn reset(&self) {
        for stats in &self.commands {
            stats.calls.store(0, Ordering::Relaxed);
            stats.microseconds.store(0, Ordering::Relaxed);
            stats.failed.store(0, Ordering::Relaxed);
        }
    }
}
