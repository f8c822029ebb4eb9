//! What every engine has to do, and with which settings: equal ones, as far as there are such.

use std::path::PathBuf;

use crate::annulus_store::AnnulusStore;
use crate::fjall_store::FjallStore;
use crate::rocksdb_store::RocksdbStore;

/// Which engine, where, and how large everything is.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Name of the engine.
    pub(crate) name: String,
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// 1 for the full sizes; keys, memtables, tables and caches shrink alike.
    pub(crate) scale: f64,
}

impl Setup {
    /// A number at this scale.
    pub(crate) fn scaled(&self, full: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(1)
    }

    /// Bytes of a memtable.
    pub(crate) fn memtable_bytes(&self) -> u64 {
        self.scaled(16 << 20)
    }

    /// Bytes of the block cache: a thirty-fifth of the data.
    pub(crate) fn cache_bytes(&self) -> u64 {
        self.scaled(5 << 20)
    }

    /// Bytes of a table file.
    pub(crate) fn table_bytes(&self) -> u64 {
        self.scaled(32 << 20)
    }
}

/// Memtables that may wait for their flush.
pub(crate) const FROZEN_MEMTABLES: usize = 4;
/// Bytes of a block before compression.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Is shown a value.
pub(crate) type See<'a> = &'a mut dyn FnMut(&[u8]);
/// Is shown a key and its value.
pub(crate) type SeeEntry<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// An engine. A write that was answered is with the operating system; `sync` makes all of them durable.
pub(crate) trait Store {
    /// Writes one pair.
    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()>;
    /// Writes some pairs and waits until they are durable.
    fn put_group(&self, pairs: &[(&[u8], &[u8])]) -> anyhow::Result<()>;
    /// Shows the value of a key, if there is one.
    fn get(&self, key: &[u8], see: See<'_>) -> anyhow::Result<()>;
    /// Shows the first `count` pairs from a key on.
    fn scan(&self, from: &[u8], count: usize, see: SeeEntry<'_>) -> anyhow::Result<()>;
    /// Writes memory into tables; compaction may go on afterwards.
    fn flush(&self) -> anyhow::Result<()>;
    /// Ends in good order.
    fn close(self: Box<Self>) -> anyhow::Result<()>;
}

/// Opens the engine of `setup`, or makes it.
pub(crate) fn open(setup: &Setup) -> anyhow::Result<Box<dyn Store>> {
    match setup.name.as_str() {
        "annulus" => Ok(Box::new(AnnulusStore::open(setup)?)),
        "rocksdb" => Ok(Box::new(RocksdbStore::open(setup)?)),
        "fjall" => Ok(Box::new(FjallStore::open(setup)?)),
        other => anyhow::bail!("no engine is called {other}"),
    }
}
