//! What is on disk at one moment: level 0, the runs of level 1, one sorted run per deeper level.
//!
//! Invariant: a view never changes; files it names stay while it lives.

use std::ops::Deref;
use std::sync::Arc;

use crate::storage::cursor::Cursor;
use crate::storage::error::Error;

/// The tables at one moment.
pub(crate) struct View {}

/// A value inside a cached block.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    block: Arc<[u8]>,
    start: u32,
    len: u32,
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.block.get(self.start as usize..(self.start + self.len) as usize).unwrap_or(&[])
    }
}

/// What a lookup that never waits found.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The newest value.
    Found(Value),
    /// No table has the key.
    Absent,
    /// Only a read from the device can tell.
    Cold,
}

struct Nothing;

impl Cursor for Nothing {
    fn advance(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    fn key(&self) -> &[u8] {
        &[]
    }

    fn value(&self) -> &[u8] {
        &[]
    }
}

impl View {
    /// Runs of level 0.
    pub(crate) fn level0_runs(&self) -> usize {
        0
    }

    /// Differs from the id of every other view of this process.
    pub(crate) fn id(&self) -> u64 {
        0
    }

    /// Looks `key` up without waiting for a device.
    pub(crate) fn get_cached(&self, key: &[u8]) -> Result<Lookup, Error> {
        let _ = key;
        Ok(Lookup::Absent)
    }

    /// Looks `key` up; may wait.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        let _ = key;
        Ok(None)
    }

    /// The newest entries of `[from, to)` in order, range drops applied; may wait.
    pub(crate) fn cursor(self: &Arc<Self>, from: &[u8], to: &[u8]) -> Result<Box<dyn Cursor>, Error> {
        let _ = (from, to);
        Ok(Box::new(Nothing))
    }
}
