//! Hybrid logical time: 48 bits of milliseconds since the Unix epoch, then 16 bits of counter.

use std::fmt;
use std::time::Duration;

/// Bits of the counter below the milliseconds.
const COUNTER_BITS: u32 = 16;

/// A hybrid logical time. Zero is earlier than every write: "never".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Before every write.
    pub const ZERO: Time = Time(0);

    /// No write has this time or a later one (it lies in the year 4199); bytes that say so are refused. The bits above leave
    /// room for every sum that is made of times.
    pub const LIMIT: Time = Time(1 << 62);

    /// The first time of the millisecond `wall_ms`, below [`Time::LIMIT`] whatever a broken clock says.
    #[inline]
    #[must_use]
    pub fn from_ms(wall_ms: u64) -> Time {
        Time(wall_ms.min((Time::LIMIT.0 >> COUNTER_BITS) - 1) << COUNTER_BITS)
    }

    /// The last time that is not more than `span` after the millisecond `wall_ms`.
    #[inline]
    #[must_use]
    pub fn bound(wall_ms: u64, span: Duration) -> Time {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Time(Time::from_ms(wall_ms.saturating_add(span_ms)).0 | ((1 << COUNTER_BITS) - 1))
    }

    /// Milliseconds since the Unix epoch.
    #[inline]
    #[must_use]
    pub fn wall_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The counter within the millisecond.
    #[inline]
    #[must_use]
    pub fn counter(self) -> u16 {
        self.0 as u16
    }

    /// The next greater time.
    #[inline]
    #[must_use]
    pub fn after(self) -> Time {
        Time(self.0.saturating_add(1))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.wall_ms(), self.counter())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Time;
    use std::time::Duration;

    #[test]
    fn milliseconds_stand_above_the_counter() {
        let time = Time(Time::from_ms(1_800_000_000_123).0 + 7);
        assert_eq!((time.wall_ms(), time.counter()), (1_800_000_000_123, 7));
        assert_eq!(time.to_string(), "1800000000123.7");
        assert!(Time::from_ms(u64::MAX) < Time::LIMIT);
        assert_eq!(Time(0xffff).after(), Time::from_ms(1), "a full counter carries into the milliseconds");
    }

    #[test]
    fn the_bound_is_the_last_time_of_its_millisecond() {
        let bound = Time::bound(1000, Duration::from_millis(500));
        assert_eq!((bound.wall_ms(), bound.after()), (1500, Time::from_ms(1501)));
        assert!(Time::bound(u64::MAX, Duration::MAX) < Time::LIMIT);
    }
}
