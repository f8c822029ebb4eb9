//! Whole values: SET and its older forms, GET and what reads and removes or retimes at once.
//!
//! A SET without conditions is a plain write; whatever looks at the old value first is a change under the key's lock.
//! Invariant: an expiry that has passed leaves no key, it deletes the one that was there.
//!
//! Source: Redis 7.0.15 `t_string.c`; options are checked in its order, and the expiry of GETEX only where the key exists.

use crate::command::arguments::{ExpiryForm, is_word};
use crate::command::context::{Finishing, Next, Planning};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Answer, Current, Draft, Effect, Inputs, Operand, Outcome, Params};
use crate::types::Args;

const WRITE: Flags = Flags::WRITE.with(Flags::DENYOOM);
const FAST_WRITE: Flags = WRITE.with(Flags::FAST);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("get", 2, Flags::READONLY.with(Flags::FAST), (plan_get, finish_get)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Answers the value of a key.",
    ),
    Command::new("set", -3, WRITE, (plan_set, finish_set)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Sets the value of a key, under conditions and with an expiry if asked.",
    ),
    Command::new("setnx", 3, FAST_WRITE, (plan_setnx, finish_setnx)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Sets the value of a key that does not exist yet.",
    ),
    Command::new("setex", 4, WRITE, (plan_setex, finish_set)).keys(Keys::ONE).docs(
        Group::String,
        "2.0.0",
        "Sets the value of a key and the seconds it lives.",
    ),
    Command::new("psetex", 4, WRITE, (plan_psetex, finish_set)).keys(Keys::ONE).docs(
        Group::String,
        "2.6.0",
        "Sets the value of a key and the milliseconds it lives.",
    ),
    Command::new("getset", 3, FAST_WRITE, (plan_getset, finish_answer)).keys(Keys::ONE).docs(
        Group::String,
        "1.0.0",
        "Sets the value of a key and answers the old one.",
    ),
    Command::new("getdel", 2, Flags::WRITE.with(Flags::FAST), (plan_getdel, finish_answer)).keys(Keys::ONE).docs(
        Group::String,
        "6.2.0",
        "Answers the value of a key and deletes it.",
    ),
    Command::new("getex", -2, Flags::WRITE.with(Flags::FAST), (plan_getex, finish_getex)).keys(Keys::ONE).docs(
        Group::String,
        "6.2.0",
        "Answers the value of a key and sets or removes its expiry.",
    ),
];

fn plan_get(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Read);
    Ok(())
}

fn finish_get(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_value(0)
}

fn finish_answer(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply_answer(0)
}

/// When a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    /// Whatever is there.
    #[default]
    Always,
    /// `NX`: where no value is.
    Absent,
    /// `XX`: where one is.
    Present,
}

/// What becomes of a key's expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Retime {
    /// Not said: SET removes it, GETEX leaves it.
    #[default]
    Unsaid,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Remove,
    /// Set to what argument `index` says.
    Set { form: ExpiryForm, index: usize },
}

/// What SET answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// Whether it wrote.
    #[default]
    Done,
    /// `GET`: the value that was there.
    Old,
}

/// The options of SET and GETEX.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    condition: Condition,
    retime: Retime,
    wanted: Wanted,
}

impl Options {
    fn of_set(args: Args<'_>) -> Result<Options> {
        Options::parse(args, 3, Options::take_set)
    }

    fn of_getex(args: Args<'_>) -> Result<Options> {
        Options::parse(args, 2, Options::take_getex)
    }

    /// Options from argument `first` on: what `take` knows, and expiries.
    fn parse(args: Args<'_>, first: usize, take: fn(&mut Options, &[u8]) -> bool) -> Result<Options> {
        let mut options = Options::default();
        let mut index = first;
        while index < args.count() {
            let argument = args.get(index);
            if !take(&mut options, argument) {
                index += 1;
                let form = ExpiryForm::named(argument).filter(|_| index < args.count()).ok_or(CommandError::SYNTAX)?;
                options.expire(form, index)?;
            }
            index += 1;
        }
        Ok(options)
    }

