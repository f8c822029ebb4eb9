//! Gossip: who is up, and what each node tells of itself. The driver of [`crate::membership`].
//!
//! Read `told` (values that nodes tell), `view` (what the rest of the node sees), `owner` (what it is asked and told),
//! `driver` (a round each second, the messages of others, connections), `publish` (from what is known to what is shown).
//!
//! An exchange is a request and its answer, both cold messages of [`TOPIC`]: `Open` is answered with `Reply`. A `Close`, if
//! there is one, is a request of its own whose empty answer nobody waits for.
//!
//! Invariant: who is a member and where, the topology says. All members are known by their addresses, and each is tried in
//! turn however long it was silent, so that there are no seeds to ask.
//! Invariant: a [`View`] is a value that never waits. One task tells every [`Event`], so that they come in order; what
//! changes between two rounds (a connection, an accusation) is shown as soon as that task runs.
//! Invariant: a node is said to be down once, and said to be back once it is up without any accuser.
//!
//! Lock order: the state, then nothing; the owner is called with it released.
//!
//! Left out: connecting ([`crate::peer`]), what follows from a node being down.

mod driver;
mod owner;
mod publish;
mod stats;
#[cfg(test)]
mod tests;
mod told;
mod view;

pub use driver::{Around, Gossip, INTERVAL, Parts};
pub use owner::{Event, Owner};
pub use stats::Counted;
pub use told::{Disk, Hints, Load, Measured};
pub use view::{Figures, NodeView, View};

/// The topic of its cold messages.
pub const TOPIC: u8 = 2;
