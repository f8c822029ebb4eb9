//! `update`: the change of one key, decided and logged under its shard's lock.
//!
//! Invariant: a change that ran and said `Put` is in the log's buffer and in memory before the lock goes.

use std::sync::atomic::Ordering;

use crate::storage::draft::{Draft, Fetched, Update, Verdict};
use crate::storage::engine::{Engine, Shared};
use crate::storage::error::Error;
use crate::storage::log::Appended;
use crate::storage::memtable::{Entry, Found, Look, Probe, Shard};
use crate::storage::note::Note;
use crate::storage::tally::Head;
use crate::types::Stamp;

/// Reads the current record and writes the next one into the draft.
pub type Change<'a> = &'a mut dyn FnMut(Option<&[u8]>, &mut Draft<'_>) -> Verdict;

impl Engine {
    /// Runs `change` on the current record of `key`, under its lock. It may run again if the answer is not `Done`.
    ///
    /// # Errors
    /// `Full` or `Poisoned` if nothing can be written; nothing was changed. A read error of a table.
    #[inline]
    pub fn update(&self, key: &[u8], fetched: Option<&Fetched>, change: Change<'_>) -> Result<Update, Error> {
        let shared = &*self.shared;
        if let Some(held) = shared.hold_back() {
            return held;
        }
        let probe = Probe::new(key);
        let mut shard = shared.shard(shared.shard_index(key)).lock();
        if shard.is_dropping() {
            return Ok(Update::Stalled);
        }
        let Look { found, record } = shard.look(&probe);
        let mut draft = Draft::new(key);
        let (verdict, seen) = match record {
            Some(Some(entry)) => (change(Some(entry.value()), &mut draft), entry.stamp()),
            Some(None) => (change(None, &mut draft), Stamp(0)),
            None => match shared.consult(key, fetched)?.record() {
                Some(record) => (change(record, &mut draft), Stamp(0)),
                None => return Ok(Update::Cold),
            },
        };
        if verdict == Verdict::Keep {
            return Ok(Update::Done(seen));
        }
        let (bytes, note) = draft.into_entry();
        let growth = growth(&shard, found, bytes.len());
        let appended = shared.log.append(&note, &bytes, growth);
        let old = shared.insert(&mut shard, Insert { probe, found, bytes, note, appended });
        drop(shard);
        drop(old);
        if appended.rotated {
            shared.wake_flush();
        }
        Ok(Update::Done(Stamp(appended.stamp)))
    }
}

/// An entry that is in the log and goes into memory.
pub(crate) struct Insert<'a> {
    pub(crate) probe: Probe<'a>,
    pub(crate) found: Found,
    pub(crate) bytes: Box<[u8]>,
    pub(crate) note: Note,
    pub(crate) appended: Appended,
}

/// How much memory of the active generation an entry of `len` bytes adds at `found`.
#[inline]
pub(crate) fn growth(shard: &Shard, found: Found, len: usize) -> i64 {
    let replaced = shard.footprint_at(found);
    (len as u64 + crate::storage::memtable::ENTRY_OVERHEAD).cast_signed() - replaced.cast_signed()
}

impl Shared {
    /// The answer to a write that is not let in.
    #[inline]
    pub(crate) fn hold_back(&self) -> Option<Result<Update, Error>> {
        if self.log.is_open() { None } else { Some(self.held_back()) }
    }

    #[cold]
    fn held_back(&self) -> Result<Update, Error> {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        // Whatever holds the write back, one of these two ends it.
        self.wake_flush();
        self.wake_commit();
        self.log.refusal().map_or(Ok(Update::Stalled), Err)
    }

    /// Puts an appended entry into memory and counts its note; gives back the entry that it replaced.
    #[inline]
    pub(crate) fn insert(&self, shard: &mut Shard, insert: Insert<'_>) -> Option<Entry> {
        let Insert { probe, found, bytes, note, appended } = insert;
        let entry = Entry::new(bytes, Stamp(appended.stamp));
        // First the entry: it may begin a generation, whose tally must not hold the note yet.
        let old = shard.put(appended.generation, found, &probe, entry);
        if note.counts() {
            let head = Head::of(probe.key());
            shard.tally_mut().apply(head, &note);
            self.count_keys(head.database, i64::from(note.keys));
        }
        old
    }
}
