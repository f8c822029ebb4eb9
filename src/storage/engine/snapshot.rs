//! `snapshot`: pins what the store is at this moment.
//!
//! With neither a drop of ranges nor a flush under way, the log is synced and its end is the snapshot's; a marker behind it
//! makes damage to any record of the copy different from a torn tail. Then the manifest's state and the view of the same
//! moment are taken; compaction may go on, for the view keeps its tables.

use crate::storage::engine::Engine;
use crate::storage::error::Error;
use crate::storage::snapshot::{Pins, Snapshot};
use crate::types::Stamp;

impl Engine {
    /// The store as it is now, ready to be copied. May wait: only on the pool.
    ///
    /// # Errors
    /// The disk is full or failed.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let shared = &*self.shared;
        let _no_drop = shared.dropping.lock();
        let _no_flush = shared.flusher.lock();
        shared.log.sync()?;
        shared.log.append_marker();
        let end = Stamp(shared.log.sync()?);
        let (state, view) = shared.tables.pinned();
        Snapshot::pin((&shared.env.disk, &shared.options.dir), (state, Some(end)), Pins::View { _view: view })
    }
}
