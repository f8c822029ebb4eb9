//! Walks over keys: KEYS, SCAN, RANDOMKEY, DBSIZE.
//!
//! A page of keys is an operation of the replica ([`PageRequest`]), read on the pool; here its arguments are parsed and its
//! keys written. Every value is a string, so a SCAN for another type shows none and still makes its way through the keys.

use std::sync::atomic::Ordering;

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group};
use crate::replica::{Action, Operand, Outcome, PageLimit, PageRequest};
use crate::types::{Args, SLOTS};

const WALK: Flags = Flags::READONLY.with(Flags::GLOBAL).with(Flags::ALONE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("keys", 2, WALK, (plan_keys, finish_keys)).docs(
        Group::Generic,
        "1.0.0",
        "Lists all keys that match a pattern, unless they are too many.",
    ),
    Command::new("scan", -2, WALK, (plan_scan, finish_scan)).docs(Group::Generic, "2.8.0", "Lists keys page by page."),
    Command::new("randomkey", 1, WALK, (plan_random_key, finish_random_key)).docs(
        Group::Generic,
        "1.0.0",
        "Answers any key of the database.",
    ),
    // Counted at once, but never while keys are locked: counters lie behind the same locks.
    Command::new("dbsize", 1, Flags::READONLY.with(Flags::FAST).with(Flags::GLOBAL), (plan_size, finish_size)).docs(
        Group::Server,
        "1.0.0",
        "Counts the keys of the database.",
    ),
];

/// Keys that a page of SCAN looks at if COUNT does not say.
const DEFAULT_COUNT: usize = 10;

/// The arguments of SCAN.
#[derive(Debug, PartialEq, Eq)]
struct ScanArguments {
    cursor: u64,
    count: usize,
    /// Index of the pattern among the arguments.
    pattern: Option<usize>,
    wanted: Wanted,
}

/// Which types a SCAN asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Strings,
    OtherTypes,
}

