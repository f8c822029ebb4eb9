//! A node's few durable facts in one small file.
//!
//! The file is replaced as a whole: written beside, synced, renamed over, and the directory synced, in every durability
//! mode; `format` has the bytes.
//!
//! Invariant: facts are shown only after they are durable, so that whatever was done because of them survives with them.
//! Invariant: a node's identity never changes; its incarnation, its clock's floor and its flushes never go back.
//! Invariant: a vote about the next topology is durable before it is given, and forgotten only in the step that makes that
//! topology durable.
//! Invariant: one process at a time: a lock on a file beside is held while a handle lives.
//!
//! Lock order: the one mutex of [`Ledger`] is held across the write; readers do not take it.
//!
//! Left out on purpose: when to found or to refuse an empty directory (the caller asks [`Ledger::exists`]), keys and values,
//! what the topology's bytes say.

mod candidate;
mod error;
mod facts;
mod format;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::causality::{Actor, MAX_INCARNATION, Time};
use crate::env::{Disk, FileLock, OpenMode, Random};
use crate::types::{ArcLayout, Incarnation, NodeId, NodeNumber};

pub use crate::types::ClusterId;
pub use candidate::{Candidacy, FILES};
pub use error::Error;
pub use facts::{ArcFacts, Facts, Flush, Membership, Secret, TopologyValue};

/// The file's name in the data directory.
const NAME: &str = "ledger";
/// The file beside it that the next facts are written to; what a crash leaves of it is removed by the next write.
const NEXT_NAME: &str = "ledger.next";
/// The file whose lock keeps other processes away.
const LOCK_NAME: &str = "ledger.lock";

/// The node number of a cluster's founder.
const FOUNDER: NodeNumber = NodeNumber(1);

/// A handle on the durable facts; clones share them.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: Box<dyn FileLock>,
    shown: ArcSwap<Facts>,
    writer: Mutex<Writer>,
}

/// Guarded by the mutex: whose turn it is to write, and whether anybody still may.
struct Writer {
    is_poisoned: bool,
}