    fn take_set(&mut self, argument: &[u8]) -> bool {
        if is_word(argument, "NX") && self.condition != Condition::Present {
            self.condition = Condition::Absent;
        } else if is_word(argument, "XX") && self.condition != Condition::Absent {
            self.condition = Condition::Present;
        } else if is_word(argument, "GET") {
            self.wanted = Wanted::Old;
        } else if is_word(argument, "KEEPTTL") && matches!(self.retime, Retime::Unsaid | Retime::Keep) {
            self.retime = Retime::Keep;
        } else {
            return false;
        }
        true
    }

    fn take_getex(&mut self, argument: &[u8]) -> bool {
        let taken = is_word(argument, "PERSIST") && matches!(self.retime, Retime::Unsaid | Retime::Remove);
        if taken {
            self.retime = Retime::Remove;
        }
        taken
    }

    /// Redis takes one form of expiry repeatedly, the last counts, and refuses two.
    fn expire(&mut self, form: ExpiryForm, index: usize) -> Result<()> {
        match self.retime {
            Retime::Unsaid => {}
            Retime::Set { form: said, .. } if said == form => {}
            _ => return Err(CommandError::SYNTAX),
        }
        self.retime = Retime::Set { form, index };
        Ok(())
    }

    /// The expiry that is to be set, in milliseconds since the Unix epoch.
    fn moment(&self, args: Args<'_>, now_ms: u64, command: &str) -> Result<Option<u64>> {
        match self.retime {
            Retime::Set { form, index } => form.moment(args.get(index), now_ms, command).map(Some),
            _ => Ok(None),
        }
    }
}

#[inline]
fn plan_set(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    if args.count() > 3 {
        return plan_set_with_options(planning, args);
    }
    planning.on(args, 1, Action::Write { value: Operand::Input(args.span(2)), expiry: None });
    Ok(())
}

fn plan_set_with_options(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let options = Options::of_set(args)?;
    let now_ms = planning.batch.now_ms();
    let expiry = options.moment(args, now_ms, "set")?;
    let value = Operand::Input(args.span(2));
    let plain = options.condition == Condition::Always && options.wanted == Wanted::Done;
    let action = if plain && options.retime != Retime::Keep {
        Action::Write { value, expiry }
    } else {
        Action::Change(set, set_params(options, expiry, value))
    };
    planning.on(args, 1, action);
    Ok(())
}

fn finish_set(finishing: &mut Finishing<'_>) -> Next {
    match finishing.batch.outcome(finishing.first) {
        Outcome::Changed(_) => finishing.reply_answer(0),
        _ => finishing.ok(),
    }
}

fn plan_setnx(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let options = Options { condition: Condition::Absent, ..Options::default() };
    planning.on(args, 1, Action::Change(set, set_params(options, None, Operand::Input(args.span(2)))));
    Ok(())
}

fn finish_setnx(finishing: &mut Finishing<'_>) -> Next {
    finishing.reply.integer(i64::from(finishing.answer(0) == Answer::Ok));
    Next::Done
}

fn plan_setex(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_set_for(planning, args, (ExpiryForm::Seconds, "setex"))
}

fn plan_psetex(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    plan_set_for(planning, args, (ExpiryForm::Milliseconds, "psetex"))
}

fn plan_set_for(planning: &mut Planning<'_>, args: Args<'_>, command: (ExpiryForm, &str)) -> Result<()> {
    let (form, name) = command;
    let now_ms = planning.batch.now_ms();
    let expiry = form.moment(args.get(2), now_ms, name)?;
    planning.on(args, 1, Action::Write { value: Operand::Input(args.span(3)), expiry: Some(expiry) });
    Ok(())
}

