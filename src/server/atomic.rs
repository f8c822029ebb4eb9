//! Commands that take effect together: `EXEC`, and single commands on several keys (MSET, RENAME, BITOP, ..).
//!
//! All keys are locked, everything is planned, carried out and finished under those locks without waiting, and the writes
//! reach the log as one piece, so a crash keeps all or none of them. Inside `EXEC`, a command on whole databases (DBSIZE,
//! SCAN, FLUSHALL, ..) cannot run under locks of keys: the transaction is cut there, and each part is atomic by itself.
//!
//! Invariant: nothing is awaited while locks are held; replies written for writes that then fail to reach the log are
//! taken back.

use std::ops::Range;
use std::sync::Arc;

use crate::command::{CommandError, Finishing, Flags, Next, Planning, Resolved, resolve};
use crate::coordinator::{Advanced, Batch};
use crate::replica::{Action, Compared, Failure, KeySet, Locked, Outcome, WatchedKey};
use crate::resp::{Protocol, Reply};
use crate::server::connection::Connection;
use crate::server::work::{Entry, EntryStep, Work};
use crate::session::{Queue, Watched};
use crate::types::{Args, DATABASES, Database};

/// Once the reply of a transaction has so many bytes, its further commands are refused instead of run.
const REPLY_BYTES: usize = 64 << 20;
const REPLY_FULL: &str = "ERR the reply of this transaction exceeds 64 MB; this command was not run";

/// A command of the transaction, known to be well-formed.
struct Part<'a> {
    resolved: Resolved,
    args: Args<'a>,
}

/// Where parts are planned and replied to.
struct Stage<'a> {
    batch: &'a mut Batch,
    output: &'a mut Vec<u8>,
}

impl Stage<'_> {
    /// Where an operation since `first` has failed, takes back the reply begun after `before` bytes: the error is the reply.
    fn take_back(&mut self, first: usize, before: usize) {
        if self.batch.failure(first, self.batch.len()).is_some() {
            self.output.truncate(before);
        }
    }
}

/// Whether the watched keys are as they were.
#[derive(PartialEq, Eq)]
enum Watch {
    Unchanged,
    Changed,
}

impl Connection {
    /// Runs `EXEC`, or one command whose keys are locked together, and writes the reply.
    pub(super) async fn run_atomic(&mut self, work: &mut Work, resolved: Resolved, spans: Range<usize>) {
        let Work { input, spans: all, batch, output, entries } = work;
        let mut stage = Stage { batch, output };
        if resolved.command.flags.has(Flags::RUNS_QUEUE) {
            self.run_queue(&mut stage, resolved).await;
        } else {
            let parts = [Part { resolved, args: Args::new(input, &all[spans.clone()]) }];
            self.run_parts(&mut stage, &parts, &[]).await;
        }
        self.session.replies.end_command();
        entries.push(Entry { spans, operations: 0..0, step: EntryStep::Finish(resolved) });
    }

    async fn run_queue(&mut self, stage: &mut Stage<'_>, exec: Resolved) {
        let before = stage.output.len();
        let Some(queue) = self.session.queue.take() else {
            self.reply(stage).error("ERR EXEC without MULTI");
            return self.end_part(stage, before, exec);
        };
        let watched = self.session.watched.take();
        self.session.note_transaction();
        if queue.broken {
            self.reply(stage).error("EXECABORT Transaction discarded because of previous errors.");
            return self.end_part(stage, before, exec);
        }
        self.reply(stage).array(queue.count());
        self.end_part(stage, before, exec);
        let parts = queued_parts(&queue);
        let started = self.reactor.clock.monotonic();
        if self.run_parts(stage, &parts, &watched).await == Watch::Changed {
            stage.output.truncate(before);
            self.reply(stage).null_array();
            return self.end_part(stage, before, exec);
        }
        let elapsed = self.reactor.clock.monotonic().saturating_sub(started);
        let share_ns = elapsed.as_nanos() as u64 / parts.len().max(1) as u64;
        self.reactor.services.stats.count_batch(parts.iter().map(|part| part.resolved), share_ns);
    }

