//! What proposers and acceptors say to each other, in a form that postcard encodes.
//!
//! Invariant: a [`Value`] is never longer than [`MAX_VALUE_BYTES`], also one that was read from untrusted bytes; reading
//! allocates nothing for a length that was only announced.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::types::{Epoch, NodeId};

/// Longest value: a topology of 1,000 nodes and 16,384 arcs that all move is a fifth of it.
pub const MAX_VALUE_BYTES: usize = 8 << 20;

/// Most keepers of an instance.
pub const MAX_KEEPERS: usize = 7;

const _: () = assert!(MAX_KEEPERS % 2 == 1, "an even keeper adds to the majority and not to what may fail");

/// The name of one attempt. Ballots are ordered by round, then by proposer: no two proposers share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Raised with each attempt.
    pub round: u64,
    /// Whose attempt.
    pub proposer: NodeId,
}

/// A value to agree on: opaque bytes, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(Arc<[u8]>);

/// Bytes too long to be agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value of {bytes} bytes cannot be agreed on: the limit is {MAX_VALUE_BYTES}")]
pub struct ValueTooLong {
    /// How many there are.
    pub bytes: usize,
}

/// From a proposer to an acceptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Phase 1.
    Prepare(Prepare),
    /// Phase 2.
    Accept(Accept),
}

/// From an acceptor to a proposer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Prepare`].
    Promise(Promise),
    /// To [`Accept`].
    Accepted(Accepted),
    /// To either, if a higher ballot came before.
    Refused(Refused),
    /// To either, from a node that knows what was decided.
    Decided(Decided),
}

/// Asks for a promise to take no part in lower ballots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The epoch to be decided.
    pub instance: Epoch,
    /// The attempt.
    pub ballot: Ballot,
}

/// The promise, with what was accepted before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The epoch to be decided.
    pub instance: Epoch,
    /// The attempt that it is given to.
    pub ballot: Ballot,
    /// What the acceptor accepted last, and in which attempt.
    pub accepted: Option<(Ballot, Value)>,
}

/// Asks to accept a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The epoch to be decided.
    pub instance: Epoch,
    /// The attempt, for which a majority has promised.
    pub ballot: Ballot,
    /// The highest accepted value that those promises named; only if there was none, the proposer's own.
    pub value: Value,
}

/// The value was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The epoch to be decided.
    pub instance: Epoch,
    /// The attempt.
    pub ballot: Ballot,
}

/// The attempt came too late, or twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The epoch to be decided.
    pub instance: Epoch,
    /// The attempt that is refused.
    pub ballot: Ballot,
    /// The ballot that the acceptor has promised.
    pub promised: Ballot,
}

/// What was decided. Also the word that a proposer spreads, and the answer to requests of an instance that is over: then
/// perhaps of a later instance than was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The epoch that was decided.
    pub instance: Epoch,
    /// Its value.
    pub value: Value,
}

impl Request {
    /// The epoch that it is about.
    #[must_use]
    pub fn instance(&self) -> Epoch {
        match self {
            Request::Prepare(prepare) => prepare.instance,
            Request::Accept(accept) => accept.instance,
        }
    }

    /// The attempt that it belongs to.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        match self {
            Request::Prepare(prepare) => prepare.ballot,
            Request::Accept(accept) => accept.ballot,
        }
    }
}

impl Value {
    /// A value of these bytes.
    ///
    /// # Errors
    /// [`ValueTooLong`] above [`MAX_VALUE_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, ValueTooLong> {
        if bytes.len() > MAX_VALUE_BYTES {
            return Err(ValueTooLong { bytes: bytes.len() });
        }
        Ok(Value(bytes.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(ValueVisitor)
    }
}

/// Takes bytes that lie in the input, so that nothing is copied before the length is checked.
struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_VALUE_BYTES} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Value::new(bytes).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Accept, Answer, Ballot, Decided, MAX_VALUE_BYTES, Promise, Request, Value, ValueTooLong};
    use crate::types::{Epoch, NodeId};
    use proptest::prelude::{ProptestConfig, any, proptest};

    fn ballot(round: u64, proposer: u8) -> Ballot {
        Ballot { round, proposer: NodeId([proposer; 20]) }
    }

    #[test]
    fn ballots_are_ordered_by_round_before_proposer() {
        assert!(ballot(1, 9) < ballot(2, 1) && ballot(2, 1) < ballot(2, 2));
    }

    #[test]
    fn messages_read_back() {
        let value = Value::new(b"ring").unwrap();
        let request = Request::Accept(Accept { instance: Epoch(300), ballot: ballot(7, 3), value: value.clone() });
        let bytes = postcard::to_allocvec(&request).unwrap();
        assert_eq!(bytes.len(), 1 + 2 + 1 + 20 + 1 + 4);
        assert_eq!(postcard::from_bytes::<Request>(&bytes), Ok(request));
        let accepted = Some((ballot(6, 2), value.clone()));
        for answer in [
            Answer::Promise(Promise { instance: Epoch(1), ballot: ballot(7, 3), accepted }),
            Answer::Decided(Decided { instance: Epoch(2), value }),
        ] {
            let bytes = postcard::to_allocvec(&answer).unwrap();
            assert_eq!(postcard::from_bytes::<Answer>(&bytes), Ok(answer));
        }
    }

    #[test]
    fn a_value_has_a_limit_here_and_on_the_wire() {
        let long = vec![0; MAX_VALUE_BYTES + 1];
        assert_eq!(Value::new(&long), Err(ValueTooLong { bytes: MAX_VALUE_BYTES + 1 }));
        assert!(Value::new(&long[1..]).is_ok());
        let bytes = postcard::to_allocvec(long.as_slice()).unwrap();
        assert!(postcard::from_bytes::<Value>(&bytes).is_err());
        assert!(postcard::from_bytes::<Value>(&postcard::to_allocvec(&long[1..]).unwrap()).is_ok());
        assert!(postcard::from_bytes::<Value>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]).is_err(), "4 GB only announced");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_give_a_message_or_an_error(tag in 0u8..6, tail in proptest::collection::vec(any::<u8>(), 0..80)) {
            let bytes = [&[tag], &tail[..]].concat();
            let _ = (postcard::from_bytes::<Request>(&bytes), postcard::from_bytes::<Answer>(&bytes));
        }
    }
}
