//! Proposing: from a change that somebody wants to a topology in which it holds.
//!
//! Whoever loses an epoch to another proposer makes its topology anew from the one that won; since changes are states, it may
//! find that its change holds already. Duels end because each waits for a random time, in windows that double.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep, timeout_at};

use crate::paxos::{self, Decided, Progress, Proposer, Value};
use crate::ring::{Change, Topology};
use crate::topology::{Agreement, Answer, Error, Request};
use crate::types::NodeId;

/// How long an attempt waits for answers: many times a round trip with a sync.
const PATIENCE: Duration = Duration::from_secs(1);

/// A vote on its way: who gives it, and what it is, if it comes.
type Voting<'a> = Pin<Box<dyn Future<Output = (NodeId, Option<paxos::Answer>)> + Send + 'a>>;

impl Agreement {
    /// Makes `change` hold, in the present topology or in one that is decided for it; answers that topology, which this node
    /// goes by then. It is the members' business when they do; they are told at once.
    ///
    /// # Errors
    /// [`Error::Refused`] if it cannot hold; [`Error::NoMajority`] at `deadline`, after which it may still come to hold.
    pub async fn propose(&self, change: &Change, deadline: Instant) -> Result<Arc<Topology>, Error> {
        let _one_at_a_time = self.proposing.lock().await;
        loop {
            let base = self.current.topology();
            let next = base.propose(change, &self.live(&base))?;
            if next.epoch() == base.epoch() {
                return Ok(base);
            }
            let value = Value::new(&next.encode())?;
            let decided = self.decide(&base, value, deadline).await?;
            self.learn(&decided).await?;
            self.tell_all();
        }
    }

    /// What is decided after `base`: `value`, or what another has proposed.
    async fn decide(&self, base: &Topology, value: Value, deadline: Instant) -> Result<Decided, Error> {
        let ids = base.keepers().iter().filter_map(|&keeper| base.member(keeper)).map(|member| member.id);
        let keepers: BTreeSet<NodeId> = ids.collect();
        let instance = crate::types::Epoch(base.epoch().0 + 1);
        let mut proposer = Proposer::new(self.me, instance, keepers, value);
        let attempts = async {
            loop {
                if let Some(decided) = self.attempt(&mut proposer).await {
                    return decided;
                }
                if self.current.epoch() >= instance {
                    return self.current.decided();
                }
                sleep(proposer.back_off(self.env.random.next_u64())).await;
            }
        };
        timeout_at(deadline, attempts).await.map_err(|_| self.no_majority(base))
    }

    /// One attempt; nothing if it came to nothing.
    async fn attempt(&self, proposer: &mut Proposer) -> Option<Decided> {
        let patience = Instant::now() + PATIENCE;
        let mut votes = FuturesUnordered::new();
        let first = proposer.start();
        proposer.keepers().iter().for_each(|keeper| votes.push(self.voting(*keeper, first.clone())));
        loop {
            let (from, answer) = timeout_at(patience, votes.next()).await.ok()??;
            let Some(answer) = answer else { continue };
            match proposer.receive(from, &answer) {
                Progress::Wait => {}
                Progress::Send(request) => {
                    proposer.keepers().iter().for_each(|keeper| votes.push(self.voting(*keeper, request.clone())));
                }
                Progress::Retry => return None,
                Progress::Decided { decided, .. } | Progress::Overtaken(decided) => return Some(decided),
            }
        }
    }

    fn voting(&self, keeper: NodeId, request: paxos::Request) -> Voting<'_> {
        Box::pin(async move {
            // A vote of its own that cannot be made durable is none, like that of a keeper that is down.
            let answer = if keeper == self.me {
                self.vote(request).await.ok().flatten()
            } else {
                self.ask_vote(keeper, request).await
            };
            (keeper, answer)
        })
    }

    async fn ask_vote(&self, keeper: NodeId, request: paxos::Request) -> Option<paxos::Answer> {
        let request = Request::Vote(request);
        match self.ask(keeper, &request, PATIENCE).await? {
            Answer::Vote(vote) => Some(vote),
            // It has to learn first what this node knows.
            Answer::At(epoch) if epoch < self.current.epoch() => {
                self.ask(keeper, &Request::Decided(self.current.decided()), PATIENCE).await?;
                match self.ask(keeper, &request, PATIENCE).await? {
                    Answer::Vote(vote) => Some(vote),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Asks another node; nothing if it does not answer.
    pub(super) async fn ask(&self, node: NodeId, request: &Request, patience: Duration) -> Option<Answer> {
        let call = self.peers.get(&node)?.call(&request.message(), &self.terms(patience)).ok()?;
        Answer::decode(&call.await.ok()?)
    }

    /// Tells every member which topology holds. Who is not reached asks by itself later.
    fn tell_all(&self) {
        let told = Request::Decided(self.current.decided()).message();
        let terms = self.terms(PATIENCE);
        let topology = self.current.topology();
        let peers = topology.members().iter().filter_map(|member| self.peers.get(&member.id));
        // Nobody waits for the answers.
        peers.for_each(|peer| drop(peer.call(&told, &terms)));
    }

    fn no_majority(&self, base: &Topology) -> Error {
        let live = self.live(base);
        let keepers = base.keepers();
        let reached = keepers.iter().filter(|keeper| live.contains(keeper)).count();
        Error::NoMajority { needed: keepers.len() / 2 + 1, keepers: keepers.len(), reached }
    }
}
