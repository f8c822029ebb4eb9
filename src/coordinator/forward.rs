//! Commands that another member has to coordinate: whom to ask, and the bytes that come back.
//!
//! A command on one key goes to a member of that key's preference list; one that computes from the old value goes to the
//! first live member, so that those of all nodes meet at one lock. A forwarded command is never forwarded again. It is
//! repeated elsewhere only if no byte of it has left.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::coordinator::cluster::{Cluster, ClusterStats};
use crate::coordinator::{Batch, Coordinator};
use crate::peer::{CallError, Terms};
use crate::replica::{Action, Failure};
use crate::ring::ArcPlacement;
use crate::types::{NodeNumber, slot_of};
use crate::wire::{Answer, Batch as Items, Forwarded, Frame, Kind, Message, Reason, Reply};

/// How much longer than the member that carries a command out its asker waits: so that its error comes back.
const MARGIN: Duration = Duration::from_millis(250);

/// Pause before members that did nothing are asked again.
const AGAIN: Duration = Duration::from_millis(5);

/// What became of forwarded commands: the bytes of each one's reply, or why there is none.
pub type Replies = Vec<Result<Vec<u8>, Failure>>;

impl Coordinator {
    /// The members that may carry out the command whose operations are `range`, best first; `None` if this node may. All of
    /// the operations are on one key.
    #[must_use]
    pub fn route(&self, batch: &Batch, input: &[u8], range: Range<usize>) -> Option<Vec<NodeNumber>> {
        let cluster = self.cluster()?;
        let operations = batch.operations.get(range)?;
        let first = operations.iter().find(|operation| operation.action.has_key())?;
        let view = cluster.view();
        let placement = view.topology.at(slot_of(batch.operand(first.key, input)));
        let changes = operations.iter().any(|operation| matches!(operation.action, Action::Change(..)));
        let live = || placement.nodes().filter(|node| cluster.reaches(*node) && coordinates(placement, *node));
        let is_here = if changes { live().next() == Some(cluster.me()) } else { coordinates(placement, cluster.me()) };
        (!is_here).then(|| live().collect())
    }

    /// Whether this node holds the key of the first operation of `batch` and may coordinate for it.
    #[must_use]
    pub fn holds(&self, batch: &Batch, input: &[u8]) -> bool {
        let first = batch.operations.iter().find(|operation| operation.action.has_key());
        match (self.cluster(), first) {
            (Some(cluster), Some(first)) => {
                let view = cluster.view();
                coordinates(view.topology.at(slot_of(batch.operand(first.key, input))), cluster.me())
            }
            _ => true,
        }
    }

    /// Has the first of `members` that can be reached carry out `commands`, in their order.
    pub async fn forward(&self, members: &[NodeNumber], commands: &[Forwarded<'_>]) -> Replies {
        let Some(cluster) = self.cluster() else { return refuse_all(commands, &no_member()) };
        let mut items = Items::new(Kind::Forward);
        commands.iter().for_each(|command| items.push(command));
        let message = items.finish();
        ClusterStats::add(&cluster.stats().forwarded, commands.len() as u64);
        let now = Instant::now();
        let (epoch, time) = (cluster.view().topology.epoch(), self.replica.reading());
        let deadline = now + cluster.options().timeout + MARGIN;
        let terms = Terms { epoch, time, now, deadline };
        loop {
            let terms = Terms { epoch: cluster.view().topology.epoch(), ..terms };
            for node in members {
                match self.ask(cluster, *node, (&message, &terms)).await {
                    Ok(frame) => match self.replies(cluster, *node, &frame, commands.len()) {
                        Some(replies) => return replies,
                        None => continue,
                    },
                    Err(error) if error.may_have_left() => {
                        let name = cluster.name(*node);
                        let told = format!("{name} {error}; the command may still take effect");
                        return refuse_all(commands, &Failure::TimedOut(told.into()));
                    }
                    Err(_) => {}
                }
            }
            // Nobody did anything, perhaps because they go by another topology for a moment.
            if Instant::now() + AGAIN >= now + cluster.options().timeout {
                return refuse_all(commands, &no_member());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn ask(
        &self,
        cluster: &Cluster,
        node: NodeNumber,
        (message, terms): (&Message, &Terms),
    ) -> Result<Frame, CallError> {
        let frame = cluster.members().ask(node, message, terms)?.await?;
        self.replica.observe(frame.header.time, cluster.options().max_skew);
        Ok(frame)
    }

    /// The replies in an answer; `None` if nothing was done and another member may be asked.
    fn replies(&self, cluster: &Cluster, node: NodeNumber, frame: &Frame, count: usize) -> Option<Replies> {
        match Answer::decode(frame) {
            Ok(Answer::Forward(items)) if items.len() == count => Some(items.map(reply).collect()),
            Ok(Answer::Refused(refused)) => {
                if refused.refusal.reason == Reason::OtherEpoch {
                    cluster.members().meets_topology(node, refused.help);
                }
                None
            }
            _ => {
                let told = format!("{} answered what is no answer", cluster.name(node));
                Some(vec![Err(Failure::TimedOut(told.into())); count])
            }
        }
    }
}

fn reply(reply: Reply<'_>) -> Result<Vec<u8>, Failure> {
    match reply {
        Reply::Bytes(bytes) => Ok(bytes.to_vec()),
        Reply::Refused(refusal) if refusal.text.is_empty() => Err(no_member()),
        Reply::Refused(refusal) => Err(Failure::Unavailable(refusal.text.into())),
    }
}

fn refuse_all(commands: &[Forwarded<'_>], failure: &Failure) -> Replies {
    vec![Err(failure.clone()); commands.len()]
}

fn no_member() -> Failure {
    Failure::Unavailable("no replica of the key can be reached to carry the command out".into())
}

/// Whether `node` may coordinate for the arc: it holds it, and does not only begin to.
pub(super) fn coordinates(placement: &ArcPlacement, node: NodeNumber) -> bool {
    placement.holds(node) && !placement.is_pending(node)
}
