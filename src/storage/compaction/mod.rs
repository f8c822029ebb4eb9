//! Compaction: keeps the number of runs that a lookup asks small, and gives back the space of what was superseded.
//!
//! `plan` says what to do next (a pure function of the view), `job` does it in small units, `pace` says how fast;
//! [`Compactor`] drives them. Left out: priority, which belongs to the thread that calls [`Compactor::step`].

mod job;
mod pace;
mod plan;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::storage::compaction::job::Job;
use crate::storage::compaction::pace::{Pace, rate};
use crate::storage::compaction::plan::{Plan, plan};
use crate::storage::error::Error;
use crate::storage::filter::Filter;
use crate::storage::manifest::{Edit, Placed};
use crate::storage::table::Table;
use crate::storage::tables::{Progress, Shared};

pub(crate) use crate::storage::compaction::plan::waiting_bytes;

/// Compaction's driver: owned by one thread.
pub(crate) struct Compactor {
    shared: Arc<Shared>,
    filter: Arc<dyn Filter>,
    job: Option<Job>,
    pace: Pace,
    /// Bytes of entries that the last step passed.
    passed: u64,
}

impl Compactor {
    pub(crate) fn new(shared: &Arc<Shared>, filter: Arc<dyn Filter>) -> Self {
        Compactor { shared: Arc::clone(shared), filter, job: None, pace: Pace::default(), passed: 0 }
    }

    /// Does one bounded unit. `Done`: nothing needs compaction now.
    ///
    /// # Errors
    /// If the disk fails, is full or is damaged; the job is thrown away and the next call plans anew.
    pub(crate) fn step(&mut self) -> Result<Progress, Error> {
        self.passed = 0;
        let Some(mut job) = self.job.take() else { return self.begin() };
        let progress = job.step(&self.shared, &*self.filter)?;
        self.passed = job.passed();
        if progress == Progress::Again {
            self.job = Some(job);
        }
        Ok(Progress::Again)
    }

    /// How long to wait after the last step, by what it passed and how much is to do.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let rate = rate(self.shared.view().level0_runs(), self.shared.options());
        self.pace.spend(self.passed, self.shared.clock().monotonic(), rate)
    }

    fn begin(&mut self) -> Result<Progress, Error> {
        // Files that the last readers of old views have let go since the last change.
        self.shared.sweep();
        let view = self.shared.view();
        match plan(&view, self.shared.options()) {
            None => Ok(Progress::Done),
            Some(Plan::Merge(plan)) => {
                self.job = Some(Job::new(&self.shared, &view, plan));
                Ok(Progress::Again)
            }
            Some(Plan::Move { table, level }) => self.move_table(&table, level).map(|()| Progress::Again),
        }
    }

    fn move_table(&self, table: &Table, level: u8) -> Result<(), Error> {
        let info = table.info.clone();
        let edit = Edit { removed: vec![info.number], added: vec![Placed { level, run: 0, info }], ..Edit::default() };
        self.shared.commit(edit).map(|_| ())
    }
}
