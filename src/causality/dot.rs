//! Names that are never reused: an actor is one life of one node, a dot is one write of one actor.

use std::fmt;

use crate::causality::Time;
use crate::types::{Incarnation, NodeNumber};

/// Bits of an incarnation within a packed actor.
const INCARNATION_BITS: u32 = 48;

/// The greatest incarnation that an actor can carry (as milliseconds: the year 10889).
pub const MAX_INCARNATION: Incarnation = Incarnation((1 << INCARNATION_BITS) - 1);

/// One life of one node: node number in the upper 16 bits, incarnation in the lower 48, so that integers order like pairs.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(u64);

impl Actor {
    /// The actor of `node` in the life `incarnation`.
    ///
    /// # Panics
    /// If the incarnation is above [`MAX_INCARNATION`]; the ledger, which raises it, refuses to.
    #[must_use]
    pub fn new(node: NodeNumber, incarnation: Incarnation) -> Self {
        assert!(incarnation <= MAX_INCARNATION, "incarnation {} does not fit an actor", incarnation.0);
        Actor((u64::from(node.0) << INCARNATION_BITS) | incarnation.0)
    }

    /// The actor whose packed form is `bits`; every value is one.
    #[inline]
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Actor(bits)
    }

    /// The packed form.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The node that wrote.
    #[must_use]
    pub fn node(self) -> NodeNumber {
        NodeNumber((self.0 >> INCARNATION_BITS) as u16)
    }

    /// Which of its lives.
    #[must_use]
    pub fn incarnation(self) -> Incarnation {
        Incarnation(self.0 & MAX_INCARNATION.0)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node().0, self.incarnation().0)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({self})")
    }
}

/// The name of one write. As an entry of a context it stands for all writes of its actor up to its time.
///
/// Ordered by actor, then time: the order in which records store them. Which version wins is another order, by
/// [`Dot::age`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote.
    pub actor: Actor,
    /// When, by its hybrid logical clock; never zero in a record.
    pub time: Time,
}

impl Dot {
    /// A dot of `actor` at `time`.
    #[must_use]
    pub fn new(actor: Actor, time: Time) -> Self {
        Dot { actor, time }
    }

    /// What decides between siblings where only one can be shown: the greater (time, actor).
    #[inline]
    #[must_use]
    pub fn age(self) -> (Time, Actor) {
        (self.time, self.actor)
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.actor, self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, MAX_INCARNATION};
    use crate::types::{Incarnation, NodeNumber};

    #[test]
    fn actors_order_by_node_then_incarnation() {
        let actor = |node, incarnation| Actor::new(NodeNumber(node), Incarnation(incarnation));
        assert!(actor(1, MAX_INCARNATION.0) < actor(2, 0));
        assert!(actor(2, 5) < actor(2, 6));
        let packed = Actor::from_bits(actor(7, 1_800_000_000_000).bits());
        assert_eq!((packed.node(), packed.incarnation()), (NodeNumber(7), Incarnation(1_800_000_000_000)));
        assert_eq!(packed.to_string(), "7.1800000000000");
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn an_incarnation_above_48_bits_is_a_mistake() {
        let _ = Actor::new(NodeNumber(1), Incarnation(1 << 48));
    }
}
