//! The engine's settings, and what its statistics mean to a user.

use std::path::Path;

use crate::command::Budget;
use crate::config::Settings;
use crate::storage::{Durability, FOLDER, LevelStats, Options, Stats};
use crate::types::ArcLayout;

/// The engine's options for the data directory `dir`.
pub(super) fn options(settings: &Settings, dir: &Path, layout: ArcLayout) -> Options {
    let usual = Options::new(dir.join(FOLDER), durability(settings));
    Options {
        layout,
        memtable_bytes: settings.bytes("memtable-bytes"),
        cache_bytes: settings.bytes("cache-bytes"),
        // A pair has to fit the buffer with room for what is appended while it is written.
        log_buffer_bytes: usual.log_buffer_bytes.max(settings.bytes("max-pair-bytes") as usize * 2),
        ..usual
    }
}

/// When a write counts as done.
pub(super) fn durability(settings: &Settings) -> Durability {
    match settings.text("durability") {
        "none" => Durability::None,
        "everysec" => Durability::EverySec,
        _ => Durability::Sync,
    }
}

/// The word for it.
pub(super) fn durability_word(settings: &Settings) -> &'static str {
    match durability(settings) {
        Durability::None => "none",
        Durability::EverySec => "everysec",
        Durability::Sync => "sync",
    }
}

/// The engine's memory that settings bound.
pub(super) fn budgets(stats: &Stats, options: &Options) -> Vec<Budget> {
    let memtables = options.memtable_bytes * (options.frozen_memtables as u64 + 1);
    let budget = |name, used, limit| Budget { name, used, limit };
    vec![
        budget("memtables", stats.memtable_bytes + stats.frozen_bytes + stats.kept_bytes, memtables),
        budget("block_cache", stats.cache_bytes, stats.cache_limit_bytes),
        budget("log_buffer", stats.log_buffer_bytes as u64, options.log_buffer_bytes as u64),
    ]
}

/// The engine's other numbers.
pub(super) fn numbers(stats: &Stats) -> Vec<(&'static str, u64)> {
    let sum = |of: fn(&LevelStats) -> u64| stats.levels.iter().map(of).sum();
    vec![
        ("memtable_active_bytes", stats.memtable_bytes),
        ("memtables_frozen", stats.frozen_memtables as u64),
        ("memtables_frozen_bytes", stats.frozen_bytes),
        ("memtable_kept_bytes", stats.kept_bytes),
        ("log_segments", stats.log_segments as u64),
        ("log_syncs", stats.syncs),
        ("write_stalls", stats.stalls),
        ("write_slow_downs", stats.slow_downs),
        ("background_debt_percent", stats.debt_percent),
        ("compaction_waiting_bytes", stats.compaction_bytes),
        ("tables", sum(|level| level.tables as u64)),
        ("table_bytes", sum(|level| level.bytes)),
        ("table_keys", sum(|level| level.keys)),
        ("level0_runs", stats.levels.first().map_or(0, |level| level.runs as u64)),
    ]
}
