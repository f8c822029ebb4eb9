//! Several keys locked together, for commands that take effect as one.

use crate::replica::apply::{Applied, Workspace};
use crate::replica::key::encode_key;
use crate::replica::operation::{Fingerprint, Operation, Outcome};
use crate::replica::site::Site;
use crate::replica::{Failure, Replica};
use crate::storage::{Begin, Fetched, Transaction};
use crate::types::{Database, Stamp};

/// The keys that a group of commands may touch.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Vec<u8>>,
}

impl KeySet {
    /// Adds a key of a database.
    pub fn add(&mut self, database: Database, key: &[u8]) {
        let mut encoded = Vec::new();
        encode_key(database, key, &mut encoded);
        self.keys.push(encoded);
    }
}

/// Keys locked together; what is done takes effect at [`Locked::commit`], or not at all.
pub struct Locked<'a> {
    transaction: Transaction<'a>,
}

/// What came of locking.
pub enum Locking<'a> {
    /// All keys are locked and warm.
    Ready(Locked<'a>),
    /// These have to be fetched from disk first; nothing is locked.
    Cold(Vec<Vec<u8>>),
    /// There is no room in memory; nothing is locked.
    Busy,
}

/// A key as `WATCH` saw it.
#[derive(Clone, Copy, Debug)]
pub struct WatchedKey<'a> {
    /// Its database.
    pub database: Database,
    /// The key.
    pub key: &'a [u8],
    /// The record then.
    pub seen: Fingerprint,
}

/// How a watched key is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// As it was.
    Unchanged,
    /// Not as it was; what has to be durable before anybody is told.
    Changed(Stamp),
}

impl Locked<'_> {
    /// Writes everything as one piece of the log and releases the locks; what has to be durable before it is shown.
    ///
    /// # Errors
    /// The store's failure; nothing was written.
    pub fn commit(self) -> Result<Stamp, Failure> {
        Ok(self.transaction.commit()?)
    }
}

impl Replica {
    /// Locks `keys`, all of them warm.
    ///
    /// # Errors
    /// The store's failure.
    pub fn lock<'a>(&'a self, keys: &KeySet, fetched: &[Fetched]) -> Result<Locking<'a>, Failure> {
        let refs: Vec<&[u8]> = keys.keys.iter().map(Vec::as_slice).collect();
        Ok(match self.engine.begin(&refs, fetched)? {
            Begin::Ready(transaction) => Locking::Ready(Locked { transaction }),
            Begin::Cold => Locking::Cold(keys.keys.clone()),
            Begin::Stalled => Locking::Busy,
        })
    }

    /// Carries out an operation on locked keys; not one that counts keys, which takes the locks again.
    pub fn apply_locked(&self, locked: &mut Locked<'_>, operation: &Operation, work: Workspace<'_>) -> Applied {
        self.apply_on(&mut locked.transaction, operation, work)
    }

    /// Compares a watched key with what it was. A value that only expired since counts as changed, as in Redis 7; one that
    /// had expired before and is gone now does not.
    pub fn compare(&self, locked: &mut Locked<'_>, watched: WatchedKey<'_>, now_ms: u64) -> Compared {
        let mut key = Vec::new();
        encode_key(watched.database, watched.key, &mut key);
        let mut site = Site::new(self, &mut locked.transaction, &key, now_ms);
        match site.fingerprint() {
            Ok(Applied::Done { outcome: Outcome::Fingerprint(now), position }) => {
                if now.has_changed_since(watched.seen) { Compared::Changed(position) } else { Compared::Unchanged }
            }
            // A record that cannot be read is not as it was.
            _ => Compared::Changed(Stamp(0)),
        }
    }
}
