//! What a new topology changes on this node before anybody sees it.

use std::sync::{Arc, OnceLock};

use crate::causality::Time;
use crate::coordinator::Cluster;
use crate::replica::Replica;
use crate::ring::Topology;
use crate::topology::Adopter;

/// Makes this node's replica go by a topology.
pub(super) struct Adoption {
    pub(super) replica: Arc<Replica>,
    /// The cluster as the coordinator sees it, once it does.
    pub(super) cluster: Arc<OnceLock<Arc<Cluster>>>,
}

impl Adopter for Adoption {
    fn adopt(&self, topology: &Topology) -> Result<(), String> {
        // A store that failed can carry nothing out; the node is about to stop, and its next start asks again.
        self.replica.failure().map_or(Ok(()), Err)?;
        let flushes = topology.flushes().iter().map(|(database, time)| (*database, Time(*time)));
        self.replica.adopt_flushes(flushes).map_err(|failure| failure.to_string())?;
        if let Some(cluster) = self.cluster.get() {
            cluster.adopt(Arc::new(topology.clone()));
        }
        Ok(())
    }
}
