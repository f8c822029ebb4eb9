//! The ring: who is in the cluster and which nodes hold which arc, as a value with a number, and how the next one is made.
//!
//! Layer 2: plain values, no clock, no IO. Which topology is the cluster's is decided elsewhere; this module only says what
//! follows from a topology and a wish ([`Change`]), and it says the same on every node.
//!
//! Reading order: `member.rs`, `arc.rs`, `topology.rs`: the value and what may be asked of it; `change.rs`: what may be asked
//! for.

mod arc;
mod change;
mod member;
mod topology;

pub use arc::{ArcPlacement, Replica, Replicas};
pub use change::{Change, Refused, Settled};
pub use member::{Candidate, MAX_NAME_BYTES, MAX_WEIGHT, Member};
pub use topology::{Share, Topology};
