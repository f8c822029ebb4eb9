//! Slots and arcs: which of the 16,384 slots a key has, and which run of slots (arc) it lies in.
//!
//! Source: the Redis Cluster specification: CRC16/XMODEM of the key, or of its hash tag, modulo 16,384.

use serde::{Deserialize, Serialize};

/// Number of slots of a ring, as in Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// A slot, 0 to 16,383.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// An arc's index: the run of consecutive slots that is owned, moved and repaired as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArcId(pub u16);

/// How many arcs a ring has; fixed when the cluster is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArcLayout {
    slots_per_arc: u16,
}

impl ArcLayout {
    /// A layout of `arcs` arcs.
    ///
    /// # Errors
    /// If `arcs` is not a power of two from 256 to 16,384.
    pub fn new(arcs: u16) -> Result<Self, String> {
        if arcs.is_power_of_two() && (256..=SLOTS).contains(&arcs) {
            Ok(ArcLayout { slots_per_arc: SLOTS / arcs })
        } else {
            Err(format!("{arcs} arcs: expected a power of two from 256 to {SLOTS}"))
        }
    }

    /// Number of arcs.
    #[must_use]
    pub fn arcs(self) -> u16 {
        SLOTS / self.slots_per_arc
    }

    /// Number of slots of each arc.
    #[must_use]
    pub fn slots_per_arc(self) -> u16 {
        self.slots_per_arc
    }

    /// The arc that `slot` lies in.
    #[inline]
    #[must_use]
    pub fn arc_of(self, slot: Slot) -> ArcId {
        ArcId(slot.0 / self.slots_per_arc)
    }

    /// First slot of `arc`.
    #[must_use]
    pub fn first_slot(self, arc: ArcId) -> Slot {
        Slot(arc.0 * self.slots_per_arc)
    }
}

impl Default for ArcLayout {
    /// 1,024 arcs of 16 slots.
    fn default() -> Self {
        ArcLayout { slots_per_arc: 16 }
    }
}

/// The slot of `key`: of what stands between its first `{` and the next `}` if that is not empty, else of the whole key.
#[inline]
#[must_use]
pub fn slot_of(key: &[u8]) -> Slot {
    Slot(crc16(hash_tag(key)) % SLOTS)
}

fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inner = &key[open + 1..];
    match inner.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => &inner[..close],
        _ => key,
    }
}

/// Table of CRC16/XMODEM: polynomial 0x1021, initial value 0, no reflection.
const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| (crc << 8) ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::{ArcId, ArcLayout, Slot, crc16, slot_of};

    #[test]
    fn slots_match_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (key, slot) in [("foo", 12182), ("{foo}.bar", 12182), ("a{foo}b{zap}", 12182), ("", 0)] {
            assert_eq!(slot_of(key.as_bytes()), Slot(slot), "{key}");
        }
        assert_eq!(slot_of(b"{}foo"), Slot(crc16(b"{}foo") % 16_384));
        assert_eq!(slot_of(b"foo{{bar}}zap"), Slot(crc16(b"{bar") % 16_384));
    }

    #[test]
    fn arcs_divide_the_slots_evenly() {
        let layout = ArcLayout::new(256).expect("a power of two");
        assert_eq!(
            (layout.arcs(), layout.arc_of(Slot(16_383)), layout.first_slot(ArcId(255))),
            (256, ArcId(255), Slot(16_320))
        );
        assert!(ArcLayout::new(1000).is_err());
        assert_eq!(ArcLayout::default().arcs(), 1024);
    }
}
