//! What a node does for its peers: the trait that whoever composes the node implements.

use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

use crate::causality::Time;
use crate::peer::Remote;
use crate::types::Epoch;
use crate::wire::{Frame, Message};

/// A request of a peer.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who asks.
    pub from: Remote,
    /// When it gives up, as far as is known here: its time left counted from the arrival.
    pub deadline: Instant,
    /// What it asks, to be read with [`crate::wire::Request::decode`].
    pub frame: Frame,
}

/// An answer to a peer.
#[derive(Clone, Debug)]
pub struct Response {
    /// What is answered: of the kind that answers the request, or [`Message::refused`].
    pub message: Message,
    /// The topology that this node goes by.
    pub epoch: Epoch,
    /// Its hybrid logical clock.
    pub time: Time,
}

/// An answer in the making. It stays on the runtime of its connection.
pub type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Response> + 'a>>;

/// Carries out what peers ask.
pub trait Service {
    /// Whether a node that has proved to know the secret may ask anything.
    ///
    /// # Errors
    /// Why not, and what to do, for the people who run that node.
    fn admit(&self, from: &Remote) -> Result<(), String>;

    /// Carries out one request. Requests of one connection run side by side, begun in their order.
    fn serve(&self, request: Incoming) -> ResponseFuture<'_>;
}
