//! What a node does for its peers: sorts what they ask by kind and topic, and hands it to the module that knows.
//!
//! Invariant: a node without a cluster may only ask to join, under its own name; one that is no member, or goes by another
//! topology, has no records read or written here.

use std::sync::Arc;

use crate::causality::Hlc;
use crate::coordinator::MemberService;
use crate::env::Clock;
use crate::gossip::{self, Gossip};
use crate::peer::{Incoming, Remote, Response, ResponseFuture, Service};
use crate::server::ForwardedService;
use crate::topology::{Agreement, Request, TOPIC};
use crate::wire::{Frame, Message, Reason, Refusal, RefusedFrame, Request as Asked};

/// A node, as its peers see it.
pub(super) struct NodeService {
    pub(super) agreement: Arc<Agreement>,
    pub(super) gossip: Arc<Gossip>,
    pub(super) hlc: Arc<Hlc>,
    pub(super) clock: Arc<dyn Clock>,
    /// For the records of other members; none if this node is alone.
    pub(super) records: Option<MemberService>,
    /// For commands that other members have received.
    pub(super) commands: ForwardedService,
}

impl Service for NodeService {
    fn admit(&self, from: &Remote) -> Result<(), String> {
        if self.agreement.current().topology().was_removed(from.node) {
            let node = from.node;
            return Err(format!(
                "node {node} was removed from the cluster for good; start it with an empty data directory"
            ));
        }
        Ok(())
    }

    fn serve(&self, request: Incoming) -> ResponseFuture<'_> {
        Box::pin(async move {
            let message = self.carry_out(&request).await;
            let time = self.hlc.reading(self.clock.wall_ms());
            Response { message, epoch: self.agreement.current().epoch(), time }
        })
    }
}

impl NodeService {
    async fn carry_out(&self, request: &Incoming) -> Message {
        match Asked::decode(&request.frame) {
            Err(error) => refused(Reason::Malformed, &error.to_string()),
            Ok(Asked::Ping) => Message::pong(),
            Ok(Asked::Cold { topic: TOPIC, bytes }) => match Request::decode(bytes) {
                Some(asked) => self.about_topology(&request.from, asked).await,
                None => refused(Reason::Malformed, "no message about the topology"),
            },
            Ok(Asked::Cold { topic: gossip::TOPIC, bytes }) => self.about_nodes(&request.from, bytes),
            Ok(Asked::Cold { topic, .. }) => refused(Reason::Malformed, &format!("topic {topic} is not known here")),
            Ok(Asked::Read(_) | Asked::Write(_) | Asked::Forward(_)) => match self.other_epoch(request) {
                Some(refusal) => refusal,
                None => self.about_records(&request.frame).await,
            },
        }
    }

    async fn about_records(&self, frame: &Frame) -> Message {
        let Some(records) = &self.records else {
            return refused(Reason::NotMember, "this node does not serve the records of others");
        };
        if let Some(answer) = records.serve(frame).await {
            return answer;
        }
        let answer = self.commands.serve(frame).await;
        answer.unwrap_or_else(|| refused(Reason::Malformed, "neither records nor commands"))
    }

    async fn about_topology(&self, from: &Remote, asked: Request) -> Message {
        let may_ask = match (&asked, from.cluster) {
            (Request::Join(application), _) => application.candidate.id == from.node,
            (_, cluster) => cluster.is_some(),
        };
        if !may_ask {
            return refused(Reason::NotMember, "a node without a cluster can only ask to join, for itself");
        }
        match self.agreement.answer(from.node, asked).await {
            Ok(answer) => answer.message(),
            Err(error) => {
                tracing::error!(%error, peer = %from.node, "what a peer asked about the topology failed");
                refused(Reason::Failed, &error.to_string())
            }
        }
    }

    fn about_nodes(&self, from: &Remote, bytes: &[u8]) -> Message {
        if from.cluster.is_none() {
            return refused(Reason::NotMember, "a node without a cluster can only ask to join");
        }
        let answer = self.gossip.answer(bytes);
        answer.unwrap_or_else(|| refused(Reason::Malformed, "no message of gossip"))
    }

    /// The refusal of a request that goes by another topology, with the newer one if it is known here.
    fn other_epoch(&self, request: &Incoming) -> Option<Message> {
        let (theirs, own) = (request.frame.header.epoch, self.agreement.current().decided());
        if theirs == own.instance {
            return None;
        }
        if theirs > own.instance {
            self.agreement.note_ahead(request.from.node);
        }
        let help = if theirs < own.instance { own.value.bytes() } else { &[] };
        let refusal = Refusal::bare(Reason::OtherEpoch);
        Some(Message::refused(&RefusedFrame { refusal, help }))
    }
}

fn refused(reason: Reason, text: &str) -> Message {
    Message::refused(&RefusedFrame { refusal: Refusal { reason, text }, help: &[] })
}
