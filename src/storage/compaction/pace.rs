//! How fast compaction may go: a budget of bytes that opens with debt.
//!
//! While few runs wait, compaction takes a small share of the disk and of a processor, and lookups beside it stay quick.
//! Each run of level 0 beyond those that start a compaction doubles the budget; at twice their number there is none, for
//! then writes are about to be slowed down. What is short (a few megabytes) is not held back at all.

use std::time::Duration;

use crate::storage::options::Options;

/// Bytes that may pass in a second while nothing presses.
const QUIET_RATE: u64 = 32 << 20;
/// Bytes that may pass before a pause is made.
const BURST_BYTES: u64 = 4 << 20;

/// Bytes that compaction may pass in a second with so many runs in level 0; `None`: as many as it can.
pub(crate) fn rate(level0_runs: usize, options: &Options) -> Option<u64> {
    let starts = options.level0_runs.max(1);
    let beyond = level0_runs.saturating_sub(starts);
    (beyond < starts).then(|| QUIET_RATE.saturating_mul(1 << beyond.min(16)))
}

/// What compaction has spent.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When all that has passed would have passed at the rates of its time.
    paid: Duration,
}

impl Pace {
    /// Takes note of `bytes` that passed until `now`; how long to wait before the next.
    pub(crate) fn spend(&mut self, bytes: u64, now: Duration, rate: Option<u64>) -> Option<Duration> {
        let Some(rate) = rate else {
            self.paid = now;
            return None;
        };
        let time = |bytes: u64| Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.paid = self.paid.max(now) + time(bytes);
        self.paid.checked_sub(now + time(BURST_BYTES)).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST_BYTES, Pace, QUIET_RATE, rate};
    use crate::storage::options::{Durability, Options};
    use std::time::Duration;

    #[test]
    fn the_budget_opens_with_debt() {
        let options = Options::new("unused".into(), Durability::None);
        let rates: Vec<_> = (0..10).map(|runs| rate(runs, &options)).collect();
        let quiet = Some(QUIET_RATE);
        let doubled = |times: u64| Some(QUIET_RATE << times);
        let wanted = [quiet, quiet, quiet, quiet, quiet, doubled(1), doubled(2), doubled(3), None, None];
        assert_eq!(rates, wanted);
    }

    #[test]
    fn what_passes_in_a_second_is_bounded_beyond_a_burst() {
        let (mut pace, mut now, mut passed) = (Pace::default(), Duration::from_secs(9), 0u64);
        while now < Duration::from_secs(12) {
            passed += 256 << 10;
            now += pace.spend(256 << 10, now, Some(1 << 20)).unwrap_or_default();
        }
        let (least, most) = (3 << 20, (3 << 20) + BURST_BYTES + (256 << 10));
        assert!((least..=most).contains(&passed), "{passed}");
        assert_eq!(pace.spend(1 << 30, now, None), None, "with much debt nothing is held back");
        assert_eq!(pace.spend(BURST_BYTES, now, Some(1 << 20)), None, "and nothing is owed for it");
    }
}
