//! A member's part in agreeing on topologies: votes, adoption, what it tells others.
//!
//! Invariant: a vote leaves only after it is durable, and it is judged, stored and dropped under the ledger's own lock.
//! Invariant: an adoption is, in this order: durable, carried out by the [`Adopter`], visible. A crash in between repeats the
//! second step at the next start.
//!
//! Lock order: `proposing`, then `adopting`; both are held across awaits, and no other lock is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use crate::causality::Hlc;
use crate::env::{Env, Pool};
use crate::ledger::{Facts, Ledger, TopologyValue};
use crate::paxos::{self, Decided, Value, Verdict};
use crate::peer::{Peers, Terms};
use crate::ring::Topology;
use crate::topology::{Answer, Current, Error, Request};
use crate::types::{Epoch, NodeId, NodeNumber};

/// Pause before a full pool is tried again.
const POOL_PAUSE: Duration = Duration::from_millis(2);

/// Makes a node go by a topology, before anybody sees that it does.
pub trait Adopter: Send + Sync {
    /// Makes what this node holds fit `topology`, which is durable: flush times, arcs that were given or taken. Asked once for
    /// each topology and again at every start, so what was done before must do no harm. Runs on the pool, and may wait.
    ///
    /// # Errors
    /// Why it cannot; the node goes on by the topology before.
    fn adopt(&self, topology: &Topology) -> Result<(), String>;
}

/// What an [`Agreement`] is made of.
pub struct AgreementParts {
    /// The node's facts; they have a topology.
    pub ledger: Ledger,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// The node's clock for dots.
    pub hlc: Arc<Hlc>,
    /// The machine.
    pub env: Env,
    /// Who makes the node go by a new topology.
    pub adopter: Arc<dyn Adopter>,
}

/// A member's part in agreeing on topologies.
pub struct Agreement {
    pub(super) me: NodeId,
    pub(super) ledger: Ledger,
    pub(super) current: Arc<Current>,
    pub(super) peers: Arc<Peers>,
    pub(super) env: Env,
    hlc: Arc<Hlc>,
    adopter: Arc<dyn Adopter>,
    // One at a time.
    pub(super) proposing: tokio::sync::Mutex<()>,
    adopting: tokio::sync::Mutex<()>,
    // Who has spoken of an epoch that is not known here.
    pub(super) ahead: Mutex<Option<NodeId>>,
    pub(super) is_behind: Notify,
}

impl Agreement {
    /// The part of the node whose ledger this is, in its present topology; may wait for the disk.
    ///
    /// # Errors
    /// The ledger has no topology, or one that cannot be read or adopted.
    pub fn open(parts: AgreementParts) -> Result<Self, Error> {
        let AgreementParts { ledger, peers, hlc, env, adopter } = parts;
        let facts = ledger.facts();
        let value = facts.topology.as_ref().ok_or(Error::Unfit("missing"))?;
        let topology = read(value.epoch, &value.bytes, &facts)?;
        adopter.adopt(&topology).map_err(Error::NotAdopted)?;
        let current = Arc::new(Current::new(topology, Value::new(&value.bytes)?));
        Ok(Agreement {
            me: facts.node_id,
            ledger,
            current,
            peers,
            env,
            hlc,
            adopter,
            proposing: tokio::sync::Mutex::default(),
            adopting: tokio::sync::Mutex::default(),
            ahead: Mutex::default(),
            is_behind: Notify::new(),
        })
    }

    /// The topology that this node goes by.
    #[must_use]
    pub fn current(&self) -> &Arc<Current> {
        &self.current
    }

