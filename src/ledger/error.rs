//! What can go wrong with the ledger, told apart by what the caller does about it.

use std::io;
use std::path::PathBuf;

use crate::types::Incarnation;

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused; the file is as it was, and the same may be tried again.
    #[error("ledger: {source}")]
    Io {
        /// The machine's error, which names the path.
        #[from]
        source: io::Error,
    },
    /// A write failed at a moment after which nobody knows which facts the disk has: the process has to stop, and to read
    /// them again.
    #[error("ledger {path}: a write failed half way, so the node has to be restarted: {source}", path = path.display())]
    Undecided {
        /// The file.
        path: PathBuf,
        /// The machine's error.
        source: io::Error,
    },
    /// A write failed so before this one.
    #[error("ledger {path}: takes no more writes since one failed half way; restart the node", path = path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("ledger {path} is damaged at offset {offset}: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
        /// What is wrong there.
        what: String,
    },
    /// The file was written by a later version of Annulus.
    #[error("ledger {path} has format {version}, this version reads up to {known}", path = path.display())]
    Future {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        version: u32,
        /// Latest format that can be read.
        known: u32,
    },
    /// Another process uses the data directory.
    #[error("the data directory of ledger {path} is in use by another process", path = path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is no ledger to open.
    #[error("there is no ledger {path}", path = path.display())]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// There is a ledger already where one was to be founded.
    #[error("there is a ledger {path} already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The incarnation cannot grow any more: the wall clock was once set to the end of time.
    #[error("ledger {path}: no incarnation is left after {incarnation}", path = path.display(), incarnation = incarnation.0)]
    NoIncarnationLeft {
        /// The file.
        path: PathBuf,
        /// The last one.
        incarnation: Incarnation,
    },
    /// The facts do not fit the largest file.
    #[error("ledger {path}: {bytes} bytes are more than the {limit} allowed", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that it has, or would have.
        bytes: u64,
        /// Bytes allowed.
        limit: usize,
    },
}
