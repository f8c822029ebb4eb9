//! Who this node is to its peers, and who they are.

use parking_lot::Mutex;

use crate::ledger::Secret;
use crate::types::{ClusterId, NodeId};

/// What a node tells of itself, and what it proves.
#[derive(Clone, Copy)]
pub struct Identity {
    /// Its name.
    pub node: NodeId,
    /// Its cluster; none before it has founded or joined one.
    pub cluster: Option<ClusterId>,
    /// What both ends must know if both are in a cluster.
    pub secret: Secret,
    /// What both must know if one of them is in none yet: a founding hands out the secret, so who comes to it cannot have it.
    pub door: Secret,
}

impl Identity {
    /// What this node and `other` have to prove that they know.
    pub(super) fn shared_with(&self, other: &Remote) -> Secret {
        if self.cluster.is_some() && other.cluster.is_some() { self.secret } else { self.door }
    }
}

/// This node's identity, which changes once: when it founds or joins a cluster.
pub struct Local {
    identity: Mutex<Identity>,
}

impl Local {
    /// A node that is `identity`.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Local { identity: Mutex::new(identity) }
    }

    /// What it is now.
    #[must_use]
    pub fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// Says that the node belongs to `cluster` now; connections that stand go on.
    pub fn belongs_to(&self, cluster: ClusterId, secret: Secret) {
        let mut identity = self.identity.lock();
        identity.cluster = Some(cluster);
        identity.secret = secret;
    }
}

/// The other end of a connection, as it has proved to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub node: NodeId,
    /// Its cluster; none if it has yet to found or join one.
    pub cluster: Option<ClusterId>,
}
