//! Replacing a small file on a disk that is full: its next version is written where room was allocated before.
//!
//! Must hold: what ends work must not need room that a job can take (P4, L1). A file is whole or not there, and so is the one
//! that takes its place.
//! Does not do: file systems that copy on write allocate all the same; there a full disk is a failed write, as without.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, posix_fallocate, renameat2};

/// Allocates `bytes` at `spare`, unless so many are there.
///
/// # Errors
/// What the file system says: no room, mostly.
pub fn keep(spare: &Path, bytes: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(spare)?;
    if file.metadata()?.len() >= bytes {
        return Ok(());
    }
    let length = i64::try_from(bytes).map_err(io::Error::other)?;
    posix_fallocate(&file, 0, length).map_err(io::Error::from)
}

/// Fills `spare` with these bytes and no others, in what it has allocated as far as that goes.
///
/// # Errors
/// What the file system says; `spare` holds anything then.
pub fn fill(spare: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(spare)?;
    // `mode` counts only for a new file; a leftover may have another.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.set_len(u64::try_from(bytes.len()).map_err(io::Error::other)?)?;
    if sync { file.sync_all() } else { Ok(()) }
}

/// Puts `spare` in the place of `path`, whose old bytes become the spare; where there is no `path`, no spare is left.
///
/// # Errors
/// What the file system says; both are as before then.
pub fn exchange(spare: &Path, path: &Path, sync: bool) -> io::Result<()> {
    match renameat2(AT_FDCWD, spare, AT_FDCWD, path, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => {}
        // Nothing to exchange with, or a file system that cannot.
        Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOSYS) => fs::rename(spare, path)?,
        Err(errno) => return Err(errno.into()),
    }
    match path.parent() {
        Some(dir) if sync => File::open(dir)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_in_the_room_that_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (spare, path) = (dir.path().join("f.new"), dir.path().join("f"));
        keep(&spare, 4096).unwrap();
        assert_eq!(fs::metadata(&spare).unwrap().len(), 4096);
        keep(&spare, 100).unwrap();
        assert_eq!(fs::metadata(&spare).unwrap().len(), 4096, "what is there stays");
        fill(&spare, b"first", true).unwrap();
        exchange(&spare, &path, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert!(!spare.exists(), "there was nothing to exchange with");
        fill(&spare, b"the second", false).unwrap();
        exchange(&spare, &path, false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the second");
        assert_eq!(fs::read(&spare).unwrap(), b"first");
        fill(&spare, b"3", false).unwrap();
        exchange(&spare, &path, false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3", "nothing of a longer one is left");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
