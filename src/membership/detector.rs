//! Phi accrual: how surprising it is that nothing was heard of a node for so long.
//!
//! The times between heartbeats are taken as normally distributed, with the mean and deviation of the last
//! [`WINDOW`]; phi is minus the decimal logarithm of the chance that the next one comes even later than now: at phi 8, one
//! silence in 10^8 would be a false alarm if the times were what they are taken for. It does not matter by whose mouth a
//! heartbeat came: news of a node that only others can reach keeps it alive here too.
//!
//! Source: Hayashibara, Défago, Yared, Katayama, "The φ Accrual Failure Detector" (2004). The tail of the normal
//! distribution is the logistic approximation of Bowling et al. (2009), in a form that does not underflow.

use std::collections::VecDeque;
use std::time::Duration;

/// Heartbeats that are remembered.
const WINDOW: usize = 100;

/// A deviation is taken as no smaller than the interval divided by this: a calm minute proves nothing about the next one.
const LEAST_DEVIATION: u32 = 2;

/// A silence counts as no longer than this many intervals: one outage must not make the next one invisible.
const LONGEST_SAMPLE: u32 = 6;

/// What the rhythm of a node's heartbeats has been.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    interval: Duration,
    last: Duration,
    /// Milliseconds, with their sum and the sum of their squares: integers, so that nothing drifts.
    samples: VecDeque<u32>,
    sum: u64,
    squares: u64,
}

impl Detector {
    /// A detector that expects heartbeats every `interval`, loosely, from `now` on.
    pub(super) fn new(interval: Duration, now: Duration) -> Self {
        let mut detector = Detector { interval, last: now, samples: VecDeque::new(), sum: 0, squares: 0 };
        detector.sample(interval / 2);
        detector.sample(interval + interval / 2);
        detector
    }

    /// A heartbeat arrived.
    pub(super) fn heard(&mut self, now: Duration) {
        self.sample(now.saturating_sub(self.last).min(self.interval * LONGEST_SAMPLE));
        self.last = self.last.max(now);
    }

    /// Time passed that this node slept through, and in which it could not have heard anybody.
    pub(super) fn excuse(&mut self, gap: Duration) {
        self.last += gap;
    }

    /// How surprising the silence up to `now` is.
    pub(super) fn phi(&self, now: Duration) -> f64 {
        let count = self.samples.len() as f64;
        let mean = self.sum as f64 / count;
        let variance = (self.squares as f64 / count - mean * mean).max(0.0);
        let least = (self.interval / LEAST_DEVIATION).as_secs_f64() * 1e3;
        let silence = now.saturating_sub(self.last).as_secs_f64() * 1e3;
        let y = (silence - mean) / variance.sqrt().max(least);
        let odds = y * (1.5976 + 0.070_566 * y * y);
        // The chance of a later heartbeat is 1 / (1 + e^odds).
        if odds > 30.0 { odds * std::f64::consts::LOG10_E } else { odds.exp().ln_1p() * std::f64::consts::LOG10_E }
    }

    fn sample(&mut self, silence: Duration) {
        if self.samples.len() == WINDOW
            && let Some(oldest) = self.samples.pop_front()
        {
            self.sum -= u64::from(oldest);
            self.squares -= u64::from(oldest).pow(2);
        }
        let sample = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        self.samples.push_back(sample);
        self.sum += u64::from(sample);
        self.squares += u64::from(sample).pow(2);
    }
}

#[cfg(test)]
mod tests {
    use super::{Detector, WINDOW};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    /// A detector that has heard a heartbeat after each of `gaps` in turn, for 200 of them, and when the last one was.
    fn heard(gaps: &[u64]) -> (Detector, Duration) {
        let mut now = Duration::ZERO;
        let mut detector = Detector::new(SECOND, now);
        for index in 0..200 {
            now += Duration::from_millis(gaps[index % gaps.len()]);
            detector.heard(now);
        }
        (detector, now)
    }

    /// Milliseconds of silence until phi reaches 8.
    fn silence(detector: &Detector, last: Duration) -> u64 {
        (0..).step_by(10).find(|&millis| detector.phi(last + Duration::from_millis(millis)) >= 8.0).unwrap()
    }

    #[test]
    fn phi_is_the_logarithm_of_the_chance() {
        let (detector, last) = heard(&[500, 1500]);
        // Mean 1 s, deviation 0.5 s: at the mean half of all come later, at 1, 2, 3 deviations 15.9, 2.3 and 0.13 %.
        for (millis, wanted) in [(1000, 0.301), (1500, 0.799), (2000, 1.643), (2500, 2.87)] {
            let phi = detector.phi(last + Duration::from_millis(millis));
            assert!((phi - wanted).abs() < 0.04, "{millis} ms: {phi}");
        }
        assert!(detector.phi(last + 1000 * SECOND) > 1e6, "no overflow, no infinity");
        assert!(detector.phi(last + 1_000_000 * SECOND).is_finite());
        assert!(detector.phi(last) < 0.02);
    }

    #[test]
    fn an_irregular_node_is_given_more_time() {
        let regular = heard(&[1000]);
        let irregular = heard(&[200, 400, 2400]);
        let (short, long) = (silence(&regular.0, regular.1), silence(&irregular.0, irregular.1));
        assert!((3000..4500).contains(&short), "{short}");
        assert!((5000..8000).contains(&long), "{long}");
        let fresh = Detector::new(SECOND, SECOND);
        assert!((3000..4500).contains(&silence(&fresh, SECOND)));
    }

    #[test]
    fn an_outage_is_forgotten() {
        let (mut detector, mut now) = heard(&[1000]);
        let before = silence(&detector, now);
        now += 3600 * SECOND;
        detector.heard(now);
        assert!(silence(&detector, now) < 2 * before, "at once almost");
        for _ in 0..WINDOW {
            now += SECOND;
            detector.heard(now);
        }
        assert_eq!(silence(&detector, now), before);
    }

    #[test]
    fn a_sleep_of_ones_own_is_no_evidence() {
        let (mut detector, last) = heard(&[1000]);
        assert!(detector.phi(last + 61 * SECOND) > 100.0);
        detector.excuse(60 * SECOND);
        assert!(detector.phi(last + 61 * SECOND) < 1.0);
    }
}
