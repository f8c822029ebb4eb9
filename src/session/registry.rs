//! All connections of this node: for `CLIENT LIST`, `CLIENT KILL`, the limit of connections, and drain.
//!
//! Lock order: the registry's mutex is taken alone; nothing is called while it is held.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A connection's number, never given again while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// What is known of a connection outside the task that serves it.
pub struct Client {
    /// Its number.
    pub id: ClientId,
    /// The client's address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local_address: SocketAddr,
    /// When it connected, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When its last command ran, in milliseconds since the Unix epoch.
    pub active_ms: AtomicU64,
    /// Chosen by `SELECT`.
    pub database: AtomicU8,
    /// 2 or 3.
    pub protocol: AtomicU8,
    /// Commands in its `MULTI` queue, -1 outside a transaction.
    pub queued: AtomicI64,
    /// Number of watched keys.
    pub watched: AtomicU64,
    /// Bytes received and not yet executed.
    pub query_bytes: AtomicU64,
    /// Bytes of replies not yet delivered.
    pub reply_bytes: AtomicU64,
    /// Bytes received in all.
    pub received_bytes: AtomicU64,
    /// Bytes sent in all.
    pub sent_bytes: AtomicU64,
    /// `CLIENT NO-EVICT`.
    pub no_evict: AtomicBool,
    texts: Mutex<Texts>,
    draining: AtomicBool,
    killed: AtomicBool,
    wake: Notify,
}

#[derive(Clone, Default)]
struct Texts {
    name: String,
    library: String,
    library_version: String,
    command: &'static str,
}

impl Client {
    fn new(id: ClientId, (address, local_address): (SocketAddr, SocketAddr), now_ms: u64) -> Self {
        Client {
            id,
            address,
            local_address,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            database: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            queued: AtomicI64::new(-1),
            watched: AtomicU64::new(0),
            query_bytes: AtomicU64::new(0),
            reply_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            no_evict: AtomicBool::new(false),
            texts: Mutex::default(),
            draining: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Name given by `CLIENT SETNAME`, empty if none.
    #[must_use]
    pub fn name(&self) -> String {
        self.texts.lock().name.clone()
    }

    /// Sets or clears the name.
    pub fn set_name(&self, name: String) {
        self.texts.lock().name = name;
    }

    /// Library name and version, as `CLIENT SETINFO` told.
    #[must_use]
    pub fn library(&self) -> (String, String) {
        let texts = self.texts.lock();
        (texts.library.clone(), texts.library_version.clone())
    }

    /// Sets the library's name.
    pub fn set_library(&self, name: String) {
        self.texts.lock().library = name;
    }

    /// Sets the library's version.
    pub fn set_library_version(&self, version: String) {
        self.texts.lock().library_version = version;
    }

    /// Name of the last command, "NULL" before the first.
    #[must_use]
    pub fn command(&self) -> &'static str {
        match self.texts.lock().command {
            "" => "NULL",
            command => command,
        }
    }

    /// Notes the command of a batch that ran last.
    pub fn set_command(&self, command: &'static str) {
        self.texts.lock().command = command;
    }

    /// Asks the task that serves the connection to close it once the replies of the batch at hand are taken.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Asks the task that serves the connection to close it at once, whatever is still to be sent.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.drain();
    }

    /// Whether nothing more is to be executed.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether nothing more is to be sent.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Waits until the connection is to end. One task waits here at a time.
    pub async fn ending(&self) {
        while !self.is_ending() {
            self.wake.notified().await;
        }
    }

    /// Waits until somebody kills the connection. One task waits here at a time.
    pub async fn killed(&self) {
        while !self.is_killed() {
            self.wake.notified().await;
        }
    }
}

/// Which connections `CLIENT KILL` means: all criteria that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct KillFilter {
    /// This connection.
    pub id: Option<ClientId>,
    /// The client's address, as `CLIENT LIST` shows it.
    pub address: Option<String>,
    /// The address it connected to.
    pub local_address: Option<String>,
    /// Not this one (`SKIPME yes`).
    pub skip: Option<ClientId>,
}

