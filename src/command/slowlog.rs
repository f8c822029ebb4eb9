//! SLOWLOG: the batches that took longest, with their commands.
//!
//! A batch above the threshold logs its commands with the batch's time and size: commands of a pipeline are carried out
//! together, so their times cannot be told apart. As in Redis it is the time of execution: reads of the disk count, the wait
//! until a write is durable and the delivery of replies do not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::command::admin::Tunables;
use crate::command::context::{Finishing, Next, finish_ok, plan_nothing};
use crate::command::error::CommandError;
use crate::command::help::reply_help;
use crate::command::table::{Command, Flags, Group};
use crate::resp::parse_i64;
use crate::session::Client;
use crate::types::Args;

/// Arguments shown of one command, and bytes shown of one argument, as in Redis.
const SHOWN_ARGUMENTS: usize = 32;
const SHOWN_BYTES: usize = 128;

/// One slow command.
#[derive(Clone, Debug)]
pub(super) struct SlowEntry {
    id: u64,
    unix_seconds: u64,
    microseconds: u64,
    arguments: Vec<Vec<u8>>,
    address: String,
    client_name: String,
}

/// The batch that a slow command belongs to.
#[derive(Clone, Copy)]
pub struct SlowBatch<'a> {
    /// Whose it is.
    pub client: &'a Client,
    /// When it ran, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How long its execution took.
    pub elapsed: Duration,
}

/// The slow commands of this node, newest first.
#[derive(Default)]
pub struct SlowLog {
    next_id: AtomicU64,
    entries: Mutex<VecDeque<SlowEntry>>,
}

impl SlowLog {
    /// Whether a batch that took `elapsed` is logged.
    #[inline]
    #[must_use]
    pub fn is_slow(tunables: &Tunables, elapsed: Duration) -> bool {
        let threshold = tunables.slowlog_slower_than_us.load(Ordering::Relaxed);
        u64::try_from(threshold).is_ok_and(|threshold| elapsed.as_micros() as u64 >= threshold)
    }

    /// Logs a command of a slow batch.
    pub fn record(&self, tunables: &Tunables, args: Args<'_>, slow: &SlowBatch<'_>) {
        let SlowBatch { client, now_ms, elapsed } = *slow;
        let limit = tunables.slowlog_max_len.load(Ordering::Relaxed) as usize;
        let entry = SlowEntry {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            unix_seconds: now_ms / 1000,
            microseconds: elapsed.as_micros() as u64,
            arguments: shown(args),
            address: client.address.to_string(),
            client_name: client.name(),
        };
        let mut entries = self.entries.lock();
        entries.push_front(entry);
        entries.truncate(limit);
    }

    fn newest(&self, count: usize) -> Vec<SlowEntry> {
        self.entries.lock().iter().take(count).cloned().collect()
    }
}

fn shown(args: Args<'_>) -> Vec<Vec<u8>> {
    let (count, kept) = (args.count(), if args.count() > SHOWN_ARGUMENTS { SHOWN_ARGUMENTS - 1 } else { args.count() });
    let mut shown: Vec<Vec<u8>> = args.iter().take(kept).map(shorten).collect();
    if kept < count {
        shown.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    shown
}

fn shorten(arg: &[u8]) -> Vec<u8> {
    match arg.split_at_checked(SHOWN_BYTES) {
        Some((head, rest)) if !rest.is_empty() => {
            [head, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
        }
        _ => arg.to_vec(),
    }
}

const WRONG_GET: CommandError =
    CommandError::text("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.");

const COLD: Flags = Flags::ADMIN.with(Flags::ALONE).with(Flags::LOADING).with(Flags::STALE);

/// The family's part of the table.
pub(super) static COMMANDS: &[Command] = &[Command::new("slowlog", -2, Flags::NONE, (plan_nothing, finish_ok))
    .docs(Group::Server, "2.2.12", "Shows the batches of commands that took longest.")
    .subcommands(SUBCOMMANDS)];

static SUBCOMMANDS: &[Command] = &[
    Command::new("get", -2, COLD, (plan_nothing, finish_get)).docs(Group::Server, "2.2.12", "Lists slow commands."),
    Command::new("len", 2, COLD, (plan_nothing, finish_len)).docs(Group::Server, "2.2.12", "Counts the entries."),
    Command::new("reset", 2, COLD, (plan_nothing, finish_reset)).docs(Group::Server, "2.2.12", "Empties the log."),
    Command::new("help", 2, COLD, (plan_nothing, finish_help)).docs(Group::Server, "6.2.0", "Lists the subcommands."),
];

fn finish_help(finishing: &mut Finishing<'_>) -> Next {
    reply_help(finishing, "SLOWLOG", SUBCOMMANDS)
}

fn finish_get(finishing: &mut Finishing<'_>) -> Next {
    let count = match finishing.args.count() {
        2 => Some(10),
        3 => parse_i64(finishing.args.get(2)).filter(|count| *count >= -1),
        _ => return finishing.fail(&WRONG_GET),
    };
    let Some(count) = count else {
        return finishing.fail(&CommandError::text("ERR count should be greater than or equal to -1"));
    };
    let entries = finishing.services.slow_log.newest(usize::try_from(count).unwrap_or(usize::MAX));
    let reply = &mut finishing.reply;
    reply.array(entries.len());
    for entry in &entries {
        reply.array(6);
        reply.integer(entry.id as i64);
        reply.integer(entry.unix_seconds as i64);
        reply.integer(entry.microseconds as i64);
        reply.array(entry.arguments.len());
        entry.arguments.iter().for_each(|argument| reply.bulk(argument));
        reply.bulk(entry.address.as_bytes());
        reply.bulk(entry.client_name.as_bytes());
    }
    Next::Done
}

fn finish_len(finishing: &mut Finishing<'_>) -> Next {
    let count = finishing.services.slow_log.entries.lock().len();
    finishing.reply.integer(count as i64);
    Next::Done
}

fn finish_reset(finishing: &mut Finishing<'_>) -> Next {
    finishing.services.slow_log.entries.lock().clear();
    finishing.ok()
}
