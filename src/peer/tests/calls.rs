//! Requests and answers while nothing goes wrong but the clock and the load.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

use crate::env::memory::MemoryNet;
use crate::env::os::OsNet;
use crate::env::{BoxFuture, Listener, Net, Stream};
use crate::peer::tests::{Answerer, Asker, ECHO, NEVER, SLOWLY, bare, bytes_of, identity, node, run, terms, until};
use crate::peer::{CallError, Options};
use crate::types::Epoch;
use crate::wire::Message;

/// What must hold on every network.
async fn check_exchange<N: Net + Clone + 'static>(net: N) {
    let server = Answerer::start(&net, "127.0.0.1:0", identity(2), Options::default()).await;
    let asker = Asker::connected(net.clone(), server.address, Options::default()).await;
    let calls: Vec<_> = (0..500usize).map(|length| asker.call(ECHO, &vec![7; length * 40], 20_000).unwrap()).collect();
    for (length, call) in calls.into_iter().enumerate() {
        let frame = call.await.unwrap();
        assert_eq!((bytes_of(&frame), frame.header.epoch), (vec![7; length * 40], Epoch(8)));
    }
    let big = vec![1; 3 << 20];
    assert_eq!(bytes_of(&asker.call(ECHO, &big, 20_000).unwrap().await.unwrap()), big);
    let seen = server.service.seen.borrow()[3].clone();
    assert_eq!((seen.from.node, seen.frame.header.epoch, seen.frame.header.time.0), (node(1), Epoch(7), 70));
    assert!(seen.frame.header.time_left_ms == 20_000 && seen.deadline > Instant::now());
    let status = asker.peer.status();
    assert_eq!((status.counted.requests, status.counted.answers, status.waiting), (501, 501, 0));
    assert!(status.p50.is_some() && status.p50 <= status.p99);
    assert_eq!(server.acceptor.counted().requests, 501);
    let (sent, received) = (status.counted.sent_bytes, server.acceptor.counted().received_bytes);
    assert_eq!(sent, received);
    server.stop().await;
    until(|| !asker.peer.is_connected()).await;
    assert_eq!(asker.call(ECHO, b"", 1000).err(), Some(CallError::NotConnected));
}

#[test]
fn every_request_gets_its_own_answer_in_memory() {
    run(check_exchange(MemoryNet::default()));
}

#[test]
fn every_request_gets_its_own_answer_over_tcp() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, check_exchange(OsNet));
}

#[test]
fn a_slow_request_holds_up_no_other() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net, server.address, Options::default()).await;
        let slow = asker.call(SLOWLY, &[0; 900], 1000).unwrap();
        let begun = Instant::now();
        let fast = asker.call(SLOWLY, &[0; 3], 1000).unwrap().await.unwrap();
        assert!(bytes_of(&fast).len() == 3 && begun.elapsed() < Duration::from_millis(10));
        assert_eq!(bytes_of(&slow.await.unwrap()).len(), 900);
        assert!(asker.peer.round_trip(1000) >= Some(Duration::from_millis(900)));
        assert!(asker.peer.round_trip(500) < Some(Duration::from_millis(10)));
    });
}

#[test]
fn a_request_ends_at_its_deadline_and_its_late_answer_is_nobodys() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net, server.address, Options::default()).await;
        let begun = Instant::now();
        let long = asker.call(NEVER, b"", 5000).unwrap();
        let late = asker.call(SLOWLY, &[0; 60], 50).unwrap();
        let error = late.await.unwrap_err();
        assert_eq!((error, error.may_have_left()), (CallError::TimedOut, true));
        assert_eq!(begun.elapsed().as_millis(), 50);
        let next = asker.call(SLOWLY, &[0; 30], 1000).unwrap().await.unwrap();
        assert_eq!(bytes_of(&next).len(), 30, "the slot's next use got its own answer");
        assert_eq!(long.await, Err(CallError::TimedOut));
        assert_eq!(begun.elapsed().as_millis(), 5000);
        let counted = asker.peer.status().counted;
        assert_eq!((counted.timed_out, counted.connected, counted.answers >= 2), (2, 1, true));
    });
}

