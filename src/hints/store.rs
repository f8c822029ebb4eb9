//! The operations on hints.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::causality::{PurgeBounds, RecordView, merge};
use crate::env::{Clock, Env};
use crate::hints::Held;
use crate::hints::accounts::{Accounts, Size};
use crate::hints::entry::{self, Kept};
use crate::ring::Topology;
use crate::storage::{self, Durability, Engine, Fetched, Options, ScanLimit, Update, Verdict};
use crate::types::{ArcId, ArcLayout, Database, NodeNumber, slot_of};
use crate::worker::Waker;

/// Bytes of records that may wait until the keeper has read from disk what they are merged with.
const QUEUE_BYTES: usize = 8 << 20;
/// Hints of a page, at most.
const PAGE_HINTS: usize = 1024;

/// What a user decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the hints are.
    pub dir: PathBuf,
    /// When a hint is safe; nobody waits for it.
    pub durability: Durability,
    /// Bytes of keys and records that are kept at most.
    pub max_bytes: u64,
    /// How long a hint is kept after the last addition to it.
    pub max_age: Duration,
}

/// What the store is made of.
pub struct Parts {
    /// The machine.
    pub env: Env,
    /// The topology, for the members that there are and the arcs that keys lie in.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// What the user decided.
    pub settings: Settings,
}

/// The records kept for members that are away.
pub struct Hints {
    // Fixed after construction.
    pub(super) settings: Settings,
    clock: Arc<dyn Clock>,
    waker: OnceLock<Waker>,
    // Synchronises itself.
    pub(super) engine: Engine,
    topology: watch::Receiver<Arc<Topology>>,
    pub(super) counts: Counts,
    /// Whether something was appended that nobody has handed to the operating system yet.
    pub(super) is_unwritten: AtomicBool,
    // Guarded.
    pub(super) accounts: Mutex<Accounts>,
    pub(super) queue: Mutex<Queue>,
    marked: Mutex<BTreeSet<ArcId>>,
}

/// Records that wait for the keeper.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) records: VecDeque<(Vec<u8>, Vec<u8>)>,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    kept: AtomicU64,
    forgotten: AtomicU64,
    aged: AtomicU64,
    overflowed: AtomicU64,
    strangers: AtomicU64,
}

/// The hints at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What is kept for each node for which something is.
    pub nodes: Vec<(NodeNumber, Held)>,
    /// Bytes that are kept.
    pub bytes: u64,
    /// Bytes that may be kept.
    pub limit_bytes: u64,
    /// Whether what earlier lives left has been counted.
    pub is_counted: bool,
    /// Records that were kept, since the start.
    pub kept: u64,
    /// Hints that went because they were delivered.
    pub forgotten: u64,
    /// Hints that went for their age.
    pub aged: u64,
    /// Records that were not kept: the store was full, or failed.
    pub overflowed: u64,
    /// Records that were not kept because their node is no member.
    pub strangers: u64,
    /// Arcs of which something was given up before it was delivered.
    pub marked_arcs: u64,
    /// The last error of the store.
    pub last_error: Option<String>,
}

/// A hint to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The database of its cell.
    pub database: Database,
    /// The key of its cell.
    pub key: Vec<u8>,
    /// The encoded record.
    pub record: Vec<u8>,
}

/// Some of the hints for one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of their places.
    pub hints: Vec<Hint>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// What came of merging a record into the hint at its place.
pub(super) enum Put {
    /// It is kept.
    Kept,
    /// It has to wait: the engine is behind, or the hint lies on disk and must be fetched first.
    Later,
    /// It was given up.
    Lost,
}

impl Hints {
    /// Opens the store, or makes it. What is in it is counted later, by the [`Keeper`](crate::hints::Keeper).
    ///
    /// # Errors
    /// What the engine says.
    pub fn open(parts: Parts) -> Result<Arc<Self>, storage::Error> {
        let Parts { env, topology, settings } = parts;
        let engine = Engine::open(&env, options(&settings), Arc::new(entry::DropGone))?;
        Ok(Arc::new(Hints {
            settings,
            clock: env.clock,
            waker: OnceLock::new(),
            engine,
            topology,
            counts: Counts::default(),
            is_unwritten: AtomicBool::new(false),
            accounts: Mutex::default(),
            queue: Mutex::default(),
            marked: Mutex::default(),
        }))
    }

    /// Says how the keeper is woken: without that it finds new work a little later.
    pub fn set_waker(&self, waker: Waker) {
        // A second keeper would find the same work.
        let _ = self.waker.set(waker);
    }

