//! When a read asks one more replica than it needs, because one of those asked is slow.

use std::time::Duration;

/// Reads that may be hedged, of a hundred.
pub const HEDGE_PERCENT: u64 = 5;
/// Reads after which older ones count half, so that the budget follows the load of the moment.
const WINDOW: u64 = 10_000;

/// How many reads there were lately, and how many of them were hedged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeBudget {
    reads: u64,
    hedges: u64,
}

impl HedgeBudget {
    /// Takes note of a read.
    pub fn note_read(&mut self) {
        if self.reads >= WINDOW {
            self.reads /= 2;
            self.hedges /= 2;
        }
        self.reads += 1;
    }

    /// Whether one more replica is to be asked now, where the slowest has let the read wait for `waited` and answers most
    /// requests within `p99`. If so, it is taken from the budget.
    pub fn take(&mut self, waited: Duration, p99: Duration) -> bool {
        let is_due = waited > p99 && (self.hedges + 1) * 100 <= self.reads * HEDGE_PERCENT;
        self.hedges += u64::from(is_due);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::{HedgeBudget, WINDOW};
    use std::time::Duration;

    #[test]
    fn a_read_is_hedged_past_the_p99_and_within_the_budget() {
        let (p99, slow) = (Duration::from_millis(3), Duration::from_millis(4));
        let mut budget = HedgeBudget::default();
        assert!(!budget.take(slow, p99), "nothing was read yet");
        let mut hedged = 0;
        for _ in 0..10 * WINDOW {
            budget.note_read();
            assert!(!budget.take(p99, p99), "not slower than most");
            hedged += u64::from(budget.take(slow, p99));
        }
        assert_eq!(hedged, WINDOW / 2, "five of a hundred, however many are slow");
    }
}
