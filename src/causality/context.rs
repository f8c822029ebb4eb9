//! Contexts: which writes have been seen, as the greatest time of each actor.
//!
//! Invariant: entries are sorted by actor, one per actor, at most [`MAX_ACTORS`]. Up to four cost no allocation.

use smallvec::SmallVec;

use crate::causality::{Actor, Dot, FormatError, Time, format};
use crate::codec::Reader;

/// Most actors that a context may name. A replica's restart adds one per key it then writes; purging takes them away.
pub const MAX_ACTORS: usize = 512;

/// Entries that fit into the value itself.
const INLINE: usize = 4;

/// A context would name more than [`MAX_ACTORS`] actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a context names at most {MAX_ACTORS} actors")]
pub struct ContextFull;

/// A version vector: for each actor the greatest time covered. A dot is covered if its actor's entry is not earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    entries: SmallVec<[Dot; INLINE]>,
}

impl Context {
    /// The context that covers nothing.
    #[must_use]
    pub fn new() -> Self {
        Context::default()
    }

    /// The context of entries that are known to be sorted and few enough.
    pub(super) fn from_checked(entries: impl Iterator<Item = Dot>) -> Self {
        Context { entries: entries.collect() }
    }

    /// Reads a context, of a token for example, as [`Context::encode`] writes it: a count, then actor and time of each entry.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are no context; nothing is allocated before they were checked.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let entries = format::read_context(reader)?;
        Ok(Context::from_checked(entries.iter().map(format::entry_dot)))
    }

    /// Appends the context's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        format::put_context(out, self.iter());
    }

    /// The pointwise maximum of two lists of entries, each sorted by actor with one entry per actor.
    ///
    /// # Errors
    /// [`ContextFull`] if together they name more than [`MAX_ACTORS`] actors.
    pub fn join_of(left: impl Iterator<Item = Dot>, right: impl Iterator<Item = Dot>) -> Result<Context, ContextFull> {
        let (mut left, mut right) = (left.peekable(), right.peekable());
        let mut joined = Context::new();
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.actor == b.actor => left.next().max(right.next()),
                (Some(a), Some(b)) if a.actor < b.actor => left.next(),
                (Some(_), None) => left.next(),
                (_, Some(_)) => right.next(),
                (None, None) => return Ok(joined),
            };
            if joined.entries.len() == MAX_ACTORS {
                return Err(ContextFull);
            }
            joined.entries.extend(next);
        }
    }

    /// The greatest time covered of `actor`; zero if none is.
    #[must_use]
    pub fn time_of(&self, actor: Actor) -> Time {
        self.entry_of(actor).map_or(Time::ZERO, |(_, entry)| entry.time)
    }

    /// Whether the write `dot` is among those seen.
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        dot.time <= self.time_of(dot.actor)
    }

    /// Covers `dot` and every earlier write of its actor.
    ///
    /// # Errors
    /// [`ContextFull`] if the actor is new and there is no room.
    pub fn insert(&mut self, dot: Dot) -> Result<(), ContextFull> {
        match self.place_of(dot.actor) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.time = entry.time.max(dot.time);
                }
            }
            Err(_) if self.entries.len() == MAX_ACTORS => return Err(ContextFull),
            Err(index) => self.entries.insert(index, dot),
        }
        Ok(())
    }

    /// Covers all that `other` covers.
    ///
    /// # Errors
    /// [`ContextFull`] if together they name too many actors; this context then stays as it was.
    pub fn join(&mut self, other: &Context) -> Result<(), ContextFull> {
        if !other.is_empty() {
            *self = Context::join_of(self.iter(), other.iter())?;
        }
        Ok(())
    }

    /// Keeps only the entries that `keep` says.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Dot) -> bool) {
        self.entries.retain(|entry| keep(*entry));
    }

    /// The entries in order of actors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Dot> + Clone + '_ {
        self.entries.iter().copied()
    }

    /// Where `actor`'s entry stands, and the entry.
    pub(super) fn entry_of(&self, actor: Actor) -> Option<(usize, Dot)> {
        let index = self.place_of(actor).ok()?;
        self.entries.get(index).map(|entry| (index, *entry))
    }

    /// Where `actor`'s entry stands, or would have to.
    fn place_of(&self, actor: Actor) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&actor, |entry| entry.actor)
    }

    /// The greatest time of any entry; zero if there is none.
    #[must_use]
    pub fn newest_time(&self) -> Time {
        self.iter().map(|entry| entry.time).max().unwrap_or(Time::ZERO)
    }

    /// Number of actors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is covered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Context, ContextFull, MAX_ACTORS};
    use crate::causality::{Actor, Dot, Time};

    fn dot(actor: u64, time: u64) -> Dot {
        Dot::new(Actor::from_bits(actor), Time(time))
    }

    fn context(dots: &[(u64, u64)]) -> Context {
        let mut context = Context::new();
        dots.iter().for_each(|&(actor, time)| context.insert(dot(actor, time)).expect("few actors"));
        context
    }

    #[test]
    fn a_context_covers_what_is_not_later_than_its_entry() {
        let context = context(&[(3, 10), (1, 5), (3, 7)]);
        assert_eq!(context.iter().collect::<Vec<_>>(), [dot(1, 5), dot(3, 10)]);
        for (actor, time, covered) in [(1, 5, true), (1, 6, false), (3, 9, true), (2, 1, false)] {
            assert_eq!(context.covers(dot(actor, time)), covered, "{actor}:{time}");
        }
        assert_eq!((context.newest_time(), context.len()), (Time(10), 2));
    }

    #[test]
    fn joining_takes_the_greater_time_of_each_actor() {
        let mut left = context(&[(1, 5), (2, 2), (9, 1)]);
        left.join(&context(&[(2, 3), (4, 4), (9, 1)])).expect("few actors");
        assert_eq!(left, context(&[(1, 5), (2, 3), (4, 4), (9, 1)]));
        left.join(&Context::new()).expect("few actors");
        assert_eq!(left.len(), 4);
    }

    #[test]
    fn a_full_context_says_so_and_stays() {
        let full: Vec<_> = (0..MAX_ACTORS as u64).map(|actor| (actor, 1)).collect();
        let mut full = context(&full);
        assert_eq!(full.insert(dot(9_999, 1)), Err(ContextFull));
        assert_eq!(full.join(&context(&[(9_999, 1)])), Err(ContextFull));
        assert_eq!(full.insert(dot(3, 8)), Ok(()));
        assert_eq!((full.len(), full.time_of(Actor::from_bits(3))), (MAX_ACTORS, Time(8)));
        assert_eq!(ContextFull.to_string(), "a context names at most 512 actors");
    }
}
