//! A sorted run: tables whose ranges do not overlap.
//!
//! Invariant: tables are ascending by key and disjoint, so that at most one of them can hold a key.

use std::sync::Arc;

use crate::storage::cursor::Cursor;
use crate::storage::drops::Drops;
use crate::storage::error::Error;
use crate::storage::table::{Access, Fence, KeyHash, Lookup, Reads, Span, Table, TableCursor};

/// A sorted run.
#[derive(Clone)]
pub(crate) struct Run {
    number: u64,
    tables: Fence<Arc<Table>>,
}

impl Run {
    /// A run of `tables`, ascending. Of two runs of a level the one with the greater number is newer.
    pub(crate) fn new(number: u64, tables: Vec<Arc<Table>>) -> Self {
        let mut fence = Fence::new();
        for table in tables {
            let first = table.info.first.clone();
            fence.push(&first, table);
        }
        Run { number, tables: fence }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Its tables, ascending.
    pub(crate) fn tables(&self) -> &[Arc<Table>] {
        self.tables.items()
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.tables().iter().map(|table| table.info.bytes).sum()
    }

    /// The only table that can hold `key`.
    #[inline]
    pub(crate) fn table_of(&self, key: &[u8]) -> Option<&Arc<Table>> {
        self.tables.floor(key).filter(|table| *key <= *table.info.last)
    }

    /// Looks `key` up.
    #[inline]
    pub(crate) fn get(&self, probe: &Probe<'_>, drops: &Drops) -> Result<Lookup, Error> {
        match self.table_of(probe.key) {
            Some(table) if !drops.hide(probe.key, table.info.age()) => {
                table.file.get(probe.key, probe.hash, probe.reads)
            }
            _ => Ok(Lookup::Absent),
        }
    }

    /// The tables that overlap `span`, ascending.
    pub(crate) fn overlapping(&self, span: Span<'_>) -> &[Arc<Table>] {
        let tables = self.tables();
        let start = tables.partition_point(|table| *table.info.last < *span.from);
        let end = span.to.map_or(tables.len(), |to| tables.partition_point(|table| *table.info.first < *to));
        tables.get(start..end).unwrap_or(&[])
    }
}

/// One lookup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    /// The key.
    pub(crate) key: &'a [u8],
    /// Its hash.
    pub(crate) hash: KeyHash,
    /// Whether it may wait.
    pub(crate) reads: Reads,
}

/// A walk over tables of one run, without what drops hide. Tables are opened as the walk comes to them.
pub(crate) struct RunCursor {
    tables: Vec<Arc<Table>>,
    drops: Arc<Drops>,
    access: Access,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    next: usize,
    current: Option<TableCursor>,
    /// Whether drops touch the current table.
    touched: bool,
}

impl RunCursor {
    /// Goes before the first entry of `span` in `tables`, which are ascending and disjoint.
    pub(crate) fn new(tables: &[Arc<Table>], drops: &Arc<Drops>, span: (Span<'_>, Access)) -> Self {
        RunCursor {
            tables: tables.to_vec(),
            drops: Arc::clone(drops),
            access: span.1,
            from: span.0.from.to_vec(),
            to: span.0.to.map(<[u8]>::to_vec),
            next: 0,
            current: None,
            touched: false,
        }
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        self.current = None;
        let Some(table) = self.tables.get(self.next) else { return Ok(false) };
        self.next += 1;
        let info = &table.info;
        self.touched = info.is_touched(&self.drops);
        let from = self.from.as_slice().max(&info.first);
        let to = self.to.as_deref().filter(|to| *to <= &*info.last);
        self.current = Some(TableCursor::new(&table.file, Span { from, to }, self.access)?);
        Ok(true)
    }

    fn is_hidden(&self, key: &[u8]) -> bool {
        let table = self.next.checked_sub(1).and_then(|index| self.tables.get(index));
        table.is_some_and(|table| self.drops.hide(key, table.info.age()))
    }
}

impl Cursor for RunCursor {
    fn advance(&mut self) -> Result<bool, Error> {
        loop {
            let Some(cursor) = &mut self.current else {
                if self.open_next()? {
                    continue;
                }
                return Ok(false);
            };
            if !cursor.advance()? {
                self.current = None;
                continue;
            }
            let hidden = self.touched && self.current.as_ref().is_some_and(|cursor| self.is_hidden(cursor.key()));
            if !hidden {
                return Ok(true);
            }
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |cursor| cursor.key())
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |cursor| cursor.value())
    }
}
