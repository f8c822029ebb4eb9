//! What the hints need done in the background: reading from disk what a record is merged with, counting what earlier lives
//! left, dropping what is too old, and giving back the space of what has gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::hints::Hints;
use crate::hints::accounts::Size;
use crate::hints::entry::{self, Kept};
use crate::hints::store::{Put, size_of};
use crate::storage::{self, Durability, ScanLimit};
use crate::types::NodeNumber;
use crate::worker::{Field, Work, Worker};

/// Queued records that are merged in one unit.
const BATCH: usize = 64;
/// How much one unit of a walk reads.
const PAGE: ScanLimit = ScanLimit { entries: 1024, bytes: 256 << 10 };
/// How long the keeper rests if nobody wakes it.
const REST: Duration = Duration::from_secs(1);
/// How long it waits for an engine that is behind.
const STALL: Duration = Duration::from_millis(20);
/// How long after a failure it tries again.
const RETRY: Duration = Duration::from_secs(5);
/// What is appended in this time goes to the operating system in one write.
const GATHER: Duration = Duration::from_millis(20);
/// So many hints of a node must have gone before their space is given back, once none is left.
const GONE: u64 = 1024;
/// Walks for what is too old follow each other after this share of the age, at the earliest.
const WALKS_PER_AGE: u32 = 16;

/// Works for [`Hints`].
pub struct Keeper {
    hints: Arc<Hints>,
    walk: Option<Walk>,
    /// Before this, by the wall clock, nothing is looked at for its age.
    next_walk_ms: u64,
    merged: u64,
    failures: u64,
}

/// One way through all hints.
struct Walk {
    from: Vec<u8>,
    /// When it began.
    began_ms: u64,
    /// Hints from before are too old.
    before_ms: u64,
    /// The oldest that stays, of each node.
    oldest: Vec<(NodeNumber, u64)>,
}

impl Keeper {
    /// A keeper of `hints`, which begins by counting what is there.
    #[must_use]
    pub fn new(hints: Arc<Hints>) -> Self {
        let walk = Some(Walk::begin(&hints));
        Keeper { hints, walk, next_walk_ms: 0, merged: 0, failures: 0 }
    }

    /// Merges queued records; nothing if there are none.
    fn merge_queued(&mut self) -> Result<Option<Work>, storage::Error> {
        let batch: Vec<_> = {
            let mut queue = self.hints.queue.lock();
            let count = queue.records.len().min(BATCH);
            queue.records.drain(..count).collect()
        };
        if batch.is_empty() {
            return Ok(None);
        }
        let mut places = batch.iter().map(|(place, _)| place.clone()).collect();
        // What cannot be read is lost like what cannot be written.
        let fetched = self.hints.engine.fetch(&mut places).unwrap_or_default();
        let mut left = Vec::new();
        for (place, record) in batch {
            let known = fetched.binary_search_by(|fetched| fetched.key().cmp(&place)).ok();
            match self.hints.put(&place, &record, known.and_then(|index| fetched.get(index))) {
                Put::Later => left.push((place, record)),
                Put::Kept | Put::Lost => {
                    self.merged += 1;
                    self.hints.queue.lock().bytes -= place.len() + record.len();
                }
            }
        }
        let is_stalled = !left.is_empty();
        let mut queue = self.hints.queue.lock();
        left.into_iter().rev().for_each(|record| queue.records.push_front(record));
        Ok(Some(if is_stalled { Work::Throttled(STALL) } else { Work::Busy }))
    }

    /// One page of the walk under way, or of one that is due; nothing if none is.
    fn walk_on(&mut self) -> Result<Option<Work>, storage::Error> {
        if self.walk.is_none() && self.is_walk_due() {
            self.walk = Some(Walk::begin(&self.hints));
        }
        let Some(walk) = &mut self.walk else { return Ok(None) };
        if walk.page(&self.hints)? {
            return Ok(Some(Work::Busy));
        }
        walk.end(&self.hints);
        let pause = self.hints.settings.max_age / WALKS_PER_AGE;
        self.next_walk_ms = walk.began_ms.saturating_add(pause.as_millis() as u64);
        self.walk = None;
        Ok(Some(Work::Busy))
    }

    fn is_walk_due(&self) -> bool {
        let now_ms = self.hints.now_ms();
        let before_ms = now_ms.saturating_sub(self.hints.settings.max_age.as_millis() as u64);
        now_ms >= self.next_walk_ms && self.hints.nodes().iter().any(|(_, held)| held.oldest_ms < before_ms)
    }

