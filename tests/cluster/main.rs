//! Nodes in one thread, in a time and on a network that a seed decides: they are partitioned, delayed, killed and started
//! again, and the same seed gives the same run.
//!
//! `world` holds the network (turmoil) and what happened; `machine` is the machine under one node: disk, clock, randomness
//! and pool from `env::memory`, the network of the world, and reactors on the host's own runtime. What runs on a host is the
//! code of production. Read `peers` for scenarios of connections, `gossip` for those of who is up, `nodes` for those of whole nodes.
//!
//! Invariant: nothing here waits for real time, and no thread but this one takes part.
//! Left out: TCP that repeats what was lost. A segment that meets a partition is gone, and so is its connection: what holds
//! here holds there sooner.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod foundings;
mod gossip;
mod machine;
mod net;
mod nodes;
mod peers;
mod world;
