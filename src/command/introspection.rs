//! COMMAND and its subcommands: the table as clients see it.

use crate::command::context::{Finishing, Next, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::lookup::{find, resolve};
use crate::command::table::{Command, Flags, Group, Keys, commands};
use crate::resp::Reply;
use crate::types::{Args, glob_match};

const COLD: Flags = Flags::ALONE.with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("command", -1, COLD, (plan_nothing, finish_command))
    .docs(Group::Server, "2.8.13", "Describes every command.")
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    sub("count", 2, finish_count, "Counts the commands."),
    sub("info", -2, finish_info, "Describes some commands."),
    sub("list", -2, finish_list, "Lists the names of commands."),
    sub("docs", -2, finish_docs, "Tells what commands are for."),
    sub("getkeys", -4, finish_getkeys, "Picks the keys out of a whole command."),
    sub("getkeysandflags", -4, finish_getkeysandflags, "Picks the keys out of a whole command, with their use."),
    sub("help", 2, finish_help, "Lists the subcommands."),
];

const fn sub(name: &'static str, arity: i16, finish: crate::command::Finish, summary: &'static str) -> Command {
    Command::new(name, arity, COLD, (plan_nothing, finish)).docs(Group::Server, "2.8.13", summary)
}

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "COMMAND", SUBCOMMANDS)
}

fn finish_command(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.array(commands().count());
    commands().for_each(|command| describe(&mut finishing.reply, None, command));
    Next::Done
}

fn finish_count(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer(commands().count() as i64);
    Next::Done
}

fn finish_info(finishing: &mut Finishing<'_>) -> Next {
    if finishing.args.count() == 2 {
        return finish_command(finishing);
    }
    finishing.reply.array(finishing.args.count() - 2);
    for name in finishing.args.iter().skip(2) {
        match named(name) {
            Some((container, command)) => describe(&mut finishing.reply, container, command),
            None => finishing.reply.null_array(),
        }
    }
    Next::Done
}

/// The command of that name; a subcommand's is `container|name`.
fn named(name: &[u8]) -> Option<(Option<&'static str>, &'static Command)> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let command = find(words.next()?)?.command;
    match words.next() {
        None => Some((None, command)),
        Some(word) => {
            let is_named = |sub: &&Command| sub.name.as_bytes().eq_ignore_ascii_case(word);
            command.subcommands.iter().find(is_named).map(|sub| (Some(command.name), sub))
        }
    }
}

/// The ten fields of a command: name, arity, flags, keys (three), categories, tips, key specifications, subcommands.
fn describe(reply: &mut Reply<'_>, container: Option<&str>, command: &Command) {
    let name = full_name(container, command);
    reply.array(10);
    reply.bulk(name.as_bytes());
    reply.integer(i64::from(command.arity));
    let flags = flag_names(command);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    let Keys { first, last, step } = command.keys;
    [first, last, step].into_iter().for_each(|position| reply.integer(i64::from(position)));
    let categories = categories(command);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(category));
    reply.array(0);
    describe_keys(reply, command);
    reply.array(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| describe(reply, Some(command.name), sub));
}

fn full_name(container: Option<&str>, command: &Command) -> String {
    container.map_or_else(|| command.name.to_owned(), |container| format!("{container}|{}", command.name))
}

fn flag_names(command: &Command) -> Vec<&'static str> {
    let shown = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MULTI, "no_multi"),
    ];
    shown.into_iter().filter(|(flag, _)| command.flags.has(*flag)).map(|(_, name)| name).collect()
}

fn categories(command: &Command) -> Vec<&'static str> {
    let group = match command.group {
        Group::String => "@string",
        Group::Bitmap => "@bitmap",
        Group::Generic => "@keyspace",
        Group::Connection => "@connection",
        Group::Transactions => "@transaction",
        Group::Scripting => "@scripting",
        Group::Server | Group::Cluster => "@admin",
    };
    let mut categories = Vec::new();
    for (flag, name) in [(Flags::WRITE, "@write"), (Flags::READONLY, "@read")] {
        if command.flags.has(flag) {
            categories.push(name);
        }
    }
    categories.push(group);
    categories.push(if command.flags.has(Flags::FAST) { "@fast" } else { "@slow" });
    categories
}

