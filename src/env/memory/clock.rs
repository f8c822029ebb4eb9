//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;

/// Wall and monotonic time as a test sets them.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicU64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// A clock at `wall_ms` whose monotonic time is zero.
    #[must_use]
    pub fn new(wall_ms: u64) -> Self {
        ManualClock { wall_ms: AtomicU64::new(wall_ms), monotonic_ns: AtomicU64::new(0) }
    }

    /// Lets `passed` pass on both clocks; the wall clock moves by whole milliseconds as they become complete.
    pub fn advance(&self, passed: Duration) {
        let before = self.monotonic_ns.fetch_add(passed.as_nanos() as u64, Ordering::AcqRel);
        let after = before + passed.as_nanos() as u64;
        self.wall_ms.fetch_add(after / 1_000_000 - before / 1_000_000, Ordering::AcqRel);
    }

    /// Sets the wall clock, backwards too, as an operator or a time server would.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::Release);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Acquire)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::ManualClock;
    use crate::env::Clock;
    use std::time::Duration;

    #[test]
    fn time_passes_and_jumps_only_as_told() {
        let clock = ManualClock::new(1000);
        clock.advance(Duration::from_micros(600));
        assert_eq!((clock.wall_ms(), clock.monotonic()), (1000, Duration::from_micros(600)));
        clock.advance(Duration::from_micros(600));
        assert_eq!(clock.wall_ms(), 1001);
        clock.set_wall_ms(5);
        assert_eq!((clock.wall_ms(), clock.monotonic()), (5, Duration::from_micros(1200)));
    }
}
