//! Starting a node: making its parts in order, and joining them.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::command::{Admin, Identity, Services, SlowLog, Stats, Tokens};
use crate::config::{Config, Settings};
use crate::coordinator::{Cluster, Coordinator};
use crate::env::{Env, Listener, Priority, Reactors};
use crate::node::admin::{AdminParts, NodeAdmin};
use crate::node::directory::{self, Intent, Life};
use crate::node::error::Error;
use crate::node::handover::Handed;
use crate::node::identity::{Addresses, candidate};
use crate::node::log::LogControl;
use crate::node::membership::Beginning;
use crate::node::talk::{Talk, TalkParts};
use crate::node::{Node, files, store, upkeep};
use crate::replica::{PurgeFloors, Replica, ReplicaOptions, ReplicaParts};
use crate::ring::Candidate;
use crate::server::{Buffers, ConnectionLimits, Http, Server, ServerOptions};
use crate::session::Registry;
use crate::storage::{Engine, Options};
use crate::types::NodeNumber;

/// What a node gets from its process.
pub struct Surroundings {
    /// The machine.
    pub env: Env,
    /// Where connections are served.
    pub reactors: Arc<dyn Reactors>,
    /// The process's log, if the node may change its level.
    pub log: Option<LogControl>,
    /// What `INFO` says of the machine.
    pub system: String,
    /// Files and connections that the process may have open.
    pub open_files: u64,
}

/// Addresses that were bound.
struct Bound {
    clients: Box<dyn Listener>,
    http: Option<Box<dyn Listener>>,
    peers: Handed,
}

impl Bound {
    fn addresses(&self) -> Addresses {
        let http = self.http.as_ref().map(|listener| listener.local_address());
        Addresses { clients: self.clients.local_address(), peers: self.peers.local_address(), http }
    }
}

impl Node {
    /// Starts a node; must be called on the runtime that is to accept connections.
    ///
    /// # Errors
    /// Whatever keeps it from serving; nothing runs then.
    pub async fn start(surroundings: Surroundings, config: &Config) -> Result<Node, Error> {
        let settings = &config.settings;
        let env = &surroundings.env;
        let dir = PathBuf::from(settings.text("data"));
        directory::check(&*env.disk, &dir, Intent::of(settings))?;
        let bound = bind(env, settings).await?;
        let addresses = bound.addresses();
        let ledger = Beginning { env, settings, dir: &dir, addresses, peers: &bound.peers }.ledger().await?;
        let life = directory::begin(env, ledger)?;
        let (ledger, hlc) = (life.ledger.clone(), Arc::clone(&life.hlc));
        let candidate = candidate(settings, &addresses, ledger.facts().node_id);
        let identity = identity(&surroundings, config, (&candidate, &addresses), ledger.facts().node_number);
        let shares = files::share(surroundings.open_files);
        let mut store = store::options(settings, &dir, life.ledger.facts().layout);
        store.open_tables = store.open_tables.min(shares.tables as usize);
        let tokens = Tokens::new(&life.ledger.facts().secret);
        let replica = Arc::new(open(env, settings, &store, life)?);
        let registry = Arc::new(Registry::new(client_limit(settings, shares.clients)));
        let Surroundings { env, reactors, log, .. } = surroundings;
        let talk = Talk::begin(&env, settings, TalkParts { ledger, hlc, addresses, replica: Arc::clone(&replica) })?;
        talk.settle(&candidate, settings).await?;
        let (agreement, gossip) = (Arc::clone(&talk.agreement), Arc::clone(&talk.gossip));
        let buffers = Buffers::new(settings.bytes("connection-buffers-max") as usize);
        let options = server_options(settings, &buffers);
        let (env_of_admin, clients_ceiling) = (env.clone(), shares.clients);
        let parts = AdminParts {
            env: env_of_admin,
            identity,
            replica,
            agreement,
            gossip,
            registry,
            buffers,
            log,
            store,
            clients_ceiling,
        };
        let admin = NodeAdmin::new(parts, settings);
        let cluster = talk.cluster(&admin, settings)?;
        let purge_interval = cluster.is_none().then(|| settings.duration("purge-interval"));
        for worker in Replica::workers(&admin.replica, purge_interval) {
            admin.runner.start(Priority::Low, worker);
        }
        let services = services(&admin, tokens, cluster);
        let parts = (Arc::clone(&services), Arc::clone(&admin));
        let resident = talk.resident(bound.peers, candidate, parts);
        let server = Server::start(&env, reactors, (Arc::clone(&services), resident), &options);
        server.serve(&env, bound.clients);
        let http = bound.http.map(|listener| Http::serve(listener, Arc::clone(&services)));
        let stopping = CancellationToken::new();
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&services), Arc::clone(&admin), stopping.clone()));
        let drain_timeout = settings.duration("drain-timeout");
        Ok(Node { admin, services, server, http, drain_timeout, stopping, upkeep })
    }
}

