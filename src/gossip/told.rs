//! What nodes tell of themselves beside their heartbeats: one value of [`crate::membership::Key`] each, encoded by postcard.
//!
//! Invariant: a value is read by older and newer nodes alike: fields are only ever added at the end, and what follows the
//! last field that is known is ignored. What cannot be read is as if it had not been told.
//! Invariant: figures are told to within 2 %, so that a node at rest has nothing new to say.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Leading bits of a figure that are told.
const PRECISION_BITS: u32 = 7;

/// How busy a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Commands that it carried out in a second.
    pub commands_per_second: u64,
    /// Connections of clients.
    pub connections: u64,
}

/// How full a node's disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes of its data.
    pub used_bytes: u64,
    /// Bytes that can still be written.
    pub free_bytes: u64,
}

/// What a node keeps for members that missed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a node has measured of itself; what there is nothing to tell of is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// How busy it is.
    pub load: Option<Load>,
    /// How full its disk is.
    pub disk: Option<Disk>,
    /// What it keeps for others.
    pub hints: Option<Hints>,
}

impl Measured {
    /// The same in the precision in which it is told.
    pub(super) fn rounded(self) -> Self {
        let load = |load: Load| Load {
            commands_per_second: round(load.commands_per_second),
            connections: round(load.connections),
        };
        let disk = |disk: Disk| Disk { used_bytes: round(disk.used_bytes), free_bytes: round(disk.free_bytes) };
        let hints = |hints: Hints| Hints { records: round(hints.records), bytes: round(hints.bytes) };
        Measured { load: self.load.map(load), disk: self.disk.map(disk), hints: self.hints.map(hints) }
    }
}

/// The bytes of a value; none for one that is not told, which takes back what was.
pub(super) fn encode<T: Serialize>(value: Option<&T>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| postcard::to_allocvec(value).expect("plain values are encoded into memory"))
}

/// The value that `bytes` begin with.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.is_empty() {
        return None;
    }
    postcard::take_from_bytes(bytes).ok().map(|(value, _)| value)
}

/// `figure` with all but its leading bits cleared.
fn round(figure: u64) -> u64 {
    let cleared = (u64::BITS - figure.leading_zeros()).saturating_sub(PRECISION_BITS);
    figure >> cleared << cleared
}

#[cfg(test)]
mod tests {
    use super::{Disk, Load, Measured, decode, encode, round};
    use proptest::prelude::{ProptestConfig, any, proptest};

    #[test]
    fn figures_are_told_to_within_two_percent() {
        for (figure, told) in [(0, 0), (1, 1), (127, 127), (128, 128), (255, 254), (1001, 1000), (u64::MAX, 127 << 57)]
        {
            assert_eq!(round(figure), told, "{figure}");
        }
        for figure in (0..u64::MAX).step_by(usize::MAX / 1000) {
            let told = round(figure);
            assert!(told <= figure && figure - told <= figure / 64, "{figure}: {told}");
        }
        let disk = |used_bytes| Measured { disk: Some(Disk { used_bytes, free_bytes: 0 }), ..Measured::default() };
        assert_eq!(disk(1_000_000_000).rounded(), disk(1_000_001_000).rounded(), "nothing new to say");
    }

    #[test]
    fn a_newer_node_may_say_more() {
        let load = Load { commands_per_second: 70_000, connections: 3 };
        let mut bytes = encode(Some(&load));
        assert_eq!(decode(&bytes), Some(load));
        bytes.extend_from_slice(b"more");
        assert_eq!(decode(&bytes), Some(load));
        assert_eq!((encode::<Load>(None).len(), decode::<Load>(&[])), (0, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode::<Load>(&bytes);
        }
    }
}
