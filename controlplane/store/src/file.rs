//! Small files that are written whole: marker, boot count, high-water marks.
//!
//! Must hold: a reader sees the old or the new content, never a mixture; when `replace` returns, the new content
//! survives a power cut (file and directory are synced). Content carries its own envelope.

use crate::envelope;
use crate::error::{StoreError, StoreResult};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

/// Larger than any of these files; a longer one is not ours.
const FILE_BYTES: u64 = 4096;

/// The content of `dir/name`, or `None` if there is no such file.
pub(crate) fn read(dir: &Path, name: &str) -> StoreResult<Option<Vec<u8>>> {
    let path = dir.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io("opening a small file", &path, e)),
    };
    let mut stored = Vec::new();
    file.take(FILE_BYTES)
        .read_to_end(&mut stored)
        .map_err(|e| StoreError::io("reading a small file", &path, e))?;
    Ok(Some(envelope::open(name, b"", &stored)?.to_vec()))
}

/// Replaces the content of `dir/name`, durably.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> StoreResult<()> {
    let next = dir.join(format!("{name}.next"));
    let failed = |e| StoreError::io("writing a small file", &next, e);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).open(&next).map_err(failed)?;
    file.write_all(&envelope::seal(name, b"", bytes)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    drop(file);
    std::fs::rename(&next, dir.join(name)).map_err(failed)?;
    sync_dir(dir)
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> StoreResult<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| StoreError::io("syncing a directory", dir, e))
}

/// Creates `dir` and what is missing above it, durably: the names of new directories are synced too, or a power cut
/// could take the whole data directory, and with it a vote that was given.
pub(crate) fn create_dir(dir: &Path) -> StoreResult<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        create_dir(above)?;
    }
    match std::fs::create_dir(dir) {
        Ok(()) => sync_dir(above.unwrap_or_else(|| Path::new("."))),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io("creating the data directory", dir, e)),
    }
}
