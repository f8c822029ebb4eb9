//! Frames: the header of every message, writing a frame, and cutting a stream of bytes into frames.

use bytes::{Buf, Bytes, BytesMut};

use crate::causality::Time;
use crate::codec::{Reader, crc64, put_u32, put_u64};
use crate::types::Epoch;
use crate::wire::format::{CHECKSUM_BYTES, FRAME_LIMIT, FRAME_OVERHEAD, HEADER_BYTES, Kind, LENGTH_BYTES};
use crate::wire::{BODY_LIMIT, WireError};

/// What stands before every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame holds.
    pub kind: Kind,
    /// The asker's number for the request; its answer carries the same.
    pub request: u64,
    /// The topology that the sender goes by.
    pub epoch: Epoch,
    /// The sender's hybrid logical clock.
    pub time: Time,
    /// Milliseconds until the asker gives up; zero in answers.
    pub time_left_ms: u32,
}

/// A frame that was received whole and is what was sent; its body is still to be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Its message.
    pub body: Bytes,
}

/// Appends a frame to `out`.
///
/// # Panics
/// If the body is longer than [`BODY_LIMIT`]; whoever makes messages keeps to it.
pub fn put_frame(out: &mut Vec<u8>, header: &Header, body: &[u8]) {
    assert!(body.len() <= BODY_LIMIT, "a body of {} bytes fits no frame", body.len());
    let start = out.len();
    out.reserve(FRAME_OVERHEAD + body.len());
    put_u32(out, (HEADER_BYTES + body.len() + CHECKSUM_BYTES) as u32);
    out.push(header.kind as u8);
    put_u64(out, header.request);
    put_u64(out, header.epoch.0);
    put_u64(out, header.time.0);
    put_u32(out, header.time_left_ms);
    out.extend_from_slice(body);
    let checksum = crc64(out.get(start..).unwrap_or(&[]));
    put_u64(out, checksum);
}

/// Bytes of a stream, as far as they have come, and the frames in them.
///
/// A frame that has not come whole costs one look at its length, however often it is asked for.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    input: BytesMut,
}

impl Frames {
    /// No bytes yet; frames of more than `limit` bytes are refused.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Frames { limit: limit.min(FRAME_LIMIT), input: BytesMut::new() }
    }

    /// Where received bytes are appended.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// The next frame, or nothing until more bytes have come.
    ///
    /// # Errors
    /// If the bytes are no frame: the stream is of no use any more.
    pub fn take(&mut self) -> Result<Option<Frame>, WireError> {
        let Some(length) = self.input.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let total = LENGTH_BYTES + u32::from_le_bytes(*length) as usize;
        if !(FRAME_OVERHEAD..=self.limit).contains(&total) {
            return Err(WireError::Length { announced: total, least: FRAME_OVERHEAD, most: self.limit });
        }
        if self.input.len() < total {
            return Ok(None);
        }
        let mut bytes = self.input.split_to(total).freeze();
        let header = read_header(&bytes)?;
        bytes.advance(LENGTH_BYTES + HEADER_BYTES);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        Ok(Some(Frame { header, body: bytes }))
    }
}

/// The header of a whole frame, after its checksum.
fn read_header(frame: &[u8]) -> Result<Header, WireError> {
    let mut reader = Reader::new(frame);
    let covered = reader.bytes(frame.len().saturating_sub(CHECKSUM_BYTES))?;
    if reader.u64()? != crc64(covered) {
        return Err(WireError::Checksum { bytes: frame.len() });
    }
    let mut reader = Reader::new(covered);
    reader.u32()?;
    let kind = reader.u8()?;
    let kind = Kind::of(kind).ok_or_else(|| WireError::value("kind", kind))?;
    let (request, epoch) = (reader.u64()?, Epoch(reader.u64()?));
    let time = read_time(&mut reader)?;
    let time_left_ms = reader.u32()?;
    if kind.is_answer() && time_left_ms != 0 {
        return Err(WireError::value("time left of an answer", time_left_ms));
    }
    Ok(Header { kind, request, epoch, time, time_left_ms })
}

/// A time that a clock can give.
#[inline]
pub(super) fn read_time(reader: &mut Reader<'_>) -> Result<Time, WireError> {
    let time = Time(reader.u64()?);
    if time < Time::LIMIT { Ok(time) } else { Err(WireError::value("time", time.0)) }
}
