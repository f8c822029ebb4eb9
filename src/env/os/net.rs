//! TCP sockets of the machine.
//!
//! Invariant: an accepted connection is registered with no reactor before `attach`; accepting waits on the listener alone
//! (`AsyncFd`), because tokio's own `accept` would register each connection with the accepting reactor first.

#![expect(clippy::disallowed_types, reason = "these are the sockets that the rest of the crate is handed")]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::unix::AsyncFd;

use crate::env::{BoxFuture, Listener, Net, Stream, Unattached};

/// Connections that the kernel holds ready until they are accepted.
const BACKLOG: i32 = 1024;
/// Silence after which the kernel asks whether the other end still lives, as Redis's `tcp-keepalive`.
const KEEPALIVE: Duration = Duration::from_secs(300);

/// The machine's sockets.
#[derive(Clone, Copy, Debug)]
pub struct OsNet;

impl Net for OsNet {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = listen(address).map_err(|error| told("listen on", address, &error))?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(address).await;
            let stream = stream.map_err(|error| told("connect to", address, &error))?;
            prepare(SockRef::from(&stream))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

fn told(tried: &str, address: SocketAddr, source: &io::Error) -> io::Error {
    io::Error::new(source.kind(), format!("cannot {tried} {address}: {source}"))
}

#[expect(
    deprecated,
    reason = "its successor is an unsafe function; a TcpListener owns its descriptor until it is dropped"
)]
fn listen(address: SocketAddr) -> io::Result<OsListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' last minute.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(OsListener { socket: AsyncFd::new(socket)?, address })
}

/// Replies go out at once; a dead peer is noticed.
fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3).with_retries(3))
}

struct OsListener {
    socket: AsyncFd<TcpListener>,
    address: SocketAddr,
}

impl Listener for OsListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Unattached>>> {
        Box::pin(async move {
            loop {
                let mut ready = self.socket.readable().await?;
                match ready.try_io(|socket| socket.get_ref().accept()) {
                    Ok(Ok((stream, peer))) => return Ok(Box::new(Accepted { stream, peer }) as Box<dyn Unattached>),
                    // The client gave up before its turn.
                    Ok(Err(error)) if gave_up(&error) => {}
                    Ok(Err(error)) => return Err(told("accept on", self.address, &error)),
                    Err(_would_block) => {}
                }
            }
        })
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

fn gave_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Unattached for Accepted {
    fn attach(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        self.stream.set_nonblocking(true)?;
        prepare(SockRef::from(&self.stream))?;
        Ok(Box::new(tokio::net::TcpStream::from_std(self.stream)?))
    }

    fn peer_address(&self) -> SocketAddr {
        self.peer
    }
}
