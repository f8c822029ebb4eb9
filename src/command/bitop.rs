//! BITOP: bitwise operations between values, stored under another key.
//!
//! The sources are read one in each phase and folded into one result, so no more than two values are held at a time.
//! Invariant: shorter sources count as padded with zeros; a result without bytes leaves no key.
//!
//! Source: Redis 7.0.15 `bitops.c` (`bitopCommand`).

use crate::command::arguments::is_word;
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::coordinator::Carried;
use crate::replica::{Action, Operand};
use crate::types::Args;

const FLAGS: Flags = Flags::WRITE.with(Flags::DENYOOM).with(Flags::ALONE).with(Flags::ATOMIC);
/// Index of the argument that is the target.
const TARGET: usize = 2;
/// Index of the first source.
const SOURCE: usize = 3;

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("bitop", -4, FLAGS, (plan, finish))
    .keys(Keys { first: 2, last: -1, step: 1 })
    .docs(Group::Bitmap, "2.6.0", "Stores what a bitwise operation makes of several values.")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Xor,
    Not,
}

impl Operator {
    fn parse(argument: &[u8]) -> Result<Operator> {
        let operators = [("AND", Operator::And), ("OR", Operator::Or), ("XOR", Operator::Xor), ("NOT", Operator::Not)];
        let named = operators.into_iter().find(|(word, _)| is_word(argument, word));
        named.map(|(_, operator)| operator).ok_or(CommandError::SYNTAX)
    }

    /// Folds one more source into what the sources before it made.
    fn fold(self, result: &mut Vec<u8>, source: &[u8]) {
        let common = result.len().min(source.len());
        let (shared, rest) = source.split_at(common);
        let pairs = result.iter_mut().zip(shared);
        match self {
            Operator::And => {
                pairs.for_each(|(byte, source)| *byte &= source);
                result.get_mut(common..).unwrap_or_default().fill(0);
                result.resize(result.len() + rest.len(), 0);
            }
            Operator::Or | Operator::Not => pairs.for_each(|(byte, source)| *byte |= source),
            Operator::Xor => pairs.for_each(|(byte, source)| *byte ^= source),
        }
        if self != Operator::And {
            result.extend_from_slice(rest);
        }
    }

    /// The first source, as the fold begins.
    fn begin(self, source: &[u8]) -> Vec<u8> {
        match self {
            Operator::Not => source.iter().map(|byte| !byte).collect(),
            Operator::And | Operator::Or | Operator::Xor => source.to_vec(),
        }
    }
}

fn plan(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    if Operator::parse(args.get(1))? == Operator::Not && args.count() != 4 {
        return Err(CommandError::text("ERR BITOP NOT must be called with a single source key."));
    }
    *planning.batch.carried() = Carried::default();
    planning.on(args, SOURCE, Action::Read);
    Ok(())
}

fn finish(finishing: &mut Finishing<'_>) -> Next {
    let (args, database) = (finishing.args, finishing.session.database);
    let source = SOURCE + finishing.phase as usize;
    if source == args.count() {
        let bytes = finishing.batch.carried().number;
        finishing.reply.integer(bytes as i64);
        return Next::Done;
    }
    fold_source(finishing);
    if source + 1 < args.count() {
        finishing.batch.push(database, Operand::Input(args.span(source + 1)), Action::Read);
        return Next::More;
    }
    let result = std::mem::take(&mut finishing.batch.carried().bytes);
    finishing.batch.carried().number = result.len();
    let action = match result.is_empty() {
        true => Action::Delete,
        false => Action::Write { value: finishing.batch.store(&result), expiry: None },
    };
    finishing.batch.push(database, Operand::Input(args.span(TARGET)), action);
    Next::More
}

/// Folds the source that was just read, and drops it.
fn fold_source(finishing: &mut Finishing<'_>) {
    // Parsed once before, when the command was planned: it cannot fail now.
    let Ok(operator) = Operator::parse(finishing.args.get(1)) else { return };
    let found = finishing.batch.found(finishing.end - 1);
    let mut result = std::mem::take(&mut finishing.batch.carried().bytes);
    let source = found.map_or(&[][..], |found| finishing.batch.bytes(found.value));
    if finishing.phase == 0 {
        result = operator.begin(source);
    } else {
        operator.fold(&mut result, source);
    }
    finishing.batch.carried().bytes = result;
    if let Some(found) = found {
        finishing.batch.truncate_arena(found.value.start as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::Operator;

    #[test]
    fn shorter_sources_count_as_padded_with_zeros() {
        for (operator, sources, expected) in [
            (Operator::And, &[&b"\xff\x0f"[..], b"\x3c"][..], &b"\x3c\x00"[..]),
            (Operator::And, &[b"\x3c", b"\xff\x0f"], b"\x3c\x00"),
            (Operator::And, &[b"", b"\xff"], b"\x00"),
            (Operator::And, &[b"\xff", b""], b"\x00"),
            (Operator::Or, &[b"\xf0", b"\x0f\x01", b""], b"\xff\x01"),
            (Operator::Xor, &[b"\xff\x01", b"\x0f"], b"\xf0\x01"),
            (Operator::Not, &[b"\x00\xf0"], b"\xff\x0f"),
            (Operator::Or, &[b"", b""], b""),
        ] {
            let mut result = operator.begin(sources[0]);
            sources[1..].iter().for_each(|source| operator.fold(&mut result, source));
            assert_eq!(result, expected, "{operator:?} {sources:?}");
        }
    }
}
