//! One connection: receive, execute, send, until it ends.
//!
//! While replies are being sent, bytes that arrive are taken in up to `query-buffer-max`, so that a client which writes all
//! its requests before it reads a reply does not deadlock with us; beyond that nothing more is read. A client that takes no
//! byte for [`SEND_LIMIT`] is closed. A request that is too long by itself is the scanner's to refuse.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio_util::io::poll_read_buf;

use crate::command::Services;
use crate::coordinator::CommitQueue;
use crate::env::{Clock, Stream};
use crate::resp::{Limits, Scanner, Trust};
use crate::server::work::{READ_BYTES, Work, WorkPool};
use crate::session::Session;

/// A client that takes no byte of its replies for so long is closed.
const SEND_LIMIT: Duration = Duration::from_secs(60);
/// Replies are sent before more is executed once they exceed this.
pub(super) const OUTPUT_BYTES: usize = 1 << 20;

/// Limits of every connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Longest argument that is buffered (`max-pair-bytes`).
    pub pair_bytes: usize,
    /// Bytes of requests that are buffered (`query-buffer-max`).
    pub query_bytes: usize,
}

/// What the connections of one reactor share.
pub(super) struct Reactor {
    pub(super) services: Arc<Services>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) commit: Rc<CommitQueue>,
    pub(super) pool: WorkPool,
    pub(super) limits: ConnectionLimits,
}

/// Why a connection ended; nobody is told.
#[derive(Debug)]
pub(super) struct Ended;

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Ended
    }
}

/// One connection's state.
pub(super) struct Connection {
    pub(super) reactor: Rc<Reactor>,
    pub(super) session: Session,
    pub(super) scanner: Scanner,
    // A request that was scanned but has to wait for the batch before it.
    pub(super) held: Option<std::ops::Range<usize>>,
    stream: Box<dyn Stream>,
    // The client will send no more.
    finished: bool,
}

impl Connection {
    /// A connection that was just attached to this reactor.
    pub(super) fn new(reactor: Rc<Reactor>, stream: Box<dyn Stream>, session: Session) -> Self {
        let limits = Limits { argument_bytes: reactor.limits.pair_bytes, request_bytes: reactor.limits.query_bytes };
        let mut scanner = Scanner::new(limits);
        if !session.authenticated {
            scanner.set_trust(Trust::Unauthenticated);
        }
        Connection { reactor, session, scanner, held: None, stream, finished: false }
    }

    /// Serves the connection until it ends.
    pub(super) async fn serve(mut self) {
        let mut slot = None;
        // Ended says nothing that anyone waits for: the client is gone or was told before.
        let _ended = self.run(&mut slot).await;
        if let Some(work) = slot {
            self.reactor.pool.give(work);
        }
        self.reactor.services.registry.remove(self.session.client.id);
    }

    async fn run(&mut self, slot: &mut Option<Box<Work>>) -> Result<(), Ended> {
        let client = Arc::clone(&self.session.client);
        loop {
            let mut work = tokio::select! {
                biased;
                work = self.receive(slot) => work?,
                () = client.killed() => return Ok(()),
            };
            let served = self.serve_input(&mut work).await;
            *slot = Some(work);
            served?;
            if self.session.closing || self.finished || client.is_killed() {
                return Ok(());
            }
        }
    }

    /// Executes every complete request of the input and sends the replies.
    async fn serve_input(&mut self, work: &mut Work) -> Result<(), Ended> {
        while self.execute_next(work).await? {
            self.send(work).await?;
            if self.session.closing || self.session.client.is_killed() {
                return Ok(());
            }
        }
        self.send(work).await
    }

    /// Waits for bytes; buffers are taken from the pool only when there are some.
    async fn receive(&mut self, slot: &mut Option<Box<Work>>) -> Result<Box<Work>, Ended> {
        poll_fn(|context| {
            let mut work = slot.take().unwrap_or_else(|| self.reactor.pool.take());
            match poll_receive(&mut *self.stream, &mut work.input, context) {
                Poll::Pending => {
                    if work.is_idle() {
                        self.reactor.pool.give(work);
                    } else {
                        *slot = Some(work);
                    }
                    Poll::Pending
                }
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.session.client.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
                    Poll::Ready(Ok(work))
                }
                Poll::Ready(_) => {
                    *slot = Some(work);
                    Poll::Ready(Err(Ended))
                }
            }
        })
        .await
    }

    /// Sends all replies, taking in what arrives meanwhile.
    pub(super) async fn send(&mut self, work: &mut Work) -> Result<(), Ended> {
        if work.output.is_empty() {
            return Ok(());
        }
        let bytes = work.output.len();
        let mut sent = 0;
        while sent < bytes {
            // The timer is only made when the socket does not take everything at once.
            let at_once = poll_fn(|context| Poll::Ready(self.poll_send(work, sent, context))).await;
            sent += match at_once {
                Poll::Ready(count) => count?,
                Poll::Pending => {
                    let progress = poll_fn(|context| self.poll_send(work, sent, context));
                    tokio::time::timeout(SEND_LIMIT, progress).await.map_err(|_| Ended)??
                }
            };
        }
        self.session.client.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        work.output.clear();
        work.output.shrink_to(OUTPUT_BYTES);
        Ok(())
    }

    /// Sends some of the output from `sent` on; while the socket takes nothing, reads what the client sends.
    fn poll_send(&mut self, work: &mut Work, sent: usize, context: &mut Context<'_>) -> Poll<Result<usize, Ended>> {
        if let Poll::Ready(written) = Pin::new(&mut *self.stream).poll_write(context, &work.output[sent..]) {
            return Poll::Ready(written.map_err(Ended::from));
        }
        loop {
            if self.finished {
                return Poll::Pending;
            }
            if work.input.len() >= self.reactor.limits.query_bytes {
                return Poll::Pending;
            }
            let count = ready!(poll_receive(&mut *self.stream, &mut work.input, context))?;
            self.session.client.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
            self.finished = count == 0;
        }
    }
}

/// Appends what the socket has to `input`; 0 at the end of the stream.
fn poll_receive(stream: &mut dyn Stream, input: &mut Vec<u8>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    input.reserve(READ_BYTES);
    poll_read_buf(Pin::new(stream), context, input)
}