fn plan_getset(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let options = Options { wanted: Wanted::Old, ..Options::default() };
    planning.on(args, 1, Action::Change(set, set_params(options, None, Operand::Input(args.span(2)))));
    Ok(())
}

// What the numbers of `set` mean: the new expiry (0 for none), the condition, the rest.
const ABSENT: i64 = 1;
const PRESENT: i64 = 2;
const KEEP_EXPIRY: i64 = 1;
const ANSWER_OLD: i64 = 2;

fn set_params(options: Options, expiry: Option<u64>, value: Operand) -> Params {
    let condition = match options.condition {
        Condition::Always => 0,
        Condition::Absent => ABSENT,
        Condition::Present => PRESENT,
    };
    let keep = if options.retime == Retime::Keep { KEEP_EXPIRY } else { 0 };
    let old = if options.wanted == Wanted::Old { ANSWER_OLD } else { 0 };
    Params { numbers: [expiry.map_or(0, |expiry| expiry as i64), condition, keep | old], operand: value }
}

/// Sets the value if the condition holds; answers OK or nil, or the old value if that was asked for.
fn set(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let [expiry, condition, flags] = inputs.numbers;
    let holds = match condition {
        ABSENT => current.is_none(),
        PRESENT => current.is_some(),
        _ => true,
    };
    match current {
        Some(current) if flags & ANSWER_OLD != 0 => draft.answer_bytes(current.value),
        None if flags & ANSWER_OLD != 0 => draft.answer = Answer::Nil,
        _ => draft.answer = if holds { Answer::Ok } else { Answer::Nil },
    }
    if !holds {
        return Effect::Keep;
    }
    if flags & KEEP_EXPIRY == 0 {
        draft.expiry = (expiry != 0).then_some(expiry as u64);
    }
    draft.value.extend_from_slice(inputs.operand);
    Effect::Write
}

fn plan_getdel(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    planning.on(args, 1, Action::Change(take, Params::default()));
    Ok(())
}

/// Answers the value and deletes it.
fn take(current: Option<Current<'_>>, _: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let Some(current) = current else { return Effect::Keep };
    draft.answer_bytes(current.value);
    Effect::Remove
}

fn plan_getex(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    let options = Options::of_getex(args)?;
    let action = match options.moment(args, planning.batch.now_ms(), "getex") {
        Ok(None) if options.retime == Retime::Unsaid => Action::Read,
        Ok(expiry) => {
            let numbers = [expiry.map_or(0, |expiry| expiry as i64), 0, 0];
            Action::Change(retime, Params { numbers, ..Params::default() })
        }
        // An error, but only of a key that exists: see `finish_getex`.
        Err(_) => Action::Look,
    };
    planning.on(args, 1, action);
    Ok(())
}

/// Answers the value and sets its expiry; 0 removes it.
fn retime(current: Option<Current<'_>>, inputs: &Inputs<'_>, draft: &mut Draft<'_>) -> Effect {
    let Some(current) = current else { return Effect::Keep };
    draft.answer_bytes(current.value);
    let [expiry, ..] = inputs.numbers;
    draft.expiry = (expiry != 0).then_some(expiry as u64);
    match draft.expiry {
        Some(expiry) if expiry <= inputs.now_ms => Effect::Remove,
        expiry if expiry == current.expiry => Effect::Keep,
        _ => Effect::Touch,
    }
}

fn finish_getex(finishing: &mut Finishing<'_>) -> Next {
    let (args, now_ms) = (finishing.args, finishing.batch.now_ms());
    match finishing.batch.outcome(finishing.first) {
        Outcome::Changed(_) => finishing.reply_answer(0),
        Outcome::Found(_) => match Options::of_getex(args).and_then(|options| options.moment(args, now_ms, "getex")) {
            Ok(_) => finishing.reply_value(0),
            Err(error) => finishing.fail(&error),
        },
        _ => finishing.reply_value(0),
    }
}
