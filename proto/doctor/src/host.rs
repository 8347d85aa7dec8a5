//! What a host is like, whatever runs on it: read from the kernel, judged by bounds.
//!
//! Must hold: facts are read in one function and judged in another, so that a test can judge a host that it does not have.

pub mod clock;
pub mod data;
pub mod jail;
pub mod kernel;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod program;
pub mod sync;

use crate::limit::KERNEL_FILE_MAX;
use nix::unistd::{AccessFlags, access};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// One of the kernel's files, which have no length of their own.
///
/// # Errors
/// When it cannot be read, or is longer than any that is looked at.
pub fn kernel_file(path: impl AsRef<Path>) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(KERNEL_FILE_MAX.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > KERNEL_FILE_MAX) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether this user may read and write `path`, without opening it.
///
/// # Errors
/// Why not.
pub fn may_use(path: &Path) -> io::Result<()> {
    Ok(access(path, AccessFlags::R_OK | AccessFlags::W_OK)?)
}

/// The first number of the line that begins with `name`, as in `/proc/meminfo` and `/proc/PID/status`.
#[must_use]
pub fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_ascii_whitespace().next()?.parse().ok()
}
