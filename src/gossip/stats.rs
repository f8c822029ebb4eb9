//! What gossip has done, counted as it happens.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, for as long as the node runs.
#[derive(Debug, Default)]
pub(super) struct Stats {
    rounds: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

/// The counters at one moment; bytes are those of gossip itself, without frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Rounds begun.
    pub rounds: u64,
    /// Messages sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Exchanges that ended without an answer.
    pub unanswered: u64,
    /// Messages that were none.
    pub unreadable: u64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a round, and says how many there were before it.
    pub(super) fn begin_round(&self) -> u64 {
        self.rounds.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        Stats::add(&self.sent);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_received(&self, bytes: usize) {
        Stats::add(&self.received);
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> Counted {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            rounds: get(&self.rounds),
            sent: get(&self.sent),
            sent_bytes: get(&self.sent_bytes),
            received: get(&self.received),
            received_bytes: get(&self.received_bytes),
            unanswered: get(&self.unanswered),
            unreadable: get(&self.unreadable),
        }
    }
}