    /// Gives back the space of a node of whose hints none is left; nothing if there is no such node.
    fn clear(&mut self) -> Result<Option<Work>, storage::Error> {
        let is_clear = |held: &crate::hints::Held| held.count == 0 && held.gone >= GONE;
        let found = {
            let accounts = self.hints.accounts.lock();
            accounts.nodes().find(|(_, held)| accounts.is_complete() && is_clear(held))
        };
        let Some((node, _)) = found else { return Ok(None) };
        self.hints.engine.drop_ranges(&mut || {
            // No write is under way here, so what is counted is what is there.
            let mut accounts = self.hints.accounts.lock();
            if accounts.of(node).count > 0 {
                return Vec::new();
            }
            accounts.cleared(node);
            vec![entry::range_of(node)]
        })?;
        Ok(Some(Work::Busy))
    }

    /// Hands to the operating system what was appended since the last time.
    fn write_out(&self) -> Result<Option<Work>, storage::Error> {
        if self.hints.settings.durability == Durability::Sync || !self.hints.is_unwritten.swap(false, Ordering::AcqRel)
        {
            return Ok(None);
        }
        self.hints.engine.write_out()?;
        Ok(Some(Work::Throttled(GATHER)))
    }

    fn unit(&mut self) -> Result<Option<Work>, storage::Error> {
        if let Some(work) = self.merge_queued()? {
            return Ok(Some(work));
        }
        if let Some(work) = self.walk_on()? {
            return Ok(Some(work));
        }
        if let Some(work) = self.clear()? {
            return Ok(Some(work));
        }
        self.write_out()
    }
}

impl Worker for Keeper {
    fn name(&self) -> &'static str {
        "hints"
    }

    fn work(&mut self) -> Work {
        match self.unit() {
            Ok(work) => work.unwrap_or(Work::Idle(REST)),
            Err(error) => {
                tracing::warn!(%error, "the store of hints is in trouble");
                self.failures += 1;
                Work::Throttled(RETRY)
            }
        }
    }

    fn status(&self) -> Vec<Field> {
        let field = |name, value| Field { name, value };
        vec![
            field("queued", self.hints.queue.lock().records.len() as u64),
            field("merged_late", self.merged),
            field("failures", self.failures),
        ]
    }
}

impl Walk {
    fn begin(hints: &Hints) -> Self {
        let began_ms = hints.now_ms();
        let before_ms = began_ms.saturating_sub(hints.settings.max_age.as_millis() as u64);
        Walk { from: entry::everything().from, began_ms, before_ms, oldest: Vec::new() }
    }

    /// One page; whether there is more.
    fn page(&mut self, hints: &Hints) -> Result<bool, storage::Error> {
        let mut range = entry::everything();
        range.from.clone_from(&self.from);
        let mut page: Vec<(Vec<u8>, Size)> = Vec::new();
        let next = hints.engine.scan(&range, PAGE, &mut |place, value| {
            if let Some(kept) = Kept::decode(value) {
                page.push((place.to_vec(), size_of(place, Some(kept))));
            }
        })?;
        hints.accounts.lock().count_page(page.clone(), next.as_deref());
        for (place, size) in &page {
            let is_aged = size.is_some_and(|(_, at_ms)| at_ms < self.before_ms);
            if !is_aged || !hints.remove_aged(place, self.before_ms)? {
                self.note_oldest(place, *size);
            }
        }
        let has_more = next.is_some();
        self.from = next.unwrap_or_default();
        Ok(has_more)
    }

    fn note_oldest(&mut self, place: &[u8], size: Size) {
        let (Some((node, ..)), Some((_, at_ms))) = (entry::parts_of(place), size) else { return };
        // Nodes come one after the other.
        match self.oldest.last_mut() {
            Some((last, oldest)) if *last == node => *oldest = at_ms.min(*oldest),
            _ => self.oldest.push((node, at_ms)),
        }
    }

    /// What was added since the beginning is younger than that, whether it was seen or not.
    fn end(&self, hints: &Hints) {
        let mut accounts = hints.accounts.lock();
        let nodes: Vec<NodeNumber> = accounts.nodes().map(|(node, _)| node).collect();
        for node in nodes {
            let seen = self.oldest.iter().find(|(of, _)| *of == node).map(|(_, oldest)| *oldest);
            accounts.raise_oldest(node, seen.unwrap_or(self.began_ms).min(self.began_ms));
        }
    }
}
