//! One agreed value per epoch: single-decree Paxos, as plain values.
//!
//! An *instance* decides the one value that becomes an epoch. Its acceptors are the keepers of the epoch before; whoever
//! wants a change proposes. A value is opaque bytes here. Read `message` (what travels), `acceptor` (what a keeper must
//! never forget), `proposer` (rounds, majorities, duels), `format` (an acceptor's bytes in the ledger).
//!
//! How a driver uses them:
//!
//! - A keeper hands each [`Request`] of its instance to [`Acceptor::receive`]. [`Verdict::Answer`] may be sent at once;
//!   [`Verdict::Sync`] has the acceptor's next state and an answer, and **the answer may leave only after that state is
//!   fsynced**, in every durability mode. The acceptor itself never changes, so that it cannot run ahead of the disk.
//! - A node that knows the decided value of an instance answers every request of it with [`Decided`], and never votes in it
//!   again. The state of an instance is dropped, for [`Acceptor::new`] of the next one, only after the value that it decided
//!   is fsynced.
//! - A proposer sends the request of [`Proposer::start`] to all keepers and hands in what comes back. When it is told to
//!   retry, or its patience ends, it waits for [`Proposer::back_off`] and starts again.
//! - If the value that was decided is not its own, it makes a new one from what was decided, for the next instance.
//!
//! Invariant (agreement): no two values are decided in one instance, whatever is lost, doubled, reordered or crashes, as
//! long as what was synced is there again after a crash. An acceptor whose disk was replaced is another acceptor, with
//! another id.
//! Invariant (validity): what is decided was proposed.
//! Invariant: a proposer may forget everything. An acceptor promises a ballot at most once, so a proposer that came back
//! and begins with a ballot it used before gets no second majority of promises for it.
//!
//! Left out on purpose: who the keepers are, which instance is the current one, sending, timers, what the values say.
//! Nothing here draws random numbers or iterates a randomly seeded map: the same calls give the same run.
//!
//! Source: Lamport, "Paxos Made Simple" (2001). The rules, and what breaks without each, were model-checked with two
//! epochs, two proposers, four acceptors, crashes and lost disks; `tests/schedules.rs` has the classic failures by name.

mod acceptor;
mod format;
mod message;
mod proposer;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, Verdict};
pub use format::FormatError;
pub use message::{
    Accept, Accepted, Answer, Ballot, Decided, MAX_KEEPERS, MAX_VALUE_BYTES, Prepare, Promise, Refused, Request, Value,
    ValueTooLong,
};
pub use proposer::{MAX_BACK_OFF, MIN_BACK_OFF, Progress, Proposer};
