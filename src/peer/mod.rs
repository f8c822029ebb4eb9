//! Connections between nodes: who may talk, what is asked, what comes back and how long it may take.
//!
//! Each pair of nodes has one connection in each direction: requests go out on the own one, answers come back on it. Many
//! requests are under way on it at once; all that is queued when the socket takes bytes goes out in one write.
//!
//! Read in this order: `options` (limits), `identity` and `handshake` (who may talk), `slots` (requests that wait), `outlet`
//! (the queue before a connection), `link` (the connection of one who asks), `peer` (reconnecting; the facade), `peers` (all
//! of them), `service` and `inlet` (the connection of one who answers), `acceptor` (the listener).
//!
//! Invariant: nothing waits for room. A full queue, or a node that is not connected, is an error at once.
//! Invariant: a connection that ends fails all its requests at once and says of each whether any byte of it may have left:
//! only if not may the asker repeat it elsewhere without asking what it did.
//! Invariant: no byte of a request is sent, and no request is carried out, before both ends have proved that they know the
//! cluster's secret.
//!
//! A request costs no task, no timer and no channel: a slot of a slab has its waker, and the connection's own timer ends
//! those that are late. Lock order: the state of one peer,
//! then its round trips; wakers and observers are called after both are released.
//!
//! Left out: what requests mean (a [`Service`] knows), which peers there are (the topology says), retries, TLS.

mod acceptor;
mod backoff;
mod error;
mod event;
mod handshake;
mod identity;
mod inlet;
mod latency;
mod link;
mod options;
mod outlet;
#[expect(clippy::module_inception, reason = "one peer, as `peers` are all")]
mod peer;
mod peers;
mod service;
mod slots;
mod stats;
#[cfg(test)]
mod tests;

pub use acceptor::Acceptor;
pub use error::{CallError, Fault, HandshakeError};
pub use event::{Event, Observer};
pub use identity::{Identity, Local, Remote};
pub use latency::Latency;
pub use options::Options;
pub use outlet::{Call, Terms};
pub use peer::{Parts, Peer, Status, Target};
pub use peers::Peers;
pub use service::{Incoming, Response, ResponseFuture, Service};
pub use stats::{Counted, Stats};
