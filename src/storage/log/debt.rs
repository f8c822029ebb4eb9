//! How far background work is behind, and how long writes wait for it.
//!
//! Writes that are slowed down early and a little arrive as fast as they can be flushed; writes that only stop at the end
//! wait long, all at once. The pause doubles on the way from the slow point to the stop, so it settles where both rates meet.
//!
//! Invariant: a pause is a value that the caller's caller waits for, with no lock held; nothing here waits.

use std::time::Duration;

/// Debt at which writes stop.
const STOP: usize = 255;
/// The longest pause is 2 to this many milliseconds.
const DOUBLINGS: u32 = 5;

/// How far background work is behind: 0 before the slow point, 255 at the stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Debt(pub(crate) u8);

impl Debt {
    /// The debt of `behind` pieces of work if writes are slowed from beyond `slow` on and stopped at `stop`.
    #[inline]
    pub(crate) fn of(behind: usize, slow: usize, stop: usize) -> Self {
        let (past, way) = (behind.saturating_sub(slow), stop.saturating_sub(slow).max(1));
        Debt((past.min(way) * STOP / way) as u8)
    }

    /// How long a batch of writes waits before it is answered; `None` if nothing is behind.
    #[inline]
    pub(crate) fn pause(self) -> Option<Duration> {
        let doublings = u32::from(self.0) * DOUBLINGS / STOP as u32;
        (self.0 > 0).then(|| Duration::from_millis(1 << doublings))
    }
}

#[cfg(test)]
mod tests {
    use super::Debt;

    #[test]
    fn the_pause_grows_from_the_slow_point_to_the_stop() {
        let pauses = |slow, stop| -> Vec<_> {
            (0..=stop + 1)
                .map(|behind| Debt::of(behind, slow, stop).pause().map_or(0, |pause| pause.as_millis()))
                .collect()
        };
        assert_eq!(pauses(2, 4), [0, 0, 0, 4, 32, 32]);
        assert_eq!(pauses(8, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 8, 32, 32]);
        assert_eq!(pauses(1, 1), [0, 0, 32], "where there is no way between them, a pause is better than none");
    }
}
