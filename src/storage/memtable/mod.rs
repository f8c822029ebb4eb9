//! What was written and is not in tables yet: per arc one shard, per shard the active entries and the frozen ones.

mod shard;
mod tree;

pub(crate) use crate::storage::memtable::shard::{Frozen, Keep, Look, Shard};
pub(crate) use crate::storage::memtable::tree::{ENTRY_OVERHEAD, Entry, Found, Place, Probe, Tree, split_entry};