/// One key specification, by index and range, if the command has keys.
fn describe_keys(reply: &mut Reply<'_>, command: &Command) {
    let Keys { first, last, step } = command.keys;
    if first == 0 {
        return reply.array(0);
    }
    reply.array(1);
    reply.map(3);
    reply.bulk(b"flags");
    let uses = key_uses(command);
    reply.set(uses.len());
    uses.iter().for_each(|name| reply.simple(name));
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"index");
    reply.bulk(b"spec");
    reply.map(1);
    reply.bulk(b"index");
    reply.integer(i64::from(first));
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"range");
    reply.bulk(b"spec");
    reply.map(3);
    // Counted from the first key, unless it is counted from the end.
    let last = if last < 0 { last } else { last - first };
    for (field, value) in [("lastkey", last), ("keystep", step), ("limit", 0)] {
        reply.bulk(field.as_bytes());
        reply.integer(i64::from(value));
    }
}

fn key_uses(command: &Command) -> &'static [&'static str] {
    if command.flags.has(Flags::WRITE) { &["RW", "update"] } else { &["RO", "access"] }
}

fn finish_list(finishing: &mut Finishing<'_>) -> Next {
    match listed(finishing.args) {
        Ok(names) => {
            finishing.reply.array(names.len());
            names.iter().for_each(|name| finishing.reply.bulk(name.as_bytes()));
            Next::Done
        }
        Err(error) => finishing.fail(&error),
    }
}

fn listed(args: Args<'_>) -> Result<Vec<String>> {
    let all = || crate::command::lookup::all().map(|(container, command)| (full_name(container, command), command));
    if args.count() == 2 {
        return Ok(commands().map(|command| command.name.to_owned()).collect());
    }
    if args.count() != 5 || !args.get(2).eq_ignore_ascii_case(b"FILTERBY") {
        return Err(CommandError::SYNTAX);
    }
    let (filter, wanted) = (args.get(3), args.get(4));
    if filter.eq_ignore_ascii_case(b"PATTERN") {
        let wanted = wanted.to_ascii_lowercase();
        return Ok(all().filter(|(name, _)| glob_match(&wanted, name.as_bytes())).map(|(name, _)| name).collect());
    }
    if filter.eq_ignore_ascii_case(b"ACLCAT") {
        let category = [b"@", wanted].concat().to_ascii_lowercase();
        let is_in = |command: &Command| categories(command).iter().any(|name| name.as_bytes() == category);
        return Ok(all().filter(|(_, command)| is_in(command)).map(|(name, _)| name).collect());
    }
    if filter.eq_ignore_ascii_case(b"MODULE") {
        return Ok(Vec::new());
    }
    Err(CommandError::SYNTAX)
}

fn finish_docs(finishing: &mut Finishing<'_>) -> Next {
    let wanted: Vec<_> = if finishing.args.count() == 2 {
        commands().map(|command| (None, command)).collect()
    } else {
        finishing.args.iter().skip(2).filter_map(named).collect()
    };
    finishing.reply.map(wanted.len());
    wanted.iter().for_each(|(container, command)| document(&mut finishing.reply, *container, command));
    Next::Done
}

fn document(reply: &mut Reply<'_>, container: Option<&str>, command: &Command) {
    reply.bulk(full_name(container, command).as_bytes());
    reply.map(if command.subcommands.is_empty() { 3 } else { 4 });
    let fields = [("summary", command.summary), ("since", command.since), ("group", command.group.name())];
    for (field, value) in fields {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|sub| document(reply, Some(command.name), sub));
    }
}

fn finish_getkeys(finishing: &mut Finishing<'_>) -> Next {
    match keys_of(finishing.args.from(2)) {
        Ok((_, keys)) => {
            finishing.reply.array(keys.len());
            keys.iter().for_each(|key| finishing.reply.bulk(key));
            Next::Done
        }
        Err(error) => finishing.fail(&error),
    }
}

fn finish_getkeysandflags(finishing: &mut Finishing<'_>) -> Next {
    match keys_of(finishing.args.from(2)) {
        Ok((command, keys)) => {
            finishing.reply.array(keys.len());
            let uses = key_uses(command);
            for key in keys {
                finishing.reply.array(2);
                finishing.reply.bulk(key);
                finishing.reply.set(uses.len());
                uses.iter().for_each(|name| finishing.reply.simple(name));
            }
            Next::Done
        }
        Err(error) => finishing.fail(&error),
    }
}

/// The keys of a whole command, and what command it is.
fn keys_of(args: Args<'_>) -> Result<(&'static Command, Vec<&[u8]>)> {
    if find(args.get(0)).is_none() {
        return Err(CommandError::text("ERR Invalid command specified"));
    }
    let wrong = |_| CommandError::text("ERR Invalid number of arguments specified for command");
    let command = resolve(args).map_err(wrong)?.command;
    let keys: Vec<&[u8]> = command.keys.indexes(args.count()).map(|index| args.get(index)).collect();
    if keys.is_empty() {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    Ok((command, keys))
}
