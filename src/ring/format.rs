//! The bytes of a topology, as consensus decides, nodes exchange and the ledger keeps them.
//!
//! ```text
//! version u8 | body
//!
//! body, by postcard: integers as varints, sequences and texts with their length before them, options behind 0 or 1
//!     cluster 20 | arcs u16 | N u8 | epoch | members | next number u16 | removed ids | keepers | placements | flushes
//!     member      number u16 | id 20 | name | dc | zone | weight u32 | peer | clients | option of http | leaving 0 or 1
//!     address     0: four bytes, 1: sixteen bytes; port u16
//!     placement   replicas | option of the new replicas | changed, an epoch
//!     replica     node number u16 | since, an epoch
//!     flush       database u8 | time u64
//! ```
//!
//! Members ascend by number, removed ids, keepers and flushes by themselves; so a topology has one encoding. Whoever keeps
//! or sends the bytes adds a checksum. A reader looks at the version first, so that a later one is told from damage.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ring::{ArcPlacement, Member, Replica, Topology, validate};
use crate::types::{ArcLayout, ClusterId, Database, Epoch, NodeId, NodeNumber};

/// The format that this code writes, and the latest that it reads.
const VERSION: u8 = 1;

/// Longest encoding that is read: several times that of a thousand nodes with 16,384 arcs on the move.
pub const MAX_TOPOLOGY_BYTES: usize = 16 << 20;

/// Why bytes are no topology.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They were written by a later version.
    #[error("the topology has format {version}, and this version of annulus reads up to {VERSION}; upgrade this node")]
    Future {
        /// The format's version.
        version: u8,
    },
    /// They are too long, cut short or something else.
    #[error("the topology cannot be read: {0}")]
    Malformed(&'static str),
    /// They say what cannot be.
    #[error("the topology contradicts itself: {0}")]
    Invalid(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Body {
    cluster: ClusterId,
    arcs: u16,
    replicas: u8,
    epoch: Epoch,
    members: Vec<Member>,
    next_number: u16,
    removed: Vec<NodeId>,
    keepers: Vec<NodeNumber>,
    placements: Vec<Placement>,
    flushes: Vec<(Database, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Placement {
    replicas: Vec<Replica>,
    next: Option<Vec<Replica>>,
    changed: Epoch,
}

impl Topology {
    /// The bytes that say this topology.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let placement = |arc: &ArcPlacement| Placement {
            replicas: arc.replicas.to_vec(),
            next: arc.next.as_ref().map(|next| next.to_vec()),
            changed: arc.changed,
        };
        let body = Body {
            cluster: self.cluster,
            arcs: self.layout.arcs(),
            replicas: self.replicas,
            epoch: self.epoch,
            members: self.members.clone(),
            next_number: self.next_number,
            removed: self.removed.iter().copied().collect(),
            keepers: self.keepers.clone(),
            placements: self.arcs.iter().map(placement).collect(),
            flushes: self.flushes.iter().map(|(&database, &time)| (database, time)).collect(),
        };
        postcard::to_extend(&body, vec![VERSION]).expect("a vector takes whatever is written to it")
    }

    /// Reads a topology.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are of a later version, or do not say a topology that can be.
    pub fn decode(bytes: &[u8]) -> Result<Topology, DecodeError> {
        if bytes.len() > MAX_TOPOLOGY_BYTES {
            return Err(DecodeError::Malformed("it is longer than 16 MiB"));
        }
        let body = match bytes.split_first() {
            Some((&VERSION, body)) => body,
            Some((0, _)) | None => return Err(DecodeError::Malformed("it has no version")),
            Some((&version, _)) => return Err(DecodeError::Future { version }),
        };
        match postcard::take_from_bytes::<Body>(body) {
            Ok((body, [])) => body.topology().map_err(DecodeError::Invalid),
            Ok(_) => Err(DecodeError::Malformed("there are bytes behind its end")),
            Err(_) => Err(DecodeError::Malformed("it is cut short or damaged")),
        }
    }
}

impl Body {
    fn topology(self) -> Result<Topology, &'static str> {
        let placement = |placement: Placement| ArcPlacement {
            replicas: placement.replicas.into(),
            next: placement.next.map(Into::into),
            changed: placement.changed,
        };
        let is_ordered = self.removed.is_sorted_by(|a, b| a < b) && self.flushes.is_sorted_by(|a, b| a.0 < b.0);
        let topology = Topology {
            cluster: self.cluster,
            layout: ArcLayout::new(self.arcs).map_err(|_| "no ring has so many arcs")?,
            replicas: self.replicas,
            epoch: self.epoch,
            members: self.members,
            next_number: self.next_number,
            removed: self.removed.into_iter().collect::<BTreeSet<_>>(),
            keepers: self.keepers,
            arcs: self.placements.into_iter().map(placement).collect(),
            flushes: self.flushes.into_iter().collect::<BTreeMap<_, _>>(),
        };
        let flaw = if is_ordered { validate::flaw(&topology) } else { Some("a list is out of order") };
        flaw.map_or(Ok(topology), Err)
    }
}
