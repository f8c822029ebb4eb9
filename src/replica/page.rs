//! Pages of keys in disk order: what SCAN, KEYS, RANDOMKEY and CLUSTER GETKEYSINSLOT show.
//!
//! A cursor is `slot << 32 | hash` of the first key that was not looked at, so it needs no state here and survives
//! restarts. Slots whose counter says that they hold no key are skipped. Where one database holds nearly everything a run
//! of slots is read as one range, else each (slot, database) by itself.
//!
//! Invariant: a page never splits keys of equal hash, so a key that is there all the time is in exactly one of the pages
//! that follow each other.
//! Invariant: every page goes on from a later place than it began at, and ends after bounded work.
//! Left out: order of any meaning to people; cells other than strings.

use std::cmp::Ordering;

use crate::replica::key::{cursor_of, decode_key, place_of, range_end, range_start};
use crate::replica::operation::{PageLimit, PageRequest};
use crate::replica::site::view;
use crate::replica::{Failure, Replica};
use crate::storage::{ScanLimit, ScanRange};
use crate::types::{DATABASES, Database, SLOTS, Slot, Span, glob_match};

/// A page to be read.
#[derive(Debug)]
pub struct PageOrder {
    /// The database.
    pub database: Database,
    /// Where to begin and how much.
    pub request: PageRequest,
    /// A glob pattern that answered keys match.
    pub pattern: Option<Vec<u8>>,
    /// Wall clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// A page of keys.
#[derive(Debug, Default)]
pub struct Page {
    /// The keys, as ranges of `bytes`.
    pub keys: Vec<Span>,
    /// The keys' bytes.
    pub bytes: Vec<u8>,
    /// Where to go on; 0 when the pages are through.
    pub cursor: u64,
}

/// Keys read from the engine by one call.
const CHUNK_KEYS: usize = 1024;
/// The least that is asked for when how many of the keys count is unknown.
const CHUNK_KEYS_LEAST: usize = 16;
/// Bytes read from the engine by one call.
const CHUNK_BYTES: usize = 1 << 20;
/// Keys that one page looks at, however many it is asked for.
const EXAMINED_KEYS: usize = 1 << 20;
/// Bytes of keys at which a page ends that can be followed by another.
const PAGE_BYTES: usize = 16 << 20;
/// Bytes of keys that one page holds at most.
const PAGE_BYTES_MAX: usize = 256 << 20;

// Spans count in 32 bits; a page that can end has room for the chunk in which it passes its limit.
const _: () = assert!(PAGE_BYTES + 2 * CHUNK_BYTES < PAGE_BYTES_MAX && PAGE_BYTES_MAX < u32::MAX as usize);

/// Where a key stands: its slot and hash.
type Place = (Slot, u32);

/// A page being filled.
struct Filling<'a> {
    replica: &'a Replica,
    order: &'a PageOrder,
    at_ms: u64,
    page: Page,
    examined: usize,
    // Place of the last key looked at.
    last: Option<Place>,
    failure: Option<Failure>,
}

impl Replica {
    /// Reads a page; may wait for the disk, so only for the pool.
    ///
    /// # Errors
    /// The store's failure, or more keys than the request allows.
    pub fn page(&self, order: &PageOrder) -> Result<Page, Failure> {
        let at_ms = self.now_ms(order.now_ms);
        let page = Page::default();
        let mut filling = Filling { replica: self, order, at_ms, page, examined: 0, last: None, failure: None };
        let Some(start) = place_of(order.request.cursor) else { return Ok(filling.page) };
        let next = filling.fill(start, order.request.end_slot.min(SLOTS))?;
        let mut page = filling.page;
        page.cursor = match order.request.limit {
            PageLimit::Examine(_) => next.map_or(0, |(slot, hash)| cursor_of(slot, hash)),
            PageLimit::First(_) | PageLimit::All(_) => 0,
        };
        Ok(page)
    }

    /// Any key, or an empty page if there is none; may wait for the disk, so only for the pool.
    ///
    /// The first key from a random place of the first slot that has one, counted from a random slot: likelier after a gap.
    ///
    /// # Errors
    /// The store's failure.
    pub fn random_key(&self, database: Database, now_ms: u64) -> Result<Page, Failure> {
        let random = self.random.next_u64();
        let (start, hash) = ((random >> 32) as u16 % SLOTS, random as u32);
        for slot in (start..SLOTS).chain(0..start).map(Slot) {
            if self.engine.key_count(slot, database) == 0 {
                continue;
            }
            for hash in [hash, 0] {
                let (cursor, end_slot) = (cursor_of(slot, hash), slot.0 + 1);
                let request = PageRequest { cursor, end_slot, limit: PageLimit::First(1), pattern: None };
                let page = self.page(&PageOrder { database, request, pattern: None, now_ms })?;
                if !page.keys.is_empty() {
                    return Ok(page);
                }
            }
        }
        Ok(Page::default())
    }

