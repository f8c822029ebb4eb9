//! The one way to walk entries in key order: memtables, tables and merges of them all look like this.
//!
//! Invariant: keys of one cursor are strictly ascending, so a key appears once per source.
//! Left out: going backwards and seeking; a cursor is made for its range.

use crate::storage::error::Error;

/// A walk over entries in ascending key order. It starts before its first entry.
pub(crate) trait Cursor: Send {
    /// Goes to the next entry: `false` when there is none. Not called again after `false` or an error.
    ///
    /// # Errors
    /// If a file could not be read or is damaged.
    fn advance(&mut self) -> Result<bool, Error>;

    /// Key of the entry that `advance` went to.
    fn key(&self) -> &[u8];

    /// Value of the entry that `advance` went to.
    fn value(&self) -> &[u8];
}
