//! What is told of connections as it happens: the first evidence of a failure detector.

use std::sync::Arc;

use crate::peer::Remote;

/// A change of the connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Requests can be sent.
    Connected(Remote),
    /// The connection is gone; the next attempt follows after a pause.
    Disconnected(Remote),
}

/// Is told of events, by the task of the connection: it must not wait.
pub type Observer = Arc<dyn Fn(&Event) + Send + Sync>;
