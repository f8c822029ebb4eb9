//! What to compact next: a pure function of the view's shape.
//!
//! Levels 0 and 1 hold runs over all keys (tiered): when a level has its number of runs, they become one run of the next.
//! Deeper levels hold one run each, `fanout` times as large as the one above (leveled): what is too much moves down a table
//! at a time, merged with what it overlaps. Level 1 goes down in slices of keys from the least one up, so that no job is
//! long: a slice ends at an arc boundary, and what straddles it is trimmed, not rewritten. When nothing else is to do,
//! tables that drops hide in part are rewritten, so that drops can be forgotten.
//!
//! Invariant: of a range of keys, a job takes everything from its inputs' levels that is older than what it takes.
//! Source: Dayan and Idreos, Dostoevsky (lazy leveling); O'Neil et al., the log-structured merge-tree.

use std::sync::Arc;

use crate::storage::options::Options;
use crate::storage::run::Run;
use crate::storage::table::{Span, Table};
use crate::storage::view::{LEVELS, View};
use crate::types::{ArcLayout, SLOTS};

/// Tables' worth of level 1 that one job moves down.
const SLICE_TABLES: u64 = 4;

/// A compaction to run.
pub(crate) enum Plan {
    /// Merge the inputs into tables of a level.
    Merge(MergePlan),
    /// Give a table that overlaps nothing below to the next level as it is.
    Move {
        /// The table.
        table: Arc<Table>,
        /// Its new level.
        level: u8,
    },
}

/// Inputs and place of the output.
pub(crate) struct MergePlan {
    /// Tables to merge, by run and ascending in it; newest run first.
    pub(crate) inputs: Vec<Vec<Arc<Table>>>,
    /// Keys from here on stay where they are; `None`: everything moves.
    pub(crate) to: Option<Vec<u8>>,
    /// The level of the output.
    pub(crate) level: u8,
    /// The run of the output, `None` for a new one.
    pub(crate) run: Option<u64>,
    /// Runs that may hold older entries than the inputs.
    pub(crate) deeper: Vec<Run>,
}

