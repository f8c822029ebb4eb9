//! The founder's part before there is a cluster: takes candidates until enough have come.
//!
//! It only counts. Once the founder's own ledger has the first topology it serves as a member, and as such welcomes those
//! who are in the topology: so a candidate that is killed at any moment is handed the same thing when it comes again.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::causality::Time;
use crate::env::Env;
use crate::peer::{Incoming, Remote, Response, ResponseFuture, Service};
use crate::ring::Candidate;
use crate::topology::gathering::Gathering;
use crate::topology::{Answer, Request, TOPIC};
use crate::types::Epoch;
use crate::wire::{Message, Reason, Refusal, RefusedFrame, Request as WireRequest};

/// How often it is looked whether enough have come.
const LOOK: Duration = Duration::from_millis(20);

/// A founding that waits for candidates; what a node is for its peers meanwhile.
pub struct Founding {
    gathering: Mutex<Gathering>,
    env: Env,
}

impl Founding {
    /// A founding by `own` with `wanted` nodes, itself included.
    #[must_use]
    pub fn new(own: Candidate, wanted: u16, env: Env) -> Self {
        Founding { gathering: Mutex::new(Gathering::new(own, wanted)), env }
    }

    /// Waits until all have come; `changed` is told how many are there whenever that is another number.
    pub async fn complete(&self, mut changed: impl FnMut(u16)) -> Vec<Candidate> {
        let mut last = 0;
        loop {
            let (present, complete) = {
                let mut gathering = self.gathering.lock();
                let complete = gathering.complete(self.env.clock.monotonic());
                (gathering.present(), complete)
            };
            if present != last {
                changed(present);
                last = present;
            }
            if let Some(candidates) = complete {
                return candidates;
            }
            sleep(LOOK).await;
        }
    }

    fn answer(&self, request: &Incoming) -> Message {
        let (now, wall_ms) = (self.env.clock.monotonic(), self.env.clock.wall_ms());
        match WireRequest::decode(&request.frame) {
            Ok(WireRequest::Cold { topic: TOPIC, bytes }) => match Request::decode(bytes) {
                Some(Request::Join(application)) if application.candidate.id == request.from.node => {
                    Answer::Join(self.gathering.lock().receive(&application, now, wall_ms)).message()
                }
                _ => refused("this node is no member of a cluster yet"),
            },
            _ => refused("this node is no member of a cluster yet"),
        }
    }
}

fn refused(text: &str) -> Message {
    Message::refused(&RefusedFrame { refusal: Refusal { reason: Reason::NotMember, text }, help: &[] })
}

impl Service for Founding {
    fn admit(&self, from: &Remote) -> Result<(), String> {
        match from.cluster {
            None => Ok(()),
            Some(cluster) => Err(format!("this node founds a new cluster, and you are in cluster {cluster}")),
        }
    }

    fn serve(&self, request: Incoming) -> ResponseFuture<'_> {
        let message = self.answer(&request);
        Box::pin(async move { Response { message, epoch: Epoch(0), time: Time::ZERO } })
    }
}
