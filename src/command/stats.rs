//! What commands have done since the start: calls, time, failures, latencies, and the errors that were replied.
//!
//! Counters only grow: `CONFIG RESETSTAT` notes where they stood and INFO tells the difference, so that what a scrape
//! sees never goes back. Latencies are kept in a histogram per command that a reset empties.
//!
//! Invariant: one batch costs one lock and a few additions per run of equal commands, not per command.
//! Source: HdrHistogram, two significant digits; a latency is the command's equal share of its batch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::command::lookup::{self, Resolved};
use crate::command::status::Totals;
use crate::coordinator::Lookups;

/// Longest latency that is told apart: one minute, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;
/// Shortest one; what lies below it is not told apart.
const SHORTEST_NS: u64 = 10;
/// Codes of errors that are counted one by one; the codes are our own texts, so this only guards against a mistake.
const ERROR_CODES: usize = 128;

/// Counters of all commands, indexed by [`Resolved::index`].
pub struct Stats {
    commands: Vec<CommandStats>,
    errors: Mutex<BTreeMap<String, Since>>,
    hits: Growing,
    misses: Growing,
    commit_waits: Growing,
    commit_wait_ns: Growing,
    // What others count, at the last reset.
    totals_at_reset: Mutex<Totals>,
}

/// A counter that many threads add to, and where it stood at the last reset.
#[derive(Default)]
struct Growing {
    total: AtomicU64,
    at_reset: AtomicU64,
}

impl Growing {
    fn add(&self, count: u64) {
        // Most batches have nothing to add to most counters.
        if count > 0 {
            self.total.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn in_period(&self, period: Period) -> u64 {
        let total = self.total.load(Ordering::Relaxed);
        match period {
            Period::Start => total,
            Period::Reset => total.saturating_sub(self.at_reset.load(Ordering::Relaxed)),
        }
    }

    fn reset(&self) {
        self.at_reset.store(self.total.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Batches that waited until what they show was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitWaits {
    /// How many.
    pub count: u64,
    /// How long, in nanoseconds.
    pub nanoseconds: u64,
}

/// Counters of one command.
#[derive(Default)]
struct CommandStats {
    total: Counters,
    at_reset: Counters,
    latency: Mutex<Option<Histogram<u32>>>,
}

/// Growing counters.
#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
}

/// A counter, and where it stood at the last reset.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    total: u64,
    at_reset: u64,
}

/// What one command has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Calls that were carried out.
    pub calls: u64,
    /// Their time; a batch's time is shared equally by its commands.
    pub nanoseconds: u64,
    /// Calls refused before they were planned.
    pub rejected: u64,
    /// Calls that were answered with an error.
    pub failed: u64,
}

/// Latencies of one command, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of the calls took no longer.
    pub p50: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// 99.9 % took no longer.
    pub p999: u64,
}

/// From when on is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Since the start of the process.
    Start,
    /// Since the last `CONFIG RESETSTAT`.
    Reset,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            commands: lookup::all().map(|_| CommandStats::default()).collect(),
            errors: Mutex::default(),
            hits: Growing::default(),
            misses: Growing::default(),
            commit_waits: Growing::default(),
            commit_wait_ns: Growing::default(),
            totals_at_reset: Mutex::default(),
        }
    }
}

impl Stats {
    /// Counts the commands of a batch, each of which took `share_ns`.
    pub fn count_batch(&self, commands: impl Iterator<Item = Resolved>, share_ns: u64) {
        let mut run = (usize::MAX, 0);
        for Resolved { index, .. } in commands {
            if index == run.0 {
                run.1 += 1;
            } else {
                self.count_run(run, share_ns);
                run = (index, 1);
            }
        }
        self.count_run(run, share_ns);
    }

