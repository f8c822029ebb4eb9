//! What makes replicas alike again.
//!
//! `handoff`: members that were away get what was kept for them. `flight`: its messages, under way.
//!
//! Left out: comparing replicas, moving arcs.

mod flight;
mod handoff;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;

use crate::peer::{CallError, Terms};
use crate::types::NodeNumber;
use crate::wire::{Frame, Message};

pub use handoff::{Handoff, HandoffParts, HandoffStats};

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Frame, CallError>> + Send>>;

/// Brings messages to other members.
pub trait Courier: Send + Sync {
    /// Whether a request can be sent to `node` now.
    fn is_reachable(&self, node: NodeNumber) -> bool;
    /// Sends a request. The answer comes, or an error, at the deadline at the latest.
    ///
    /// # Errors
    /// It cannot be sent now.
    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError>;
    /// A member goes by another topology; what it sent of a newer one, if it did.
    fn meets_topology(&self, node: NodeNumber, encoded: &[u8]);
}
