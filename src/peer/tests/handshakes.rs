//! Who is let in, and what the others are told.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::env::Net;
use crate::env::memory::MemoryNet;
use crate::ledger::Secret;
use crate::peer::tests::{Answerer, Echo, identity, node, parts, run, until};
use crate::peer::{Fault, Identity, Options, Peer, Target};
use crate::types::ClusterId;

/// Has `asker` connect to `answerer`, expecting `wanted`; both must find `fault`, and the asker a text with `told`.
fn check(asker: Identity, answerer: Identity, expected: (Fault, &str)) {
    let (fault, told) = expected;
    run(async {
        let net = MemoryNet::default();
        let service = Echo { refused: Some(node(66)), ..Echo::default() };
        let server = Answerer::with(&net, "10.0.0.2:1", (answerer, Options::default()), service).await;
        let (parts, events) = parts(net, asker, Options::default());
        let peer = Peer::start(parts, Target { node: Some(node(2)), address: server.address });
        until(|| peer.status().failure.is_some()).await;
        let failure = peer.status().failure.unwrap();
        assert_eq!(failure.fault, fault, "{failure}");
        assert!(failure.text.contains(told), "{failure}");
        until(|| !server.acceptor.counted().faults.is_empty()).await;
        let faults = server.acceptor.counted().faults;
        assert!(matches!(faults[..], [(found, _)] if found == fault), "{faults:?}");
        assert!(events.lock().is_empty() && server.seen() == 0 && !peer.is_connected());
    });
}

#[test]
fn another_cluster_is_refused() {
    let other = Identity { cluster: Some(ClusterId([8; 20])), ..identity(1) };
    check(other, identity(2), (Fault::Cluster, "cannot talk"));
}

#[test]
fn another_secret_is_refused() {
    let other = Identity { secret: Secret([6; 32]), ..identity(1) };
    check(other, identity(2), (Fault::Secret, "cluster-secret"));
}

#[test]
fn a_node_that_finds_itself_is_told() {
    check(identity(2), identity(2), (Fault::Itself, "connected to itself"));
}

#[test]
fn another_node_at_the_address_is_refused() {
    check(identity(1), identity(3), (Fault::OtherNode, "answers at the address of"));
}

#[test]
fn a_node_that_was_removed_is_told_what_to_do() {
    check(identity(66), identity(2), (Fault::NotAdmitted, "empty directory"));
}

#[test]
fn a_node_without_a_cluster_has_to_know_the_secret_of_the_door() {
    let stranger = Identity { cluster: None, door: Secret([6; 32]), ..identity(7) };
    check(stranger, identity(2), (Fault::Secret, "cluster-secret"));
    let pretender = Identity { secret: Secret([4; 32]), ..identity(7) };
    check(pretender, identity(2), (Fault::Secret, "cluster-secret"));
}

#[test]
fn a_node_without_a_cluster_is_let_in_if_it_knows_the_secret() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let newcomer = Identity { cluster: None, secret: Secret([0; 32]), ..identity(7) };
        let (parts, _events) = parts(net, newcomer, Options::default());
        let peer = Peer::start(parts, Target { node: None, address: server.address });
        until(|| peer.is_connected()).await;
        assert_eq!(peer.status().connected.map(|remote| remote.node), Some(node(2)), "now its name is known");
        let call = peer.call(&crate::wire::Message::cold(0, b"join"), &crate::peer::tests::terms(1000)).unwrap();
        call.await.unwrap();
        let from = server.service.seen.borrow()[0].from;
        assert_eq!((from.node, from.cluster), (node(7), None));
    });
}

#[test]
fn another_version_is_told_which_one_this_is() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let mut stream = net.connect(server.address).await.unwrap();
        let mut hello = b"annulus\n".to_vec();
        hello.extend([9, 0]);
        hello.resize(83, 1);
        stream.write_all(&hello).await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        assert_eq!(told[0], Fault::Version as u8);
        assert!(String::from_utf8_lossy(&told).contains("versions 9 and 1 cannot talk"), "{told:?}");
        assert_eq!(server.acceptor.counted().faults, [(Fault::Version, 1)]);
    });
}

#[test]
fn who_speaks_another_language_is_told_nothing() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let mut stream = net.connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        assert_eq!((told, server.acceptor.counted().faults), (vec![], vec![(Fault::Garbage, 1)]));
    });
}

#[test]
fn a_recorded_proof_does_not_open_a_second_connection() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        // The same asker with the same nonce, byte for byte; the answerer's nonce is another one.
        let mut proofs = Vec::new();
        for _ in 0..2 {
            let mut stream = net.connect(server.address).await.unwrap();
            let mut hello = b"annulus\n".to_vec();
            hello.extend([1, 0, 1]);
            hello.extend([9; 20]);
            hello.extend([1; 20 + 32]);
            stream.write_all(&hello).await.unwrap();
            let mut answer = [0; 1 + 83 + 32];
            stream.read_exact(&mut answer).await.unwrap();
            proofs.push(answer[84..].to_vec());
            // The answerer's own proof, sent back, must not serve as the asker's.
            stream.write_all(&[&[0], &answer[84..]].concat()).await.unwrap();
            let [fault] = {
                let mut one = [0];
                stream.read_exact(&mut one).await.unwrap();
                one
            };
            assert_eq!(fault, Fault::Secret as u8);
        }
        assert_ne!(proofs[0], proofs[1]);
        assert_eq!(server.acceptor.counted().faults, [(Fault::Secret, 2)]);
    });
}

#[test]
fn a_handshake_that_stalls_is_given_up_by_both_ends() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let begun = Instant::now();
        let mut stream = net.connect(server.address).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(
            (begun.elapsed(), server.acceptor.counted().faults),
            (Duration::from_secs(3), vec![(Fault::Slow, 1)])
        );
        let listener = net.listen("10.0.0.3:1".parse().unwrap()).await.unwrap();
        let (parts, _events) = parts(net, identity(1), Options::default());
        let peer = Peer::start(parts, Target { node: None, address: listener.local_address() });
        let _accepted = listener.accept().await.unwrap();
        until(|| peer.status().failure.is_some()).await;
        assert_eq!(peer.status().failure.map(|failure| failure.fault), Some(Fault::Slow));
    });
}
