//! Values that change their key: RENAME, RENAMENX, COPY; and the refusal of MOVE and SWAPDB.
//!
//! Both keys are locked together while these run. What is written comes before what is deleted, and each only after the
//! step before it succeeded: a write that is refused (the new key may make the pair too large) leaves everything as it was.

use crate::command::arguments::is_word;
use crate::command::connection::parse_database;
use crate::command::context::{Finishing, Next, Planning, finish_ok};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Operand};
use crate::types::{Args, Database};

const TOGETHER: Flags = Flags::WRITE.with(Flags::ALONE).with(Flags::ATOMIC);
/// The first two arguments.
const PAIR: Keys = Keys { first: 1, last: 2, step: 1 };
const COPY_FLAGS: Flags = TOGETHER.with(Flags::DENYOOM).with(Flags::ANY_DATABASE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("rename", 3, TOGETHER, (plan_rename, finish_rename)).keys(PAIR).docs(
        Group::Generic,
        "1.0.0",
        "Gives a key another name, replacing what had it.",
    ),
    Command::new("renamenx", 3, TOGETHER.with(Flags::FAST), (plan_rename, finish_renamenx)).keys(PAIR).docs(
        Group::Generic,
        "1.0.0",
        "Gives a key another name unless that is taken.",
    ),
    Command::new("copy", -3, COPY_FLAGS, (plan_copy, finish_copy)).keys(PAIR).docs(
        Group::Generic,
        "6.2.0",
        "Copies a key's value and expiry to another key or database.",
    ),
    Command::new("move", 3, Flags::WRITE.with(Flags::FAST), (plan_move, finish_ok)).keys(Keys::ONE).docs(
        Group::Generic,
        "1.0.0",
        "Not supported: COPY to the other database and delete.",
    ),
    Command::new("swapdb", 3, Flags::WRITE.with(Flags::FAST), (plan_swapdb, finish_ok)).docs(
        Group::Server,
        "4.0.0",
        "Not supported: a database's number is part of its keys.",
    ),
];

/// Places of the operations that both kinds of command begin with.
const SOURCE: usize = 0;
const TARGET: usize = 1;

/// What becomes of a value that already has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Replace,
    Spare,
}

fn plan_rename(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Read);
    planning.on(args, 2, Action::Look);
    Ok(())
}

/// How far a renaming is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renaming {
    UnderWay,
    Done,
    Spared,
}

fn finish_rename(finishing: &mut Finishing<'_>) -> Next {
    match rename_step(finishing, Existing::Replace) {
        Ok(Renaming::UnderWay) => Next::More,
        Ok(_) => finishing.ok(),
        Err(error) => finishing.fail(&error),
    }
}

fn finish_renamenx(finishing: &mut Finishing<'_>) -> Next {
    let renamed = match rename_step(finishing, Existing::Spare) {
        Ok(Renaming::UnderWay) => return Next::More,
        Ok(Renaming::Done) => 1,
        Ok(Renaming::Spared) => 0,
        Err(error) => return finishing.fail(&error),
    };
    finishing.reply.integer(renamed);
    Next::Done
}

fn rename_step(finishing: &mut Finishing<'_>, existing: Existing) -> Result<Renaming> {
    let (args, first, database) = (finishing.args, finishing.first, finishing.session.database);
    let batch = &mut finishing.batch;
    match finishing.phase {
        0 => {
            let source = batch.found(first + SOURCE).ok_or(CommandError::text("ERR no such key"))?;
            if args.get(1) == args.get(2) {
                // Redis answers OK to RENAME and 0 to RENAMENX.
                return Ok(Renaming::Spared);
            }
            if existing == Existing::Spare && batch.found(first + TARGET).is_some() {
                return Ok(Renaming::Spared);
            }
            let write = Action::Write { value: Operand::Arena(source.value), expiry: source.expiry };
            batch.push(database, Operand::Input(args.span(2)), write);
            Ok(Renaming::UnderWay)
        }
        1 => {
            batch.push(database, Operand::Input(args.span(1)), Action::Delete);
            Ok(Renaming::UnderWay)
        }
        _ => Ok(Renaming::Done),
    }
}

/// Where COPY writes, and what it may replace.
struct CopyArguments {
    database: Database,
    existing: Existing,
}

impl CopyArguments {
    fn parse(args: Args<'_>, selected: Database) -> Result<CopyArguments> {
        let mut parsed = CopyArguments { database: selected, existing: Existing::Spare };
        let mut index = 3;
        while index < args.count() {
            let option = args.get(index);
            if is_word(option, "REPLACE") {
                parsed.existing = Existing::Replace;
                index += 1;
            } else if is_word(option, "DB") && index + 1 < args.count() {
                parsed.database = parse_database(args.get(index + 1))?;
                index += 2;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        if parsed.database == selected && args.get(1) == args.get(2) {
            return Err(CommandError::text("ERR source and destination objects are the same"));
        }
        Ok(parsed)
    }
}

fn plan_copy(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let database = CopyArguments::parse(args, planning.session.database)?.database;
    planning.on(args, 1, Action::Read);
    planning.batch.push(database, Operand::Input(args.span(2)), Action::Look);
    Ok(())
}

fn finish_copy(finishing: &mut Finishing<'_>) -> Next {
    let (args, first) = (finishing.args, finishing.first);
    let batch = &mut finishing.batch;
    if finishing.phase > 0 {
        finishing.reply.integer(1);
        return Next::Done;
    }
    let parsed = match CopyArguments::parse(args, finishing.session.database) {
        Ok(parsed) => parsed,
        Err(error) => return finishing.fail(&error),
    };
    match batch.found(first + SOURCE) {
        Some(source) if parsed.existing == Existing::Replace || batch.found(first + TARGET).is_none() => {
            let write = Action::Write { value: Operand::Arena(source.value), expiry: source.expiry };
            batch.push(parsed.database, Operand::Input(args.span(2)), write);
            Next::More
        }
        _ => {
            finishing.reply.integer(0);
            Next::Done
        }
    }
}

fn plan_move(_: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    Err(CommandError::text("ERR MOVE is not supported: use COPY with DB, then DEL"))
}

fn plan_swapdb(_: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    Err(CommandError::text("ERR SWAPDB is not supported: a database's number is part of its keys"))
}
