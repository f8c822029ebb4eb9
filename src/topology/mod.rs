//! Which topology holds: the value that this node goes by, how the next one is agreed on, and how a cluster begins.
//!
//! Each epoch is one instance of [`crate::paxos`]; the keepers that the topology names decide the next one. Read `current`
//! (the value), `message` (what is said), `agreement` (votes and adoption), `propose` (a change made to hold), `follow`
//! (keeping up with the others); then `gathering`, `founding` and `joining` (from a candidate to a member).
//!
//! Invariant: what [`Current`] shows is durable, and was decided; it only goes forward.
//! Invariant: a vote is durable before it is given ([`crate::ledger`]), and forgotten with the topology it was about.
//! Invariant: a node adopts a topology on disk first, then in its store ([`Adopter`]), and then in the sight of others.
//!
//! Left out: what a change does to the ring ([`crate::ring`]), moving data between nodes, who is down (the failure detector
//! decides; here only connections count).

mod agreement;
mod current;
mod error;
mod follow;
mod founding;
mod gathering;
mod joining;
mod message;
mod propose;
#[cfg(test)]
mod tests;

pub use agreement::{Adopter, Agreement, AgreementParts};
pub use current::Current;
pub use error::Error;
pub use founding::Founding;
pub use gathering::{FRESH, Gathering, MAX_SKEW};
pub use joining::{JoinError, JoinState, join};
pub use message::{Answer, Application, Reception, Request, TOPIC, Welcome};
