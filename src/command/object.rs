//! What is known about a value besides its bytes: OBJECT and MEMORY.
//!
//! Values are stored as bytes alone, so what Redis keeps beside them is derived: the encoding from the bytes, the idle time
//! from the version's time, the memory from the lengths.

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Finish, Flags, Group, Keys, Plan};
use crate::replica::{Action, Answer, Current, Found, Inputs, Params};
use crate::resp::parse_i64;
use crate::types::Args;

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("object", -2, Flags::NONE, (plan_nothing, finish_ok))
        .docs(Group::Generic, "2.2.3", "Tells about the value of a key.")
        .subcommands(OBJECT),
    Command::new("memory", -2, Flags::NONE, (plan_nothing, finish_ok))
        .docs(Group::Server, "4.0.0", "Tells about memory.")
        .subcommands(MEMORY),
];

/// The second argument.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

static OBJECT: &[Command] = &[
    of_key("encoding", (plan_encoding, finish_encoding), "2.2.3", "Tells how Redis would store the value."),
    of_key("freq", (plan_look, finish_freq), "4.0.0", "Refused: how often a key is used is not kept."),
    of_key("idletime", (plan_look, finish_idletime), "2.2.3", "Answers the seconds since the last write of the key."),
    of_key("refcount", (plan_look, finish_refcount), "2.2.3", "Answers 1 for every key that exists."),
    help(finish_object_help, "6.2.0"),
];

static MEMORY: &[Command] = &[
    Command::new("doctor", 2, Flags::ALONE.with(Flags::GLOBAL), (plan_nothing, finish_doctor)).docs(
        Group::Server,
        "4.0.0",
        "Tells which of the node's memory budgets are nearly used up.",
    ),
    Command::new("stats", 2, Flags::ALONE.with(Flags::GLOBAL), (plan_nothing, finish_stats)).docs(
        Group::Server,
        "4.0.0",
        "Lists the node's memory and its budgets.",
    ),
    Command::new("usage", -3, Flags::READONLY, (plan_usage, finish_usage)).keys(SECOND).docs(
        Group::Server,
        "4.0.0",
        "Estimates the bytes of memory that a key and its value take.",
    ),
    help(finish_memory_help, "4.0.0"),
];

const fn of_key(name: &'static str, run: (Plan, Finish), since: &'static str, summary: &'static str) -> Command {
    Command::new(name, 3, Flags::READONLY, run).keys(SECOND).docs(Group::Generic, since, summary)
}

const fn help(finish: Finish, since: &'static str) -> Command {
    let flags = Flags::LOADING.with(Flags::STALE);
    Command::new("help", 2, flags, (plan_nothing, finish)).docs(Group::Generic, since, "Lists the subcommands.")
}

fn finish_object_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "OBJECT", OBJECT)
}

fn finish_memory_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "MEMORY", MEMORY)
}

fn plan_look(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 2, Action::Look);
    Ok(())
}

fn plan_encoding(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 2, Action::Examine(answer_encoding, Params::default()));
    Ok(())
}

fn answer_encoding(current: Option<Current<'_>>, _: &Inputs<'_>, arena: &mut Vec<u8>) -> Answer {
    current.map_or(Answer::Nil, |current| Answer::bytes(encoding(current.value).as_bytes(), arena))
}

/// Longest value that Redis stores together with its header.
const EMBEDDED_BYTES: usize = 44;

/// How Redis stores a value that was just set.
fn encoding(value: &[u8]) -> &'static str {
    if parse_i64(value).is_some() {
        "int"
    } else if value.len() <= EMBEDDED_BYTES {
        "embstr"
    } else {
        "raw"
    }
}

fn finish_encoding(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

/// Replies null without a key, else the number that `show` makes of what was found.
fn reply_number(finishing: &mut Finishing<'_>, show: impl Fn(&Finishing<'_>, Found) -> usize) -> Next {
    match finishing.batch.found(finishing.first) {
        None => finishing.reply.null(),
        Some(found) => {
            let number = show(finishing, found);
            finishing.reply.integer(number as i64);
        }
    }
    Next::Done
}

fn finish_freq(finishing: &mut Finishing<'_>) -> Next {
    match finishing.batch.found(finishing.first) {
        None => finishing.reply.null(),
        Some(_) => finishing.reply.error(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        ),
    }
    Next::Done
}

fn finish_idletime(finishing: &mut Finishing<'_>) -> Next {
    reply_number(finishing, |finishing, found| {
        (finishing.batch.now_ms().saturating_sub(found.written.wall_ms()) / 1000) as usize
    })
}

fn finish_refcount(finishing: &mut Finishing<'_>) -> Next {
    reply_number(finishing, |_, _| 1)
}

fn plan_usage(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    for index in (3..args.count()).step_by(2) {
        if !is_word(args.get(index), "SAMPLES") || index + 1 == args.count() {
            return Err(CommandError::SYNTAX);
        }
        // A string is never sampled, so the number only has to be one.
        if integer(args.get(index + 1))? < 0 {
            return Err(CommandError::SYNTAX);
        }
    }
    planning.on(args, 2, Action::Look);
    Ok(())
}

/// What an entry in memory takes besides key and value: its node in the tree, its address bytes, and a record's header.
const ENTRY_BYTES: usize = 64 + 8 + 32;

fn finish_usage(finishing: &mut Finishing<'_>) -> Next {
    reply_number(finishing, |finishing, found| {
        let expiry_bytes = if found.expiry.is_some() { 8 } else { 0 };
        ENTRY_BYTES + expiry_bytes + finishing.args.get(2).len() + found.value.len as usize
    })
}

fn finish_stats(finishing: &mut Finishing<'_>) -> Next {
    let status = finishing.services.admin.status();
    let keys = status.keyspace.iter().map(|database| database.keys).sum::<u64>();
    let process = status.process;
    let reply = &mut finishing.reply;
    reply.map(3 + 2 * status.budgets.len());
    let figures = [
        ("peak.allocated", process.resident_peak_bytes),
        ("total.allocated", process.resident_bytes),
        ("keys.count", keys),
    ];
    for (name, figure) in figures {
        reply.bulk(name.as_bytes());
        reply.integer(figure as i64);
    }
    for budget in &status.budgets {
        for (kind, bytes) in [("used", budget.used), ("limit", budget.limit)] {
            reply.bulk(format!("{}.{kind}", budget.name).as_bytes());
            reply.integer(bytes as i64);
        }
    }
    Next::Done
}

fn finish_doctor(finishing: &mut Finishing<'_>) -> Next {
    let status = finishing.services.admin.status();
    let full = status.budgets.iter().filter(|budget| budget.used > budget.limit / 10 * 9);
    let mut text = String::new();
    for budget in full {
        text.push_str(&format!("{} uses {} of {} bytes.\n", budget.name, budget.used, budget.limit));
    }
    if text.is_empty() {
        text.push_str("No memory budget is more than nine tenths used.\n");
    }
    finishing.reply.verbatim(&text);
    Next::Done
}

#[cfg(test)]
mod tests {
    use super::encoding;

    #[test]
    fn encodings_follow_from_the_value() {
        for (value, expected) in [
            ("", "embstr"),
            ("0", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("01", "embstr"),
            (&"x".repeat(44), "embstr"),
            (&"x".repeat(45), "raw"),
        ] {
            assert_eq!(encoding(value.as_bytes()), expected, "{value}");
        }
    }
}