impl KillFilter {
    fn names(&self, client: &Client) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.address.as_ref().is_none_or(|address| *address == client.address.to_string())
            && self.local_address.as_ref().is_none_or(|address| *address == client.local_address.to_string())
            && self.skip != Some(client.id)
    }
}

/// All connections.
pub struct Registry {
    next_id: AtomicU64,
    received: AtomicU64,
    rejected: AtomicU64,
    limit: AtomicU64,
    // Bytes of connections that have ended.
    past_received_bytes: AtomicU64,
    past_sent_bytes: AtomicU64,
    clients: Mutex<BTreeMap<ClientId, Arc<Client>>>,
}

impl Registry {
    /// A registry that admits at most `limit` connections at a time.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Registry {
            next_id: AtomicU64::new(1),
            received: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            past_received_bytes: AtomicU64::new(0),
            past_sent_bytes: AtomicU64::new(0),
            clients: Mutex::default(),
        }
    }

    /// Adds a connection; `None` if there are as many as are allowed.
    pub fn admit(&self, address: SocketAddr, local_address: SocketAddr, now_ms: u64) -> Option<Arc<Client>> {
        let mut clients = self.clients.lock();
        if clients.len() as u64 >= self.limit.load(Ordering::Relaxed) {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        let id = ClientId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let client = Arc::new(Client::new(id, (address, local_address), now_ms));
        clients.insert(id, Arc::clone(&client));
        Some(client)
    }

    /// What stands for the client of a command that another node has forwarded: on no list, and nobody's to kill.
    #[must_use]
    pub fn peer_client(&self) -> Arc<Client> {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Arc::new(Client::new(ClientId(0), (nowhere, nowhere), 0))
    }

    /// Takes a connection off the list.
    pub fn remove(&self, id: ClientId) {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.remove(&id) {
            self.past_received_bytes.fetch_add(client.received_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
            self.past_sent_bytes.fetch_add(client.sent_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// All connections, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Client>> {
        self.clients.lock().values().map(Arc::clone).collect()
    }

    /// Number of connections.
    #[must_use]
    pub fn count(&self) -> usize {
        self.clients.lock().len()
    }

    /// The connections that `filter` names, oldest first.
    #[must_use]
    pub fn named(&self, filter: &KillFilter) -> Vec<Arc<Client>> {
        self.list().into_iter().filter(|client| filter.names(client)).collect()
    }

    /// At most so many connections at a time.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit; connections above it stay.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes received and sent by connections that have ended. Asked before [`Registry::list`], so that none counts twice.
    #[must_use]
    pub fn past_traffic(&self) -> (u64, u64) {
        (self.past_received_bytes.load(Ordering::Relaxed), self.past_sent_bytes.load(Ordering::Relaxed))
    }

    /// Connections accepted since the start, and connections refused for the limit.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.rejected.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::{KillFilter, Registry};
    use std::net::SocketAddr;

    #[test]
    fn connections_are_admitted_up_to_the_limit_and_named_by_address() {
        let registry = Registry::new(2);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let first = registry.admit(address(1), address(9), 0).expect("room for two");
        let second = registry.admit(address(2), address(9), 0).expect("room for two");
        assert!(registry.admit(address(3), address(9), 0).is_none());
        let filter = KillFilter { address: Some("127.0.0.1:2".into()), ..KillFilter::default() };
        let named: Vec<_> = registry.named(&filter).iter().map(|client| client.id).collect();
        assert_eq!(named, [second.id]);
        assert!(first.id < second.id && !first.is_ending());
        registry.remove(second.id);
        assert!(registry.admit(address(3), address(9), 0).is_some());
        assert_eq!(registry.totals(), (3, 1));
    }
}
