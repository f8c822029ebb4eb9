//! Writes entries in ascending key order into as many tables as they need.
//!
//! Invariant: a table ends at the first arc boundary past half of its size, and in any case at its size, so that a range of
//! arcs is mostly whole tables. What is not finished is removed again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::drops::Age;
use crate::storage::error::Error;
use crate::storage::table::info::TableInfo;
use crate::storage::table::reader::{TableContext, table_path};
use crate::storage::table::writer::{TableOptions, TableWriter};
use crate::types::{ArcId, ArcLayout, Slot};

/// How a run is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOptions {
    /// How each table is written.
    pub(crate) table: TableOptions,
    /// Size at which a table ends.
    pub(crate) table_bytes: u64,
    /// Which slots form an arc.
    pub(crate) layout: ArcLayout,
    /// How its tables stand to drops.
    pub(crate) age: Age,
}

/// A run of tables in the making.
pub(crate) struct RunWriter {
    context: Arc<TableContext>,
    numbers: Arc<AtomicU64>,
    options: RunOptions,
    current: Option<(u64, TableWriter)>,
    finished: Vec<TableInfo>,
}

impl RunWriter {
    /// A run without entries; table numbers come from `numbers`.
    pub(crate) fn new(context: Arc<TableContext>, numbers: Arc<AtomicU64>, options: RunOptions) -> Self {
        RunWriter { context, numbers, options, current: None, finished: Vec::new() }
    }

    /// Adds an entry; `key` is above all before it.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.is_cut_before(key) {
            self.end_table()?;
        }
        if self.current.is_none() {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let path = table_path(&self.context.dir, number);
            let writer = TableWriter::create(&*self.context.disk, &path, self.options.table)?;
            self.current = Some((number, writer));
        }
        match &mut self.current {
            Some((_, writer)) => writer.add(key, value),
            None => Ok(()),
        }
    }

    /// Makes all tables durable; their names are once the directory is synced.
    pub(crate) fn finish(mut self) -> Result<Vec<TableInfo>, Error> {
        self.end_table()?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn is_cut_before(&self, key: &[u8]) -> bool {
        let Some((_, writer)) = &self.current else { return false };
        let (bytes, limit) = (writer.len(), self.options.table_bytes);
        bytes >= limit
            || (bytes >= limit / 2
                && arc_of(self.options.layout, key) != arc_of(self.options.layout, writer.last_key()))
    }

    fn end_table(&mut self) -> Result<(), Error> {
        let Some((number, writer)) = self.current.take() else { return Ok(()) };
        let written = writer.finish(self.options.age.max_stamp).inspect_err(|_| self.remove(number))?;
        self.finished.push(TableInfo {
            number,
            bytes: written.bytes,
            keys: written.properties.keys,
            max_stamp: written.properties.max_stamp,
            cleaned: self.options.age.cleaned,
            first: written.properties.first,
            last: written.properties.last,
        });
        Ok(())
    }

    /// Removes what no edit will name; an error leaves an orphan, which the next open removes.
    fn remove(&self, number: u64) {
        let path: PathBuf = table_path(&self.context.dir, number);
        let _ = self.context.disk.remove(&path);
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        let current = self.current.take().map(|(number, _)| number);
        for number in self.finished.iter().map(|info| info.number).chain(current) {
            self.remove(number);
        }
    }
}

/// The arc of an engine key: its first two bytes are the slot.
fn arc_of(layout: ArcLayout, key: &[u8]) -> ArcId {
    layout.arc_of(Slot(key.first_chunk::<2>().map_or(0, |slot| u16::from_be_bytes(*slot))))
}
