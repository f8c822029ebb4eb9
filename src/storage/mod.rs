//! The engine: commit log, memtable, compressed tables, recovery. Synchronous; keys and values are opaque bytes.

mod cursor;
mod error;
mod filter;
mod options;
mod tables;
mod view;

pub use error::Error;
pub use filter::{Filter, Judgement};
pub use options::{Durability, Options};
