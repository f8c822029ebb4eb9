//! The ring: who is in the cluster and which nodes hold which arc, as a value with a number, and how the next one is made.
//!
//! Layer 2: plain values, no clock, no IO. Which topology is the cluster's is decided elsewhere; this module only says what
//! follows from a topology and a wish ([`Change`]), and it says the same on every node.
//!
//! Reading order: `member.rs`, `arc.rs`, `topology.rs`: the value and what may be asked of it; `change.rs`: what may be asked
//! for; `apply.rs`: how it is made so; `keepers.rs`: who decides; `plan/`: where arcs should lie; `diff.rs`: what moves;
//! `format.rs`, `validate.rs`: its bytes, and what they must not say.

mod apply;
mod arc;
mod change;
mod diff;
mod format;
mod keepers;
mod member;
mod plan;
mod topology;
mod validate;

#[cfg(test)]
mod tests;

pub use apply::{MAX_MEMBERS, MAX_REPLICAS};
pub use arc::{ArcPlacement, Replica, Replicas};
pub use change::{Change, Refused, Settled};
pub use diff::Move;
pub use format::{DecodeError, MAX_TOPOLOGY_BYTES};
pub use member::{Candidate, MAX_NAME_BYTES, MAX_WEIGHT, Member};
pub use topology::{Share, Topology};
