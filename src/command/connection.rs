//! The connection family: PING, ECHO, SELECT, AUTH, HELLO, RESET, QUIT.
//!
//! SELECT takes effect when it is planned, so that the commands after it in a pipeline go to the new database. What changes
//! how replies look, or whether commands are allowed at all, is a batch of its own.

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group};
use crate::resp::{Protocol, Trust, parse_i64};
use crate::types::{Args, DATABASES, Database};

/// Allowed before authentication and at once inside MULTI; a batch of its own.
const SESSION: Flags = Flags::FAST.with(Flags::NO_AUTH).with(Flags::ALONE).with(Flags::NOSCRIPT).with(Flags::LOADING);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("ping", -1, Flags::FAST, (plan_ping, finish_ping)).docs(
        Group::Connection,
        "1.0.0",
        "Answers PONG, or the message that was given.",
    ),
    Command::new("echo", 2, Flags::FAST.with(Flags::LOADING).with(Flags::STALE), (plan_nothing, finish_echo)).docs(
        Group::Connection,
        "1.0.0",
        "Answers the message that was given.",
    ),
    Command::new("select", 2, Flags::FAST.with(Flags::LOADING).with(Flags::STALE), (plan_select, finish_ok)).docs(
        Group::Connection,
        "1.0.0",
        "Chooses one of the 16 databases for this connection.",
    ),
    Command::new("auth", -2, SESSION.with(Flags::SECRET), (plan_nothing, finish_auth)).docs(
        Group::Connection,
        "1.0.0",
        "Logs the connection in.",
    ),
    Command::new("hello", -1, SESSION.with(Flags::SECRET), (plan_nothing, finish_hello)).docs(
        Group::Connection,
        "6.0.0",
        "Chooses the protocol version and tells about the server.",
    ),
    Command::new("reset", 1, SESSION.with(Flags::NOT_QUEUED), (plan_nothing, finish_reset)).docs(
        Group::Connection,
        "6.2.0",
        "Puts the connection back into its first state.",
    ),
    Command::new("quit", -1, SESSION.with(Flags::NOT_QUEUED), (plan_nothing, finish_quit)).docs(
        Group::Connection,
        "1.0.0",
        "Closes the connection.",
    ),
];

/// A password that was not accepted.
const WRONG_PASSWORD: CommandError =
    CommandError::text("WRONGPASS invalid username-password pair or user is disabled.");
/// AUTH with one argument where no password is set.
const NO_PASSWORD_SET: CommandError = CommandError::text(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
     is correct?",
);
const HELLO_NEEDS_AUTH: CommandError = CommandError::text(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
     option can be used to authenticate the client and select the RESP protocol version at the same time",
);
/// A name with a byte that `CLIENT LIST` could not show.
pub(super) const INVALID_NAME: CommandError =
    CommandError::text("ERR Client names cannot contain spaces, newlines or special characters.");

fn plan_ping(_: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    if args.count() > 2 { Err(CommandError::wrong_arity(None, "ping")) } else { Ok(()) }
}

fn finish_ping(finishing: &mut Finishing<'_>) -> Next {
    if finishing.args.count() == 2 {
        finishing.reply.bulk(finishing.args.get(1));
    } else {
        finishing.reply.simple("PONG");
    }
    Next::Done
}

fn finish_echo(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.bulk(finishing.args.get(1));
    Next::Done
}

fn plan_select(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.session.select(parse_database(args.get(1))?);
    Ok(())
}

/// The database that an argument names.
pub(super) fn parse_database(text: &[u8]) -> Result<Database> {
    let number = integer(text)?;
    if i32::try_from(number).is_err() {
        let (least, most) = (i32::MIN, i32::MAX);
        let line = format!("ERR value is out of range, value must between {least} and {most}");
        return Err(CommandError::line(line));
    }
    let database = u8::try_from(number).ok().filter(|database| *database < DATABASES);
    database.map(Database).ok_or(CommandError::text("ERR DB index is out of range"))
}

fn finish_auth(finishing: &mut Finishing<'_>) -> Next {
    let args = finishing.args;
    let checked = match args.count() {
        2 if finishing.services.admin.password().is_none() => Err(NO_PASSWORD_SET),
        2 => check_password(finishing, b"default", args.get(1)),
        3 => check_password(finishing, args.get(1), args.get(2)),
        _ => Err(CommandError::SYNTAX),
    };
    match checked {
        Ok(()) => {
            finishing.session.trust = Trust::Authenticated;
            finishing.ok()
        }
        Err(error) => finishing.fail(&error),
    }
}

