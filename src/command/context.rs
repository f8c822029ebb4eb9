//! What a command sees while it is planned and finished.

use std::sync::Arc;

use crate::command::admin::Admin;
use crate::command::error::{CommandError, Result};
use crate::command::slowlog::SlowLog;
use crate::command::stats::Stats;
use crate::command::token::Tokens;
use crate::coordinator::{Batch, Coordinator};
use crate::replica::{Action, Answer, Failure, Operand, Outcome};
use crate::resp::{Reply, Trust};
use crate::session::{Registry, Session};
use crate::topology::Current;
use crate::types::Args;

/// What all connections share.
pub struct Services {
    /// Carries out operations.
    pub coordinator: Arc<Coordinator>,
    /// All connections.
    pub registry: Arc<Registry>,
    /// Calls and times of commands.
    pub stats: Stats,
    /// The batches that took longest.
    pub slow_log: SlowLog,
    /// Makes and checks the tokens of versions.
    pub tokens: Tokens,
    /// The topology that this node goes by.
    pub topology: Arc<Current>,
    /// Settings, status, shutdown.
    pub admin: Arc<dyn Admin>,
}

impl Services {
    /// Whether a new connection still has to give a password.
    #[must_use]
    pub fn initial_trust(&self) -> Trust {
        if self.admin.password().is_none() { Trust::Authenticated } else { Trust::Unauthenticated }
    }
}

/// Planning a command.
pub struct Planning<'a> {
    /// The connection.
    pub session: &'a mut Session,
    /// Where operations go.
    pub batch: &'a mut Batch,
    /// What all connections share.
    pub services: &'a Services,
}

impl Planning<'_> {
    /// Adds an operation on the key that is argument `index`, in the connection's database.
    #[inline]
    pub fn on(&mut self, args: Args<'_>, index: usize, action: Action) -> usize {
        self.batch.push(self.session.database, Operand::Input(args.span(index)), action)
    }

    /// Refuses a pair that no write would take, before anything is built or written for it.
    pub fn check_pair(&self, key: &[u8], value_bytes: usize) -> Result<()> {
        let (bytes, limit) = (key.len() + value_bytes, self.services.coordinator.replica().max_pair_bytes());
        if bytes > limit { Err(CommandError::from(&Failure::PairTooLarge { bytes, limit })) } else { Ok(()) }
    }
}

/// The plan of a command that does everything when it is finished.
pub(super) fn plan_nothing(_: &mut Planning<'_>, _: Args<'_>) -> Result<()> {
    Ok(())
}

/// The finish of a command that did everything when it was planned or carried out.
pub(super) fn finish_ok(finishing: &mut Finishing<'_>) -> Next {
    finishing.ok()
}

/// Whether a command is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The reply is written.
    Done,
    /// More operations were planned; `finish` is to be called again with their outcomes.
    More,
}

/// Finishing a command.
pub struct Finishing<'a> {
    /// Its arguments.
    pub args: Args<'a>,
    /// The connection.
    pub session: &'a mut Session,
    /// Operations and outcomes.
    pub batch: &'a mut Batch,
    /// Where the reply goes.
    pub reply: Reply<'a>,
    /// What all connections share.
    pub services: &'a Services,
    /// Index of this command's first operation.
    pub first: usize,
    /// Index after its last operation.
    pub end: usize,
    /// How often `finish` has been called before.
    pub phase: u32,
}

impl Finishing<'_> {
    /// Replies `+OK`.
    pub fn ok(&mut self) -> Next {
        self.reply.ok();
        Next::Done
    }

    /// Replies with an error.
    pub fn fail(&mut self, error: &CommandError) -> Next {
        self.reply.error(&*error.0);
        Next::Done
    }

    /// The answer of the change, or of the examination, that was operation `index` of this command.
    #[inline]
    #[must_use]
    pub fn answer(&self, index: usize) -> Answer {
        match self.batch.outcome(self.first + index) {
            Outcome::Changed(answer) | Outcome::Examined(answer, _) => answer,
            _ => Answer::Nil,
        }
    }

    /// Replies with the answer of operation `index`.
    #[inline]
    pub fn reply_answer(&mut self, index: usize) -> Next {
        match self.answer(index) {
            Answer::Nil => self.reply.null(),
            Answer::Ok => self.reply.ok(),
            Answer::Integer(number) => self.reply.integer(number),
            Answer::Bytes(span) => self.reply.bulk(self.batch.bytes(span)),
            Answer::Error(line) => self.reply.error(line),
        }
        Next::Done
    }

    /// Replies with the value that operation `index` of this command read, or null.
    #[inline]
    pub fn reply_value(&mut self, index: usize) -> Next {
        match self.batch.value(self.first + index) {
            Some(value) => self.reply.bulk(value),
            None => self.reply.null(),
        }
        Next::Done
    }
}
