//! Records kept for members that were away when they were written, until they are delivered.
//!
//! A hint is what one member may lack of one key: all records that it missed, merged into one. Hints lie in an engine of
//! their own beside the store, so that they outlive a restart and so that their bytes are bounded by themselves.
//!
//! ```text
//! coordinator --keep--> engine (in memory: merged at once; on disk: queued) --page--> handoff --forget--> gone
//! ```
//!
//! Read in this order: `entry` (bytes), `accounts` (how much is kept for whom), `store` (the operations), `keeper` (work in
//! the background).
//!
//! Invariant: [`Hints::keep`] never waits for a device: a record that cannot be merged at once is queued for the keeper.
//! Invariant: whatever is not kept, or is given up before it was delivered, is counted and its arc marked: only a comparison
//! of the replicas finds it from then on. The marks are of this life; after a restart every arc is suspect anyway.
//! Invariant: a hint goes only when all that it says was delivered, or for its age.
//!
//! The age is counted from the last addition. It is only there so that what nobody will ever fetch goes some day: merging is
//! harmless however old a record is, because the receiver's fence refuses what was deleted everywhere.
//!
//! Lock order: a shard of the engine, then the accounts; the queue and the marks by themselves.
//! Left out: who is away, and the delivery (`repair`).

mod accounts;
mod entry;
mod keeper;
mod store;
#[cfg(test)]
mod tests;

pub use accounts::Held;
pub use keeper::Keeper;
pub use store::{Hint, Hints, Page, Parts, Settings, Stats};
