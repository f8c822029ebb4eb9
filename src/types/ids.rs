//! Newtypes for the numbers and names that nodes, databases, epochs and log positions go by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A database number, 0 to 15, as chosen by `SELECT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Database(pub u8);

/// A node's name for ever: 20 random bytes made with its data directory, shown as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 20]);

/// A cluster's name for ever: 20 random bytes made at its founding, shown as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub [u8; 20]);

/// The short number that the topology gives a node id, never given again; the founder is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeNumber(pub u16);

/// Which life of a node wrote: raised durably before the first dot of every start (48 bits used).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// The number of a topology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A position in the commit log: the number of log bytes that precede it since the data directory was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterId({self})")
    }
}

/// A text that is no node id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 40 hexadecimal digits")]
pub struct ParseNodeIdError;

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let mut id = [0; 20];
        if digits.len() != 40 {
            return Err(ParseNodeIdError);
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(ParseNodeIdError) };
            *byte = (hex_value(*high)? << 4) | hex_value(*low)?;
        }
        Ok(NodeId(id))
    }
}

fn hex_value(digit: u8) -> Result<u8, ParseNodeIdError> {
    (digit as char).to_digit(16).map(|value| value as u8).ok_or(ParseNodeIdError)
}

#[cfg(test)]
mod tests {
    use super::NodeId;

    #[test]
    fn a_node_id_reads_back_from_its_text() {
        let id = NodeId(std::array::from_fn(|index| (index * 13) as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("xyz".parse::<NodeId>().is_err());
        assert!("g".repeat(40).parse::<NodeId>().is_err());
    }
}
