//! The node's hybrid logical clock: one shared value that takes the wall time as an argument.
//!
//! Invariant: no two answers of [`Hlc::next`] are equal, and each is greater than every earlier one, than what was passed
//! and than what it was asked to come after.
//! Invariant: times of other nodes never move the clock further ahead of the wall than the bound that comes with them; a
//! write that covers such a time does, because its dot has to lie behind what it covers.
//!
//! Left out on purpose: persistence. Times that the node closed are in the ledger and are passed again at start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::causality::Time;

/// A time lies further ahead of the wall clock than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time {ahead_ms} ms ahead of this node's clock, more than the {allowed_ms} ms that max-clock-skew allows")]
pub struct Ahead {
    /// Milliseconds by which it is ahead.
    pub ahead_ms: u64,
    /// Milliseconds allowed.
    pub allowed_ms: u64,
}

/// The clock that the dots of a node come from. One atomic: callable from every thread, without a lock.
#[derive(Debug)]
pub struct Hlc {
    last: AtomicU64,
}

impl Hlc {
    /// A clock whose first answer is greater than `floor`: the greatest time that this node ever closed.
    #[must_use]
    pub fn new(floor: Time) -> Self {
        Hlc { last: AtomicU64::new(floor.0) }
    }

    /// A time for a new write: not before the wall time `now_ms`, greater than `after` and than every time given before.
    #[inline]
    pub fn next(&self, now_ms: u64, after: Time) -> Time {
        let least = Time::from_ms(now_ms).max(after.after());
        // Relaxed suffices: only this one value is shared, and its own modification order makes the answers distinct.
        let step = |last: u64| Some(Time(last).after().max(least).0);
        match self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
            Ok(last) | Err(last) => Time(last).after().max(least),
        }
    }

    /// Takes notice of a time that came from another node, so that later writes here are later there too.
    ///
    /// # Errors
    /// [`Ahead`] if it lies more than `max_skew` ahead of `now_ms`: the clock stays as it was. What the time came with is
    /// still merged, unless it is a fresh write.
    pub fn observe(&self, now_ms: u64, time: Time, max_skew: Duration) -> Result<(), Ahead> {
        if time > Time::bound(now_ms, max_skew) {
            let allowed_ms = u64::try_from(max_skew.as_millis()).unwrap_or(u64::MAX);
            return Err(Ahead { ahead_ms: time.wall_ms().saturating_sub(now_ms), allowed_ms });
        }
        self.pass(time);
        Ok(())
    }

    /// Makes every later answer of [`Hlc::next`] greater than `time`.
    #[inline]
    pub fn pass(&self, time: Time) {
        self.last.fetch_max(time.0, Ordering::Relaxed);
    }

    /// The greatest time given, observed or passed so far.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Time {
        Time(self.last.load(Ordering::Relaxed))
    }

    /// The time now, without drawing one: what expiry is judged at.
    #[inline]
    #[must_use]
    pub fn reading(&self, now_ms: u64) -> Time {
        self.last().max(Time::from_ms(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, Hlc};
    use crate::causality::Time;
    use std::time::Duration;

    const SKEW: Duration = Duration::from_millis(500);

    #[test]
    fn times_grow_whatever_the_wall_clock_does() {
        let hlc = Hlc::new(Time::from_ms(50));
        let mut last = Time::from_ms(50);
        for now_ms in [100, 100, 40, 0, 101, 101, u64::MAX, 5] {
            let time = hlc.next(now_ms, Time::ZERO);
            assert!(time > last && time >= Time::from_ms(now_ms), "{now_ms}");
            last = time;
        }
        let hlc = Hlc::new(Time::ZERO);
        assert_eq!(hlc.next(100, Time::from_ms(300)), Time::from_ms(300).after());
        assert_eq!(hlc.next(100, Time::ZERO), Time::from_ms(300).after().after());
        assert_eq!(hlc.next(400, Time::ZERO), Time::from_ms(400));
        hlc.pass(Time::from_ms(900));
        assert!(hlc.next(400, Time::ZERO) > Time::from_ms(900));
    }

    #[test]
    fn a_foreign_time_never_drags_the_clock_past_the_bound() {
        let hlc = Hlc::new(Time::ZERO);
        assert_eq!(hlc.observe(1000, Time::bound(1000, SKEW), SKEW), Ok(()));
        assert_eq!(hlc.last().wall_ms(), 1500);
        let error = hlc.observe(1000, Time::from_ms(1501), SKEW);
        assert_eq!(error, Err(Ahead { ahead_ms: 501, allowed_ms: 500 }));
        assert_eq!(hlc.last().wall_ms(), 1500);
        assert_eq!((hlc.reading(2000), hlc.reading(10)), (Time::from_ms(2000), hlc.last()));
    }

    #[test]
    fn two_threads_never_draw_the_same_time() {
        let hlc = Hlc::new(Time::ZERO);
        let draw = || (0..5_000).map(|_| hlc.next(7, Time::ZERO)).collect::<Vec<_>>();
        let (mut all, other) = std::thread::scope(|scope| {
            let other = scope.spawn(draw);
            (draw(), other.join().expect("the thread only draws times"))
        });
        assert!(all.is_sorted() && other.is_sorted());
        all.extend(other);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }
}
