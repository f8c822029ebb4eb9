//! Byte encodings: checked cursors, variable-length integers, CRC-64.
//!
//! Layer 0. Formats are built from these pieces by the modules that own them; nothing here knows a format.
//!
//! Invariant: reading never panics and never allocates, whatever the bytes are; a length that the bytes announce is compared
//! with what is left before anything is done with it. All fixed-width integers are little endian.

mod checksum;
mod reader;
mod varint;

pub use checksum::{Crc64, crc64, crc64_redis};
pub use reader::{DecodeError, Reader};
pub use varint::{MAX_VARINT_LEN, put_bytes, put_u16, put_u32, put_u64, put_varint, varint_len};
