//! Requests under way for one batch: at most one message to each member at a time leaves for all that became due together.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;

use crate::coordinator::cluster::{Answering, Cluster};
use crate::peer::Terms;
use crate::types::{Database, NodeNumber};
use crate::wire::{Batch, FRAME_TARGET, Frame, ITEMS_LIMIT, Kind, Put, ReadItem, Wants, WriteItem};

/// Something that is asked for one job of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Errand<'a> {
    /// What does the member hold of this cell?
    Read {
        /// Whose answer it is.
        job: usize,
        /// How much of it.
        wants: Wants,
        /// The cell's database.
        database: Database,
        /// The cell's key.
        key: &'a [u8],
    },
    /// It is to merge this record.
    Write {
        /// Whose answer it is.
        job: usize,
        /// The record and where it belongs.
        item: WriteItem<'a>,
    },
}

/// A message of errands, on its way.
pub(super) struct Sent {
    pub(super) node: NodeNumber,
    /// Whose answers it will bring, in their order.
    pub(super) jobs: Vec<usize>,
    pub(super) asked: Instant,
    answering: Answering,
}

/// What came of a message.
pub(super) struct Arrived {
    pub(super) node: NodeNumber,
    pub(super) jobs: Vec<usize>,
    /// The answer; `None` if there is none and will be none.
    pub(super) frame: Option<Frame>,
}

/// The requests of one batch.
pub(super) struct Flight<'a> {
    cluster: &'a Cluster,
    pub(super) terms: Terms,
    sent: Vec<Sent>,
    /// What could not be sent.
    lost: Vec<Arrived>,
}

impl<'a> Flight<'a> {
    pub(super) fn new(cluster: &'a Cluster, terms: Terms) -> Self {
        Flight { cluster, terms, sent: Vec::new(), lost: Vec::new() }
    }

    /// Sends errands, in as few messages as they fit into.
    pub(super) fn send(&mut self, errands: BTreeMap<NodeNumber, Vec<Errand<'_>>>) {
        for (node, errands) in errands {
            for kind in [Kind::Read, Kind::Write] {
                let mut batch = Batch::new(kind);
                let mut jobs = Vec::new();
                for errand in errands.iter().filter(|errand| errand.kind() == kind) {
                    jobs.push(errand.put(&mut batch));
                    if batch.count() >= ITEMS_LIMIT || batch.body_bytes() >= FRAME_TARGET {
                        let full = std::mem::replace(&mut batch, Batch::new(kind));
                        self.dispatch(node, full, std::mem::take(&mut jobs));
                    }
                }
                self.dispatch(node, batch, jobs);
            }
        }
    }

    fn dispatch(&mut self, node: NodeNumber, batch: Batch, jobs: Vec<usize>) {
        if jobs.is_empty() {
            return;
        }
        let message = batch.finish();
        let asked = Instant::now();
        match self.cluster.members().ask(node, &message, &self.terms) {
            Ok(answering) => self.sent.push(Sent { node, jobs, asked, answering }),
            Err(_) => self.lost.push(Arrived { node, jobs, frame: None }),
        }
    }

    /// The next answer, or the end of a request without one. `None` once `until` has come, or nothing is under way.
    pub(super) async fn arrive(&mut self, until: Instant) -> Option<Arrived> {
        if let Some(lost) = self.lost.pop() {
            return Some(lost);
        }
        if self.sent.is_empty() {
            return None;
        }
        tokio::time::timeout_at(until, next_of(&mut self.sent)).await.ok()
    }

    /// Messages under way, the oldest first.
    pub(super) fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// What is still under way when nobody waits for it here any more.
    pub(super) fn leave(self) -> Vec<Sent> {
        self.sent
    }
}

/// The next of `sent` that ends, taken out of it; waits for ever if there is none.
pub(super) async fn next_of(sent: &mut Vec<Sent>) -> Arrived {
    poll_fn(|context| {
        for index in 0..sent.len() {
            if let Poll::Ready(result) = sent[index].answering.as_mut().poll(context) {
                let Sent { node, jobs, .. } = sent.remove(index);
                return Poll::Ready(Arrived { node, jobs, frame: result.ok() });
            }
        }
        Poll::Pending
    })
    .await
}

impl Errand<'_> {
    fn kind(&self) -> Kind {
        match self {
            Errand::Read { .. } => ReadItem::KIND,
            Errand::Write { .. } => WriteItem::KIND,
        }
    }

    /// Appends it to a message; the job that the answer belongs to.
    fn put(&self, batch: &mut Batch) -> usize {
        match *self {
            Errand::Read { job, wants, database, key } => {
                batch.push(&ReadItem { wants, database, key });
                job
            }
            Errand::Write { job, item } => {
                batch.push(&item);
                job
            }
        }
    }
}
