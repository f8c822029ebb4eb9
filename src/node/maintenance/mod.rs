//! Work on a data directory that no node has open: verifying it, salvaging it.
//!
//! The store's part is `storage`'s; here are the ledger, the locks, and what people are told.

mod check;
mod report;
mod salvage;

pub use check::check;
pub use report::Report;
pub use salvage::{LostLedger, Salvage, SalvageMode, salvage};
