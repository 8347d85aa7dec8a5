//! Who a process is, for longer than its number lasts: pid and start time, within one boot.
//!
//! A pid alone is reused; a kill by pid alone could hit a stranger. Every kill in this crate that is not of an own
//! child goes through [`ProcessId::signal`].

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of this boot: number and start time in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// Number, in the PID namespace of whoever looked.
    pub pid: i32,
    /// Start time in clock ticks since boot, as `/proc` tells it.
    pub start: u64,
}

impl ProcessId {
    /// The process that has `pid` now; `None` when there is none.
    ///
    /// # Errors
    /// When `/proc` cannot be read or says something unknown.
    pub fn of(pid: i32) -> io::Result<Option<Self>> {
        Ok(stat(pid)?.map(|stat| Self { pid, start: stat.start }))
    }

    /// This process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        let pid = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        Self::of(pid)?.ok_or_else(|| io::Error::other("/proc does not show this process"))
    }

    /// A file that becomes readable when the process ends; `None` if it has. Needs Linux 5.3.
    ///
    /// # Errors
    /// When the kernel gives none, or `/proc` cannot be read.
    pub fn pidfd(self) -> io::Result<Option<OwnedFd>> {
        #[expect(unsafe_code, reason = "there is no safe wrapper for opening a pidfd")]
        // SAFETY: takes two integers and gives a new descriptor or an error; no memory is touched.
        let opened = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, self.pid, 0) };
        let fd = match Errno::result(opened) {
            Ok(fd) => i32::try_from(fd).map_err(io::Error::other)?,
            Err(Errno::ESRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        #[expect(unsafe_code, reason = "the kernel gives a bare number")]
        // SAFETY: the descriptor was opened by the call above, which closes it on exec, and nobody else has its number.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Whoever has the number now may be another one.
        Ok(self.is_alive()?.then_some(fd))
    }

    /// Whether it still runs. A zombie does not: of a namespace's init it means that the namespace is empty.
    ///
    /// # Errors
    /// When `/proc` cannot be read: unknown, and the caller must take it for alive.
    pub fn is_alive(self) -> io::Result<bool> {
        Ok(stat(self.pid)?
            .is_some_and(|now| now.start == self.start && !matches!(now.state, b'Z' | b'X')))
    }

    /// Kills it, if it is still the same process. To have been gone already is no error.
    ///
    /// # Errors
    /// When it may not be killed, or `/proc` cannot be read.
    pub fn kill(self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Sends it `signal`, if it is still the same process. To be gone already is no error.
    ///
    /// # Errors
    /// When it may not be signalled, or `/proc` cannot be read.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        if !self.is_alive()? {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

struct Stat {
    state: u8,
    start: u64,
}

fn stat(pid: i32) -> io::Result<Option<Stat>> {
    let text = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // ESRCH: it ended between open and read.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::ESRCH as i32) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    parse_stat(&text).map(Some).ok_or_else(|| io::Error::other("unknown format of /proc/PID/stat"))
}

/// The command name stands in brackets and may hold brackets and blanks itself, so the fields are counted from the
/// last bracket: the state is the first after it, the start time the twentieth.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start })
}

/// Numbers of all processes that this `/proc` shows.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

/// The id of this boot; a [`ProcessId`] recorded under another one is dead.
///
/// # Errors
/// When the kernel does not tell.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Nanoseconds since boot, suspend included: the clock that leases and traces count on.
///
/// # Errors
/// When the kernel has no such clock.
pub fn boottime_ns() -> io::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    let ns = i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec());
    u64::try_from(ns).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_brackets_does_not_shift_the_fields() {
        let text = "7 (a) R (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.start), (b'S', 4711));
        assert!(parse_stat("7 (a) S 1").is_none());
    }

    #[test]
    fn a_reused_number_is_another_process() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap().unwrap();
        assert!(me.is_alive().unwrap());
        let other = ProcessId { start: me.start + 1, ..me };
        assert!(!other.is_alive().unwrap());
        other.kill().unwrap(); // must not hit this test
        assert!(other.pidfd().unwrap().is_none() && me.pidfd().unwrap().is_some());
    }
}
