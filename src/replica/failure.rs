//! Why an operation was not carried out, by what its caller tells the client.

use std::sync::Arc;

use crate::causality::PlanError;
use crate::ledger;
use crate::storage;

/// An operation that had no effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The record already holds as many concurrent values as a write may leave.
    #[error("the key has too many concurrent values")]
    Siblings,
    /// The record cannot take the write.
    #[error("{0}")]
    Record(PlanError),
    /// Key and value are longer than allowed.
    #[error("value of {bytes} bytes exceeds max-pair-bytes ({limit})")]
    PairTooLarge {
        /// Length of key and value.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The store stayed without room.
    #[error("the disk cannot keep up: waited {waited_ms} ms for room in memory")]
    Busy {
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// Too few replicas can be reached; nothing was done.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// Too few replicas answered in time.
    #[error("{0}")]
    TimedOut(Arc<str>),
    /// A list of keys would be longer than allowed.
    #[error("more than {limit} keys")]
    TooManyKeys {
        /// What is allowed.
        limit: usize,
    },
    /// A list of keys would be larger than a reply may be.
    #[error("more than {limit} bytes of keys")]
    TooManyKeyBytes {
        /// What is allowed.
        limit: usize,
    },
    /// The engine or the ledger failed.
    #[error("{0}")]
    Storage(Arc<str>),
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Stopping,
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        Failure::Storage(error.to_string().into())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Siblings => Failure::Siblings,
            error => Failure::Record(error),
        }
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        Failure::Storage(error.to_string().into())
    }
}
