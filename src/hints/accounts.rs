//! How much is kept for whom.
//!
//! What earlier lives left is counted after the start, page by page, while hints come and go. A change says what it found
//! and what it left; if the place has not been counted yet, what it found is left out and the place remembered, so that the
//! count skips it.
//!
//! Invariant: once everything was counted, the numbers are exact; before, they are those of what was counted or changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::hints::entry::parts_of;
use crate::types::NodeNumber;

/// What is kept for one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Hints.
    pub count: u64,
    /// Bytes of their keys and records.
    pub bytes: u64,
    /// No hint was kept, or last added to, before this, in milliseconds since the Unix epoch.
    pub oldest_ms: u64,
    /// Hints that have gone but still lie in the engine, as far as they went in this life.
    pub(super) gone: u64,
}

/// What is kept for all nodes.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    nodes: BTreeMap<NodeNumber, Held>,
    bytes: u64,
    count: Count,
}

/// How far the count of what earlier lives left has come.
#[derive(Debug)]
enum Count {
    /// Places below `to` were counted; of the others, those were changed meanwhile.
    Running {
        to: Vec<u8>,
        changed: BTreeSet<Vec<u8>>,
    },
    Done,
}

impl Default for Count {
    fn default() -> Self {
        Count::Running { to: Vec::new(), changed: BTreeSet::new() }
    }
}

/// A hint as the accounts see it: bytes, and when it was kept. Nothing if there is none.
pub(super) type Size = Option<(usize, u64)>;

impl Accounts {
    /// Notes that what lies at `place` became another one. To be called under the place's lock.
    pub(super) fn change(&mut self, place: &[u8], before: Size, after: Size) {
        // The first change of a place that was not counted yet: from now on it counts as counted.
        let is_first = match &mut self.count {
            Count::Running { to, changed } => place >= &to[..] && changed.insert(place.to_vec()),
            Count::Done => false,
        };
        let before = before.filter(|_| !is_first);
        let was_there = before.is_some();
        self.subtract(place, before);
        self.add(place, after);
        if was_there
            && after.is_none()
            && let Some((node, ..)) = parts_of(place)
            && let Some(held) = self.nodes.get_mut(&node)
        {
            held.gone += 1;
        }
    }

    /// Counts a page that ends before `next`: everything that lay there when it was read.
    pub(super) fn count_page(&mut self, page: Vec<(Vec<u8>, Size)>, next: Option<&[u8]>) {
        let Count::Running { to, changed } = &mut self.count else { return };
        let counted: Vec<_> = page.into_iter().filter(|(place, _)| !changed.contains(place)).collect();
        match next {
            Some(next) => {
                *changed = changed.split_off(next);
                *to = next.to_vec();
            }
            None => self.count = Count::Done,
        }
        counted.iter().for_each(|(place, size)| self.add(place, *size));
    }

    /// Whether everything was counted.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.count, Count::Done)
    }

    /// Bytes kept for all nodes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The nodes for which something is kept, or lies in the engine although it has gone.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeNumber, Held)> + '_ {
        self.nodes.iter().map(|(node, held)| (*node, *held))
    }

    /// What is kept for `node`.
    pub(super) fn of(&self, node: NodeNumber) -> Held {
        self.nodes.get(&node).copied().unwrap_or_default()
    }

    /// Nothing of `node` lies in the engine any more.
    pub(super) fn cleared(&mut self, node: NodeNumber) {
        self.nodes.remove(&node);
    }

    /// Nothing that is kept now for `node` is older than `oldest_ms`.
    pub(super) fn raise_oldest(&mut self, node: NodeNumber, oldest_ms: u64) {
        if let Some(held) = self.nodes.get_mut(&node) {
            held.oldest_ms = held.oldest_ms.max(oldest_ms);
        }
    }

    fn add(&mut self, place: &[u8], size: Size) {
        let (Some((bytes, at_ms)), Some((node, ..))) = (size, parts_of(place)) else { return };
        let held = self.nodes.entry(node).or_default();
        held.oldest_ms = if held.count == 0 { at_ms } else { held.oldest_ms.min(at_ms) };
        held.count += 1;
        held.bytes += bytes as u64;
        self.bytes += bytes as u64;
    }

    fn subtract(&mut self, place: &[u8], size: Size) {
        let (Some((bytes, _)), Some((node, ..))) = (size, parts_of(place)) else { return };
        let held = self.nodes.entry(node).or_default();
        assert!(held.count > 0 && held.bytes >= bytes as u64, "a hint that was never counted goes");
        held.count -= 1;
        held.bytes -= bytes as u64;
        self.bytes -= bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::{Accounts, Held};
    use crate::hints::entry::place_of;
    use crate::types::{Database, NodeNumber};

    const NODE: NodeNumber = NodeNumber(3);

    fn place(key: &str) -> Vec<u8> {
        place_of(NODE, Database(0), key.as_bytes())
    }

    fn held(accounts: &Accounts) -> (u64, u64) {
        let Held { count, bytes, .. } = accounts.of(NODE);
        assert_eq!(accounts.bytes(), bytes);
        (count, bytes)
    }

    #[test]
    fn what_changes_during_the_count_is_counted_once() {
        let mut accounts = Accounts::default();
        // In the engine: a, c, e, g of 10 bytes. The page a, c is read; then b comes, c grows, a goes.
        let page = vec![(place("a"), Some((10, 1))), (place("c"), Some((10, 1)))];
        accounts.change(&place("b"), None, Some((5, 9)));
        accounts.change(&place("c"), Some((10, 1)), Some((12, 9)));
        accounts.change(&place("c"), Some((12, 9)), Some((13, 9)));
        accounts.change(&place("a"), Some((10, 1)), None);
        accounts.change(&place("g"), Some((10, 1)), Some((11, 9)));
        accounts.count_page(page, Some(&place("e")));
        assert_eq!((held(&accounts), accounts.is_complete()), ((3, 5 + 13 + 11), false));
        accounts.change(&place("b"), Some((5, 9)), None);
        accounts.change(&place("d"), None, Some((7, 9)));
        accounts.count_page(vec![(place("e"), Some((10, 1))), (place("g"), Some((11, 9)))], None);
        assert_eq!((held(&accounts), accounts.is_complete()), ((4, 13 + 7 + 10 + 11), true));
        accounts.change(&place("e"), Some((10, 1)), None);
        assert_eq!(held(&accounts), (3, 13 + 7 + 11));
    }

    #[test]
    fn the_oldest_is_never_later_than_what_is_kept() {
        let mut accounts = Accounts::default();
        accounts.count_page(Vec::new(), None);
        accounts.change(&place("a"), None, Some((1, 50)));
        accounts.change(&place("b"), None, Some((1, 40)));
        assert_eq!(accounts.of(NODE).oldest_ms, 40);
        accounts.change(&place("b"), Some((1, 40)), None);
        assert_eq!(accounts.of(NODE).oldest_ms, 40, "until somebody has looked");
        accounts.raise_oldest(NODE, 45);
        accounts.change(&place("a"), Some((1, 50)), None);
        accounts.change(&place("a"), None, Some((1, 70)));
        assert_eq!(accounts.of(NODE).oldest_ms, 70);
    }
}