    /// How many slots to read as one range: all, unless the keys of other databases would be most of what is read.
    fn slots_per_range(&self, database: Database) -> u16 {
        let others = (0..DATABASES).map(Database).filter(|other| *other != database);
        let others: u64 = others.map(|other| self.count(other)).sum();
        if others <= self.count(database) / 4 { SLOTS } else { 1 }
    }
}

impl Filling<'_> {
    /// Reads from `place` to the slot `end`; the place to go on from if the page is full before.
    fn fill(&mut self, mut place: Place, end: u16) -> Result<Option<Place>, Failure> {
        let slots_per_range = self.replica.slots_per_range(self.order.database);
        while place.0.0 < end {
            if self.is_full() {
                return Ok(Some(place));
            }
            let range_end = end.min(place.0.0.saturating_add(slots_per_range));
            if let Some(next) = self.read(place, range_end)? {
                return Ok(Some(next).filter(|(slot, _)| slot.0 < end));
            }
            place = (Slot(range_end), 0);
        }
        Ok(None)
    }

    /// Reads from `place` to the slot `end` as one range; the place to go on from if the page is full before.
    fn read(&mut self, place: Place, end: u16) -> Result<Option<Place>, Failure> {
        let (replica, database) = (self.replica, self.order.database);
        let (slot, hash) = place;
        if end == slot.0 + 1 && replica.engine.key_count(slot, database) == 0 {
            return Ok(None);
        }
        let mut range = ScanRange { from: range_start(slot.0, database, hash), to: range_end(end - 1, database) };
        loop {
            let next = replica.engine.scan(&range, self.chunk(), &mut |key, value| self.take(key, value))?;
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let Some(next) = next else { return Ok(None) };
            let (place, is_own) = self.place_at(&next);
            // Keys of equal hash stay together: a cursor could not tell them apart.
            if self.is_full() && Some(place) != self.last {
                return Ok(Some(place));
            }
            if place.0.0 >= end {
                return Ok(None);
            }
            range.from = if is_own { next } else { range_start(place.0.0, database, place.1) };
        }
    }

    /// How much to read from the engine next.
    fn chunk(&self) -> ScanLimit {
        let entries = match self.order.request.limit {
            PageLimit::Examine(count) => count.saturating_sub(self.examined).max(1),
            PageLimit::First(count) => count.saturating_sub(self.page.keys.len()).max(CHUNK_KEYS_LEAST),
            PageLimit::All(_) => CHUNK_KEYS,
        };
        ScanLimit { entries: entries.min(CHUNK_KEYS), bytes: CHUNK_BYTES }
    }

    fn is_full(&self) -> bool {
        match self.order.request.limit {
            PageLimit::Examine(count) => {
                self.examined >= count.clamp(1, EXAMINED_KEYS) || self.page.bytes.len() >= PAGE_BYTES
            }
            PageLimit::First(count) => self.page.keys.len() >= count,
            PageLimit::All(_) => false,
        }
    }

    /// The first place of this database at or after the engine key (or prefix of one) `key`, and whether `key` itself is
    /// of this database. What lies before and after this database in a slot is passed over.
    fn place_at(&self, key: &[u8]) -> (Place, bool) {
        let (slot, hash) = head_of(key);
        match key.get(2).map_or(Ordering::Less, |database| database.cmp(&self.order.database.0)) {
            Ordering::Less => ((slot, 0), false),
            Ordering::Equal => ((slot, hash), true),
            Ordering::Greater => ((Slot(slot.0.saturating_add(1)), 0), false),
        }
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let Some(cell) = decode_key(key).filter(|cell| cell.database == self.order.database) else { return };
        self.examined += 1;
        self.last = Some((cell.slot, cell.hash));
        if self.failure.is_some() || !cell.path.is_empty() {
            return;
        }
        let record = match view(Some(value), self.replica.flush_time(cell.database)) {
            Ok(record) => record,
            Err(failure) => {
                self.failure = Some(failure);
                return;
            }
        };
        let matches = self.order.pattern.as_ref().is_none_or(|pattern| glob_match(pattern, cell.key));
        if matches && record.winner(self.at_ms).is_some() {
            self.answer(cell.key);
        }
    }

    fn answer(&mut self, key: &[u8]) {
        match self.order.request.limit {
            PageLimit::All(limit) if self.page.keys.len() >= limit => {
                self.failure = Some(Failure::TooManyKeys { limit });
            }
            PageLimit::First(limit) if self.page.keys.len() >= limit => {}
            _ if self.page.bytes.len() + key.len() > PAGE_BYTES_MAX => {
                self.failure = Some(Failure::TooManyKeyBytes { limit: PAGE_BYTES_MAX });
            }
            _ => {
                let start = self.page.bytes.len() as u32;
                self.page.bytes.extend_from_slice(key);
                self.page.keys.push(Span { start, len: key.len() as u32 });
            }
        }
    }
}

