//! CLIENT and its subcommands: names, lists and ends of connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::command::connection::client_name;
use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::help::reply_help;
use crate::command::table::{Command, Flags, Group};
use crate::resp::parse_i64;
use crate::session::{Client, ClientId, KillFilter};
use crate::types::Args;

const COLD: Flags = Flags::ALONE.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE);
const ADMIN: Flags = COLD.with(Flags::ADMIN);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("client", -2, Flags::NONE, (plan_nothing, finish_ok))
    .docs(Group::Connection, "2.4.0", "Names, lists and closes connections.")
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    sub("getname", 2, COLD, (plan_nothing, finish_getname), "Tells this connection's name."),
    sub("setname", 3, COLD, (plan_setname, finish_ok), "Names this connection."),
    sub("setinfo", 4, COLD, (plan_setinfo, finish_ok), "Notes the client library's name or version."),
    sub("id", 2, COLD, (plan_nothing, finish_id), "Tells this connection's number."),
    sub("info", 2, COLD, (plan_nothing, finish_info), "Describes this connection."),
    sub("list", -2, ADMIN, (plan_nothing, finish_list), "Describes all connections."),
    sub("kill", -3, ADMIN, (plan_nothing, finish_kill), "Closes connections."),
    sub("no-evict", 3, ADMIN, (plan_no_evict, finish_ok), "Notes that this connection must not be evicted."),
    sub("reply", 3, COLD, (plan_nothing, finish_reply), "Turns replies to this connection off and on."),
    sub("help", 2, COLD, (plan_nothing, finish_help), "Lists the subcommands."),
];

const fn sub(
    name: &'static str,
    arity: i16,
    flags: Flags,
    run: (crate::command::Plan, crate::command::Finish),
    summary: &'static str,
) -> Command {
    Command::new(name, arity, flags, run).docs(Group::Connection, "2.4.0", summary)
}

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "CLIENT", SUBCOMMANDS)
}

fn finish_getname(finishing: &mut Finishing<'_>) -> Next {
    let name = finishing.session.client.name();
    if name.is_empty() {
        finishing.reply.null();
    } else {
        finishing.reply.bulk(name.as_bytes());
    }
    Next::Done
}

fn plan_setname(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.session.client.set_name(client_name(args.get(2))?);
    Ok(())
}

fn plan_setinfo(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let client = &planning.session.client;
    let (option, value) = (args.get(2), args.get(3));
    let refused =
        |what: &str| CommandError::line(format!("ERR {what} cannot contain spaces, newlines or special characters."));
    if option.eq_ignore_ascii_case(b"LIB-NAME") {
        client.set_library(client_name(value).map_err(|_| refused("lib-name"))?);
    } else if option.eq_ignore_ascii_case(b"LIB-VER") {
        client.set_library_version(client_name(value).map_err(|_| refused("lib-ver"))?);
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", option, "'"));
    }
    Ok(())
}

fn finish_id(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer(finishing.session.client.id.0 as i64);
    Next::Done
}

fn finish_info(finishing: &mut Finishing<'_>) -> Next {
    let mut line = describe(&finishing.session.client, finishing.batch.now_ms(), "client|info");
    line.push('\n');
    finishing.reply.verbatim(&line);
    Next::Done
}

fn finish_list(finishing: &mut Finishing<'_>) -> Next {
    match listed(finishing) {
        Ok(clients) => {
            let (now_ms, own) = (finishing.batch.now_ms(), finishing.session.client.id);
            let lines = clients.iter().map(|client| {
                let command = if client.id == own { "client|list" } else { client.command() };
                describe(client, now_ms, command) + "\n"
            });
            finishing.reply.verbatim(&lines.collect::<String>());
            Next::Done
        }
        Err(error) => finishing.fail(&error),
    }
}

/// The connections that `CLIENT LIST` asks for.
fn listed(finishing: &Finishing<'_>) -> Result<Vec<Arc<Client>>> {
    let args = finishing.args;
    let all = finishing.services.registry.list();
    if args.count() == 2 {
        return Ok(all);
    }
    if args.count() == 4 && args.get(2).eq_ignore_ascii_case(b"TYPE") {
        return Ok(if is_normal(args.get(3))? { all } else { Vec::new() });
    }
    if args.count() > 3 && args.get(2).eq_ignore_ascii_case(b"ID") {
        let ids = args.iter().skip(3).map(|id| parse_id(id, "ERR Invalid client ID"));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        return Ok(all.into_iter().filter(|client| ids.contains(&client.id)).collect());
    }
    Err(CommandError::SYNTAX)
}

fn parse_id(id: &[u8], error: &'static str) -> Result<ClientId> {
    let id = parse_i64(id).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    id.map(ClientId).ok_or(CommandError::text(error))
}

/// Whether a client type means ordinary connections, the only ones here.
fn is_normal(kind: &[u8]) -> Result<bool> {
    for (name, normal) in [("normal", true), ("replica", false), ("slave", false), ("pubsub", false), ("master", false)]
    {
        if kind.eq_ignore_ascii_case(name.as_bytes()) {
            return Ok(normal);
        }
    }
    Err(CommandError::quoting("ERR Unknown client type '", kind, "'"))
}

