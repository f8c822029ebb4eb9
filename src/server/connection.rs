//! One connection: receive, execute, send, until it ends.
//!
//! While replies are being sent, bytes that arrive are taken in up to `query-buffer-max`, so that a client which writes all
//! its requests before it reads a reply does not deadlock with us; beyond that, or when the buffers of all connections hold
//! too much, nothing more is read. A client that takes no byte for [`Buffers::patience`] is closed; one that was killed, at
//! once, replies sent or not. A request that is too long by itself is the scanner's to refuse.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
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
use crate::resp::{Limits, Scanner};
use crate::server::buffers::{Buffers, Share};
use crate::server::work::{READ_BYTES, Work, WorkPool};
use crate::session::Session;

/// Replies are sent before more is executed once they exceed this.
const OUTPUT_BYTES: usize = 1 << 20;
/// The same while buffers are scarce.
const SCARCE_OUTPUT_BYTES: usize = 64 << 10;
/// How often a connection that waits looks whether it may still do so.
const LOOK: Duration = Duration::from_millis(250);
/// How often a connection that may not go on looks whether there is room again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);

/// Warnings of the same kind are at least so far apart.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// Told to a connection that is closed because it held buffers while all of them were full.
const FULL_LINE: &[u8] = b"-ERR the buffers of all connections are full, and this one held some without progress\r\n";
/// Input buffers double up to here.
const GENTLE_BYTES: usize = 1 << 20;

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
    pub(super) commit: Arc<CommitQueue>,
    pub(super) pool: WorkPool,
    pub(super) limits: ConnectionLimits,
    pub(super) buffers: Arc<Buffers>,
    pub(super) warned: Cell<Option<Duration>>,
}

impl Reactor {
    /// Logs that somebody at `address` speaks HTTP, at most once in [`WARNING_PAUSE`].
    pub(super) fn warn_of_http(&self, address: SocketAddr) {
        let now = self.clock.monotonic();
        if self.warned.get().is_none_or(|before| now.saturating_sub(before) >= WARNING_PAUSE) {
            self.warned.set(Some(now));
            tracing::warn!(
                %address,
                "possible attack: a client sent a line of HTTP (POST or Host:), as a web page does that makes a browser \
                 send commands here; its connection was closed"
            );
        }
    }
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
    // Time of the batch at hand in which replies were delivered.
    pub(super) delivering: Duration,
    stream: Box<dyn Stream>,
    share: Share,
    // The client will send no more.
    finished: bool,
}

