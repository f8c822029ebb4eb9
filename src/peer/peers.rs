//! All peers that this node asks, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::peer::{Parts, Peer, Status, Target};
use crate::types::NodeId;

/// The peers of a node: read by every batch, changed by a new topology.
pub struct Peers {
    parts: Parts,
    known: ArcSwap<BTreeMap<NodeId, Arc<Peer>>>,
    /// Held while the set is changed.
    changing: Mutex<()>,
}

impl Peers {
    /// No peers yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Peers { parts, known: ArcSwap::default(), changing: Mutex::default() }
    }

    /// The peer `node`, if it is one.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<Arc<Peer>> {
        self.known.load().get(node).map(Arc::clone)
    }

    /// Makes these the peers, with their addresses: connections to them that stand are kept, others end. Must be called on
    /// the runtime that is to serve the connections.
    pub fn keep(&self, targets: &BTreeMap<NodeId, std::net::SocketAddr>) {
        let _changing = self.changing.lock();
        let known = self.known.load_full();
        let own = self.parts.local.identity().node;
        let others = targets.iter().filter(|(node, _)| **node != own);
        let kept = others.map(|(node, address)| {
            let target = Target { node: Some(*node), address: *address };
            let standing = known.get(node).filter(|peer| peer.target() == target);
            let peer = standing.map_or_else(|| Arc::new(Peer::start(self.parts.clone(), target)), Arc::clone);
            (*node, peer)
        });
        self.known.store(Arc::new(kept.collect()));
    }

    /// What can be told of each.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.known.load().values().map(|peer| peer.status()).collect()
    }
}
