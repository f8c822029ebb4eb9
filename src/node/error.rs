//! Why a node does not start, or stops by itself.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::replica::Failure;
use crate::topology::{self, JoinError};
use crate::{config, ledger, storage};

/// Why a node does not start, or stops by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The data directory is empty, and nobody said what it is to become.
    #[error(
        "the data directory {path} is empty: pass --found to found a new cluster in it (--found 3 for one of three nodes), \
         --join HOST:PORT to be one of the nodes of a founding, or --data DIR with the directory of an existing node",
        path = path.display()
    )]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error(
        "{path} is no data directory of Annulus: it holds `{found}` but no ledger; pass --data DIR with an empty \
         directory, or that of a node",
        path = path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
    /// No cluster takes the node.
    #[error("no member of a cluster: {0}")]
    Join(#[from] JoinError),
    /// The topology cannot be founded, read or adopted.
    #[error("topology: {0}")]
    Topology(#[from] topology::Error),
    /// A cluster on this machine has another number of nodes.
    #[error(
        "{path} has a cluster of {there} nodes: pass --nodes {there} to run it, or --data DIR to found one of {nodes} elsewhere",
        path = path.display()
    )]
    OtherLocal {
        /// Where the cluster is.
        path: PathBuf,
        /// Nodes that it has.
        there: usize,
        /// Nodes that were asked for.
        nodes: u16,
    },
    /// A node of a cluster on this machine did not start.
    #[error("node-{number} has ended ({how}): {said}; its log is {log}", log = log.display())]
    LocalNode {
        /// Which.
        number: u16,
        /// How its process ended.
        how: String,
        /// The last line of its log.
        said: String,
        /// The log.
        log: PathBuf,
    },
    /// An address cannot be listened on.
    #[error("{setting}: {source}")]
    Listen {
        /// The setting that names the address.
        setting: &'static str,
        /// What the machine said.
        source: io::Error,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The ledger is lost, and nobody said that a new one may take its place.
    #[error(
        "the ledger {path} cannot be salvaged: {what}; put a copy of it back, or pass --new-ledger to make the data that of a \
         new cluster of one node",
        path = path.display()
    )]
    LostLedger {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The engine cannot be opened.
    #[error("store: {0}")]
    Storage(#[from] storage::Error),
    /// The store failed.
    #[error("{0}")]
    Replica(#[from] Failure),
    /// The machine refused something else.
    #[error("{tried}: {source}")]
    Machine {
        /// What was tried.
        tried: &'static str,
        /// What the machine said.
        source: io::Error,
    },
    /// The store failed while the node ran; what was acknowledged is kept, the next start recovers it.
    #[error("the store failed, so the node stops; what was acknowledged is found again at the next start: {reason}")]
    Failed {
        /// What the store said.
        reason: String,
    },
}

impl Error {
    /// 2 if the user has to give something else, 1 if the machine or the data is at fault.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Config(_)
            | Error::Empty { .. }
            | Error::Foreign { .. }
            | Error::Join(_)
            | Error::OtherLocal { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}
