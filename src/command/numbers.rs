//! Values that are numbers: INCR and its kin, and INCRBYFLOAT.
//!
//! Invariant: a number keeps the expiry of the value it comes from; what is no number stays as it is.
//!
//! Source: Redis 7.0.15 `t_string.c` (`incrDecrCommand`, `incrbyfloatCommand`).

use crate::command::arguments::integer;
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Answer, Current, Draft, Effect, Inputs, Operand, Params};
use crate::resp::{LongDouble, format_i64, parse_i64};
use crate::types::Args;

const FLAGS: Flags = Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("incr", 2, FLAGS, (plan_incr, finish)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Adds one to a whole number; no value counts as 0.",
    ),
    Command::new("decr", 2, FLAGS, (plan_decr, finish)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Subtracts one from a whole number; no value counts as 0.",
    ),
    Command::new("incrby", 3, FLAGS, (plan_incrby, finish)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Adds a whole number to a value; no value counts as 0.",
    ),
    Command::new("decrby", 3, FLAGS, (plan_decrby, finish)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Subtracts a whole number from a value; no value counts as 0.",
    ),
    Command::new("incrbyfloat", 3, FLAGS, (plan_incrbyfloat, finish)).keys(Keys::ONE).docs(
        Group::String,
        "2.6.0",
        "Adds a fraction to a value; no value counts as 0.",
    ),
];

fn plan_incr(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_add(planning, args, 1)
}

fn plan_decr(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_add(planning, args, -1)
}

fn plan_incrby(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_add(planning, args, integer(args.get(2))?)
}

fn plan_decrby(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let amount = integer(args.get(2))?;
    plan_add(planning, args, amount.checked_neg().ok_or(CommandError::text("ERR decrement would overflow"))?)
}

fn plan_add(planning: &mut Planning<'_>, args: Args<'_>, amount: i64) -> Result<()> {
    planning.on(args, 1, Action::Change(add, Params { numbers: [amount, 0, 0], operand: Operand::default() }));
    Ok(())
}

fn plan_incrbyfloat(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    LongDouble::parse(args.get(2)).ok_or(CommandError::NOT_FLOAT)?;
    let operand = Operand::Input(args.span(2));
    planning.on(args, 1, Action::Change(add_fraction, Params { operand, ..Params::default() }));
    Ok(())
}

fn finish(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

fn add(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let [amount, ..] = inputs.numbers;
    let Some(old) = current.map_or(Some(0), |current| parse_i64(current.value)) else {
        return refuse(draft, "ERR value is not an integer or out of range");
    };
    let Some(sum) = old.checked_add(amount) else {
        return refuse(draft, "ERR increment or decrement would overflow");
    };
    format_i64(sum, draft.value);
    draft.answer = Answer::Integer(sum);
    Effect::Write
}

fn add_fraction(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let old = current.map_or(Some(LongDouble::from(0)), |current| LongDouble::parse(current.value));
    let (Some(old), Some(amount)) = (old, LongDouble::parse(inputs.operand)) else {
        return refuse(draft, "ERR value is not a valid float");
    };
    let Some(sum) = old.checked_add(amount) else {
        return refuse(draft, "ERR increment would produce NaN or Infinity");
    };
    sum.format(draft.value);
    draft.answer = Answer::bytes(draft.value, draft.arena);
    Effect::Write
}

fn refuse(draft: &mut Draft<'_>, line: &'static str) -> Effect {
    draft.answer = Answer::Error(line);
    Effect::Keep
}
