//! The topology that this node goes by: one shared value, read by every batch and changed by an adoption.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::paxos::{Decided, Value};
use crate::ring::Topology;
use crate::types::Epoch;

/// The topology that this node goes by.
///
/// Invariant: it only goes forward, and whatever is seen here is durable in the ledger.
pub struct Current {
    shown: ArcSwap<Shown>,
    changes: watch::Sender<Arc<Topology>>,
}

/// A topology with its bytes, so that they are made once however many nodes are told.
struct Shown {
    topology: Arc<Topology>,
    encoded: Value,
}

impl Current {
    /// Goes by `topology`, whose bytes are `encoded`.
    #[must_use]
    pub(super) fn new(topology: Arc<Topology>, encoded: Value) -> Self {
        let (changes, _) = watch::channel(Arc::clone(&topology));
        Current { shown: ArcSwap::from_pointee(Shown { topology, encoded }), changes }
    }

    /// The topology. Never waits.
    #[must_use]
    pub fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.shown.load().topology)
    }

    /// Its number. Never waits.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shown.load().topology.epoch()
    }

    /// Its bytes, as other nodes are told them.
    #[must_use]
    pub fn decided(&self) -> Decided {
        let shown = self.shown.load();
        Decided { instance: shown.topology.epoch(), value: shown.encoded.clone() }
    }

    /// Sees every change from now on, or the last of several; the one that holds now counts as seen.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Topology>> {
        self.changes.subscribe()
    }

    /// Shows a topology that is durable.
    ///
    /// # Panics
    /// If it is not newer.
    pub(super) fn show(&self, topology: Arc<Topology>, encoded: Value) {
        assert!(topology.epoch() > self.epoch(), "the topology goes back");
        self.shown.store(Arc::new(Shown { topology: Arc::clone(&topology), encoded }));
        self.changes.send_replace(topology);
    }
}
