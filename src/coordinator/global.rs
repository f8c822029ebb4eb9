//! Operations on whole databases: pages of keys, a random key, flushes and snapshots, all carried out on the pool.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::coordinator::{Batch, Cluster, Coordinator};
use crate::peer::Terms;
use crate::quorum::{Level, Purpose};
use crate::replica::{Action, Failure, Operand, Operation, Outcome, Page, PageOrder, PageRequest};
use crate::types::{DATABASES, Database, NodeNumber, Span};
use crate::wire::{Batch as Items, Kind, Message};

/// Pause before members that have not adopted a topology are asked again.
const PAUSE: Duration = Duration::from_millis(3);

impl Coordinator {
    pub(super) async fn run_global(&self, batch: &mut Batch, input: &[u8], operation: Operation) {
        let outcome = match operation.action {
            Action::Page(request) => self.page(batch, input, operation.database, request).await,
            Action::RandomKey => self.random_key(batch, operation.database).await,
            Action::Snapshot => self.snapshot(batch, input, operation.key).await,
            Action::Flush => self.flush(Some(operation.database)).await,
            _ => self.flush(None).await,
        };
        match outcome {
            Ok(outcome) => {
                let position = self.replica.shown();
                batch.finish_operation(outcome, position);
            }
            Err(failure) => batch.fail_operation(failure),
        }
    }

    async fn page(
        &self,
        batch: &mut Batch,
        input: &[u8],
        database: Database,
        request: PageRequest,
    ) -> Result<Outcome, Failure> {
        let pattern = request.pattern.map(|pattern| match pattern {
            Operand::Input(span) => span.of(input).to_vec(),
            Operand::Arena(span) => span.of(&batch.arena).to_vec(),
        });
        let order = PageOrder { database, request, pattern, now_ms: batch.now_ms() };
        let replica = Arc::clone(&self.replica);
        let page = self.on_pool(move || replica.page(&order)).await?;
        Ok(batch.keep_page(&page))
    }

    async fn random_key(&self, batch: &mut Batch, database: Database) -> Result<Outcome, Failure> {
        let replica = Arc::clone(&self.replica);
        let now_ms = batch.now_ms();
        let page = self.on_pool(move || replica.random_key(database, now_ms)).await?;
        Ok(batch.keep_page(&page))
    }

    async fn snapshot(&self, batch: &Batch, input: &[u8], path: Operand) -> Result<Outcome, Failure> {
        let path = match path {
            Operand::Input(span) => span.of(input),
            Operand::Arena(span) => span.of(&batch.arena),
        };
        let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        let replica = Arc::clone(&self.replica);
        self.on_pool(move || replica.snapshot(&path)).await?;
        Ok(Outcome::Written)
    }

    /// Deletes everything of a database, or of all.
    async fn flush(&self, database: Option<Database>) -> Result<Outcome, Failure> {
        if let Some(cluster) = self.cluster() {
            return self.flush_everywhere(cluster, database).await;
        }
        let databases: Vec<Database> = database.map_or_else(|| (0..DATABASES).map(Database).collect(), |one| vec![one]);
        let replica = Arc::clone(&self.replica);
        self.on_pool(move || replica.flush(&databases)).await?;
        Ok(Outcome::Written)
    }
}

impl Coordinator {
    /// Supersedes everything up to the greatest clock of the members that can be reached.
    async fn flush_everywhere(&self, cluster: &Cluster, database: Option<Database>) -> Result<Outcome, Failure> {
        let now = Instant::now();
        let view = cluster.view();
        let deadline = now + cluster.options().timeout;
        let terms = Terms { epoch: view.topology.epoch(), time: self.replica.reading(), now, deadline };
        let asked: Vec<_> = view
            .topology
            .members()
            .iter()
            .filter(|member| member.number != cluster.me())
            .filter_map(|member| cluster.members().ask(member.number, &probe(), &terms).ok())
            .collect();
        for answering in asked {
            if let Ok(frame) = answering.await {
                self.replica.observe(frame.header.time, cluster.options().max_skew);
            }
        }
        let flushed = cluster.members().flush(database, self.replica.reading().after()).await;
        flushed.map_err(|reason| Failure::Unavailable(reason.into()))?;
        self.await_adoption(cluster).await
    }

    /// Waits until a majority of the replicas of every key goes by the topology that this node goes by now: from then on no
    /// majority can be found that still shows what it has superseded.
    async fn await_adoption(&self, cluster: &Cluster) -> Result<Outcome, Failure> {
        let now = Instant::now();
        let deadline = now + cluster.options().timeout;
        let view = cluster.view();
        let epoch = view.topology.epoch();
        let mut adopted = vec![cluster.me()];
        loop {
            let terms = Terms { epoch, time: self.replica.reading(), now: Instant::now(), deadline };
            let others = view.topology.members().iter().map(|member| member.number);
            let left: Vec<NodeNumber> = others.filter(|node| !adopted.contains(node)).collect();
            let asked: Vec<_> = left
                .into_iter()
                .filter_map(|node| Some((node, cluster.members().ask(node, &probe(), &terms).ok()?)))
                .collect();
            let awaited = asked.len();
            let before = adopted.len();
            for (node, answering) in asked {
                if answering.await.is_ok_and(|frame| frame.header.epoch >= epoch) {
                    adopted.push(node);
                }
            }
            if adopted.len() - before == awaited || Instant::now() + PAUSE >= deadline {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let short = view.topology.arcs().iter().find_map(|placement| {
            let requirement = view.seating.requirement(Level::Quorum, placement);
            requirement.shortfall(Purpose::Write, requirement.set_of(adopted.iter().copied()))
        });
        match short {
            None => Ok(Outcome::Written),
            Some(short) => {
                let told = format!("the flush is decided, but {}", short.told(&view.seating));
                Err(Failure::TimedOut(told.into()))
            }
        }
    }
}

/// A question about nothing, whose answer tells the member's clock and topology. (A ping is answered by the connection, which
/// knows neither.)
fn probe() -> Message {
    Items::new(Kind::Read).finish()
}

impl Batch {
    fn keep_page(&mut self, page: &Page) -> Outcome {
        let first = self.page_keys.len();
        let base = self.arena.len() as u32;
        self.arena.extend_from_slice(&page.bytes);
        self.page_keys.extend(page.keys.iter().map(|key| Span { start: base + key.start, len: key.len }));
        Outcome::Page { first, count: page.keys.len(), cursor: page.cursor }
    }
}
