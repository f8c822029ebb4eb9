//! The calls on a memory disk as values, so that a test can say which of them fails and how.

use std::io;
use std::path::Path;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Opening a file that exists.
    Open,
    /// Opening a file that must not exist yet.
    Create,
    /// Listing a directory.
    List,
    /// Renaming; the path is the old name.
    Rename,
    /// Giving a file a second name; the path is the first.
    Link,
    /// Removing a file.
    Remove,
    /// Making a directory.
    MakeDir,
    /// Making names durable.
    SyncDir,
    /// Taking a lock.
    Lock,
    /// Asking for free space.
    FreeBytes,
    /// Reading.
    Read,
    /// Reading what is cached.
    ReadIfCached,
    /// Writing.
    Write,
    /// Reserving space.
    Reserve,
    /// Setting the length.
    Truncate,
    /// Making data durable.
    Sync,
    /// Asking for the length.
    Length,
}

impl OperationKind {
    /// Whether the call can leave the disk different from before, which makes it worth a crash.
    #[must_use]
    pub fn is_change(self) -> bool {
        !matches!(
            self,
            OperationKind::Open
                | OperationKind::List
                | OperationKind::FreeBytes
                | OperationKind::Read
                | OperationKind::ReadIfCached
                | OperationKind::Length
        )
    }
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// How many calls came before it in this life of the disk.
    pub index: u64,
    /// What it does.
    pub kind: OperationKind,
    /// The path it was asked for, from the root and without a leading slash.
    pub path: &'a Path,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO: the device is broken there. A write may have got part of its way; a failed sync has dropped some of what it
    /// was to make durable, and a later sync will not bring it back.
    Io,
    /// ENOSPC: the disk is full. A write may have got part of its way.
    Full,
}

impl Fault {
    /// The error as the machine would give it.
    pub(crate) fn error(self) -> io::Error {
        let errno = match self {
            Fault::Io => rustix::io::Errno::IO,
            Fault::Full => rustix::io::Errno::NOSPC,
        };
        errno.into()
    }
}

/// The rule that decides call by call whether it fails.
pub(crate) type Rule = Box<dyn FnMut(&Operation<'_>) -> Option<Fault> + Send>;
