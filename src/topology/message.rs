//! What nodes say to each other about the topology: cold messages of one topic, encoded by postcard.
//!
//! Invariant: bytes that come from outside give a message or an error; whoever sends what is no message has the request
//! refused. Lengths are bounded by the frame, topologies and values by their own limits.

use serde::{Deserialize, Serialize};

use crate::paxos::{self, Decided};
use crate::ring::Candidate;
use crate::types::{ClusterId, Epoch};
use crate::wire::{Answer as WireAnswer, Frame, Message};

/// The topic of all of them.
pub const TOPIC: u8 = 1;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// A vote for the next topology.
    Vote(paxos::Request),
    /// What was decided. It answers with its epoch, or with what is newer still.
    Decided(Decided),
    /// The asker goes by this epoch: is there a newer one?
    Newer(Epoch),
    /// The asker has no cluster and wants to be in this one.
    Join(Application),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A vote, or why there is none.
    Vote(paxos::Answer),
    /// The node goes by this epoch, and by none that is newer than the asker's.
    At(Epoch),
    /// The node goes by this newer topology.
    Newer(Decided),
    /// To one that wants to join.
    Join(Reception),
}

/// What a node says of itself that wants to be in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Who and where it is.
    pub candidate: Candidate,
    /// Its wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
}

/// What a node hears that wants to be in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reception {
    /// The founding waits for more nodes.
    Waiting {
        /// Nodes that have come, the founder included.
        present: u16,
        /// Nodes that it waits for.
        wanted: u16,
    },
    /// It is a member.
    Welcome(Welcome),
    /// It cannot be one; what to do, for people.
    Refused(String),
}

/// All that makes a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its secret.
    pub secret: [u8; 32],
    /// The topology in which the node is a member.
    pub topology: Decided,
}

impl Request {
    /// The message that asks this.
    #[must_use]
    pub fn message(&self) -> Message {
        Message::cold(TOPIC, &encode(self))
    }

    /// What the bytes of a cold message of [`TOPIC`] ask; nothing if they are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl Answer {
    /// The message that answers this.
    #[must_use]
    pub fn message(&self) -> Message {
        Message::cold_answer(TOPIC, &encode(self))
    }

    /// What a frame answers; nothing if it is a refusal or no answer of this topic.
    #[must_use]
    pub fn decode(frame: &Frame) -> Option<Self> {
        match WireAnswer::decode(frame) {
            Ok(WireAnswer::Cold { topic: TOPIC, bytes }) => decode(bytes),
            _ => None,
        }
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a vector takes whatever is written to it")
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    // What follows a message was put there by nobody who speaks this version.
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Reception, Request};
    use crate::types::Epoch;
    use crate::wire::{Frame, Header, Kind, Message};
    use proptest::prelude::{ProptestConfig, any, proptest};

    fn frame(message: &Message) -> Frame {
        let header = Header {
            kind: message.kind(),
            request: 1,
            epoch: Epoch(1),
            time: crate::causality::Time(1),
            time_left_ms: 0,
        };
        Frame { header, body: message.body().to_vec().into() }
    }

    #[test]
    fn answers_read_back_and_others_are_none() {
        let answer = Answer::Join(Reception::Waiting { present: 2, wanted: 3 });
        assert_eq!(Answer::decode(&frame(&answer.message())), Some(answer));
        assert_eq!(Answer::decode(&frame(&Message::pong())), None);
        assert_eq!(Answer::decode(&frame(&Message::cold_answer(super::TOPIC + 1, &[1, 1]))), None);
        assert_eq!(Answer::decode(&frame(&Message::cold_answer(super::TOPIC, &[1, 1, 0]))), None, "something follows");
        assert_eq!(Request::Newer(Epoch(1)).message().kind(), Kind::Cold);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_panic(tag in 0u8..5, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[tag][..], &rest].concat();
            let _ = Request::decode(&bytes);
            let _ = Answer::decode(&frame(&Message::cold_answer(super::TOPIC, &bytes)));
        }
    }
}
