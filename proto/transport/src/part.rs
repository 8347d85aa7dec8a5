//! A file that is written beside its place and takes its name only when it is whole: a backup, an audit bundle.
//!
//! Must hold: whoever finds the name finds every byte, also after a power cut. The bytes are synced before the name is
//! taken and the directory after it; the types leave no other order. What a cut-off attempt leaves stands under a name
//! of its own, and the next attempt overwrites it.
//!
//! Not for keys ([`crate::pki::file`]) and the state of a host, which have modes and envelopes of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Why a file did not come about.
#[derive(Debug, thiserror::Error)]
#[error("{}", .path.display())]
pub struct PartError {
    /// What could not be made, written, renamed or synced.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> PartError {
    let path = path.to_owned();
    move |cause| PartError { path, cause }
}

/// Where a file stands until it has its name.
fn beside(target: &Path) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(".part");
    PathBuf::from(path)
}

/// A file on its way to its name.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Part {
    /// Begins `TARGET.part`; one that is left from before is emptied.
    ///
    /// # Errors
    /// [`PartError`] with the part's path.
    pub fn create(target: &Path) -> Result<Self, PartError> {
        let path = beside(target);
        let file = File::create(&path).map_err(failed(&path))?;
        Ok(Self { file, path, target: target.to_owned() })
    }

    /// As [`Part::create`], for this user alone: mode 0600. One that is left from before is removed, because others may have
    /// it open.
    ///
    /// # Errors
    /// [`PartError`] with the part's path.
    pub fn create_private(target: &Path) -> Result<Self, PartError> {
        let path = beside(target);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(&path)(error));
        }
        let mut open = OpenOptions::new();
        let file = open.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(failed(&path))?;
        Ok(Self { file, path, target: target.to_owned() })
    }

    /// Where it stands until then.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes what was written durable; nothing is written after it.
    ///
    /// # Errors
    /// [`PartError`] with the part's path.
    pub fn sync(self) -> Result<Synced, PartError> {
        let Self { file, path, target } = self;
        file.sync_all().map_err(failed(&path))?;
        Ok(Synced { path, target })
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A part whose bytes are durable.
#[derive(Debug)]
#[must_use = "it has no name yet"]
pub struct Synced {
    path: PathBuf,
    target: PathBuf,
}

impl Synced {
    /// Gives it its name, in place of a file that has it, and makes the name durable, too.
    ///
    /// # Errors
    /// [`PartError`] with the target's path or, if the name may not be durable, with its directory's.
    pub fn take_name(self) -> Result<(), PartError> {
        fs::rename(&self.path, &self.target).map_err(failed(&self.target))?;
        let dir = directory_of(&self.target);
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
    }
}

/// Writes a file whole, in place of one that has the name.
///
/// # Errors
/// [`PartError`]; a file that had the name is untouched, or replaced if only its name may not be durable.
pub fn replace(target: &Path, bytes: &[u8]) -> Result<(), PartError> {
    let mut part = Part::create(target)?;
    part.write_all(bytes).map_err(failed(part.path()))?;
    part.sync()?.take_name()
}

/// The directory that holds the name; of a bare name the parent is empty, which cannot be opened.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (target, beside) = (dir.path().join("a.b"), dir.path().join("a.b.part"));
        fs::write(&beside, "longer than what comes").unwrap();
        for content in ["first", "second"] {
            let before = fs::read(&target).ok();
            let mut part = Part::create(&target).unwrap();
            assert_eq!(part.path(), beside);
            part.write_all(content.as_bytes()).unwrap();
            let synced = part.sync().unwrap();
            assert_eq!(fs::read_to_string(&beside).unwrap(), content);
            assert_eq!(fs::read(&target).ok(), before, "the name was taken early");
            synced.take_name().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert!(!beside.exists());
        }
    }

    #[test]
    fn a_private_file_is_its_owners_alone_whatever_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let (target, beside) = (dir.path().join("a"), dir.path().join("a.part"));
        fs::write(&beside, "left").unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
        let mut part = Part::create_private(&target).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&beside), 0o600);
        part.write_all(b"mine").unwrap();
        part.sync().unwrap().take_name().unwrap();
        assert_eq!((mode(&target), fs::read(&target).unwrap().as_slice()), (0o600, &b"mine"[..]));
    }

    #[test]
    fn an_error_names_what_could_not_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("none").join("file");
        let error = Part::create(&target).unwrap_err();
        assert_eq!(error.path, dir.path().join("none").join("file.part"));
        assert_eq!(error.to_string(), error.path.display().to_string());
        assert_eq!(error.cause.kind(), io::ErrorKind::NotFound);
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let error = Part::create(&taken).unwrap().sync().unwrap().take_name().unwrap_err();
        assert_eq!(error.path, taken);
    }

    #[test]
    fn a_bare_name_stands_in_the_working_directory() {
        let of = |path| directory_of(Path::new(path));
        assert_eq!(["file", "a/file", "/file"].map(of), [".", "a", "/"].map(Path::new));
    }
}
