//! Sets of an arc's members, by their index in the requirement: counting is a mask and a population count.

/// Most members that an arc may have, those of the list it moves to included.
pub const MAX_MEMBERS: usize = 64;

/// A set of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberSet(u64);

impl MemberSet {
    /// The empty set.
    pub const EMPTY: MemberSet = MemberSet(0);

    /// The set of the first `count` members.
    ///
    /// # Panics
    /// If there cannot be so many.
    #[must_use]
    pub fn first(count: usize) -> Self {
        assert!(count <= MAX_MEMBERS, "an arc has at most {MAX_MEMBERS} members, not {count}");
        MemberSet(if count == MAX_MEMBERS { u64::MAX } else { (1 << count) - 1 })
    }

    /// The set of one.
    #[must_use]
    pub fn of(index: usize) -> Self {
        let mut set = MemberSet::EMPTY;
        set.insert(index);
        set
    }

    /// Adds a member.
    ///
    /// # Panics
    /// If there can be no such member.
    pub fn insert(&mut self, index: usize) {
        assert!(index < MAX_MEMBERS, "an arc has at most {MAX_MEMBERS} members, none of index {index}");
        self.0 |= 1 << index;
    }

    /// Whether a member is in it.
    #[must_use]
    pub fn has(self, index: usize) -> bool {
        index < MAX_MEMBERS && self.0 & (1 << index) != 0
    }

    /// Those of either.
    #[must_use]
    pub fn or(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(self, other: MemberSet) -> MemberSet {
        MemberSet(self.0 & !other.0)
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their indexes in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_MEMBERS).filter(move |index| self.has(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MEMBERS, MemberSet};

    #[test]
    fn sets_hold_what_was_put_in() {
        let all = MemberSet::first(MAX_MEMBERS);
        assert_eq!((all.count(), all.has(63), all.has(64), MemberSet::first(0)), (64, true, false, MemberSet::EMPTY));
        let mut set = MemberSet::of(2);
        set.insert(5);
        set.insert(5);
        assert_eq!(set.iter().collect::<Vec<_>>(), [2, 5]);
        assert_eq!(set.or(MemberSet::of(63)).without(MemberSet::of(2)).iter().collect::<Vec<_>>(), [5, 63]);
        assert!(set.and(MemberSet::of(3)).is_empty());
    }
}
