//! Keeping up: connections follow the topology, and a node that has missed a topology learns it.
//!
//! Three ways lead a node to what was decided without it: whoever decided tells all at once; any message of a newer epoch
//! makes it ask the sender ([`Agreement::note_ahead`]); and once in a while it asks one of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::ring::{Candidate, Change, Member, Topology};
use crate::topology::{Agreement, Answer, Error, Request};
use crate::types::NodeId;

/// How often one of the others is asked, at most; at least twice as often.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long its answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a node tries at a time to have the others know its addresses.
const ANNOUNCE: Duration = Duration::from_secs(10);

impl Agreement {
    /// Keeps up until `stopping`; must run on the runtime that is to serve the connections. `candidate` is what this node is
    /// to be in the topology: its present addresses, name and zone.
    pub async fn run(&self, candidate: Candidate, stopping: CancellationToken) {
        let mut changes = self.current.watch();
        self.peers.keep(&targets(&self.current.topology()));
        let connecting = async {
            while changes.changed().await.is_ok() {
                let topology = changes.borrow_and_update().clone();
                self.peers.keep(&targets(&topology));
            }
        };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = connecting => {}
            () = self.keep_up() => {}
            () = self.announce(candidate) => {}
        }
        self.peers.keep(&BTreeMap::new());
    }

    /// Makes the topology say of this node what `candidate` does, once.
    ///
    /// # Errors
    /// Those of [`Agreement::propose`].
    pub async fn present(&self, candidate: &Candidate) -> Result<(), Error> {
        if self.current.topology().by_id(self.me).is_none_or(|member| says(member, candidate)) {
            return Ok(());
        }
        tracing::info!(peer = %candidate.peer, clients = %candidate.clients, "this node has new addresses or names");
        self.propose(&Change::Present(candidate.clone()), Instant::now() + ANNOUNCE).await.map(drop)
    }

    /// Never ends.
    async fn announce(&self, candidate: Candidate) {
        loop {
            match self.present(&candidate).await {
                Ok(()) => return std::future::pending().await,
                Err(error @ Error::NoMajority { .. }) => {
                    tracing::warn!(%error, "the others do not know this node's addresses")
                }
                Err(error) => {
                    tracing::error!(%error, "the cluster does not take what this node says of itself");
                    return std::future::pending().await;
                }
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Never ends.
    async fn keep_up(&self) {
        loop {
            let nanos = ASK_EVERY.as_nanos() as u64;
            let pause = ASK_EVERY / 2 + Duration::from_nanos(self.env.random.next_u64() % (nanos / 2));
            tokio::select! {
                biased;
                () = self.is_behind.notified() => {}
                () = sleep_until(Instant::now() + pause) => {}
            }
            let Some(node) = self.whom_to_ask() else { continue };
            if let Some(Answer::Newer(decided)) = self.ask(node, &Request::Newer(self.current.epoch()), PATIENCE).await
                && let Err(error) = self.learn(&decided).await
            {
                tracing::error!(%error, from = %node, "a newer topology was not adopted");
            }
        }
    }

    fn whom_to_ask(&self) -> Option<NodeId> {
        if let Some(node) = self.ahead.lock().take() {
            return Some(node);
        }
        let topology = self.current.topology();
        let ids = topology.members().iter().map(|member| member.id);
        let reachable: Vec<NodeId> =
            ids.filter(|id| self.peers.get(id).is_some_and(|peer| peer.is_connected())).collect();
        let index = self.env.random.next_u64().checked_rem(reachable.len() as u64)?;
        reachable.get(index as usize).copied()
    }
}

fn targets(topology: &Topology) -> BTreeMap<NodeId, std::net::SocketAddr> {
    topology.members().iter().map(|member| (member.id, member.peer)).collect()
}

/// Whether the topology says of a member what `candidate` does; a weight is changed by other means.
fn says(member: &Member, candidate: &Candidate) -> bool {
    let Candidate { id: _, name, dc, zone, weight: _, peer, clients, http } = candidate;
    (&member.name, &member.dc, &member.zone) == (name, dc, zone)
        && (member.peer, member.clients, member.http) == (*peer, *clients, *http)
}
