//! Annulus's engine by its facade, as a node drives it: an update reads the old record, a cold key is fetched.

use std::sync::Arc;
use std::time::Duration;

use annulus::env::os;
use annulus::storage::{
    Depth, Durability, Engine, Fetched, Filter, Judgement, Note, Options, Read, ScanLimit, ScanRange, Update, Verdict,
};

use crate::store::{BLOCK_BYTES, FROZEN_MEMTABLES, See, SeeEntry, Setup, Store};

/// How long a write waits that the engine does not let in yet.
const PAUSE: Duration = Duration::from_micros(100);
/// Most of a scan's page.
const PAGE: ScanLimit = ScanLimit { entries: 10_000, bytes: 1 << 20 };

/// The engine.
pub(crate) struct AnnulusStore {
    engine: Engine,
}

struct KeepAll;

impl Filter for KeepAll {
    fn judge(&self, _key: &[u8], _value: &[u8], _depth: Depth) -> Judgement {
        Judgement::Keep
    }
}

impl AnnulusStore {
    pub(crate) fn open(setup: &Setup) -> anyhow::Result<Self> {
        let mut options = Options::new(setup.dir.clone(), Durability::None);
        options.memtable_bytes = setup.memtable_bytes();
        options.frozen_memtables = FROZEN_MEMTABLES;
        options.block_bytes = BLOCK_BYTES;
        options.cache_bytes = setup.cache_bytes();
        options.table_bytes = setup.table_bytes();
        Ok(AnnulusStore { engine: Engine::open(&os::env(&os::Options::new()), options, Arc::new(KeepAll))? })
    }

    /// Appends one write; it is with the operating system after the next `write_out`.
    fn append(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let mut fetched: Vec<Fetched> = Vec::new();
        loop {
            let done = self.engine.update(key, fetched.first(), &mut |old, draft| {
                draft.value(value.len()).extend_from_slice(value);
                draft.note = Note { keys: i8::from(old.is_none()), ..Note::default() };
                Verdict::Put
            })?;
            match done {
                Update::Done(_) => return Ok(()),
                Update::Cold => fetched = self.engine.fetch(&mut vec![key.to_vec()])?,
                Update::Stalled => {
                    self.engine.write_out()?;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
}

impl Store for AnnulusStore {
    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.append(key, value)?;
        self.engine.write_out()?;
        Ok(())
    }

    fn put_group(&self, pairs: &[(&[u8], &[u8])]) -> anyhow::Result<()> {
        for (key, value) in pairs {
            self.append(key, value)?;
        }
        Ok(self.engine.sync_to(self.engine.appended())?)
    }

    fn get(&self, key: &[u8], see: See<'_>) -> anyhow::Result<()> {
        let mut fetched: Vec<Fetched> = Vec::new();
        loop {
            match self.engine.read(key, fetched.first(), &mut |value| value.into_iter().for_each(&mut *see))? {
                Read::Done(_) => return Ok(()),
                Read::Cold => fetched = self.engine.fetch(&mut vec![key.to_vec()])?,
            }
        }
    }

    fn scan(&self, from: &[u8], count: usize, see: SeeEntry<'_>) -> anyhow::Result<()> {
        let mut range = ScanRange { from: from.to_vec(), to: vec![0xff] };
        let mut left = count;
        while left > 0 {
            let limit = ScanLimit { entries: left.min(PAGE.entries), ..PAGE };
            let next = self.engine.scan(&range, limit, &mut |key, value| {
                left -= 1;
                see(key, value);
            })?;
            let Some(next) = next else { break };
            range.from = next;
        }
        Ok(())
    }

    fn flush(&self) -> anyhow::Result<()> {
        Ok(self.engine.freeze()?)
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.engine.close()?)
    }
}
