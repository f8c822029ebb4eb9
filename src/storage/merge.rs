//! Merges cursors into one: the newest entry of each key, in ascending key order.
//!
//! Invariant: of sources that hold the same key the one that stands first in the list wins; the others' entries are passed.
//! The heap orders sources by the first 8 bytes of their keys, kept beside them, before it looks at the keys themselves.

use std::cmp::Ordering;

use crate::storage::cursor::Cursor;
use crate::storage::error::Error;
use crate::storage::table::prefix;

/// A cursor over the newest entries of several.
pub(crate) struct Merge {
    sources: Vec<Source>,
    /// Indices of sources that are on an entry, as a heap: the least key, then the first source, on top.
    heap: Vec<u32>,
    started: bool,
    last: Vec<u8>,
}

struct Source {
    cursor: Box<dyn Cursor>,
    prefix: u64,
}

impl Merge {
    /// A cursor over `sources`, newest first.
    pub(crate) fn new(sources: Vec<Box<dyn Cursor>>) -> Self {
        let sources: Vec<_> = sources.into_iter().map(|cursor| Source { cursor, prefix: 0 }).collect();
        Merge { heap: Vec::with_capacity(sources.len()), sources, started: false, last: Vec::new() }
    }

    /// Index of the source of the current entry.
    pub(crate) fn source(&self) -> usize {
        self.heap.first().map_or(0, |source| *source as usize)
    }

    fn start(&mut self) -> Result<bool, Error> {
        self.started = true;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if source.step()? {
                self.heap.push(index as u32);
            }
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        Ok(!self.heap.is_empty())
    }

    /// Moves the source on top to its next entry.
    fn step_top(&mut self) -> Result<(), Error> {
        let Some(top) = self.heap.first() else { return Ok(()) };
        if !self.sources[*top as usize].step()? {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.is_before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.heap[a], self.heap[b]);
        let (left, right) = (&self.sources[a as usize], &self.sources[b as usize]);
        let order = left.prefix.cmp(&right.prefix).then_with(|| left.cursor.key().cmp(right.cursor.key()));
        order.then(a.cmp(&b)) == Ordering::Less
    }

    /// Whether the entry on top is of the key that was handed out last.
    fn repeats(&self, last_prefix: u64) -> bool {
        let top = self.heap.first().map(|top| &self.sources[*top as usize]);
        top.is_some_and(|top| top.prefix == last_prefix && *top.cursor.key() == *self.last)
    }
}

impl Source {
    #[inline]
    fn step(&mut self) -> Result<bool, Error> {
        let found = self.cursor.advance()?;
        if found {
            self.prefix = prefix(self.cursor.key());
        }
        Ok(found)
    }
}

impl Cursor for Merge {
    fn advance(&mut self) -> Result<bool, Error> {
        if !self.started {
            return self.start();
        }
        let Some(top) = self.heap.first() else { return Ok(false) };
        if self.heap.len() == 1 {
            self.step_top()?;
            return Ok(!self.heap.is_empty());
        }
        let top = &self.sources[*top as usize];
        let last_prefix = top.prefix;
        self.last.clear();
        self.last.extend_from_slice(top.cursor.key());
        self.step_top()?;
        while self.repeats(last_prefix) {
            self.step_top()?;
        }
        Ok(!self.heap.is_empty())
    }

    fn key(&self) -> &[u8] {
        self.sources.get(self.source()).map_or(&[], |source| source.cursor.key())
    }

    fn value(&self) -> &[u8] {
        self.sources.get(self.source()).map_or(&[], |source| source.cursor.value())
    }
}

#[cfg(test)]
mod tests {
    use super::Merge;
    use crate::storage::cursor::Cursor;
    use crate::storage::error::Error;
    use std::collections::BTreeMap;

    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    type Entry = (Vec<u8>, Vec<u8>);

    struct List {
        entries: Vec<Entry>,
        next: usize,
    }

    impl Cursor for List {
        fn advance(&mut self) -> Result<bool, Error> {
            self.next += 1;
            Ok(self.next <= self.entries.len())
        }

        fn key(&self) -> &[u8] {
            &self.entries[self.next - 1].0
        }

        fn value(&self) -> &[u8] {
            &self.entries[self.next - 1].1
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_first_source_of_a_key_wins(
            keys in proptest::collection::vec(proptest::collection::btree_set(proptest::collection::vec(0u8..2, 0..12), 0..20), 0..7)
        ) {
            let mut model = BTreeMap::new();
            let mut sources: Vec<Box<dyn Cursor>> = Vec::new();
            for (index, keys) in keys.iter().enumerate() {
                let entries: Vec<Entry> = keys.iter().map(|key| (key.clone(), vec![index as u8])).collect();
                for (key, value) in &entries {
                    model.entry(key.clone()).or_insert_with(|| value.clone());
                }
                sources.push(Box::new(List { entries, next: 0 }));
            }
            let mut merge = Merge::new(sources);
            let mut found = Vec::new();
            while merge.advance().expect("lists do not fail") {
                prop_assert_eq!(merge.value(), &[merge.source() as u8]);
                found.push((merge.key().to_vec(), merge.value().to_vec()));
            }
            prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
        }
    }
}
