//! What can go wrong in the engine, by what the caller does about it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file's bytes are not what was written.
    #[error("{path} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// Another process has the data directory open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file was written by a later release.
    #[error("{path} has format version {version}, this release reads up to {supported}")]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The newest version that this release reads.
        supported: u32,
    },
    /// The disk is full; nothing was changed.
    #[error("no space left for {path}")]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// An earlier failure left the engine unable to write.
    #[error("the engine stopped writing: {reason}")]
    Poisoned {
        /// The earlier failure.
        reason: String,
    },
}

impl Error {
    /// The disk failed on `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Error::Full { path: path.to_owned() };
        }
        Error::Io { path: path.to_owned(), source }
    }

    /// `what` is wrong in `path` at `offset`.
    pub(crate) fn corrupt(path: &Path, offset: u64, what: &'static str) -> Self {
        Error::Corrupt { path: path.to_owned(), offset, what }
    }
}
