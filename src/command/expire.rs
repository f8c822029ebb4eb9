//! Expiry of keys: EXPIRE and its kin, TTL and its kin, PERSIST.
//!
//! An expiry is part of a version, so setting or removing one writes the value once more: a change under the key's lock.
//! One that is not in the future deletes the key at once and counts as set, as in Redis.

use crate::command::arguments::{integer, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys, Plan};
use crate::replica::{Action, Answer, Current, Draft, Effect, Inputs, Operand, Params};
use crate::types::Args;

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    setter("expire", plan_expire, "1.0.0", "Lets a key expire after so many seconds."),
    setter("pexpire", plan_pexpire, "2.6.0", "Lets a key expire after so many milliseconds."),
    setter("expireat", plan_expireat, "1.2.0", "Lets a key expire at a moment in seconds since 1970."),
    setter("pexpireat", plan_pexpireat, "2.6.0", "Lets a key expire at a moment in milliseconds since 1970."),
    getter("ttl", finish_ttl, "1.0.0", "Answers the seconds until a key expires: -1 never, -2 no such key."),
    getter("pttl", finish_pttl, "2.6.0", "Answers the milliseconds until a key expires: -1 never, -2 no such key."),
    getter("expiretime", finish_expiretime, "7.0.0", "Answers when a key expires, in seconds since 1970."),
    getter("pexpiretime", finish_pexpiretime, "7.0.0", "Answers when a key expires, in milliseconds since 1970."),
    Command::new("persist", 2, SETS, (plan_persist, finish_answer)).keys(Keys::ONE).docs(
        Group::Generic,
        "2.2.0",
        "Lets a key never expire.",
    ),
];

const SETS: Flags = Flags::WRITE.with(Flags::FAST);

const fn setter(name: &'static str, plan: Plan, since: &'static str, summary: &'static str) -> Command {
    Command::new(name, -3, SETS, (plan, finish_answer)).keys(Keys::ONE).docs(Group::Generic, since, summary)
}

const fn getter(
    name: &'static str,
    finish: crate::command::Finish,
    since: &'static str,
    summary: &'static str,
) -> Command {
    let flags = Flags::READONLY.with(Flags::FAST);
    Command::new(name, 2, flags, (plan_look, finish)).keys(Keys::ONE).docs(Group::Generic, since, summary)
}

/// How a command of the EXPIRE family counts time.
struct Form {
    name: &'static str,
    unit_ms: i64,
    origin: Origin,
}

/// What the time of an EXPIRE counts from.
enum Origin {
    Now,
    Epoch,
}

/// Conditions of the EXPIRE family, as a set.
#[derive(Clone, Copy)]
struct Conditions(i64);

