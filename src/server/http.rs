//! The HTTP port: `/metrics` for Prometheus and `/health` for load balancers and people.
//!
//! Invariant: at most [`CONNECTIONS`] connections, each for at most [`LIFETIME`]: one that sends nothing, or slowly, holds
//! its place no longer than that, and neither can take the node's memory. A scraper's kept connection is simply made anew.
//! Left out: anything that changes the node; passwords (bind it to loopback, or to a network of your own).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::command::Services;
use crate::env::{Listener, Stream};
use crate::metrics::Board;
use crate::server::scrape;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 32;
/// A connection ends after this long.
const LIFETIME: Duration = Duration::from_secs(60);
/// Time before accepting is tried again after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a stop waits for answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What serves the HTTP port.
pub struct Http {
    stopping: CancellationToken,
    serving: JoinHandle<()>,
}

/// What handlers see.
struct Shown {
    services: Arc<Services>,
    board: Board,
}

/// The answer of `/health`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    reason: Option<String>,
    version: &'static str,
    node_id: String,
    name: String,
    uptime_seconds: u64,
}

impl Http {
    /// Serves `listener` until stopped; must be called on a runtime.
    #[must_use]
    pub fn serve(listener: Box<dyn Listener>, services: Arc<Services>) -> Http {
        let shown = Arc::new(Shown { services, board: Board::new() });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health))
            .fallback(|| async { (StatusCode::NOT_FOUND, "there are /metrics and /health here\n") })
            .with_state(shown);
        let stopping = CancellationToken::new();
        let stop = stopping.clone().cancelled_owned();
        let door = Door { listener, places: Arc::new(Semaphore::new(CONNECTIONS)) };
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(door, router).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "the HTTP port is not served any more");
            }
        });
        Http { stopping, serving }
    }

    /// Closes the port; answers under way have a second to get through.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        if tokio::time::timeout(LAST_ANSWERS, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

async fn metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    scrape::refresh(&shown.board, &shown.services);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shown.board.render())
}

async fn health(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let (identity, status) = (shown.services.admin.identity(), shown.services.admin.status());
    let (code, word) = match status.failure {
        None if status.cluster.is_member => (StatusCode::OK, "ok"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no member"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let health = Health {
        status: word,
        reason: status.failure,
        version: identity.version,
        node_id: identity.node_id.to_string(),
        name: identity.name.clone(),
        uptime_seconds: status.uptime.as_secs(),
    };
    (code, Json(health))
}

/// The listener, as axum wants it.
struct Door {
    listener: Box<dyn Listener>,
    places: Arc<Semaphore>,
}

impl axum::serve::Listener for Door {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let places = Arc::clone(&self.places);
        let place = places.acquire_owned().await.expect("nobody closes the semaphore");
        loop {
            let accepted = self.listener.accept().await.and_then(|connection| {
                let address = connection.peer_address();
                Ok((connection.attach()?, address))
            });
            match accepted {
                Ok((stream, address)) => {
                    let visitor = Visitor { stream, end: Box::pin(tokio::time::sleep(LIFETIME)), _place: place };
                    return (visitor, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.listener.local_address())
    }
}

/// A connection with its place and its end.
struct Visitor {
    stream: Box<dyn Stream>,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    /// Fails once the connection's time is over; else makes sure that it is woken then.
    fn check_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Visitor {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_end(context)?;
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_end(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
