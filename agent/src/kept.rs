//! What a host keeps of placements that run to completion: with it they can be brought over into another incarnation.
//!
//! Must hold: it is on disk before the job starts; a file of a placement that the ledger no longer has is taken away. Who
//! loses one loses the right to bring that placement over, and nothing else.

use crate::durable::{self, DurableError, Magic};
use sekisho_agent_core::ledger::Ledger;
use sekisho_agent_core::reconcile::Kept;
use sekisho_evidence::adoption::{ADOPTION_MAX, Adoption};
use sekisho_evidence::canonical::{decode, encode};
use sekisho_types::revision::PlacementId;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const MAGIC: Magic = *b"SKKEPT\0\x01";
/// Largest file: an adoption, and a payload of at most 64 KiB.
const KEPT_MAX: u64 = ADOPTION_MAX as u64 + 128 * 1024;

/// Where they lie.
#[derive(Debug, Clone)]
pub(crate) struct KeptFiles(PathBuf);

impl KeptFiles {
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("kept"))
    }

    fn path(&self, placement: &PlacementId) -> PathBuf {
        self.0.join(placement.to_string())
    }

    /// Writes one durably, and takes away those that nobody needs.
    pub(crate) fn keep(&self, kept: &Kept, ledger: &Ledger) -> Result<(), DurableError> {
        let failed = |error: io::Error| DurableError::Io(self.0.clone(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        for entry in std::fs::read_dir(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().parse::<PlacementId>();
            if name.is_ok_and(|placement| !ledger.entries().contains_key(&placement)) {
                durable::remove(&entry.path())?;
            }
        }
        let body = encode(&(&kept.adoption, &kept.payload));
        let body = body.map_err(|_canonical| DurableError::Damaged(self.path(&kept.placement)))?;
        durable::write(&self.path(&kept.placement), MAGIC, &body)
    }

    /// Reads one; `None` if there is none, or it is damaged.
    pub(crate) fn read(&self, placement: &PlacementId) -> Option<(Adoption, Vec<u8>)> {
        let bytes = durable::read(&self.path(placement), MAGIC, KEPT_MAX);
        let bytes = bytes.inspect_err(|error| {
            tracing::error!(%placement, %error, "what was kept of a placement cannot be read");
        });
        decode(&bytes.ok()??).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::tests::bundle;

    #[test]
    fn what_was_kept_comes_back_until_the_ledger_has_forgotten_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = KeptFiles::of(dir.path());
        let ledger = Ledger::new("ishikari-1/n-01".parse().unwrap(), bundle());
        let kept = |name: &str| Kept {
            placement: name.parse().unwrap(),
            adoption: Adoption {
                record: vec![1; 70],
                index: 4,
                path: Vec::new(),
                note: vec![2; 9],
                submission: vec![3; 5],
            },
            payload: b"true".to_vec(),
        };
        let first = kept("p-1-9-0");
        assert!(files.read(&first.placement).is_none());
        files.keep(&first, &ledger).unwrap();
        let read = files.read(&first.placement).unwrap();
        assert_eq!(read, (first.adoption.clone(), first.payload.clone()));
        // The ledger knows neither: the older one goes when the next is kept.
        files.keep(&kept("p-1-10-0"), &ledger).unwrap();
        assert!(files.read(&first.placement).is_none());
        let path = dir.path().join("kept/p-1-10-0");
        std::fs::write(&path, "rubbish").unwrap();
        assert!(files.read(&kept("p-1-10-0").placement).is_none());
    }
}
