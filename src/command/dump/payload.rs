//! The payload of DUMP: one value in the format of Redis's snapshot files, and a footer.
//!
//! ```text
//! type u8 (0: string) | string | version u16 LE (10) | CRC-64 of all before it, u64 LE, initial value 0
//! string: length, bytes               length: 00xxxxxx | 01xxxxxx x8 | 0x80 u32 BE | 0x81 u64 BE
//!         0xC0 i8 | 0xC1 i16 LE | 0xC2 i32 LE                              an integer's decimal text
//!         0xC3 packed length, length, packed bytes                         LZF
//! ```
//!
//! Integers and plain strings are written; LZF is read too. What follows the value before the footer is ignored, as in Redis.
//!
//! Source: Redis 7.0 `rdb.c`, `cluster.c` (`createDumpPayload`, `verifyDumpPayload`).

use std::borrow::Cow;

use crate::codec::{Reader, crc64_redis, put_u16, put_u64};
use crate::command::dump::lzf;
use crate::resp::{format_i64, parse_i64};

/// Version of the snapshot format that Redis 7.0 writes, and the newest that it reads.
const VERSION: u16 = 10;
/// Version and checksum.
const FOOTER_BYTES: usize = 10;
const TYPE_STRING: u8 = 0;
const INT8: u8 = 0xC0;
const INT16: u8 = 0xC1;
const INT32: u8 = 0xC2;
const LZF: u8 = 0xC3;
const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;

/// Why a payload was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PayloadError {
    /// Too short, of a later version, or with a wrong checksum.
    Footer,
    /// The value is not what the format says.
    Format,
    /// The value is of this type, not a string.
    Type(u8),
    /// The value would be longer than a value may be.
    TooLarge {
        /// Length in bytes.
        bytes: u64,
    },
}

/// The payload of a value.
pub(super) fn encode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 10 + FOOTER_BYTES);
    out.push(TYPE_STRING);
    if !put_integer(value, &mut out) {
        put_length(value.len(), &mut out);
        out.extend_from_slice(value);
    }
    put_u16(&mut out, VERSION);
    let checksum = crc64_redis(&out);
    put_u64(&mut out, checksum);
    out
}

/// Appends the value as an integer if it is the text of one that fits 32 bits.
fn put_integer(value: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(number) = parse_i64(value) else { return false };
    if let Ok(number) = i8::try_from(number) {
        out.push(INT8);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(INT16);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(INT32);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        return false;
    }
    true
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&(length as u16 | 1 << 14).to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        out.push(LENGTH_32);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(LENGTH_64);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// The value of a payload, at most `limit` bytes of it.
///
/// # Errors
/// [`PayloadError`]; nothing larger than `limit` is allocated, whatever the bytes say.
pub(super) fn decode(payload: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, PayloadError> {
    let body = verified(payload).ok_or(PayloadError::Footer)?;
    let mut reader = Reader::new(body);
    match reader.u8().map_err(|_| PayloadError::Format)? {
        TYPE_STRING => read_string(&mut reader, limit),
        // Lists, sets, hashes, sorted sets, modules and streams in all their encodings.
        kind @ (1..=7 | 9..=19) => Err(PayloadError::Type(kind)),
        _ => Err(PayloadError::Format),
    }
}

/// The payload without its footer, if that is right.
fn verified(payload: &[u8]) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let mut footer = Reader::new(footer);
    let is_known = footer.u16().ok()? <= VERSION;
    let (covered, _) = payload.split_at_checked(payload.len().checked_sub(8)?)?;
    (is_known && footer.u64().ok()? == crc64_redis(covered)).then_some(body)
}

fn read_string<'a>(reader: &mut Reader<'a>, limit: usize) -> Result<Cow<'a, [u8]>, PayloadError> {
    match read_head(reader).ok_or(PayloadError::Format)? {
        Head::Length(bytes) => {
            let bytes = usize::try_from(bytes).map_err(|_| PayloadError::Format)?;
            reader.bytes(bytes).map(Cow::Borrowed).map_err(|_| PayloadError::Format)
        }
        Head::Integer(number) => {
            let mut text = Vec::new();
            format_i64(number, &mut text);
            Ok(Cow::Owned(text))
        }
        Head::Packed { packed_bytes, bytes } => {
            let packed = usize::try_from(packed_bytes).ok().and_then(|count| reader.bytes(count).ok());
            let packed = packed.ok_or(PayloadError::Format)?;
            let length = usize::try_from(bytes).ok().filter(|bytes| *bytes <= limit);
            let length = length.ok_or(PayloadError::TooLarge { bytes })?;
            lzf::unpack(packed, length).map(Cow::Owned).ok_or(PayloadError::Format)
        }
    }
}

/// What a string begins with.
enum Head {
    Length(u64),
    Integer(i64),
    Packed { packed_bytes: u64, bytes: u64 },
}

fn read_head(reader: &mut Reader<'_>) -> Option<Head> {
    Some(match reader.u8().ok()? {
        INT8 => Head::Integer(i64::from(i8::from_le_bytes(reader.array().ok()?))),
        INT16 => Head::Integer(i64::from(i16::from_le_bytes(reader.array().ok()?))),
        INT32 => Head::Integer(i64::from(i32::from_le_bytes(reader.array().ok()?))),
        LZF => {
            let first = reader.u8().ok()?;
            let packed_bytes = read_length(first, reader)?;
            let first = reader.u8().ok()?;
            Head::Packed { packed_bytes, bytes: read_length(first, reader)? }
        }
        first => Head::Length(read_length(first, reader)?),
    })
}