impl Connection {
    /// A connection that was just attached to this reactor.
    pub(super) fn new(reactor: Rc<Reactor>, stream: Box<dyn Stream>, session: Session) -> Self {
        let limits = Limits { argument_bytes: reactor.limits.pair_bytes, request_bytes: reactor.limits.query_bytes };
        let mut scanner = Scanner::new(limits);
        scanner.set_trust(session.trust);
        let share = Share::new(&reactor.buffers);
        Connection { reactor, session, scanner, held: None, delivering: Duration::ZERO, stream, share, finished: false }
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
                work = self.receive_in_time(slot) => work?,
                () = client.ending() => return Ok(()),
            };
            let served = self.serve_input(&mut work).await;
            *slot = Some(work);
            served?;
            if self.session.closing || self.finished || client.is_ending() {
                return Ok(());
            }
        }
    }

    /// Executes every complete request of the input and sends the replies.
    async fn serve_input(&mut self, work: &mut Work) -> Result<(), Ended> {
        loop {
            self.wait_for_room(work).await?;
            if !self.execute_next(work).await? {
                break;
            }
            self.send(work).await?;
            if self.session.closing || self.session.client.is_ending() {
                return Ok(());
            }
        }
        self.send(work).await
    }

    /// Says what the connection holds now.
    fn hold(&mut self, work: &Work) {
        self.share.hold(work.held_bytes() + self.session.held_bytes());
    }

    /// Waits until buffers are not full; whoever fills them without progress is closed before long.
    async fn wait_for_room(&mut self, work: &mut Work) -> Result<(), Ended> {
        if !self.reactor.buffers.is_full() {
            return Ok(());
        }
        let begun = self.reactor.clock.monotonic();
        while self.reactor.buffers.is_full() {
            self.hold(work);
            if self.session.client.is_ending() {
                return Err(Ended);
            }
            // Those that hold nothing wait for those that do, so somebody always leaves.
            if self.share.is_counted() && self.has_waited(begun) {
                let sent = work.output.len();
                work.output.extend_from_slice(FULL_LINE);
                // As far as the socket takes it at once.
                let at_once = poll_fn(|context| Poll::Ready(self.poll_send(work, sent, context))).await;
                drop(at_once);
                return Err(Ended);
            }
            tokio::time::sleep(ROOM_PAUSE).await;
        }
        Ok(())
    }

    /// Whether a wait since `begun` was as long as a client may hold buffers without any progress.
    fn has_waited(&self, begun: Duration) -> bool {
        self.reactor.clock.monotonic().saturating_sub(begun) >= self.reactor.buffers.patience()
    }

    /// Waits for bytes; for the rest of a long request only as long as there is room for what waits with it.
    async fn receive_in_time(&mut self, slot: &mut Option<Box<Work>>) -> Result<Box<Work>, Ended> {
        let buffered = slot.as_ref().map_or(0, |work| work.held_bytes());
        self.share.hold(buffered + self.session.held_bytes());
        if !self.share.is_counted() {
            return self.receive(slot).await;
        }
        let begun = self.reactor.clock.monotonic();
        loop {
            if let Ok(work) = tokio::time::timeout(LOOK, self.receive(slot)).await {
                return work;
            }
            if self.reactor.buffers.is_full() && self.has_waited(begun) {
                return Err(Ended);
            }
        }
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
                Poll::Pending => self.send_some(work, sent).await?,
            };
        }
        self.session.client.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.session.client.reply_bytes.store(0, Ordering::Relaxed);
        work.output.clear();
        work.output.shrink_to(self.output_limit());
        if self.share.is_counted() {
            self.hold(work);
        }
        Ok(())
    }

    /// Waits until the client takes some of the output from `sent` on.
    async fn send_some(&mut self, work: &mut Work, sent: usize) -> Result<usize, Ended> {
        let client = Arc::clone(&self.session.client);
        let begun = self.reactor.clock.monotonic();
        client.reply_bytes.store((work.output.len() - sent) as u64, Ordering::Relaxed);
        loop {
            self.hold(work);
            let progress = poll_fn(|context| self.poll_send(work, sent, context));
            tokio::select! {
                biased;
                () = client.killed() => return Err(Ended),
                sent = tokio::time::timeout(LOOK, progress) => if let Ok(count) = sent {
                    // Who takes replies is not idle.
                    client.active_ms.store(self.reactor.clock.wall_ms(), Ordering::Relaxed);
                    return count;
                },
            }
            if self.has_waited(begun) {
                return Err(Ended);
            }
        }
    }

    /// Replies are sent before more is executed once they exceed this.
    pub(super) fn output_limit(&self) -> usize {
        if self.reactor.buffers.is_scarce() { SCARCE_OUTPUT_BYTES } else { OUTPUT_BYTES }
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
            // Who may not read ahead looks again when the client takes something, or after LOOK.
            if work.input.len() >= self.reactor.limits.query_bytes || self.reactor.buffers.is_scarce() {
                return Poll::Pending;
            }
            let count = ready!(poll_receive(&mut *self.stream, &mut work.input, context))?;
            self.session.client.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
            self.session.client.query_bytes.store(work.input.len() as u64, Ordering::Relaxed);
            self.finished = count == 0;
            self.hold(work);
        }
    }
}

/// Appends what the socket has to `input`; 0 at the end of the stream.
fn poll_receive(stream: &mut dyn Stream, input: &mut Vec<u8>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    if input.capacity() - input.len() < READ_BYTES {
        // Long buffers grow by an eighth: a half of 64 MB that nobody needs would be too much.
        input.reserve_exact(READ_BYTES.max(input.len() / if input.len() < GENTLE_BYTES { 1 } else { 8 }));
    }
    poll_read_buf(Pin::new(stream), context, input)
}
