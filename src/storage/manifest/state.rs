//! What a store consists of: the sum of all edits.
//!
//! Invariant: every edit fits what the edits before it made: nothing is added twice, and what is removed or trimmed is there.

use std::collections::BTreeMap;

use crate::storage::drops::{Drops, NumberedDrop};
use crate::storage::manifest::format::{Edit, Placed};
use crate::storage::view::LEVELS;
use crate::types::Stamp;

/// What a store consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Tables by number.
    pub(crate) tables: BTreeMap<u64, Placed>,
    /// Drops in force.
    pub(crate) drops: Drops,
    /// The file of the newest tally.
    pub(crate) tally: Option<u64>,
    /// Every log entry below it is in tables.
    pub(crate) flushed_to: Stamp,
    /// No file has this number or a greater one.
    pub(crate) next_number: u64,
}

impl State {
    /// Applies `edit`.
    ///
    /// # Errors
    /// Says why it does not fit; the state is then of no use.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), &'static str> {
        for number in &edit.removed {
            self.tables.remove(number).ok_or("an edit removes a table that is not there")?;
        }
        for (number, first) in &edit.trimmed {
            let placed = self.tables.get_mut(number).ok_or("an edit trims a table that is not there")?;
            if *first > placed.info.last {
                return Err("an edit trims a table past its end");
            }
            placed.info.first.clone_from(first);
        }
        for placed in &edit.added {
            if usize::from(placed.level) >= LEVELS || placed.info.first > placed.info.last {
                return Err("an edit adds a table of no level or without a range");
            }
            if self.tables.insert(placed.info.number, placed.clone()).is_some() {
                return Err("an edit adds a table that is there");
            }
        }
        for drop in &edit.drops {
            self.drops.insert(drop.clone());
        }
        self.tally = edit.tally.or(self.tally);
        self.flushed_to = edit.flushed_to.unwrap_or(self.flushed_to).max(self.flushed_to);
        self.next_number = self.next_number.max(edit.next_number);
        Ok(())
    }

    /// Forgets the drops under which nothing can fall any more: no table in their range is older, and the log that would be
    /// replayed is younger. A forgotten drop may come back with a restart, which changes nothing.
    pub(crate) fn forget_drops(&mut self) {
        let State { tables, drops, flushed_to, .. } = self;
        if drops.ranges().is_empty() {
            return;
        }
        let is_older = |old: &NumberedDrop, placed: &Placed| {
            old.hides(placed.info.age()) && placed.info.last >= old.drop.from && placed.info.first < old.drop.to
        };
        drops.retain(|old| old.drop.stamp > *flushed_to || tables.values().any(|placed| is_older(old, placed)));
    }

    /// The edit that makes this state out of nothing.
    pub(crate) fn snapshot(&self) -> Edit {
        Edit {
            added: self.tables.values().cloned().collect(),
            drops: self.drops.ranges().to_vec(),
            tally: self.tally,
            flushed_to: Some(self.flushed_to),
            next_number: self.next_number,
            ..Edit::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::storage::drops::{NumberedDrop, RangeDrop};
    use crate::storage::manifest::format::{Edit, Placed};
    use crate::storage::table::TableInfo;
    use crate::types::Stamp;

    fn placed(number: u64, max_stamp: u64) -> Placed {
        let (first, last) = (vec![number as u8], vec![number as u8, 9]);
        let info = TableInfo { number, bytes: 1, keys: 1, max_stamp: Stamp(max_stamp), cleaned: 0, first, last };
        Placed { level: 0, run: number, info }
    }

    #[test]
    fn a_snapshot_makes_the_same_state() {
        let mut state = State::default();
        let added = vec![placed(1, 5), placed(2, 6)];
        state.apply(&Edit { added, tally: Some(3), next_number: 4, ..Edit::default() }).expect("fits");
        let trimmed = vec![(2, vec![2, 5])];
        state.apply(&Edit { removed: vec![1], trimmed, flushed_to: Some(Stamp(8)), ..Edit::default() }).expect("fits");
        let mut again = State::default();
        again.apply(&state.snapshot()).expect("fits");
        assert_eq!(again, state);
        assert_eq!(state.tables.get(&2).map(|placed| &placed.info.first[..]), Some(&[2, 5][..]));
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        let mut state = State::default();
        state.apply(&Edit { added: vec![placed(1, 5)], ..Edit::default() }).expect("fits");
        let deep = Placed { level: 200, ..placed(2, 5) };
        for edit in [
            Edit { added: vec![placed(1, 5)], ..Edit::default() },
            Edit { added: vec![deep], ..Edit::default() },
            Edit { removed: vec![2], ..Edit::default() },
            Edit { trimmed: vec![(2, vec![])], ..Edit::default() },
            Edit { trimmed: vec![(1, vec![9])], ..Edit::default() },
        ] {
            assert!(state.clone().apply(&edit).is_err(), "{edit:?}");
        }
    }

    #[test]
    fn a_drop_is_kept_while_older_tables_or_log_entries_can_be_there() {
        let drop = RangeDrop { from: vec![1], to: vec![2], stamp: Stamp(10) };
        let drop = NumberedDrop { number: 4, drop };
        let mut state = State::default();
        let added = vec![placed(1, 5), placed(3, 5)];
        state.apply(&Edit { added, drops: vec![drop], flushed_to: Some(Stamp(7)), ..Edit::default() }).expect("fits");
        state.forget_drops();
        assert_eq!(state.drops.ranges().len(), 1);
        state.apply(&Edit { removed: vec![1], ..Edit::default() }).expect("fits");
        state.forget_drops();
        assert_eq!(state.drops.ranges().len(), 1, "the log may still hold older entries");
        state.apply(&Edit { flushed_to: Some(Stamp(10)), ..Edit::default() }).expect("fits");
        state.forget_drops();
        assert!(state.drops.ranges().is_empty(), "table 3 is older, but outside of the range");
    }
}
