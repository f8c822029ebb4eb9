//! Connections that end, fall silent or bring nonsense.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

use crate::causality::Time;
use crate::env::memory::MemoryNet;
use crate::peer::tests::{Answerer, Asker, ECHO, NEVER, bare, bytes_of, identity, node, run, until};
use crate::peer::{CallError, Event, Fault, Options};
use crate::types::Epoch;
use crate::wire::{Header, Kind, Message, put_frame};

const LEFT: CallError = CallError::Closed { may_have_left: true };
const NOT_LEFT: CallError = CallError::Closed { may_have_left: false };

#[test]
fn a_connection_that_ends_fails_all_its_requests_and_says_which_may_have_left() {
    run(async {
        let net = MemoryNet::default();
        let (address, accepting) = bare(&net, "10.0.0.2:1").await;
        let asker = Asker::start(net, address, Options::default());
        let mut stream = accepting.await;
        until(|| asker.peer.is_connected()).await;
        let small = asker.call(NEVER, b"", 60_000).unwrap();
        let big = asker.call(NEVER, &[0; 1 << 20], 60_000).unwrap();
        let behind = asker.call(NEVER, b"", 60_000).unwrap();
        stream.read_exact(&mut [0; 10]).await.unwrap();
        drop(stream);
        assert_eq!([small.await, big.await, behind.await], [Err(LEFT), Err(LEFT), Err(NOT_LEFT)]);
        assert!(LEFT.may_have_left() && !NOT_LEFT.may_have_left());
    });
}

#[test]
fn a_peer_that_falls_silent_is_given_up() {
    run(async {
        let net = MemoryNet::default();
        let (address, accepting) = bare(&net, "10.0.0.2:1").await;
        let asker = Asker::start(net, address, Options::default());
        // It takes all bytes and says nothing, as a machine behind a cut cable seems to.
        let mut stream = accepting.await;
        tokio::spawn(async move { while stream.read(&mut [0; 1000]).await.is_ok_and(|count| count > 0) {} });
        until(|| asker.peer.is_connected()).await;
        let begun = Instant::now();
        assert_eq!(asker.call(NEVER, b"", 60_000).unwrap().await, Err(LEFT));
        let passed = begun.elapsed();
        assert!(passed >= Duration::from_millis(3990) && passed < Duration::from_millis(4100), "{passed:?}");
        assert!(matches!(asker.events.lock().last(), Some(Event::Disconnected(remote)) if remote.node == node(2)));
    });
}

#[test]
fn a_quiet_connection_stays_and_a_slow_request_does_not_end_it() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net, server.address, Options::default()).await;
        assert_eq!(asker.call(NEVER, b"", 60_000).unwrap().await, Err(CallError::TimedOut));
        sleep(Duration::from_secs(600)).await;
        assert_eq!(bytes_of(&asker.call(ECHO, b"x", 1000).unwrap().await.unwrap()), b"x");
        assert_eq!((asker.peer.status().counted.connected, server.seen()), (1, 2), "pings are no requests");
    });
}

#[test]
fn an_asker_that_falls_silent_is_let_go() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let patient = Options { ping_after: Duration::from_secs(3600), ..Options::default() };
        let asker = Asker::connected(net, server.address, patient).await;
        let begun = Instant::now();
        assert_eq!(asker.call(NEVER, b"", 60_000).unwrap().await, Err(LEFT));
        assert!(begun.elapsed() >= Duration::from_millis(7900) && begun.elapsed() < Duration::from_millis(8100));
    });
}

#[test]
fn a_peer_that_restarts_is_connected_to_again() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let asker = Asker::connected(net.clone(), server.address, Options::default()).await;
        let under_way = asker.call(NEVER, b"", 60_000).unwrap();
        until(|| server.seen() == 1).await;
        let begun = Instant::now();
        server.stop().await;
        assert_eq!(under_way.await, Err(LEFT));
        assert!(begun.elapsed() < Duration::from_millis(5), "a closed connection is known at once");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(asker.peer.status().failure.map(|failure| failure.fault), Some(Fault::Unreachable));
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let begun = Instant::now();
        until(|| asker.peer.is_connected()).await;
        assert!(begun.elapsed() <= Duration::from_secs(5), "no pause is longer than the longest");
        assert_eq!(bytes_of(&asker.call(ECHO, b"x", 1000).unwrap().await.unwrap()), b"x");
        let kinds: Vec<_> = asker.events.lock().iter().map(|event| matches!(event, Event::Connected(_))).collect();
        assert_eq!(kinds, [true, false, true]);
        assert_eq!(asker.peer.status().failure, None);
        drop(server);
    });
}

#[test]
fn an_address_that_does_not_answer_is_tried_less_and_less() {
    run(async {
        let asker = Asker::start(MemoryNet::default(), "10.0.0.2:1".parse().unwrap(), Options::default());
        let attempts = || match asker.peer.status().counted.faults[..] {
            [(Fault::Unreachable, count)] => count,
            ref other => panic!("{other:?}"),
        };
        sleep(Duration::from_secs(10)).await;
        let first = attempts();
        assert!((8..=12).contains(&first), "{first} attempts in ten seconds");
        sleep(Duration::from_secs(100)).await;
        let then = attempts() - first;
        assert!((20..=40).contains(&then), "{then} attempts in a hundred seconds");
        assert_eq!(asker.call(ECHO, b"", 1000).err(), Some(CallError::NotConnected));
    });
}

#[test]
fn bytes_that_are_no_answer_end_the_connection() {
    let pong_for = |request, kind| {
        let mut out = Vec::new();
        let header = Header { kind, request, epoch: Epoch(0), time: Time::ZERO, time_left_ms: 0 };
        put_frame(&mut out, &header, Message::cold(0, b"").body());
        out
    };
    let cases = [
        b"HTTP/1.1 200 OK\r\n\r\n and much more than a header".to_vec(),
        vec![0; 100],
        pong_for(0, Kind::Cold),
        pong_for(0, Kind::WriteAnswer),
    ];
    for bytes in cases {
        run(async {
            let net = MemoryNet::default();
            let (address, accepting) = bare(&net, "10.0.0.2:1").await;
            let asker = Asker::start(net, address, Options::default());
            let mut stream = accepting.await;
            until(|| asker.peer.is_connected()).await;
            let call = asker.call(NEVER, b"", 60_000).unwrap();
            sleep(Duration::from_millis(1)).await;
            stream.write_all(&bytes).await.unwrap();
            assert_eq!(call.await, Err(LEFT), "{bytes:?}");
            assert!(!asker.peer.is_connected());
        });
    }
}

#[test]
fn bytes_that_are_no_request_end_the_connection() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let mut stream = crate::env::Net::connect(&net, server.address).await.unwrap();
        let side = crate::peer::handshake::Side { identity: identity(1), nonce: [1; 32] };
        crate::peer::handshake::ask(&mut *stream, &side, None).await.unwrap();
        stream.write_all(&[0; 64]).await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(server.seen(), 0);
    });
}

#[test]
fn a_peer_that_is_dropped_ends_its_requests_and_its_connection() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let Asker { peer, events } = Asker::connected(net, server.address, Options::default()).await;
        let call = peer.call(&Message::cold(NEVER, b""), &crate::peer::tests::terms(60_000)).unwrap();
        sleep(Duration::from_millis(1)).await;
        drop(peer);
        assert_eq!(call.await, Err(LEFT));
        until(|| events.lock().len() == 2).await;
        server.stop().await;
    });
}
