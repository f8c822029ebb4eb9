//! What waits before a connection: bytes to be sent, requests to be answered, and who wants to know.
//!
//! The askers and the connection's task meet here and nowhere else. Invariant: `taken + queue.len()` is the position of the
//! next frame in the connection's stream, so that a request's position says whether any of its bytes has left.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::causality::Time;
use crate::peer::slots::{Slots, Waiting};
use crate::peer::{CallError, Latency, Options, Stats};
use crate::types::Epoch;
use crate::wire::{FRAME_OVERHEAD, Frame, Header, Kind, Message, put_frame};

/// The number that pings carry; no request has it, because no slab grows that far.
pub(super) const PING: u64 = u64::MAX;

/// What all requests of a batch have in common: one look at the clocks serves them.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The topology that the asker goes by.
    pub epoch: Epoch,
    /// Its hybrid logical clock.
    pub time: Time,
    /// Now, by the clock of timers.
    pub now: Instant,
    /// When the asker gives up.
    pub deadline: Instant,
}

impl Terms {
    /// Milliseconds until the deadline, as far as they can be told; not zero before it is reached.
    fn time_left_ms(&self) -> u32 {
        let left = self.deadline.saturating_duration_since(self.now);
        u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }
}

/// The queue and the waiting requests of one peer.
pub(super) struct Outlet {
    queue_bytes: usize,
    requests: usize,
    pub(super) stats: Stats,
    state: Mutex<State>,
    latency: Mutex<Latency>,
}

#[derive(Default)]
struct State {
    is_open: bool,
    queue: Vec<u8>,
    /// Bytes that the connection's task has taken from the queue.
    taken: u64,
    slots: Slots,
    /// No request under way has an earlier deadline.
    earliest: Option<Instant>,
    /// Of the connection's task, while it waits for more to send.
    task: Option<Waker>,
}

/// What the connection's task finds when it looks.
pub(super) struct Taken {
    /// No request under way has an earlier deadline.
    pub(super) earliest: Option<Instant>,
    /// Stream position behind the bytes that were taken.
    pub(super) end: u64,
}

impl Outlet {
    pub(super) fn new(options: &Options) -> Self {
        Outlet {
            queue_bytes: options.queue_bytes,
            requests: options.requests,
            stats: Stats::default(),
            state: Mutex::default(),
            latency: Mutex::default(),
        }
    }

    /// Queues a request.
    pub(super) fn call(self: &Arc<Self>, message: &Message, terms: &Terms) -> Result<Call, CallError> {
        let frame_bytes = FRAME_OVERHEAD + message.body().len();
        let mut state = self.state.lock();
        if !state.is_open {
            return Err(CallError::NotConnected);
        }
        let is_full = !state.queue.is_empty() && state.queue.len() + frame_bytes > self.queue_bytes;
        if is_full || state.slots.taken() >= self.requests {
            Stats::add(&self.stats.overloaded, 1);
            return Err(CallError::Overloaded);
        }
        let position = state.taken + state.queue.len() as u64;
        let waiting = Waiting { kind: message.kind(), position, asked: terms.now, deadline: terms.deadline };
        let request = state.slots.begin(waiting);
        let (kind, time_left_ms) = (message.kind(), terms.time_left_ms());
        let header = Header { kind, request, epoch: terms.epoch, time: terms.time, time_left_ms };
        put_frame(&mut state.queue, &header, message.body());
        state.earliest = Some(state.earliest.map_or(terms.deadline, |earliest| earliest.min(terms.deadline)));
        let task = state.task.take();
        drop(state);
        Stats::add(&self.stats.requests, 1);
        if let Some(task) = task {
            task.wake();
        }
        Ok(Call { outlet: Arc::clone(self), request: Some(request) })
    }

    /// Lets requests in: a connection stands.
    pub(super) fn open(&self) {
        let mut state = self.state.lock();
        state.is_open = true;
        state.taken = 0;
        Stats::add(&self.stats.connected, 1);
    }

    /// Ends every request, `written` bytes of the stream having left, and lets no more in.
    pub(super) fn close(&self, written: u64) {
        let mut state = self.state.lock();
        state.is_open = false;
        state.queue = Vec::new();
        state.earliest = None;
        state.task = None;
        let why = |waiting: &Waiting| Some(CallError::Closed { may_have_left: waiting.position < written });
        let (wakers, _) = state.slots.end_all(why);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Hands all that is queued to the connection's task if it has sent what it had; else only says when to look again.
    pub(super) fn take(&self, output: &mut Vec<u8>, task: &Waker) -> Taken {
        let mut state = self.state.lock();
        if output.is_empty() && !state.queue.is_empty() {
            std::mem::swap(output, &mut state.queue);
            state.taken += output.len() as u64;
        }
        match &mut state.task {
            Some(known) => known.clone_from(task),
            None => state.task = Some(task.clone()),
        }
        Taken { earliest: state.earliest, end: state.taken }
    }

    /// Queues a question whether the other end is there, however full the queue is.
    pub(super) fn ping(&self) {
        let header = Header { kind: Kind::Ping, request: PING, epoch: Epoch(0), time: Time::ZERO, time_left_ms: 0 };
        put_frame(&mut self.state.lock().queue, &header, &[]);
    }

    /// Gives answers to those who wait; `false` if one of them is no answer to its request. What nobody waits for any more
    /// is dropped.
    pub(super) fn answer(&self, frames: &mut Vec<Frame>, now: Instant) -> bool {
        let mut wakers = Vec::with_capacity(frames.len());
        let mut fits = true;
        Stats::add(&self.stats.answers, frames.len() as u64);
        let (mut state, mut latency) = (self.state.lock(), self.latency.lock());
        for frame in frames.drain(..) {
            let request = frame.header.request;
            fits &= frame.header.kind.is_answer();
            if let Some(waiting) = state.slots.waiting_for(request) {
                fits &= waiting.kind.is_answered_by(frame.header.kind);
                latency.record(now.saturating_duration_since(waiting.asked));
                if fits {
                    wakers.extend(state.slots.end(request, Ok(frame)));
                }
            }
        }
        drop((state, latency));
        wakers.into_iter().for_each(Waker::wake);
        fits
    }

    /// Ends the requests whose time is over.
    pub(super) fn expire(&self, now: Instant) {
        let mut state = self.state.lock();
        let (wakers, count) = state.slots.end_all(|waiting| (waiting.deadline <= now).then_some(CallError::TimedOut));
        state.earliest = state.slots.earliest();
        drop(state);
        Stats::add(&self.stats.timed_out, count);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether a connection stands.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().is_open
    }

    /// Bytes queued and requests under way.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.queue.len(), state.slots.waiting())
    }

    /// A quantile of recent round trips.
    pub(super) fn quantile(&self, permille: u32) -> Option<std::time::Duration> {
        self.latency.lock().quantile(permille)
    }
}

/// A request under way; its output is the answer's frame. Dropped, it is forgotten, though it may still be carried out.
#[must_use = "a request that is dropped has no answer"]
pub struct Call {
    outlet: Arc<Outlet>,
    request: Option<u64>,
}

impl Future for Call {
    type Output = Result<Frame, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let request = self.request.expect("a call is not asked again after its answer");
        let result = self.outlet.state.lock().slots.poll(request, context.waker());
        let Some(result) = result else { return Poll::Pending };
        self.request = None;
        Poll::Ready(result)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.outlet.state.lock().slots.abandon(request);
        }
    }
}
