//! Bounds how many table files are open at once.
//!
//! Invariant: at most `limit` files stay open but for those that a reader holds at this moment. Second chance decides: a
//! table used since it was last looked at stays, the first one that was not is closed.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::storage::table::reader::TableFile;

/// All open tables in the order in which they are considered for closing.
pub(crate) struct OpenTables {
    limit: usize,
    tables: Mutex<VecDeque<Weak<TableFile>>>,
}

impl OpenTables {
    /// Keeps at most `limit` tables open.
    pub(crate) fn new(limit: usize) -> Self {
        OpenTables { limit: limit.max(1), tables: Mutex::new(VecDeque::new()) }
    }

    /// Takes note that `table` was opened; closes another one if there are too many.
    pub(crate) fn opened(&self, table: &Arc<TableFile>) {
        let mut tables = self.tables.lock();
        tables.push_back(Arc::downgrade(table));
        let mut chances = tables.len();
        while tables.len() > self.limit {
            let Some(next) = tables.pop_front() else { break };
            let Some(table) = next.upgrade() else { continue };
            if chances > 0 && table.take_used() {
                chances -= 1;
                tables.push_back(next);
            } else {
                table.close();
            }
        }
    }

    /// Number of tables that are open or whose file is gone since.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.tables.lock().len()
    }
}