impl Ledger {
    /// Whether the data directory `dir` has a ledger.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read; that it does not exist is no error.
    pub fn exists(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
        match disk.list(dir) {
            Ok(names) => Ok(names.iter().any(|name| name == NAME)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the ledger of the data directory `dir`. Before the first dot the incarnation has to be raised.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Locked`], [`Error::Corrupt`], [`Error::Future`], or [`Error::Io`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        if !Ledger::exists(&*disk, dir)? {
            return Err(Error::Missing { path: dir.join(NAME) });
        }
        let lock = take_lock(&*disk, dir)?;
        let facts = read(&*disk, dir)?;
        // A process that was killed between rename and sync leaves facts that this one may see and a loss of power takes
        // back: they have to be durable before they are shown.
        disk.sync_dir(dir)?;
        Ok(Ledger::with(disk, dir, lock, facts))
    }

    /// Makes the ledger of a new node in `dir`, alone in a new cluster whose ring has the arcs of `layout`.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one already, [`Error::Locked`], or [`Error::Io`].
    pub fn found(disk: Arc<dyn Disk>, random: &dyn Random, dir: &Path, layout: ArcLayout) -> Result<Self, Error> {
        let candidacy = Candidacy::begin(disk, random, dir)?;
        let membership = founding_membership(candidacy.id(), random, layout);
        candidacy.become_member(membership)
    }

    /// Writes a ledger of `facts` into the directory `dir`, which has none: a copy of a node's.
    ///
    /// # Errors
    /// [`Error::Exists`] or [`Error::Io`].
    pub fn write_copy(disk: &dyn Disk, dir: &Path, facts: &Facts) -> Result<(), Error> {
        if Ledger::exists(disk, dir)? {
            return Err(Error::Exists { path: dir.join(NAME) });
        }
        let next = dir.join(NEXT_NAME);
        let file = disk.open(&next, OpenMode::CreateNew)?;
        file.write_at(&format::encode(facts), 0)?;
        file.sync()?;
        disk.rename(&next, &dir.join(NAME))?;
        Ok(disk.sync_dir(dir)?)
    }

    fn with(disk: Arc<dyn Disk>, dir: &Path, lock: Box<dyn FileLock>, facts: Facts) -> Self {
        let shown = ArcSwap::from_pointee(facts);
        let writer = Mutex::new(Writer { is_poisoned: false });
        Ledger { inner: Arc::new(Inner { disk, dir: dir.to_owned(), _lock: lock, shown, writer }) }
    }

    /// The facts as they are durable now. Never waits.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        self.inner.shown.load_full()
    }

    /// Whether a write failed half way, so that the process has to stop. Never waits: while a write is under way, `false`.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.inner.writer.try_lock().is_some_and(|writer| writer.is_poisoned)
    }

    /// Changes the facts: makes what `change` leaves durable, then shows it. Waits for the device, unless nothing changes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::TooLarge`] if nothing was changed; [`Error::Undecided`] if that is not known, after which
    /// every change answers [`Error::Poisoned`].
    ///
    /// # Panics
    /// If the change breaks what the module promises of identity, incarnation, clock and flushes.
    pub fn update(&self, change: impl FnOnce(&mut Facts)) -> Result<Arc<Facts>, Error> {
        let mut writer = self.inner.writer.lock();
        let old = self.facts();
        let mut facts = Facts::clone(&old);
        change(&mut facts);
        self.inner.put(&mut writer, &old, facts)
    }

    /// Begins a new life of the node: raises the incarnation above every earlier one, no lower than the wall time `now_ms`,
    /// and gives the actor to write as. At every start, and whenever data of owned arcs was dropped, wiped or salvaged.
    ///
    /// # Errors
    /// Those of [`Ledger::update`]; [`Error::NoIncarnationLeft`].
    pub fn raise(&self, now_ms: u64) -> Result<Actor, Error> {
        let mut writer = self.inner.writer.lock();
        let old = self.facts();
        let last = old.incarnation;
        if last >= MAX_INCARNATION {
            return Err(Error::NoIncarnationLeft { path: self.inner.path(), incarnation: last });
        }
        // A restored image of the disk knows an old incarnation; the wall time lifts it above those used since. A clock that
        // is past the end of time is cut, so that it does not use up all incarnations at once.
        let wall = Time::from_ms(now_ms).wall_ms();
        let mut facts = Facts::clone(&old);
        facts.incarnation = Incarnation((last.0 + 1).max(wall));
        Ok(self.inner.put(&mut writer, &old, facts)?.actor())
    }
}

impl Inner {
    fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// Makes `facts` durable and shows them.
    fn put(&self, writer: &mut Writer, old: &Arc<Facts>, facts: Facts) -> Result<Arc<Facts>, Error> {
        if let Some(what) = facts.contradiction(old) {
            panic!("the ledger was asked for what it never does: {what}");
        }
        if facts == **old {
            return Ok(Arc::clone(old));
        }
        self.replace(writer, &facts)?;
        let facts = Arc::new(facts);
        self.shown.store(Arc::clone(&facts));
        Ok(facts)
    }

    fn replace(&self, writer: &mut Writer, facts: &Facts) -> Result<(), Error> {
        if writer.is_poisoned {
            return Err(Error::Poisoned { path: self.path() });
        }
        let bytes = format::encode(facts);
        if bytes.len() > format::MAX_BYTES {
            let (bytes, limit) = (bytes.len() as u64, format::MAX_BYTES);
            return Err(Error::TooLarge { path: self.path(), bytes, limit });
        }
        let next = self.dir.join(NEXT_NAME);
        self.write_beside(&next, &bytes)?;
        // Up to here the old file is untouched. From here on a failure leaves it open which of the two a restart finds: to
        // go on with either in memory could issue a dot twice, so this process writes no more.
        let renamed = self.disk.rename(&next, &self.path()).and_then(|()| self.disk.sync_dir(&self.dir));
        renamed.map_err(|source| {
            writer.is_poisoned = true;
            Error::Undecided { path: self.path(), source }
        })
    }

    fn write_beside(&self, next: &Path, bytes: &[u8]) -> Result<(), Error> {
        match self.disk.remove(next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = self.disk.open(next, OpenMode::CreateNew)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        Ok(())
    }
}

/// Makes `dir`, and durable the names of all directories that this takes.
fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let is_missing = |path: &&Path| disk.list(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let missing = dir.ancestors().filter(|path| !path.as_os_str().is_empty()).take_while(is_missing).count();
    disk.make_dir(dir)?;
    // At least the parent, even if nothing was missing: a process killed right here has left an unsynced name.
    dir.ancestors().skip(1).take(missing.max(1)).try_for_each(|path| disk.sync_dir(path))?;
    Ok(())
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn FileLock>, Error> {
    disk.lock(&dir.join(LOCK_NAME)).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Error::Locked { path: dir.join(NAME) },
        _ => error.into(),
    })
}

fn read(disk: &dyn Disk, dir: &Path) -> Result<Facts, Error> {
    let path = dir.join(NAME);
    let file = disk.open(&path, OpenMode::Read)?;
    let len = file.len()?;
    let Some(size) = usize::try_from(len).ok().filter(|&size| size <= format::MAX_BYTES) else {
        return Err(Error::TooLarge { path, bytes: len, limit: format::MAX_BYTES });
    };
    let mut bytes = vec![0; size];
    file.read_at(&mut bytes, 0)?;
    format::decode(&bytes).map_err(|flaw| match flaw {
        format::Flaw::Future { version } => Error::Future { path, version, known: format::VERSION },
        format::Flaw::Corrupt { offset, what } => Error::Corrupt { path, offset, what },
    })
}

fn founding_membership(node_id: NodeId, random: &dyn Random, layout: ArcLayout) -> Membership {
    let (mut cluster_id, mut secret) = (ClusterId([0; 20]), Secret([0; 32]));
    random.fill(&mut cluster_id.0);
    random.fill(&mut secret.0);
    Membership { node_id, node_number: FOUNDER, cluster_id, secret, layout, topology: None }
}

#[cfg(test)]
mod tests;
