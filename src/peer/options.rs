//! Limits and times of all connections of a node.

use std::time::Duration;

use crate::wire::FRAME_LIMIT;

/// How connections between nodes behave. Their defaults suit a data centre; nothing here is about durability.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that may wait for one peer. A single message is taken whatever its size if nothing else waits.
    pub queue_bytes: usize,
    /// Requests that may be under way to one peer.
    pub requests: usize,
    /// Longest frame that is taken from a peer.
    pub frame_bytes: usize,
    /// Requests of one peer that are carried out at the same time.
    pub serving: usize,
    /// Bytes of requests and answers of one peer that may be held before no more is read from it.
    pub serving_bytes: usize,
    /// Connections from peers.
    pub connections: usize,
    /// Time for connecting and for the handshake.
    pub connect_timeout: Duration,
    /// First pause before connecting again; it doubles with each failure.
    pub backoff_least: Duration,
    /// Longest pause; also how long a connection must have held to start with the first pause again.
    pub backoff_most: Duration,
    /// Silence after which the other end is asked whether it is there.
    pub ping_after: Duration,
    /// Silence after that question, after which the connection is given up.
    pub silence: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            queue_bytes: 16 << 20,
            requests: 16_384,
            frame_bytes: FRAME_LIMIT,
            serving: 1024,
            serving_bytes: 16 << 20,
            connections: 1024,
            connect_timeout: Duration::from_secs(3),
            backoff_least: Duration::from_millis(50),
            backoff_most: Duration::from_secs(5),
            ping_after: Duration::from_secs(1),
            silence: Duration::from_secs(3),
        }
    }
}
