//! Ranges of keys that were dropped: tables older than a drop no longer count in its range.
//!
//! Invariant: ranges are ascending and disjoint. A newer drop (its stamp is never below an older one's) replaces what it
//! covers of older ones, since it hides all that they hide.
//! A table remembers up to which drop it was cleaned when it was written; a stamp alone could not say so, because two drops
//! have the same stamp if nothing was written in between.

use crate::types::Stamp;

/// All keys of `[from, to)` in tables whose newest entry is older than `stamp` are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeDrop {
    /// First key of the range.
    pub(crate) from: Vec<u8>,
    /// First key past the range.
    pub(crate) to: Vec<u8>,
    /// Above the stamp of every entry that is to go, not above that of any later one.
    pub(crate) stamp: Stamp,
}

/// A drop in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NumberedDrop {
    /// Greater than that of every older drop.
    pub(crate) number: u64,
    /// What is gone.
    pub(crate) drop: RangeDrop,
}

/// How a table stands to drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// Stamp above which the table has no entry.
    pub(crate) max_stamp: Stamp,
    /// Entries that fell under drops up to this number were left out when the table was written.
    pub(crate) cleaned: u64,
}

impl NumberedDrop {
    /// Whether entries of a table of that age are gone from the range.
    #[inline]
    pub(crate) fn hides(&self, age: Age) -> bool {
        age.max_stamp < self.drop.stamp && age.cleaned < self.number
    }
}

/// The drops in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drops {
    ranges: Vec<NumberedDrop>,
}

impl Drops {
    /// Adds a drop that is newer than all before it.
    pub(crate) fn insert(&mut self, new: NumberedDrop) {
        if new.drop.from >= new.drop.to {
            return;
        }
        let start = self.ranges.partition_point(|old| old.drop.to <= new.drop.from);
        let end = self.ranges.partition_point(|old| old.drop.from < new.drop.to);
        let covered = self.ranges.get(start..end).unwrap_or(&[]);
        let before = covered.first().filter(|old| old.drop.from < new.drop.from).cloned();
        let behind = covered.last().filter(|old| old.drop.to > new.drop.to).cloned();
        let before = before.map(|mut old| {
            old.drop.to.clone_from(&new.drop.from);
            old
        });
        let behind = behind.map(|mut old| {
            old.drop.from.clone_from(&new.drop.to);
            old
        });
        self.ranges.splice(start..end, before.into_iter().chain([new]).chain(behind));
    }

    /// Whether an entry for `key` of a table of that age is gone.
    #[inline]
    pub(crate) fn hide(&self, key: &[u8], age: Age) -> bool {
        if self.ranges.is_empty() {
            return false;
        }
        let index = self.ranges.partition_point(|old| *old.drop.to <= *key);
        self.ranges.get(index).is_some_and(|old| *old.drop.from <= *key && old.hides(age))
    }

    /// Whether some key from `first` to `last` of a table of that age may be gone.
    pub(crate) fn touch(&self, (first, last): (&[u8], &[u8]), age: Age) -> bool {
        let start = self.ranges.partition_point(|old| *old.drop.to <= *first);
        let ranges = self.ranges.get(start..).unwrap_or(&[]);
        ranges.iter().take_while(|old| *old.drop.from <= *last).any(|old| old.hides(age))
    }

    /// Whether one drop hides all keys from `first` to `last` of a table of that age.
    pub(crate) fn cover(&self, (first, last): (&[u8], &[u8]), age: Age) -> bool {
        let index = self.ranges.partition_point(|old| *old.drop.to <= *first);
        let holds = |old: &NumberedDrop| *old.drop.from <= *first && *last < *old.drop.to && old.hides(age);
        self.ranges.get(index).is_some_and(holds)
    }

    /// Forgets the drops that `needed` denies.
    pub(crate) fn retain(&mut self, needed: impl FnMut(&NumberedDrop) -> bool) {
        self.ranges.retain(needed);
    }

    /// The drops in order of their keys.
    pub(crate) fn ranges(&self) -> &[NumberedDrop] {
        &self.ranges
    }

    /// Number of the newest drop.
    pub(crate) fn newest(&self) -> u64 {
        self.ranges.iter().map(|old| old.number).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, Drops, NumberedDrop, RangeDrop};
    use crate::types::Stamp;

    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn drops_hide_what_each_of_them_hides(ranges in proptest::collection::vec((0u8..20, 0u8..20), 0..12)) {
            let all: Vec<_> = ranges.iter().enumerate().map(|(index, (from, to))| {
                // Two at a time have the same stamp: nothing was written in between.
                let drop = RangeDrop { from: vec![*from], to: vec![*to], stamp: Stamp(index as u64 / 2 + 1) };
                NumberedDrop { number: index as u64 + 1, drop }
            }).collect();
            let mut drops = Drops::default();
            all.iter().for_each(|drop| drops.insert(drop.clone()));
            prop_assert!(drops.ranges().windows(2).all(|pair| pair[0].drop.to <= pair[1].drop.from));
            for (key, max_stamp, cleaned) in (0..21u8).flat_map(|key| (0..60).map(move |age| (key, age % 8, age / 8 * 2))) {
                let age = Age { max_stamp: Stamp(max_stamp), cleaned };
                let key = vec![key];
                let wanted = all.iter().any(|old| old.drop.from <= key && old.drop.to > key && old.hides(age));
                prop_assert_eq!(drops.hide(&key, age), wanted);
                prop_assert_eq!(drops.touch((&key, &key), age), wanted);
                prop_assert_eq!(drops.cover((&key, &key), age), wanted);
            }
        }
    }
}
