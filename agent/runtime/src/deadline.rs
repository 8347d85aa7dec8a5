//! Until when the host's lease lets the jobs live that it binds: a file, which is there whatever becomes of the agent (P4,
//! ADR 11).
//!
//! Must hold: only the agent writes it, whole or not at all, and before it acts on a longer lease; whoever reads it takes
//! another boot, other bytes or no file for a deadline that has passed.
//!
//! It is not synced: what a crash of the host loses belonged to another boot.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::procfs::boot_id;
use crate::record::{self, Keep};

/// Its name in the runtime directory. No placement has it: a key names a directory.
pub const NAME: &str = "lease";

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
        record::write(root, NAME, &(boot_id()?, self), Keep::WhileUp)
    }

    /// The one in force; `None` if there is none that can be believed, which is one that has passed.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        let (boot, deadline): (String, Self) = record::read(root, NAME).ok().flatten()?;
        (boot_id().ok()? == boot).then_some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
        fs::write(&path, &whole[1..]).unwrap();
        assert_eq!(read(), None, "damaged");
        fs::write(&path, record::encode(&("another-boot", later)).unwrap()).unwrap();
        assert_eq!(read(), None);
        fs::write(&path, whole).unwrap();
        assert_eq!(read(), Some(later));
    }
}