/// There is one user, `default`; without a password every one is right.
fn check_password(finishing: &Finishing<'_>, user: &[u8], password: &[u8]) -> Result<()> {
    let is_right = match finishing.services.admin.password() {
        None => true,
        Some(expected) => equal_in_constant_time(expected.as_bytes(), password),
    };
    if user == b"default" && is_right { Ok(()) } else { Err(WRONG_PASSWORD) }
}

/// Takes the same time wherever the first difference is, so that a password cannot be found byte by byte.
fn equal_in_constant_time(expected: &[u8], given: &[u8]) -> bool {
    let differences = given.iter().enumerate().fold(0, |differences, (index, byte)| {
        let other = expected.get(index % expected.len().max(1)).copied().unwrap_or(0);
        differences | (byte ^ other)
    });
    std::hint::black_box(differences) == 0 && expected.len() == given.len()
}

fn finish_hello(finishing: &mut Finishing<'_>) -> Next {
    let protocol = parse_protocol(finishing.args);
    match protocol.and_then(|protocol| follow_hello(finishing).and_then(|()| greet(finishing, protocol))) {
        Ok(()) => Next::Done,
        Err(error) => finishing.fail(&error),
    }
}

fn parse_protocol(args: Args<'_>) -> Result<Option<u8>> {
    if args.count() < 2 {
        return Ok(None);
    }
    let version = parse_i64(args.get(1));
    let version = version.ok_or(CommandError::text("ERR Protocol version is not an integer or out of range"))?;
    let version = u8::try_from(version).ok().filter(|version| (2..=3).contains(version));
    version.map(Some).ok_or(CommandError::text("NOPROTO unsupported protocol version"))
}

/// Carries out the options one by one, as Redis does: those before a wrong one count.
fn follow_hello(finishing: &mut Finishing<'_>) -> Result<()> {
    let args = finishing.args;
    let mut index = 2;
    while index < args.count() {
        let (option, left) = (args.get(index), args.count() - index - 1);
        if is_word(option, "AUTH") && left >= 2 {
            check_password(finishing, args.get(index + 1), args.get(index + 2))?;
            finishing.session.trust = Trust::Authenticated;
            index += 3;
        } else if is_word(option, "SETNAME") && left >= 1 {
            finishing.session.client.set_name(client_name(args.get(index + 1))?);
            index += 2;
        } else {
            return Err(CommandError::quoting("ERR Syntax error in HELLO option '", option, "'"));
        }
    }
    Ok(())
}

fn greet(finishing: &mut Finishing<'_>, protocol: Option<u8>) -> Result<()> {
    if !finishing.session.is_trusted() {
        return Err(HELLO_NEEDS_AUTH);
    }
    if let Some(version) = protocol {
        finishing.session.set_protocol(version);
        finishing.reply.set_protocol(if version == 3 { Protocol::Resp3 } else { Protocol::Resp2 });
    }
    let reply = &mut finishing.reply;
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(i64::from(finishing.session.protocol));
    reply.bulk(b"id");
    reply.integer(finishing.session.client.id.0 as i64);
    for (field, value) in [("mode", "cluster"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// The release of Redis whose behaviour clients may expect; they switch on it.
pub(super) const REDIS_VERSION: &str = "7.0.15";

/// A connection's name, if every byte of it is printable and no space.
pub(super) fn client_name(name: &[u8]) -> Result<String> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(String::from_utf8_lossy(name).into_owned())
    } else {
        Err(INVALID_NAME)
    }
}

fn finish_reset(finishing: &mut Finishing<'_>) -> Next {
    finishing.session.reset(finishing.services.initial_trust());
    finishing.reply.set_protocol(Protocol::Resp2);
    finishing.reply.simple("RESET");
    Next::Done
}

fn finish_quit(finishing: &mut Finishing<'_>) -> Next {
    finishing.session.closing = true;
    finishing.ok()
}

#[cfg(test)]
mod tests {
    use super::{client_name, equal_in_constant_time};

    #[test]
    fn passwords_are_compared_whole() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        for wrong in [&b""[..], b"s", b"secret2", b"secretsecret", b"Secret"] {
            assert!(!equal_in_constant_time(b"secret", wrong));
        }
        assert!(!equal_in_constant_time(b"", b"x"));
    }

    #[test]
    fn names_are_printable_and_without_spaces() {
        assert!(client_name(b"worker-1").is_ok() && client_name(b"").is_ok());
        assert!(client_name(b"a b").is_err() && client_name("\u{e9}".as_bytes()).is_err());
    }
}
