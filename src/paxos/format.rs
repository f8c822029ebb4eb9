//! An acceptor's bytes, which the ledger keeps among its facts under its own checksum.
//!
//! ```text
//! +--------------+---------+--------------------+ +--------------------+--------------------------+
//! | instance u64 | tag u8  | promised, a ballot | | accepted, a ballot | length, varint | value   |
//! +--------------+---------+--------------------+ +--------------------+--------------------------+
//!                            if tag >= 1            if tag = 2
//! ballot   round u64 | proposer 20 bytes
//! ```
//!
//! Little endian; one encoding for each state, nothing may follow.

use crate::codec::{DecodeError, Reader, put_bytes, put_u64};
use crate::paxos::{Acceptor, Ballot, Value, ValueTooLong};
use crate::types::{Epoch, NodeId};

const PROMISED_NOTHING: u8 = 0;
const PROMISED: u8 = 1;
const ACCEPTED: u8 = 2;

/// Bytes that are no acceptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// They end too early or go on too long.
    #[error("acceptor {0}")]
    Bytes(#[from] DecodeError),
    /// A tag that this version does not know.
    #[error("acceptor has the unknown tag {0}")]
    Tag(u8),
    /// A value above the limit.
    #[error("acceptor has {0}")]
    Value(#[from] ValueTooLong),
    /// It accepted in a ballot above the one that it promised, which no acceptor does.
    #[error("acceptor has accepted above its promise")]
    Order,
}

impl Acceptor {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.instance.0);
        let Some(promised) = self.promised else { return out.push(PROMISED_NOTHING) };
        out.push(if self.accepted.is_some() { ACCEPTED } else { PROMISED });
        put_ballot(out, promised);
        if let Some((ballot, value)) = &self.accepted {
            put_ballot(out, *ballot);
            put_bytes(out, value.bytes());
        }
    }

    /// The acceptor that `bytes` are.
    ///
    /// # Errors
    /// [`FormatError`] if they are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let mut acceptor = Acceptor::new(Epoch(reader.u64()?));
        let tag = reader.u8()?;
        if tag > ACCEPTED {
            return Err(FormatError::Tag(tag));
        }
        if tag >= PROMISED {
            acceptor.promised = Some(read_ballot(&mut reader)?);
        }
        if tag == ACCEPTED {
            let ballot = read_ballot(&mut reader)?;
            acceptor.accepted = Some((ballot, Value::new(reader.prefixed()?)?));
            if Some(ballot) > acceptor.promised {
                return Err(FormatError::Order);
            }
        }
        reader.end()?;
        Ok(acceptor)
    }
}

fn put_ballot(out: &mut Vec<u8>, ballot: Ballot) {
    put_u64(out, ballot.round);
    out.extend_from_slice(&ballot.proposer.0);
}

fn read_ballot(reader: &mut Reader<'_>) -> Result<Ballot, DecodeError> {
    Ok(Ballot { round: reader.u64()?, proposer: NodeId(reader.array()?) })
}

#[cfg(test)]
mod tests {
    use super::FormatError;
    use crate::paxos::{Acceptor, Ballot, Value};
    use crate::types::{Epoch, NodeId};
    use proptest::collection::vec;
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    fn encode(acceptor: &Acceptor) -> Vec<u8> {
        let mut out = Vec::new();
        acceptor.encode(&mut out);
        out
    }

    fn ballot(round: u64) -> Ballot {
        Ballot { round, proposer: NodeId([7; 20]) }
    }

    fn states() -> [Acceptor; 3] {
        let fresh = Acceptor::new(Epoch(0x0102));
        let promised = Acceptor { promised: Some(ballot(3)), ..fresh.clone() };
        let accepted = Some((ballot(2), Value::new(b"ring").unwrap()));
        [fresh, promised.clone(), Acceptor { accepted, ..promised }]
    }

    #[test]
    fn the_bytes_stay_what_they_are() {
        let seven = "07".repeat(20);
        let wanted = [
            "020100000000000000".to_owned(),
            format!("0201000000000000010300000000000000{seven}"),
            format!("0201000000000000020300000000000000{seven}0200000000000000{seven}0472696e67"),
        ];
        for (acceptor, wanted) in states().iter().zip(wanted) {
            let bytes = encode(acceptor);
            assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), wanted);
            assert_eq!(Acceptor::decode(&bytes).as_ref(), Ok(acceptor));
        }
    }

    #[test]
    fn what_no_acceptor_writes_is_refused() {
        let [_, promised, accepted] = states();
        let mut tag = encode(&promised);
        tag[8] = 3;
        assert_eq!(Acceptor::decode(&tag), Err(FormatError::Tag(3)));
        let above = Acceptor { promised: Some(ballot(1)), ..accepted };
        assert_eq!(Acceptor::decode(&encode(&above)), Err(FormatError::Order));
        let trailing = [encode(&promised), vec![0]].concat();
        assert!(matches!(Acceptor::decode(&trailing), Err(FormatError::Bytes(_))));
    }

    fn near_acceptor() -> impl Strategy<Value = Vec<u8>> {
        let damage = prop_oneof![Just(None), (0usize..70, any::<u8>()).prop_map(Some)];
        (0usize..3, damage, 0usize..90).prop_map(|(state, damage, length)| {
            let mut bytes = encode(&states()[state]);
            if let Some((place, byte)) = damage.filter(|(place, _)| *place < bytes.len()) {
                bytes[place] = byte;
            }
            bytes.truncate(length);
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_give_an_error_or_an_acceptor_with_these_bytes(
            bytes in prop_oneof![near_acceptor(), vec(any::<u8>(), 0..100)],
        ) {
            if let Ok(acceptor) = Acceptor::decode(&bytes) {
                prop_assert_eq!(encode(&acceptor), bytes);
            }
        }
    }
}
