//! Commands for a node that coordinates them, and the bytes of their replies.
//!
//! ```text
//! item    +-------------+-------------+-----------------------+------------------------+---------------+----------------------+
//!         | database u8 | protocol u8 | read level, prefixed  | write level, prefixed  | count, varint | count x prefixed     |
//!         +-------------+-------------+-----------------------+------------------------+---------------+----------------------+
//!                         2 or 3        as a client writes it   as a client writes it    the arguments, the name first
//! answer  0, reply bytes prefixed | 1, refusal
//! ```

use crate::codec::{Reader, put_bytes, put_varint};
use crate::types::{Args, Database, Span};
use crate::wire::batch::read_database;
use crate::wire::{Kind, Put, Refusal, Take, WireError};

/// Longest name of a level in bytes.
const LEVEL_LIMIT: usize = 32;
/// Most arguments of a command, as Redis has it.
const ARGUMENTS_LIMIT: usize = 1 << 20;

const REPLIED: u8 = 0;
const REFUSED: u8 = 1;

/// How replies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// RESP2.
    Resp2 = 2,
    /// RESP3.
    Resp3 = 3,
}

/// A command as the node that forwards it has it.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// The connection's database.
    pub database: Database,
    /// The connection's protocol.
    pub protocol: Protocol,
    /// The level of its reads, as a client writes it; at most 32 bytes.
    pub read_level: &'a str,
    /// The level of its writes, as a client writes it; at most 32 bytes.
    pub write_level: &'a str,
    /// The arguments, the name first.
    pub arguments: Args<'a>,
}

impl Put for Forwarded<'_> {
    const KIND: Kind = Kind::Forward;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.database.0);
        out.push(self.protocol as u8);
        put_bytes(out, self.read_level.as_bytes());
        put_bytes(out, self.write_level.as_bytes());
        put_varint(out, self.arguments.count() as u64);
        self.arguments.iter().for_each(|argument| put_bytes(out, argument));
    }
}

/// A command as the node that carries it out reads it.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The database it is for.
    pub database: Database,
    /// How its reply is to be written.
    pub protocol: Protocol,
    /// The level of its reads.
    pub read_level: &'a str,
    /// The level of its writes.
    pub write_level: &'a str,
    /// The arguments.
    pub arguments: Arguments<'a>,
}

impl<'a> Take<'a> for Command<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let database = read_database(reader)?;
        let protocol = match reader.u8()? {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            other => return Err(WireError::value("protocol", other)),
        };
        let (read_level, write_level) = (read_level(reader)?, read_level(reader)?);
        Ok(Command { database, protocol, read_level, write_level, arguments: Arguments::take(reader)? })
    }
}

fn read_level<'a>(reader: &mut Reader<'a>) -> Result<&'a str, WireError> {
    let level = reader.prefixed()?;
    let level = if level.len() <= LEVEL_LIMIT { str::from_utf8(level).ok() } else { None };
    level.ok_or(WireError::Text)
}

/// The arguments of a command, the name first.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    reader: Reader<'a>,
    count: usize,
}

impl<'a> Arguments<'a> {
    /// How many there are, the name included; never none.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The arguments.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = self.reader;
        // Cannot fail: all were checked when this was made.
        (0..self.count).map_while(move |_| reader.prefixed().ok())
    }

    /// Where they stand in the body of the message: what [`Args`] is made of.
    pub fn spans(&self) -> impl Iterator<Item = Span> + use<'a> {
        let mut reader = self.reader;
        (0..self.count).map_while(move |_| {
            let len = reader.prefixed().ok()?.len();
            Some(Span { start: (reader.offset() - len) as u32, len: len as u32 })
        })
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let announced = reader.varint()?;
        let count = usize::try_from(announced).ok().filter(|count| *count <= ARGUMENTS_LIMIT);
        let too_many = WireError::TooMany { what: "arguments", announced, most: ARGUMENTS_LIMIT };
        let count = count.ok_or(too_many)?;
        if count == 0 {
            return Err(WireError::value("number of arguments", 0u8));
        }
        let arguments = Arguments { reader: *reader, count };
        for _ in 0..count {
            reader.prefixed()?;
        }
        Ok(arguments)
    }
}

/// What a forwarded command gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The bytes for the client, as they are.
    Bytes(&'a [u8]),
    /// It was not carried out.
    Refused(Refusal<'a>),
}

impl Put for Reply<'_> {
    const KIND: Kind = Kind::ForwardAnswer;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Reply::Bytes(bytes) => {
                out.push(REPLIED);
                put_bytes(out, bytes);
            }
            Reply::Refused(refusal) => {
                out.push(REFUSED);
                refusal.put(out);
            }
        }
    }
}

impl<'a> Take<'a> for Reply<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        match reader.u8()? {
            REPLIED => Ok(Reply::Bytes(reader.prefixed()?)),
            REFUSED => Refusal::take(reader).map(Reply::Refused),
            other => Err(WireError::value("answer to a command", other)),
        }
    }
}
