//! What a member answers to another one that coordinates: its records, and that it has merged the other's.
//!
//! Invariant: an answer leaves only when all that it shows is durable, be it a version or a tombstone, and when every record
//! it calls merged is. One wait serves all items of a message.
//! Invariant: a request of another epoch is refused as a whole, with the newer topology if it is known here.

use std::sync::Arc;

use crate::causality::RecordView;
use crate::coordinator::{Cluster, CommitQueue, Coordinator, Patience};
use crate::replica::{Failure, Origin, Replica, Shown, Taken, put_record};
use crate::storage::Fetched;
use crate::types::Stamp;
use crate::wire::{
    self, Batch, DigestOf, Frame, Header, Items, Kind, Message, ReadAnswer, ReadItem, Reason, Refusal, RefusedFrame,
    Request, Wants, WriteAnswer, WriteItem,
};

/// Carries out what other members ask of this one's replica.
pub struct MemberService {
    coordinator: Arc<Coordinator>,
    cluster: Arc<Cluster>,
    commit: Arc<CommitQueue>,
}

impl MemberService {
    /// A service whose answers wait in `commit`, so it belongs to that queue's reactor.
    #[must_use]
    pub fn new(coordinator: Arc<Coordinator>, cluster: Arc<Cluster>, commit: Arc<CommitQueue>) -> Self {
        MemberService { coordinator, cluster, commit }
    }

    /// Answers a request to read or to write; `None` if it is another one.
    pub async fn serve(&self, frame: &Frame) -> Option<Message> {
        let kind = frame.header.kind;
        if !matches!(kind, Kind::Read | Kind::Write) {
            return None;
        }
        if let Some(refused) = self.refusal(&frame.header) {
            return Some(refused);
        }
        Some(match Request::decode(frame) {
            Ok(Request::Read(items)) => self.read(items).await,
            Ok(Request::Write(items)) => self.write(items).await,
            Ok(_) => return None,
            Err(error) => refused(Reason::Malformed, &error.to_string(), &[]),
        })
    }

    /// Why nothing of the message is done, if so.
    fn refusal(&self, header: &Header) -> Option<Message> {
        let view = self.cluster.view();
        let epoch = view.topology.epoch();
        if header.epoch != epoch {
            let newer = if header.epoch < epoch { view.topology.encode() } else { Vec::new() };
            return Some(refused(Reason::OtherEpoch, "", &newer));
        }
        let observed = self.coordinator.replica().observe(header.time, self.cluster.options().max_skew);
        if !observed {
            tracing::debug!(time = ?header.time, "a message came from a clock too far ahead; its writes are refused");
        }
        None
    }

    async fn read(&self, items: Items<'_, ReadItem<'_>>) -> Message {
        let replica = self.coordinator.replica();
        let mut warm = Warm::new(&self.coordinator);
        let mut batch = Batch::new(Kind::ReadAnswer);
        let mut shown = Stamp(0);
        for item in items {
            let cell = Replica::cell(item.database, item.key);
            let arc = replica.arc_of(item.key);
            let (floor, fence) = (replica.floor(arc), replica.fence(arc));
            let answer = |record: &RecordView<'_>, batch: &mut Batch| match item.wants {
                Wants::Record => {
                    let mut bytes = Vec::new();
                    put_record(record, &mut bytes);
                    batch.push(&ReadAnswer::Record { floor, fence, record: &bytes });
                }
                wants => batch.push(&DigestOf { record: *record, floor, wants }),
            };
            match warm.show(&cell, &mut |record| answer(record, &mut batch)).await {
                Ok(position) => shown = shown.max(position),
                Err(failure) => batch.push(&ReadAnswer::Refused(refusal(&failure, &failure.to_string()))),
            }
        }
        self.durable(shown, batch).await
    }

    async fn write(&self, items: Items<'_, WriteItem<'_>>) -> Message {
        let latest = self.coordinator.replica().latest(self.cluster.options().max_skew);
        let mut warm = Warm::new(&self.coordinator);
        let mut batch = Batch::new(Kind::WriteAnswer);
        let mut written = Stamp(0);
        for item in items {
            let is_fresh = item.origin == wire::Origin::Fresh;
            let origin = Origin { fence: item.fence, latest: is_fresh.then_some(latest) };
            let cell = Replica::cell(item.database, item.key);
            let taken = match RecordView::decode(item.record) {
                Ok(record) => warm.take(&cell, &record, origin).await,
                Err(error) => {
                    let text = error.to_string();
                    batch.push(&WriteAnswer::Refused(Refusal { reason: Reason::Malformed, text: &text }));
                    continue;
                }
            };
            match taken {
                Ok(Taken::Stored(position)) => {
                    written = written.max(position);
                    batch.push(&WriteAnswer::Merged);
                }
                Ok(Taken::Ignored(position)) => {
                    written = written.max(position);
                    batch.push(&WriteAnswer::Ignored);
                }
                Ok(Taken::Ahead) => batch.push(&WriteAnswer::Refused(Refusal::bare(Reason::Skew))),
                Ok(Taken::Cold | Taken::Busy) => batch.push(&WriteAnswer::Refused(Refusal::bare(Reason::Busy))),
                Err(failure) => batch.push(&WriteAnswer::Refused(refusal(&failure, &failure.to_string()))),
            }
        }
        self.durable(written, batch).await
    }

    /// The message, once `position` is durable.
    async fn durable(&self, position: Stamp, batch: Batch) -> Message {
        match self.commit.wait(position).await {
            Ok(()) => batch.finish(),
            Err(failure) => refused(Reason::Failed, &failure, &[]),
        }
    }
}

/// Reads and merges cells one after the other, fetching from disk what is cold.
pub(super) struct Warm<'a> {
    coordinator: &'a Coordinator,
    fetched: Vec<Fetched>,
}

impl<'a> Warm<'a> {
    pub(super) fn new(coordinator: &'a Coordinator) -> Self {
        Warm { coordinator, fetched: Vec::new() }
    }

    /// Shows the record of `cell`; what has to be durable before anybody is told.
    pub(super) async fn show(
        &mut self,
        cell: &[u8],
        see: &mut (dyn FnMut(&RecordView<'_>) + Send),
    ) -> Result<Stamp, Failure> {
        loop {
            match self.coordinator.replica().show(cell, &self.fetched, see)? {
                Shown::Done(position) => return Ok(position),
                Shown::Cold => self.fetched = self.coordinator.fetch(vec![cell.to_vec()]).await?,
            }
        }
    }

    /// Merges `record` into that of `cell`; never [`Taken::Cold`], and [`Taken::Busy`] only after a while.
    pub(super) async fn take(
        &mut self,
        cell: &[u8],
        record: &RecordView<'_>,
        origin: Origin,
    ) -> Result<Taken, Failure> {
        let mut patience = Patience::default();
        loop {
            match self.coordinator.replica().take(cell, (record, origin), &self.fetched)? {
                Taken::Cold => self.fetched = self.coordinator.fetch(vec![cell.to_vec()]).await?,
                Taken::Busy => patience.wait().await?,
                taken => return Ok(taken),
            }
        }
    }
}

fn refusal<'a>(failure: &Failure, text: &'a str) -> Refusal<'a> {
    let reason = if matches!(failure, Failure::Busy { .. }) { Reason::Busy } else { Reason::Failed };
    Refusal { reason, text }
}

fn refused(reason: Reason, text: &str, help: &[u8]) -> Message {
    Message::refused(&RefusedFrame { refusal: Refusal { reason, text }, help })
}