/// Slot and hash of an engine key, or of a prefix of one (missing bytes are zeros).
fn head_of(key: &[u8]) -> Place {
    let byte = |index: usize| key.get(index).copied().unwrap_or(0);
    let slot = Slot(u16::from_be_bytes([byte(0), byte(1)]));
    (slot, u32::from_be_bytes([byte(3), byte(4), byte(5), byte(6)]))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{Page, PageOrder};
    use crate::causality::{Actor, Hlc, Time};
    use crate::env::Clock;
    use crate::env::memory::MemoryMachine;
    use crate::ledger::Ledger;
    use crate::replica::key::{cursor_of, key_hash};
    use crate::replica::{
        Action, Applied, Failure, Operand, Operation, PageLimit, PageRequest, PurgeFloors, Replica, ReplicaOptions,
        ReplicaParts, Scratch, Workspace,
    };
    use crate::storage::{Durability, Engine, Options};
    use crate::types::{ArcLayout, Database, Incarnation, NodeNumber, SLOTS, Span, slot_of};

    /// A replica on a machine in memory.
    struct Node {
        machine: MemoryMachine,
        replica: Replica,
    }

    impl Node {
        fn new() -> Node {
            let machine = MemoryMachine::new(1);
            let (env, dir) = (machine.env(), PathBuf::from("data"));
            let ledger = Ledger::found(env.disk.clone(), &*env.random, &dir, ArcLayout::default());
            let options = Options::new(dir, Durability::None);
            let ledger = ledger.expect("an empty disk");
            let floors = PurgeFloors::new(&ledger.facts());
            let filter = Arc::<PurgeFloors>::clone(&floors);
            let parts = ReplicaParts {
                engine: Arc::new(Engine::open(&env, options, filter).expect("an empty disk")),
                ledger,
                floors,
                hlc: Arc::new(Hlc::new(Time::from_ms(env.clock.wall_ms()))),
                clock: env.clock.clone(),
                random: env.random.clone(),
            };
            let actor = Actor::new(NodeNumber(1), Incarnation(1));
            let options = ReplicaOptions { actor, layout: ArcLayout::default(), max_pair_bytes: 1 << 20 };
            Node { machine, replica: Replica::open(parts, options) }
        }

        fn apply(&self, database: u8, key: &str, action: Action) {
            let key_span = Span { start: 0, len: key.len() as u32 };
            let operation = Operation { database: Database(database), key: Operand::Input(key_span), action };
            let (mut arena, mut scratch) = (Vec::new(), Scratch::default());
            let work = Workspace {
                input: key.as_bytes(),
                arena: &mut arena,
                scratch: &mut scratch,
                fetched: &[],
                now_ms: self.machine.clock.wall_ms(),
                replication: None,
            };
            assert!(matches!(self.replica.apply(&operation, work), Applied::Done { .. }), "{key}");
        }

        fn set(&self, database: u8, key: &str) {
            self.apply(database, key, Action::Write { value: Operand::default(), expiry: None });
        }

        fn set_expiring(&self, database: u8, key: &str, lifetime_ms: u64) {
            let expiry = Some(self.machine.clock.wall_ms() + lifetime_ms);
            self.apply(database, key, Action::Write { value: Operand::default(), expiry });
        }

        fn page(&self, database: u8, request: PageRequest) -> Result<Page, Failure> {
            let now_ms = self.machine.clock.wall_ms();
            self.replica.page(&PageOrder { database: Database(database), request, pattern: None, now_ms })
        }

        /// All pages of `count` keys each, from the first.
        fn pages(&self, database: u8, count: usize) -> Vec<Vec<String>> {
            let mut pages = Vec::new();
            let mut cursor = 0;
            loop {
                let limit = PageLimit::Examine(count);
                let page = self.page(database, PageRequest { cursor, end_slot: SLOTS, limit, pattern: None });
                let page = page.expect("a readable store");
                pages.push(keys_of(&page));
                assert!(page.cursor == 0 || page.cursor > cursor, "a page goes on from a later place");
                cursor = page.cursor;
                if cursor == 0 {
                    return pages;
                }
            }
        }
    }

    fn keys_of(page: &Page) -> Vec<String> {
        page.keys.iter().map(|key| String::from_utf8_lossy(key.of(&page.bytes)).into_owned()).collect()
    }

    fn sorted(keys: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut keys: Vec<String> = keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }

    fn names(count: usize) -> Vec<String> {
        sorted((0..count).map(|index| format!("key:{index}")))
    }

    #[test]
    fn pages_show_every_key_once_in_each_database() {
        // Database 0 holds nearly all keys: one range. With as many in database 5: slot by slot.
        for others in [0, 3, 500] {
            let node = Node::new();
            (0..500).for_each(|index| node.set(0, &format!("key:{index}")));
            (0..others).for_each(|index| node.set(5, &format!("key:{index}")));
            for count in [0, 1, 7, 100, 499, 500, 501, usize::MAX] {
                let pages = node.pages(0, count);
                assert_eq!(sorted(pages.iter().flatten().cloned()), names(500), "{others} others, pages of {count}");
                assert_eq!(sorted(node.pages(5, count).concat()), names(others), "{others} others, pages of {count}");
                let longest = pages.iter().map(Vec::len).max();
                assert!(longest <= Some(count.max(1)), "pages of {count} have {longest:?} keys");
            }
            assert!(node.pages(9, 10).concat().is_empty());
        }
    }

    #[test]
    fn keys_of_equal_hash_are_on_one_page() {
        let mut seen: BTreeMap<u32, String> = BTreeMap::new();
        let mut equal = BTreeSet::new();
        for key in (0..300_000).map(|index| format!("{{t}}{index}")) {
            let hash = key_hash(key.as_bytes());
            if let Some(other) = seen.insert(hash, key.clone()) {
                equal.extend([other, key]);
            }
        }
        let node = Node::new();
        equal.iter().for_each(|key| node.set(0, key));
        assert!(equal.len() >= 6, "no keys of equal hash among these");
        for count in 1..equal.len() {
            let pages = node.pages(0, count);
            assert_eq!(sorted(pages.concat()), sorted(equal.clone()), "pages of {count}");
            for page in &pages {
                assert!(page.len().is_multiple_of(2), "{page:?} splits a pair");
            }
        }
    }

    #[test]
    fn what_expired_or_was_deleted_is_hidden() {
        let node = Node::new();
        names(50).iter().for_each(|key| node.set_expiring(0, key, 1000));
        (0..50).for_each(|index| node.set(0, &format!("gone:{index}")));
        (0..50).for_each(|index| node.apply(0, &format!("gone:{index}"), Action::Delete));
        assert_eq!(sorted(node.pages(0, 7).concat()), names(50));
        node.machine.clock.advance(std::time::Duration::from_secs(1));
        assert!(node.pages(0, 7).concat().is_empty());
        let random = node.replica.random_key(Database(0), node.machine.clock.wall_ms()).expect("a readable store");
        assert!(random.keys.is_empty());
        node.set(0, "one");
        let random = node.replica.random_key(Database(0), node.machine.clock.wall_ms()).expect("a readable store");
        assert_eq!(keys_of(&random), ["one"]);
    }

    #[test]
    fn a_slot_is_shown_by_itself() {
        let node = Node::new();
        let slot = slot_of(b"t");
        names(300).iter().for_each(|key| node.set(0, key));
        (0..40).for_each(|index| node.set(0, &format!("{{t}}{index}")));
        for (limit, expected) in [(0, 0), (1, 1), (39, 39), (40, 40), (1000, 40)] {
            let request = PageRequest {
                cursor: cursor_of(slot, 0),
                end_slot: slot.0 + 1,
                limit: PageLimit::First(limit),
                pattern: None,
            };
            let page = node.page(0, request).expect("a readable store");
            let keys: BTreeSet<String> = keys_of(&page).into_iter().collect();
            assert_eq!((keys.len(), page.keys.len(), page.cursor), (expected, expected, 0), "first {limit}");
            assert!(keys.iter().all(|key| slot_of(key.as_bytes()) == slot));
        }
    }

    #[test]
    fn all_keys_are_limited() {
        let node = Node::new();
        names(20).iter().for_each(|key| node.set(3, key));
        let request = |limit| PageRequest { cursor: 0, end_slot: SLOTS, limit, pattern: None };
        let page = node.page(3, request(PageLimit::All(20))).expect("no more than 20");
        assert_eq!((sorted(keys_of(&page)), page.cursor), (names(20), 0));
        let refused = node.page(3, request(PageLimit::All(19)));
        assert!(matches!(refused, Err(Failure::TooManyKeys { limit: 19 })), "{refused:?}");
        let beyond = PageRequest { cursor: 1 << 46, ..request(PageLimit::Examine(10)) };
        assert!(node.page(3, beyond).is_ok_and(|page| page.keys.is_empty() && page.cursor == 0));
    }

    #[test]
    fn a_random_key_is_any_key_of_a_slot_too() {
        let node = Node::new();
        (0..8).for_each(|index| node.set(0, &format!("{{t}}{index}")));
        let seen: BTreeSet<String> = (0..200)
            .flat_map(|_| keys_of(&node.replica.random_key(Database(0), 0).expect("a readable store")))
            .collect();
        // How likely a key is follows from the gap before its hash, so a few of them may not be met.
        assert!(seen.len() >= 4, "{seen:?}");
    }
}
