//! Until when the host's lease lets the jobs live that it binds: a file, which is there whatever becomes of the agent (P4,
//! ADR 11).
//!
//! Must hold: only the agent writes it, whole or not at all, and before it acts on a longer lease; whoever reads it takes
//! another boot, other bytes or no file for a deadline that has passed.
//!
//! It is not synced: what a crash of the host loses belonged to another boot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limit;
use crate::procfs::boot_id;

/// Its name in the runtime directory. No placement has it: a key names a directory.
pub const NAME: &str = "lease";
/// First byte, so that a later format is taken for no deadline and not misread.
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// Two instants of one boot, in nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deadline {
    /// When what the lease binds is asked to stop.
    pub stop_ns: u64,
    /// When it is killed.
    pub kill_ns: u64,
}

impl Deadline {
    /// Puts it in the place of the one of before.
    ///
    /// # Errors
    /// What the file system says; the one of before stands then.
    pub fn write(self, root: &Path) -> io::Result<()> {
        let body = postcard::to_allocvec(&(boot_id()?, self)).map_err(io::Error::other)?;
        let mut bytes = vec![VERSION];
        bytes.extend(crc32c::crc32c(&body).to_le_bytes());
        bytes.extend(body);
        let temporary = root.join("lease.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&bytes)?;
        fs::rename(temporary, root.join(NAME))
    }

    /// The one in force; `None` if there is none that can be believed, which is one that has passed.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        let file = File::open(root.join(NAME)).ok()?;
        file.take(limit::RECORD_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let (crc, body) = rest.split_first_chunk::<CRC_BYTES>()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
            return None;
        }
        let (boot, deadline): (String, Self) = postcard::from_bytes(body).ok()?;
        (boot_id().ok()? == boot).then_some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_one_of_this_boot_counts() {
        let root = tempfile::tempdir().unwrap();
        let read = || Deadline::read(root.path());
        assert_eq!(read(), None);
        let first = Deadline { stop_ns: 15, kill_ns: 20 };
        first.write(root.path()).unwrap();
        let later = Deadline { stop_ns: 18, kill_ns: 23 };
        later.write(root.path()).unwrap();
        assert_eq!(read(), Some(later));
        let path = root.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&path, &flipped).unwrap();
            assert_eq!(read(), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read(), None, "cut at {at}");
        }
        let body = postcard::to_allocvec(&("another-boot", later)).unwrap();
        let crc = crc32c::crc32c(&body).to_le_bytes();
        fs::write(&path, [&[VERSION][..], &crc, &body].concat()).unwrap();
        assert_eq!(read(), None);
        fs::write(&path, whole).unwrap();
        assert_eq!(read(), Some(later));
    }
}
