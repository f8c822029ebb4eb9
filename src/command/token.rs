//! Tokens: what a client has seen of a key, signed, so that a later write can supersede exactly that.
//!
//! ```text
//! token = base64url( context | 16 bytes of HMAC-SHA-256(secret, "annulus token" | database | length of key | key | context) )
//! ```
//!
//! The token of a cell about which nothing is known is the empty string. It covers nothing and needs no signature.
//!
//! Invariant: a token is good for the database and key that it was made for, in the cluster that made it, and for nothing
//! else: a context of another key would cover dots of this one that nobody has seen, and delete what they wrote.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::Duration;

use crate::causality::{Context, Time};
use crate::codec::Reader;
use crate::command::error::{CommandError, Result};
use crate::ledger::Secret;
use crate::types::Database;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 16;
/// How far ahead of this node's time a token may reach: it was made by a node whose clock is not further ahead.
const MAX_CLOCK_SKEW: Duration = Duration::from_millis(500);
/// What separates these signatures from others made with the secret.
const PURPOSE: &[u8] = b"annulus token";

const BAD: CommandError = CommandError::text("BADTOKEN the token is not one of this key; read it again with VGET");
const AHEAD: CommandError = CommandError::text("BADTOKEN the token is from further ahead than clocks may differ");

/// Makes and checks tokens.
pub struct Tokens {
    keyed: Hmac<Sha256>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) database: Database,
    pub(super) key: &'a [u8],
}

impl Tokens {
    /// Tokens of the cluster that has this secret.
    ///
    /// # Panics
    /// Never: a key may have any length.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Tokens { keyed: Hmac::new_from_slice(&secret.0).expect("a key of any length will do") }
    }

    /// The token that covers `context`, encoded as [`Context::encode`] does; of nothing if it covers nothing.
    pub(super) fn sign(&self, place: Place<'_>, context: &[u8]) -> String {
        if is_nothing(context) {
            return String::new();
        }
        let signature = self.signature(place, context).finalize().into_bytes();
        let signature = signature.get(..SIGNATURE_BYTES).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([context, signature].concat())
    }

    /// The encoded context that `token` covers, where the time is `now_ms`.
    pub(super) fn check(&self, place: Place<'_>, token: &[u8], now_ms: u64) -> Result<Vec<u8>> {
        let mut nothing = Vec::new();
        Context::new().encode(&mut nothing);
        if token.is_empty() {
            return Ok(nothing);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BAD)?;
        let end = bytes.len().checked_sub(SIGNATURE_BYTES).ok_or(BAD)?;
        let signature = bytes.split_off(end);
        self.signature(place, &bytes).verify_truncated_left(&signature).map_err(|_| BAD)?;
        let mut reader = Reader::new(&bytes);
        let context = Context::decode(&mut reader).map_err(|_| BAD)?;
        reader.end().map_err(|_| BAD)?;
        if context.newest_time() > Time::bound(now_ms, MAX_CLOCK_SKEW) {
            return Err(AHEAD);
        }
        Ok(bytes)
    }

    fn signature(&self, place: Place<'_>, context: &[u8]) -> Hmac<Sha256> {
        let mut keyed = self.keyed.clone();
        keyed.update(PURPOSE);
        keyed.update(&[place.database.0]);
        keyed.update(&(place.key.len() as u64).to_le_bytes());
        keyed.update(place.key);
        keyed.update(context);
        keyed
    }
}

/// Whether an encoded context covers nothing.
fn is_nothing(context: &[u8]) -> bool {
    Context::decode(&mut Reader::new(context)).is_ok_and(|context| context.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Place, Tokens};
    use crate::causality::{Actor, Context, Dot, Time};
    use crate::ledger::Secret;
    use crate::types::Database;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn context(ahead_ms: u64) -> Vec<u8> {
        let mut context = Context::new();
        context.insert(Dot::new(Actor::from_bits(7), Time::from_ms(NOW_MS + ahead_ms))).expect("few actors");
        let mut bytes = Vec::new();
        context.encode(&mut bytes);
        bytes
    }

    fn place(database: u8, key: &[u8]) -> Place<'_> {
        Place { database: Database(database), key }
    }

    #[test]
    fn a_token_is_good_for_its_own_key_alone() {
        let (tokens, others) = (Tokens::new(&Secret([1; 32])), Tokens::new(&Secret([2; 32])));
        let token = tokens.sign(place(0, b"k1"), &context(0));
        assert_eq!(tokens.check(place(0, b"k1"), token.as_bytes(), NOW_MS), Ok(context(0)));
        for refused in [
            tokens.check(place(0, b"k2"), token.as_bytes(), NOW_MS),
            tokens.check(place(1, b"k1"), token.as_bytes(), NOW_MS),
            others.check(place(0, b"k1"), token.as_bytes(), NOW_MS),
            tokens.check(place(0, b"k1"), &token.as_bytes()[1..], NOW_MS),
            tokens.check(place(0, b"k1"), b"AAAA", NOW_MS),
            tokens.check(place(0, b"k1"), b"not base64!", NOW_MS),
        ] {
            assert!(refused.expect_err("no token").0.starts_with(b"BADTOKEN"));
        }
        for index in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert!(tokens.check(place(0, b"k1"), &forged, NOW_MS).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_token_from_beyond_the_skew_is_refused() {
        let tokens = Tokens::new(&Secret([1; 32]));
        for (ahead_ms, is_good) in [(0, true), (500, true), (501, false)] {
            let token = tokens.sign(place(0, b"k"), &context(ahead_ms));
            assert_eq!(tokens.check(place(0, b"k"), token.as_bytes(), NOW_MS).is_ok(), is_good, "{ahead_ms}");
        }
    }

    #[test]
    fn the_token_of_nothing_is_empty() {
        let tokens = Tokens::new(&Secret([1; 32]));
        let mut nothing = Vec::new();
        Context::new().encode(&mut nothing);
        assert_eq!(tokens.sign(place(0, b"k"), &nothing), "");
        assert_eq!(tokens.check(place(3, b"any"), b"", NOW_MS), Ok(nothing));
    }
}
