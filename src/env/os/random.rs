//! Randomness seeded by the kernel: a cryptographic generator per thread, so that callers share no lock.

use rand::Rng as _;

use crate::env::Random;

/// The machine's randomness.
#[derive(Clone, Copy, Debug)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the randomness that the rest of the crate is handed")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::OsRandom;
    use crate::env::Random;

    #[test]
    fn two_numbers_differ() {
        assert_ne!(OsRandom.next_u64(), OsRandom.next_u64());
    }
}
