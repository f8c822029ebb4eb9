//! Why a node does not do what it is asked, for one item or for a whole frame.

use crate::codec::{Reader, put_bytes};
use crate::wire::{TEXT_LIMIT, WireError};

/// What the asker should make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Not on the preference list of the arc, or not one that coordinates: ask another.
    NotMember = 1,
    /// Goes by another topology: the header says which, and if it is the newer one it comes along.
    OtherEpoch = 2,
    /// The dot lies too far ahead of the clock here.
    Skew = 3,
    /// Too much to do: ask another, or later.
    Busy = 4,
    /// The time is closed or fenced here: take a new dot, or exchange.
    Fenced = 5,
    /// The time left was over before it began.
    Late = 6,
    /// The message says what no message can.
    Malformed = 7,
    /// Anything else; the text says what.
    Failed = 8,
}

const REASONS: [Reason; 8] = [
    Reason::NotMember,
    Reason::OtherEpoch,
    Reason::Skew,
    Reason::Busy,
    Reason::Fenced,
    Reason::Late,
    Reason::Malformed,
    Reason::Failed,
];

/// A refusal: nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What the asker should make of it.
    pub reason: Reason,
    /// For people; cut at [`TEXT_LIMIT`].
    pub text: &'a str,
}

impl<'a> Refusal<'a> {
    /// A refusal that says no more than its reason.
    #[must_use]
    pub fn bare(reason: Reason) -> Self {
        Refusal { reason, text: "" }
    }

    #[cold]
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.reason as u8);
        let end = self.text.floor_char_boundary(TEXT_LIMIT);
        put_bytes(out, self.text.get(..end).unwrap_or_default().as_bytes());
    }

    pub(super) fn take(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let byte = reader.u8()?;
        let reason = REASONS.into_iter().find(|reason| *reason as u8 == byte);
        let reason = reason.ok_or_else(|| WireError::value("reason", byte))?;
        let text = reader.prefixed()?;
        let text = if text.len() <= TEXT_LIMIT { str::from_utf8(text).ok() } else { None };
        Ok(Refusal { reason, text: text.ok_or(WireError::Text)? })
    }
}

/// The refusal of a whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedFrame<'a> {
    /// Why.
    pub refusal: Refusal<'a>,
    /// What helps the asker: for [`Reason::OtherEpoch`] the newer topology, else nothing.
    pub help: &'a [u8],
}
