//! LZF, the compression inside Redis's dumps: unpacking only.
//!
//! ```text
//! 000nnnnn                        the n + 1 bytes that follow
//! nnnddddd dddddddd               n + 2 bytes from d + 1 bytes back        n 1 to 6
//! 111ddddd nnnnnnnn dddddddd      n + 9 bytes from d + 1 bytes back
//! ```

use crate::codec::Reader;

/// The `bytes` bytes that `packed` stands for; `None` unless it stands for exactly so many. Nothing else is allocated.
pub(super) fn unpack(packed: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes);
    let mut reader = Reader::new(packed);
    while !reader.is_empty() {
        let control = usize::from(reader.u8().ok()?);
        let room = bytes - out.len();
        if control < 1 << 5 {
            out.extend_from_slice(reader.bytes(control + 1).ok().filter(|literal| literal.len() <= room)?);
            continue;
        }
        let count = match control >> 5 {
            7 => 9 + usize::from(reader.u8().ok()?),
            count => count + 2,
        };
        let distance = ((control & 0x1F) << 8 | usize::from(reader.u8().ok()?)) + 1;
        let start = out.len().checked_sub(distance)?;
        if count > room {
            return None;
        }
        // What is copied may be part of the copy: byte by byte.
        for index in start..start + count {
            let byte = *out.get(index)?;
            out.push(byte);
        }
    }
    // Redis never packs nothing, and refuses it.
    (out.len() == bytes && !packed.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn literals_and_references() {
        for (packed, expected) in [
            (&b"\x02abc"[..], Some(&b"abc"[..])),
            (b"\x02abc\x20\x02", Some(b"abcabc")),
            (b"\x00a\xe0\x00\x00", Some(b"aaaaaaaaaa")),
            (b"\x00a\x20\x01", None),
            (b"\x02ab", None),
            (b"\x00a\xe0\x00", None),
            (b"\x00a\x20", None),
            (b"", None),
        ] {
            let bytes = expected.map_or(6, <[u8]>::len);
            assert_eq!(unpack(packed, bytes).as_deref(), expected, "{packed:?}");
        }
        for bytes in [0, 2, 4] {
            assert_eq!(unpack(b"\x02abc", bytes), None, "three bytes are not {bytes}");
        }
        assert_eq!(unpack(b"\x00a\x20\x00", 3), None);
    }

    #[test]
    fn far_references() {
        let mut packed = Vec::new();
        let text: Vec<u8> = (0..8192u32).map(|index| (index % 251) as u8).collect();
        for piece in text.chunks(32) {
            packed.push(piece.len() as u8 - 1);
            packed.extend_from_slice(piece);
        }
        packed.extend_from_slice(&[0x3F, 0xFF]);
        let expected = [&text[..], &text[..3]].concat();
        assert_eq!(unpack(&packed, expected.len()), Some(expected));
    }
}
