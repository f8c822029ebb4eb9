//! Hints under way: one message to each member that is to get some of them, and what the members answer.
//!
//! Invariant: a hint has arrived only when every member it was for has answered, in the epoch in which it was sent, that it
//! holds it or that it is obsolete there. Answers of other epochs count for nothing: the member may have left the arc.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::causality::Time;
use crate::hints::Hint;
use crate::peer::Terms;
use crate::repair::{Answering, Courier};
use crate::types::{Epoch, NodeNumber};
use crate::wire::{Answer, Batch, Frame, Kind, Origin, Reason, WriteAnswer, WriteItem};

/// A hint with the number of members that still have to take it.
pub(super) struct Parcel {
    pub(super) hint: Hint,
    left: usize,
}

/// A message on its way.
struct Sent {
    node: NodeNumber,
    /// Which parcels it holds, in order.
    parcels: Vec<usize>,
    answering: Answering,
}

/// How members have received what they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reception {
    /// Messages that brought nothing: not sent, not answered, refused as a whole.
    pub(super) failed: u64,
    /// Records that a member refused.
    pub(super) refused: u64,
}

/// Some hints of one node, under way.
pub(super) struct Flight {
    epoch: Epoch,
    parcels: Vec<Parcel>,
    sent: Vec<Sent>,
    reception: Reception,
    /// Bytes of all messages.
    pub(super) bytes: usize,
}

impl Flight {
    /// Sends each hint to the members that it is for.
    pub(super) fn start(hints: Vec<(Hint, Vec<NodeNumber>)>, courier: &dyn Courier, terms: &Terms) -> Self {
        let mut loads: BTreeMap<NodeNumber, (Batch, Vec<usize>)> = BTreeMap::new();
        let mut parcels = Vec::with_capacity(hints.len());
        for (index, (hint, nodes)) in hints.into_iter().enumerate() {
            for node in &nodes {
                let (batch, held) = loads.entry(*node).or_insert_with(|| (Batch::new(Kind::Write), Vec::new()));
                batch.push(&item(&hint));
                held.push(index);
            }
            parcels.push(Parcel { hint, left: nodes.len() });
        }
        let mut flight =
            Flight { epoch: terms.epoch, parcels, sent: Vec::new(), reception: Reception::default(), bytes: 0 };
        for (node, (batch, parcels)) in loads {
            let message = batch.finish();
            flight.bytes += message.body().len();
            match courier.ask(node, &message, terms) {
                Ok(answering) => flight.sent.push(Sent { node, parcels, answering }),
                Err(_) => flight.reception.failed += 1,
            }
        }
        flight
    }

    /// Looks for answers; whether all have come.
    pub(super) fn poll(&mut self, courier: &dyn Courier) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Vec::new();
        for mut sent in std::mem::take(&mut self.sent) {
            match Pin::new(&mut sent.answering).poll(&mut context) {
                Poll::Pending => waiting.push(sent),
                Poll::Ready(Ok(frame)) => self.receive(&sent, &frame, courier),
                Poll::Ready(Err(_)) => self.reception.failed += 1,
            }
        }
        self.sent = waiting;
        self.sent.is_empty()
    }

    /// Gives up what has not been answered.
    pub(super) fn give_up(&mut self) {
        self.reception.failed += self.sent.len() as u64;
        self.sent.clear();
    }

    /// The hints that have arrived everywhere, and how they were received.
    pub(super) fn land(self) -> (Vec<Hint>, Reception) {
        let arrived = self.parcels.into_iter().filter(|parcel| parcel.left == 0).map(|parcel| parcel.hint);
        (arrived.collect(), self.reception)
    }

    fn receive(&mut self, sent: &Sent, frame: &Frame, courier: &dyn Courier) {
        match Answer::decode(frame) {
            Ok(Answer::Write(answers)) if answers.len() == sent.parcels.len() && frame.header.epoch == self.epoch => {
                for (index, answer) in sent.parcels.iter().zip(answers) {
                    match answer {
                        WriteAnswer::Merged | WriteAnswer::Ignored => self.parcels[*index].left -= 1,
                        WriteAnswer::Refused(_) => self.reception.refused += 1,
                    }
                }
            }
            Ok(Answer::Refused(refused)) => {
                self.reception.failed += 1;
                if refused.refusal.reason == Reason::OtherEpoch {
                    courier.meets_topology(sent.node, refused.help);
                }
            }
            _ => self.reception.failed += 1,
        }
    }
}

/// No fence goes along: the record has lain here, and what was deleted everywhere meanwhile must not come back by it.
fn item(hint: &Hint) -> WriteItem<'_> {
    WriteItem { origin: Origin::Hint, database: hint.database, fence: Time::ZERO, key: &hint.key, record: &hint.record }
}
