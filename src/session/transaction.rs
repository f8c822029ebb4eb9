//! The commands between `MULTI` and `EXEC`, and the keys that `WATCH` named.

use crate::types::{Args, Database, Span};

/// Bytes of arguments that one queue may hold.
pub(super) const MAX_QUEUE_BYTES: usize = 64 << 20;

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
        if self.bytes.len() + bytes > MAX_QUEUE_BYTES {
            return false;
        }
        for arg in args.iter() {
            self.spans.push(Span { start: self.bytes.len() as u32, len: arg.len() as u32 });
            self.bytes.extend_from_slice(arg);
        }
        self.ends.push(self.spans.len());
        true
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
    /// Hash of the record's live dots and context.
    pub hash: u64,
    /// Whether an unexpired value was there.
    pub existed: bool,
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::types::{Args, Span};

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
