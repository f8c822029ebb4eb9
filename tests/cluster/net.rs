//! The network of the world as a node sees it: `env::Net` over turmoil.
//!
//! A host has one address for everybody, so that whatever address is asked for, all of the host is listened on. What a node
//! says of itself keeps the address that was asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use annulus::env::{BoxFuture, Listener, Net, Stream, Unattached};
use turmoil::net::{TcpListener, TcpStream};

/// The network of the host that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimNet;

impl Net for SimNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            let listener = TcpListener::bind(anywhere).await?;
            let address = SocketAddr::new(address.ip(), listener.local_addr()?.port());
            Ok(Box::new(SimListener { listener, address }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Box<dyn Stream>) })
    }
}

struct SimListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener for SimListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Unattached>>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            Ok(Box::new(Accepted { stream, peer }) as Box<dyn Unattached>)
        })
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

struct Accepted {
    stream: TcpStream,
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
