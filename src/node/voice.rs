//! What a node tells the others of itself through gossip, and what it makes of what they tell.

use crate::gossip::{Disk, Event, Load, Measured, Owner};
use crate::node::admin::NodeAdmin;
use crate::types::NodeId;

impl Owner for NodeAdmin {
    fn measure(&self) -> Measured {
        let load = Load { commands_per_second: self.rate(), connections: self.registry.list().len() as u64 };
        let stats = self.replica.engine().stats();
        let used_bytes = stats.levels.iter().map(|level| level.bytes).sum();
        let free_bytes = self.env.disk.free_bytes(self.identity.data.as_ref()).ok();
        let disk = free_bytes.map(|free_bytes| Disk { used_bytes, free_bytes });
        Measured { load: Some(load), disk, hints: None }
    }

    fn is_behind(&self, node: NodeId) {
        self.agreement.note_ahead(node);
    }

    /// The view is enough for those who want to know; nothing waits for these.
    fn note(&self, _: &Event) {}
}
