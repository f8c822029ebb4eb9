//! How the files that a process may have open are shared between the store and connections.
//!
//! Invariant: connections never take what the store needs: a flush that cannot open its table would stop the node.

use crate::config::Settings;

/// Tables that the store keeps open if it can.
const TABLES: u64 = 1_024;
/// What else is open: log segments, manifests, tables being written, the HTTP port, standard streams, the runtimes' own.
const OTHERS: u64 = 192;

/// How many files of each kind may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Tables of the store.
    pub(super) tables: u64,
    /// Connections of clients.
    pub(super) clients: u64,
}

/// Files that a node with these settings may want to have open.
pub(super) fn wanted_files(settings: &Settings) -> u64 {
    settings.count("max-clients") + TABLES + OTHERS
}

/// Shares `open_files` out: the store gets up to half, connections what is left.
pub(super) fn share(open_files: u64) -> Shares {
    let store = (TABLES + OTHERS).min(open_files / 2);
    let tables = store.saturating_sub(OTHERS).max(store / 4);
    Shares { tables, clients: open_files.saturating_sub(store).max(1) }
}

#[cfg(test)]
mod tests {
    use super::{Shares, share};

    #[test]
    fn the_store_keeps_its_share_however_few_files_there_are() {
        for (open_files, tables, clients) in
            [(u64::MAX, 1024, u64::MAX - 1216), (11_216, 1024, 10_000), (1024, 320, 512), (100, 12, 50)]
        {
            assert_eq!(share(open_files), Shares { tables, clients }, "{open_files}");
        }
    }
}