    async fn run_parts(&mut self, stage: &mut Stage<'_>, parts: &[Part<'_>], watched: &[Watched]) -> Watch {
        if self.reactor.services.coordinator.cluster().is_some() {
            return self.run_apart(stage, parts, watched).await;
        }
        let is_global = |part: &Part<'_>| part.resolved.command.flags.has(Flags::GLOBAL);
        let mut watched = watched;
        let mut rest = parts;
        while !rest.is_empty() || !watched.is_empty() {
            let count = rest.iter().take_while(|part| !is_global(part)).count();
            let (together, others) = rest.split_at(count);
            if self.run_together(stage, together, watched).await == Watch::Changed {
                return Watch::Changed;
            }
            watched = &[];
            rest = others;
            if let Some((part, others)) = rest.split_first() {
                let kept = stage.batch.arena_bytes();
                self.run_alone(stage, part).await;
                stage.batch.truncate_arena(kept);
                rest = others;
            }
        }
        Watch::Unchanged
    }

    /// Runs `parts` one after the other, as a cluster does: each on its own keys, at its own level.
    async fn run_apart(&mut self, stage: &mut Stage<'_>, parts: &[Part<'_>], watched: &[Watched]) -> Watch {
        for key in watched {
            if self.has_changed(stage, key).await {
                return Watch::Changed;
            }
        }
        for part in parts {
            let kept = stage.batch.arena_bytes();
            self.run_alone(stage, part).await;
            stage.batch.truncate_arena(kept);
        }
        Watch::Unchanged
    }

    /// Whether a watched key is not as it was; one that cannot be read counts as changed.
    async fn has_changed(&self, stage: &mut Stage<'_>, watched: &Watched) -> bool {
        let key = stage.batch.store(&watched.key);
        let index = stage.batch.push(watched.database, key, Action::Fingerprint);
        let until = stage.batch.len();
        self.reactor.services.coordinator.carry_on(stage.batch, &[], until).await;
        match stage.batch.outcome(index) {
            Outcome::Fingerprint(now) => now.has_changed_since(watched.seen),
            _ => true,
        }
    }

    /// Runs `parts` under the locks of all their keys.
    async fn run_together(&mut self, stage: &mut Stage<'_>, parts: &[Part<'_>], watched: &[Watched]) -> Watch {
        let keys = key_set(parts, watched, self.session.database);
        let services = Arc::clone(&self.reactor.services);
        let mut locked = match services.coordinator.lock(&keys).await {
            Ok(locked) => locked,
            Err(failure) => {
                self.refuse_all(stage, parts, &failure);
                return Watch::Unchanged;
            }
        };
        let now_ms = stage.batch.now_ms();
        for key in watched {
            if let Compared::Changed(position) =
                services.coordinator.replica().compare(&mut locked, key_of(key), now_ms)
            {
                stage.batch.raise_position(position);
                return Watch::Changed;
            }
        }
        let before = stage.output.len();
        for part in parts {
            let kept = stage.batch.arena_bytes();
            self.run_part(&mut locked, stage, part);
            stage.batch.truncate_arena(kept);
        }
        match locked.commit() {
            Ok(position) => stage.batch.raise_position(position),
            Err(failure) => {
                stage.output.truncate(before);
                self.refuse_all(stage, parts, &failure);
            }
        }
        Watch::Unchanged
    }

    fn run_part(&mut self, locked: &mut Locked<'_>, stage: &mut Stage<'_>, part: &Part<'_>) {
        let (first, before) = (stage.batch.len(), stage.output.len());
        if before > REPLY_BYTES {
            self.reply(stage).error(REPLY_FULL);
            return self.end_part(stage, before, part.resolved);
        }
        if !self.plan_part(stage, part) {
            return self.end_part(stage, before, part.resolved);
        }
        let before = stage.output.len();
        let mut phase = 0;
        loop {
            let services = &self.reactor.services;
            services.coordinator.advance_locked(locked, stage.batch, part.args.buffer());
            stage.take_back(first, before);
            let next = self.finish_part(stage, part, first, phase);
            // Only commands that read go on after they have begun their reply (MGET).
            if next == Next::More && stage.output.len() > REPLY_BYTES + before {
                stage.output.truncate(before);
                self.reply(stage).error(REPLY_FULL);
                return self.end_part(stage, before, part.resolved);
            }
            if next == Next::Done {
                if part.resolved.command.flags.has(Flags::READONLY) {
                    let lookups = stage.batch.lookups(first, stage.batch.len());
                    self.reactor.services.stats.count_lookups(lookups);
                }
                return self.end_part(stage, before, part.resolved);
            }
            phase += 1;
        }
    }

    /// Runs a command with no lock held.
    async fn run_alone(&mut self, stage: &mut Stage<'_>, part: &Part<'_>) {
        let (first, before) = (stage.batch.len(), stage.output.len());
        if !self.plan_part(stage, part) {
            return self.end_part(stage, before, part.resolved);
        }
        let before = stage.output.len();
        let mut phase = 0;
        loop {
            let until = stage.batch.len();
            let input = part.args.buffer();
            let coordinator = &self.reactor.services.coordinator;
            if coordinator.advance(stage.batch, input, until) == Advanced::Waiting {
                coordinator.carry_on(stage.batch, input, until).await;
            }
            stage.take_back(first, before);
            if self.finish_part(stage, part, first, phase) == Next::Done {
                return self.end_part(stage, before, part.resolved);
            }
            phase += 1;
        }
    }

    /// Counts the reply from `before` on if it is an error, and drops it if the client wants none.
    fn end_part(&self, stage: &mut Stage<'_>, before: usize, resolved: Resolved) {
        if stage.output.get(before) == Some(&b'-') {
            self.reactor.services.stats.count_error(&stage.output[before..], Some(resolved));
        }
        if !self.session.replies.are_wanted() {
            stage.output.truncate(before);
        }
    }

    /// Plans a part; `false` if it was refused and the error is its reply.
    fn plan_part(&mut self, stage: &mut Stage<'_>, part: &Part<'_>) -> bool {
        let mut planning =
            Planning { session: &mut self.session, batch: stage.batch, services: &self.reactor.services };
        match part.resolved.plan(&mut planning, part.args) {
            Ok(()) => true,
            Err(error) => {
                self.reply(stage).error(&*error.0);
                false
            }
        }
    }

    fn finish_part(&mut self, stage: &mut Stage<'_>, part: &Part<'_>, first: usize, phase: u32) -> Next {
        let end = stage.batch.len();
        if let Some(failure) = stage.batch.failure(first, end) {
            let error = CommandError::from(failure);
            self.reply(stage).error(&*error.0);
            return Next::Done;
        }
        let protocol = self.protocol();
        let mut finishing = Finishing {
            args: part.args,
            session: &mut self.session,
            batch: stage.batch,
            reply: Reply::new(stage.output, protocol),
            services: &self.reactor.services,
            first,
            end,
            phase,
        };
        (part.resolved.command.finish)(&mut finishing)
    }

    fn refuse_all(&self, stage: &mut Stage<'_>, parts: &[Part<'_>], failure: &Failure) {
        let error = CommandError::from(failure);
        for part in parts {
            let before = stage.output.len();
            self.reply(stage).error(&*error.0);
            self.end_part(stage, before, part.resolved);
        }
    }

    fn reply<'a>(&self, stage: &'a mut Stage<'_>) -> Reply<'a> {
        Reply::new(stage.output, self.protocol())
    }

    /// The protocol that replies are written in.
    pub(super) fn protocol(&self) -> Protocol {
        if self.session.protocol == 3 { Protocol::Resp3 } else { Protocol::Resp2 }
    }
}

