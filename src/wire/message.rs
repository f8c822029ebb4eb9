//! Every message as one value: what is sent, and what is read of a frame.

use crate::codec::Reader;
use crate::wire::{
    Command, Frame, Items, Kind, ReadAnswer, ReadItem, Refusal, RefusedFrame, Reply, WireError, WriteAnswer, WriteItem,
};

/// A message to be sent; the same one may go to several nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Asks whether the other end is there.
    #[must_use]
    pub fn ping() -> Self {
        Message { kind: Kind::Ping, body: Vec::new() }
    }

    /// Answers that.
    #[must_use]
    pub fn pong() -> Self {
        Message { kind: Kind::Pong, body: Vec::new() }
    }

    /// A request in the encoding of `topic`.
    #[must_use]
    pub fn cold(topic: u8, bytes: &[u8]) -> Self {
        Message { kind: Kind::Cold, body: topical(topic, bytes) }
    }

    /// An answer in the encoding of `topic`.
    #[must_use]
    pub fn cold_answer(topic: u8, bytes: &[u8]) -> Self {
        Message { kind: Kind::ColdAnswer, body: topical(topic, bytes) }
    }

    /// Refuses a whole frame.
    #[must_use]
    pub fn refused(refused: &RefusedFrame<'_>) -> Self {
        let mut body = Vec::new();
        refused.refusal.put(&mut body);
        body.extend_from_slice(refused.help);
        Message { kind: Kind::Refused, body }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

fn topical(topic: u8, bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + bytes.len());
    body.push(topic);
    body.extend_from_slice(bytes);
    body
}

/// A request, readable in place.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Is the other end there?
    Ping,
    /// What of these cells is held?
    Read(Items<'a, ReadItem<'a>>),
    /// Records to merge.
    Write(Items<'a, WriteItem<'a>>),
    /// Commands to carry out.
    Forward(Items<'a, Command<'a>>),
    /// What another module says.
    Cold {
        /// Which one.
        topic: u8,
        /// In its encoding.
        bytes: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads the body of a frame.
    ///
    /// # Errors
    /// If it is no request.
    pub fn decode(frame: &'a Frame) -> Result<Self, WireError> {
        let body = &frame.body[..];
        match frame.header.kind {
            Kind::Ping => Reader::new(body).end().map(|()| Request::Ping).map_err(WireError::from),
            Kind::Read => Items::decode(body).map(Request::Read),
            Kind::Write => Items::decode(body).map(Request::Write),
            Kind::Forward => Items::decode(body).map(Request::Forward),
            Kind::Cold => read_topic(body).map(|(topic, bytes)| Request::Cold { topic, bytes }),
            answer => Err(WireError::value("kind of request", answer as u8)),
        }
    }
}

/// An answer, readable in place.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// The other end is there.
    Pong,
    /// One for each cell asked about, in the same order.
    Read(Items<'a, ReadAnswer<'a>>),
    /// One for each record, in the same order.
    Write(Items<'a, WriteAnswer<'a>>),
    /// One for each command, in the same order.
    Forward(Items<'a, Reply<'a>>),
    /// What another module says.
    Cold {
        /// Which one.
        topic: u8,
        /// In its encoding.
        bytes: &'a [u8],
    },
    /// Nothing of the request was done.
    Refused(RefusedFrame<'a>),
}

impl<'a> Answer<'a> {
    /// Reads the body of a frame. Whether there are as many answers as items is for the asker to compare.
    ///
    /// # Errors
    /// If it is no answer.
    pub fn decode(frame: &'a Frame) -> Result<Self, WireError> {
        let body = &frame.body[..];
        match frame.header.kind {
            Kind::Pong => Reader::new(body).end().map(|()| Answer::Pong).map_err(WireError::from),
            Kind::ReadAnswer => Items::decode(body).map(Answer::Read),
            Kind::WriteAnswer => Items::decode(body).map(Answer::Write),
            Kind::ForwardAnswer => Items::decode(body).map(Answer::Forward),
            Kind::ColdAnswer => read_topic(body).map(|(topic, bytes)| Answer::Cold { topic, bytes }),
            Kind::Refused => {
                let mut reader = Reader::new(body);
                Ok(Answer::Refused(RefusedFrame { refusal: Refusal::take(&mut reader)?, help: reader.rest() }))
            }
            request => Err(WireError::value("kind of answer", request as u8)),
        }
    }
}

fn read_topic(body: &[u8]) -> Result<(u8, &[u8]), WireError> {
    let mut reader = Reader::new(body);
    Ok((reader.u8()?, reader.rest()))
}
