//! PEM files on disk: readable by their owner only, replaced whole or not at all.

use crate::part::directory_of;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Chain of an identity, leaf first.
pub const CHAIN_FILE: &str = "identity.pem";
/// Key of an identity.
pub const KEY_FILE: &str = "identity.key";
/// An operator's root certificate.
pub const ROOT_FILE: &str = "root.pem";
/// Its key: kept offline once the issuers are made.
pub const ROOT_KEY_FILE: &str = "root.key";
/// A site's issuer: its certificate, then the root.
pub const ISSUER_FILE: &str = "issuer.pem";
/// Its key.
pub const ISSUER_KEY_FILE: &str = "issuer.key";
/// A registrar's own record, with the operator's signature.
pub const REGISTRAR_FILE: &str = "registrar.json";
/// The key that it signs records with.
pub const REGISTRAR_KEY_FILE: &str = "registrar.key";

/// Larger than any chain; a wrong path must not fill memory.
const FILE_MAX: u64 = 1024 * 1024;

/// Why a PEM file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", .path.display())]
pub struct PemFileError {
    path: PathBuf,
    what: &'static str,
    #[source]
    cause: io::Error,
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PemFileError {
    let path = path.to_owned();
    move |cause| PemFileError { path, what, cause }
}

/// Reads a PEM file.
///
/// # Errors
/// [`PemFileError`]; also for a file that is too large or not text.
pub fn read(path: &Path) -> Result<String, PemFileError> {
    let size = fs::metadata(path).map_err(failed(path, "cannot be read"))?.len();
    if size > FILE_MAX {
        let cause = io::Error::from(io::ErrorKind::FileTooLarge);
        return Err(failed(path, "is too large for PEM")(cause));
    }
    fs::read_to_string(path).map_err(failed(path, "cannot be read"))
}

/// Writes a file with mode 0600, durably, replacing an old one in one step.
///
/// # Errors
/// [`PemFileError`]; an old file is untouched then.
pub fn write(path: &Path, content: &str) -> Result<(), PemFileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let result = write_fresh(&fresh, content)
        .and_then(|()| fs::rename(&fresh, path))
        .and_then(|()| File::open(directory_of(path))?.sync_all());
    result.map_err(failed(path, "cannot be written"))
}

fn write_fresh(path: &Path, content: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // `mode` counts only for a new file; a leftover may have another.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::write(dir.path().join("identity.key.new"), "leftover").unwrap();
        for content in ["first", "second"] {
            write(&path, content).unwrap();
            assert_eq!(read(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A bare name, as a command's default is: the directory is the present one.
        let bare = Path::new("sekisho-bare-name.test");
        write(bare, "token").unwrap();
        assert_eq!(read(bare).unwrap(), "token");
        fs::remove_file(bare).unwrap();
        let missing = read(&dir.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
        let big = usize::try_from(FILE_MAX).unwrap() + 1;
        write(&path, &"x".repeat(big)).unwrap();
        read(&path).unwrap_err();
    }
}
