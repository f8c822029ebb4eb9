//! The server as a process, over TCP: replies byte for byte, as a client sees them.
//!
//! Every test has a server of its own, on free ports, with its data in a temporary directory. What random commands can
//! compare with a real Redis is left to `compat/differential`; here stands what has to hold without one.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a client has real sockets, files and time")]

mod administration;
mod bitmaps;
mod command_line;
mod dump;
mod durability;
mod expiry;
mod founding;
mod handoff;
mod hostile;
mod keys;
mod local;
mod maintenance;
mod numbers;
mod pages;
mod process;
mod ranges;
mod replication;
mod reply_modes;
mod server;
mod several;
mod strings;
mod versions;
mod watch;
