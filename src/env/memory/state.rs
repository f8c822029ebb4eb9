//! The one state behind a memory disk and its open files: names, bytes, locks, and what is to go wrong when.
//!
//! Invariant: every call is admitted here first; what fails or loses power, and how, follows from the seed and the order
//! of calls alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rand::RngExt as _;

use crate::env::failure::failed;
use crate::env::memory::inode::Inode;
use crate::env::memory::operation::{Fault, Operation, OperationKind, Rule};
use crate::env::memory::random::Generator;
use crate::env::memory::survival::Survival;
use crate::env::memory::tree::{Tree, normal};

/// Whether reads that must not wait find their bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// Every time.
    Always,
    /// Not once.
    Never,
    /// Half of the time, by seed.
    Seeded,
}

/// What is left of a disk's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// The next life may be taken from here.
    Lost,
    /// The next life has begun elsewhere.
    Gone,
}

/// How one admitted call goes on.
enum Turn {
    Go,
    Fail(Fault),
    /// The power goes while the call is under way.
    LosePower,
}

/// A file's bytes may not pass this: a stray offset must not take the test's memory.
const FILE_LIMIT: u64 = 1 << 32;

/// A call about to be made: what, on which path as the caller wrote it, and how to tell that it failed.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) kind: OperationKind,
    pub(crate) path: &'a Path,
    pub(crate) tried: &'static str,
}

pub(crate) struct State {
    generator: Generator,
    power: Power,
    operations: u64,
    changes: u64,
    next_inode: u64,
    pub(crate) crash_at: Option<u64>,
    pub(crate) fail_at: Option<(u64, Fault)>,
    pub(crate) rule: Option<Rule>,
    pub(crate) capacity: Option<u64>,
    pub(crate) cached: Cached,
    pub(crate) tree: Tree,
    pub(crate) locked: BTreeSet<PathBuf>,
    inodes: BTreeMap<u64, Inode>,
}

impl State {
    pub(crate) fn new(generator: Generator) -> Self {
        State {
            generator,
            power: Power::On,
            operations: 0,
            changes: 0,
            next_inode: 0,
            crash_at: None,
            fail_at: None,
            rule: None,
            capacity: None,
            cached: Cached::Seeded,
            tree: Tree::default(),
            locked: BTreeSet::new(),
            inodes: BTreeMap::new(),
        }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn is_on(&self) -> bool {
        self.power == Power::On
    }

    // ---- Calls ----

    /// A call that changes nothing.
    pub(crate) fn ask<T>(&mut self, call: Call<'_>, answer: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.change(call, answer, |_| {})
    }

    /// A call that takes effect at once and lasts once it is synced; `fail` is what a failing one does nevertheless.
    pub(crate) fn change<T>(
        &mut self,
        call: Call<'_>,
        effect: impl FnOnce(&mut State) -> io::Result<T>,
        fail: impl FnOnce(&mut State),
    ) -> io::Result<T> {
        let told = |source: io::Error| failed(call.tried, call.path, source);
        match self.admit(call.kind, call.path).map_err(told)? {
            Turn::Go => effect(self).map_err(told),
            Turn::Fail(fault) => {
                fail(self);
                Err(told(fault.error()))
            }
            Turn::LosePower => {
                // A sync under way has promised nothing yet; anything else may or may not have got to the device.
                if !matches!(call.kind, OperationKind::Sync | OperationKind::SyncDir) {
                    let _ = effect(self);
                }
                self.power = Power::Lost;
                Err(told(no_power()))
            }
        }
    }

    fn admit(&mut self, kind: OperationKind, path: &Path) -> io::Result<Turn> {
        if !self.is_on() {
            return Err(no_power());
        }
        let index = self.operations;
        self.operations += 1;
        if kind.is_change() {
            self.changes += 1;
            if self.crash_at == Some(self.changes - 1) {
                return Ok(Turn::LosePower);
            }
        }
        let chosen = self.fail_at.filter(|(at, _)| *at == index).map(|(_, fault)| fault);
        let ruled = self.rule.as_mut().and_then(|rule| rule(&Operation { index, kind, path: &normal(path) }));
        Ok(chosen.or(ruled).map_or(Turn::Go, Turn::Fail))
    }

    // ---- Files ----

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.tree.add_file(path, self.next_inode)?;
        self.next_inode += 1;
        self.inodes.insert(self.next_inode - 1, Inode::default());
        Ok(self.next_inode - 1)
    }