/// One line of `CLIENT LIST`, with Redis's fields.
fn describe(client: &Client, now_ms: u64, command: &str) -> String {
    let seconds = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1000;
    let load = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
    let (library, library_version) = client.library();
    let queued = client.queued.load(Ordering::Relaxed);
    let flags = match (queued >= 0, client.no_evict.load(Ordering::Relaxed)) {
        (true, true) => "xe",
        (true, false) => "x",
        (false, true) => "e",
        (false, false) => "N",
    };
    let (query, reply) = (load(&client.query_bytes), load(&client.reply_bytes));
    format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={flags} db={} sub=0 psub=0 ssub=0 multi={queued} \
         watch={} qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={reply} tot-mem={} \
         events=r cmd={command} user=default redir=-1 resp={} lib-name={library} lib-ver={library_version}",
        client.id.0,
        client.address,
        client.local_address,
        client.name(),
        seconds(client.created_ms),
        seconds(load(&client.active_ms)),
        client.database.load(Ordering::Relaxed),
        load(&client.watched),
        query + reply,
        client.protocol.load(Ordering::Relaxed),
    )
}

fn finish_kill(finishing: &mut Finishing<'_>) -> Next {
    let args = finishing.args;
    let own = finishing.session.client.id;
    if args.count() == 3 {
        let address = String::from_utf8_lossy(args.get(2)).into_owned();
        let filter = KillFilter { address: Some(address), ..KillFilter::default() };
        if kill(finishing, &filter) == 0 {
            return finishing.fail(&CommandError::text("ERR No such client"));
        }
        return finishing.ok();
    }
    match kill_filter(args, own) {
        Ok(None) => {
            finishing.reply.integer(0);
            Next::Done
        }
        Ok(Some(filter)) => {
            let killed = kill(finishing, &filter);
            finishing.reply.integer(killed as i64);
            Next::Done
        }
        Err(error) => finishing.fail(&error),
    }
}

/// Closes the connections that `filter` names, this one only after its reply; how many there are.
fn kill(finishing: &mut Finishing<'_>, filter: &KillFilter) -> usize {
    let named = finishing.services.registry.named(filter);
    for client in &named {
        if client.id == finishing.session.client.id {
            finishing.session.closing = true;
        } else {
            client.kill();
        }
    }
    named.len()
}

/// The connections that the options of `CLIENT KILL` name; `None` if they can name none here.
fn kill_filter(args: Args<'_>, own: ClientId) -> Result<Option<KillFilter>> {
    let mut filter = KillFilter { skip: Some(own), ..KillFilter::default() };
    let mut is_possible = true;
    let mut index = 2;
    while index < args.count() {
        if index + 1 >= args.count() {
            return Err(CommandError::SYNTAX);
        }
        let (option, value) = (args.get(index), args.get(index + 1));
        let text = || String::from_utf8_lossy(value).into_owned();
        if option.eq_ignore_ascii_case(b"ID") {
            filter.id = Some(parse_id(value, "ERR client-id should be greater than 0")?);
        } else if option.eq_ignore_ascii_case(b"TYPE") {
            is_possible &= is_normal(value)?;
        } else if option.eq_ignore_ascii_case(b"ADDR") {
            filter.address = Some(text());
        } else if option.eq_ignore_ascii_case(b"LADDR") {
            filter.local_address = Some(text());
        } else if option.eq_ignore_ascii_case(b"USER") {
            if value != b"default" {
                return Err(CommandError::quoting("ERR No such user '", value, "'"));
            }
        } else if option.eq_ignore_ascii_case(b"SKIPME") {
            filter.skip = match value {
                value if value.eq_ignore_ascii_case(b"yes") => Some(own),
                value if value.eq_ignore_ascii_case(b"no") => None,
                _ => return Err(CommandError::SYNTAX),
            };
        } else {
            return Err(CommandError::SYNTAX);
        }
        index += 2;
    }
    Ok(is_possible.then_some(filter))
}

fn plan_no_evict(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let on = on_or_off(args.get(2)).ok_or(CommandError::SYNTAX)?;
    planning.session.client.no_evict.store(on, Ordering::Relaxed);
    Ok(())
}

fn on_or_off(word: &[u8]) -> Option<bool> {
    if word.eq_ignore_ascii_case(b"ON") {
        Some(true)
    } else if word.eq_ignore_ascii_case(b"OFF") {
        Some(false)
    } else {
        None
    }
}

fn finish_reply(finishing: &mut Finishing<'_>) -> Next {
    let mode = finishing.args.get(2);
    match on_or_off(mode) {
        Some(true) => {
            finishing.session.replies.turn_on();
            finishing.ok()
        }
        Some(false) => {
            finishing.session.replies.turn_off();
            Next::Done
        }
        None if mode.eq_ignore_ascii_case(b"SKIP") => {
            finishing.session.replies.skip_next();
            Next::Done
        }
        None => finishing.fail(&CommandError::SYNTAX),
    }
}
