//! A disk in memory that loses power, fills up, breaks and decays on request.
//!
//! Clones share the disk; [`MemoryDisk::crash`] and [`MemoryDisk::kill`] give the disk as the next start finds it, and every
//! call on the old one, its clones and its open files fails from then on, as those of a dead process would.
//!
//! Invariant: only synced bytes and synced names surely outlive a crash. The fates of the others are independent, file by
//! file and names apart from bytes: nothing, everything, a prefix, a prefix with a torn write, or any sectors at all.
//! Invariant: the same seed and the same calls give the same disk.
//! Left out: access rights, symbolic links, time stamps, slow devices.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::env::memory::operation::{Fault, Operation, OperationKind};
use crate::env::memory::random::generator;
use crate::env::memory::state::{Cached, Call, State};
use crate::env::memory::survival::Survival;
use crate::env::memory::tree::normal;
use crate::env::{Advice, Disk, File, FileLock, OpenMode};

/// One life of a simulated disk: from a start of the machine to its next crash. Made with the root directory alone.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    /// An empty disk of unlimited size, whose cached reads succeed half of the time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        MemoryDisk::from(State::new(generator(seed)))
    }

    fn from(state: State) -> Self {
        MemoryDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    // ---- What goes wrong ----

    /// Lets files take `bytes` in all, reserved space included; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Says what reads that must not wait find.
    pub fn set_cached(&self, cached: Cached) {
        self.state().cached = cached;
    }

    /// Loses power during change `change` of this life, counted from 0 as [`MemoryDisk::changes`] does: that call and all
    /// later ones fail, and [`MemoryDisk::crash`] gives the disk that is left.
    pub fn crash_at(&self, change: u64) {
        self.state().crash_at = Some(change);
    }

    /// Fails call `operation` of this life, counted from 0 as [`MemoryDisk::operations`] does.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().fail_at = Some((operation, fault));
    }

    /// Fails every call for which `rule` says how; it must not use the disk. Replaces the rule before.
    pub fn fail_where(&self, rule: impl FnMut(&Operation<'_>) -> Option<Fault> + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// Ends what [`MemoryDisk::fail_at`] and [`MemoryDisk::fail_where`] began.
    pub fn heal(&self) {
        let mut state = self.state();
        (state.fail_at, state.rule) = (None, None);
    }

    /// Turns bit `bit` of the file over (bit 8 is the lowest of the second byte), synced bytes and all.
    ///
    /// # Panics
    /// If there is no such file or bit.
    pub fn flip_bit(&self, path: &Path, bit: u64) {
        let mut state = self.state();
        let inode = state.tree.file(&normal(path)).expect("the file to damage is there");
        state.inode(inode).flip_bit(bit);
    }

    // ---- What there is ----

    /// Calls of this life so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations()
    }

    /// Calls of this life so far that may have changed the disk; a crash in between two of them is the same crash.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes()
    }

    /// Whether power was lost or the next life has begun.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        !self.state().is_on()
    }

    /// Space that files take, those without a name but with a handle included.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Paths of all files, from the root and without a leading slash, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().tree.files().map(|(path, _)| path.to_owned()).collect()
    }

    // ---- The next life ----

    /// Loses power now, if [`MemoryDisk::crash_at`] has not done so, and gives the disk that the next start finds: limits
    /// stay, counts begin at 0, nothing is locked and no fault is waiting.
    ///
    /// # Panics
    /// If this life has been followed by another already.
    #[must_use]
    pub fn crash(&self) -> MemoryDisk {
        MemoryDisk::from(self.state().after_power_loss(None))
    }

    /// As [`MemoryDisk::crash`], with one outcome for all names and all files.
    ///
    /// # Panics
    /// If this life has been followed by another already.
    #[must_use]
    pub fn crash_with(&self, survival: Survival) -> MemoryDisk {
        MemoryDisk::from(self.state().after_power_loss(Some(survival)))
    }

    /// Ends the process (`kill -9`) and not the machine: all that was written is still there, synced or not.
    ///
    /// # Panics
    /// If this life has been followed by another already.
    #[must_use]
    pub fn kill(&self) -> MemoryDisk {
        MemoryDisk::from(self.state().after_kill())
    }

    /// A call on `path` that changes names.
    fn change<T>(&self, call: Call<'_>, effect: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.state().change(call, effect, |_| {})
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let kind = if mode == OpenMode::CreateNew { OperationKind::Create } else { OperationKind::Open };
        let inode = self.change(Call { kind, path, tried: "open" }, |state| {
            let inode = match mode {
                OpenMode::CreateNew => state.create(&normal(path))?,
                OpenMode::Read | OpenMode::ReadWrite => state.tree.file(&normal(path))?,
            };
            state.hold(inode);
            Ok(inode)
        })?;
        Ok(Box::new(MemoryFile { state: Arc::clone(&self.state), path: path.to_owned(), inode, mode }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let call = Call { kind: OperationKind::List, path, tried: "list" };
        self.state().ask(call, |state| state.tree.list(&normal(path)))
    }

    fn rename(&self, path: &Path, to: &Path) -> io::Result<()> {
        self.change(Call { kind: OperationKind::Rename, path, tried: "rename" }, |state| {
            state.tree.rename(&normal(path), &normal(to))?;
            state.forget_unreachable();
            Ok(())
        })
    }

    fn link(&self, path: &Path, to: &Path) -> io::Result<()> {
        let call = Call { kind: OperationKind::Link, path, tried: "link" };
        self.change(call, |state| {
            let inode = state.tree.file(&normal(path))?;
            state.tree.add_file(&normal(to), inode)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let call = Call { kind: OperationKind::Remove, path, tried: "remove" };
        self.change(call, |state| state.tree.remove(&normal(path)))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let call = Call { kind: OperationKind::MakeDir, path, tried: "make the directory" };
        self.change(call, |state| state.tree.add_directories(&normal(path)))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(Call { kind: OperationKind::SyncDir, path, tried: "sync the directory" }, |state| {
            state.tree.sync(&normal(path))?;
            state.forget_unreachable();
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let name = normal(path);
        self.change(Call { kind: OperationKind::Lock, path, tried: "lock" }, |state| {
            match state.tree.file(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound => state.create(&name)?,
                other => other?,
            };
            if state.locked.insert(name.clone()) { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
        })?;
        Ok(Box::new(MemoryLock { state: Arc::clone(&self.state), path: name }))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let call = Call { kind: OperationKind::FreeBytes, path, tried: "ask the free space of" };
        self.state().ask(call, |state| Ok(state.free_bytes()))
    }
}

struct MemoryLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl FileLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.state.lock().locked.remove(&self.path);
    }
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    inode: u64,
    mode: OpenMode,
}

impl MemoryFile {
    fn call(&self, kind: OperationKind, tried: &'static str) -> Call<'_> {
        Call { kind, path: &self.path, tried }
    }

    fn writable(&self) -> io::Result<()> {
        if self.mode == OpenMode::Read { Err(rustix::io::Errno::BADF.into()) } else { Ok(()) }
    }

    fn copy(&self, state: &mut State, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let source = state.inode(self.inode).bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = source.get(start..start.saturating_add(bytes.len()));
        // A read of nothing succeeds wherever it is.
        let range = range.or(bytes.is_empty().then_some(&[]));
        bytes.copy_from_slice(range.ok_or_else(|| io::Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}

impl File for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let call = self.call(OperationKind::Read, "read");
        self.state.lock().ask(call, |state| self.copy(state, bytes, offset))
    }

    fn read_if_cached(&self, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
        let call = self.call(OperationKind::ReadIfCached, "read");
        self.state.lock().ask(call, |state| {
            if !state.is_cached() {
                return Ok(false);
            }
            self.copy(state, bytes, offset).map(|()| true)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let write = |state: &mut State| {
            self.writable()?;
            state.write(self.inode, bytes, offset)
        };
        let fail = |state: &mut State| state.write_part(self.inode, bytes, offset);
        self.state.lock().change(self.call(OperationKind::Write, "write to"), write, fail)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let reserve = |state: &mut State| {
            self.writable()?;
            state.reserve(self.inode, bytes)
        };
        self.state.lock().change(self.call(OperationKind::Reserve, "reserve space for"), reserve, |_| {})
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let truncate = |state: &mut State| {
            self.writable()?;
            state.truncate(self.inode, bytes)
        };
        self.state.lock().change(self.call(OperationKind::Truncate, "truncate"), truncate, |_| {})
    }

    fn sync(&self) -> io::Result<()> {
        let sync = |state: &mut State| {
            state.inode(self.inode).sync();
            Ok(())
        };
        self.state.lock().change(self.call(OperationKind::Sync, "sync"), sync, |state| state.fail_sync(self.inode))
    }

    fn len(&self) -> io::Result<u64> {
        let call = self.call(OperationKind::Length, "ask the length of");
        self.state.lock().ask(call, |state| Ok(state.inode(self.inode).bytes().len() as u64))
    }

    fn advise(&self, _offset: u64, _bytes: u64, _advice: Advice) {}
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.state.lock().release(self.inode);
    }
}

#[cfg(test)]
mod tests;
