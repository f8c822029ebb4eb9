//! The connection of one who answers: reads requests, has them carried out, sends what comes of them.
//!
//! Invariant: no more is read while as many requests or bytes are held as may be: the asker's queue fills up instead.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Duration, Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use crate::env::Stream;
use crate::peer::error::Broken;
use crate::peer::link::{KEPT_BYTES, READ_BYTES};
use crate::peer::stats::Stats;
use crate::peer::{Incoming, Options, Remote, Response, ResponseFuture, Service};
use crate::wire::{BODY_LIMIT, Frame, Frames, Header, Kind, Message, Reason, Refusal, RefusedFrame, put_frame};

/// A connection on which a peer asks.
pub(super) struct Inlet<'a> {
    service: &'a dyn Service,
    stats: &'a Stats,
    from: Remote,
    stream: Box<dyn Stream>,
    requests: usize,
    bytes: usize,
    idle: Duration,
    frames: Frames,
    serving: FuturesUnordered<Serving<'a>>,
    /// Bytes of the requests that are carried out.
    held: usize,
    output: Vec<u8>,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

/// A request that is carried out.
struct Serving<'a> {
    kind: Kind,
    request: u64,
    bytes: usize,
    future: ResponseFuture<'a>,
}

struct Served {
    kind: Kind,
    request: u64,
    bytes: usize,
    response: Response,
}

impl Future for Serving<'_> {
    type Output = Served;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Served> {
        let response = ready!(self.future.as_mut().poll(context));
        Poll::Ready(Served { kind: self.kind, request: self.request, bytes: self.bytes, response })
    }
}

impl<'a> Inlet<'a> {
    pub(super) fn new(
        service: &'a dyn Service,
        stats: &'a Stats,
        (stream, from): (Box<dyn Stream>, Remote),
        options: &Options,
    ) -> Self {
        let now = Instant::now();
        // An asker that lives asks or pings; twice its patience leaves room for delays.
        let idle = 2 * (options.ping_after + options.silence);
        Inlet {
            service,
            stats,
            from,
            stream,
            requests: options.serving,
            bytes: options.serving_bytes,
            idle,
            frames: Frames::new(options.frame_bytes),
            serving: FuturesUnordered::new(),
            held: 0,
            output: Vec::new(),
            heard: now,
            timer: Box::pin(sleep_until(now + idle)),
        }
    }

    /// Serves the connection until it ends; answers why.
    pub(super) async fn run(mut self) -> Broken {
        poll_fn(|context| self.turn(context)).await
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Broken> {
        loop {
            if let Poll::Ready(broken) = self.receive(context) {
                return Poll::Ready(broken);
            }
            let was_full = self.is_full();
            self.finish(context);
            if let Err(error) = self.send(context) {
                return Poll::Ready(error.into());
            }
            if was_full && !self.is_full() {
                // There is room again: what has come meanwhile is not announced a second time.
                continue;
            }
            if self.timer.deadline() < self.heard + self.idle {
                let next = self.heard + self.idle;
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(context));
            return Poll::Ready(Broken::Silent(self.idle));
        }
    }

    fn is_full(&self) -> bool {
        self.serving.len() >= self.requests || self.held + self.output.len() >= self.bytes
    }

    /// Begins the requests that have come, and reads more, while there is room.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Broken> {
        loop {
            while !self.is_full() {
                match self.frames.take() {
                    Ok(Some(frame)) => self.begin(frame),
                    Ok(None) => break,
                    Err(error) => return Poll::Ready(error.into()),
                }
            }
            if self.is_full() {
                return Poll::Pending;
            }
            let input = self.frames.input();
            input.reserve(READ_BYTES);
            match ready!(poll_read_buf(Pin::new(&mut *self.stream), context, input)) {
                Ok(0) => return Poll::Ready(Broken::Closed),
                Ok(count) => Stats::add(&self.stats.received_bytes, count as u64),
                Err(error) => return Poll::Ready(error.into()),
            }
            self.heard = Instant::now();
        }
    }

    fn begin(&mut self, frame: Frame) {
        let Header { kind, request, epoch, time, time_left_ms } = frame.header;
        if kind == Kind::Ping {
            let header = Header { kind: Kind::Pong, request, epoch, time, time_left_ms: 0 };
            put_frame(&mut self.output, &header, &[]);
            return;
        }
        Stats::add(&self.stats.requests, 1);
        let deadline = self.heard + Duration::from_millis(u64::from(time_left_ms));
        let bytes = frame.body.len();
        self.held += bytes;
        let future = self.service.serve(Incoming { from: self.from, deadline, frame });
        self.serving.push(Serving { kind, request, bytes, future });
    }

    /// Queues the answers that are ready.
    fn finish(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(served)) = self.serving.poll_next_unpin(context) {
            let Served { kind, request, bytes, response } = served;
            self.held -= bytes;
            Stats::add(&self.stats.answers, 1);
            let Response { mut message, epoch, time } = response;
            if message.body().len() > BODY_LIMIT {
                let refusal = Refusal { reason: Reason::Failed, text: "the answer is too long for one message" };
                message = Message::refused(&RefusedFrame { refusal, help: &[] });
            }
            assert!(kind.is_answered_by(message.kind()), "{:?} is no answer to {kind:?}", message.kind());
            let header = Header { kind: message.kind(), request, epoch, time, time_left_ms: 0 };
            put_frame(&mut self.output, &header, message.body());
        }
    }

    /// Writes until nothing is left or the socket takes no more.
    fn send(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        let mut sent = 0;
        while let Some(unsent) = self.output.get(sent..).filter(|unsent| !unsent.is_empty()) {
            match Pin::new(&mut *self.stream).poll_write(context, unsent) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => sent += count?,
            }
        }
        Stats::add(&self.stats.sent_bytes, sent as u64);
        self.output.drain(..sent);
        if self.output.is_empty() && self.output.capacity() > KEPT_BYTES {
            self.output = Vec::new();
        }
        Ok(())
    }
}
