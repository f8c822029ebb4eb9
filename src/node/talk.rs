//! A member's conversation with the others: what it is made of, where it runs.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use crate::causality::Hlc;
use crate::command::{Admin, Services};
use crate::config::Settings;
use crate::coordinator::{Cluster, ClusterOptions, ClusterParts, MemberService, Members};
use crate::env::Env;
use crate::gossip::{self, Around, Gossip};
use crate::ledger::Ledger;
use crate::node::admin::NodeAdmin;
use crate::node::adoption::Adoption;
use crate::node::error::Error;
use crate::node::handover::Handed;
use crate::node::identity::{self, Addresses};
use crate::node::keeping::{Destination, Keeping};
use crate::node::reach::Reach;
use crate::node::service::NodeService;
use crate::peer::{Acceptor, Event, Local, Options, Parts, Peers};
use crate::replica::Replica;
use crate::ring::Candidate;
use crate::server::{ForwardedService, Resident};
use crate::topology::{Agreement, AgreementParts};

/// What a conversation is about.
pub(super) struct TalkParts {
    pub(super) ledger: Ledger,
    pub(super) hlc: Arc<Hlc>,
    pub(super) addresses: Addresses,
    pub(super) replica: Arc<Replica>,
}

/// A member's conversation with the others.
pub(super) struct Talk {
    pub(super) agreement: Arc<Agreement>,
    pub(super) gossip: Arc<Gossip>,
    peers: Arc<Peers>,
    cluster: Arc<OnceLock<Arc<Cluster>>>,
    local: Arc<Local>,
    env: Env,
    hlc: Arc<Hlc>,
    addresses: Addresses,
}

impl Talk {
    /// Goes by the topology of the ledger; talks to nobody yet. May wait for the disk.
    pub(super) fn begin(env: &Env, settings: &Settings, parts: TalkParts) -> Result<Talk, Error> {
        let TalkParts { ledger, hlc, addresses, replica } = parts;
        let facts = ledger.facts();
        let member = Some((facts.cluster_id, facts.secret));
        let local = Arc::new(Local::new(identity::local(settings, addresses.peers, facts.node_id, member)));
        let (me, incarnation) = (facts.node_id, facts.incarnation);
        let gossip = gossip::Parts { me, incarnation, env: env.clone(), hlc: Arc::clone(&hlc) };
        let gossip = Arc::new(Gossip::new(gossip));
        let observing = Arc::clone(&gossip);
        let peers = Arc::new(Peers::new(Parts {
            net: Arc::clone(&env.net),
            random: Arc::clone(&env.random),
            local: Arc::clone(&local),
            options: Options::default(),
            observer: Arc::new(move |event: &Event| observing.observe(event)),
        }));
        let cluster = Arc::<OnceLock<Arc<Cluster>>>::default();
        let agreement = Agreement::open(AgreementParts {
            ledger,
            peers: Arc::clone(&peers),
            hlc: Arc::clone(&hlc),
            env: env.clone(),
            adopter: Arc::new(Adoption { replica, cluster: Arc::clone(&cluster) }),
        })?;
        gossip.set_topology(&agreement.current().topology());
        Ok(Talk { agreement: Arc::new(agreement), gossip, peers, cluster, local, env: env.clone(), hlc, addresses })
    }

    /// What the coordinator knows of the cluster; nothing if this node is alone in it.
    ///
    /// What the members miss is kept by `admin`. May wait for the disk.
    pub(super) fn cluster(&self, admin: &NodeAdmin, settings: &Settings) -> Result<Option<Arc<Cluster>>, Error> {
        let topology = self.agreement.current().topology();
        if topology.members().len() < 2 {
            return Ok(None);
        }
        let reach = Reach { agreement: Arc::clone(&self.agreement), peers: Arc::clone(&self.peers) };
        let (members, identity): (Arc<dyn Members>, _) = (Arc::new(reach), admin.identity());
        let destination = Destination {
            me: identity.node_number,
            current: self.agreement.current(),
            members: Arc::clone(&members),
            hlc: Arc::clone(&self.hlc),
        };
        let keeping = Keeping::begin(&self.env, settings, &admin.runner, destination)?;
        let hints = Arc::clone(&keeping.hints);
        admin.keep(keeping);
        let cluster = Cluster::new(ClusterParts {
            me: identity.node_number,
            dc: identity.dc.clone(),
            topology,
            members,
            hints,
            options: ClusterOptions {
                timeout: settings.duration("request-timeout"),
                max_skew: settings.duration("max-clock-skew"),
            },
        });
        // Made once, at the start.
        drop(self.cluster.set(Arc::clone(&cluster)));
        Ok(Some(cluster))
    }

    /// Whether this node can be what the topology says: one of several has to be reachable, and to prove a secret. One that
    /// is alone makes the topology say where it is now, before it serves anybody.
    pub(super) async fn settle(&self, candidate: &Candidate, settings: &Settings) -> Result<(), Error> {
        if self.agreement.current().topology().members().len() > 1 {
            Ok(settings.check_among_peers(self.addresses.peers)?)
        } else {
            Ok(self.agreement.present(candidate).await?)
        }
    }

    /// What runs on the first reactor: the connections to the others and those from them, and gossip for the
    /// node itself.
    pub(super) fn resident(
        self,
        port: Handed,
        candidate: Candidate,
        parts: (Arc<Services>, Arc<NodeAdmin>),
    ) -> Resident {
        let Talk { agreement, gossip, peers, local, env, hlc, .. } = self;
        let (services, owner) = parts;
        Box::new(move |stopping, commit| {
            Box::pin(async move {
                let records = services.coordinator.cluster().map(|cluster| {
                    let (coordinator, cluster) = (Arc::clone(&services.coordinator), Arc::clone(cluster));
                    MemberService::new(coordinator, cluster, Arc::clone(&commit))
                });
                let clock = Arc::clone(&env.clock);
                let commands = ForwardedService::new(services, Arc::clone(&clock), commit);
                let (decided, heard) = (Arc::clone(&agreement), Arc::clone(&gossip));
                let service = NodeService { agreement: decided, gossip: heard, hlc, clock, records, commands };
                let acceptor = Acceptor::new(Rc::new(service), local, Arc::clone(&env.random), Options::default());
                let serving = tokio::task::spawn_local(Rc::new(acceptor).run(Box::new(port), stopping.clone()));
                let topologies = agreement.current().watch();
                let around = Around { owner: &*owner, peers: &peers, topologies };
                let gossiping = gossip.run(around, stopping.clone());
                tokio::join!(agreement.run(candidate, stopping), gossiping);
                // It was told to end with the same token.
                drop(serving.await);
            })
        })
    }
}