/// Only a key that has no expiry.
const NX: i64 = 1;
/// Only a key that has one.
const XX: i64 = 2;
/// Only to a later time; never is the latest.
const GT: i64 = 4;
/// Only to an earlier time.
const LT: i64 = 8;

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Conditions> {
        let mut set = 0;
        for option in args.iter() {
            let names = [("NX", NX), ("XX", XX), ("GT", GT), ("LT", LT)];
            match names.iter().find(|(name, _)| is_word(option, name)) {
                Some((_, condition)) => set |= condition,
                None => return Err(CommandError::quoting("ERR Unsupported option ", option, "")),
            }
        }
        if set & NX != 0 && set & (XX | GT | LT) != 0 {
            return Err(CommandError::text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if set & (GT | LT) == GT | LT {
            return Err(CommandError::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(Conditions(set))
    }

    /// Whether a key that expires at `current` may be made to expire at `when`.
    fn allow(self, current: Option<u64>, when: i64) -> bool {
        let has = |condition| self.0 & condition != 0;
        match current.map(|at_ms| i64::try_from(at_ms).unwrap_or(i64::MAX)) {
            None => !has(XX) && !has(GT),
            Some(current) => !has(NX) && (!has(GT) || when > current) && (!has(LT) || when < current),
        }
    }
}

fn plan_expire(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_form(planning, args, &Form { name: "expire", unit_ms: 1000, origin: Origin::Now })
}

fn plan_pexpire(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_form(planning, args, &Form { name: "pexpire", unit_ms: 1, origin: Origin::Now })
}

fn plan_expireat(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_form(planning, args, &Form { name: "expireat", unit_ms: 1000, origin: Origin::Epoch })
}

fn plan_pexpireat(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_form(planning, args, &Form { name: "pexpireat", unit_ms: 1, origin: Origin::Epoch })
}

fn plan_form(planning: &mut Planning<'_>, args: Args<'_>, form: &Form) -> Result<()> {
    let conditions = Conditions::parse(args.from(3))?;
    let amount = integer(args.get(2))?;
    let origin_ms = match form.origin {
        Origin::Now => i64::try_from(planning.batch.now_ms()).unwrap_or(i64::MAX),
        Origin::Epoch => 0,
    };
    let when = amount.checked_mul(form.unit_ms).and_then(|when| when.checked_add(origin_ms));
    let when = when.ok_or_else(|| CommandError::invalid_expire(form.name))?;
    let params = Params { numbers: [when, conditions.0, 0], operand: Operand::default() };
    planning.on(args, 1, Action::Change(set_expiry, params));
    Ok(())
}

fn set_expiry(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let [when, conditions, _] = inputs.numbers;
    if !current.is_some_and(|current| Conditions(conditions).allow(current.expiry, when)) {
        draft.answer = Answer::Integer(0);
        return Effect::Keep;
    }
    draft.answer = Answer::Integer(1);
    match u64::try_from(when) {
        Ok(when) if when > inputs.now_ms => {
            draft.expiry = Some(when);
            Effect::Touch
        }
        _ => Effect::Remove,
    }
}

fn plan_persist(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Change(remove_expiry, Params::default()));
    Ok(())
}

fn remove_expiry(current: Option<Current<'_>>, _: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let expires = current.is_some_and(|current| current.expiry.is_some());
    draft.answer = Answer::Integer(i64::from(expires));
    draft.expiry = None;
    if expires { Effect::Touch } else { Effect::Keep }
}

fn finish_answer(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

fn plan_look(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Look);
    Ok(())
}

/// Replies -2 without a key, -1 without an expiry, else what `show` makes of the expiry and now (both in milliseconds).
fn reply_expiry(finishing: &mut Finishing<'_>, show: impl Fn(u64, u64) -> u64) -> Next {
    let shown = match finishing.batch.found(finishing.first).map(|found| found.expiry) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => show(at_ms, finishing.batch.now_ms()) as i64,
    };
    finishing.reply.integer(shown);
    Next::Done
}

/// Whole seconds, rounded to the nearest.
fn seconds(milliseconds: u64) -> u64 {
    milliseconds.saturating_add(500) / 1000
}

fn finish_ttl(finishing: &mut Finishing<'_>) -> Next {
    reply_expiry(finishing, |at_ms, now_ms| seconds(at_ms.saturating_sub(now_ms)))
}

fn finish_pttl(finishing: &mut Finishing<'_>) -> Next {
    reply_expiry(finishing, u64::saturating_sub)
}

fn finish_expiretime(finishing: &mut Finishing<'_>) -> Next {
    reply_expiry(finishing, |at_ms, _| seconds(at_ms))
}

fn finish_pexpiretime(finishing: &mut Finishing<'_>) -> Next {
    reply_expiry(finishing, |at_ms, _| at_ms)
}

#[cfg(test)]
mod tests {
    use super::{Conditions, GT, LT, NX, XX, seconds};

    #[test]
    fn conditions_compare_with_the_expiry_that_is() {
        for (set, none, later, same, earlier) in [
            (0, true, true, true, true),
            (NX, true, false, false, false),
            (XX, false, true, true, true),
            (GT, false, true, false, false),
            (LT, true, false, false, true),
            (XX | GT, false, true, false, false),
            (XX | LT, false, false, false, true),
        ] {
            let allow = |current, when| Conditions(set).allow(current, when);
            let allowed = (allow(None, 5), allow(Some(5), 6), allow(Some(5), 5), allow(Some(5), -4));
            assert_eq!(allowed, (none, later, same, earlier), "conditions {set}");
        }
    }

    #[test]
    fn seconds_are_rounded() {
        for (milliseconds, expected) in
            [(0, 0), (499, 0), (500, 1), (1499, 1), (i64::MAX as u64, 9_223_372_036_854_776)]
        {
            assert_eq!(seconds(milliseconds), expected);
        }
    }
}