    /// Whether this node is in the topology that it goes by.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.current.topology().is_member(self.me)
    }

    /// The other members that this node has no connection to.
    #[must_use]
    pub fn unreachable(&self) -> BTreeSet<NodeId> {
        let topology = self.current.topology();
        let live = self.live(&topology);
        let gone = topology.members().iter().filter(|member| !live.contains(&member.number));
        gone.map(|member| member.id).collect()
    }

    /// Answers another node, but for one that wants to join: see [`Agreement::welcome`].
    ///
    /// # Errors
    /// What was asked for could not be made durable.
    pub async fn answer(&self, from: NodeId, request: Request) -> Result<Answer, Error> {
        match request {
            Request::Vote(vote) => match self.vote(vote).await? {
                Some(answer) => Ok(Answer::Vote(answer)),
                None => {
                    self.note_ahead(from);
                    Ok(Answer::At(self.current.epoch()))
                }
            },
            Request::Decided(decided) => {
                self.learn(&decided).await?;
                Ok(self.newer_than(decided.instance))
            }
            Request::Newer(epoch) => {
                if epoch > self.current.epoch() {
                    self.note_ahead(from);
                }
                Ok(self.newer_than(epoch))
            }
            Request::Join(application) => Ok(Answer::Join(self.welcome(&application))),
        }
    }

    /// Takes note that `node` goes by a newer topology: it is asked for it soon.
    pub fn note_ahead(&self, node: NodeId) {
        *self.ahead.lock() = Some(node);
        self.is_behind.notify_one();
    }

    /// Goes by a topology that was decided, unless this node goes by that or a later one.
    ///
    /// # Errors
    /// It cannot be read, made durable or carried out; the node goes on by the one before.
    pub async fn learn(&self, decided: &Decided) -> Result<(), Error> {
        let _one_at_a_time = self.adopting.lock().await;
        if decided.instance <= self.current.epoch() {
            return Ok(());
        }
        let topology = read(decided.instance, decided.value.bytes(), &self.ledger.facts())?;
        let (ledger, adopter) = (self.ledger.clone(), Arc::clone(&self.adopter));
        let (next, value) = (Arc::clone(&topology), decided.value.clone());
        let adopted = on_pool(&self.env.pool, move || {
            let value = TopologyValue { epoch: next.epoch(), bytes: value.bytes().to_vec() };
            ledger.update(|facts| facts.adopt(value))?;
            adopter.adopt(&next).map_err(Error::NotAdopted)
        });
        adopted.await??;
        tracing::info!(epoch = topology.epoch().0, members = topology.members().len(), "a new topology holds");
        self.current.show(topology, decided.value.clone());
        Ok(())
    }

    /// The vote on `request`; none if something before it has to be learned first.
    pub(super) async fn vote(&self, request: paxos::Request) -> Result<Option<paxos::Answer>, Error> {
        if request.instance() <= self.current.epoch() {
            return Ok(Some(paxos::Answer::Decided(self.current.decided())));
        }
        let ledger = self.ledger.clone();
        let judged = on_pool(&self.env.pool, move || {
            let mut answer = None;
            ledger.update(|facts| answer = judge(facts, &request)).map(|_| answer)
        });
        Ok(judged.await??)
    }

    /// What every message to another node says beside its own words.
    pub(super) fn terms(&self, patience: Duration) -> Terms {
        let now = Instant::now();
        let time = self.hlc.reading(self.env.clock.wall_ms());
        Terms { epoch: self.current.epoch(), time, now, deadline: now + patience }
    }

    /// The members of `topology` that this node has a connection to, and itself.
    pub(super) fn live(&self, topology: &Topology) -> BTreeSet<NodeNumber> {
        let is_live = |id| id == self.me || self.peers.get(&id).is_some_and(|peer| peer.is_connected());
        let members = topology.members().iter().filter(|member| is_live(member.id));
        members.map(|member| member.number).collect()
    }

    fn newer_than(&self, epoch: Epoch) -> Answer {
        let decided = self.current.decided();
        if decided.instance > epoch { Answer::Newer(decided) } else { Answer::At(decided.instance) }
    }
}

/// The vote of the node with these facts, which become those that are durable before the vote is given.
fn judge(facts: &mut Facts, request: &paxos::Request) -> Option<paxos::Answer> {
    match facts.next_acceptor().receive(request) {
        Verdict::Answer(answer) => Some(answer),
        Verdict::Sync { acceptor, answer } => {
            facts.acceptor = Some(acceptor);
            Some(answer)
        }
        // Decided, and about to be shown.
        Verdict::OtherInstance if request.instance() <= facts.epoch() => {
            let value = facts.topology.as_ref().and_then(|topology| Value::new(&topology.bytes).ok())?;
            Some(paxos::Answer::Decided(Decided { instance: facts.epoch(), value }))
        }
        Verdict::OtherInstance => None,
    }
}

/// The topology of `epoch` that `bytes` say, if it is one of this node's cluster.
fn read(epoch: Epoch, bytes: &[u8], facts: &Facts) -> Result<Arc<Topology>, Error> {
    let topology = Topology::decode(bytes)?;
    if topology.cluster() != facts.cluster_id {
        Err(Error::Unfit("another cluster's"))
    } else if topology.epoch() != epoch {
        Err(Error::Unfit("of another epoch than was said"))
    } else if topology.layout() != facts.layout {
        Err(Error::Unfit("of another number of arcs than the cluster was founded with"))
    } else {
        Ok(Arc::new(topology))
    }
}

/// Runs `job` on the pool, when there is room in its queue.
async fn on_pool<T: Send + 'static>(
    pool: &Arc<dyn Pool>,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    // Shared, because a full queue drops the box it was offered.
    let job = Arc::new(Mutex::new(Some(job)));
    loop {
        let (sender, receiver) = oneshot::channel();
        let offered = Arc::clone(&job);
        let queued = pool.run(Box::new(move || {
            let run = offered.lock().take();
            if let Some(run) = run {
                // Whoever asked may have gone; what was asked is done all the same.
                drop(sender.send(run()));
            }
        }));
        if queued.is_ok() {
            return receiver.await.map_err(|_| Error::Stopping);
        }
        sleep(POOL_PAUSE).await;
    }
}
