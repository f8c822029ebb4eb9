//! Ids, slot and arc arithmetic, argument views and limits: the words that every other module shares.
//!
//! Layer 0: plain values without clock, IO or allocation policy. What a word means stands in the crate's glossary.

mod args;
mod glob;
mod ids;
mod slot;

pub use args::{Args, Span};
pub use glob::glob_match;
pub use ids::{ClusterId, Database, Epoch, Incarnation, NodeId, NodeNumber, ParseNodeIdError, Stamp};
pub use slot::{ArcId, ArcLayout, SLOTS, Slot, slot_of};

/// Number of databases that `SELECT` knows (Redis's default).
pub const DATABASES: u8 = 16;
