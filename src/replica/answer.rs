//! What an operation that only looks answers from a record, wherever that was read: here, or from several replicas.

use crate::causality::{Plan, RecordView, Time, Version, reap};
use crate::replica::apply::{Workspace, beside_answers};
use crate::replica::operation::{Action, Current, Examine, Existed, Fingerprint, Found, Inputs, Operation, Outcome};
use crate::types::Span;

/// The outcome of a read: the value that `keep` puts somewhere, and what belongs to it.
#[inline]
pub(super) fn found(record: &RecordView<'_>, at_ms: u64, keep: &mut dyn FnMut(&Version<'_>) -> Span) -> Outcome {
    match record.winner(at_ms) {
        None => Outcome::Absent,
        Some(version) => {
            Outcome::Found(Found { value: keep(&version), expiry: version.expiry, written: version.dot.time })
        }
    }
}

/// Appends the value to the arena.
#[inline]
pub(super) fn copied(version: &Version<'_>, arena: &mut Vec<u8>) -> Span {
    let start = arena.len() as u32;
    arena.extend_from_slice(version.payload);
    Span { start, len: version.payload.len() as u32 }
}

/// Only how long the value is.
pub(super) fn measured(version: &Version<'_>) -> Span {
    Span { start: 0, len: version.payload.len() as u32 }
}

/// The outcome of an examination.
pub(super) fn examined(
    record: &RecordView<'_>,
    (examine, inputs): (Examine, &Inputs<'_>),
    arena: &mut Vec<u8>,
) -> Outcome {
    let winner = record.winner(inputs.now_ms);
    let current = winner.map(|version| Current { value: version.payload, expiry: version.expiry });
    let existed = if current.is_some() { Existed::Yes } else { Existed::No };
    Outcome::Examined(examine(current, inputs, arena), existed)
}

/// The record, copied to the arena without what is expired or flushed.
pub(super) fn versions(record: &RecordView<'_>, at_ms: u64, arena: &mut Vec<u8>) -> Outcome {
    let plan = reap(record, at_ms).unwrap_or_else(|| Plan::unchanged(record));
    let start = arena.len();
    plan.encode(arena);
    Outcome::Record(Span { start: start as u32, len: (arena.len() - start) as u32 })
}

/// A record's fingerprint, in a database that was flushed at `flushed`. A flush counts as a write to every key: what it took
/// away is not known any more.
pub(super) fn fingerprint(record: &RecordView<'_>, at_ms: u64, flushed: Time) -> Outcome {
    let newest = record.newest_time().max(flushed);
    Outcome::Fingerprint(Fingerprint { hash: record.fingerprint(at_ms), newest })
}

/// The outcome of an operation that only looks at its cell, from the cell's record as several replicas have it.
///
/// # Panics
/// If the operation is another one.
pub(super) fn answer(
    operation: &Operation,
    (record, flushed): (&RecordView<'_>, Time),
    work: Workspace<'_>,
) -> Outcome {
    let Workspace { input, arena, now_ms, .. } = work;
    match operation.action {
        Action::Read => found(record, now_ms, &mut |version| copied(version, arena)),
        Action::Look => found(record, now_ms, &mut measured),
        Action::Versions => versions(record, now_ms, arena),
        Action::Fingerprint => fingerprint(record, now_ms, flushed),
        Action::Examine(examine, params) => {
            let operand = &*beside_answers(params.operand, input, arena);
            examined(record, (examine, &Inputs { numbers: params.numbers, operand, now_ms }), arena)
        }
        _ => unreachable!("only what looks at one cell is answered from a record"),
    }
}
