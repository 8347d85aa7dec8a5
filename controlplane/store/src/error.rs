//! What can go wrong in the store, and what a human does about it.
//!
//! Must hold: every error that follows from the disk is sticky (R7): [`Failure`] keeps the first one, and each later
//! operation of any part of the store answers with it. Errors are values that can be cloned, because one failed
//! write is reported to every caller in its batch. Does not decide to stop the process: the raft layer does.

use crate::marker::MarkerError;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The cause of an error, shared between everyone who is told.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// An error of the operating system and the file or directory that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
struct At {
    path: PathBuf,
    /// Not its source: it is told in the one sentence.
    error: std::io::Error,
}

/// `error` and its causes in one line, for those who see only the line.
fn in_full(error: &StoreError) -> String {
    match error {
        StoreError::Io { source, .. }
        | StoreError::Engine { source, .. }
        | StoreError::Full { source, .. } => format!("{error}: {source}"),
        StoreError::Marker(source) => format!("{error}: {source}"),
        StoreError::Locked { .. }
        | StoreError::Damaged { .. }
        | StoreError::Failed { .. }
        | StoreError::Closed
        | StoreError::NotContiguous { .. }
        | StoreError::Purged { .. }
        | StoreError::TooLarge { .. } => error.to_string(),
    }
}

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process (or another handle in this one) has the data directory open.
    #[error("data directory {} is in use by another process", path.display())]
    Locked {
        /// The data directory.
        path: Arc<PathBuf>,
    },
    /// The operating system refused a file operation.
    #[error("file operation failed while {doing}")]
    Io {
        /// What the store was doing.
        doing: &'static str,
        /// The system's error.
        #[source]
        source: Cause,
    },
    /// The storage engine reported an error.
    #[error("storage engine failed while {doing}")]
    Engine {
        /// What the store was doing.
        doing: &'static str,
        /// The engine's error.
        #[source]
        source: Cause,
    },
    /// No space left on the device, or over the disk quota.
    #[error("disk is full while {doing}")]
    Full {
        /// What the store was doing.
        doing: &'static str,
        /// The system's or engine's error.
        #[source]
        source: Cause,
    },
    /// Stored bytes are not what was written: bit rot, a lost write, a deleted or swapped file.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found.
        what: Arc<str>,
    },
    /// The directory belongs to somebody else, or is not what was expected (R6).
    #[error("data directory refused")]
    Marker(#[from] MarkerError),
    /// An earlier storage error stopped the store; nothing is read or written any more (R7).
    #[error("store has stopped after an earlier error: {}", in_full(cause))]
    Failed {
        /// The first error.
        cause: Arc<StoreError>,
    },
    /// The store is closed.
    #[error("store is closed")]
    Closed,
    /// An append that does not continue the log or the table. A defect of the caller; nothing was written.
    #[error("{table}: rows must continue at {expected}, got {got}")]
    NotContiguous {
        /// Which table.
        table: &'static str,
        /// The index that comes next.
        expected: u64,
        /// The index that was given.
        got: u64,
    },
    /// A read below what is kept. Not a fault of the disk: a snapshot covers it.
    #[error("{table}: index {asked} is no longer kept, the first is {first}")]
    Purged {
        /// Which table.
        table: &'static str,
        /// The first index asked for.
        asked: u64,
        /// The first index kept.
        first: u64,
    },
    /// A value over its bound. Nothing was written.
    #[error("{what} is {size} bytes, the bound is {bound}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The bound in bytes.
        bound: usize,
    },
}

impl StoreError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into().into() }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        let full = matches!(
            source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        );
        let source: Cause = Arc::new(At { path: path.to_path_buf(), error: source });
        if full { Self::Full { doing, source } } else { Self::Io { doing, source } }
    }

    pub(crate) fn engine(doing: &'static str, source: rocksdb::Error) -> Self {
        if source.kind() == rocksdb::ErrorKind::Corruption {
            return Self::damaged(format!("{doing}: {source}"));
        }
        // The binding has no kind for a full disk: RocksDB passes on the text of strerror.
        let text = source.as_ref();
        let full = text.contains("No space left on device") || text.contains("Disk quota exceeded");
        let source: Cause = Arc::new(source);
        if full { Self::Full { doing, source } } else { Self::Engine { doing, source } }
    }

    pub(crate) fn engine_at_open(doing: &'static str, dir: &Path, source: rocksdb::Error) -> Self {
        let text = source.as_ref();
        // The database was there before: a file that it names and that is gone was lost.
        if text.contains("No such file or directory") {
            return Self::damaged(format!("{doing}: a file is missing: {source}"));
        }
        if text.contains("While lock file") || text.contains("lock hold by current process") {
            return Self::Locked { path: Arc::new(dir.to_path_buf()) };
        }
        Self::engine(doing, source)
    }

    /// True if the disk can no longer be trusted to hold what it was given; such an error stops the store.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Io { .. }
            | Self::Engine { .. }
            | Self::Full { .. }
            | Self::Damaged { .. }
            | Self::Failed { .. } => true,
            Self::Locked { .. }
            | Self::Marker(_)
            | Self::Closed
            | Self::NotContiguous { .. }
            | Self::Purged { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// What a human can do about it, one or two sentences.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Locked { .. } => {
                "stop the other sekisho-controller that uses this directory, or give this one its own"
            }
            Self::Io { .. } | Self::Engine { .. } => {
                "check the disk and the kernel log; restart when the cause is gone. If it comes back, replace the member under a new id"
            }
            Self::Full { .. } => {
                "free space on the device of the data directory (or enlarge it), then restart the member"
            }
            Self::Damaged { .. } => {
                "keep the directory for analysis, remove the member and join a new one with an empty directory and a new member id; never repair in place"
            }
            Self::Marker(m) => m.remedy(),
            Self::Failed { cause } => cause.remedy(),
            Self::Closed => "none needed: the member is shutting down",
            Self::NotContiguous { .. } | Self::TooLarge { .. } => {
                "this is a defect of Sekisho: report it with the log of this member"
            }
            Self::Purged { .. } => "read the snapshot that covers this index",
        }
    }
}

/// The first fatal error, shared by all parts of one store.
#[derive(Debug, Default)]
pub(crate) struct Failure(OnceLock<Arc<StoreError>>);

impl Failure {
    /// `Err` once the store has failed.
    pub(crate) fn check(&self) -> StoreResult<()> {
        self.0.get().map_or(Ok(()), |cause| Err(StoreError::Failed { cause: Arc::clone(cause) }))
    }

    /// Passes `error` through; the first fatal one stops the store.
    pub(crate) fn note(&self, error: StoreError) -> StoreError {
        if error.is_fatal() && self.0.set(Arc::new(error.clone())).is_ok() {
            tracing::error!(
                error = in_full(&error),
                remedy = error.remedy(),
                "storage has failed: this member stops writing and voting"
            );
            metrics::counter!("sekisho_store_failures_total").increment(1);
        }
        error
    }
}
