//! From requests to replies: gathering a batch, planning it, carrying it out, finishing each command.
//!
//! A batch ends at [`BATCH_COMMANDS`], at [`BATCH_BYTES`] of input, and around a command that has to run alone. Each
//! command is carried out and finished before the next one of its batch begins, so a reply never holds up the arena; what
//! the replies show is waited for once, at the end.

use std::sync::atomic::Ordering;

use crate::command::{CommandError, Finishing, Flags, Next, Planning, Resolved, SlowBatch, SlowLog, resolve};
use crate::coordinator::{Advanced, Lookups};
use crate::resp::{Reply, Scanned};
use crate::server::connection::{Connection, Ended};
use crate::server::work::{Entry, EntryStep, Work};
use crate::types::Args;

/// Commands of one batch.
const BATCH_COMMANDS: usize = 1024;
/// Bytes of requests in one batch.
const BATCH_BYTES: usize = 256 << 10;
/// Outcomes are dropped from the arena once they take so much.
const ARENA_BYTES: usize = 64 << 10;

/// What the next requests of the input turned out to be.
enum Gathered {
    /// No complete request.
    Nothing,
    /// A batch, planned.
    Batch,
    /// A command whose keys are locked together, or `EXEC`.
    Atomic(Resolved, std::ops::Range<usize>),
}

/// Whether a command's name is a line of HTTP: a web page may make a browser send one here, with commands in its body.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

impl Connection {
    /// Executes the next batch of the input and writes its replies; `false` if no request is complete.
    pub(super) async fn execute_next(&mut self, work: &mut Work) -> Result<bool, Ended> {
        let now_ms = self.reactor.services.coordinator.replica().now_ms(self.reactor.clock.wall_ms());
        work.batch.clear(now_ms);
        work.entries.clear();
        let started = self.reactor.clock.monotonic();
        let gathered = self.gather(work);
        match gathered {
            Gathered::Nothing => {
                self.drop_consumed(work);
                return Ok(false);
            }
            Gathered::Batch => self.run_batch(work).await?,
            Gathered::Atomic(resolved, spans) => self.run_atomic(work, resolved, spans).await,
        }
        let executed = self.reactor.clock.monotonic();
        let elapsed = executed.saturating_sub(started).saturating_sub(std::mem::take(&mut self.delivering));
        self.wait_durable(work).await?;
        self.observe(work, elapsed);
        if self.held.is_none() {
            self.drop_consumed(work);
        }
        Ok(true)
    }

    /// Waits until what the replies show is durable.
    async fn wait_durable(&self, work: &Work) -> Result<(), Ended> {
        let (commit, position) = (&self.reactor.commit, work.batch.position());
        if commit.is_durable(position) {
            return Ok(());
        }
        let begun = self.reactor.clock.monotonic();
        commit.wait(position).await.map_err(|_| Ended)?;
        self.reactor.services.stats.count_commit_wait(self.reactor.clock.monotonic().saturating_sub(begun));
        Ok(())
    }

    /// Drops the requests that were carried out; their bytes only once they are half of all, so that a long pipeline is
    /// not moved once for each of its batches.
    fn drop_consumed(&mut self, work: &mut Work) {
        if self.scanner.consumed() * 2 < work.input.len() {
            return self.scanner.forget(&mut work.spans);
        }
        let consumed = self.scanner.rebase(&mut work.spans);
        work.input.drain(..consumed);
    }

    /// Scans and plans requests until the batch is full or the input has no further complete one.
    fn gather(&mut self, work: &mut Work) -> Gathered {
        let before = self.scanner.consumed();
        loop {
            let spans = match self.next_request(work) {
                Some(Ok(spans)) => spans,
                Some(Err(error)) => {
                    self.refuse(work, error);
                    continue;
                }
                None => break,
            };
            let args = Args::new(&work.input, &work.spans[spans.clone()]);
            let Some(step) = self.admit(args) else { break };
            if let EntryStep::Finish(resolved) = step
                && resolved.command.flags.has(Flags::ALONE)
            {
                if !work.entries.is_empty() {
                    self.held = Some(spans);
                    break;
                }
                if resolved.command.flags.has(Flags::ATOMIC) {
                    return Gathered::Atomic(resolved, spans);
                }
                self.plan(work, spans, step);
                break;
            }
            self.plan(work, spans, step);
            let full = work.entries.len() >= BATCH_COMMANDS || self.scanner.consumed() - before >= BATCH_BYTES;
            if full || !self.session.is_trusted() || self.session.closing {
                break;
            }
        }
        if work.entries.is_empty() { Gathered::Nothing } else { Gathered::Batch }
    }

