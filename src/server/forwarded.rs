//! Commands that another node has forwarded: carried out as if a client had sent them here, the reply's bytes sent back.

use std::sync::Arc;

use crate::command::{CommandError, Finishing, Flags, Next, Planning, Resolved, Services, resolve};
use crate::coordinator::{Batch, CommitQueue};
use crate::env::Clock;
use crate::quorum::Level;
use crate::resp::{Protocol, Reply, Trust};
use crate::session::{LevelChoice, Session};
use crate::types::{Args, Span};
use crate::wire::{self, Batch as Items, Command, Frame, Kind, Message, Reason, Refusal, RefusedFrame, Request};

/// Carries out forwarded commands. Belongs to the reactor of its commit queue.
pub struct ForwardedService {
    services: Arc<Services>,
    clock: Arc<dyn Clock>,
    commit: Arc<CommitQueue>,
}

/// What became of one command.
enum Carried {
    /// The reply.
    Replied(Vec<u8>),
    /// Nothing: this node may not carry it out.
    NotHere,
}

impl ForwardedService {
    /// A service whose replies wait in `commit` until what they show is durable.
    #[must_use]
    pub fn new(services: Arc<Services>, clock: Arc<dyn Clock>, commit: Arc<CommitQueue>) -> Self {
        ForwardedService { services, clock, commit }
    }

    /// Answers a message of forwarded commands; `None` if it is another one.
    pub async fn serve(&self, frame: &Frame) -> Option<Message> {
        if frame.header.kind != Kind::Forward {
            return None;
        }
        let commands = match Request::decode(frame) {
            Ok(Request::Forward(commands)) => commands,
            Ok(_) => return None,
            Err(error) => return Some(refused(Reason::Malformed, &error.to_string())),
        };
        let mut answers = Items::new(Kind::ForwardAnswer);
        for command in commands {
            match self.carry_out(&command, &frame.body).await {
                Ok(Carried::Replied(bytes)) => answers.push(&wire::Reply::Bytes(&bytes)),
                Ok(Carried::NotHere) => answers.push(&wire::Reply::Refused(Refusal::bare(Reason::NotMember))),
                Err(failure) => {
                    answers.push(&wire::Reply::Refused(Refusal { reason: Reason::Failed, text: &failure }));
                }
            }
        }
        Some(answers.finish())
    }

    async fn carry_out(&self, command: &Command<'_>, body: &[u8]) -> Result<Carried, String> {
        let spans: Vec<Span> = command.arguments.spans().collect();
        let args = Args::new(body, &spans);
        let protocol = match command.protocol {
            wire::Protocol::Resp2 => Protocol::Resp2,
            wire::Protocol::Resp3 => Protocol::Resp3,
        };
        let mut output = Vec::new();
        match resolve(args) {
            Ok(resolved) if resolved.command.flags.has(Flags::ATOMIC) => return Ok(Carried::NotHere),
            Ok(resolved) => {
                let mut session = self.session(command);
                let mut batch = Batch::default();
                batch.clear(self.services.coordinator.replica().now_ms(self.clock.wall_ms()));
                let mut run =
                    Run { services: &self.services, session: &mut session, batch: &mut batch, args, resolved };
                if !run.execute(protocol, &mut output).await {
                    return Ok(Carried::NotHere);
                }
                self.commit.wait(batch.position()).await?;
            }
            Err(error) => Reply::new(&mut output, protocol).error(&*error.0),
        }
        Ok(Carried::Replied(output))
    }

    /// The state that the client's connection has where the command came from, as far as a forwarded command can see it.
    fn session(&self, command: &Command<'_>) -> Session {
        let mut session = Session::new(self.services.registry.peer_client(), Trust::Authenticated);
        session.select(command.database);
        session.set_protocol(command.protocol as u8);
        let level = |text: &str| text.parse::<Level>().ok();
        session.levels.choose(LevelChoice { read: level(command.read_level), write: level(command.write_level) });
        session
    }
}

/// One command being carried out.
struct Run<'a> {
    services: &'a Services,
    session: &'a mut Session,
    batch: &'a mut Batch,
    args: Args<'a>,
    resolved: Resolved,
}

impl Run<'_> {
    /// `false` if this node is none that may carry it out: nothing was done.
    async fn execute(&mut self, protocol: Protocol, output: &mut Vec<u8>) -> bool {
        let mut planning = Planning { session: self.session, batch: self.batch, services: self.services };
        if let Err(error) = self.resolved.plan(&mut planning, self.args) {
            Reply::new(output, protocol).error(&*error.0);
            return true;
        }
        let input = self.args.buffer();
        let mut phase = 0;
        loop {
            let until = self.batch.len();
            // Another view of who is live than the sender's does not matter: two coordinators at worst leave siblings.
            if phase == 0 && !self.services.coordinator.holds(self.batch, input) {
                return false;
            }
            self.services.coordinator.carry_on(self.batch, input, until).await;
            if let Some(failure) = self.batch.failure(0, until) {
                output.clear();
                Reply::new(output, protocol).error(&*CommandError::from(failure).0);
                return true;
            }
            let mut finishing = Finishing {
                args: self.args,
                session: self.session,
                batch: self.batch,
                reply: Reply::new(output, protocol),
                services: self.services,
                first: 0,
                end: until,
                phase,
            };
            if (self.resolved.command.finish)(&mut finishing) == Next::Done {
                return true;
            }
            phase += 1;
        }
    }
}

fn refused(reason: Reason, text: &str) -> Message {
    Message::refused(&RefusedFrame { refusal: Refusal { reason, text }, help: &[] })
}
