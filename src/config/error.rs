//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default.
    Default,
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
    },
    /// In an environment variable.
    Variable(String),
    /// In a flag.
    Flag(String),
    /// By `CONFIG SET`.
    Command,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { path, line } => write!(f, "{}:{line}", path.display()),
            Place::Variable(name) => write!(f, "variable {name}"),
            Place::Flag(name) => write!(f, "flag --{name}"),
            Place::Command => f.write_str("CONFIG SET"),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{place}: {what}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong there.
        what: String,
    },
    /// There is no such setting.
    #[error("{place}: there is no setting `{name}`{}; `annulus config --print` shows all", meant(*.suggestion))]
    Unknown {
        /// Where it was given.
        place: Place,
        /// Its name.
        name: String,
        /// The name that is likely meant.
        suggestion: Option<&'static str>,
    },
    /// The value is not allowed.
    #[error("{place}: `{name}` cannot be {value:?}; allowed: {allowed}")]
    Value {
        /// Where it was given.
        place: Place,
        /// The setting.
        name: &'static str,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Values that are allowed one by one do not go together, or not with this version.
    #[error("{place}: `{name}`: {what}")]
    Unfit {
        /// Where the setting was given.
        place: Place,
        /// The setting to change.
        name: &'static str,
        /// What does not go together.
        what: String,
    },
}

fn meant(suggestion: Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}
