//! Connections inside the process: two ends of a pipe, with addresses and refusals as sockets have them.
//!
//! Left out: loss and delay; a simulated network is another implementation of the same trait.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::env::{BoxFuture, Listener, Net, Stream, Unattached};

/// Connections that may wait to be accepted.
const BACKLOG: usize = 1024;
/// Bytes under way in each direction before a writer waits.
const PIPE_BYTES: usize = 64 << 10;
/// Where the ports begin that are given out.
const FIRST_FREE_PORT: u16 = 32_768;

/// A network of one process. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryNet {
    ports: Arc<Mutex<Ports>>,
}

#[derive(Default)]
struct Ports {
    listening: BTreeMap<SocketAddr, Sender<Accepted>>,
    given: u16,
}

impl Ports {
    fn free_port(&mut self) -> u16 {
        self.given = self.given.wrapping_add(1) % (u16::MAX - FIRST_FREE_PORT);
        FIRST_FREE_PORT + self.given
    }

    fn listen(&mut self, mut address: SocketAddr) -> io::Result<MemoryListener> {
        if address.port() == 0 {
            address.set_port(self.free_port());
        }
        if self.listening.get(&address).is_some_and(|queue| !queue.is_closed()) {
            return Err(told(ErrorKind::AddrInUse, "listen on", address));
        }
        let (sender, receiver) = channel(BACKLOG);
        self.listening.insert(address, sender);
        Ok(MemoryListener { address, receiver: tokio::sync::Mutex::new(receiver) })
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<DuplexStream> {
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.free_port());
        let (ours, theirs) = duplex(PIPE_BYTES);
        let queue = self.listening.get(&address).or_else(|| self.listening.get(&anywhere));
        let sent = queue.and_then(|queue| queue.try_send(Accepted { stream: theirs, peer }).ok());
        sent.map(|()| ours).ok_or_else(|| told(ErrorKind::ConnectionRefused, "connect to", address))
    }
}

fn told(kind: ErrorKind, tried: &str, address: SocketAddr) -> io::Error {
    io::Error::new(kind, format!("cannot {tried} {address}: {kind}"))
}

impl Net for MemoryNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let listener = self.ports.lock().listen(address);
        Box::pin(async move { listener.map(|listener| Box::new(listener) as Box<dyn Listener>) })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let stream = self.ports.lock().connect(address);
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

struct MemoryListener {
    address: SocketAddr,
    receiver: tokio::sync::Mutex<Receiver<Accepted>>,
}

impl Listener for MemoryListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Unattached>>> {
        Box::pin(async move {
            let accepted = self.receiver.lock().await.recv().await;
            // The sender goes only with the network, or when another listener has taken the address.
            accepted
                .map(|accepted| Box::new(accepted) as Box<dyn Unattached>)
                .ok_or_else(|| told(ErrorKind::NotConnected, "accept on", self.address))
        })
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

struct Accepted {
    stream: DuplexStream,
    peer: SocketAddr,
}

impl Unattached for Accepted {
    fn attach(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.stream))
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }
}
