//! What one connection has chosen and queued: database, protocol, login, transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::resp::Trust;
use crate::session::levels::Levels;
use crate::session::registry::Client;
use crate::session::transaction::{Queue, WatchList};
use crate::types::Database;

/// Which replies a connection wants (`CLIENT REPLY`). Commands of a transaction change it one after the other, but only
/// the end of `EXEC` is the end of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    are_off: bool,
    skips_this: bool,
    skips_next: bool,
}

impl Replies {
    /// Whether what is replied now is sent.
    #[must_use]
    pub fn are_wanted(self) -> bool {
        !self.are_off && !self.skips_this
    }

    /// From now on all (`ON`).
    pub fn turn_on(&mut self) {
        self.are_off = false;
        self.skips_this = false;
    }

    /// From now on none (`OFF`).
    pub fn turn_off(&mut self) {
        self.are_off = true;
    }

    /// Not that of the next command (`SKIP`).
    pub fn skip_next(&mut self) {
        self.skips_next |= !self.are_off;
    }

    /// As for a new connection, but that a command whose reply is skipped stays without one (`RESET`).
    pub fn reset(&mut self) {
        self.are_off = false;
        self.skips_next = false;
    }

    /// A command of the connection is through.
    pub fn end_command(&mut self) {
        self.skips_this = std::mem::take(&mut self.skips_next);
    }
}

/// One connection's state; owned by the task that serves it.
pub struct Session {
    /// What other connections may see and do: list, kill.
    pub client: Arc<Client>,
    /// Chosen by `SELECT`.
    pub database: Database,
    /// 2 or 3, chosen by `HELLO`.
    pub protocol: u8,
    /// Whether commands other than AUTH, HELLO, QUIT and RESET are allowed.
    pub trust: Trust,
    /// Which replies are sent.
    pub replies: Replies,
    /// Commands queued since `MULTI`.
    pub queue: Option<Queue>,
    /// The levels that commands are carried out at.
    pub levels: Levels,
    /// Keys that `EXEC` compares.
    pub watched: WatchList,
    /// Set by `QUIT` and by errors after which the connection is closed once the reply is sent.
    pub closing: bool,
}

impl Session {
    /// A new connection's state; it is authenticated if no password is asked for.
    #[must_use]
    pub fn new(client: Arc<Client>, trust: Trust) -> Self {
        Session {
            client,
            database: Database(0),
            protocol: 2,
            trust,
            replies: Replies::default(),
            queue: None,
            levels: Levels::default(),
            watched: WatchList::default(),
            closing: false,
        }
    }

    /// Whether the connection has passed authentication, or needs none.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trust == Trust::Authenticated
    }

    /// Chooses a database.
    pub fn select(&mut self, database: Database) {
        self.database = database;
        self.client.database.store(database.0, Ordering::Relaxed);
    }

    /// Chooses the protocol, 2 or 3.
    pub fn set_protocol(&mut self, protocol: u8) {
        self.protocol = protocol;
        self.client.protocol.store(protocol, Ordering::Relaxed);
    }

    /// Back to a fresh connection's state (`RESET`), but for the name of the library.
    pub fn reset(&mut self, trust: Trust) {
        self.discard();
        self.select(Database(0));
        self.set_protocol(2);
        self.levels.reset();
        self.trust = trust;
        self.replies.reset();
        self.client.set_name(String::new());
    }

    /// Drops the queue and the watched keys (`DISCARD`, the end of `EXEC`).
    pub fn discard(&mut self) {
        self.queue = None;
        self.watched = WatchList::default();
        self.note_transaction();
    }

    /// Bytes that a transaction under way holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, Queue::held_bytes) + self.watched.held_bytes()
    }

    /// Shows the queue's and the watch list's length to other connections.
    pub fn note_transaction(&self) {
        let queued = self.queue.as_ref().map_or(-1, |queue| queue.count() as i64);
        self.client.queued.store(queued, Ordering::Relaxed);
        self.client.watched.store(self.watched.count() as u64, Ordering::Relaxed);
    }
}
