//! Annulus: a Dynamo-style, leaderless, durable key-value store that every Redis client can talk to.
//!
//! Modules stand in layer order; each may use only layers below it (same-layer edges only as starred in `tests/tidy.rs`).

// Layer 0: words, byte encodings, metric names.
pub mod codec;
pub mod metrics;
pub mod types;

// Layer 1: the door to the machine; background work.
pub mod env;
pub mod worker;

// Layer 2: pure values without clock, IO or async.
pub mod causality;

// Layer 3: the engine, the protocol, the durable facts.
pub mod ledger;
pub mod resp;
pub mod storage;

// Layer 4: a node's local truth.
pub mod replica;

// Layer 6: carries out operations.
pub mod coordinator;

// Layer 7: connections' state and the commands.
pub mod command;
pub mod session;

// Layer 8: listeners and connection loops.
pub mod server;

// Layer 9: settings and the composition root.
pub mod config;
pub mod node;