#[test]
fn a_call_that_is_dropped_leaves_room_for_another() {
    run(async {
        let net = MemoryNet::default();
        let options = Options { requests: 3, ..Options::default() };
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net, server.address, options).await;
        let mut calls: Vec<_> = (0..3).map(|_| asker.call(NEVER, b"", 10_000).unwrap()).collect();
        assert_eq!(asker.call(ECHO, b"", 10_000).err(), Some(CallError::Overloaded));
        calls.pop();
        assert_eq!(bytes_of(&asker.call(ECHO, b"x", 10_000).unwrap().await.unwrap()), b"x");
        assert_eq!(asker.peer.status().counted.overloaded, 1);
    });
}

#[test]
fn a_full_queue_is_told_at_once() {
    run(async {
        let net = MemoryNet::default();
        let (address, accepting) = bare(&net, "10.0.0.2:1").await;
        let options = Options { queue_bytes: 1000, ..Options::default() };
        let asker = Asker::start(net, address, options);
        let _silent = accepting.await;
        until(|| asker.peer.is_connected()).await;
        // One message of any size is taken; it fills the pipe, so that the next ones stay in the queue.
        let _big = asker.call(NEVER, &[0; 1 << 20], 10_000).unwrap();
        sleep(Duration::from_millis(1)).await;
        let _first = asker.call(NEVER, &[0; 900], 10_000).unwrap();
        let error = asker.call(NEVER, &[0; 100], 10_000).err();
        assert_eq!((error, error.unwrap().may_have_left()), (Some(CallError::Overloaded), false));
        assert_eq!(asker.peer.status().waiting, 2);
    });
}

#[test]
fn an_answerer_holds_a_bounded_number_of_requests() {
    run(async {
        let net = MemoryNet::default();
        let few = Options { serving: 2, ..Options::default() };
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), few).await;
        let asker = Asker::connected(net, server.address, Options::default()).await;
        let calls: Vec<_> = (0..5).map(|_| asker.call(SLOWLY, &[0; 100], 10_000).unwrap()).collect();
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.seen(), 2, "the others wait in the socket");
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(server.seen(), 5);
        let little = Options { serving_bytes: 1000, ..Options::default() };
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), little).await;
        let asker = Asker::connected(net, server.address, Options::default()).await;
        let calls: Vec<_> = (0..5).map(|_| asker.call(SLOWLY, &[0; 600], 10_000).unwrap()).collect();
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.seen(), 2, "as many bytes are held as may be");
        for call in calls {
            call.await.unwrap();
        }
    });
}

#[test]
fn what_is_queued_together_is_written_at_once() {
    run(async {
        let net = CountingNet { inner: MemoryNet::default(), writes: Arc::default() };
        let server = Answerer::start(&net.inner, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net.clone(), server.address, Options::default()).await;
        let before = net.writes.load(Ordering::Relaxed);
        let message = Message::cold(ECHO, b"12345");
        let calls: Vec<_> = (0..100).map(|_| asker.peer.call(&message, &terms(1000)).unwrap()).collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(net.writes.load(Ordering::Relaxed) - before, 1);
    });
}

/// Counts the writes of connections that it makes.
#[derive(Clone)]
struct CountingNet {
    inner: MemoryNet,
    writes: Arc<AtomicUsize>,
}

struct CountingStream {
    inner: Box<dyn Stream>,
    writes: Arc<AtomicUsize>,
}

impl Net for CountingNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.inner.listen(address)
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let inner = self.inner.connect(address).await?;
            Ok(Box::new(CountingStream { inner, writes: Arc::clone(&self.writes) }) as Box<dyn Stream>)
        })
    }
}

impl AsyncRead for CountingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut *self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner).poll_shutdown(cx)
    }
}
