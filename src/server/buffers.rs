//! What the buffers of all connections hold together, against one limit (`connection-buffers-max`): bounded memory however
//! many clients misbehave.
//!
//! Counted are requests, replies, and what MULTI and WATCH keep. A connection counts here once it holds more than
//! [`FREE_BYTES`], which every connection may hold, so the path of small requests touches nothing shared. Two marks: at [`Buffers::is_scarce`] nobody reads ahead of undelivered replies any
//! more and replies are sent in small parts; at [`Buffers::is_full`] nothing is executed, and a connection that neither
//! takes its replies nor completes its request is closed after [`Buffers::patience`] rather than after a minute.
//!
//! Invariant: `held` is the sum of what the living [`Share`]s hold. Beyond the limit it grows by what one connection of
//! each reactor adds at a time: a read, or one reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a connection may hold without counting it.
const FREE_BYTES: usize = 32 << 10;
/// A client that takes no byte of its replies for so long is closed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same while buffers are full.
const PATIENCE_WHEN_FULL: Duration = Duration::from_secs(5);

/// The buffers of all connections.
#[derive(Debug)]
pub struct Buffers {
    limit: usize,
    held: AtomicUsize,
}

impl Buffers {
    /// Buffers that together hold up to `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Buffers { limit, held: AtomicUsize::new(0) })
    }

    /// Bytes that connections hold, less those of connections that hold no more than every one may.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether what is left, a quarter, is for requests under way and replies.
    pub(super) fn is_scarce(&self) -> bool {
        self.held_bytes() >= self.limit - self.limit / 4
    }

    /// Whether nothing is left.
    pub(super) fn is_full(&self) -> bool {
        self.held_bytes() >= self.limit
    }

    /// How long a client may hold buffers without any progress.
    pub(super) fn patience(&self) -> Duration {
        if self.is_full() { PATIENCE_WHEN_FULL } else { PATIENCE }
    }
}

/// One connection's part; given back when it is dropped.
pub(super) struct Share {
    buffers: Arc<Buffers>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub(super) fn new(buffers: &Arc<Buffers>) -> Self {
        Share { buffers: Arc::clone(buffers), bytes: 0 }
    }

    /// Says what the connection holds now.
    pub(super) fn hold(&mut self, bytes: usize) {
        let bytes = if bytes <= FREE_BYTES { 0 } else { bytes };
        if bytes > self.bytes {
            self.buffers.held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.buffers.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// Whether the connection holds more than every one may.
    pub(super) fn is_counted(&self) -> bool {
        self.bytes > 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, FREE_BYTES, Share};

    #[test]
    fn shares_count_beyond_what_is_free_and_are_given_back() {
        let buffers = Buffers::new(5 * FREE_BYTES);
        let mut shares = [(); 3].map(|()| Share::new(&buffers));
        shares[0].hold(FREE_BYTES);
        assert!(!shares[0].is_counted());
        shares[1].hold(3 * FREE_BYTES);
        assert!(!buffers.is_scarce());
        shares[2].hold(FREE_BYTES + 1);
        assert!(buffers.is_scarce() && !buffers.is_full());
        shares[2].hold(2 * FREE_BYTES);
        assert!(buffers.is_full() && buffers.patience() < Buffers::new(1).patience());
        assert_eq!(buffers.held_bytes(), 5 * FREE_BYTES);
        drop(shares);
        assert_eq!((buffers.is_scarce(), buffers.held_bytes()), (false, 0));
    }
}
