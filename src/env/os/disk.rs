//! Files of the machine by position: `pread`, `pwrite`, `preadv2`, `fdatasync`, `fallocate`.
//!
//! Invariant: every error names the path and what was tried, and keeps the kind of the kernel's error.
//! Left out: memory maps (a failed read would be a signal, and no simulation can stand in) and direct IO.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this is the disk the rest of the crate is handed"
)]

use std::io::{self, ErrorKind, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::env::failure::failed;
use crate::env::{Advice, Disk, File, FileLock, OpenMode};

/// How much is written at once where space must be reserved by writing zeros.
const ZEROS: usize = 1 << 20;

/// The machine's directory tree.
#[derive(Clone, Copy, Debug)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut options = std::fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true),
            OpenMode::CreateNew => options.read(true).write(true).create_new(true),
        };
        let file = options.open(path).map_err(|error| failed("open", path, error))?;
        Ok(Box::new(OsFile { file, path: path.to_owned(), waits: AtomicBool::new(false) }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(dir)? {
                // A name that is no UTF-8 is none of ours.
                names.extend(entry?.file_name().into_string());
            }
            names.sort_unstable();
            Ok(names)
        };
        read().map_err(|error| failed("list", dir, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to).map_err(|error| failed("rename", from, error))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to).map_err(|error| failed("link", from, error))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path).map_err(|error| failed("remove", path, error))
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir).map_err(|error| failed("make the directory", dir, error))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The parent of a one-part relative path is the empty path, which names the current directory.
        let opened = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let sync = || std::fs::File::open(opened)?.sync_all();
        sync().map_err(|error| failed("sync the directory", dir, error))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| failed("open", path, error))?;
        // `flock` belongs to this opening of the file, so that a second guard of the same process is refused too.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed("lock", path, error))?;
        Ok(Box::new(OsLock { _file: file }))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir).map_err(|error| failed("ask the free space of", dir, error))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Closing the file releases the lock.
struct OsLock {
    _file: std::fs::File,
}

impl FileLock for OsLock {}

struct OsFile {
    file: std::fs::File,
    path: PathBuf,
    /// The filesystem cannot tell what is cached: every read may wait.
    waits: AtomicBool,
}

impl OsFile {
    fn failed(&self, tried: &'static str, source: impl Into<io::Error>) -> io::Error {
        failed(tried, &self.path, source)
    }

    /// For filesystems without `fallocate`: what is written is reserved.
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut at = from;
        while at < to {
            let count = (to - at).min(ZEROS as u64);
            self.file.write_all_at(&zeros[..count as usize], at)?;
            at += count;
        }
        Ok(())
    }
}

impl File for OsFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset).map_err(|error| self.failed("read", error))
    }

    fn read_if_cached(&self, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
        let mut done = 0;
        while done < bytes.len() {
            if self.waits.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let rest = &mut [IoSliceMut::new(&mut bytes[done..])];
            match preadv2(&self.file, rest, offset + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Err(self.failed("read", ErrorKind::UnexpectedEof)),
                Ok(count) => done += count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.waits.store(true, Ordering::Relaxed),
                Err(error) => return Err(self.failed("read", error)),
            }
        }
        Ok(true)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|error| self.failed("write to", error))
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let length = self.len()?;
        if bytes == 0 {
            return Ok(());
        }
        let reserved = match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(length, bytes),
            other => other.map_err(io::Error::from),
        };
        reserved.map_err(|error| {
            // A disk that filled up half-way may have grown the file; the first error is the one worth telling.
            let _ = self.file.set_len(length);
            self.failed("reserve space for", error)
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes).map_err(|error| self.failed("truncate", error))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| self.failed("sync", error))
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|data| data.len()).map_err(|error| self.failed("ask the length of", error))
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) {
        let advice = match advice {
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
        };
        if let Some(bytes) = NonZeroU64::new(bytes) {
            // Only a hint: a filesystem that refuses it loses nothing but speed.
            let _ = rustix::fs::fadvise(&self.file, offset, Some(bytes), advice);
        }
    }
}
