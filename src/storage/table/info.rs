//! A table as the manifest and a view know it.
//!
//! Invariant: `first` may lie above the least key of the file: what compaction has already moved on is hidden by it.

use std::sync::Arc;

use crate::storage::drops::{Age, Drops};
use crate::storage::table::reader::TableFile;
use crate::types::Stamp;

/// What is known of a table without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableInfo {
    /// Names the file; never given again.
    pub(crate) number: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Keys in the file.
    pub(crate) keys: u64,
    /// Stamp above which no entry is.
    pub(crate) max_stamp: Stamp,
    /// Number of the newest drop that was applied when it was written.
    pub(crate) cleaned: u64,
    /// No key below it counts.
    pub(crate) first: Vec<u8>,
    /// Greatest key.
    pub(crate) last: Vec<u8>,
}

impl TableInfo {
    /// How it stands to drops.
    #[inline]
    pub(crate) fn age(&self) -> Age {
        Age { max_stamp: self.max_stamp, cleaned: self.cleaned }
    }

    /// Whether drops may hide some of its entries.
    pub(crate) fn is_touched(&self, drops: &Drops) -> bool {
        drops.touch((&self.first, &self.last), self.age())
    }
}

/// A table of a view.
#[derive(Clone)]
pub(crate) struct Table {
    /// What is known of it.
    pub(crate) info: TableInfo,
    /// Its file.
    pub(crate) file: Arc<TableFile>,
}