/// A length that begins with the byte `first`.
fn read_length(first: u8, reader: &mut Reader<'_>) -> Option<u64> {
    Some(match first {
        0..=0x3F => u64::from(first),
        0x40..=0x7F => u64::from(u16::from_be_bytes([first & 0x3F, reader.u8().ok()?])),
        LENGTH_32 => u64::from(u32::from_be_bytes(reader.array().ok()?)),
        LENGTH_64 => u64::from_be_bytes(reader.array().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{FOOTER_BYTES, PayloadError, VERSION, decode, encode, verified};
    use crate::codec::{crc64_redis, put_u16, put_u64};

    const LIMIT: usize = 1 << 20;

    fn sealed(body: &[u8], version: u16) -> Vec<u8> {
        let mut payload = body.to_vec();
        put_u16(&mut payload, version);
        let checksum = crc64_redis(&payload);
        put_u64(&mut payload, checksum);
        payload
    }

    #[test]
    fn values_are_encoded_as_redis_does() {
        let long = "x".repeat(70_000);
        for (value, head) in [
            ("", &[0, 0][..]),
            ("12", &[0, 0xC0, 12]),
            ("-128", &[0, 0xC0, 0x80]),
            ("-129", &[0, 0xC1, 0x7F, 0xFF]),
            ("70000", &[0, 0xC2, 0x70, 0x11, 1, 0]),
            ("3000000000", &[0, 10, b'3']),
            ("01", &[0, 2, b'0', b'1']),
            (&long[..63], &[0, 63, b'x']),
            (&long[..64], &[0, 0x40, 64, b'x']),
            (&long[..16_383], &[0, 0x7F, 0xFF, b'x']),
            (&long[..16_384], &[0, 0x80, 0, 0, 0x40, 0, b'x']),
            (&long, &[0, 0x80, 0, 1, 0x11, 0x70, b'x']),
        ] {
            let payload = encode(value.as_bytes());
            assert!(payload.starts_with(head), "{:?}", payload.get(..20));
            assert_eq!(decode(&payload, LIMIT).as_deref(), Ok(value.as_bytes()));
        }
    }

    /// What Redis 7.0.15 answers to DUMP for a hundred times the letter x.
    const FROM_REDIS: &[u8] = b"\x00\xc3\x09\x40\x64\x01xx\xe0\x57\x00\x01xx\x0a\x00\x5d\xb7\xf6\x63\xbb\x08\x62\x5f";

    #[test]
    fn packed_values_of_redis_are_read() {
        assert_eq!(decode(FROM_REDIS, LIMIT).as_deref(), Ok(&[b'x'; 100][..]));
        assert_eq!(decode(FROM_REDIS, 99), Err(PayloadError::TooLarge { bytes: 100 }));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let good = encode(b"hello");
        for version in [1, 9, 10] {
            assert_eq!(decode(&sealed(b"\0\x02hi", version), LIMIT).as_deref(), Ok(&b"hi"[..]));
        }
        assert_eq!(decode(&sealed(b"\0\x02hi", 11), LIMIT), Err(PayloadError::Footer));
        assert_eq!(decode(&good[..FOOTER_BYTES - 1], LIMIT), Err(PayloadError::Footer));
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert_eq!(decode(&bad, LIMIT), Err(PayloadError::Footer), "byte {place}");
        }
        for (body, error) in [
            (&b""[..], PayloadError::Format),
            (b"\x04\x01\x01a\x01b", PayloadError::Type(4)),
            (b"\x08\x00", PayloadError::Format),
            (b"\xff\x00", PayloadError::Format),
            (b"\0", PayloadError::Format),
            (b"\0\x05hell", PayloadError::Format),
            (b"\0\x82\x01", PayloadError::Format),
            (b"\0\xc4\x01", PayloadError::Format),
            (b"\0\xc1\x01", PayloadError::Format),
            (b"\0\x81\xff\xff\xff\xff\xff\xff\xff\xffx", PayloadError::Format),
            (b"\0\xc3\x01\x81\xff\xff\xff\xff\xff\xff\xff\xffx", PayloadError::TooLarge { bytes: u64::MAX }),
            (b"\0\xc3\x02\x03\x20\x00", PayloadError::Format),
            (b"\0\xc3\x00\x00", PayloadError::Format),
        ] {
            assert_eq!(decode(&sealed(body, VERSION), LIMIT), Err(error), "{body:?}");
        }
    }

    #[test]
    fn bytes_after_the_value_are_ignored() {
        assert_eq!(decode(&sealed(b"\0\x02hi and more", VERSION), LIMIT).as_deref(), Ok(&b"hi"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(body in proptest::collection::vec(any::<u8>(), 0..60), kind in 0xC0u8..0xC5) {
            let payload = sealed(&[&[0, kind], &body[..]].concat(), VERSION);
            assert!(verified(&payload).is_some());
            if let Ok(value) = decode(&payload, 1000) {
                assert!(value.len() <= 1000);
            }
        }
    }
}
