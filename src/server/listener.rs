//! Accepting connections and handing them to the reactors, round-robin; starting and draining the whole.
//!
//! Drain: the listener closes, every connection finishes the batch it is at, sends its replies and ends; then the reactors
//! end. What was acknowledged is durable, what was not executed was not acknowledged.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::command::Services;
use crate::coordinator::CommitQueue;
use crate::env::{Env, Listener, LocalFuture, Reactors, Unattached};
use crate::server::buffers::Buffers;
use crate::server::connection::{Connection, ConnectionLimits, Reactor};
use crate::server::work::WorkPool;
use crate::session::{Client, Session};
use crate::storage::Durability;

/// Accepted connections that wait for their reactor to take them.
const HANDED_OUT: usize = 1024;

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Limits of every connection.
    pub limits: ConnectionLimits,
    /// What all of them may buffer.
    pub buffers: Arc<Buffers>,
    /// When a write counts as done.
    pub durability: Durability,
}

/// An admitted connection on its way to a reactor.
struct Admitted {
    connection: Box<dyn Unattached>,
    client: Arc<Client>,
}

/// What lives on the first reactor beside connections of clients, until the token says that the last of those has ended.
pub type Resident = Box<dyn FnOnce(CancellationToken, Arc<CommitQueue>) -> LocalFuture + Send>;

/// What serves the clients of a node.
pub struct Server {
    services: Arc<Services>,
    reactors: Arc<dyn Reactors>,
    senders: Vec<mpsc::Sender<Admitted>>,
    stopping: CancellationToken,
    accepting: TaskTracker,
}

impl Server {
    /// Starts the reactors; [`Server::serve`] gives them connections.
    #[must_use]
    pub fn start(
        env: &Env,
        reactors: Arc<dyn Reactors>,
        (services, resident): (Arc<Services>, Resident),
        options: &ServerOptions,
    ) -> Server {
        let busy = TaskTracker::new();
        let mut resident = Some(resident);
        let signals: Vec<Arc<Notify>> = (0..reactors.count()).map(|_| Arc::default()).collect();
        let senders = signals.iter().enumerate().map(|(index, signal)| {
            let (sender, receiver) = mpsc::channel(HANDED_OUT);
            let (env, services, options) = (env.clone(), Arc::clone(&services), options.clone());
            let signal = Arc::clone(signal);
            let shared = Shared { busy: (busy.token(), busy.clone()), resident: resident.take() };
            let make = move || -> LocalFuture {
                let engine = Arc::clone(services.coordinator.replica().engine());
                let commit = CommitQueue::new(engine, options.durability, signal);
                let reactor = Reactor {
                    services,
                    clock: env.clock,
                    commit,
                    pool: WorkPool::default(),
                    limits: options.limits,
                    buffers: options.buffers,
                    warned: Cell::new(None),
                };
                Box::pin(run_reactor(Rc::new(reactor), receiver, shared))
            };
            reactors.run(index, Box::new(make));
            sender
        });
        let senders = senders.collect();
        let hook = move |_| signals.iter().for_each(|signal| signal.notify_one());
        services.coordinator.replica().engine().on_durable(Arc::new(hook));
        Server { services, reactors, senders, stopping: CancellationToken::new(), accepting: TaskTracker::new() }
    }

    /// Serves connections of `listener` until the server is stopped; must be called on a runtime.
    pub fn serve(&self, env: &Env, listener: Box<dyn Listener>) {
        let (services, clock) = (Arc::clone(&self.services), Arc::clone(&env.clock));
        let (senders, stopping) = (self.senders.clone(), self.stopping.clone());
        self.accepting.spawn(async move {
            let local = listener.local_address();
            let mut turn = 0;
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let connection = match accepted {
                    Ok(connection) => connection,
                    Err(error) => {
                        // Usually too many open files: accepting again at once would spin.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                match services.registry.admit(connection.peer_address(), local, clock.wall_ms()) {
                    None => refuse(connection).await,
                    Some(client) => {
                        turn = (turn + 1) % senders.len();
                        hand_out(&senders[turn], Admitted { connection, client }, &services).await;
                    }
                }
            }
        });
    }

    /// Closes the listeners and lets every connection end after the batch it is at.
    pub async fn drain(&mut self) {
        self.stopping.cancel();
        self.accepting.close();
        self.accepting.wait().await;
        self.senders.clear();
        for client in self.services.registry.list() {
            client.drain();
        }
    }

    /// Ends the connections that are still there, whatever they have not taken.
    pub fn cut(&self) {
        for client in self.services.registry.list() {
            client.kill();
        }
    }

    /// Waits until the reactors have ended; blocks, so not for a runtime's thread.
    pub fn join(&self) {
        self.reactors.join();
    }
}

/// Time before accepting is tried again after an error.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

async fn refuse(connection: Box<dyn Unattached>) {
    if let Ok(mut stream) = connection.attach() {
        // The client may be gone already; there is nobody else to tell.
        drop(stream.write_all(b"-ERR max number of clients reached\r\n").await);
    }
}

async fn hand_out(sender: &mpsc::Sender<Admitted>, admitted: Admitted, services: &Services) {
    if let Err(mpsc::error::SendError(admitted)) = sender.send(admitted).await {
        services.registry.remove(admitted.client.id);
    }
}

/// What a reactor knows of the others.
struct Shared {
    /// Its own sign that it serves connections, and the signs of all.
    busy: (TaskTrackerToken, TaskTracker),
    resident: Option<Resident>,
}

/// One reactor's life: serves what it is handed until the server drains.
async fn run_reactor(reactor: Rc<Reactor>, mut connections: mpsc::Receiver<Admitted>, shared: Shared) {
    let stop = CancellationToken::new();
    let resident = shared.resident.map(|resident| {
        let commit = Arc::clone(&reactor.commit);
        tokio::task::spawn_local(resident(stop.clone(), commit))
    });
    let commit = tokio::task::spawn_local(Arc::clone(&reactor.commit).serve());
    let serving = TaskTracker::new();
    while let Some(Admitted { connection, client }) = connections.recv().await {
        match connection.attach() {
            Ok(stream) => {
                let session = Session::new(client, reactor.services.initial_trust());
                serving.spawn_local(Connection::new(Rc::clone(&reactor), stream, session).serve());
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be registered");
                reactor.services.registry.remove(client.id);
            }
        }
    }
    serving.close();
    serving.wait().await;
    if let Some(cluster) = reactor.services.coordinator.cluster() {
        // Writes that were answered and not acknowledged by all members yet: they become hints at the latest when their time
        // is over.
        cluster.settle().await;
    }
    let (own, all) = shared.busy;
    drop(own);
    if let Some(resident) = resident {
        // The last batches of other reactors may need it too.
        all.close();
        all.wait().await;
        stop.cancel();
        drop(resident.await);
    }
    commit.abort();
}
