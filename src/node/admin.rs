//! What commands may ask of this node: the implementation of [`Admin`].
//!
//! Invariant: a change of settings is checked as a whole before anything is put into effect; what fails after that (the log
//! has ended) is told, and the settings stay as they were.
//! Lock order: the settings' mutex is held while a change takes effect; nothing below takes it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::command::{Admin, HintsStatus, Identity, RefusedReason, Setting, SettingRefused, Status, Tunables};
use crate::config::{Change, ChangeError, Flaw, Settings};
use crate::env::Env;
use crate::gossip::Gossip;
use crate::hints::Hints;
use crate::node::keeping::Keeping;
use crate::node::log::LogControl;
use crate::node::status;
use crate::replica::Replica;
use crate::server::Buffers;
use crate::session::Registry;
use crate::storage::Options;
use crate::topology::Agreement;
use crate::worker::Runner;

/// The node, as commands see it.
pub(super) struct NodeAdmin {
    pub(super) env: Env,
    pub(super) identity: Identity,
    pub(super) replica: Arc<Replica>,
    pub(super) agreement: Arc<Agreement>,
    pub(super) gossip: Arc<Gossip>,
    pub(super) registry: Arc<Registry>,
    pub(super) buffers: Arc<Buffers>,
    pub(super) runner: Runner,
    pub(super) started: Duration,
    pub(super) log: Option<LogControl>,
    pub(super) store: Options,
    clients_ceiling: u64,
    keeping: OnceLock<Keeping>,
    tunables: Tunables,
    commands_per_second: AtomicU64,
    stop: Notify,
    password: RwLock<Option<Arc<str>>>,
    settings: Mutex<Settings>,
}

/// What a [`NodeAdmin`] is made of.
pub(super) struct AdminParts {
    pub(super) env: Env,
    pub(super) identity: Identity,
    pub(super) replica: Arc<Replica>,
    pub(super) agreement: Arc<Agreement>,
    pub(super) gossip: Arc<Gossip>,
    pub(super) registry: Arc<Registry>,
    pub(super) buffers: Arc<Buffers>,
    pub(super) log: Option<LogControl>,
    pub(super) store: Options,
    /// Connections that the machine allows.
    pub(super) clients_ceiling: u64,
}

impl NodeAdmin {
    pub(super) fn new(parts: AdminParts, settings: &Settings) -> Arc<Self> {
        let AdminParts { env, identity, replica, agreement, gossip, registry, buffers, log, store, clients_ceiling } =
            parts;
        Arc::new(NodeAdmin {
            runner: Runner::new(&env),
            started: env.clock.monotonic(),
            env,
            identity,
            replica,
            agreement,
            gossip,
            registry,
            buffers,
            log,
            store,
            clients_ceiling,
            keeping: OnceLock::new(),
            tunables: tunables(settings),
            commands_per_second: AtomicU64::new(0),
            stop: Notify::new(),
            password: RwLock::new(password(settings)),
            settings: Mutex::new(settings.clone()),
        })
    }

    /// Takes charge of what is kept for other members, which happens once, at the start.
    pub(super) fn keep(&self, keeping: Keeping) {
        drop(self.keeping.set(keeping));
    }

    /// The store of it.
    pub(super) fn hints(&self) -> Option<Arc<Hints>> {
        self.keeping.get().map(|keeping| Arc::clone(&keeping.hints))
    }

    /// What can be told of it.
    pub(super) fn hints_status(&self) -> Option<HintsStatus> {
        self.keeping.get().map(|keeping| keeping.status(self.env.clock.wall_ms()))
    }

    /// Waits until a client asks for a stop.
    pub(super) async fn stop_asked(&self) {
        self.stop.notified().await;
    }

    /// Takes notice of how many commands the last second brought.
    pub(super) fn note_rate(&self, commands_per_second: u64) {
        self.commands_per_second.store(commands_per_second, Ordering::Relaxed);
    }

    /// Commands that the last second brought.
    pub(super) fn rate(&self) -> u64 {
        self.commands_per_second.load(Ordering::Relaxed)
    }

    fn put_into_effect(&self, settings: &Settings) -> Result<(), String> {
        let clients = settings.count("max-clients");
        if clients > self.clients_ceiling && clients > self.registry.limit() {
            let ceiling = self.clients_ceiling;
            return Err(format!("the machine allows {ceiling} clients; raise `ulimit -n` before the start"));
        }
        if let Some(log) = &self.log {
            log.set_level(settings.text("log-level"))?;
        }
        self.registry.set_limit(clients.min(self.clients_ceiling));
        let new = tunables(settings);
        let pairs = [
            (&self.tunables.slowlog_max_len, new.slowlog_max_len),
            (&self.tunables.keys_reply_max, new.keys_reply_max),
            (&self.tunables.idle_timeout_ms, new.idle_timeout_ms),
        ];
        pairs.into_iter().for_each(|(old, new)| old.store(new.into_inner(), Ordering::Relaxed));
        self.tunables.slowlog_slower_than_us.store(new.slowlog_slower_than_us.into_inner(), Ordering::Relaxed);
        *self.password.write() = password(settings);
        Ok(())
    }
}

impl Admin for NodeAdmin {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn password(&self) -> Option<Arc<str>> {
        self.password.read().clone()
    }

    fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    fn settings(&self) -> Vec<Setting> {
        let settings = self.settings.lock();
        let shown = settings.iter().map(|(spec, value)| Setting {
            name: spec.name,
            value: value.to_string(),
            can_change: spec.change == Change::WhileRunning,
        });
        shown.collect()
    }

    fn set(&self, changes: &[(&str, &str)]) -> Result<(), SettingRefused> {
        let mut settings = self.settings.lock();
        let changed = settings.changed(changes);
        let changed = changed.map_err(|(name, error)| SettingRefused { name, reason: reason(error) })?;
        self.put_into_effect(&changed).map_err(|what| {
            let name = changes.first().map_or("", |(name, _)| name).to_owned();
            SettingRefused { name, reason: RefusedReason::Failed(what) }
        })?;
        *settings = changed;
        Ok(())
    }

    fn status(&self) -> Status {
        let settings = self.settings.lock().clone();
        Status { commands_per_second: self.rate(), ..status::gather(self, &settings) }
    }

    fn shut_down(&self) {
        self.stop.notify_one();
    }
}

fn tunables(settings: &Settings) -> Tunables {
    Tunables {
        slowlog_slower_than_us: settings.number("slowlog-log-slower-than").into(),
        slowlog_max_len: settings.count("slowlog-max-len").into(),
        keys_reply_max: settings.count("keys-reply-max").into(),
        idle_timeout_ms: (settings.count("timeout") * 1000).into(),
    }
}

fn password(settings: &Settings) -> Option<Arc<str>> {
    Some(settings.text("requirepass")).filter(|text| !text.is_empty()).map(Arc::from)
}

/// The words of Redis for a value that is not allowed.
fn reason(error: ChangeError) -> RefusedReason {
    match error {
        ChangeError::Unknown => RefusedReason::Unknown,
        ChangeError::AtStart => RefusedReason::Fixed,
        ChangeError::Unfit(what) => RefusedReason::Value(what),
        ChangeError::Value(flaw) => RefusedReason::Value(match flaw {
            Flaw::NotANumber => "argument couldn't be parsed into an integer".into(),
            Flaw::OutOfRange(least, most) => format!("argument must be between {least} and {most} inclusive"),
            Flaw::NotAChoice(words) => {
                format!("argument(s) must be one of the following: {}", words.join(", "))
            }
            Flaw::Malformed(kind) => format!("argument must be {kind}"),
        }),
    }
}
