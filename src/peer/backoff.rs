//! Pauses between attempts to connect: doubled with each failure, and random, so that nodes do not come in step.

use std::time::Duration;

use crate::env::Random;
use crate::peer::Options;

/// The pauses of one peer.
#[derive(Debug)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(options: &Options) -> Self {
        Backoff { least: options.backoff_least, most: options.backoff_most, next: options.backoff_least }
    }

    /// The next pause: at least half of what it could be.
    pub(super) fn pause(&mut self, random: &dyn Random) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(self.most);
        let half = longest / 2;
        half + Duration::from_nanos(random.next_u64() % (half.as_nanos() as u64).max(1))
    }

    /// A connection has held for `lasted`: begin anew if that was long.
    pub(super) fn held(&mut self, lasted: Duration) {
        if lasted >= self.most {
            self.next = self.least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use crate::env::memory::SeededRandom;
    use crate::peer::Options;
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let random = SeededRandom::new(1);
        let mut backoff = Backoff::new(&Options::default());
        for longest_ms in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = backoff.pause(&random);
            let longest = Duration::from_millis(longest_ms);
            assert!(pause >= longest / 2 && pause < longest, "{pause:?} of {longest:?}");
        }
        backoff.held(Duration::from_secs(4));
        assert!(backoff.pause(&random) >= Duration::from_millis(2500), "a short connection is another failure");
        backoff.held(Duration::from_secs(5));
        assert!(backoff.pause(&random) < Duration::from_millis(50));
    }

    #[test]
    fn two_nodes_do_not_come_in_step() {
        let pause = |seed| Backoff::new(&Options::default()).pause(&SeededRandom::new(seed));
        assert_ne!(pause(1), pause(2));
    }
}
