//! A batch in a cluster: the operations of all its commands are carried out in the same rounds of messages; commands that
//! another member has to coordinate go to it, neighbours in one message.
//!
//! Invariant: commands of a connection take effect in their order: what comes before a forwarded command is through before
//! that is sent, and what comes after it begins when its reply is here.

use std::ops::Range;

use crate::command::{CommandError, Resolved};
use crate::coordinator::Levels;
use crate::replica::Failure;
use crate::resp::{Protocol, Reply};
use crate::server::connection::{Connection, Ended};
use crate::server::work::{EntryStep, Work};
use crate::types::{Args, NodeNumber};
use crate::wire::{self, Forwarded};

impl Connection {
    /// Whether the command that was just planned, with operations from `first` on, is this node's to carry out. If not, what
    /// was planned is forgotten.
    pub(super) fn route(&self, work: &mut Work, first: usize, resolved: Resolved) -> EntryStep {
        let coordinator = &self.reactor.services.coordinator;
        if coordinator.cluster().is_none() || resolved.command.keys.last != resolved.command.keys.first {
            return EntryStep::Finish(resolved);
        }
        match coordinator.route(&work.batch, &work.input, first..work.batch.len()) {
            Some(members) => {
                let levels = work.batch.levels(first);
                work.batch.forget(first);
                EntryStep::Forward(resolved, members, levels)
            }
            None => EntryStep::Finish(resolved),
        }
    }

    /// Carries out a batch of a node that is one of several.
    pub(super) async fn run_replicated(&mut self, work: &mut Work) -> Result<(), Ended> {
        let mut index = 0;
        while index < work.entries.len() {
            let members = forwarded_to(work, index);
            let same = (index..work.entries.len()).take_while(|next| forwarded_to(work, *next) == members).count();
            let run = index..index + same;
            index = run.end;
            match members.map(|(members, _)| members.to_vec()) {
                Some(members) => self.run_forwarded(work, run, &members).await?,
                None => self.run_here(work, run).await?,
            }
        }
        Ok(())
    }

    async fn run_here(&mut self, work: &mut Work, run: Range<usize>) -> Result<(), Ended> {
        let until = work.entries[run.end - 1].operations.end;
        let coordinator = &self.reactor.services.coordinator;
        coordinator.carry_on(&mut work.batch, &work.input, until).await;
        for index in run {
            self.run_entry(work, index).await?;
            if work.output.len() > self.output_limit() {
                self.deliver(work).await?;
            }
        }
        Ok(())
    }

    async fn run_forwarded(&mut self, work: &mut Work, run: Range<usize>, members: &[NodeNumber]) -> Result<(), Ended> {
        let protocol = match self.protocol() {
            Protocol::Resp2 => wire::Protocol::Resp2,
            Protocol::Resp3 => wire::Protocol::Resp3,
        };
        let EntryStep::Forward(_, _, levels) = work.entries[run.start].step else { return Ok(()) };
        let (read_level, write_level) = (levels.read.to_string(), levels.write.to_string());
        let command = |index: usize| Forwarded {
            database: self.session.database,
            protocol,
            read_level: &read_level,
            write_level: &write_level,
            arguments: Args::new(&work.input, &work.spans[work.entries[index].spans.clone()]),
        };
        let commands: Vec<Forwarded<'_>> = run.clone().map(command).collect();
        let coordinator = &self.reactor.services.coordinator;
        let replies = if members.is_empty() {
            let nobody = Failure::Unavailable("no replica of the key can be reached".into());
            commands.iter().map(|_| Err(nobody.clone())).collect()
        } else {
            coordinator.forward(members, &commands).await
        };
        for (index, reply) in run.zip(replies) {
            let before = work.output.len();
            match reply {
                Ok(bytes) => work.output.extend_from_slice(&bytes),
                Err(failure) => {
                    let protocol = self.protocol();
                    Reply::new(&mut work.output, protocol).error(&*CommandError::from(&failure).0);
                }
            }
            self.end_entry(work, index, before);
            if work.output.len() > self.output_limit() {
                self.deliver(work).await?;
            }
        }
        Ok(())
    }
}

/// The members that have to carry out the command at `index`, and at which levels, if this node may not.
fn forwarded_to(work: &Work, index: usize) -> Option<(&[NodeNumber], Levels)> {
    match &work.entries.get(index)?.step {
        EntryStep::Forward(_, members, levels) => Some((members, *levels)),
        _ => None,
    }
}
