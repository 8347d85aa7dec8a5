//! Small files that are whole or not there: a temporary file, synced, renamed, and the directory synced.
//!
//! Must hold: what comes back is what was written; a file with one flipped bit, of another kind or of another
//! version is refused. All of them hold secrets or state of this host alone: mode 0600.

use sekisho_agent_runtime::spare;
use sekisho_types::id::Digest;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Says what a file is and of which version.
pub(crate) type Magic = [u8; 8];

/// Extension of the room that is kept for a file's next version.
const SPARE: &str = "spare";

/// Length of magic and checksum.
const HEADER: usize = 8 + 32;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DurableError {
    /// The file system refused.
    #[error("cannot use {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Not the bytes that were written, or those of another kind of file.
    #[error("{} is damaged or of another kind", .0.display())]
    Damaged(PathBuf),
}

impl DurableError {
    /// Whether the disk has no room.
    pub(crate) fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io(_, error) if full.contains(&error.kind()))
    }
}

/// Writes a file durably.
pub(crate) fn write(path: &Path, magic: Magic, body: &[u8]) -> Result<(), DurableError> {
    write_whole(path, magic, body).map_err(|error| DurableError::Io(path.to_owned(), error))
}

fn write_whole(path: &Path, magic: Magic, body: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let fresh = path.with_extension("new");
    if let Err(error) = spare::fill(&fresh, &whole(magic, body), true) {
        // Half of it would take the room that the next one may need.
        drop(fs::remove_file(&fresh));
        return Err(error);
    }
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

fn whole(magic: Magic, body: &[u8]) -> Vec<u8> {
    [&magic[..], &Digest::of(body).0, body].concat()
}

/// As [`write`], in the room that [`keep_spare`] has kept.
pub(crate) fn write_over(path: &Path, magic: Magic, body: &[u8]) -> Result<(), DurableError> {
    let spare = path.with_extension(SPARE);
    let written = spare::fill(&spare, &whole(magic, body), true)
        .and_then(|()| spare::exchange(&spare, path, true));
    written.map_err(|error| DurableError::Io(path.to_owned(), error))
}

/// Keeps room for another version of a file, `more` bytes longer than this one.
pub(crate) fn keep_spare(path: &Path, more: u64) -> Result<(), DurableError> {
    let kept = fs::metadata(path)
        .and_then(|file| spare::keep(&path.with_extension(SPARE), file.len().saturating_add(more)));
    kept.map_err(|error| DurableError::Io(path.to_owned(), error))
}

/// Reads a file of at most `max` bytes; `None` if there is none.
pub(crate) fn read(path: &Path, magic: Magic, max: u64) -> Result<Option<Vec<u8>>, DurableError> {
    let failed = |error| DurableError::Io(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(failed)?;
    let damaged = || DurableError::Damaged(path.to_owned());
    let (header, body) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
    if header != [&magic[..], &Digest::of(body).0].concat() {
        return Err(damaged());
    }
    Ok(Some(body.to_vec()))
}

/// Whether a small write reaches the disk. Leaves nothing behind.
pub(crate) fn try_write(path: &Path) -> Result<(), DurableError> {
    let tried = File::create(path).and_then(|mut file| {
        file.write_all(b"a write that reaches the disk")?;
        file.sync_all()
    });
    tried.map_err(|error| DurableError::Io(path.to_owned(), error))?;
    remove(path)
}

/// Removes a file; to be gone already is no error.
pub(crate) fn remove(path: &Path) -> Result<(), DurableError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DurableError::Io(path.to_owned(), error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the agent's directory. Jobs pass through it to their own, hence 0711.
pub(crate) fn make_dir(path: &Path) -> Result<(), DurableError> {
    let made = DirBuilder::new().recursive(true).mode(0o711).create(path);
    made.map_err(|error| DurableError::Io(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const KIND: Magic = *b"TEST\0\0\0\x01";

    #[test]
    fn whole_files_come_back_and_every_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path, KIND, 999).unwrap().is_none());
        fs::write(dir.path().join("file.new"), "leftover").unwrap();
        for body in [&b"first"[..], b"second"] {
            write(&path, KIND, body).unwrap();
            assert_eq!(read(&path, KIND, 999).unwrap().as_deref(), Some(body));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read(&path, KIND, 999), Err(DurableError::Damaged(_))), "bit {bit}");
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(matches!(read(&path, KIND, 999), Err(DurableError::Damaged(_))), "{length}");
        }
        fs::write(&path, &good).unwrap();
        assert!(matches!(read(&path, *b"OTHER\0\0\x01", 999), Err(DurableError::Damaged(_))));
        assert!(matches!(read(&path, KIND, 41), Err(DurableError::Damaged(_))), "over its bound");
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
