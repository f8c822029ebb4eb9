//! The listener for peers: takes connections, has the other ends prove themselves, and serves them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::env::{Listener, Random, Stream, Unattached};
use crate::peer::handshake::{self, NONCE_BYTES, Side};
use crate::peer::inlet::Inlet;
use crate::peer::{Counted, Fault, HandshakeError, Local, Options, Remote, Service, Stats};

/// Time before accepting is tried again after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves peers on one runtime.
pub struct Acceptor {
    service: Rc<dyn Service>,
    local: Arc<Local>,
    random: Arc<dyn Random>,
    options: Options,
    stats: Arc<Stats>,
}

impl Acceptor {
    /// Serves with `service`.
    #[must_use]
    pub fn new(service: Rc<dyn Service>, local: Arc<Local>, random: Arc<dyn Random>, options: Options) -> Self {
        Acceptor { service, local, random, options, stats: Arc::default() }
    }

    /// What its connections have done; for whoever shows it, from any thread.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// What its connections have done until now.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.stats.counted()
    }

    /// Accepts connections until told to stop, then ends them all; must run on a reactor.
    pub async fn run(self: Rc<Self>, listener: Box<dyn Listener>, stopping: CancellationToken) {
        let serving = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                // Whoever is refused here comes again after a pause.
                Ok(_) if serving.len() >= self.options.connections => {
                    tracing::warn!(limit = self.options.connections, "too many connections from peers");
                }
                Ok(connection) => {
                    serving.spawn_local(Rc::clone(&self).serve_until(connection, stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection of a peer could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        serving.close();
        serving.wait().await;
    }

    async fn serve_until(self: Rc<Self>, connection: Box<dyn Unattached>, stopping: CancellationToken) {
        tokio::select! {
            biased;
            () = stopping.cancelled() => (),
            () = self.serve(connection) => (),
        }
    }

    async fn serve(&self, connection: Box<dyn Unattached>) {
        let address = connection.peer_address();
        match self.greet(connection).await {
            Ok((stream, from)) => {
                Stats::add(&self.stats.connected, 1);
                let inlet = Inlet::new(&*self.service, &self.stats, (stream, from), &self.options);
                let broken = inlet.run().await;
                tracing::info!(peer = %from.node, %address, reason = %broken, "the connection of a peer ended");
            }
            Err(error) => {
                self.stats.count_fault(error.fault);
                tracing::warn!(%address, reason = %error, "a connection for peers was refused");
            }
        }
    }

    async fn greet(&self, connection: Box<dyn Unattached>) -> Result<(Box<dyn Stream>, Remote), HandshakeError> {
        let greeting = async {
            let mut stream = connection.attach()?;
            let mut nonce = [0; NONCE_BYTES];
            self.random.fill(&mut nonce);
            let side = Side { identity: self.local.identity(), nonce };
            let from = handshake::answer(&mut *stream, &side, |from| self.service.admit(from)).await?;
            Ok((stream, from))
        };
        let limit = self.options.connect_timeout;
        let slow = |_| HandshakeError::new(Fault::Slow, format!("it said nothing for {limit:?}"));
        timeout(limit, greeting).await.unwrap_or_else(|elapsed| Err(slow(elapsed)))
    }
}
