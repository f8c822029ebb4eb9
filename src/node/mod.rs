//! The composition root: makes every part of a node and joins them.
//!
//! Order of a start: look at the data directory, bind the addresses, open the ledger and raise the incarnation, recover the
//! engine, then serve; a start that fails early has changed nothing. Order of a stop: no new connections, every connection
//! ends after the batch it is at, reactors, background work, engine.
//!
//! Several nodes may live in one process: nothing of a [`Node`] is global. What a process has once (signals, log, limits,
//! exit code) is in [`run`].
//!
//! Invariant: the node's clock starts above every time that the node ever closed, and above the wall clock.

mod admin;
mod adoption;
mod directory;
mod error;
mod files;
mod handover;
mod identity;
mod keeping;
mod local;
mod log;
mod maintenance;
mod membership;
mod process;
mod reach;
mod service;
mod signal;
mod start;
mod status;
mod store;
mod survey;
mod talk;
mod upkeep;
mod voice;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::command::{Admin, Identity, Services};
use crate::node::admin::NodeAdmin;
use crate::server::{Http, Server};

pub use error::Error;
pub use local::{LocalCluster, MAX_LOCAL_NODES};
pub use log::LogControl;
pub use maintenance::{LostLedger, Report, Salvage, SalvageMode, check, salvage, snapshot};
pub use process::run;
pub use start::Surroundings;
pub use survey::{Survey, survey};

/// A node that serves clients.
pub struct Node {
    admin: Arc<NodeAdmin>,
    services: Arc<Services>,
    server: Server,
    http: Option<Http>,
    drain_timeout: std::time::Duration,
    stopping: CancellationToken,
    upkeep: JoinHandle<Option<String>>,
}

/// How long a stop waits for connections that were cut.
const CUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Why a node is to be stopped.
#[derive(Debug)]
pub enum Ending {
    /// A client sent SHUTDOWN.
    Asked,
    /// The store failed.
    Failed(String),
}

impl Node {
    /// Names and addresses of the node.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.admin.identity()
    }

    /// Waits until the node has to be stopped.
    pub async fn ending(&mut self) -> Ending {
        tokio::select! {
            biased;
            () = self.admin.stop_asked() => Ending::Asked,
            failed = &mut self.upkeep => match failed {
                Ok(Some(reason)) => Ending::Failed(reason),
                Ok(None) => Ending::Asked,
                Err(error) => Ending::Failed(error.to_string()),
            },
        }
    }

    /// Stops gracefully: what was executed is answered, what was acknowledged is durable.
    ///
    /// # Errors
    /// The store's failure to write out what it holds.
    pub async fn stop(self) -> Result<(), Error> {
        let Node { admin, services, mut server, http, drain_timeout, stopping, upkeep } = self;
        stopping.cancel();
        server.drain().await;
        let server = Arc::new(server);
        let joining = Arc::clone(&server);
        let mut joined = tokio::task::spawn_blocking(move || joining.join());
        if tokio::time::timeout(drain_timeout, &mut joined).await.is_err() {
            tracing::warn!("some clients did not take their last replies in time; their connections are cut");
            server.cut();
            // What they had begun to execute may still wait for the disk; then the process ends without them.
            drop(tokio::time::timeout(CUT, joined).await);
        }
        // Finished already if its answer was what ended the node.
        if !upkeep.is_finished() {
            drop(upkeep.await);
        }
        if let Some(http) = http {
            http.stop().await;
        }
        drop((services, server));
        // Off the runtime's thread: a second signal has to be heard meanwhile.
        let closed = tokio::task::spawn_blocking(move || close(admin)).await;
        closed.unwrap_or_else(|panic| Err(Error::Failed { reason: panic.to_string() }))
    }
}

/// Ends background work, then the engine.
fn close(admin: Arc<NodeAdmin>) -> Result<(), Error> {
    admin.runner.stop();
    admin.runner.join();
    let engine = Arc::clone(admin.replica.engine());
    let hints = admin.hints();
    drop(admin);
    if let Some(hints) = hints {
        hints.close()?;
    }
    match Arc::try_unwrap(engine) {
        Ok(engine) => engine.close()?,
        // Connections that were cut still hold it: they end with the process.
        Err(engine) => engine.sync_to(engine.appended())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
