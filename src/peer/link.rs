//! The connection of one who asks: sends what is queued, hands out the answers, ends what is late.
//!
//! One future does both directions, so that a stream needs no lock and a wake no second task. Each time it is polled it
//! takes all that is queued and writes it at once, then reads what has come.
//!
//! Silence: if nothing was heard for a while the other end is asked whether it is there (a ping); if it then says nothing,
//! whatever is under way, the connection is given up.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use crate::env::Stream;
use crate::peer::Options;
use crate::peer::error::Broken;
use crate::peer::outlet::Outlet;
use crate::peer::stats::Stats;
use crate::wire::{Frame, Frames};

/// Room that each read has at least.
pub(super) const READ_BYTES: usize = 16 << 10;
/// A buffer that has grown beyond this is given back when it is empty.
pub(super) const KEPT_BYTES: usize = 1 << 20;

const _: () = assert!(READ_BYTES <= KEPT_BYTES);

/// A connection on which this node asks.
pub(super) struct Link<'a> {
    outlet: &'a Outlet,
    stream: Box<dyn Stream>,
    ping_after: Duration,
    silence: Duration,
    output: Vec<u8>,
    /// Bytes of `output` that have been written.
    sent: usize,
    /// Bytes of the stream that may have left this node.
    left: u64,
    frames: Frames,
    answers: Vec<Frame>,
    heard: Instant,
    pinged: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Link<'a> {
    pub(super) fn new(outlet: &'a Outlet, stream: Box<dyn Stream>, options: &Options) -> Self {
        let now = Instant::now();
        Link {
            outlet,
            stream,
            ping_after: options.ping_after,
            silence: options.silence,
            output: Vec::new(),
            sent: 0,
            left: 0,
            frames: Frames::new(options.frame_bytes),
            answers: Vec::new(),
            heard: now,
            pinged: None,
            timer: Box::pin(sleep_until(now + options.ping_after)),
        }
    }

    /// Serves the connection until it ends; answers why. Requests are let in before `opened` is called.
    pub(super) async fn run(mut self, opened: impl FnOnce()) -> Broken {
        self.outlet.open();
        let mut closing = Closing { outlet: self.outlet, left: 0 };
        opened();
        poll_fn(|context| {
            let polled = self.turn(context);
            closing.left = self.left;
            polled
        })
        .await
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Broken> {
        loop {
            if let Poll::Ready(broken) = self.receive(context) {
                return Poll::Ready(broken);
            }
            // Sending comes last: what was asked while answers were handed out goes with it.
            let earliest = match self.send(context) {
                Ok(earliest) => earliest,
                Err(error) => return Poll::Ready(error.into()),
            };
            ready!(self.wait(context, earliest));
            if let Some(broken) = self.on_time(Instant::now()) {
                return Poll::Ready(broken);
            }
        }
    }

    /// Writes until nothing is queued or the socket takes no more; answers the earliest deadline.
    fn send(&mut self, context: &mut Context<'_>) -> std::io::Result<Option<Instant>> {
        loop {
            let taken = self.outlet.take(&mut self.output, context.waker());
            let unsent = self.output.get(self.sent..).unwrap_or(&[]);
            if unsent.is_empty() {
                return Ok(taken.earliest);
            }
            match Pin::new(&mut *self.stream).poll_write(context, unsent) {
                Poll::Pending => return Ok(taken.earliest),
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.left += count as u64;
                    Stats::add(&self.outlet.stats.sent_bytes, count as u64);
                }
                Poll::Ready(Err(error)) => {
                    // How much of it the socket has taken is not known.
                    self.left = taken.end;
                    return Err(error);
                }
            }
            if self.sent == self.output.len() {
                self.sent = 0;
                self.output.clear();
                if self.output.capacity() > KEPT_BYTES {
                    self.output = Vec::new();
                }
            }
        }
    }

    /// Reads until nothing more has come, and hands out the answers.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Broken> {
        loop {
            let input = self.frames.input();
            input.reserve(READ_BYTES);
            let count = match ready!(poll_read_buf(Pin::new(&mut *self.stream), context, input)) {
                Ok(0) => return Poll::Ready(Broken::Closed),
                Ok(count) => count,
                Err(error) => return Poll::Ready(error.into()),
            };
            let now = Instant::now();
            (self.heard, self.pinged) = (now, None);
            Stats::add(&self.outlet.stats.received_bytes, count as u64);
            let cut = self.cut();
            if !self.outlet.answer(&mut self.answers, now) {
                return Poll::Ready(Broken::Unasked);
            }
            if let Err(broken) = cut {
                return Poll::Ready(broken);
            }
        }
    }

    /// Cuts what has come into answers.
    fn cut(&mut self) -> Result<(), Broken> {
        while let Some(frame) = self.frames.take()? {
            self.answers.push(frame);
        }
        Ok(())
    }

    /// Waits for the next moment at which time alone makes something to do.
    fn wait(&mut self, context: &mut Context<'_>, earliest: Option<Instant>) -> Poll<()> {
        let silent = self.pinged.map_or(self.heard + self.ping_after, |pinged| pinged + self.silence);
        let next = earliest.map_or(silent, |earliest| earliest.min(silent));
        // A timer that comes too early finds nothing to do; setting it anew for each answer would cost more.
        if self.timer.deadline() > next || self.timer.is_elapsed() {
            self.timer.as_mut().reset(next);
        }
        self.timer.as_mut().poll(context)
    }

    /// Does what is due at `now`.
    fn on_time(&mut self, now: Instant) -> Option<Broken> {
        self.outlet.expire(now);
        match self.pinged {
            Some(pinged) => (now >= pinged + self.silence).then_some(Broken::Silent(self.ping_after + self.silence)),
            None => {
                if now >= self.heard + self.ping_after {
                    self.outlet.ping();
                    self.pinged = Some(now);
                }
                None
            }
        }
    }
}

/// Ends all requests when the connection ends, by being dropped too.
struct Closing<'a> {
    outlet: &'a Outlet,
    left: u64,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.outlet.close(self.left);
    }
}
