//! A data directory looked at from outside, while its member runs or before it does.
//!
//! Must hold: no database is opened and nothing is written; what is told is what the small files say, each of which is
//! written whole. Whether the databases hold what the marks promise only an opening can tell.

use crate::error::StoreResult;
use crate::marker::{Marker, boot_seq};
use crate::store::{DATA_DIR, DATA_MARK, LOCK_FILE, LOG_DIR, LOG_MARK};
use std::path::{Path, PathBuf};

/// What RocksDB reads first of a database.
const CURRENT: &str = "CURRENT";

/// What a data directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whose it is; `None` if it was never set up.
    pub marker: Option<Marker>,
    /// How often it was opened.
    pub boots: u64,
    /// What one that was opened before has, and this one lacks.
    pub missing: Vec<&'static str>,
    /// Where the lock of a running member lies.
    pub lock: PathBuf,
}

/// Looks at `dir`, which need not be there.
///
/// # Errors
/// `Damaged` for a small file that cannot be what was written; `Io`.
pub fn look(dir: &Path) -> StoreResult<Look> {
    let lock = dir.join(LOCK_FILE);
    if !dir.is_dir() {
        return Ok(Look { marker: None, boots: 0, missing: Vec::new(), lock });
    }
    let (marker, boots) = (Marker::read(dir)?, boot_seq(dir)?);
    let mut missing = Vec::new();
    if marker.is_none() && (boots > 0 || dir.join(LOG_DIR).exists()) {
        missing.push("identity");
    }
    if boots > 0 {
        let parts = [
            (LOG_MARK, dir.join(LOG_MARK)),
            (DATA_MARK, dir.join(DATA_MARK)),
            ("log/CURRENT", dir.join(LOG_DIR).join(CURRENT)),
            ("data/CURRENT", dir.join(DATA_DIR).join(CURRENT)),
        ];
        missing.extend(parts.into_iter().filter(|(_, path)| !path.exists()).map(|(name, _)| name));
    }
    Ok(Look { marker, boots, missing, lock })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::open;

    #[test]
    fn a_directory_tells_whose_it_is_and_what_it_lacks_beside_its_running_member() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = look(&dir.path().join("none")).unwrap();
        assert_eq!((fresh.marker, fresh.boots, fresh.missing.len()), (None, 0, 0));
        let running = open(dir.path()).unwrap();
        let found = look(dir.path()).unwrap();
        assert_eq!(found.marker.as_ref(), Some(running.marker()));
        assert_eq!((found.boots, found.missing.len()), (1, 0));
        assert!(found.lock.exists());
        drop(running);
        std::fs::remove_file(dir.path().join(LOG_MARK)).unwrap();
        std::fs::remove_file(dir.path().join("data/CURRENT")).unwrap();
        assert_eq!(look(dir.path()).unwrap().missing, [LOG_MARK, "data/CURRENT"]);
        std::fs::remove_file(dir.path().join("identity")).unwrap();
        assert_eq!(look(dir.path()).unwrap().missing.first(), Some(&"identity"));
        std::fs::write(dir.path().join("boot"), "rubbish").unwrap();
        look(dir.path()).unwrap_err();
    }
}
