//! fjall with its log on and its filters in memory: in a cache that evicts them it is several times slower.

use fjall::config::{BlockSizePolicy, PinningPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::store::{BLOCK_BYTES, See, SeeEntry, Setup, Store};

const WORKERS: usize = 2;

/// The database and the one keyspace that is used.
pub(crate) struct FjallStore {
    database: Database,
    keyspace: Keyspace,
}

impl FjallStore {
    pub(crate) fn open(setup: &Setup) -> anyhow::Result<Self> {
        let database = Database::builder(&setup.dir).cache_size(setup.cache_bytes()).worker_threads(WORKERS).open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(setup.memtable_bytes())
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES as u32))
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_pinning_policy(PinningPolicy::all(true))
        };
        let keyspace = database.keyspace("bench", options)?;
        Ok(FjallStore { database, keyspace })
    }
}

impl Store for FjallStore {
    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        Ok(self.keyspace.insert(key, value)?)
    }

    fn put_group(&self, pairs: &[(&[u8], &[u8])]) -> anyhow::Result<()> {
        let mut batch = self.database.batch();
        pairs.iter().for_each(|(key, value)| batch.insert(&self.keyspace, *key, *value));
        batch.commit()?;
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn get(&self, key: &[u8], see: See<'_>) -> anyhow::Result<()> {
        self.keyspace.get(key)?.iter().for_each(|value| see(value));
        Ok(())
    }

    fn scan(&self, from: &[u8], count: usize, see: SeeEntry<'_>) -> anyhow::Result<()> {
        for entry in self.keyspace.range(from..).take(count) {
            let (key, value) = entry.into_inner()?;
            see(&key, &value);
        }
        Ok(())
    }

    fn flush(&self) -> anyhow::Result<()> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