    /// Keeps a record that `node` has not acknowledged, merged with what is kept for it already. Never waits.
    pub fn keep(&self, node: NodeNumber, database: Database, key: &[u8], record: &[u8]) {
        if self.topology.borrow().member(node).is_none() {
            add(&self.counts.strangers, 1);
            return;
        }
        let place = entry::place_of(node, database, key);
        match self.put(&place, record, None) {
            Put::Kept | Put::Lost => {}
            Put::Later => self.queue_up(place, record),
        }
        self.note_unwritten();
    }

    /// Some of the hints for `node`, from the place `from` on: about `bytes`, at least one hint if there is any. May wait
    /// for the disk.
    ///
    /// # Errors
    /// A table could not be read.
    pub fn page(&self, node: NodeNumber, from: Option<Vec<u8>>, bytes: usize) -> Result<Page, storage::Error> {
        let mut range = entry::range_of(node);
        range.from = from.unwrap_or(range.from);
        let mut page = Page::default();
        let limit = ScanLimit { entries: PAGE_HINTS, bytes };
        page.next = self.engine.scan(&range, limit, &mut |place, value| {
            if let (Some(kept), Some((_, database, key))) = (Kept::decode(value), entry::parts_of(place)) {
                page.hints.push(Hint { database, key: key.to_vec(), record: kept.record.to_vec() });
            }
        })?;
        Ok(page)
    }

