//! Which nodes hold an arc: now, and after a move.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::types::{Epoch, NodeNumber};

/// A node's place in a preference list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The node.
    pub node: NodeNumber,
    /// The epoch from which it has been on the arc's list without a break. What it stored of the arc before is worthless:
    /// a node that remembers another epoch drops the arc's range and starts as a pending member.
    pub since: Epoch,
}

/// A preference list: distinct nodes, data centre by data centre in the order of their names, and in each the one first that
/// is shown to Redis clients as the master.
pub type Replicas = SmallVec<[Replica; 3]>;

/// Who holds an arc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcPlacement {
    /// The preference list; while the arc moves, the old one.
    pub replicas: Replicas,
    /// While the arc moves: the new list, which may share nodes with the old.
    pub next: Option<Replicas>,
    /// The epoch that last changed who is on the lists; while the arc moves, the one that began the move.
    pub changed: Epoch,
}

impl ArcPlacement {
    /// Whether the arc is on its way to another list.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.next.is_some()
    }

    /// The list that holds once the arc no longer moves.
    #[must_use]
    pub fn target(&self) -> &Replicas {
        self.next.as_ref().unwrap_or(&self.replicas)
    }

    /// Whether `node` is on the list, or on one of them while the arc moves.
    #[inline]
    #[must_use]
    pub fn holds(&self, node: NodeNumber) -> bool {
        self.since(node).is_some()
    }

    /// Since when `node` is on the list, or on one of them; `None` if it is on none.
    #[inline]
    #[must_use]
    pub fn since(&self, node: NodeNumber) -> Option<Epoch> {
        let both = self.replicas.iter().chain(self.next.iter().flatten());
        both.into_iter().find(|replica| replica.node == node).map(|replica| replica.since)
    }

    /// Whether `node` is to get the arc but has not been on the old list.
    #[must_use]
    pub fn is_pending(&self, node: NodeNumber) -> bool {
        self.holds(node) && !lists(&self.replicas, node)
    }

    /// Whether `node` is on the old list and not on the new one.
    #[must_use]
    pub fn is_leaving(&self, node: NodeNumber) -> bool {
        lists(&self.replicas, node) && !lists(self.target(), node)
    }

    /// Every node that is on a list, each once, those of the old list first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeNumber> + '_ {
        let fresh = self.next.iter().flatten().filter(|replica| !lists(&self.replicas, replica.node));
        self.replicas.iter().chain(fresh).map(|replica| replica.node)
    }
}

/// Whether `node` is on `list`.
pub(super) fn lists(list: &[Replica], node: NodeNumber) -> bool {
    list.iter().any(|replica| replica.node == node)
}
