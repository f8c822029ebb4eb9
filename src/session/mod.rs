//! One connection's state, and the list of all connections.

mod levels;
mod registry;
mod state;
mod transaction;

pub use levels::{DEFAULT_LEVEL, LevelChoice, LevelSource, Levels};
pub use registry::{Client, ClientId, KillFilter, Registry};
pub use state::{Replies, Session};
pub use transaction::{Queue, WatchList, Watched};
