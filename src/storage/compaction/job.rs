//! Runs one compaction in units of 256 KB or a millisecond.
//!
//! Invariant: the outputs count, and the inputs stop to count, in one edit; a job whose inputs went meanwhile (a drop of
//! their range) is thrown away. Output tables are as old as the youngest input and clean of every drop that was in force.

use std::sync::Arc;
use std::time::Duration;

use crate::storage::compaction::plan::MergePlan;
use crate::storage::cursor::Cursor;
use crate::storage::drops::Age;
use crate::storage::error::Error;
use crate::storage::filter::{Depth, Filter, Judgement};
use crate::storage::manifest::{Edit, Placed};
use crate::storage::merge::Merge;
use crate::storage::run::{Run, RunCursor};
use crate::storage::table::{Access, Compression, RunWriter, Span, Table};
use crate::storage::tables::{Progress, Shared};
use crate::storage::view::View;
use crate::types::Stamp;

/// Bytes of entries that one step passes at most.
const STEP_BYTES: usize = 256 << 10;
/// Time that one step takes at most, about.
const STEP_TIME: Duration = Duration::from_millis(1);
/// Entries between two looks at the clock.
const CLOCK_ENTRIES: usize = 32;

/// A merge in progress.
pub(crate) struct Job {
    plan: MergePlan,
    merge: Merge,
    writer: Option<RunWriter>,
    passed: u64,
}

impl Job {
    /// Begins what `plan` says of `view`.
    pub(crate) fn new(shared: &Shared, view: &View, plan: MergePlan) -> Self {
        let span = Span { from: &[], to: plan.to.as_deref() };
        let cursor = |tables: &Vec<Arc<Table>>| -> Box<dyn Cursor> {
            Box::new(RunCursor::new(tables, &view.drops, (span, Access::Once)))
        };
        let merge = Merge::new(plan.inputs.iter().map(cursor).collect());
        let max_stamp = plan.inputs.iter().flatten().map(|table| table.info.max_stamp).max().unwrap_or(Stamp(0));
        let age = Age { max_stamp, cleaned: view.drops.newest() };
        let writer = shared.run_writer((plan.level, compression(&plan)), age);
        Job { plan, merge, writer: Some(writer), passed: 0 }
    }

    /// Bytes of entries that the last unit passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Does one unit. `Done`: the outputs are durable and in the view, or thrown away because the view changed.
    pub(crate) fn step(&mut self, shared: &Shared, filter: &dyn Filter) -> Result<Progress, Error> {
        let end = shared.clock().monotonic() + STEP_TIME;
        let Some(writer) = &mut self.writer else { return Ok(Progress::Done) };
        let (mut bytes, mut entries) = (0, 0);
        self.passed = 0;
        while bytes < STEP_BYTES && (entries % CLOCK_ENTRIES != 0 || entries == 0 || shared.clock().monotonic() < end) {
            if !self.merge.advance()? {
                return self.finish(shared);
            }
            let (key, value) = (self.merge.key(), self.merge.value());
            let is_deepest = self.plan.deeper.iter().all(|run| run.table_of(key).is_none());
            let depth = if is_deepest { Depth::Deepest } else { Depth::Above };
            match filter.judge(key, value, depth) {
                Judgement::Drop if is_deepest => {}
                Judgement::Keep | Judgement::Drop => writer.add(key, value)?,
                Judgement::Replace(value) => writer.add(key, &value)?,
            }
            bytes += key.len() + value.len();
            entries += 1;
        }
        self.passed = bytes as u64;
        Ok(Progress::Again)
    }

    fn finish(&mut self, shared: &Shared) -> Result<Progress, Error> {
        let Some(writer) = self.writer.take() else { return Ok(Progress::Done) };
        let infos = writer.finish()?;
        let run = self.plan.run.unwrap_or_else(|| shared.next_number());
        let level = self.plan.level;
        let mut edit =
            Edit { added: infos.into_iter().map(|info| Placed { level, run, info }).collect(), ..Edit::default() };
        for table in self.plan.inputs.iter().flatten() {
            match &self.plan.to {
                Some(to) if table.info.last >= *to => edit.trimmed.push((table.info.number, to.clone())),
                _ => edit.removed.push(table.info.number),
            }
        }
        shared.commit(edit)?;
        Ok(Progress::Done)
    }
}

/// How a level is compressed: hardest where nothing lies deeper, for most bytes are there and are rewritten least.
fn compression(plan: &MergePlan) -> Compression {
    match plan.level {
        0 => Compression::Raw,
        1 => Compression::Zstd(1),
        _ if plan.deeper.iter().all(|run: &Run| run.tables().is_empty()) => Compression::Zstd(3),
        _ => Compression::Zstd(1),
    }
}
