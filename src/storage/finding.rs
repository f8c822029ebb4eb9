//! What an inspection of the files finds, as values: each names its file and where in it.

use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The bytes are not what was written, or something that has to be there is missing.
    Damage,
    /// A file that nothing names: the next start removes it.
    Orphan,
    /// What a crash leaves and the next start mends by itself.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// What it is.
    pub what: String,
}

impl Finding {
    /// `what`, of this severity, in `path` at `offset`.
    #[must_use]
    pub fn new(severity: Severity, (path, offset): (&Path, u64), what: impl Into<String>) -> Self {
        Finding { severity, path: path.to_owned(), offset, what: what.into() }
    }
}

/// What is wrong at a place of a file that is known from the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Where.
    pub(crate) offset: u64,
    /// What.
    pub(crate) what: &'static str,
}
