//! From a data directory to a member: opened if it has a ledger, else founded or joined as the user asked.
//!
//! Invariant: the ledger of a new member is written in one step, with number, cluster, secret and topology. Before it there
//! is only the name under which the node asked.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::env::Env;
use crate::ledger::{Candidacy, Ledger, Membership, Secret, TopologyValue};
use crate::node::directory::{self, Intent};
use crate::node::error::Error;
use crate::node::handover::Handed;
use crate::node::identity::{self, Addresses};
use crate::peer::{Acceptor, Local, Options, Parts};
use crate::ring::{Candidate, Topology};
use crate::topology::{self, Application, Founding, JoinState};
use crate::types::{ArcLayout, ClusterId, NodeId};

/// What a node begins with.
pub(super) struct Beginning<'a> {
    pub(super) env: &'a Env,
    pub(super) settings: &'a Settings,
    pub(super) dir: &'a Path,
    pub(super) addresses: Addresses,
    pub(super) peers: &'a Handed,
}

impl Beginning<'_> {
    /// Opens the ledger, or makes it once the node is a member. May wait for other nodes as long as it takes.
    pub(super) async fn ledger(&self) -> Result<Ledger, Error> {
        let intent = Intent::of(self.settings);
        if directory::check(&*self.env.disk, self.dir, intent)? {
            let ignored = match intent {
                Intent::Found(_) => Some("--found"),
                Intent::Join => Some("--join"),
                Intent::Reopen => None,
            };
            if let Some(flag) = ignored {
                tracing::info!(data = %self.dir.display(), "the data directory has a cluster already; {flag} is ignored");
            }
            return self.reopen();
        }
        let mut candidacy = Candidacy::begin(Arc::clone(&self.env.disk), &*self.env.random, self.dir)?;
        let own = self.candidate(candidacy.id());
        let wanted = match intent {
            Intent::Found(wanted) => wanted,
            Intent::Join | Intent::Reopen => 0,
        };
        if wanted != 1 {
            candidacy.keep()?;
        }
        // Tasks of connections stay on this thread.
        let membership = match wanted {
            0 => LocalSet::new().run_until(self.join(own)).await?,
            1 => self.found(own.id, vec![own])?,
            _ => {
                let id = own.id;
                let gathered = LocalSet::new().run_until(self.gather(own, wanted)).await;
                self.found(id, gathered)?
            }
        };
        Ok(candidacy.become_member(membership)?)
    }

    /// What this node says of itself.
    pub(super) fn candidate(&self, id: NodeId) -> Candidate {
        identity::candidate(self.settings, &self.addresses, id)
    }

    fn reopen(&self) -> Result<Ledger, Error> {
        let ledger = Ledger::open(Arc::clone(&self.env.disk), self.dir)?;
        let facts = ledger.facts();
        if facts.topology.is_none() {
            // Founded by a version that knew only nodes that are alone.
            let topology = self.first_topology(facts.cluster_id, vec![self.candidate(facts.node_id)], facts.layout)?;
            ledger.update(|facts| facts.adopt(value(&topology)))?;
        }
        Ok(ledger)
    }

    fn first_topology(
        &self,
        cluster: ClusterId,
        candidates: Vec<Candidate>,
        layout: ArcLayout,
    ) -> Result<Topology, Error> {
        let replicas = self.settings.count("replicas") as u8;
        Ok(Topology::found(cluster, layout, replicas, candidates).map_err(topology::Error::from)?)
    }

    /// The membership of `own` in a new cluster of all `candidates`.
    fn found(&self, own: NodeId, candidates: Vec<Candidate>) -> Result<Membership, Error> {
        let (mut cluster, mut secret) = (ClusterId([0; 20]), Secret([0; 32]));
        self.env.random.fill(&mut cluster.0);
        self.env.random.fill(&mut secret.0);
        let topology = self.first_topology(cluster, candidates, ArcLayout::default())?;
        tracing::info!(%cluster, nodes = topology.members().len(), "a new cluster");
        member(own, secret, &topology)
    }

    /// Waits until `wanted` nodes have come, `own` included.
    async fn gather(&self, own: Candidate, wanted: u16) -> Vec<Candidate> {
        let local = identity::local(self.settings, self.addresses.peers, own.id, None);
        let founding = Rc::new(Founding::new(own, wanted, self.env.clone()));
        let random = Arc::clone(&self.env.random);
        let local = Arc::new(Local::new(local));
        let acceptor = Acceptor::new(Rc::<Founding>::clone(&founding), local, random, Options::default());
        let stop = CancellationToken::new();
        let serving = spawn_local(Rc::new(acceptor).run(Box::new(self.peers.clone()), stop.clone()));
        let address = self.addresses.peers;
        let told = |present| {
            tracing::info!(present, wanted, "founding; start the others with: annulus serve --join {address}");
        };
        let candidates = founding.complete(told).await;
        stop.cancel();
        // It has ended by itself, or was told to: either way nobody is served any more.
        drop(serving.await);
        candidates
    }

    /// Asks until this node is a member.
    async fn join(&self, own: Candidate) -> Result<Membership, Error> {
        let id = own.id;
        let parts = Parts {
            net: Arc::clone(&self.env.net),
            random: Arc::clone(&self.env.random),
            local: Arc::new(Local::new(identity::local(self.settings, self.addresses.peers, id, None))),
            options: Options::default(),
            observer: Arc::new(|_| ()),
        };
        let clock = &self.env.clock;
        let application = || Application { candidate: own.clone(), wall_ms: clock.wall_ms() };
        let told = |state: &JoinState| match state {
            JoinState::Unreachable(why) => tracing::warn!(why, "no node to join answers yet"),
            JoinState::Waiting { present, wanted } => tracing::info!(present, wanted, "joining; the founder waits"),
        };
        let welcome = topology::join(parts, self.settings.join(), application, told).await?;
        let topology = Topology::decode(welcome.topology.value.bytes()).map_err(topology::Error::from)?;
        if topology.cluster() != welcome.cluster {
            return Err(topology::Error::Unfit("another cluster's").into());
        }
        member(id, Secret(welcome.secret), &topology)
    }
}

fn member(id: NodeId, secret: Secret, topology: &Topology) -> Result<Membership, Error> {
    let member = topology.by_id(id).ok_or(topology::Error::Unfit("without the node that it was sent to"))?;
    Ok(Membership {
        node_id: id,
        node_number: member.number,
        cluster_id: topology.cluster(),
        secret,
        layout: topology.layout(),
        topology: Some(value(topology)),
    })
}

fn value(topology: &Topology) -> TopologyValue {
    TopologyValue { epoch: topology.epoch(), bytes: topology.encode() }
}
