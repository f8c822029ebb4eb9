//! How many answers are enough: levels, what they require of an arc's replicas, and the cores of reads and writes.
//!
//! Read in this order: `level` (what a client says), `requirement` (what it means for one arc: how many members of which
//! list, and whom to ask), `seating` (from a topology to that), `query` and `write` (the two rounds of a write), `digest` and `read` (a read and its write-back),
//! `hedge` (when to ask one more), `shortfall` (what is said when it is not enough).
//!
//! A core is a plain value. It is told what came (an answer, a failure, another epoch) and says what is to be done next; in
//! the end it names a final action. Whether enough has come has three values, [`Standing`]: not yet, met, out of reach.
//!
//! Invariant: quorums are counted on the preference list, never on the nodes that are up.
//! Invariant: while an arc moves, every count is reached in the old list and in the new one; a member of both counts in both.
//! Invariant: a member counts once however often it answers, and what comes from another epoch counts for nothing.
//!
//! Left out on purpose: sockets, deadlines, clocks (the caller says that time is over), node names (a [`Names`] gives them),
//! and who is near (the caller lists members nearest first).
//!
//! Source: Gifford, "Weighted Voting for Replicated Data" (1979); Attiya, Bar-Noy, Dolev, "Sharing Memory Robustly in
//! Message-Passing Systems" (1995), in the form for many writers: query, then a greater tag; reads write back.

mod digest;
mod hedge;
mod level;
mod members;
mod query;
mod read;
mod requirement;
mod seating;
mod shortfall;
mod write;

#[cfg(test)]
mod tests;

pub use digest::{Digest, LiveDot};
pub use hedge::{HEDGE_PERCENT, HedgeBudget};
pub use level::{Level, LevelError};
pub use members::{MAX_MEMBERS, MemberSet};
pub use query::{Contexts, QueryAction, QueryAnswer, QueryQuorum};
pub use read::{Ask, Form, ReadAction, ReadQuorum, Reading};
pub use requirement::{Dc, Lists, Requirement, Seat, Standing};
pub use seating::Seating;
pub use shortfall::{List, Names, Numbered, Purpose, Scope, Stage, Timeout, Unavailable};
pub use write::{WriteAction, WriteQuorum};
