//! Table files: immutable, sorted, compressed, checked. `format.rs` has the layout.
//!
//! Reading order: format, block, entries, bloom, writer, run writer, part, reader, cursor, survey.
//! Left out: which tables exist (the manifest) and in which order they are asked (the view).

mod block;
mod bloom;
mod cursor;
mod entries;
mod fence;
mod format;
mod info;
mod open_tables;
mod part;
mod reader;
mod run_writer;
mod survey;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use block::Compression;
pub(crate) use bloom::{Bloom, KeyHash};
pub(crate) use cursor::{Access, Span, TableCursor};
pub(crate) use fence::{Fence, prefix};
pub(crate) use format::Properties;
pub(crate) use info::{Table, TableInfo};
pub(crate) use open_tables::OpenTables;
pub(crate) use part::IndexPart;
pub(crate) use reader::{Lookup, Reads, TableContext, TableFile, Value, table_path};
pub(crate) use run_writer::{RunOptions, RunWriter};
pub use survey::LostKeys;
pub(crate) use survey::{TableSurvey, survey};
pub(crate) use writer::TableOptions;
