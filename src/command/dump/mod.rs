//! DUMP and RESTORE: a value as a payload that Redis reads and writes too.

mod lzf;
mod payload;

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::dump::payload::PayloadError;
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::Action;
use crate::types::Args;

const RESTORE_FLAGS: Flags = Flags::WRITE.with(Flags::DENYOOM).with(Flags::ALONE).with(Flags::ATOMIC);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("dump", 2, Flags::READONLY, (plan_dump, finish_dump)).keys(Keys::ONE).docs(
        Group::Generic,
        "2.6.0",
        "Answers a key's value as a payload for RESTORE.",
    ),
    Command::new("restore", -4, RESTORE_FLAGS, (plan_restore, finish_restore)).keys(Keys::ONE).docs(
        Group::Generic,
        "2.6.0",
        "Makes a key from a payload of DUMP.",
    ),
];

fn plan_dump(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Read);
    Ok(())
}

fn finish_dump(finishing: &mut Finishing<'_>) -> Next {
    match finishing.batch.value(finishing.first) {
        Some(value) => finishing.reply.bulk(&payload::encode(value)),
        None => finishing.reply.null(),
    }
    Next::Done
}

/// The options of RESTORE. How idle or how frequently used the value was is checked and forgotten.
#[derive(Debug, Default, PartialEq, Eq)]
struct RestoreOptions {
    target: Target,
    origin: Origin,
}

/// What becomes of a key that is there already.
#[derive(Debug, Default, PartialEq, Eq)]
enum Target {
    #[default]
    Absent,
    Replace,
}

/// What the time to live counts from.
#[derive(Debug, Default, PartialEq, Eq)]
enum Origin {
    #[default]
    Now,
    Epoch,
}

/// Which of the two hints about use was given; both together are refused.
#[derive(PartialEq, Eq)]
enum Hint {
    None,
    Idle,
    Frequency,
}

impl RestoreOptions {
    fn parse(args: Args<'_>) -> Result<RestoreOptions> {
        let (mut parsed, mut hint) = (RestoreOptions::default(), Hint::None);
        let mut index = 4;
        while index < args.count() {
            let (option, has_value) = (args.get(index), index + 1 < args.count());
            index += 1;
            if is_word(option, "REPLACE") {
                parsed.target = Target::Replace;
            } else if is_word(option, "ABSTTL") {
                parsed.origin = Origin::Epoch;
            } else if is_word(option, "IDLETIME") && has_value && hint != Hint::Frequency {
                hint = Hint::Idle;
                if integer(args.get(index))? < 0 {
                    return Err(CommandError::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                index += 1;
            } else if is_word(option, "FREQ") && has_value && hint != Hint::Idle {
                hint = Hint::Frequency;
                if u8::try_from(integer(args.get(index))?).is_err() {
                    return Err(CommandError::text("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                index += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(parsed)
    }
}

fn plan_restore(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    RestoreOptions::parse(args)?;
    planning.on(args, 1, Action::Look);
    Ok(())
}

fn finish_restore(finishing: &mut Finishing<'_>) -> Next {
    if finishing.phase > 0 {
        return finishing.ok();
    }
    match restore(finishing) {
        Ok(Some(action)) => {
            let args = finishing.args;
            let key = crate::replica::Operand::Input(args.span(1));
            finishing.batch.push(finishing.session.database, key, action);
            Next::More
        }
        Ok(None) => finishing.ok(),
        Err(error) => finishing.fail(&error),
    }
}

/// What has to be done once the key was looked at; nothing for a value that has expired already where no key is.
///
/// Redis looks at the key before it checks time and payload, so their errors come after `BUSYKEY`.
fn restore(finishing: &mut Finishing<'_>) -> Result<Option<Action>> {
    let (args, now_ms) = (finishing.args, finishing.batch.now_ms());
    let options = RestoreOptions::parse(args)?;
    let exists = finishing.batch.found(finishing.first).is_some();
    if exists && options.target == Target::Absent {
        return Err(CommandError::text("BUSYKEY Target key name already exists."));
    }
    let ttl = integer(args.get(2))?;
    if ttl < 0 {
        return Err(CommandError::text("ERR Invalid TTL value, must be >= 0"));
    }
    let limit = finishing.services.coordinator.replica().max_pair_bytes();
    let value = payload::decode(args.get(3), limit).map_err(|error| error_line(&error, limit))?;
    let expiry = match (ttl, &options.origin) {
        (0, _) => None,
        (ttl, Origin::Epoch) => Some(ttl as u64),
        // Redis lets the sum overflow, into the past.
        (ttl, Origin::Now) => Some(u64::try_from(ttl.wrapping_add(now_ms as i64)).unwrap_or(0)),
    };
    if expiry.is_some_and(|expiry| expiry <= now_ms) {
        return Ok(exists.then_some(Action::Delete));
    }
    let value = finishing.batch.store(&value);
    Ok(Some(Action::Write { value, expiry }))
}

fn error_line(error: &PayloadError, limit: usize) -> CommandError {
    match error {
        PayloadError::Footer => CommandError::text("ERR DUMP payload version or checksum are wrong"),
        PayloadError::Format => CommandError::text("ERR Bad data format"),
        PayloadError::Type(kind) => {
            CommandError::line(format!("ERR the payload's value is no string (type {kind}), others are not supported"))
        }
        PayloadError::TooLarge { bytes } => {
            CommandError::line(format!("ERR value of {bytes} bytes exceeds max-pair-bytes ({limit})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, RestoreOptions, Target};
    use crate::command::CommandError;
    use crate::types::{Args, Span};

    fn check(text: &str, expected: Result<RestoreOptions, &'static str>) {
        let text = format!("restore k 0 payload {text}");
        let mut start = 0;
        let span = |word: &str| {
            let span = Span { start, len: word.len() as u32 };
            start += span.len + 1;
            span
        };
        let spans: Vec<Span> = text.split_whitespace().map(span).collect();
        let parsed = RestoreOptions::parse(Args::new(text.as_bytes(), &spans));
        assert_eq!(parsed, expected.map_err(CommandError::text), "{text}");
    }

    #[test]
    fn options_are_checked_as_redis_does() {
        let replaced = || RestoreOptions { target: Target::Replace, origin: Origin::Epoch };
        check("", Ok(RestoreOptions::default()));
        check("replace ABSTTL", Ok(replaced()));
        check("idletime 5 absttl idletime 6 replace", Ok(replaced()));
        check("replace freq 255 absttl", Ok(replaced()));
        for text in ["nosuch", "idletime", "freq", "freq 1 idletime 1", "idletime 1 freq 1"] {
            check(text, Err("ERR syntax error"));
        }
        check("idletime -1", Err("ERR Invalid IDLETIME value, must be >= 0"));
        check("freq 256", Err("ERR Invalid FREQ value, must be >= 0 and <= 255"));
        check("freq x", Err("ERR value is not an integer or out of range"));
    }
}