/// The most urgent compaction, if any.
pub(crate) fn plan(view: &View, options: &Options) -> Option<Plan> {
    let most_urgent = (0..LEVELS - 1)
        .map(|level| (level, score(view, options, level)))
        .filter(|(_, score)| *score >= 1.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    match most_urgent {
        Some((0, _)) => Some(Plan::Merge(merge_level0(view))),
        Some((1, _)) => Some(Plan::Merge(slice_level1(view, options))),
        Some((level, _)) => move_down(view, level),
        None => clean(view).map(Plan::Merge),
    }
}

/// How full a level is: 1 is the point at which it is compacted.
fn score(view: &View, options: &Options, level: usize) -> f64 {
    let Some(runs) = view.levels.get(level) else { return 0.0 };
    match level {
        0 => runs.len() as f64 / options.level0_runs.max(1) as f64,
        1 => runs.len() as f64 / options.level1_runs.max(1) as f64,
        // Strictly above 1 only: a level may be just full.
        _ => runs.iter().map(Run::bytes).sum::<u64>() as f64 / (level_bytes(options, level) as f64 + 1.0),
    }
}

/// Bytes of the levels that are to be compacted; of a deep level, what it has too much.
pub(crate) fn waiting_bytes(view: &View, options: &Options) -> u64 {
    let of_level = |level: usize| -> u64 {
        let bytes = view.levels[level].iter().map(Run::bytes).sum::<u64>();
        match level {
            _ if score(view, options, level) < 1.0 => 0,
            0 | 1 => bytes,
            _ => bytes.saturating_sub(level_bytes(options, level)),
        }
    };
    (0..LEVELS - 1).map(of_level).sum()
}

/// Bytes that a level from 2 on may hold.
fn level_bytes(options: &Options, level: usize) -> u64 {
    let runs = options.level0_runs.max(1) as u64 * options.level1_runs.max(1) as u64;
    let level1 = options.memtable_bytes.saturating_mul(runs);
    level1.saturating_mul(options.fanout.max(2).saturating_pow(level as u32 - 1))
}

fn merge_level0(view: &View) -> MergePlan {
    let inputs = view.levels[0].iter().map(|run| run.tables().to_vec()).collect();
    MergePlan { inputs, to: None, level: 1, run: None, deeper: deeper(view, 1) }
}

/// The oldest runs of level 1 from their least key up to about [`SLICE_TABLES`] tables, and what they overlap in level 2.
fn slice_level1(view: &View, options: &Options) -> MergePlan {
    let runs = &view.levels[1];
    let oldest = runs.get(runs.len().saturating_sub(options.level1_runs)..).unwrap_or(runs);
    let to = slice_end(oldest, options);
    let from = oldest.iter().filter_map(|run| run.tables().first()).map(|table| &table.info.first[..]).min();
    let span = Span { from: from.unwrap_or(&[]), to: to.as_deref() };
    let mut inputs: Vec<_> = oldest.iter().map(|run| run.overlapping(span).to_vec()).collect();
    inputs.extend(view.levels[2].iter().map(|run| run.overlapping(span).to_vec()));
    inputs.retain(|tables| !tables.is_empty());
    MergePlan { inputs, to, level: 2, run: Some(0), deeper: deeper(view, 3) }
}

fn slice_end(runs: &[Run], options: &Options) -> Option<Vec<u8>> {
    let slice_bytes = SLICE_TABLES.saturating_mul(options.table_bytes);
    let mut left: u64 = runs.iter().map(Run::bytes).sum();
    let mut tables: Vec<_> = runs.iter().flat_map(Run::tables).collect();
    tables.sort_by(|a, b| a.info.last.cmp(&b.info.last));
    let mut taken = 0;
    for table in tables {
        taken += table.info.bytes;
        left -= table.info.bytes;
        // A short rest goes along, so that runs that end together are gone together.
        if left < slice_bytes / 2 {
            return None;
        }
        if taken >= slice_bytes {
            return next_arc(options.layout, &table.info.last);
        }
    }
    None
}

/// The first key of the arc behind the one of `key`; `None` behind the last arc.
fn next_arc(layout: ArcLayout, key: &[u8]) -> Option<Vec<u8>> {
    let slot = u16::from_be_bytes(*key.first_chunk::<2>()?);
    let next = (slot / layout.slots_per_arc() + 1).checked_mul(layout.slots_per_arc())?;
    (next < SLOTS).then(|| next.to_be_bytes().to_vec())
}

/// The table of a deep level that costs least to move down.
fn move_down(view: &View, level: usize) -> Option<Plan> {
    let run = view.levels.get(level)?.first()?;
    let below = view.levels.get(level + 1)?;
    let overlap = |table: &Table| -> Vec<Arc<Table>> {
        let span = Span { from: &table.info.first, to: None };
        let overlapping = below.iter().flat_map(|run| run.overlapping(span));
        overlapping.filter(|other| other.info.first <= table.info.last).map(Arc::clone).collect()
    };
    let cost = |table: &Table| {
        let bytes: u64 = overlap(table).iter().map(|other| other.info.bytes).sum();
        bytes as f64 / table.info.bytes.max(1) as f64
    };
    let table = run.tables().iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let overlapping = overlap(table);
    let target = level as u8 + 1;
    if overlapping.is_empty() {
        return Some(Plan::Move { table: Arc::clone(table), level: target });
    }
    let inputs = vec![vec![Arc::clone(table)], overlapping];
    Some(Plan::Merge(MergePlan { inputs, to: None, level: target, run: Some(0), deeper: deeper(view, level + 2) }))
}

/// The first table that drops hide in part, to be rewritten in its place.
fn clean(view: &View) -> Option<MergePlan> {
    for (level, runs) in view.levels.iter().enumerate() {
        for (index, run) in runs.iter().enumerate() {
            let Some(table) = run.tables().iter().find(|table| table.info.is_touched(&view.drops)) else { continue };
            let mut older = runs.get(index + 1..).unwrap_or(&[]).to_vec();
            older.append(&mut deeper(view, level + 1));
            let inputs = vec![vec![Arc::clone(table)]];
            return Some(MergePlan { inputs, to: None, level: level as u8, run: Some(run.number()), deeper: older });
        }
    }
    None
}

/// All runs of `level` and below it.
fn deeper(view: &View, level: usize) -> Vec<Run> {
    view.levels.get(level..).unwrap_or(&[]).iter().flatten().cloned().collect()
}