    /// Removes the hint for `node` whose record was delivered, unless it has learned more meanwhile. May wait for the disk.
    ///
    /// # Errors
    /// The store cannot be read or written; then it is delivered again some day, which does no harm.
    pub fn forget(&self, node: NodeNumber, delivered: &Hint) -> Result<(), storage::Error> {
        let place = entry::place_of(node, delivered.database, &delivered.key);
        let is_delivered = |kept: &Kept<'_>| {
            kept.record == delivered.record || matches!(merged(&delivered.record, kept.record), Merge::Nothing)
        };
        if self.remove_if(&place, &is_delivered)? {
            add(&self.counts.forgotten, 1);
        }
        self.note_unwritten();
        Ok(())
    }

    /// What is kept for each node for which something is.
    #[must_use]
    pub fn nodes(&self) -> Vec<(NodeNumber, Held)> {
        self.accounts.lock().nodes().filter(|(_, held)| held.count > 0).collect()
    }

    /// All that can be told.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let nodes = self.nodes();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (bytes, is_counted) = {
            let accounts = self.accounts.lock();
            (accounts.bytes(), accounts.is_complete())
        };
        Stats {
            nodes,
            bytes,
            limit_bytes: self.settings.max_bytes,
            is_counted,
            kept: load(&self.counts.kept),
            forgotten: load(&self.counts.forgotten),
            aged: load(&self.counts.aged),
            overflowed: load(&self.counts.overflowed),
            strangers: load(&self.counts.strangers),
            marked_arcs: self.marked.lock().len() as u64,
            last_error: self.engine.stats().last_error,
        }
    }

    /// The arcs of which something was given up: their replicas have to be compared. They are not marked any more then.
    #[must_use]
    pub fn take_marked(&self) -> BTreeSet<ArcId> {
        std::mem::take(&mut *self.marked.lock())
    }

    /// Writes everything out and ends, unless somebody still uses it; then it is at least safe. May wait.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close(self: Arc<Self>) -> Result<(), storage::Error> {
        match Arc::try_unwrap(self) {
            Ok(hints) => hints.engine.close(),
            Err(hints) => hints.engine.sync_to(hints.engine.appended()),
        }
    }

    /// Merges a record into the hint at `place`.
    pub(super) fn put(&self, place: &[u8], record: &[u8], fetched: Option<&Fetched>) -> Put {
        let now_ms = self.clock.wall_ms();
        if self.accounts.lock().bytes() + (place.len() + record.len()) as u64 > self.settings.max_bytes {
            return self.lose(place);
        }
        let mut is_lost = false;
        let updated = self.engine.update(place, fetched, &mut |old, draft| {
            let old = old.and_then(Kept::decode);
            let next = match old.map(|old| merged(old.record, record)) {
                None => Some(record.to_vec()),
                Some(Merge::Adds(both)) => Some(both),
                Some(Merge::Nothing) => None,
                Some(Merge::Impossible) => {
                    is_lost = true;
                    None
                }
            };
            let Some(next) = next else { return Verdict::Keep };
            let new = Kept { at_ms: now_ms, record: &next };
            self.accounts.lock().change(place, size_of(place, old), size_of(place, Some(new)));
            new.put(draft.value(new.len()));
            Verdict::Put
        });
        match updated {
            Ok(Update::Done(_)) if is_lost => self.lose(place),
            Ok(Update::Done(_)) => {
                add(&self.counts.kept, 1);
                Put::Kept
            }
            Ok(Update::Cold | Update::Stalled) => Put::Later,
            Err(error) => {
                tracing::debug!(%error, "a hint could not be kept");
                self.lose(place)
            }
        }
    }

    /// Removes the hint at `place` if `may_go` says so; whether it did. May wait for the disk.
    pub(super) fn remove_if(&self, place: &[u8], may_go: &dyn Fn(&Kept<'_>) -> bool) -> Result<bool, storage::Error> {
        let mut fetched = Vec::new();
        loop {
            let mut is_gone = false;
            let updated = self.engine.update(place, fetched.first(), &mut |old, draft| {
                let old = old.and_then(Kept::decode);
                is_gone = old.as_ref().is_some_and(may_go);
                if !is_gone {
                    return Verdict::Keep;
                }
                self.accounts.lock().change(place, size_of(place, old), None);
                draft.value(0);
                Verdict::Put
            })?;
            match updated {
                Update::Done(_) => return Ok(is_gone),
                Update::Cold => fetched = self.engine.fetch(&mut vec![place.to_vec()])?,
                // It stays for this time.
                Update::Stalled => return Ok(false),
            }
        }
    }

    /// Removes the hint at `place` if it is too old; whether it did.
    pub(super) fn remove_aged(&self, place: &[u8], before_ms: u64) -> Result<bool, storage::Error> {
        let is_gone = self.remove_if(place, &|kept| kept.at_ms < before_ms)?;
        if is_gone {
            add(&self.counts.aged, 1);
            self.mark(place);
        }
        Ok(is_gone)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    fn queue_up(&self, place: Vec<u8>, record: &[u8]) {
        let bytes = place.len() + record.len();
        let mut queue = self.queue.lock();
        if queue.bytes + bytes > QUEUE_BYTES {
            drop(queue);
            self.lose(&place);
            return;
        }
        queue.bytes += bytes;
        queue.records.push_back((place, record.to_vec()));
        drop(queue);
        self.wake();
    }

    /// Sees to it that what was appended gets to the disk, as the durability says.
    fn note_unwritten(&self) {
        if self.settings.durability == Durability::Sync {
            self.engine.request_sync();
        } else if !self.is_unwritten.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    fn lose(&self, place: &[u8]) -> Put {
        add(&self.counts.overflowed, 1);
        self.mark(place);
        Put::Lost
    }

    fn mark(&self, place: &[u8]) {
        if let Some((_, _, key)) = entry::parts_of(place) {
            let arc = self.topology.borrow().layout().arc_of(slot_of(key));
            self.marked.lock().insert(arc);
        }
    }
}

/// What a second record adds to a first one.
enum Merge {
    /// Something: this is both.
    Adds(Vec<u8>),
    Nothing,
    /// One of them is none, or both are too much for one.
    Impossible,
}

fn merged(first: &[u8], second: &[u8]) -> Merge {
    let (Ok(mine), Ok(theirs)) = (RecordView::decode(first), RecordView::decode(second)) else {
        return Merge::Impossible;
    };
    match merge(&mine, &theirs, PurgeBounds::default()) {
        Ok(merged) if merged.plan.adds_to(&mine) => {
            let mut bytes = Vec::with_capacity(merged.plan.encoded_len());
            merged.plan.encode(&mut bytes);
            Merge::Adds(bytes)
        }
        Ok(_) => Merge::Nothing,
        Err(_) => Merge::Impossible,
    }
}

pub(super) fn size_of(place: &[u8], kept: Option<Kept<'_>>) -> Size {
    kept.map(|kept| (place.len() + kept.record.len(), kept.at_ms))
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Hints are few most of the time and read once, in order: little memory, hardly any cache.
fn options(settings: &Settings) -> Options {
    let usual = Options::new(settings.dir.clone(), settings.durability);
    Options {
        layout: ArcLayout::new(256).unwrap_or_default(),
        memtable_bytes: 8 << 20,
        segment_bytes: 32 << 20,
        cache_bytes: 4 << 20,
        open_tables: 32,
        ..usual
    }
}
