//! Keys and values that all engines get alike.
//!
//! A key looks as Annulus makes it: slot, database, hash, length, name (24 bytes); numbers in order are keys in random
//! order. Values are half random bytes, half repeated ones, so that compression has about as much to find as in real ones.

use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 24;
/// Bytes of which values are cut.
const POOL_BYTES: usize = 1 << 20;
/// Length of a piece of random or of repeated bytes.
const PIECE: usize = 32;

/// The key of a number.
pub(crate) fn key(number: u64) -> [u8; KEY_BYTES] {
    let hash = xxh3_64(&number.to_le_bytes());
    let mut key = [0; KEY_BYTES];
    key[..2].copy_from_slice(&((hash & 16_383) as u16).to_be_bytes());
    key[3..7].copy_from_slice(&((hash >> 32) as u32).to_be_bytes());
    key[7] = 16;
    key[8..].copy_from_slice(b"key:000000000000");
    let (mut rest, mut at) = (number, KEY_BYTES);
    while rest > 0 {
        at -= 1;
        key[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Values of one length.
pub(crate) struct Values {
    pool: Vec<u8>,
    bytes: usize,
}

impl Values {
    /// Values of `bytes` each.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut dice = Dice::new(7);
        let mut pool = Vec::with_capacity(POOL_BYTES + bytes);
        while pool.len() < POOL_BYTES + bytes {
            pool.extend((0..PIECE).map(|_| dice.roll(256) as u8));
            let letter = b'a' + dice.roll(26) as u8;
            pool.resize(pool.len() + PIECE, letter);
        }
        Values { pool, bytes }
    }

    /// The value that is written as number `write`.
    pub(crate) fn of(&self, write: u64) -> &[u8] {
        let start = (write.wrapping_mul(7_919) % POOL_BYTES as u64) as usize;
        &self.pool[start..start + self.bytes]
    }

    /// Length of each.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A small seeded generator: equal for all engines.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}