async fn bind(env: &Env, settings: &Settings) -> Result<Bound, Error> {
    let listen =
        async |setting, address| env.net.listen(address).await.map_err(|source| Error::Listen { setting, source });
    let clients = listen("listen", settings.listen()).await?;
    let http = match settings.derived("http-listen", 2_000)? {
        Some(address) => Some(listen("http-listen", address).await?),
        None => None,
    };
    let peers = settings
        .derived("peer-listen", 10_000)?
        .ok_or(Error::Listen { setting: "peer-listen", source: std::io::ErrorKind::AddrNotAvailable.into() })?;
    let peers = Handed::new(listen("peer-listen", peers).await?);
    Ok(Bound { clients, http, peers })
}

fn identity(
    surroundings: &Surroundings,
    config: &Config,
    (candidate, addresses): (&Candidate, &Addresses),
    node_number: NodeNumber,
) -> Identity {
    let mut run_id = [0; 20];
    surroundings.env.random.fill(&mut run_id);
    Identity {
        node_id: candidate.id,
        node_number,
        run_id: crate::types::NodeId(run_id).to_string(),
        name: candidate.name.clone(),
        zone: candidate.zone.clone(),
        dc: candidate.dc.clone(),
        weight: candidate.weight,
        version: env!("CARGO_PKG_VERSION"),
        client_address: addresses.clients,
        peer_address: addresses.peers,
        http_address: addresses.http,
        started_ms: surroundings.env.clock.wall_ms(),
        data: config.settings.text("data").to_owned(),
        system: surroundings.system.clone(),
        config_file: config.file.as_ref().map(|path| path.display().to_string()),
    }
}

/// `max-clients`, or what the machine allows.
fn client_limit(settings: &Settings, ceiling: u64) -> u64 {
    let wanted = settings.count("max-clients");
    if wanted > ceiling {
        tracing::warn!(wanted, allowed = ceiling, "fewer clients than max-clients can connect; raise `ulimit -n`");
    }
    wanted.min(ceiling)
}

/// Recovers the engine and opens the replica over it.
fn open(env: &Env, settings: &Settings, store: &Options, life: Life) -> Result<Replica, Error> {
    let Life { ledger, actor, hlc } = life;
    let layout = store.layout;
    let floors = PurgeFloors::new(&ledger.facts());
    let filter = Arc::<PurgeFloors>::clone(&floors);
    let engine = Engine::open(env, store.clone(), filter)?;
    // The folder's name, made by the engine, must last as long as what is in it.
    env.disk
        .sync_dir(settings.text("data").as_ref())
        .map_err(|source| Error::Machine { tried: "the data directory cannot be synced", source })?;
    let parts = ReplicaParts {
        engine: Arc::new(engine),
        ledger,
        floors,
        hlc,
        clock: Arc::clone(&env.clock),
        random: Arc::clone(&env.random),
    };
    let max_pair_bytes = settings.bytes("max-pair-bytes") as usize;
    Ok(Replica::open(parts, ReplicaOptions { actor, layout, max_pair_bytes }))
}

fn services(admin: &Arc<NodeAdmin>, tokens: Tokens, cluster: Option<Arc<Cluster>>) -> Arc<Services> {
    let (replica, pool) = (Arc::clone(&admin.replica), Arc::clone(&admin.env.pool));
    let coordinator = match cluster {
        Some(cluster) => Coordinator::of_cluster(replica, pool, cluster),
        None => Coordinator::new(replica, pool),
    };
    Arc::new(Services {
        coordinator: Arc::new(coordinator),
        registry: Arc::clone(&admin.registry),
        stats: Stats::default(),
        slow_log: SlowLog::default(),
        tokens,
        topology: Arc::clone(admin.agreement.current()),
        admin: Arc::clone(admin) as Arc<dyn Admin>,
    })
}

fn server_options(settings: &Settings, buffers: &Arc<Buffers>) -> ServerOptions {
    let limits = ConnectionLimits {
        pair_bytes: settings.bytes("max-pair-bytes") as usize,
        query_bytes: settings.bytes("query-buffer-max") as usize,
    };
    ServerOptions { limits, buffers: Arc::clone(buffers), durability: store::durability(settings) }
}
