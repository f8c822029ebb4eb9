//! CONSISTENCY: the levels that a connection reads and writes at; and the check of every command that runs under one.
//!
//! A choice takes effect when it is planned, so that it holds for the commands after it in a pipeline. A connection that has
//! chosen nothing pays one test of a flag per command.

use std::borrow::Cow;

use crate::command::Identity;
use crate::command::arguments::is_word;
use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Finish, Flags, Group, Plan};
use crate::coordinator::Levels;
use crate::quorum::{Dc, Level, Lists, Names, Numbered, Purpose, Requirement, Seat};
use crate::session::LevelChoice;
use crate::types::{ArcId, Args, NodeNumber};

const QUICK: Flags = Flags::FAST.with(Flags::LOADING).with(Flags::STALE).with(Flags::NOSCRIPT);
const COLD: Flags = QUICK.with(Flags::ALONE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("consistency", -1, COLD, (plan_nothing, finish_show))
    .docs(
        Group::Connection,
        "annulus",
        "Answers a map with the level of reads, that of writes, and for each where it comes from: default, connection or \
         next.",
    )
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    sub(
        "read",
        -3,
        QUICK,
        (plan_choice, finish_ok),
        "Sets the level of reads for this connection (READ level [WRITE level]).",
    ),
    sub(
        "write",
        -3,
        QUICK,
        (plan_choice, finish_ok),
        "Sets the level of writes for this connection (WRITE level [READ level]).",
    ),
    sub("next", -4, QUICK, (plan_next, finish_ok), "Sets levels for the next command that reads or writes keys alone."),
    sub("default", 2, QUICK, (plan_default, finish_ok), "Goes back to the server's levels."),
    sub(
        "levels",
        2,
        COLD,
        (plan_nothing, finish_levels),
        "Answers a map of the levels, with what each needs in this cluster now.",
    ),
    sub("help", 2, COLD, (plan_nothing, finish_help), "Lists the subcommands."),
];

const fn sub(name: &'static str, arity: i16, flags: Flags, run: (Plan, Finish), summary: &'static str) -> Command {
    Command::new(name, arity, flags, run).docs(Group::Connection, "annulus", summary)
}

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "CONSISTENCY", SUBCOMMANDS)
}

fn finish_show(finishing: &mut Finishing<'_>) -> Next {
    let levels = finishing.session.levels;
    let reply = &mut finishing.reply;
    reply.map(4);
    for (name, (level, source)) in [("read", levels.read()), ("write", levels.write())] {
        reply.bulk(name.as_bytes());
        reply.bulk(level.to_string().as_bytes());
        reply.bulk(format!("{name}-from").as_bytes());
        reply.bulk(source.name().as_bytes());
    }
    Next::Done
}

fn plan_choice(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.session.levels.choose(parse_choice(args.from(1))?);
    Ok(())
}

fn plan_next(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.session.levels.choose_next(parse_choice(args.from(2))?);
    Ok(())
}

fn plan_default(planning: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    planning.session.levels.reset();
    Ok(())
}

/// `READ level` and `WRITE level`, in any order, each at most once.
fn parse_choice(args: Args<'_>) -> Result<LevelChoice> {
    let mut choice = LevelChoice::default();
    for index in (0..args.count()).step_by(2) {
        let place = match args.get(index) {
            word if is_word(word, "READ") => &mut choice.read,
            word if is_word(word, "WRITE") => &mut choice.write,
            _ => return Err(CommandError::SYNTAX),
        };
        if place.is_some() || index + 1 == args.count() {
            return Err(CommandError::SYNTAX);
        }
        *place = Some(parse_level(args.get(index + 1))?);
    }
    Ok(choice)
}

fn parse_level(argument: &[u8]) -> Result<Level> {
    String::from_utf8_lossy(argument).parse().map_err(|error| CommandError::line(format!("ERR {error}")))
}

fn finish_levels(finishing: &mut Finishing<'_>) -> Next {
    let identity = finishing.services.admin.identity();
    let view = finishing.services.coordinator.cluster().map(|cluster| cluster.view());
    finishing.reply.map(Level::NAMED.len());
    for level in Level::NAMED {
        // Every arc has as many replicas; whose they are does not matter here.
        let of_cluster = view.as_ref().map(|view| view.seating.requirement(level, view.placement(ArcId(0))));
        let requirement = of_cluster.unwrap_or_else(|| requirement(level, identity));
        let short = requirement.shortfall(Purpose::Read, requirement.everyone());
        let missing = if short.is_some() { "; more than there are" } else { "" };
        let query = if level.has_query() { "; a write first asks a majority what it has seen" } else { "" };
        finishing.reply.bulk(level.to_string().as_bytes());
        finishing.reply.bulk(format!("{}{query}{missing}", requirement.told(identity)).as_bytes());
    }
    Next::Done
}

/// Has a command run at the levels that its connection has chosen, and refuses one whose level no replicas of a node that
/// is alone can meet.
pub(super) fn choose(planning: &mut Planning<'_>, command: &Command) -> Result<()> {
    let levels = planning.session.levels;
    planning.batch.set_levels(Levels { read: levels.read().0, write: levels.write().0 });
    let (purpose, level) = if command.flags.has(Flags::WRITE) {
        (Purpose::Write, levels.write().0)
    } else if command.flags.has(Flags::READONLY) {
        (Purpose::Read, levels.read().0)
    } else {
        return Ok(());
    };
    planning.session.levels.end_next();
    if planning.services.coordinator.cluster().is_some() {
        // Whether the replicas of its key can meet it, the coordinator finds out.
        return Ok(());
    }
    let identity = planning.services.admin.identity();
    let requirement = requirement(level, identity);
    match requirement.shortfall(purpose, requirement.everyone()) {
        Some(short) => Err(CommandError::unavailable(&short, identity)),
        None => Ok(()),
    }
}

/// What a level requires of a ring whose only member is this node.
fn requirement(level: Level, identity: &Identity) -> Requirement {
    let seats = [Seat { node: identity.node_number, dc: Dc(0) }];
    Requirement::new(level, Lists { now: &seats, next: None, local: Dc(0) })
}

impl Names for Identity {
    fn node(&self, node: NodeNumber) -> Cow<'_, str> {
        if node == self.node_number { Cow::Borrowed(&self.name) } else { Numbered.node(node) }
    }

    fn dc(&self, _: Dc) -> Cow<'_, str> {
        Cow::Borrowed(&self.dc)
    }
}
