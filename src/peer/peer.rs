//! One peer: keeps a connection to it, and takes requests for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::env::{Net, Random, Stream};
use crate::peer::backoff::Backoff;
use crate::peer::handshake::{self, NONCE_BYTES, Side};
use crate::peer::link::Link;
use crate::peer::outlet::Outlet;
use crate::peer::{Call, CallError, Counted, Event, Fault, HandshakeError, Local, Observer, Options, Remote, Terms};
use crate::types::NodeId;
use crate::wire::Message;

/// What all peers of a node share.
#[derive(Clone)]
pub struct Parts {
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Nonces and pauses.
    pub random: Arc<dyn Random>,
    /// Who this node is.
    pub local: Arc<Local>,
    /// Limits and times.
    pub options: Options,
    /// Is told of connections.
    pub observer: Observer,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who should be there; none if only the address is known, as when joining.
    pub node: Option<NodeId>,
    /// Its address for peers.
    pub address: SocketAddr,
}

/// What can be told of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub target: Target,
    /// Who is there, while a connection stands.
    pub connected: Option<Remote>,
    /// What kept the last attempt to connect, until one succeeds.
    pub failure: Option<HandshakeError>,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
    /// Requests under way.
    pub waiting: usize,
    /// Median of recent round trips.
    pub p50: Option<Duration>,
    /// What one in a hundred recent round trips exceeded.
    pub p99: Option<Duration>,
    /// What has been counted.
    pub counted: Counted,
}

/// A node that this one asks. Dropped, it ends its connection and its requests.
pub struct Peer {
    shared: Arc<Shared>,
    _running: DropGuard,
}

struct Shared {
    target: Target,
    outlet: Arc<Outlet>,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    connected: Option<Remote>,
    failure: Option<HandshakeError>,
}

impl Peer {
    /// Begins to connect; must be called on the runtime that is to serve the connection.
    #[must_use]
    pub fn start(parts: Parts, target: Target) -> Peer {
        let outlet = Arc::new(Outlet::new(&parts.options));
        let shared = Arc::new(Shared { target, outlet, standing: Mutex::default() });
        let stop = CancellationToken::new();
        let (task, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => (),
                () = keep_connected(&parts, &task) => (),
            }
            task.disconnected(&parts);
        });
        Peer { shared, _running: stop.drop_guard() }
    }

    /// Sends a request; nothing is waited for but the answer.
    ///
    /// # Errors
    /// [`CallError::NotConnected`] or [`CallError::Overloaded`] at once; then nothing was sent.
    pub fn call(&self, message: &Message, terms: &Terms) -> Result<Call, CallError> {
        self.shared.outlet.call(message, terms)
    }

    /// Where the peer is.
    #[must_use]
    pub fn target(&self) -> Target {
        self.shared.target
    }

    /// Whether requests can be sent.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.outlet.is_open()
    }

    /// The time that this many of a thousand recent round trips did not exceed; nothing before the first.
    #[must_use]
    pub fn round_trip(&self, permille: u32) -> Option<Duration> {
        self.shared.outlet.quantile(permille)
    }

    /// All that can be told of it.
    #[must_use]
    pub fn status(&self) -> Status {
        let outlet = &self.shared.outlet;
        let (queued_bytes, waiting) = outlet.load();
        let (p50, p99, counted) = (outlet.quantile(500), outlet.quantile(990), outlet.stats.counted());
        let standing = self.shared.standing.lock();
        let (connected, failure) = (standing.connected, standing.failure.clone());
        Status { target: self.shared.target, connected, failure, queued_bytes, waiting, p50, p99, counted }
    }
}

/// Connects, serves the connection while it holds, and connects again after a pause, for ever.
async fn keep_connected(parts: &Parts, shared: &Shared) {
    let mut backoff = Backoff::new(&parts.options);
    loop {
        match connect(parts, shared.target).await {
            Ok((stream, remote)) => {
                let since = Instant::now();
                let link = Link::new(&shared.outlet, stream, &parts.options);
                let broken = link.run(|| shared.connected(parts, remote)).await;
                tracing::info!(peer = %remote.node, reason = %broken, "the connection to a peer ended");
                shared.disconnected(parts);
                backoff.held(since.elapsed());
            }
            Err(error) => shared.failed(error),
        }
        sleep(backoff.pause(&*parts.random)).await;
    }
}

async fn connect(parts: &Parts, target: Target) -> Result<(Box<dyn Stream>, Remote), HandshakeError> {
    let connecting = async {
        let mut stream = parts.net.connect(target.address).await?;
        let mut nonce = [0; NONCE_BYTES];
        parts.random.fill(&mut nonce);
        let side = Side { identity: parts.local.identity(), nonce };
        let remote = handshake::ask(&mut *stream, &side, target.node).await?;
        Ok((stream, remote))
    };
    let limit = parts.options.connect_timeout;
    let slow = |_| HandshakeError::new(Fault::Slow, format!("{} did not answer within {limit:?}", target.address));
    timeout(limit, connecting).await.unwrap_or_else(|elapsed| Err(slow(elapsed)))
}

impl Shared {
    fn connected(&self, parts: &Parts, remote: Remote) {
        *self.standing.lock() = Standing { connected: Some(remote), failure: None };
        tracing::info!(peer = %remote.node, address = %self.target.address, "connected to a peer");
        (parts.observer)(&Event::Connected(remote));
    }

    fn disconnected(&self, parts: &Parts) {
        let connected = self.standing.lock().connected.take();
        if let Some(remote) = connected {
            (parts.observer)(&Event::Disconnected(remote));
        }
    }

    /// A failure is logged when it is another than the last one: attempts go on for ever.
    fn failed(&self, error: HandshakeError) {
        self.outlet.stats.count_fault(error.fault);
        let mut standing = self.standing.lock();
        if standing.failure.as_ref().is_none_or(|last| last.fault != error.fault) {
            tracing::warn!(address = %self.target.address, reason = %error, "a peer cannot be connected to");
        }
        standing.failure = Some(error);
    }
}
