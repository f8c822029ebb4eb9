//! What a store consists of, durably: a file of edits, each a frame with checksum, and `CURRENT`, which names that file.
//!
//! Invariant: a change counts from the moment its edit is synced, and a file is removed only after the edit that drops it.
//! Left out: the files themselves (`table`), and what readers see (`view`).

mod file;
mod format;
mod state;
mod survey;
mod tally;

#[cfg(test)]
mod tests;

pub(crate) use file::ManifestFile;
pub(crate) use format::{Edit, Placed};
pub(crate) use state::State;
pub(crate) use survey::{Remains, is_left_over, overlapping, read_state, remains, survey};
pub(crate) use tally::{read_tally, tally_path, write_tally};
