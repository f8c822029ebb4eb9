//! The bytes of the ledger file.
//!
//! ```text
//! +---------------------+-------------+------------+------------+------+
//! | magic "annulus\x1a" | version u32 | length u32 | CRC-64 u64 | body |
//! +---------------------+-------------+------------+------------+------+
//! 0                     8             12           16           24
//!
//! body      node id 20 | node number u16 | cluster id 20 | secret 32 | arcs u16 | incarnation u64 | hlc floor u64
//!           count, varint | count x (database u8, time u64, carried out u8)                databases ascending
//!           count, varint | count x (arc u16, closed u64, fence u64, floor u64)            arcs ascending
//!           0 u8, or 1 u8 | epoch u64 | length, varint | topology
//!           0 u8, or 1 u8 | length, varint | acceptor, see `paxos`                         since version 2
//! ```
//!
//! Little endian. The length is that of the body; the CRC covers everything but itself. A reader checks magic and version
//! first, so that a file of a later version is told from a broken one. Files of version 1 are read: nothing was promised.

use crate::causality::{MAX_INCARNATION, Time};
use crate::codec::{Crc64, DecodeError, Reader, put_bytes, put_u16, put_u32, put_u64, put_varint};
use crate::ledger::{ArcFacts, ClusterId, Facts, Flush, Membership, Secret, TopologyValue};
use crate::paxos::Acceptor;
use crate::types::{ArcId, ArcLayout, DATABASES, Database, Epoch, Incarnation, NodeId, NodeNumber};

/// First bytes of every ledger; the last of them stops a terminal that shows the file.
const MAGIC: [u8; 8] = *b"annulus\x1a";

/// The format that this code writes, and the latest that it reads.
pub(super) const VERSION: u32 = 2;

/// The first format with votes about the topology to come.
const WITH_ACCEPTOR: u32 = 2;

/// Bytes before the body.
const HEAD_BYTES: usize = 24;

/// Largest file that is read or written: far above a topology of a thousand nodes.
pub(super) const MAX_BYTES: usize = 64 << 20;

const _: () = assert!(MAX_BYTES <= u32::MAX as usize, "the length has 32 bits");

/// Why bytes are no ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They were written by a later version.
    Future { version: u32 },
    /// They are damaged.
    Corrupt { offset: usize, what: String },
}

/// The file that says `facts`.
pub(super) fn encode(facts: &Facts) -> Vec<u8> {
    let mut body = Vec::new();
    put_identity(&mut body, facts);
    put_varint(&mut body, facts.flushes.len() as u64);
    for (database, flush) in &facts.flushes {
        body.push(database.0);
        put_u64(&mut body, flush.time.0);
        body.push(u8::from(flush.is_carried_out));
    }
    put_varint(&mut body, facts.arcs.len() as u64);
    for (arc, ArcFacts { closed, fence, floor }) in &facts.arcs {
        put_u16(&mut body, arc.0);
        [closed, fence, floor].into_iter().for_each(|time| put_u64(&mut body, time.0));
    }
    body.push(u8::from(facts.topology.is_some()));
    if let Some(topology) = &facts.topology {
        put_u64(&mut body, topology.epoch.0);
        put_bytes(&mut body, &topology.bytes);
    }
    body.push(u8::from(facts.acceptor.is_some()));
    if let Some(acceptor) = &facts.acceptor {
        let mut bytes = Vec::new();
        acceptor.encode(&mut bytes);
        put_bytes(&mut body, &bytes);
    }
    with_head(&body)
}

/// The facts that the file `bytes` says.
pub(super) fn decode(bytes: &[u8]) -> Result<Facts, Flaw> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array().map_err(short)?;
    if magic != MAGIC {
        return Err(corrupt(0, "is no ledger of a node"));
    }
    let version = reader.u32().map_err(short)?;
    if version > VERSION {
        return Err(Flaw::Future { version });
    }
    let length = reader.u32().map_err(short)?;
    let crc = reader.u64().map_err(short)?;
    if length as usize != reader.remaining() {
        return Err(corrupt(12, format!("says {length} bytes, has {}", reader.remaining())));
    }
    let body = reader.rest();
    if crc != checksum(version, body) {
        return Err(corrupt(16, "has a wrong checksum"));
    }
    let mut reader = Reader::new(body);
    read_body(&mut reader, version).map_err(|flaw| match flaw {
        Flaw::Corrupt { offset, what } => Flaw::Corrupt { offset: HEAD_BYTES + offset, what },
        future @ Flaw::Future { .. } => future,
    })
}

