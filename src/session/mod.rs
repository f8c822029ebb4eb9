//! One connection's state, and the list of all connections.

mod registry;
mod state;
mod transaction;

pub use registry::{Client, ClientId, KillFilter, Registry};
pub use state::{Replies, Session};
pub use transaction::{Queue, WatchList, Watched};