    /// The next request's spans, or the error that its bytes deserve.
    fn next_request(&mut self, work: &mut Work) -> Option<Result<std::ops::Range<usize>, CommandError>> {
        if let Some(held) = self.held.take() {
            return Some(Ok(held));
        }
        if self.session.closing {
            return None;
        }
        self.scanner.set_trust(self.session.trust);
        match self.scanner.next(&mut work.input, &mut work.spans) {
            Ok(Scanned::Request(spans)) => Some(Ok(spans)),
            Ok(Scanned::TooLarge(error)) => Some(Err(CommandError::line(error.to_string()))),
            Ok(Scanned::Incomplete) => None,
            Err(error) => {
                self.session.closing = true;
                Some(Err(CommandError::line(error.to_string())))
            }
        }
    }

    /// What is to become of a request, before anything is planned: known, allowed, queued? `None` if it ends the connection.
    fn admit(&mut self, args: Args<'_>) -> Option<EntryStep> {
        match resolve(args) {
            Ok(resolved) => Some(self.admit_known(args, resolved)),
            Err(_) if is_http(args.get(0)) => {
                self.session.closing = true;
                self.reactor.warn_of_http(self.session.client.address);
                None
            }
            Err(error) => {
                self.break_queue();
                Some(EntryStep::Refuse(error, None))
            }
        }
    }

    fn admit_known(&mut self, args: Args<'_>, resolved: Resolved) -> EntryStep {
        let flags = resolved.command.flags;
        if !self.session.is_trusted() && !flags.has(Flags::NO_AUTH) {
            self.reactor.services.stats.count_rejected(resolved);
            return EntryStep::Refuse(CommandError::text("NOAUTH Authentication required."), None);
        }
        if flags.has(Flags::NOT_QUEUED) {
            return EntryStep::Finish(resolved);
        }
        let Some(queue) = &mut self.session.queue else { return EntryStep::Finish(resolved) };
        if flags.has(Flags::NO_MULTI) {
            queue.broken = true;
            self.reactor.services.stats.count_rejected(resolved);
            return EntryStep::Refuse(CommandError::text("ERR Command not allowed inside a transaction"), None);
        }
        if !queue.push(args) {
            queue.broken = true;
            self.reactor.services.stats.count_rejected(resolved);
            return EntryStep::Refuse(CommandError::text("ERR transaction queue is full"), None);
        }
        self.session.note_transaction();
        EntryStep::Queued
    }

    fn break_queue(&mut self) {
        if let Some(queue) = &mut self.session.queue {
            queue.broken = true;
        }
    }

    fn refuse(&mut self, work: &mut Work, error: CommandError) {
        self.break_queue();
        let operations = work.batch.len()..work.batch.len();
        work.entries.push(Entry { spans: 0..0, operations, step: EntryStep::Refuse(error, None) });
    }

    fn plan(&mut self, work: &mut Work, spans: std::ops::Range<usize>, step: EntryStep) {
        let first = work.batch.len();
        let step = match step {
            EntryStep::Finish(resolved) => {
                let args = Args::new(&work.input, &work.spans[spans.clone()]);
                let mut planning =
                    Planning { session: &mut self.session, batch: &mut work.batch, services: &self.reactor.services };
                match resolved.plan(&mut planning, args) {
                    Ok(()) => self.route(work, first, resolved),
                    Err(error) => EntryStep::Refuse(error, Some(resolved)),
                }
            }
            step => step,
        };
        let operations = first..work.batch.len();
        work.entries.push(Entry { spans, operations, step });
    }

    async fn run_batch(&mut self, work: &mut Work) -> Result<(), Ended> {
        if self.reactor.services.coordinator.cluster().is_some() {
            return self.run_replicated(work).await;
        }
        let planned = work.batch.arena_bytes();
        for index in 0..work.entries.len() {
            self.run_entry(work, index).await?;
            if work.output.len() > self.output_limit() {
                self.deliver(work).await?;
            }
            if work.batch.arena_bytes() > planned + ARENA_BYTES {
                work.batch.truncate_arena(planned);
            }
        }
        Ok(())
    }

