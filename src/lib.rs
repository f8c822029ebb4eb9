//! Annulus: a Dynamo-style, leaderless, durable key-value store that every Redis client can talk to.
//!
//! This page is the map. It says what the parts are, in which order to read them, what always holds, and which files one
//! command passes through. `README.md` is for those who run Annulus; this is for those who change it.
//!
//! # Bird's-eye view
//!
//! A node accepts connections and spreads them over a few single-threaded runtimes, the *reactors*. A reactor cuts the bytes
//! of a connection into requests and plans those that are complete as one batch of *operations*. The coordinator carries the
//! batch out on the node's *replica*, which knows what a version is. Under it the *engine* keeps opaque bytes: first in a
//! log and in memory, later in sorted, compressed, checked files. The replies are written from the outcomes, wait until what
//! they show is durable, and go out together.
//!
//! Every value is stored as a *record* that names the writes it has seen. One node needs no such names; several do, to tell
//! a value that was replaced from two that were written side by side. So the records of a single node are already those of
//! a cluster.
//!
//! # Code map, in reading order
//!
//! 1. [`types`]: slots, arcs, ids, stamps, arguments: the words of all that follows. [`codec`]: integers, checksums.
//! 2. [`mod@env`]: the only door to clock, disk, network, randomness and threads; the machine, and a machine in memory that
//!    a seed decides. [`worker`]: the one trait of all background work.
//! 3. [`causality`]: what a record is and what a write makes of it. Pure values; begin with its own reading order.
//!    [`ring`]: which nodes make the cluster and which of them hold an arc; pure values too.
//! 4. [`resp`]: requests in, replies out. [`session`]: what a connection has chosen and queued.
//! 5. [`command`]: the table of commands. `strings.rs` shows the shape of one: a plan and a finish.
//! 6. [`server`]: the loop of a connection; `connection.rs`, then `execute.rs`, then `atomic.rs` for `EXEC` and `MSET`.
//! 7. [`coordinator`]: what has to wait and for what. [`replica`]: operations on records; `apply.rs`, then `site.rs`.
//! 8. [`storage`]: the engine. `engine/write.rs` and `engine/read.rs` first, then `memtable`, `log`, `table`, `manifest`,
//!    `compaction`; `inspection` and `salvage` verify and mend a store that nobody has open. [`ledger`]: the few facts that a
//!    node must never forget, in a file of their own.
//! 9. [`wire`]: what nodes say to each other, as frames and messages. [`peer`]: the connections they say it over.
//!    [`topology`]: which nodes they are, and how they agree on it with [`paxos`].
//!    [`membership`] and its driver [`gossip`]: who is up, and what each node tells of itself.
//! 10. [`hints`]: what is kept for members that are away; [`repair`] brings it to them.
//! 11. [`config`]: the table of settings. [`node`]: makes all of the above and joins it. [`metrics`]: names and help.
//!
//! # Layers
//!
//! A module may use the layers below its own, and beside it only what the arrow names. `tests/tidy.rs` has the same table,
//! reads every path in the source and fails on an edge that the table does not allow.
//!
//! | layer | modules | what the layer is |
//! | --- | --- | --- |
//! | 0 | [`types`], [`codec`], [`metrics`] | words, byte encodings, names of metrics |
//! | 1 | [`mod@env`], [`worker`] (-> `env`) | the machine, background work |
//! | 2 | [`causality`], [`ring`], [`quorum`] (-> `causality`, `ring`), [`paxos`], [`membership`] | pure values: no clock, no lock, no IO |
//! | 3 | [`storage`] (sees only 0 and 1), [`resp`], [`wire`], [`ledger`] | bytes on disk, bytes on the wire, durable facts |
//! | 4 | [`replica`], [`hints`], [`peer`] | what this node holds, for itself and for others; connections between nodes |
//! | 5 | [`gossip`], [`repair`], [`topology`] (-> `repair`) | who is up, what makes replicas alike again, what the nodes agree on |
//! | 6 | [`coordinator`] | carrying a batch out |
//! | 7 | [`session`], [`command`] (-> `session`) | what a client says and means |
//! | 8 | [`server`] | connections |
//! | 9 | [`config`], [`node`] (-> `config`) | settings, the composition root |
//! | 10 | `main` | the command line |
//!
//! Upward there are only traits and hooks that a lower layer declares: [`command::Admin`] (what a command asks of the node),
//! [`storage::Filter`] (what compaction asks of the owner of the bytes), [`storage::Engine::on_durable`], [`peer::Service`]
//! (what a node does for others), [`topology::Adopter`] (what a new topology changes here), [`repair::Courier`] (how members
//! are reached), [`gossip::Owner`] (what the others are told of this node, and it of them). The module `merkle` comes with
//! the cluster; its place in the table is fixed.
//!
//! # Invariants
//!
//! - **No reply goes out before what it shows is durable**, be it a value, its absence or an `OK`. Every outcome carries a
//!   [`types::Stamp`]; the batch waits for the greatest ([`coordinator::CommitQueue`]).
//! - **No lock and no reactor waits for a device.** What would have to is an answer (`Cold`, `Stalled`), and the coordinator
//!   waits for it without holding anything up: for a job of the pool, or for room in memory, at most ten seconds.
//! - **No lock is held across an await**, but for the two that let one topology at a time be proposed and adopted. Locks
//!   over several keys are taken and released between two awaits.
//! - **Commands of a connection take effect in their order**, and replies leave in that order.
//! - **Whatever depends on the old value runs under the key's lock**: the dot is drawn, the record made, logged and shown
//!   to others before the lock goes.
//! - **A record's context covers a write only if the record holds it, merged what superseded it, or outlived its expiry**;
//!   anything else would lose a version. See [`causality`].
//! - **A crash leaves a prefix of the log**; a transaction is one frame of it, so all of it or none.
//! - **A change of what is on disk is one synced edit of the manifest** before any reader sees it.
//! - **After a failed sync nothing is written any more**, because nobody knows what the device holds. A full disk is not a
//!   failure: writes are refused, reads go on, and writing resumes when there is space.
//! - **Bytes from outside never panic**, and allocate nothing for a length that was only announced.
//! - **Every queue, buffer, cache and list has a limit**, declared beside its type.
//!
//! What is deliberately absent:
//!
//! - no knowledge of versions in [`storage`]: it compares keys, keeps the newest bytes, and asks a filter what may go;
//! - no delete of a key in it either: a deleted key is a record without versions, until nobody needs to be told of it;
//! - no clock, randomness, file, socket or thread outside [`mod@env`], so that a test can lose power at any call;
//! - no async in the engine; on the hot path no task, no channel and no allocation per command but the stored entry;
//! - no global variable but the logger and the allocator; options are handed in;
//! - no eviction: data goes when a client deletes it or its expiry has passed;
//! - no rollback in `EXEC`, as in Redis; no memory maps and no `unsafe`.
//!
//! # Lock order
//!
//! From the outermost to the innermost. No thread that holds one takes another that stands before it.
//!
//! 1. the flush of databases (`replica`, one `FLUSHALL` at a time), then the drop of ranges (`storage/engine/drop.rs`), then
//!    the ledger's writer, which is held across its write to disk;
//! 2. the flusher (`storage/engine/flush.rs`): flush thread, `freeze`, and the spare file;
//! 3. shards, several in ascending order: a shard's mutex is the lock of its keys;
//! 4. the manifest (`storage/tables.rs`), held across the sync of an edit and never together with a shard;
//! 5. the log: syncing, then writer, then files or buffer; under a shard only the buffer is taken;
//! 6. innermost, one at a time: the list of connections, the texts of a client, the slow log, the last error, the parts of
//!    the block cache, the list of open tables, what gossip knows, the set of peers, one peer's queue and requests and
//!    inside that its round trips, the accounts, the queue and the marks of `hints` (the accounts under a shard too), and
//!    under any of them the list of files to remove.
//!
//! # Glossary
//!
//! - **slot**: one of 16,384 classes of keys, by CRC-16 of the key or of its `{tag}`, as in Redis Cluster.
//! - **arc**: a run of neighbouring slots; what a node owns, moves and repairs, and here the part of memory with one lock.
//! - **ring**: all arcs in order, each with its owners. With one node it has one owner.
//! - **pair**: a key of a database with its value, as a client sees it.
//! - **cell**: what is versioned, addressed by database, key and path. A string is the cell whose path is empty.
//! - **incarnation**: one life of a node, raised durably at each start; **actor**: a node in one incarnation.
//! - **dot**: the name of one write: its actor and its **time**, hybrid of wall clock and counter. No dot is used twice.
//! - **context**: which writes are known: for each actor the greatest time. It **covers** the dots up to there.
//! - **version**: what one write left: dot, payload, perhaps an expiry. **record**: a context and the versions alive.
//! - **topology**: what the nodes have agreed on: members, holders of each arc, flush times. **epoch**: its number.
//! - **keeper**: a node that votes on the next topology. **candidate**: a node that is no member yet.
//! - **siblings**: two or more versions in one record; the **winner**, greatest by time and actor, is what `GET` shows.
//! - **tombstone**: a record without versions. **purge floor**: the time up to which every replica is known to have a delete.
//! - **operation**: one thing asked of the replica; **outcome**: what came of it; **batch**: those of the requests that
//!   had arrived together; **arena**: the bytes that the outcomes of a batch point into.
//! - **coordinator**: carries out a batch; **replica**: holds records; **reactor**: one runtime on one thread.
//! - **stamp**: a position in the log. **appended**, **written**, **synced**: how far the log is in memory, in the operating
//!   system, on the device. **durable**: written or synced, as the mode says.
//! - **generation**: what is logged and kept in memory from one freeze to the next; it has one **segment**, a file of the log.
//! - **shard**: an arc's part of the **memtable**, entries in memory; **frozen**: complete and waiting for its flush.
//! - **table**: a sorted file; **run**: tables that do not overlap; **view**: all runs at one moment.
//! - **note**: what a log record changes in counters; **tally**: an arc's counters, the sum of its notes.
//! - **warm**, **cold**: whether a key's record is known without a device.
//!
//! # The life of a GET
//!
//! | | file | what happens |
//! | --- | --- | --- |
//! | 1 | `server/connection.rs` | bytes arrive; only now the connection is lent buffers |
//! | 2 | `resp/scanner.rs` | finds the request; its arguments are ranges of the input |
//! | 3 | `server/execute.rs` | gathers the batch: known command, logged in, in a transaction? |
//! | 4 | `command/lookup.rs` | from the name to the table's entry, and the check of the arity |
//! | 5 | `command/strings.rs` | plans [`replica::Action::Read`] |
//! | 6 | `coordinator/mod.rs` | carries operations out in order until one has to wait |
//! | 7 | `replica/apply.rs` | makes the engine's key, which `replica/key.rs` lays out |
//! | 8 | `replica/site.rs` | asks the engine and looks at the record |
//! | 9 | `storage/engine/read.rs` | locks the shard and looks into memory |
//! | 10 | `storage/view.rs` | else: the runs, newest first; filter, index and block from cache, or the page cache |
//! | 11 | `causality/record.rs` | the winner, flushed and expired versions aside; its payload goes to the arena |
//! | 12 | `resp/reply.rs` | the finish in `strings.rs` writes the bulk |
//! | 13 | `coordinator/commit.rs` | waits if the record that was shown is not durable yet |
//! | 14 | `server/connection.rs` | sends, and goes on reading meanwhile |
//!
//! If step 10 needs a device the answer is `Cold`. Then the coordinator has one job of the pool fetch the cold keys of all
//! the operations ahead ([`storage::Engine::fetch`]), sorted, with no lock held, and tries again. What was fetched counts
//! only while the view is the same.
//!
//! # The life of a SET
//!
//! Steps 1 to 4 are the same; the plan is [`replica::Action::Write`].
//!
//! | | file | what happens |
//! | --- | --- | --- |
//! | 5 | `coordinator/mod.rs` | as above |
//! | 6 | `replica/apply.rs` | engine key; is the pair within the limit? |
//! | 7 | `storage/engine/write.rs` | are writes let in? locks the shard, finds the old record as a read does |
//! | 8 | `replica/site.rs` | under the lock: decides on the new record, counts what changes |
//! | 9 | `causality/clock.rs` | a time after all that the record covers: the dot |
//! | 10 | `causality/write.rs` | the new version in the place of what the record covers |
//! | 11 | `causality/plan.rs` | encodes the record behind its key, in one allocation of the exact size |
//! | 12 | `storage/log/buffer.rs` | appends note, key and record; that gives the stamp |
//! | 13 | `storage/memtable/tree.rs` | the entry replaces the old one in memory; the lock goes |
//! | 14 | `command/strings.rs` | writes `+OK` into the output |
//! | 15 | `coordinator/commit.rs` | waits until the stamp is durable |
//! | 16 | `storage/log/mod.rs` | makes one frame of what has gathered, from all connections, and writes it |
//! | 17 | `storage/engine/commit.rs` | at `sync`: the commit thread syncs it and tells each reactor once |
//! | 18 | `server/connection.rs` | sends |
//!
//! # What several nodes add
//!
//! A node of a cluster carries a batch out in rounds of messages, for all of its operations together:
//!
//! | | file | what happens |
//! | --- | --- | --- |
//! | 1 | `server/replicated.rs` | commands that another member has to coordinate go there, neighbours in one message |
//! | 2 | `coordinator/replicated/ask.rs` | writes ask a majority what it has seen, reads R members what they hold |
//! | 3 | `coordinator/member.rs` | a member answers, once what it shows is durable |
//! | 4 | `coordinator/replicated/mod.rs` | reads are answered from what the members hold together; writes are done here |
//! | 5 | `coordinator/replicated/spread.rs` | the records that were written go to all other members |
//! | 6 | `replica/member.rs` | which merge them; W acknowledgements answer the client, the rest is followed up |
//!
//! How many answers suffice is decided by the plain values of [`quorum`], who holds what by the [`ring`], which ring holds by
//! [`topology`], over [`paxos`]. [`peer`] carries the frames of [`wire`].
//!
//! Later the generation is full, and `storage/engine/flush.rs` writes it into tables and removes its segment.
//! `storage/compaction` merges tables into fewer and larger ones. Neither is waited for, unless memory is full of
//! generations that wait or level 0 of runs: then writes get `Stalled` and wait in the coordinator.
//!
//! # Durability
//!
//! | mode | a reply waits until the log is | an acknowledged write may be lost by |
//! | --- | --- | --- |
//! | `sync` | on the device; one sync serves all who wait | nothing but the loss of the device |
//! | `everysec` | in the operating system, synced each second or 4 MB | power loss: about the last second |
//! | `none` | in the operating system | power loss: what the system had not written by itself |
//!
//! The death of the process loses nothing acknowledged in any mode. What survives is a prefix of what was appended, so a
//! loss never reorders writes. Tables, the manifest, the ledger, `FLUSHALL` and an orderly stop are synced in every mode.
//! A frame says what was durable when it was written: damage below that is reported and ends the start, damage above it is
//! a torn tail and cut.
//!
//! # Where formats stand
//!
//! Each beside the code that reads and writes it, with a diagram: the engine's keys `replica/key.rs`; records
//! `causality/format.rs`; the log `storage/log/format.rs`, its notes `storage/note.rs`; tables `storage/table/format.rs`; the
//! manifest `storage/manifest/format.rs`; the topology `ring/format.rs`; counters `storage/tally.rs`; the ledger
//! `ledger/format.rs`; messages between nodes `wire/format.rs`; what `DUMP` answers `command/dump/payload.rs`. `tests/data/`
//! has golden files, which a change of format must not alter but add to.
//!
//! # How to test
//!
//! 1. *Units*, at the end of the file or in `tests.rs` beside it: `cargo test --lib storage::log`.
//! 2. *Conformance*: one suite per trait, run on each implementation (`env/conformance.rs`).
//! 3. *Simulation*: a machine in memory ([`mod@env::memory`]) that loses power, fills up and breaks by seed; `tests/engine`
//!    crashes the store on it after every call. `tests/cluster` has whole nodes on such machines, in one thread, on a network
//!    and in a time that the seed decides too.
//! 4. *Real processes*: `tests/redis` over TCP; `compat/run` with stock clients, beside a real Redis, and under `kill -9`.
//!
//! `tests/fuzz` throws bytes at all that reads; `tests/tidy.rs` holds the house rules. `.ci/run` runs everything. A test has
//! to be able to fail: break what it guards once and see it.
//!
//! # Where to start
//!
//! - **A new command**: one entry in the list of its family in `src/command/`, with a plan and a finish; `strings.rs` shows
//!   how. What depends on the old value is a plain function in [`replica::Action::Change`]. `COMMAND`, arity, key positions
//!   and routing follow from the entry. Then a case in `tests/redis` and the words for the sequences of `compat/`.
//! - **A new setting**: one entry in the table of [`config`]; flag, variable, file and `CONFIG GET` follow. [`node`] hands
//!   the value to the `Options` of its module. If it is read while commands run, it is one of [`command::Tunables`].
//! - **A new metric**: count it in the module that knows it, as a plain atomic; add it to what that module tells of itself
//!   (such as [`storage::Stats`]), from where [`node`] puts it into [`command::Status`] for `INFO` and the HTTP endpoint;
//!   its name and help go into [`metrics`].

// Layer 0: words, byte encodings, metric names.
pub mod codec;
pub mod metrics;
pub mod types;

// Layer 1: the door to the machine; background work.
pub mod env;
pub mod worker;

// Layer 2: pure values without clock, IO or async.
pub mod causality;
pub mod membership;
pub mod paxos;
pub mod quorum;
pub mod ring;

// Layer 3: the engine, the protocol, the durable facts.
pub mod ledger;
pub mod resp;
pub mod storage;
pub mod wire;

// Layer 4: a node's local truth.
pub mod hints;
pub mod peer;
pub mod replica;

// Layer 5: who is up, what makes replicas alike again, what the nodes agree on.
pub mod gossip;
pub mod repair;
pub mod topology;

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