    fn count_run(&self, (index, calls): (usize, u64), share_ns: u64) {
        let Some(stats) = self.commands.get(index) else { return };
        stats.total.calls.fetch_add(calls, Ordering::Relaxed);
        stats.total.nanoseconds.fetch_add(share_ns * calls, Ordering::Relaxed);
        let mut latency = stats.latency.lock();
        latency.get_or_insert_with(new_histogram).saturating_record_n(share_ns, calls as u32);
    }

    /// Counts what the commands of a batch that only read found.
    pub fn count_lookups(&self, lookups: Lookups) {
        self.hits.add(lookups.hits);
        self.misses.add(lookups.misses);
    }

    /// What commands that only read found.
    #[must_use]
    pub fn lookups(&self, period: Period) -> Lookups {
        Lookups { hits: self.hits.in_period(period), misses: self.misses.in_period(period) }
    }

    /// Counts a batch that waited `waited` until what it shows was durable.
    pub fn count_commit_wait(&self, waited: Duration) {
        self.commit_waits.add(1);
        self.commit_wait_ns.add(waited.as_nanos() as u64);
    }

    /// Batches that waited until what they show was durable.
    #[must_use]
    pub fn commit_waits(&self, period: Period) -> CommitWaits {
        let (count, nanoseconds) = (self.commit_waits.in_period(period), self.commit_wait_ns.in_period(period));
        CommitWaits { count, nanoseconds }
    }

    /// What of `totals` has come since the last reset.
    #[must_use]
    pub fn since_reset(&self, totals: Totals) -> Totals {
        totals.since(*self.totals_at_reset.lock())
    }

