//! Two ends of a connection under all that can go wrong, on the network in memory with a clock that only timers move, and
//! what must hold anywhere also over TCP.

mod calls;
mod failures;
mod handshakes;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::causality::Time;
use crate::env::memory::{MemoryNet, SeededRandom};
use crate::env::{Net, Stream};
use crate::ledger::Secret;
use crate::peer::handshake::{self, Side};
use crate::peer::{
    Acceptor, Call, CallError, Event, Identity, Incoming, Local, Options, Parts, Peer, Remote, Response,
    ResponseFuture, Service, Target, Terms,
};
use crate::types::{ClusterId, Epoch, NodeId};
use crate::wire::{Answer, Frame, Message, Request};

/// What the service makes of a cold message, by its topic.
const ECHO: u8 = 0;
const NEVER: u8 = 1;
/// Echoes after as many milliseconds as the message is long.
const SLOWLY: u8 = 2;

fn node(number: u8) -> NodeId {
    NodeId([number; 20])
}

fn identity(number: u8) -> Identity {
    Identity { node: node(number), cluster: Some(ClusterId([9; 20])), secret: Secret([5; 32]), door: Secret([4; 32]) }
}

/// Waits until `done`; time passes only if nothing else can happen.
async fn until(done: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("it never happens");
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), test);
}

#[derive(Default)]
struct Echo {
    seen: RefCell<Vec<Incoming>>,
    refused: Option<NodeId>,
}

impl Service for Echo {
    fn admit(&self, from: &Remote) -> Result<(), String> {
        if self.refused == Some(from.node) {
            Err("it was removed; start it with an empty directory".into())
        } else {
            Ok(())
        }
    }

    fn serve(&self, request: Incoming) -> ResponseFuture<'_> {
        self.seen.borrow_mut().push(request.clone());
        Box::pin(async move {
            let Ok(Request::Cold { topic, bytes }) = Request::decode(&request.frame) else { panic!("only cold ones") };
            match topic {
                ECHO => (),
                SLOWLY => sleep(Duration::from_millis(bytes.len() as u64)).await,
                _ => std::future::pending().await,
            }
            Response { message: Message::cold_answer(topic, bytes), epoch: Epoch(8), time: Time(80) }
        })
    }
}

/// A node that answers.
struct Answerer {
    address: SocketAddr,
    acceptor: Rc<Acceptor>,
    service: Rc<Echo>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Answerer {
    async fn start(net: &dyn Net, address: &str, identity: Identity, options: Options) -> Answerer {
        Answerer::with(net, address, (identity, options), Echo::default()).await
    }

    async fn with(net: &dyn Net, address: &str, (identity, options): (Identity, Options), service: Echo) -> Answerer {
        let listener = net.listen(address.parse().unwrap()).await.unwrap();
        let (address, service) = (listener.local_address(), Rc::new(service));
        let (local, random) = (Arc::new(Local::new(identity)), Arc::new(SeededRandom::new(2)));
        let acceptor = Rc::new(Acceptor::new(Rc::<Echo>::clone(&service), local, random, options));
        let stop = CancellationToken::new();
        let task = tokio::task::spawn_local(Rc::clone(&acceptor).run(listener, stop.clone()));
        Answerer { address, acceptor, service, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    fn seen(&self) -> usize {
        self.service.seen.borrow().len()
    }
}

/// A node that asks node 2.
struct Asker {
    peer: Peer,
    events: Arc<Mutex<Vec<Event>>>,
}

fn parts(net: impl Net + 'static, identity: Identity, options: Options) -> (Parts, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let sink = Arc::clone(&events);
    let parts = Parts {
        net: Arc::new(net),
        random: Arc::new(SeededRandom::new(1)),
        local: Arc::new(Local::new(identity)),
        options,
        observer: Arc::new(move |event: &Event| sink.lock().push(event.clone())),
    };
    (parts, events)
}

impl Asker {
    fn start(net: impl Net + 'static, address: SocketAddr, options: Options) -> Asker {
        let (parts, events) = parts(net, identity(1), options);
        Asker { peer: Peer::start(parts, Target { node: Some(node(2)), address }), events }
    }

    async fn connected(net: impl Net + 'static, address: SocketAddr, options: Options) -> Asker {
        let asker = Asker::start(net, address, options);
        until(|| asker.peer.is_connected()).await;
        asker
    }

    fn call(&self, topic: u8, bytes: &[u8], timeout_ms: u64) -> Result<Call, CallError> {
        self.peer.call(&Message::cold(topic, bytes), &terms(timeout_ms))
    }
}

fn terms(timeout_ms: u64) -> Terms {
    let now = Instant::now();
    Terms { epoch: Epoch(7), time: Time(70), now, deadline: now + Duration::from_millis(timeout_ms) }
}

/// The bytes of a cold answer.
fn bytes_of(frame: &Frame) -> Vec<u8> {
    match Answer::decode(frame) {
        Ok(Answer::Cold { bytes, .. }) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Node 2 as a bare stream after its handshake, for a test to misbehave with.
async fn bare(net: &MemoryNet, address: &str) -> (SocketAddr, impl Future<Output = Box<dyn Stream>> + use<>) {
    let listener = net.listen(address.parse().unwrap()).await.unwrap();
    let address = listener.local_address();
    let accepting = async move {
        let mut stream = listener.accept().await.unwrap().attach().unwrap();
        let side = Side { identity: identity(2), nonce: [3; 32] };
        handshake::answer(&mut *stream, &side, |_| Ok(())).await.unwrap();
        stream
    };
    (address, accepting)
}

#[test]
fn peers_are_kept_while_the_topology_names_them() {
    run(async {
        let net = MemoryNet::default();
        let server = Answerer::start(&net, "10.0.0.2:1", identity(2), Options::default()).await;
        let (parts, events) = parts(net, identity(1), Options::default());
        let peers = crate::peer::Peers::new(parts);
        let named = |addresses: &[(u8, SocketAddr)]| {
            addresses.iter().map(|(number, address)| (node(*number), *address)).collect::<BTreeMap<_, _>>()
        };
        let elsewhere = "10.0.0.3:1".parse().unwrap();
        peers.keep(&named(&[(1, elsewhere), (2, server.address), (3, elsewhere)]));
        assert!(peers.get(&node(1)).is_none(), "a node is no peer of its own");
        let first = peers.get(&node(2)).unwrap();
        until(|| first.is_connected()).await;
        peers.keep(&named(&[(2, server.address)]));
        assert!(Arc::ptr_eq(&first, &peers.get(&node(2)).unwrap()) && peers.get(&node(3)).is_none());
        assert_eq!(peers.status().len(), 1);
        drop(first);
        peers.keep(&named(&[(2, elsewhere)]));
        until(|| events.lock().len() == 2).await;
        assert!(matches!(events.lock()[1], Event::Disconnected(_)), "the address is another one");
        assert_eq!(server.acceptor.counted().connected, 1);
    });
}
