//! Several keys in one command: MGET, MSET, MSETNX.
//!
//! MGET runs in parts: it reads until [`PART_BYTES`] of values are held, writes them to the reply and goes on, so a
//! command on thousands of long values holds few of them at a time. It is not atomic, as pipelined GETs are not.
//! MSET and MSETNX run under the locks of all their keys.
//! Invariant: a pair that is too large is found before any is written.
//!
//! Source: Redis 7.0.15 `t_string.c`.

use crate::command::context::{Finishing, Next, Planning, finish_ok};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::coordinator::{Batch, Carried};
use crate::replica::{Action, Answer, Current, Inputs, Operand, Outcome, Params};
use crate::types::{Args, Database};

/// Keys of one part of an MGET.
const PART_KEYS: usize = 64;
/// No further value is copied into a part that has so many bytes.
const PART_BYTES: usize = 1 << 20;

const TOGETHER: Flags = Flags::WRITE.with(Flags::DENYOOM).with(Flags::ALONE).with(Flags::ATOMIC);
const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("mget", -2, Flags::READONLY.with(Flags::FAST).with(Flags::ALONE), (plan_mget, finish_mget))
        .keys(Keys::ALL)
        .docs(Group::String, "1.0.0", "Answers the values of several keys."),
    Command::new("mset", -3, TOGETHER, (plan_mset, finish_ok)).keys(PAIRS).docs(
        Group::String,
        "1.0.1",
        "Sets the values of several keys together.",
    ),
    Command::new("msetnx", -3, TOGETHER, (plan_msetnx, finish_msetnx)).keys(PAIRS).docs(
        Group::String,
        "1.0.1",
        "Sets the values of several keys together, if none of them exists yet.",
    ),
];

fn plan_mget(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    *planning.batch.carried() = Carried::default();
    plan_part(planning.batch, args, planning.session.database);
    Ok(())
}

/// Plans reads of the keys that have no reply yet, as many as a part has.
fn plan_part(batch: &mut Batch, args: Args<'_>, database: Database) {
    let replied = batch.carried().number;
    let limit = (batch.arena_bytes() + PART_BYTES) as i64;
    for index in replied + 1..=replied + part_keys(args, replied) {
        let params = Params { numbers: [limit, 0, 0], operand: Operand::default() };
        batch.push(database, Operand::Input(args.span(index)), Action::Examine(read_if_room, params));
    }
}

fn part_keys(args: Args<'_>, replied: usize) -> usize {
    (args.count() - 1 - replied).min(PART_KEYS)
}

/// Answers the value; a number if the part has bytes enough already.
fn read_if_room(current: Option<Current<'_>>, inputs: &Inputs<'_>, arena: &mut Vec<u8>) -> Answer {
    let [limit, ..] = inputs.numbers;
    match current {
        None => Answer::Nil,
        Some(_) if arena.len() as i64 >= limit => Answer::Integer(0),
        Some(current) => Answer::bytes(current.value, arena),
    }
}

fn finish_mget(finishing: &mut Finishing<'_>) -> Next {
    let (args, end) = (finishing.args, finishing.end);
    if finishing.phase == 0 {
        finishing.reply.array(args.count() - 1);
    }
    let mut replied = finishing.batch.carried().number;
    let mut used = None;
    for index in end - part_keys(args, replied)..end {
        match finishing.batch.outcome(index) {
            Outcome::Examined(Answer::Bytes(span), _) => {
                used = used.or(Some(span.start as usize));
                finishing.reply.bulk(finishing.batch.bytes(span));
            }
            Outcome::Examined(Answer::Integer(_), _) => {
                // These are asked for again.
                finishing.batch.forget_from(index);
                break;
            }
            _ => finishing.reply.null(),
        }
        replied += 1;
    }
    if let Some(start) = used {
        finishing.batch.truncate_arena(start);
    }
    finishing.batch.carried().number = replied;
    if replied == args.count() - 1 {
        return Next::Done;
    }
    plan_part(finishing.batch, args, finishing.session.database);
    Next::More
}

fn plan_mset(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_pairs(planning, args, "mset")?;
    push_writes(planning.batch, args, planning.session.database);
    Ok(())
}

fn check_pairs(planning: &Planning<'_>, args: Args<'_>, name: &str) -> Result<()> {
    if args.count().is_multiple_of(2) {
        return Err(CommandError::wrong_arity(None, name));
    }
    PAIRS.indexes(args.count()).try_for_each(|index| planning.check_pair(args.get(index), args.get(index + 1).len()))
}

fn push_writes(batch: &mut Batch, args: Args<'_>, database: Database) {
    for index in PAIRS.indexes(args.count()) {
        let value = Operand::Input(args.span(index + 1));
        batch.push(database, Operand::Input(args.span(index)), Action::Write { value, expiry: None });
    }
}

fn plan_msetnx(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_pairs(planning, args, "msetnx")?;
    for index in PAIRS.indexes(args.count()) {
        planning.on(args, index, Action::Look);
    }
    Ok(())
}

fn finish_msetnx(finishing: &mut Finishing<'_>) -> Next {
    if finishing.phase == 1 {
        finishing.reply.integer(1);
        return Next::Done;
    }
    if (finishing.first..finishing.end).any(|index| finishing.batch.found(index).is_some()) {
        finishing.reply.integer(0);
        return Next::Done;
    }
    push_writes(finishing.batch, finishing.args, finishing.session.database);
    Next::More
}
