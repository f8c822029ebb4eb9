//! How long a peer takes to answer: quantiles of its recent round trips, for hedging and for people.
//!
//! A histogram of a few exponential steps; when it has seen enough, all counts are halved, so that old round trips fade.

use std::time::Duration;

/// Steps between one time and its double.
const STEPS_PER_DOUBLING: u32 = 4;
/// Doublings from one microsecond upwards: to more than an hour.
const DOUBLINGS: usize = 32;
/// Round trips after which all that was counted counts half.
const FADE_AFTER: u32 = 2048;

/// Recent round trips of one peer.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: [u32; DOUBLINGS * STEPS_PER_DOUBLING as usize],
    total: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: [0; DOUBLINGS * STEPS_PER_DOUBLING as usize], total: 0 }
    }
}

impl Latency {
    /// Counts a round trip.
    pub fn record(&mut self, round_trip: Duration) {
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX).max(1);
        let doubling = micros.ilog2();
        // The two bits below the highest one say which quarter of the doubling it is.
        let quarter = (u64::from(micros) << 2 >> doubling) as u32 & (STEPS_PER_DOUBLING - 1);
        if let Some(count) = self.counts.get_mut((doubling * STEPS_PER_DOUBLING + quarter) as usize) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= FADE_AFTER {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The time that this many of a thousand recent round trips did not exceed, up to a quarter too long; nothing before the
    /// first.
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Option<Duration> {
        let rank = (u64::from(self.total) * u64::from(permille)).div_ceil(1000).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        let (doubling, quarter) = (reached as u32 / STEPS_PER_DOUBLING, reached as u64 % u64::from(STEPS_PER_DOUBLING));
        Some(Duration::from_micros(((5 + quarter) << doubling) / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::Latency;
    use std::time::Duration;

    #[test]
    fn quantiles_are_at_most_a_quarter_too_long() {
        for micros in [1u64, 3, 7, 100, 999, 4_000, 123_456, 9_999_999] {
            let mut latency = Latency::default();
            assert_eq!(latency.quantile(990), None);
            latency.record(Duration::from_micros(micros));
            let told = latency.quantile(990).expect("one").as_micros() as u64;
            assert!(told >= micros && told <= micros + micros.div_ceil(4), "{micros} told as {told}");
        }
        let mut latency = Latency::default();
        latency.record(Duration::MAX);
        latency.record(Duration::ZERO);
        assert!(latency.quantile(1000) > Some(Duration::from_secs(3600)));
    }

    #[test]
    fn the_tail_is_told_from_the_rest_and_fades() {
        let mut latency = Latency::default();
        for index in 0..1000 {
            latency.record(Duration::from_micros(if index % 50 == 0 { 20_000 } else { 200 }));
        }
        assert!(latency.quantile(500) < Some(Duration::from_micros(300)));
        assert!(latency.quantile(990) >= Some(Duration::from_millis(20)));
        for _ in 0..20_000 {
            latency.record(Duration::from_micros(200));
        }
        assert!(latency.quantile(990) < Some(Duration::from_micros(300)), "what was slow long ago is forgotten");
    }
}
