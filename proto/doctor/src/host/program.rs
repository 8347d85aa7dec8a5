//! Whether a program runs, seen by its lock, and what it runs.
//!
//! Must hold: no lock is taken to see whether it is held: a program that starts at that moment would be refused.

use crate::catalogue::host::{RUNNING_HIDDEN, RUNNING_NO, RUNNING_OLD, RUNNING_YES};
use crate::check::Finding;
use crate::host::kernel_file;
use nix::sys::stat::{major, minor};
use nix::unistd::geteuid;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Who holds the lock of `path`, by the kernel's table; `None` if nobody does, or there is no such file.
///
/// # Errors
/// When it cannot be told.
pub fn holder(path: &Path) -> io::Result<Option<u32>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let device = (major(found.dev()), minor(found.dev()));
    Ok(holder_of(&kernel_file("/proc/locks")?, found.ino(), device))
}

/// Of a line `1: FLOCK  ADVISORY  WRITE 123 fe:01:4711 0 EOF`. File systems that are on no device of their own make up a number
/// of the kind 0, and some another one for the table than for the file: there the inode has to do. Whoever only waits for
/// a lock stands behind `->`.
fn holder_of(table: &str, inode: u64, device: (u64, u64)) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        if words.next()? != "FLOCK" {
            return None;
        }
        let mut words = words.skip(2);
        let pid = words.next()?.parse().ok()?;
        let mut place = words.next()?.split(':');
        let mut number = || u64::from_str_radix(place.next()?, 16).ok();
        let on = (number()?, number()?);
        let held: u64 = place.next()?.parse().ok()?;
        (held == inode && (on == device || device.0 == 0)).then_some(pid)
    })
}

/// Whether a process runs the very program file that this one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// It does.
    Yes,
    /// It runs another file, or one that was replaced.
    No,
    /// It is another user's: the kernel does not say.
    Hidden,
}

/// Compares the program of `pid` with the one at `own`.
#[must_use]
pub fn same_program(pid: u32, own: &Path) -> Same {
    let file = |path: PathBuf| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    match (file(PathBuf::from(format!("/proc/{pid}/exe"))), file(own.to_owned())) {
        (Ok(theirs), Ok(ours)) if theirs == ours => Same::Yes,
        (Ok(_), _) => Same::No,
        (Err(_), _) => Same::Hidden,
    }
}

/// The check `running`: who holds the lock at `lock`, by the program file `own`.
///
/// # Errors
/// When it cannot be told.
pub fn running(lock: &Path, own: &Path) -> io::Result<(Option<u32>, Finding)> {
    let Some(pid) = holder(lock)? else { return Ok((None, Finding::new(&RUNNING_NO))) };
    let outcome = match same_program(pid, own) {
        Same::Yes => &RUNNING_YES,
        Same::No => &RUNNING_OLD,
        Same::Hidden => &RUNNING_HIDDEN,
    };
    Ok((Some(pid), Finding::new(outcome).with("pid", pid)))
}

/// The user of a process, where it is another one than who asks, who is not root either.
#[must_use]
pub fn other_user(pid: u32) -> Option<u32> {
    let user = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let own = geteuid();
    (!own.is_root() && own.as_raw() != user).then_some(user)
}

/// Whether the kernel shows this user what a process has open.
#[must_use]
pub fn user_can_see(pid: u32) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

/// The numbers of the processes that this host shows, with their names.
#[must_use]
pub fn processes() -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let named = |pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, name.trim_end().to_owned()))
    };
    pids.filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_lock_is_seen_without_being_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None, "no file");
        let own = std::env::current_exe().unwrap();
        let file = File::create(&path).unwrap();
        assert_eq!(running(&path, &own).unwrap().1.outcome.code, "RUNNING_NO");
        file.lock().unwrap();
        let (pid, found) = running(&path, &own).unwrap();
        assert_eq!((pid, found.outcome.code), (Some(std::process::id()), "RUNNING_YES"));
        // Another program than the one that is installed now.
        let (_, found) = running(&path, Path::new("/proc/version")).unwrap();
        assert_eq!(found.outcome.code, "RUNNING_OLD");
        drop(file);
        assert_eq!(holder(&path).unwrap(), None);
    }

    #[test]
    fn only_who_holds_a_lock_counts_and_not_who_waits() {
        let table = "1: POSIX  ADVISORY  WRITE 7 fe:00:5 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 8 fe:00:5 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 9 00:1f:5 0 EOF\n";
        assert_eq!(holder_of(table, 5, (0, 0x1f)), Some(9));
        assert_eq!(holder_of(table, 5, (0, 7)), Some(9), "a number that was made up");
        assert_eq!(holder_of(table, 5, (0xfe, 0)), None, "the inode of another disk");
        assert_eq!(holder_of(table, 6, (0, 0x1f)), None);
        assert_eq!(other_user(std::process::id()), None);
        assert!(processes().iter().any(|(pid, _)| *pid == std::process::id()));
    }
}
