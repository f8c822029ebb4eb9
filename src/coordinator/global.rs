//! Operations on whole databases: pages of keys, a random key, flushes and snapshots, all carried out on the pool.

use std::path::PathBuf;
use std::sync::Arc;

use crate::coordinator::{Batch, Coordinator};
use crate::replica::{Action, Failure, Operand, Operation, Outcome, Page, PageOrder, PageRequest};
use crate::types::{Database, Span};

impl Coordinator {
    pub(super) async fn run_global(&self, batch: &mut Batch, input: &[u8], operation: Operation) {
        let outcome = match operation.action {
            Action::Page(request) => self.page(batch, input, operation.database, request).await,
            Action::RandomKey => self.random_key(batch, operation.database).await,
            Action::Snapshot => self.snapshot(batch, input, operation.key).await,
            Action::Flush => self.flush(vec![operation.database]).await,
            _ => self.flush((0..crate::types::DATABASES).map(Database).collect()).await,
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

    async fn flush(&self, databases: Vec<Database>) -> Result<Outcome, Failure> {
        let replica = Arc::clone(&self.replica);
        self.on_pool(move || replica.flush(&databases)).await?;
        Ok(Outcome::Written)
    }
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
