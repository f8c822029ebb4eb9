//! RocksDB with its log on, filters of 10 bits a key, zstd below level 0.

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options, WriteBatch, WriteOptions};

use crate::store::{BLOCK_BYTES, FROZEN_MEMTABLES, See, SeeEntry, Setup, Store};

const FILTER_BITS: f64 = 10.0;
const LEVELS: usize = 7;

/// The database.
pub(crate) struct RocksdbStore {
    db: DB,
}

impl RocksdbStore {
    pub(crate) fn open(setup: &Setup) -> anyhow::Result<Self> {
        let mut table = BlockBasedOptions::default();
        table.set_block_size(BLOCK_BYTES);
        table.set_block_cache(&Cache::new_lru_cache(setup.cache_bytes() as usize)?);
        table.set_bloom_filter(FILTER_BITS, false);
        table.set_format_version(5);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(setup.memtable_bytes() as usize);
        options.set_max_write_buffer_number(FROZEN_MEMTABLES as i32 + 1);
        options.set_target_file_size_base(setup.table_bytes());
        options.set_max_bytes_for_level_base(setup.memtable_bytes() * 16);
        options.set_max_background_jobs(2);
        let mut compression = [DBCompressionType::Zstd; LEVELS];
        compression[0] = DBCompressionType::None;
        options.set_compression_per_level(&compression);
        Ok(RocksdbStore { db: DB::open(&options, &setup.dir)? })
    }
}

impl Store for RocksdbStore {
    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        Ok(self.db.put(key, value)?)
    }

    fn put_group(&self, pairs: &[(&[u8], &[u8])]) -> anyhow::Result<()> {
        let mut batch = WriteBatch::default();
        pairs.iter().for_each(|(key, value)| batch.put(key, value));
        let mut options = WriteOptions::default();
        options.set_sync(true);
        Ok(self.db.write_opt(batch, &options)?)
    }

    fn get(&self, key: &[u8], see: See<'_>) -> anyhow::Result<()> {
        self.db.get_pinned(key)?.iter().for_each(|value| see(value));
        Ok(())
    }

    fn scan(&self, from: &[u8], count: usize, see: SeeEntry<'_>) -> anyhow::Result<()> {
        let mut entries = self.db.raw_iterator();
        entries.seek(from);
        for _ in 0..count {
            let Some((key, value)) = entries.item() else { break };
            see(key, value);
            entries.next();
        }
        Ok(entries.status()?)
    }

    fn flush(&self) -> anyhow::Result<()> {
        Ok(self.db.flush()?)
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}