fn put_identity(body: &mut Vec<u8>, facts: &Facts) {
    body.extend_from_slice(&facts.node_id.0);
    put_u16(body, facts.node_number.0);
    body.extend_from_slice(&facts.cluster_id.0);
    body.extend_from_slice(&facts.secret.0);
    put_u16(body, facts.layout.arcs());
    put_u64(body, facts.incarnation.0);
    put_u64(body, facts.hlc_floor.0);
}

pub(super) fn with_head(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEAD_BYTES + body.len());
    file.extend_from_slice(&MAGIC);
    put_u32(&mut file, VERSION);
    put_u32(&mut file, body.len() as u32);
    put_u64(&mut file, checksum(VERSION, body));
    file.extend_from_slice(body);
    file
}

fn checksum(version: u32, body: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(&MAGIC);
    crc.update(&version.to_le_bytes());
    crc.update(&(body.len() as u32).to_le_bytes());
    crc.update(body);
    crc.value()
}

fn read_body(reader: &mut Reader<'_>, version: u32) -> Result<Facts, Flaw> {
    let mut facts = read_identity(reader)?;
    let count = reader.varint().map_err(short)?;
    for _ in 0..count {
        let database = Database(reader.u8().map_err(short)?);
        let (time, is_carried_out) = (read_time(reader)?, read_mark(reader)?);
        let is_next = facts.flushes.last_key_value().is_none_or(|(&last, _)| last < database);
        check(reader, is_next && database.0 < DATABASES, "databases out of order or range")?;
        facts.flushes.insert(database, Flush { time, is_carried_out });
    }
    let count = reader.varint().map_err(short)?;
    for _ in 0..count {
        let arc = ArcId(reader.u16().map_err(short)?);
        let (closed, fence, floor) = (read_time(reader)?, read_time(reader)?, read_time(reader)?);
        let is_next = facts.arcs.last_key_value().is_none_or(|(&last, _)| last < arc);
        check(reader, is_next && arc.0 < facts.layout.arcs(), "arcs out of order or range")?;
        check(reader, floor <= fence, "a purge floor above its fence")?;
        facts.arcs.insert(arc, ArcFacts { closed, fence, floor });
    }
    if read_mark(reader)? {
        let epoch = Epoch(reader.u64().map_err(short)?);
        facts.topology = Some(TopologyValue { epoch, bytes: reader.prefixed().map_err(short)?.to_vec() });
    }
    if version >= WITH_ACCEPTOR && read_mark(reader)? {
        let acceptor = Acceptor::decode(reader.prefixed().map_err(short)?);
        facts.acceptor = Some(acceptor.map_err(|error| corrupt(reader.offset(), error.to_string()))?);
    }
    reader.end().map_err(short)?;
    Ok(facts)
}

fn read_identity(reader: &mut Reader<'_>) -> Result<Facts, Flaw> {
    let node_id = NodeId(reader.array().map_err(short)?);
    let node_number = NodeNumber(reader.u16().map_err(short)?);
    let cluster_id = ClusterId(reader.array().map_err(short)?);
    let secret = Secret(reader.array().map_err(short)?);
    let layout = ArcLayout::new(reader.u16().map_err(short)?).map_err(|what| corrupt(reader.offset(), what))?;
    let incarnation = Incarnation(reader.u64().map_err(short)?);
    check(reader, incarnation <= MAX_INCARNATION, "an incarnation above 48 bits")?;
    let hlc_floor = read_time(reader)?;
    let membership = Membership { node_id, node_number, cluster_id, secret, layout, topology: None };
    Ok(Facts { incarnation, hlc_floor, ..Facts::new(membership) })
}

fn read_time(reader: &mut Reader<'_>) -> Result<Time, Flaw> {
    let time = Time(reader.u64().map_err(short)?);
    check(reader, time < Time::LIMIT, "a time that no clock gives")?;
    Ok(time)
}

fn read_mark(reader: &mut Reader<'_>) -> Result<bool, Flaw> {
    let mark = reader.u8().map_err(short)?;
    check(reader, mark <= 1, "a mark that is neither 0 nor 1")?;
    Ok(mark == 1)
}

fn check(reader: &Reader<'_>, holds: bool, what: &str) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(corrupt(reader.offset(), format!("has {what}"))) }
}

fn short(error: DecodeError) -> Flaw {
    let (DecodeError::Short { offset, .. } | DecodeError::Varint { offset } | DecodeError::Trailing { offset, .. }) =
        error;
    corrupt(offset, error.to_string())
}

fn corrupt(offset: usize, what: impl Into<String>) -> Flaw {
    Flaw::Corrupt { offset, what: what.into() }
}
