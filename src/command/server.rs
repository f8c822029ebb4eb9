//! The server family: TIME, FLUSHALL, FLUSHDB, SNAPSHOT, SHUTDOWN, ROLE, LASTSAVE, and the FLUSH of scripts and functions.
//!
//! FLUSHALL and FLUSHDB hide everything at once by a flush time and then free the space; SYNC and ASYNC mean the same.
//! There are no scripts and no functions, so flushing them does nothing, which is what test suites ask for.

use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Flags, Group};
use crate::replica::{Action, Operand};
use crate::types::Args;

const COLD: Flags = Flags::ALONE.with(Flags::LOADING).with(Flags::STALE);
const SNAPSHOT: Flags = Flags::ADMIN.with(Flags::ALONE).with(Flags::GLOBAL).with(Flags::NO_MULTI);
const FLUSH: Flags = Flags::WRITE.with(Flags::ALONE).with(Flags::GLOBAL);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] =
    &[
        Command::new("time", 1, COLD.with(Flags::FAST), (plan_nothing, finish_time)).docs(
            Group::Server,
            "2.6.0",
            "Tells the node's wall clock in seconds and microseconds.",
        ),
        Command::new("flushall", -1, FLUSH, (plan_flushall, finish_ok)).docs(
            Group::Server,
            "1.0.0",
            "Deletes all keys of all databases.",
        ),
        Command::new("flushdb", -1, FLUSH, (plan_flushdb, finish_ok)).docs(
            Group::Server,
            "1.0.0",
            "Deletes all keys of the chosen database.",
        ),
        Command::new("shutdown", -1, COLD.with(Flags::ADMIN).with(Flags::NO_MULTI), (plan_shutdown, finish_shutdown))
            .docs(Group::Server, "1.0.0", "Ends the node after every connection has finished what it was at."),
        Command::new("snapshot", 2, SNAPSHOT, (plan_snapshot, finish_ok)).docs(
            Group::Server,
            "0.1.0",
            "Makes a verified copy of all data, from which a node can be started, in a new folder of snapshot-dir.",
        ),
        Command::new("role", 1, COLD.with(Flags::FAST), (plan_nothing, finish_role)).docs(
            Group::Server,
            "2.8.12",
            "Tells that this node takes writes.",
        ),
        Command::new("lastsave", 1, COLD.with(Flags::FAST), (plan_nothing, finish_lastsave)).docs(
            Group::Server,
            "1.0.0",
            "Tells the time of the last save; every acknowledged write is saved, so that is now.",
        ),
        Command::new("script", -2, Flags::NONE, (plan_nothing, finish_ok))
            .docs(Group::Scripting, "2.6.0", "There are no scripts; flushing them succeeds.")
            .subcommands(SCRIPT),
        Command::new("function", -2, Flags::NONE, (plan_nothing, finish_ok))
            .docs(Group::Scripting, "7.0.0", "There are no functions; flushing them succeeds.")
            .subcommands(FUNCTION),
    ];

static SCRIPT: &[Command] = &[
    Command::new("flush", -2, COLD, (plan_script_flush, finish_ok)).docs(
        Group::Scripting,
        "2.6.0",
        "Forgets all scripts, of which there are none.",
    ),
    Command::new("help", 2, COLD, (plan_nothing, finish_script_help)).docs(
        Group::Scripting,
        "5.0.0",
        "Lists the subcommands.",
    ),
];

static FUNCTION: &[Command] = &[
    Command::new("flush", -2, COLD, (plan_function_flush, finish_ok)).docs(
        Group::Scripting,
        "7.0.0",
        "Forgets all functions, of which there are none.",
    ),
    Command::new("help", 2, COLD, (plan_nothing, finish_function_help)).docs(
        Group::Scripting,
        "7.0.0",
        "Lists the subcommands.",
    ),
];

fn finish_script_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "SCRIPT", SCRIPT)
}

fn finish_function_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "FUNCTION", FUNCTION)
}

fn finish_time(finishing: &mut Finishing<'_>) -> Next {
    let now_ms = finishing.batch.now_ms();
    finishing.reply.array(2);
    finishing.reply.bulk((now_ms / 1000).to_string().as_bytes());
    finishing.reply.bulk((now_ms % 1000 * 1000).to_string().as_bytes());
    Next::Done
}

fn plan_flushall(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_flush(args, 1)?;
    planning.batch.push(planning.session.database, Operand::default(), Action::FlushAll);
    Ok(())
}

fn plan_flushdb(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_flush(args, 1)?;
    planning.batch.push(planning.session.database, Operand::default(), Action::Flush);
    Ok(())
}

/// The folder is named by one word of letters, digits, `-`, `_` and `.`: a client chooses no place.
fn plan_snapshot(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let settings = planning.services.admin.settings();
    let dir = settings.iter().find(|setting| setting.name == "snapshot-dir").map_or("", |setting| &setting.value);
    if dir.is_empty() {
        return Err(CommandError::text(
            "ERR SNAPSHOT is off: set snapshot-dir to the directory that copies may be made in",
        ));
    }
    let name = args.get(1);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if name.is_empty() || name.len() > 128 || name.first() == Some(&b'.') || !name.iter().all(is_plain) {
        return Err(CommandError::text(
            "ERR a snapshot is named by up to 128 letters, digits, '-', '_' and '.', and not with '.' at its beginning",
        ));
    }
    let path = [dir.as_bytes(), b"/", name].concat();
    let path = planning.batch.store(&path);
    planning.batch.push(planning.session.database, path, Action::Snapshot);
    Ok(())
}

fn plan_script_flush(_: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_flush(args, 2).map_err(|_| CommandError::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"))
}

fn plan_function_flush(_: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    check_flush(args, 2).map_err(|_| CommandError::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"))
}

/// At most one word, SYNC or ASYNC, at `index`.
fn check_flush(args: Args<'_>, index: usize) -> Result<()> {
    let word = args.get(index);
    let is_known = word.eq_ignore_ascii_case(b"SYNC") || word.eq_ignore_ascii_case(b"ASYNC");
    match args.count().saturating_sub(index) {
        0 => Ok(()),
        1 if is_known => Ok(()),
        _ => Err(CommandError::SYNTAX),
    }
}

fn plan_shutdown(_: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let mut save = 0;
    for word in args.iter().skip(1) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("SAVE") || is("NOSAVE") {
            save += 1;
        } else if is("ABORT") && args.count() == 2 {
            return Err(CommandError::text("ERR No shutdown in progress."));
        } else if !is("NOW") && !is("FORCE") {
            return Err(CommandError::SYNTAX);
        }
    }
    if save > 1 { Err(CommandError::SYNTAX) } else { Ok(()) }
}

/// No reply: clients take the closed connection for the answer.
fn finish_shutdown(finishing: &mut Finishing<'_>) -> Next {
    finishing.services.admin.shut_down();
    finishing.session.closing = true;
    Next::Done
}

fn finish_role(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.array(3);
    finishing.reply.bulk(b"master");
    finishing.reply.integer(0);
    finishing.reply.array(0);
    Next::Done
}

fn finish_lastsave(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer((finishing.batch.now_ms() / 1000) as i64);
    Next::Done
}
