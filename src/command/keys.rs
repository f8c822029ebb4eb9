//! Presence and removal of keys: DEL, UNLINK, EXISTS, TOUCH, TYPE; and WAIT, which Redis counts among them.
//!
//! Commands on several keys are one operation per key, in order: a key named twice is deleted once and counted twice.
//! A value is freed by background work whichever command deletes its key, so UNLINK is DEL.

use crate::command::arguments::integer;
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Existed, Outcome};
use crate::resp::parse_i64;
use crate::types::Args;

const READ: Flags = Flags::READONLY.with(Flags::FAST);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("del", -2, Flags::WRITE, (plan_delete, finish_deleted)).keys(Keys::ALL).docs(
        Group::Generic,
        "1.0.0",
        "Deletes keys and answers how many there were.",
    ),
    Command::new("unlink", -2, Flags::WRITE.with(Flags::FAST), (plan_delete, finish_deleted)).keys(Keys::ALL).docs(
        Group::Generic,
        "4.0.0",
        "Deletes keys and answers how many there were.",
    ),
    Command::new("exists", -2, READ, (plan_look, finish_present)).keys(Keys::ALL).docs(
        Group::Generic,
        "1.0.0",
        "Answers how many of the keys exist, counting repeats.",
    ),
    Command::new("touch", -2, READ, (plan_look, finish_present)).keys(Keys::ALL).docs(
        Group::Generic,
        "3.2.1",
        "Answers how many of the keys exist, counting repeats; the time of their last use is not kept.",
    ),
    Command::new("type", 2, READ, (plan_look, finish_type)).keys(Keys::ONE).docs(
        Group::Generic,
        "1.0.0",
        "Tells the type of a key's value.",
    ),
    Command::new("wait", 3, Flags::NOSCRIPT, (plan_wait, finish_wait)).docs(
        Group::Generic,
        "3.0.0",
        "Answers 0 at once: a reply to a write already says that it has its replicas.",
    ),
];

fn plan_each(planning: &mut Planning<'_>, args: Args<'_>, action: Action) {
    for index in 1..args.count() {
        planning.on(args, index, action);
    }
}

fn plan_delete(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_each(planning, args, Action::Delete);
    Ok(())
}

fn plan_look(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_each(planning, args, Action::Look);
    Ok(())
}

/// Replies how many of the command's outcomes are such.
fn reply_count(finishing: &mut Finishing<'_>, is_counted: impl Fn(Outcome) -> bool) -> Next {
    let batch = &finishing.batch;
    let count = (finishing.first..finishing.end).filter(|index| is_counted(batch.outcome(*index))).count();
    finishing.reply.integer(count as i64);
    Next::Done
}

fn finish_deleted(finishing: &mut Finishing<'_>) -> Next {
    reply_count(finishing, |outcome| matches!(outcome, Outcome::Deleted(Existed::Yes)))
}

fn finish_present(finishing: &mut Finishing<'_>) -> Next {
    reply_count(finishing, |outcome| matches!(outcome, Outcome::Found(_)))
}

fn finish_type(finishing: &mut Finishing<'_>) -> Next {
    let found = finishing.batch.found(finishing.first);
    finishing.reply.simple(if found.is_some() { "string" } else { "none" });
    Next::Done
}

fn plan_wait(_: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    integer(args.get(1))?;
    match parse_i64(args.get(2)) {
        None => Err(CommandError::text("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(CommandError::text("ERR timeout is negative")),
        Some(_) => Ok(()),
    }
}

fn finish_wait(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer(0);
    Next::Done
}
