//! CRC-64 as Redis has it (polynomial of Jones, reflected), in two seeds.
//!
//! Everything Annulus stores or sends is seeded with all ones ([`crc64()`], [`Crc64`]): with Redis's own seed of zero the
//! checksum of any number of zero bytes is zero, so that a block the device zeroed would pass. [`crc64_redis`] keeps the
//! seed of zero for what must equal Redis byte for byte (`DUMP`).
//!
//! Source: `crc-fast` does the work (carry-less multiplication where the machine has it); `crc64` is the oracle of the tests.

use crc_fast::{CrcAlgorithm, Digest};

/// State before the first byte of everything but `DUMP`.
const SEED: u64 = !0;

/// CRC-64 of `bytes`, seeded with all ones.
#[inline]
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, SEED);
    digest.update(bytes);
    digest.finalize()
}

/// CRC-64 of `bytes` exactly as Redis computes it: seeded with zero.
#[must_use]
pub fn crc64_redis(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Redis, bytes)
}

/// CRC-64 of bytes that come in pieces; equal to [`crc64()`] of the pieces joined.
#[derive(Clone, Debug)]
pub struct Crc64 {
    digest: Digest,
}

impl Crc64 {
    /// The checksum before any byte.
    #[must_use]
    pub fn new() -> Self {
        Crc64 { digest: Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, SEED) }
    }

    /// Adds the next piece.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of all pieces so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Crc64, crc64, crc64_redis};

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index * 131 + index / 7) as u8).collect()
    }

    #[test]
    fn checksums_equal_those_of_an_independent_implementation() {
        assert_eq!(crc64_redis(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        for len in (0..300).chain([1023, 4096, 65_537]) {
            let bytes = sample(len);
            assert_eq!(crc64_redis(&bytes), ::crc64::crc64(0, &bytes), "redis, {len} bytes");
            assert_eq!(crc64(&bytes), ::crc64::crc64(!0, &bytes), "seeded, {len} bytes");
        }
    }

    #[test]
    fn pieces_give_the_checksum_of_the_whole() {
        let bytes = sample(1000);
        for cut in [0, 1, 7, 8, 63, 64, 500, 999, 1000] {
            let mut crc = Crc64::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            assert_eq!(crc.value(), crc64(&bytes), "cut at {cut}");
        }
    }

    #[test]
    fn zeros_do_not_pass() {
        for len in [0, 1, 8, 16, 512, 4096] {
            let zeros = vec![0; len];
            assert_ne!(crc64(&zeros), 0, "{len} zeros");
            assert_eq!(crc64_redis(&zeros), 0, "the seed of zero is what lets {len} zeros pass");
        }
    }
}
