//! The other members, as the coordinator reaches them: a number becomes a peer, a wish to flush a proposal.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::causality::Time;
use crate::coordinator::{Answering, Members};
use crate::peer::{CallError, Peer, Peers, Terms};
use crate::ring::Change;
use crate::topology::Agreement;
use crate::types::{Database, NodeNumber};
use crate::wire::Message;

/// How long the members may take to agree on a flush.
const AGREEMENT: Duration = Duration::from_secs(5);

/// The members of this node's cluster.
pub(super) struct Reach {
    pub(super) agreement: Arc<Agreement>,
    pub(super) peers: Arc<Peers>,
}

impl Reach {
    fn peer(&self, node: NodeNumber) -> Option<Arc<Peer>> {
        self.peers.get(&self.agreement.current().topology().member(node)?.id)
    }
}

impl Members for Reach {
    fn is_reachable(&self, node: NodeNumber) -> bool {
        self.peer(node).is_some_and(|peer| peer.is_connected())
    }

    fn ask(&self, node: NodeNumber, message: &Message, terms: &Terms) -> Result<Answering, CallError> {
        let call = self.peer(node).ok_or(CallError::NotConnected)?.call(message, terms)?;
        Ok(Box::pin(call))
    }

    fn usual_time(&self, node: NodeNumber) -> Option<Duration> {
        self.peer(node)?.round_trip(990)
    }

    fn flush(
        &self,
        database: Option<Database>,
        time: Time,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
        let agreement = Arc::clone(&self.agreement);
        Box::pin(async move {
            let change = match database {
                Some(database) => Change::Flush(database, time.0),
                None => Change::FlushAll(time.0),
            };
            let agreed = agreement.propose(&change, Instant::now() + AGREEMENT).await;
            agreed.map(drop).map_err(|error| error.to_string())
        })
    }

    fn meets_topology(&self, node: NodeNumber, _: &[u8]) {
        // Whoever refused a message goes by another topology: if it is the newer one, it is fetched from there.
        if let Some(member) = self.agreement.current().topology().member(node) {
            self.agreement.note_ahead(member.id);
        }
    }
}
