//! Connections of peers, on their way from the runtime that accepts them to the one that serves them.
//!
//! All that nodes say to each other is served on the first reactor: on a machine with few cores that is the one on which most
//! batches are carried out, so coordinating needs no other thread to wake up. The port is bound before there is a
//! reactor, because a founding listens too; so accepting stays where it began, as it does for clients, and what is accepted
//! waits in a short queue for whoever serves at the moment: the founding, then the member.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::env::{BoxFuture, Listener, Unattached};

/// Connections that wait to be served; more wait in the kernel.
const WAITING: usize = 64;
/// Time before accepting is tried again after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port whose connections can be served on any runtime. Clones share it; it closes with the last.
#[derive(Clone)]
pub(super) struct Handed {
    address: SocketAddr,
    waiting: Arc<Mutex<mpsc::Receiver<Box<dyn Unattached>>>>,
    _accepting: Arc<DropGuard>,
}

impl Handed {
    /// Accepts the connections of `listener`; must be called on the runtime that bound it.
    pub(super) fn new(listener: Box<dyn Listener>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (address, stop) = (listener.local_address(), CancellationToken::new());
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = accept(&*listener, &sender) => {}
            }
        });
        Handed { address, waiting: Arc::new(Mutex::new(receiver)), _accepting: Arc::new(stop.drop_guard()) }
    }
}

async fn accept(listener: &dyn Listener, sender: &mpsc::Sender<Box<dyn Unattached>>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                if sender.send(connection).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of a peer could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Listener for Handed {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Unattached>>> {
        Box::pin(async move {
            match self.waiting.lock().await.recv().await {
                Some(connection) => Ok(connection),
                // The runtime that accepts has ended: nobody comes any more.
                None => std::future::pending().await,
            }
        })
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}
