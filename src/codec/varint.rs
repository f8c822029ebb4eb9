//! Writing integers: fixed width little endian, and variable length (LEB128: 7 bits a byte, lowest first, high bit = more).

/// Longest form of a variable-length integer in bytes.
pub const MAX_VARINT_LEN: usize = 10;

/// Appends `value` in 1 to 10 bytes.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varint`] appends for `value`.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Appends the length of `bytes` as variable-length integer, then `bytes`: what `Reader::prefixed` reads.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends 2 bytes, little endian.
#[inline]
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends 4 bytes, little endian.
#[inline]
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends 8 bytes, little endian.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::{MAX_VARINT_LEN, put_bytes, put_u16, put_u32, put_u64, put_varint, varint_len};
    use crate::codec::Reader;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    #[test]
    fn the_length_of_a_varint_is_known_before_it_is_written() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in edges.chain([u64::MAX]) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
        assert_eq!(varint_len(u64::MAX), MAX_VARINT_LEN);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_put_reads_back(a in any::<u16>(), b in any::<u32>(), c in any::<u64>(), d in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            put_u16(&mut out, a);
            put_u32(&mut out, b);
            put_u64(&mut out, c);
            put_varint(&mut out, c);
            put_bytes(&mut out, &d);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u16(), Ok(a));
            prop_assert_eq!(reader.u32(), Ok(b));
            prop_assert_eq!(reader.u64(), Ok(c));
            prop_assert_eq!(reader.varint(), Ok(c));
            prop_assert_eq!(reader.prefixed(), Ok(&d[..]));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() {
                let before = reader.offset();
                if reader.prefixed().is_err() && reader.varint().is_err() && reader.u16().is_err() {
                    let _ = reader.u8();
                }
                assert!(reader.offset() > before, "a read that succeeds moves on");
            }
        }
    }
}