    /// Carries out one command's operations and finishes it, in as many phases as it asks for.
    pub(super) async fn run_entry(&mut self, work: &mut Work, index: usize) -> Result<(), Ended> {
        let before = work.output.len();
        let mut phase = 0;
        let mut delivered = false;
        loop {
            let until = work.entries[index].operations.end;
            let coordinator = &self.reactor.services.coordinator;
            if coordinator.advance(&mut work.batch, &work.input, until) == Advanced::Waiting {
                coordinator.carry_on(&mut work.batch, &work.input, until).await;
            }
            if phase > 0 && work.batch.failure(work.entries[index].operations.start, until).is_some() {
                // The error takes the place of a reply that has been begun; of one that is under way, nothing can.
                if delivered {
                    return Err(Ended);
                }
                work.output.truncate(before);
            }
            if self.finish(work, index, phase) == Next::Done {
                break;
            }
            work.entries[index].operations.end = work.batch.len();
            phase += 1;
            if !self.session.replies.are_wanted() {
                work.output.truncate(before);
            } else if work.output.len() > self.output_limit() && before == 0 {
                self.deliver(work).await?;
                delivered = true;
            }
        }
        self.end_entry(work, index, before);
        Ok(())
    }

    /// Counts the reply from `before` on if it is an error, and drops it if the client wants none.
    pub(super) fn end_entry(&mut self, work: &mut Work, index: usize, before: usize) {
        if work.output.get(before) == Some(&b'-') {
            let blamed = work.entries[index].step.command();
            self.reactor.services.stats.count_error(&work.output[before..], blamed);
        }
        if !self.session.replies.are_wanted() {
            work.output.truncate(before);
        }
        self.session.replies.end_command();
    }

    /// Sends the replies written so far, once what they show is durable.
    pub(super) async fn deliver(&mut self, work: &mut Work) -> Result<(), Ended> {
        let begun = self.reactor.clock.monotonic();
        self.wait_durable(work).await?;
        self.send(work).await?;
        self.delivering += self.reactor.clock.monotonic().saturating_sub(begun);
        Ok(())
    }

    fn finish(&mut self, work: &mut Work, index: usize, phase: u32) -> Next {
        let entry = &work.entries[index];
        let protocol = self.protocol();
        let mut reply = Reply::new(&mut work.output, protocol);
        let resolved = match &entry.step {
            EntryStep::Finish(resolved) => *resolved,
            EntryStep::Queued => {
                reply.simple("QUEUED");
                return Next::Done;
            }
            EntryStep::Forward(..) => return Next::Done,
            EntryStep::Refuse(error, _) => {
                reply.error(&*error.0);
                return Next::Done;
            }
        };
        let operations = entry.operations.clone();
        if let Some(failure) = work.batch.failure(operations.start, operations.end) {
            reply.error(&*CommandError::from(failure).0);
            return Next::Done;
        }
        let mut finishing = Finishing {
            args: Args::new(&work.input, &work.spans[entry.spans.clone()]),
            session: &mut self.session,
            batch: &mut work.batch,
            reply,
            services: &self.reactor.services,
            first: operations.start,
            end: operations.end,
            phase,
        };
        (resolved.command.finish)(&mut finishing)
    }

    /// Counts what the batch did: calls exactly, its time in equal shares. Its time is that of its execution, as in Redis:
    /// neither the wait for the disk nor that for the client.
    fn observe(&mut self, work: &Work, elapsed: std::time::Duration) {
        let client = &self.session.client;
        client.active_ms.store(work.batch.now_ms(), Ordering::Relaxed);
        client.query_bytes.store(work.input.len().saturating_sub(self.scanner.consumed()) as u64, Ordering::Relaxed);
        client.reply_bytes.store(work.output.len() as u64, Ordering::Relaxed);
        let share_ns = elapsed.as_nanos() as u64 / work.entries.len().max(1) as u64;
        let commands = work.entries.iter().filter_map(|entry| entry.step.command());
        self.reactor.services.stats.count_batch(commands, share_ns);
        let mut lookups = Lookups::default();
        for Entry { operations, step, .. } in &work.entries {
            if let EntryStep::Finish(Resolved { command, .. }) = step
                && command.flags.has(Flags::READONLY)
            {
                lookups += work.batch.lookups(operations.start, operations.end);
            }
        }
        self.reactor.services.stats.count_lookups(lookups);
        let tunables = self.reactor.services.admin.tunables();
        if SlowLog::is_slow(tunables, elapsed) {
            let slow = SlowBatch { client, now_ms: work.batch.now_ms(), elapsed };
            for Entry { spans, step, .. } in &work.entries {
                if let EntryStep::Finish(Resolved { command, .. }) = step
                    && !command.flags.has(Flags::SECRET)
                {
                    let args = Args::new(&work.input, &work.spans[spans.clone()]);
                    self.reactor.services.slow_log.record(tunables, args, &slow);
                }
            }
        }
        if let Some(Entry { step: EntryStep::Finish(resolved), .. }) = work.entries.last() {
            client.set_command(resolved.command.name);
        }
    }
}
