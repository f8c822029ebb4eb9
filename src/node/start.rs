//! Starting a node: making its parts in order, and joining them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::command::{Admin, Identity, Services, SlowLog, Stats, Tokens};
use crate::config::{Config, Settings};
use crate::coordinator::Coordinator;
use crate::env::{Env, Listener, Priority, Reactors};
use crate::node::admin::{AdminParts, NodeAdmin};
use crate::node::directory::{self, Founding, Life};
use crate::node::error::Error;
use crate::node::log::LogControl;
use crate::node::{Node, files, store, upkeep};
use crate::replica::{PurgeFloors, Replica, ReplicaOptions, ReplicaParts};
use crate::server::{Buffers, ConnectionLimits, Http, Server, ServerOptions};
use crate::session::Registry;
use crate::storage::{Engine, Options};

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
        let founding = if settings.count("found") > 0 { Founding::Asked } else { Founding::NotAsked };
        directory::check(&*env.disk, &dir, founding)?;
        let bound = bind(env, settings).await?;
        let life = directory::begin(env, &dir, founding)?;
        let identity = identity(&surroundings, config, &life, &bound)?;
        let shares = files::share(surroundings.open_files);
        let mut store = store::options(settings, &dir, life.ledger.facts().layout);
        store.open_tables = store.open_tables.min(shares.tables as usize);
        let tokens = Tokens::new(&life.ledger.facts().secret);
        let replica = Arc::new(open(env, settings, &store, life)?);
        let registry = Arc::new(Registry::new(client_limit(settings, shares.clients)));
        let Surroundings { env, reactors, log, .. } = surroundings;
        let buffers = Buffers::new(settings.bytes("connection-buffers-max") as usize);
        let options = server_options(settings, &buffers);
        let (env_of_admin, clients_ceiling) = (env.clone(), shares.clients);
        let parts = AdminParts { env: env_of_admin, identity, replica, registry, buffers, log, store, clients_ceiling };
        let admin = NodeAdmin::new(parts, settings);
        for worker in Replica::workers(&admin.replica, settings.duration("purge-interval")) {
            admin.runner.start(Priority::Low, worker);
        }
        let services = services(&admin, tokens);
        let server = Server::start(&env, reactors, Arc::clone(&services), &options);
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
    Ok(Bound { clients, http })
}

fn identity(surroundings: &Surroundings, config: &Config, life: &Life, bound: &Bound) -> Result<Identity, Error> {
    let settings = &config.settings;
    let (env, facts) = (&surroundings.env, life.ledger.facts());
    let mut run_id = [0; 20];
    env.random.fill(&mut run_id);
    let client_address = bound.clients.local_address();
    let peer_address = settings.derived("peer-listen", 10_000)?.filter(|address| address.port() != 0);
    let following = SocketAddr::new(client_address.ip(), client_address.port().checked_add(10_000).unwrap_or(0));
    let name = Some(settings.text("name")).filter(|name| !name.is_empty());
    let id = facts.node_id.to_string();
    Ok(Identity {
        node_id: facts.node_id,
        node_number: facts.node_number,
        run_id: crate::types::NodeId(run_id).to_string(),
        name: name.map_or_else(|| format!("node-{}", &id[..8]), str::to_owned),
        zone: settings.text("zone").to_owned(),
        dc: settings.text("dc").to_owned(),
        weight: settings.count("weight") as u32,
        version: env!("CARGO_PKG_VERSION"),
        client_address,
        peer_address: peer_address.unwrap_or(following),
        http_address: bound.http.as_ref().map(|listener| listener.local_address()),
        started_ms: env.clock.wall_ms(),
        data: settings.text("data").to_owned(),
        system: surroundings.system.clone(),
        config_file: config.file.as_ref().map(|path| path.display().to_string()),
    })
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

fn services(admin: &Arc<NodeAdmin>, tokens: Tokens) -> Arc<Services> {
    Arc::new(Services {
        coordinator: Arc::new(Coordinator::new(Arc::clone(&admin.replica), Arc::clone(&admin.env.pool))),
        registry: Arc::clone(&admin.registry),
        stats: Stats::default(),
        slow_log: SlowLog::default(),
        tokens,
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
