//! The ledger on disk: one file, replaced whole and synced, so that each write is one transaction (P2).
//!
//! Must hold: a host that has joined has a ledger; a missing, damaged or foreign one starts and reports nothing,
//! because a forgotten fence floor would let fenced grants run again.

use crate::durable::{self, DurableError, Magic};
use crate::failure::Failure;
use crate::limit::{LEDGER_MAX, LEDGER_SPARE};
use sekisho_agent_core::ledger::Ledger;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use std::path::{Path, PathBuf};

const MAGIC: Magic = *b"SKLEDG\0\x01";

/// Where the ledger lies.
#[derive(Debug, Clone)]
pub struct LedgerFile(PathBuf);

/// Why the agent must start nothing.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are whole and no ledger of this version.
    #[error("{} is not a ledger of this version", .0.display())]
    Version(PathBuf),
    /// It belongs to another node or federation.
    #[error("{} belongs to {node} of cluster {cluster}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its node.
        node: NodeId,
        /// Its cluster.
        cluster: sekisho_types::id::ClusterId,
    },
    /// A host that has joined has none.
    #[error("{} is missing on a host that has joined", .0.display())]
    Missing(PathBuf),
}

/// A file of the agent's cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FileError(#[from] DurableError);

impl From<DurableError> for LedgerError {
    fn from(error: DurableError) -> Self {
        Self::File(FileError(error))
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::new(ErrorCode::StorageFailed, format!("dirty: {}", explain(&error))).remedy(
            "Nothing is started or reported. Revoke the node, empty its data directory and let it join anew.",
        )
    }
}

impl LedgerFile {
    /// The ledger of a data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("ledger"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the ledger of `node` in the federation of `bundle`.
    ///
    /// # Errors
    /// [`LedgerError`], all of which mean that nothing may be started.
    pub fn load(&self, node: &NodeId, bundle: &EndorserBundle) -> Result<Ledger, LedgerError> {
        self.find(node, bundle)?.ok_or_else(|| LedgerError::Missing(self.0.clone()))
    }

    /// As [`LedgerFile::load`], `None` if there is none.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn find(
        &self,
        node: &NodeId,
        bundle: &EndorserBundle,
    ) -> Result<Option<Ledger>, LedgerError> {
        let Some(bytes) = durable::read(&self.0, MAGIC, LEDGER_MAX)? else { return Ok(None) };
        let ledger: Ledger =
            decode(&bytes).map_err(|_canonical| LedgerError::Version(self.0.clone()))?;
        let cluster = ledger.bundle().cluster;
        if ledger.node() != node || cluster != bundle.cluster {
            let (path, node) = (self.0.clone(), ledger.node().clone());
            return Err(LedgerError::Foreign { path, node, cluster });
        }
        Ok(Some(ledger))
    }

    /// Writes the ledger durably. After an error the agent must stop: the file may or may not have changed.
    ///
    /// A disk that a job has filled keeps nothing from ending: only what begins something waits for room.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn store(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let bytes = encode(ledger).map_err(|_canonical| LedgerError::Version(self.0.clone()))?;
        match durable::write(&self.0, MAGIC, &bytes) {
            Ok(()) => {
                if let Err(error) = durable::keep_spare(&self.0, LEDGER_SPARE) {
                    tracing::warn!(why = explain(&error), "no room is kept for the ledger");
                }
                Ok(())
            }
            Err(error) if error.is_full() && !self.begins(ledger) => {
                tracing::warn!(why = explain(&error), "the ledger is written in its spare room");
                Ok(durable::write_over(&self.0, MAGIC, &bytes)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it takes or begins what is not in the file; of what cannot be read it is to be feared.
    fn begins(&self, ledger: &Ledger) -> bool {
        let bytes = durable::read(&self.0, MAGIC, LEDGER_MAX).ok().flatten();
        let before = bytes.and_then(|bytes| decode::<Ledger>(&bytes).ok());
        before.is_none_or(|before| ledger.begins(&before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::tests::bundle;
    use sekisho_evidence::grant::SessionId;
    use sekisho_types::id::ClusterId;

    #[test]
    fn a_ledger_comes_back_and_a_missing_damaged_or_foreign_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = LedgerFile::of(dir.path());
        let node: NodeId = "ishikari-1/n-01".parse().unwrap();
        assert!(file.find(&node, &bundle()).unwrap().is_none());
        assert!(matches!(file.load(&node, &bundle()), Err(LedgerError::Missing(_))));
        let mut ledger = Ledger::new(node.clone(), bundle());
        ledger.session_opened(SessionId([3; 16]));
        file.store(&ledger).unwrap();
        assert_eq!(file.load(&node, &bundle()).unwrap(), ledger);
        // In the room that was kept: as good as any other.
        ledger.session_opened(SessionId([4; 16]));
        let bytes = encode(&ledger).unwrap();
        durable::write_over(file.path(), MAGIC, &bytes).unwrap();
        assert_eq!(file.load(&node, &bundle()).unwrap(), ledger);
        let other = "ishikari-1/n-02".parse().unwrap();
        assert!(matches!(file.load(&other, &bundle()), Err(LedgerError::Foreign { .. })));
        let elsewhere = EndorserBundle { cluster: ClusterId([9; 16]), ..bundle() };
        assert!(matches!(file.load(&node, &elsewhere), Err(LedgerError::Foreign { .. })));
        std::fs::write(dir.path().join("ledger"), "rubbish").unwrap();
        let failure = Failure::from(file.load(&node, &bundle()).unwrap_err());
        assert_eq!((failure.code, failure.exit()), (ErrorCode::StorageFailed, 1));
        durable::write(&dir.path().join("ledger"), MAGIC, b"rubbish").unwrap();
        assert!(matches!(file.load(&node, &bundle()), Err(LedgerError::Version(_))));
    }
}
