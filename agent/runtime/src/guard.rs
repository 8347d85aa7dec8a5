//! Who looks after the jobs of this host: its agent and its watchdog, each known by the file that it keeps locked for life
//! and in which its process stands (ADR 11).
//!
//! Must hold (P4, P6): a job goes on while one of the two lives, and no longer than [`limit::UNGUARDED_MAX`] without any:
//! a host on which nobody renews, watches or tells runs nothing. A holder's process stands in its file from the
//! beginning of its watch to its end; what another boot or a process that is gone left there is nobody.
//! Does not know what either of them does.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::limit;
use crate::procfs::{ProcessId, boot_id};
use crate::record;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The agent, whose runtime starts and stops jobs.
    Agent,
    /// The watchdog beside it.
    Watchdog,
}

impl Guard {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Watchdog];

    /// Its file in the runtime directory. No placement has that name: a key names a directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Agent => "runtime.lock",
            Self::Watchdog => "watchdog.lock",
        }
    }

    /// Takes the runtime directory `root` for this process; makes it if it is missing.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while another process has it; else what the file system says.
    pub fn take(self, root: &Path) -> io::Result<Watch> {
        make_root(root)?;
        let path = root.join(self.file_name());
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&record::encode(&(boot_id()?, ProcessId::own()?))?)?;
        Ok(Watch(file))
    }

    /// Whose process it is, if it lives. One that cannot be told is nobody.
    #[must_use]
    pub fn holder(self, root: &Path) -> Option<ProcessId> {
        let (boot, process): (String, ProcessId) =
            record::read(root, self.file_name()).ok().flatten()?;
        let lives = boot_id().ok()? == boot && process.is_alive().unwrap_or(false);
        lives.then_some(process)
    }
}

/// A guard's own hold on the runtime directory, until it is dropped.
#[derive(Debug)]
pub struct Watch(File);

impl Drop for Watch {
    fn drop(&mut self) {
        // Of a process that lives on without it, which else would be taken for the guard that it was.
        if let Err(error) = self.0.set_len(0) {
            tracing::warn!(%error, "the end of the watch over this host's jobs is not on record");
        }
    }
}

/// Makes the runtime directory, so that jobs can pass through to their own and list nothing on the way.
fn make_root(root: &Path) -> io::Result<()> {
    const PASS_THROUGH: u32 = 0o711;
    if !root.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is relative"));
    }
    DirBuilder::new().recursive(true).mode(PASS_THROUGH).create(root)?;
    // Whatever the umask was.
    fs::set_permissions(root, fs::Permissions::from_mode(PASS_THROUGH))
}

/// A shim's eyes on the guards.
#[derive(Debug)]
pub(crate) struct Guards {
    root: PathBuf,
    living: Vec<OwnedFd>,
    alone_since: Option<Instant>,
}

impl Guards {
    pub(crate) fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), living: Vec::new(), alone_since: None }
    }

    /// Looks who is there. Whether nobody has been for too long.
    pub(crate) fn are_gone(&mut self) -> bool {
        let holders = Guard::ALL.into_iter().filter_map(|guard| guard.holder(&self.root));
        // One that ends in this moment is seen as gone at the next look.
        self.living = holders.filter_map(|process| process.pidfd().ok().flatten()).collect();
        if self.living.is_empty() {
            let since = *self.alone_since.get_or_insert_with(Instant::now);
            return since.elapsed() >= limit::UNGUARDED_MAX;
        }
        self.alone_since = None;
        false
    }

    /// What becomes readable when one of them ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.living.iter().map(AsFd::as_fd)
    }

    /// When to look again without being woken.
    pub(crate) fn look_after(&self) -> Option<Duration> {
        self.alone_since.map(|_| limit::UNGUARDED_LOOK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_stands_in_its_file_for_as_long_as_it_watches() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("run");
        assert_eq!(Guard::Agent.holder(&root), None);
        let watch = Guard::Agent.take(&root).unwrap();
        let second = Guard::Agent.take(&root).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        let me = ProcessId::own().unwrap();
        assert_eq!((Guard::Agent.holder(&root), Guard::Watchdog.holder(&root)), (Some(me), None));
        let mut guards = Guards::of(&root);
        assert!(!guards.are_gone());
        assert_eq!((guards.ends().count(), guards.look_after()), (1, None));
        drop(watch);
        assert_eq!(Guard::Agent.holder(&root), None);
        assert!(!guards.are_gone(), "they may be on their way back");
        assert!(guards.look_after().is_some());
        let _back = Guard::Agent.take(&root).unwrap();
        assert!(!guards.are_gone() && guards.look_after().is_none());
        assert_eq!(
            Guard::Agent.take(Path::new("run")).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn who_is_dead_or_of_another_boot_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Guard::Watchdog.file_name());
        let me = ProcessId::own().unwrap();
        let write = |boot: &str, process: ProcessId| {
            fs::write(&path, record::encode(&(boot.to_owned(), process)).unwrap()).unwrap();
        };
        write(&boot_id().unwrap(), me);
        assert_eq!(Guard::Watchdog.holder(dir.path()), Some(me));
        write("another-boot", me);
        assert_eq!(Guard::Watchdog.holder(dir.path()), None);
        write(&boot_id().unwrap(), ProcessId { start: me.start + 1, ..me });
        assert_eq!(Guard::Watchdog.holder(dir.path()), None);
        fs::write(&path, "4711\n").unwrap();
        assert_eq!(Guard::Watchdog.holder(dir.path()), None);
    }
}
