//! VGET, VSET, VDEL, SIBLINGS: every version of a key, and writes that supersede exactly what was seen.
//!
//! Two clients that write with the token of the same VGET have not seen each other's values: both are kept, as siblings,
//! until a write with a token that covers them takes their place.

use crate::causality::{RecordView, Version};
use crate::command::arguments::ExpiryForm;
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::command::token::Place;
use crate::quorum::Names;
use crate::replica::{Action, Existed, Operand, Outcome};
use crate::types::{Args, Span};

const READ: Flags = Flags::READONLY.with(Flags::FAST);
const WRITE: Flags = Flags::WRITE.with(Flags::FAST);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("vget", 2, READ, (plan_versions, finish_vget)).keys(Keys::ONE).docs(
        Group::Generic,
        "annulus",
        "Answers an array: a token, then the value of every sibling, the one that GET shows first. Without a value the \
         token stands alone.",
    ),
    Command::new("vset", -4, WRITE.with(Flags::DENYOOM), (plan_vset, finish_vset)).keys(Keys::ONE).docs(
        Group::Generic,
        "annulus",
        "Sets a value in the place of what a token of VGET covers, with EX, PX, EXAT or PXAT until then. Answers an array \
         of two: a new token and 1 if the value stands alone, else nil and the number of siblings. An empty token covers \
         nothing.",
    ),
    Command::new("vdel", 3, WRITE, (plan_vdel, finish_vdel)).keys(Keys::ONE).docs(
        Group::Generic,
        "annulus",
        "Deletes what a token of VGET covers; other siblings stay. Answers 1 if there was a value, else 0.",
    ),
    Command::new("siblings", 2, READ, (plan_versions, finish_siblings)).keys(Keys::ONE).docs(
        Group::Generic,
        "annulus",
        "Answers a map for each sibling, the one that GET shows first: value, dot (the name of its write), node, time and \
         expiry in milliseconds since the Unix epoch, -1 for none.",
    ),
];

fn plan_versions(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Versions);
    Ok(())
}

/// Checks the token that is argument 2 and gives what it covers to the operation.
fn plan_token(planning: &mut Planning<'_>, args: Args<'_>) -> Result<Operand> {
    let place = Place { database: planning.session.database, key: args.get(1) };
    let context = planning.services.tokens.check(place, args.get(2), planning.batch.now_ms())?;
    Ok(planning.batch.store(&context))
}

fn plan_vset(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let expiry = match args.count() {
        4 => None,
        6 => {
            let form = ExpiryForm::named(args.get(4)).ok_or(CommandError::SYNTAX)?;
            Some(form.moment(args.get(5), planning.batch.now_ms(), "vset")?)
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let token = plan_token(planning, args)?;
    planning.on(args, 1, Action::ReplaceCovered { token, value: Operand::Input(args.span(3)), expiry });
    Ok(())
}

fn plan_vdel(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let token = plan_token(planning, args)?;
    planning.on(args, 1, Action::RemoveCovered { token });
    Ok(())
}

fn finish_vset(finishing: &mut Finishing<'_>) -> Next {
    let Outcome::Replaced { versions, alone } = finishing.batch.outcome(finishing.first) else { return Next::Done };
    let token = alone.map(|context| sign(finishing, finishing.batch.bytes(context)));
    finishing.reply.array(2);
    match token {
        Some(token) => finishing.reply.bulk(token.as_bytes()),
        None => finishing.reply.null(),
    }
    finishing.reply.integer(versions as i64);
    Next::Done
}

fn finish_vdel(finishing: &mut Finishing<'_>) -> Next {
    let existed = matches!(finishing.batch.outcome(finishing.first), Outcome::Deleted(Existed::Yes));
    finishing.reply.integer(i64::from(existed));
    Next::Done
}

fn finish_vget(finishing: &mut Finishing<'_>) -> Next {
    with_record(finishing, |finishing, record| {
        let mut context = Vec::new();
        record.context().encode(&mut context);
        let token = sign(finishing, &context);
        let versions = greatest_first(record);
        finishing.reply.array(1 + versions.len());
        finishing.reply.bulk(token.as_bytes());
        versions.iter().for_each(|version| finishing.reply.bulk(version.payload));
    })
}

fn finish_siblings(finishing: &mut Finishing<'_>) -> Next {
    with_record(finishing, |finishing, record| {
        let versions = greatest_first(record);
        finishing.reply.array(versions.len());
        versions.iter().for_each(|version| describe(finishing, version));
    })
}

fn describe(finishing: &mut Finishing<'_>, version: &Version<'_>) {
    let number = version.dot.actor.node();
    let identity = finishing.services.admin.identity();
    let reply = &mut finishing.reply;
    reply.map(5);
    reply.bulk(b"value");
    reply.bulk(version.payload);
    reply.bulk(b"dot");
    reply.bulk(version.dot.to_string().as_bytes());
    reply.bulk(b"node");
    reply.bulk(identity.node(number).as_bytes());
    reply.bulk(b"time");
    reply.integer(version.dot.time.wall_ms() as i64);
    reply.bulk(b"expiry");
    reply.integer(version.expiry.map_or(-1, |expiry| expiry as i64));
}

/// The versions, the one that GET shows first.
fn greatest_first<'a>(record: &RecordView<'a>) -> Vec<Version<'a>> {
    let mut versions: Vec<_> = record.versions().collect();
    versions.sort_unstable_by_key(|version| std::cmp::Reverse(version.dot.age()));
    versions
}

/// Hands the record that was read to `reply`.
fn with_record(finishing: &mut Finishing<'_>, reply: impl FnOnce(&mut Finishing<'_>, &RecordView<'_>)) -> Next {
    let Outcome::Record(span) = finishing.batch.outcome(finishing.first) else { return Next::Done };
    let bytes = copied(finishing, span);
    match RecordView::decode(&bytes) {
        Ok(record) => reply(finishing, &record),
        Err(error) => finishing.reply.error(format!("MISCONF a record cannot be read: {error}")),
    }
    Next::Done
}

fn copied(finishing: &Finishing<'_>, span: Span) -> Vec<u8> {
    finishing.batch.bytes(span).to_vec()
}

fn sign(finishing: &Finishing<'_>, context: &[u8]) -> String {
    let place = Place { database: finishing.session.database, key: finishing.args.get(1) };
    finishing.services.tokens.sign(place, context)
}
