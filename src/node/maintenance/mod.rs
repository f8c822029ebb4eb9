//! Work on a data directory that no node has open: verifying, salvaging, copying it.
//!
//! The store's part is `storage`'s; here are the ledger, the locks, and what people are told.

mod check;
mod report;
mod salvage;
mod snapshot;

pub use check::check;
pub use report::Report;
pub use salvage::{LostLedger, Salvage, SalvageMode, salvage};
pub use snapshot::snapshot;