impl ScanArguments {
    fn parse(args: Args<'_>) -> Result<ScanArguments> {
        let cursor = parse_cursor(args.get(1)).ok_or(CommandError::text("ERR invalid cursor"))?;
        let mut parsed = ScanArguments { cursor, count: DEFAULT_COUNT, pattern: None, wanted: Wanted::Strings };
        for index in (2..args.count()).step_by(2) {
            let (option, value) = (args.get(index), args.get(index + 1));
            if index + 1 == args.count() {
                return Err(CommandError::SYNTAX);
            } else if is_word(option, "COUNT") {
                let count = integer(value)?;
                parsed.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(CommandError::SYNTAX)?;
            } else if is_word(option, "MATCH") {
                parsed.pattern = Some(index + 1).filter(|_| value != b"*");
            } else if is_word(option, "TYPE") {
                let is_string = is_word(value, "string");
                parsed.wanted = if is_string { Wanted::Strings } else { Wanted::OtherTypes };
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(parsed)
    }
}

/// A cursor as C's `strtoul` reads it, for Redis takes what that takes: nothing at all, a sign, leading zeros.
fn parse_cursor(text: &[u8]) -> Option<u64> {
    let (digits, negative) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (digits, true),
        [b'+', digits @ ..] => (digits, false),
        digits => (digits, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |value: u64, digit: &u8| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let value = digits.iter().try_fold(0, digit)?;
    Some(if negative { value.wrapping_neg() } else { value })
}

fn plan_keys(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let most = planning.services.admin.tunables().keys_reply_max.load(Ordering::Relaxed);
    let limit = PageLimit::All(usize::try_from(most).unwrap_or(usize::MAX));
    let pattern = Some(Operand::Input(args.span(1))).filter(|_| args.get(1) != b"*");
    let request = PageRequest { cursor: 0, end_slot: SLOTS, limit, pattern };
    planning.batch.push(planning.session.database, Operand::default(), Action::Page(request));
    Ok(())
}

fn finish_keys(finishing: &mut Finishing<'_>) -> Next {
    if let Outcome::Page { first, count, .. } = finishing.batch.outcome(finishing.first) {
        reply_keys(finishing, first, count);
    }
    Next::Done
}

fn reply_keys(finishing: &mut Finishing<'_>, first: usize, count: usize) {
    finishing.reply.array(count);
    for key in finishing.batch.page_keys(first, count) {
        finishing.reply.bulk(finishing.batch.bytes(*key));
    }
}

fn plan_scan(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let ScanArguments { cursor, count, pattern, .. } = ScanArguments::parse(args)?;
    let pattern = pattern.map(|index| Operand::Input(args.span(index)));
    let request = PageRequest { cursor, end_slot: SLOTS, limit: PageLimit::Examine(count), pattern };
    planning.batch.push(planning.session.database, Operand::default(), Action::Page(request));
    Ok(())
}

fn finish_scan(finishing: &mut Finishing<'_>) -> Next {
    let Outcome::Page { first, count, cursor } = finishing.batch.outcome(finishing.first) else { return Next::Done };
    let shows_strings = ScanArguments::parse(finishing.args).is_ok_and(|parsed| parsed.wanted == Wanted::Strings);
    finishing.reply.array(2);
    finishing.reply.bulk(cursor.to_string().as_bytes());
    reply_keys(finishing, first, if shows_strings { count } else { 0 });
    Next::Done
}

fn plan_random_key(planning: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    planning.batch.push(planning.session.database, Operand::default(), Action::RandomKey);
    Ok(())
}

fn finish_random_key(finishing: &mut Finishing<'_>) -> Next {
    let batch = &finishing.batch;
    match batch.outcome(finishing.first) {
        Outcome::Page { first, count: 1.., .. } => {
            let key = batch.page_keys(first, 1).first().copied().unwrap_or_default();
            finishing.reply.bulk(batch.bytes(key));
        }
        _ => finishing.reply.null(),
    }
    Next::Done
}

fn plan_size(planning: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    planning.batch.push(planning.session.database, Operand::default(), Action::Count);
    Ok(())
}

fn finish_size(finishing: &mut Finishing<'_>) -> Next {
    if let Outcome::Count(count) = finishing.batch.outcome(finishing.first) {
        finishing.reply.integer(count as i64);
    }
    Next::Done
}

#[cfg(test)]
mod tests {
    use super::{ScanArguments, Wanted, parse_cursor};
    use crate::command::CommandError;
    use crate::types::{Args, Span};

    #[test]
    fn cursors_are_read_as_strtoul_does() {
        for (text, cursor) in [
            ("", Some(0)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551616", None),
            ("+", None),
            ("-", None),
            (" 1", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), cursor, "{text:?}");
        }
    }

    fn parse(text: &str) -> Result<ScanArguments, CommandError> {
        let mut start = 0;
        let span = |word: &str| {
            let span = Span { start, len: word.len() as u32 };
            start += span.len + 1;
            span
        };
        let spans: Vec<Span> = text.split(' ').map(span).collect();
        ScanArguments::parse(Args::new(text.as_bytes(), &spans))
    }

    #[test]
    fn options_of_scan() {
        let plain = ScanArguments { cursor: 5, count: 10, pattern: None, wanted: Wanted::Strings };
        assert_eq!(parse("scan 5"), Ok(plain));
        let full = ScanArguments { cursor: 5, count: 7, pattern: Some(3), wanted: Wanted::OtherTypes };
        assert_eq!(parse("scan 5 match a* Count 7 TYPE list"), Ok(full));
        let last = ScanArguments { cursor: 5, count: 9, pattern: None, wanted: Wanted::Strings };
        assert_eq!(parse("scan 5 count 7 count 9 match a match * type list type STRING"), Ok(last));
        for text in ["scan 0 count 0", "scan 0 count -1", "scan 0 match", "scan 0 nosuch x", "scan 0 count 1 x"] {
            assert_eq!(parse(text), Err(CommandError::SYNTAX), "{text}");
        }
        assert_eq!(parse("scan 0 count x"), Err(CommandError::NOT_INTEGER));
        assert_eq!(parse("scan x count x"), Err(CommandError::text("ERR invalid cursor")));
    }
}
