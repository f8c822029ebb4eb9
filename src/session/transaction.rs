//! The commands between `MULTI` and `EXEC`, and the keys that `WATCH` named.
//!
//! Invariant: both are bounded in bytes, whatever a client queues or watches.

use std::collections::BTreeMap;

use crate::replica::Fingerprint;
use crate::types::{Args, Database, Span};

/// Bytes that one queue may hold, those that keep its commands and arguments apart included.
pub(super) const MAX_QUEUE_BYTES: usize = 32 << 20;

/// Commands queued since `MULTI`, with their own copy of the arguments.
#[derive(Debug, Default)]
pub struct Queue {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    // End of each command's spans.
    ends: Vec<usize>,
    /// A queued command was refused: `EXEC` answers `EXECABORT`.
    pub broken: bool,
}

impl Queue {
    /// Number of commands.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Copies a command to the end of the queue; `false` if the queue would hold more than `MAX_QUEUE_BYTES`.
    #[must_use]
    pub fn push(&mut self, args: Args<'_>) -> bool {
        let bytes: usize = args.iter().map(<[u8]>::len).sum();
        let more = bytes + args.count() * size_of::<Span>() + size_of::<usize>();
        if self.held_bytes() + more > MAX_QUEUE_BYTES {
            return false;
        }
        for arg in args.iter() {
            self.spans.push(Span { start: self.bytes.len() as u32, len: arg.len() as u32 });
            self.bytes.extend_from_slice(arg);
        }
        self.ends.push(self.spans.len());
        true
    }

    /// Bytes that the queue holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>() + self.ends.len() * size_of::<usize>()
    }

    /// The arguments of command `index`.
    #[must_use]
    pub fn command(&self, index: usize) -> Args<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Args::new(&self.bytes, &self.spans[start..self.ends[index]])
    }
}

/// A watched key and what it was.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its database.
    pub database: Database,
    /// The key.
    pub key: Vec<u8>,
    /// Its record then.
    pub seen: Fingerprint,
}

/// Bytes that one connection's watched keys may take.
const MAX_WATCHED_BYTES: usize = 32 << 20;
/// What a watched key takes beside its bytes.
const WATCHED_BYTES: usize = 128;

/// The keys that a connection watches, each as it was when it was named first.
#[derive(Debug, Default)]
pub struct WatchList {
    keys: BTreeMap<(u8, Vec<u8>), Fingerprint>,
    bytes: usize,
}

impl WatchList {
    /// Adds a key unless it is watched already; `false` if there is no room for it.
    #[must_use]
    pub fn add(&mut self, watched: Watched) -> bool {
        let bytes = watched.key.len() + WATCHED_BYTES;
        if self.bytes + bytes > MAX_WATCHED_BYTES {
            return self.keys.contains_key(&(watched.database.0, watched.key));
        }
        self.keys.entry((watched.database.0, watched.key)).or_insert_with(|| {
            self.bytes += bytes;
            watched.seen
        });
        true
    }

    /// Number of keys.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Bytes that the list holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all keys, and returns them.
    pub fn take(&mut self) -> Vec<Watched> {
        self.bytes = 0;
        let keys = std::mem::take(&mut self.keys).into_iter();
        keys.map(|((database, key), seen)| Watched { database: Database(database), key, seen }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, WatchList, Watched};
    use crate::causality::Time;
    use crate::replica::Fingerprint;
    use crate::types::{Args, Database, Span};

    #[test]
    fn a_key_is_watched_as_it_was_first_and_all_are_bounded() {
        let mut list = WatchList::default();
        let watched = |key: Vec<u8>, hash| Watched {
            database: Database(0),
            key,
            seen: Fingerprint { hash, newest: Time::from_ms(1) },
        };
        assert!(list.add(watched(b"a".to_vec(), 1)) && list.add(watched(b"a".to_vec(), 2)));
        assert_eq!(list.count(), 1);
        let taken = (0..100_u8).take_while(|&index| list.add(watched(vec![index; 1 << 20], 1))).count();
        assert_eq!(taken, 31, "of 1 MB each");
        assert!(list.add(watched(vec![0; 1 << 20], 3)), "it is watched already");
        assert_eq!(list.take().first().map(|watched| watched.seen.hash), Some(1));
        assert!(list.count() == 0 && list.add(watched(vec![99; 1 << 20], 1)));
    }

    #[test]
    fn empty_arguments_fill_a_queue_too() {
        let (mut queue, empty) = (Queue::default(), vec![Span::default(); 1 << 20]);
        let taken = (0..100).take_while(|_| queue.push(Args::new(b"", &empty))).count();
        assert_eq!(taken, 3, "of 8 MB each");
    }

    #[test]
    fn queued_commands_keep_their_own_bytes() {
        let mut queue = Queue::default();
        for text in ["GET a", "SET bb"] {
            let spans = [Span { start: 0, len: 3 }, Span { start: 4, len: text.len() as u32 - 4 }];
            assert!(queue.push(Args::new(text.as_bytes(), &spans)));
        }
        assert_eq!(queue.count(), 2);
        assert_eq!(queue.command(0).iter().collect::<Vec<_>>(), [&b"GET"[..], b"a"]);
        assert_eq!(queue.command(1).iter().collect::<Vec<_>>(), [&b"SET"[..], b"bb"]);
    }
}