    /// Counts a call that was refused before it was planned.
    pub fn count_rejected(&self, resolved: Resolved) {
        if let Some(stats) = self.commands.get(resolved.index) {
            stats.total.rejected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an error reply (`ERR syntax error`, with or without the leading `-`), of a command if one is to blame.
    pub fn count_error(&self, reply: &[u8], blamed: Option<Resolved>) {
        if let Some(stats) = blamed.and_then(|resolved| self.commands.get(resolved.index)) {
            stats.total.failed.fetch_add(1, Ordering::Relaxed);
        }
        let code = reply.strip_prefix(b"-").unwrap_or(reply);
        let code = code.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let code = String::from_utf8_lossy(code.get(..code.len().min(32)).unwrap_or_default());
        let mut errors = self.errors.lock();
        if let Some(count) = errors.get_mut(&*code) {
            count.total += 1;
        } else if errors.len() < ERROR_CODES {
            errors.insert(code.into_owned(), Since { total: 1, at_reset: 0 });
        }
    }

    /// Full name (`config|get`), counters and latencies of every command that was called or refused in the period.
    #[must_use]
    pub fn commands(&self, period: Period) -> Vec<(String, CommandCounts, Option<Latency>)> {
        let all = lookup::all().zip(&self.commands);
        let counted = all.map(|((container, command), stats)| (container, command, stats, stats.counts(period)));
        let active = counted.filter(|(.., counts)| *counts != CommandCounts::default());
        active
            .map(|(container, command, stats, counts)| {
                let name =
                    container.map_or_else(|| command.name.to_owned(), |above| format!("{above}|{}", command.name));
                (name, counts, stats.latency())
            })
            .collect()
    }

    /// Code and count of the errors that were replied in the period.
    #[must_use]
    pub fn errors(&self, period: Period) -> Vec<(String, u64)> {
        let errors = self.errors.lock();
        let counts = errors.iter().map(|(code, since)| match period {
            Period::Start => (code.clone(), since.total),
            Period::Reset => (code.clone(), since.total - since.at_reset),
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Calls of all commands since the start.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.commands.iter().map(|stats| stats.total.calls.load(Ordering::Relaxed)).sum()
    }

    /// Begins a new period (`CONFIG RESETSTAT`), in which `totals` are counted from where they stand.
    pub fn reset(&self, totals: Totals) {
        *self.totals_at_reset.lock() = totals;
        [&self.hits, &self.misses, &self.commit_waits, &self.commit_wait_ns].into_iter().for_each(Growing::reset);
        for stats in &self.commands {
            let pairs = stats.at_reset.all().into_iter().zip(stats.total.all());
            pairs.for_each(|(mark, total)| mark.store(total.load(Ordering::Relaxed), Ordering::Relaxed));
            *stats.latency.lock() = None;
        }
        self.errors.lock().values_mut().for_each(|since| since.at_reset = since.total);
    }
}

impl CommandStats {
    fn counts(&self, period: Period) -> CommandCounts {
        let marks = self.at_reset.all().map(|mark| mark.load(Ordering::Relaxed));
        let totals = self.total.all().map(|total| total.load(Ordering::Relaxed));
        let [calls, nanoseconds, rejected, failed] = match period {
            Period::Start => totals,
            Period::Reset => std::array::from_fn(|index| totals[index].saturating_sub(marks[index])),
        };
        CommandCounts { calls, nanoseconds, rejected, failed }
    }

    fn latency(&self) -> Option<Latency> {
        let latency = self.latency.lock();
        let at = |quantile| Some(latency.as_ref()?.value_at_quantile(quantile));
        Some(Latency { p50: at(0.5)?, p99: at(0.99)?, p999: at(0.999)? })
    }
}

impl Counters {
    fn all(&self) -> [&AtomicU64; 4] {
        [&self.calls, &self.nanoseconds, &self.rejected, &self.failed]
    }
}

fn new_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, 2).expect("the bounds are constants that fit")
}

#[cfg(test)]
mod tests {
    use super::{Period, Stats};
    use crate::command::lookup::{Resolved, resolve};
    use crate::command::status::Totals;
    use crate::coordinator::Lookups;
    use crate::types::{Args, Span};

    fn resolved(name: &str) -> Resolved {
        let spans = [Span { start: 0, len: name.len() as u32 }, Span::default(), Span::default()];
        let count = if name == "get" { 2 } else { 3 };
        resolve(Args::new(name.as_bytes(), &spans[..count])).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn a_reset_begins_anew_but_totals_go_on() {
        let stats = Stats::default();
        let (get, set) = (resolved("get"), resolved("set"));
        stats.count_batch([get, get, set, get].into_iter(), 2_000);
        stats.count_error(b"-WRONG and more\r\n", Some(set));
        stats.count_rejected(get);
        let shown = |period| {
            let commands = stats.commands(period).into_iter();
            let text = commands.map(|(name, counts, _)| format!("{name}:{}:{}", counts.calls, counts.failed));
            (text.collect::<Vec<_>>().join(","), stats.errors(period))
        };
        let all = ("get:3:0,set:1:1".to_owned(), vec![("WRONG".to_owned(), 1)]);
        assert_eq!((shown(Period::Start), shown(Period::Reset)), (all.clone(), all));
        let latency = stats.commands(Period::Reset)[0].2.expect("it was called");
        assert!((1_990..2_020).contains(&latency.p50) && latency.p50 == latency.p999, "{latency:?}");
        stats.count_lookups(Lookups { hits: 3, misses: 1 });
        let totals = Totals { received_bytes: 70, ..Totals::default() };
        stats.reset(totals);
        stats.count_lookups(Lookups { hits: 1, misses: 0 });
        assert_eq!(stats.lookups(Period::Start), Lookups { hits: 4, misses: 1 });
        assert_eq!(stats.lookups(Period::Reset), Lookups { hits: 1, misses: 0 });
        assert_eq!(stats.since_reset(Totals { received_bytes: 75, ..totals }).received_bytes, 5);
        assert_eq!(shown(Period::Reset), (String::new(), Vec::new()));
        assert_eq!(shown(Period::Start).0, "get:3:0,set:1:1");
        stats.count_batch([set].into_iter(), 1);
        assert_eq!(shown(Period::Reset).0, "set:1:0");
        assert_eq!(stats.total_calls(), 5);
    }
}
