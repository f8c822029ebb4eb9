//! A cursor over bytes that cannot be trusted: every read is checked against what is left.

/// Bytes that do not hold what their format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before what they announce.
    #[error("ends at offset {offset}: {needed} bytes expected, {remaining} left")]
    Short {
        /// Where the read began.
        offset: usize,
        /// Bytes that the read needed.
        needed: u64,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A variable-length integer above 64 bits, or not in its shortest form.
    #[error("bad variable-length integer at offset {offset}")]
    Varint {
        /// Where the integer begins.
        offset: usize,
    },
    /// Bytes follow what should have been the end.
    #[error("{remaining} bytes too many from offset {offset}")]
    Trailing {
        /// Where the end should have been.
        offset: usize,
        /// Bytes that follow it.
        remaining: usize,
    },
}

/// A position in untrusted bytes; a failed read leaves it where it was.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, offset: 0 }
    }

    /// Bytes read so far.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes left.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Whether no byte is left.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let found = self.offset.checked_add(count).and_then(|end| self.bytes.get(self.offset..end));
        let bytes = found.ok_or_else(|| self.short(count as u64))?;
        self.offset += count;
        Ok(bytes)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let found = self.bytes.get(self.offset..).and_then(|rest| rest.first_chunk());
        let array = *found.ok_or_else(|| self.short(N as u64))?;
        self.offset += N;
        Ok(array)
    }

    /// All bytes that are left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.offset..).unwrap_or(&[]);
        self.offset = self.bytes.len();
        rest
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// A little-endian integer of 2 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian integer of 4 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian integer of 8 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A variable-length integer as [`put_varint`](crate::codec::put_varint) writes it. Only the shortest form is taken, so
    /// that equal values have equal bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the bytes end inside it, [`DecodeError::Varint`] above 64 bits or with a needless last byte.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.bytes.get(self.offset) {
            Some(&byte) if byte < 0x80 => {
                self.offset += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    /// A length as variable-length integer, then that many bytes.
    ///
    /// # Errors
    /// Those of [`Reader::varint`]; [`DecodeError::Short`] if fewer bytes are left than announced.
    #[inline]
    pub fn prefixed(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.offset;
        let count = self.varint()?;
        let bytes = usize::try_from(count).map_err(|_| self.short(count)).and_then(|count| self.bytes(count));
        if bytes.is_err() {
            self.offset = start;
        }
        bytes
    }

    /// Says that nothing may follow.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if bytes are left.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            remaining => Err(DecodeError::Trailing { offset: self.offset, remaining }),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let rest = self.bytes.get(self.offset..).unwrap_or(&[]);
        let bad = DecodeError::Varint { offset: self.offset };
        let mut value = 0;
        for (index, &byte) in rest.iter().take(crate::codec::MAX_VARINT_LEN).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if byte == 0 || (index == crate::codec::MAX_VARINT_LEN - 1 && byte > 1) {
                    return Err(bad);
                }
                self.offset += index + 1;
                return Ok(value);
            }
        }
        Err(if rest.len() < crate::codec::MAX_VARINT_LEN { self.short(rest.len() as u64 + 1) } else { bad })
    }

    #[cold]
    fn short(&self, needed: u64) -> DecodeError {
        DecodeError::Short { offset: self.offset, needed, remaining: self.remaining() }
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Reader};

    #[test]
    fn integers_are_little_endian() {
        let bytes: Vec<u8> = (1..=15).collect();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0302));
        assert_eq!(reader.u32(), Ok(0x0706_0504));
        assert_eq!(reader.u64(), Ok(0x0f0e_0d0c_0b0a_0908));
        assert_eq!((reader.offset(), reader.is_empty(), reader.end()), (15, true, Ok(())));
    }

    #[test]
    fn a_read_past_the_end_fails_and_stays() {
        let mut reader = Reader::new(&[5, 1, 2]);
        let short = |offset, needed, remaining| DecodeError::Short { offset, needed, remaining };
        assert_eq!(reader.u32(), Err(short(0, 4, 3)));
        assert_eq!(reader.bytes(usize::MAX), Err(short(0, u64::MAX, 3)));
        assert_eq!(reader.prefixed(), Err(short(1, 5, 2)));
        assert_eq!((reader.offset(), reader.u8()), (0, Ok(5)));
        assert_eq!(reader.bytes(usize::MAX), Err(short(1, u64::MAX, 2)));
        assert_eq!(reader.end(), Err(DecodeError::Trailing { offset: 1, remaining: 2 }));
        assert_eq!((reader.rest(), reader.rest()), (&[1, 2][..], &[][..]));
        assert_eq!(reader.varint(), Err(short(3, 1, 0)));
    }

    #[test]
    fn prefixed_bytes_stand_behind_their_length() {
        let mut reader = Reader::new(b"\x03abc\x00rest");
        assert_eq!(reader.prefixed(), Ok(&b"abc"[..]));
        assert_eq!(reader.prefixed(), Ok(&b""[..]));
        assert_eq!(reader.remaining(), 4);
    }

    #[test]
    fn bad_varints_are_refused() {
        let bad: [&[u8]; 4] = [&[0x80, 0], &[0xff, 0x80, 0], &[0xff; 11], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"];
        for bytes in bad {
            assert_eq!(Reader::new(bytes).varint(), Err(DecodeError::Varint { offset: 0 }), "{bytes:?}");
        }
        let cut = Reader::new(&[0xff; 9]).varint();
        assert_eq!(cut, Err(DecodeError::Short { offset: 0, needed: 10, remaining: 9 }));
    }
}
