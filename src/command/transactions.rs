//! The transaction family. Queueing happens where requests are admitted, running in `server::atomic`; here are the
//! commands' table entries and what they do to the session.

use crate::command::context::{Finishing, Next, Planning, finish_ok, plan_nothing};
use crate::command::error::{CommandError, Result};
use crate::command::table::{Command, Flags, Group, Keys};
use crate::replica::{Action, Outcome};
use crate::session::{Queue, WatchList, Watched};
use crate::types::Args;

const AT_ONCE: Flags = Flags::ALONE.with(Flags::NOT_QUEUED).with(Flags::NOSCRIPT).with(Flags::LOADING);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[
    Command::new("multi", 1, AT_ONCE.with(Flags::FAST), (plan_multi, finish_ok)).docs(
        Group::Transactions,
        "1.2.0",
        "Begins to queue commands.",
    ),
    Command::new("exec", 1, AT_ONCE.with(Flags::ATOMIC).with(Flags::RUNS_QUEUE), (plan_nothing, finish_ok)).docs(
        Group::Transactions,
        "1.2.0",
        "Runs the queued commands as one.",
    ),
    Command::new("discard", 1, AT_ONCE.with(Flags::FAST), (plan_discard, finish_ok)).docs(
        Group::Transactions,
        "2.0.0",
        "Forgets the queued commands and the watched keys.",
    ),
    Command::new("watch", -2, AT_ONCE.with(Flags::FAST), (plan_watch, finish_watch)).keys(Keys::ALL).docs(
        Group::Transactions,
        "2.2.0",
        "Makes EXEC do nothing if one of these keys changes before it.",
    ),
    Command::new("unwatch", 1, Flags::ALONE.with(Flags::FAST), (plan_nothing, finish_unwatch)).docs(
        Group::Transactions,
        "2.2.0",
        "Forgets the watched keys.",
    ),
];

fn plan_multi(planning: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    if planning.session.queue.is_some() {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    planning.session.queue = Some(Queue::default());
    planning.session.note_transaction();
    Ok(())
}

fn plan_discard(planning: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    if planning.session.queue.is_none() {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    planning.session.discard();
    Ok(())
}

fn plan_watch(planning: &mut Planning<'_>, args: Args<'_>) -> Result<()> {
    if planning.session.queue.is_some() {
        return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
    }
    for index in 1..args.count() {
        planning.on(args, index, Action::Fingerprint);
    }
    Ok(())
}

fn finish_watch(finishing: &mut Finishing<'_>) -> Next {
    let database = finishing.session.database;
    for (index, operation) in (1..finishing.args.count()).zip(finishing.first..) {
        if let Outcome::Fingerprint(seen) = finishing.batch.outcome(operation) {
            let key = finishing.args.get(index).to_vec();
            let watched = Watched { database, key, seen };
            if !finishing.session.watched.add(watched) {
                finishing.session.note_transaction();
                return finishing
                    .fail(&CommandError::text("ERR too many keys are watched; this one and later ones are not"));
            }
        }
    }
    finishing.session.note_transaction();
    finishing.ok()
}

fn finish_unwatch(finishing: &mut Finishing<'_>) -> Next {
    finishing.session.watched = WatchList::default();
    finishing.session.note_transaction();
    finishing.ok()
}
