//! Listeners, connection loops, admission and drain; the HTTP endpoint.
//!
//! One task accepts and hands connections out to the reactors; a connection stays on its reactor. Its loop is: read what has
//! arrived, plan every complete command as one batch, carry the batch out, write the replies, wait until what they show is
//! durable, send. While replies are undelivered nothing more is executed, but reading goes on, so that a client which sends
//! everything before it reads is served.
//!
//! Invariant: replies leave in the order of the commands, and only when everything they show is durable.
//! Invariant: what all connections buffer is bounded together, whatever their clients send and do not read.
//! Invariant: an idle connection holds no buffers: they come from its reactor's pool when bytes arrive.

mod atomic;
mod buffers;
mod connection;
mod execute;
mod forwarded;
mod http;
mod listener;
mod replicated;
mod scrape;
mod work;

pub use buffers::Buffers;
pub use connection::ConnectionLimits;
pub use forwarded::ForwardedService;
pub use http::Http;
pub use listener::{Resident, Server, ServerOptions};
