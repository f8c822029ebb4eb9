//! `read`, which never waits, and `fetch`, which may.

use crate::storage::draft::{Fetched, Read};
use crate::storage::engine::Engine;
use crate::storage::error::Error;
use crate::storage::memtable::Probe;
use crate::types::Stamp;

/// Is shown a record, or that there is none.
pub type See<'a> = &'a mut dyn FnMut(Option<&[u8]>);

impl Engine {
    /// Shows the record of `key` to `see`, which runs under the key's lock: it should only copy.
    ///
    /// # Errors
    /// A table could not be read.
    #[inline]
    pub fn read(&self, key: &[u8], fetched: Option<&Fetched>, see: See<'_>) -> Result<Read, Error> {
        let shared = &*self.shared;
        {
            let shard = shared.shard(shared.shard_index(key)).lock();
            if let Some(record) = shard.look(&Probe::new(key)).record {
                see(record.map(|entry| entry.value()));
                return Ok(Read::Done(record.map_or(Stamp(0), |entry| entry.stamp())));
            }
        }
        Ok(match shared.consult(key, fetched)?.record() {
            Some(record) => {
                see(record);
                Read::Done(Stamp(0))
            }
            None => Read::Cold,
        })
    }

    /// Reads what the tables have of `keys`, which are sorted and freed of duplicates by it. May wait: only on the pool.
    ///
    /// # Errors
    /// A table could not be read.
    pub fn fetch(&self, keys: &mut Vec<Vec<u8>>) -> Result<Vec<Fetched>, Error> {
        keys.sort_unstable();
        keys.dedup();
        let view = self.shared.view();
        let fetch = |key: &Vec<u8>| {
            let value = view.get(key)?.map(|value| value.to_vec());
            Ok(Fetched { key: key.clone(), value, view: view.id() })
        };
        keys.iter().map(fetch).collect()
    }
}