    /// Counts a handle of the file, which keeps its bytes without a name.
    pub(crate) fn hold(&mut self, inode: u64) {
        self.inode(inode).handles += 1;
    }

    pub(crate) fn release(&mut self, inode: u64) {
        // The file of an earlier life is gone without its handles.
        if let Some(file) = self.inodes.get_mut(&inode) {
            file.handles -= 1;
            self.forget_unreachable();
        }
    }

    pub(crate) fn forget_unreachable(&mut self) {
        let reachable = self.tree.reachable();
        self.inodes.retain(|inode, file| file.handles > 0 || reachable.contains(inode));
    }

    /// # Panics
    /// If the file is not there: names and handles keep theirs.
    pub(crate) fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("a name or a handle keeps the file")
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        let named: BTreeSet<u64> = self.tree.files().map(|(_, inode)| inode).collect();
        let taking = self.inodes.iter().filter(|(inode, file)| file.handles > 0 || named.contains(inode));
        taking.map(|(_, file)| file.reserved()).sum()
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(self.used_bytes()))
    }

    /// Writes all, or what there is room for and an error.
    pub(crate) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > FILE_LIMIT {
            return Err(rustix::io::Errno::FBIG.into());
        }
        let room = self.inode(inode).reserved().saturating_add(self.free_bytes());
        if end <= room {
            self.inode(inode).write(bytes, offset);
            return Ok(());
        }
        let fits = room.saturating_sub(offset) as usize;
        self.inode(inode).write(&bytes[..fits], offset);
        Err(Fault::Full.error())
    }

    /// What a failing write gets done: any first part of it.
    pub(crate) fn write_part(&mut self, inode: u64, bytes: &[u8], offset: u64) {
        let count = self.generator.random_range(0..=bytes.len());
        // The call fails anyway.
        let _ = self.write(inode, &bytes[..count], offset);
    }

    pub(crate) fn reserve(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        let more = bytes.saturating_sub(self.inode(inode).reserved());
        if bytes > FILE_LIMIT || more > self.free_bytes() {
            return Err(Fault::Full.error());
        }
        self.inode(inode).reserve(bytes);
        Ok(())
    }

    pub(crate) fn truncate(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        if bytes > FILE_LIMIT {
            return Err(rustix::io::Errno::FBIG.into());
        }
        self.inode(inode).truncate(bytes);
        Ok(())
    }

    pub(crate) fn fail_sync(&mut self, inode: u64) {
        let file = self.inodes.get_mut(&inode).expect("a handle keeps the file");
        file.fail_sync(&mut self.generator);
    }

    pub(crate) fn is_cached(&mut self) -> bool {
        match self.cached {
            Cached::Always => true,
            Cached::Never => false,
            Cached::Seeded => self.generator.random_bool(0.5),
        }
    }

    // ---- The next life ----

    /// The disk as the next process finds it after this one was killed: everything written is there.
    pub(crate) fn after_kill(&mut self) -> State {
        assert!(self.power != Power::Gone, "the next life of this disk has begun already");
        let mut next = State::new(self.generator.clone());
        std::mem::swap(&mut next.tree, &mut self.tree);
        std::mem::swap(&mut next.inodes, &mut self.inodes);
        self.power = Power::Gone;
        self.locked.clear();
        (next.next_inode, next.capacity, next.cached) = (self.next_inode, self.capacity, self.cached);
        next.inodes.values_mut().for_each(|file| file.handles = 0);
        next.forget_unreachable();
        next
    }

    /// The disk as the next start finds it after a loss of power.
    pub(crate) fn after_power_loss(&mut self, survival: Option<Survival>) -> State {
        let mut next = self.after_kill();
        let State { tree, inodes, generator, .. } = &mut next;
        let draw = |generator: &mut Generator| survival.unwrap_or_else(|| Survival::draw(generator));
        let names = draw(generator);
        tree.lose_power(names, generator);
        for file in inodes.values_mut() {
            let bytes = draw(generator);
            file.lose_power(bytes, generator);
        }
        next.forget_unreachable();
        next
    }
}

fn no_power() -> io::Error {
    io::Error::other("the machine has lost power")
}
