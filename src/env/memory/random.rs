//! Randomness that a seed repeats, with an algorithm fixed by name so that a new `rand` keeps old seeds' runs.

use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _};

use crate::env::Random;

/// The generator of everything seeded in memory.
pub(crate) type Generator = rand::rngs::Xoshiro256PlusPlus;

/// A generator for `seed`.
pub(crate) fn generator(seed: u64) -> Generator {
    Generator::seed_from_u64(seed)
}

/// Random bytes from a seed.
#[derive(Debug)]
pub struct SeededRandom {
    generator: Mutex<Generator>,
}

impl SeededRandom {
    /// The same seed gives the same bytes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SeededRandom { generator: Mutex::new(generator(seed)) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.generator.lock().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::SeededRandom;
    use crate::env::Random;

    #[test]
    fn the_seed_decides() {
        let draw = |seed| SeededRandom::new(seed).next_u64();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
