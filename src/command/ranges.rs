//! Parts of values: APPEND, STRLEN, GETRANGE and SUBSTR, SETRANGE.
//!
//! Invariant: a value that would be too long is refused before it is built.
//!
//! Source: Redis 7.0.15 `t_string.c`.

use std::ops::Range;

use crate::command::arguments::integer;
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Answer, Current, Draft, Effect, Inputs, Operand, Params};
use crate::types::Args;

/// Redis's own limit of a value; ours, which is configured, is usually far lower.
const VALUE_BYTES_MAX: u64 = 512 << 20;
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

const WRITE: Flags = Flags::WRITE.with(Flags::DENYOOM);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] =
    &[
        Command::new("append", 3, WRITE.with(Flags::FAST), (plan_append, finish_answer)).keys(Keys::ONE).docs(
            Group::String,
            "2.0.0",
            "Puts bytes behind the value of a key; answers the new length.",
        ),
        Command::new("strlen", 2, Flags::READONLY.with(Flags::FAST), (plan_strlen, finish_strlen))
            .keys(Keys::ONE)
            .docs(Group::String, "2.2.0", "Answers the length of a value."),
        Command::new("getrange", 4, Flags::READONLY, (plan_getrange, finish_answer)).keys(Keys::ONE).docs(
            Group::String,
            "2.4.0",
            "Answers the bytes of a value from one place to another.",
        ),
        Command::new("substr", 4, Flags::READONLY, (plan_getrange, finish_answer)).keys(Keys::ONE).docs(
            Group::String,
            "1.0.0",
            "The old name of GETRANGE.",
        ),
        Command::new("setrange", 4, WRITE, (plan_setrange, finish_answer)).keys(Keys::ONE).docs(
            Group::String,
            "2.2.0",
            "Writes bytes into a value at a place, behind zero bytes if need be.",
        ),
    ];

fn finish_answer(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

fn plan_append(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let operand = Operand::Input(args.span(2));
    planning.on(args, 1, Action::Change(append, Params { operand, ..Params::default() }));
    Ok(())
}

fn append(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let old = current.map_or(&[][..], |current| current.value);
    let bytes = old.len() + inputs.operand.len();
    if current.is_some() && bytes as u64 > VALUE_BYTES_MAX {
        draft.answer = Answer::Error(TOO_LONG);
        return Effect::Keep;
    }
    draft.value.reserve(bytes);
    draft.value.extend_from_slice(old);
    draft.value.extend_from_slice(inputs.operand);
    draft.answer = Answer::Integer(bytes as i64);
    Effect::Write
}

fn plan_strlen(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Look);
    Ok(())
}

fn finish_strlen(finishing: &mut Finishing<'_>) -> Next {
    let bytes = finishing.batch.found(finishing.first).map_or(0, |found| found.value.len);
    finishing.reply.integer(i64::from(bytes));
    Next::Done
}

fn plan_getrange(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
    planning.on(args, 1, Action::Examine(part, Params { numbers: [start, end, 0], operand: Operand::default() }));
    Ok(())
}

fn part(current: Option<Current<'_>>, inputs: &Inputs<'_>, arena: &mut Vec<u8>) -> Answer {
    let [start, end, _] = inputs.numbers;
    let value = current.map_or(&[][..], |current| current.value);
    let part = covered(value.len(), start, end).and_then(|range| value.get(range)).unwrap_or_default();
    Answer::bytes(part, arena)
}

/// The places from `start` to `end`, both included and counted from the end if negative, that `len` places have.
/// Two negative ends the wrong way round cover nothing, even where both lie before the first place.
pub(super) fn covered(len: usize, start: i64, end: i64) -> Option<Range<usize>> {
    if start < 0 && end < 0 && start > end { None } else { clamped(len, start, end) }
}

/// As [`covered`], but ends before the first place are the first place, whichever way round they stand.
pub(super) fn clamped(len: usize, start: i64, end: i64) -> Option<Range<usize>> {
    let len = len as i64;
    let from_start = |place: i64| if place < 0 { (len + place).max(0) } else { place };
    let (start, end) = (from_start(start), from_start(end).min(len - 1));
    (start <= end).then(|| start as usize..end as usize + 1)
}

fn plan_setrange(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let (offset, bytes) = (integer(args.get(2))?, args.get(3));
    let offset = u64::try_from(offset).map_err(|_| CommandError::text("ERR offset is out of range"))?;
    let action = if bytes.is_empty() {
        Action::Examine(length, Params::default())
    } else {
        if offset.saturating_add(bytes.len() as u64) > VALUE_BYTES_MAX {
            return Err(CommandError::text(TOO_LONG));
        }
        planning.check_pair(args.get(1), offset as usize + bytes.len())?;
        Action::Change(splice, Params { numbers: [offset as i64, 0, 0], operand: Operand::Input(args.span(3)) })
    };
    planning.on(args, 1, action);
    Ok(())
}

fn length(current: Option<Current<'_>>, _: &Inputs<'_>, _: &mut Vec<u8>) -> Answer {
    Answer::Integer(current.map_or(0, |current| current.value.len() as i64))
}

/// Writes the operand over the value at an offset.
fn splice(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let [offset, ..] = inputs.numbers;
    let start = offset as usize;
    let end = start + inputs.operand.len();
    let old = current.map_or(&[][..], |current| current.value);
    draft.value.extend_from_slice(old);
    draft.value.resize(old.len().max(end), 0);
    if let Some(place) = draft.value.get_mut(start..end) {
        place.copy_from_slice(inputs.operand);
    }
    draft.answer = Answer::Integer(draft.value.len() as i64);
    Effect::Write
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn ranges_are_those_of_redis() {
        for (len, start, end, expected) in [
            (5, 0, 4, Some(0..5)),
            (5, 0, -1, Some(0..5)),
            (5, 1, 2, Some(1..3)),
            (5, -3, -2, Some(2..4)),
            (5, -2, -3, None),
            (5, 3, 2, None),
            (5, -100, -50, Some(0..1)),
            (5, -50, -100, None),
            (5, 5, 9, None),
            (5, 4, i64::MAX, Some(4..5)),
            (5, i64::MIN, i64::MAX, Some(0..5)),
            (0, 0, -1, None),
            (0, 0, 0, None),
        ] {
            assert_eq!(covered(len, start, end), expected, "{len} {start} {end}");
        }
    }
}
