//! The two ways to the engine: one key at a time, or several under locks held together.

use crate::storage::{self, Draft, Engine, Fetched, Read, Transaction, Update, Verdict};

/// Looks at a record.
pub(super) type See<'a> = &'a mut dyn FnMut(Option<&[u8]>);
/// Makes a new record from the old one.
pub(super) type Alter<'a> = &'a mut dyn FnMut(Option<&[u8]>, &mut Draft<'_>) -> Verdict;

/// Reads and updates cells by engine key.
pub(super) trait Cells {
    fn read(&mut self, key: &[u8], see: See<'_>) -> Result<Read, storage::Error>;
    fn update(&mut self, key: &[u8], change: Alter<'_>) -> Result<Update, storage::Error>;
}

/// Each call takes and releases the key's lock by itself.
pub(super) struct Single<'a> {
    pub(super) engine: &'a Engine,
    pub(super) fetched: &'a [Fetched],
}

impl Single<'_> {
    fn fetched(&self, key: &[u8]) -> Option<&Fetched> {
        if self.fetched.is_empty() {
            return None;
        }
        let found = self.fetched.binary_search_by(|fetched| fetched.key().cmp(key));
        found.ok().and_then(|index| self.fetched.get(index))
    }
}

impl Cells for Single<'_> {
    #[inline]
    fn read(&mut self, key: &[u8], see: See<'_>) -> Result<Read, storage::Error> {
        self.engine.read(key, self.fetched(key), see)
    }

    #[inline]
    fn update(&mut self, key: &[u8], change: Alter<'_>) -> Result<Update, storage::Error> {
        self.engine.update(key, self.fetched(key), change)
    }
}

impl Cells for Transaction<'_> {
    fn read(&mut self, key: &[u8], see: See<'_>) -> Result<Read, storage::Error> {
        Ok(Read::Done(Transaction::read(self, key, see)))
    }

    fn update(&mut self, key: &[u8], change: Alter<'_>) -> Result<Update, storage::Error> {
        Ok(Update::Done(Transaction::update(self, key, change)))
    }
}
