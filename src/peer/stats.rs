//! What one peer's connection has done, counted as it happens.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::peer::Fault;

/// Counters, for as long as the node runs.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) connected: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) answers: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) overloaded: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections that came about.
    pub connected: u64,
    /// Requests sent, or received by the side that answers.
    pub requests: u64,
    /// Answers received, or sent.
    pub answers: u64,
    /// Requests that had no answer in time.
    pub timed_out: u64,
    /// Requests refused because the queue was full.
    pub overloaded: u64,
    /// Bytes written.
    pub sent_bytes: u64,
    /// Bytes read.
    pub received_bytes: u64,
    /// Connections that did not come about, with what kept them; only what happened.
    pub faults: Vec<(Fault, u64)>,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn count_fault(&self, fault: Fault) {
        if let Some(counter) = self.faults.get(usize::from(fault as u8)) {
            Stats::add(counter, 1);
        }
    }

    /// The counters now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let faults = Fault::ALL.into_iter().zip(self.faults.iter().map(get));
        Counted {
            connected: get(&self.connected),
            requests: get(&self.requests),
            answers: get(&self.answers),
            timed_out: get(&self.timed_out),
            overloaded: get(&self.overloaded),
            sent_bytes: get(&self.sent_bytes),
            received_bytes: get(&self.received_bytes),
            faults: faults.filter(|(_, count)| *count > 0).collect(),
        }
    }
}