fn queued_parts(queue: &Queue) -> Vec<Part<'_>> {
    (0..queue.count())
        .filter_map(|index| {
            let args = queue.command(index);
            // Only what resolved was queued, so nothing is left out here.
            resolve(args).ok().map(|resolved| Part { resolved, args })
        })
        .collect()
}

fn key_of(watched: &Watched) -> WatchedKey<'_> {
    WatchedKey { database: watched.database, key: &watched.key, seen: watched.seen }
}

/// Every key that the parts may touch, following `SELECT` among them.
fn key_set(parts: &[Part<'_>], watched: &[Watched], selected: Database) -> KeySet {
    let mut keys = KeySet::default();
    let mut database = selected;
    for watched in watched {
        keys.add(watched.database, &watched.key);
    }
    for Part { resolved, args } in parts {
        let command = resolved.command;
        for index in command.keys.indexes(args.count()) {
            keys.add(database, args.get(index));
            // COPY names a database of its own.
            for other in (0..DATABASES).filter(|_| command.flags.has(Flags::ANY_DATABASE) && args.count() > 3) {
                keys.add(Database(other), args.get(index));
            }
        }
        if command.name == "select"
            && let Some(chosen) = crate::resp::parse_i64(args.get(1)).and_then(|number| u8::try_from(number).ok())
            && chosen < DATABASES
        {
            database = Database(chosen);
        }
    }
    keys
}
