//! Whom jobs run as: a user of its own for each placement, so that the kernel keeps jobs apart from each other, from the
//! shim and from the agent.
//!
//! Must hold: no two placements that are on this host, ended ones that are still kept included, have one user; which one a
//! placement has is the owner of its `work` directory, which the agent sets before anything runs and no job can change, so
//! that a restarted agent knows it.
//!
//! It changes no user: the shim does. An agent that is not root has one user and its jobs have the same; what keeps them
//! apart then is namespaces alone, and [`crate::capability`] says so.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::directory::PlacementDir;
use crate::limit;
use crate::placement::PlacementKey;
use crate::shim::wire::RunAs;
use crate::{procfs, sweep};

/// Lowest user of a range: below are the host's own, by the habit of every distribution.
const FIRST_MIN: u32 = 1000;
/// Highest: above, some programs take a user id for negative.
const LAST_MAX: u32 = 0x7fff_ffff;
/// `nobody` and the 16-bit "no user", which mean something to the kernel.
const RESERVED: [u32; 2] = [65_534, 65_535];

/// Users that belong to jobs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRange {
    first: u32,
    count: u32,
}

/// Why a range cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserRangeError {
    /// Fewer users than placements.
    #[error(
        "job_users needs at least {} users, one for each placement that the host may hold",
        limit::PLACEMENTS_MAX
    )]
    Few,
    /// It would take in users of the host.
    #[error("job_users must lie between {FIRST_MIN} and {LAST_MAX} and leave out 65534 and 65535")]
    Place,
}

impl UserRange {
    /// Taken where the settings name none. It lies where no convention puts anybody: above the users that systemd gives to
    /// containers (up to 1879048191) and below the ids that some programs read as negative.
    pub const DEFAULT: Self = Self { first: 1_900_000_000, count: 65_536 };

    /// Users `first` to `first + count - 1`, and groups of the same numbers.
    ///
    /// # Errors
    /// [`UserRangeError`].
    pub fn new(first: u32, count: u32) -> Result<Self, UserRangeError> {
        if usize::try_from(count).map_or(true, |count| count < limit::PLACEMENTS_MAX) {
            return Err(UserRangeError::Few);
        }
        let last = count.checked_sub(1).and_then(|more| first.checked_add(more));
        let sound = |last: u32| {
            (first..=last).contains(&first)
                && first >= FIRST_MIN
                && last <= LAST_MAX
                && !RESERVED.iter().any(|id| (first..=last).contains(id))
        };
        if last.is_some_and(sound) { Ok(Self { first, count }) } else { Err(UserRangeError::Place) }
    }

    /// Whether `uid` is one of them.
    #[must_use]
    pub fn contains(self, uid: u32) -> bool {
        uid.checked_sub(self.first).is_some_and(|nth| nth < self.count)
    }

    /// One that is not `taken`: looked for from a place that the key says, so that one that has just become free is not the
    /// next, and what a job left somewhere in the world is not the next job's.
    #[must_use]
    pub fn choose(self, key: &PlacementKey, taken: &BTreeSet<u32>) -> Option<u32> {
        let start = crc32c::crc32c(key.as_str().as_bytes()).checked_rem(self.count)?;
        let nth = |more: u32| {
            let place =
                u64::from(start).checked_add(more.into())?.checked_rem(self.count.into())?;
            self.first.checked_add(u32::try_from(place).ok()?)
        };
        (0..self.count).filter_map(nth).find(|uid| !taken.contains(uid))
    }
}

/// Whom jobs run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobUsers {
    /// Each as a user of its own of [`UserRange::DEFAULT`] where the agent may change users, else as the agent.
    Possible,
    /// As the agent: the only possibility where it is not root.
    Agent,
    /// All as one user, which the installer has chosen.
    One(RunAs),
    /// Each as a user of its own.
    Range(UserRange),
}

impl JobUsers {
    /// The user for `key` below `root`; `None` = the agent's.
    ///
    /// # Errors
    /// When it cannot be told which are taken, or all are.
    pub fn choose(self, root: &Path, key: &PlacementKey) -> io::Result<Option<RunAs>> {
        match self {
            Self::Agent => Ok(None),
            Self::One(run_as) => Ok(Some(run_as)),
            Self::Possible => Self::Range(UserRange::DEFAULT).choose(root, key),
            Self::Range(range) => {
                let mut taken = recorded(root)?;
                // Another agent of this host, or a stranger that was given one of them.
                taken.extend(running()?);
                let uid = range.choose(key, &taken);
                let uid =
                    uid.ok_or_else(|| io::Error::other("every user of job_users is taken"))?;
                Ok(Some(RunAs { uid, gid: uid }))
            }
        }
    }
}

/// The users of all placements whose directories are here.
fn recorded(root: &Path) -> io::Result<BTreeSet<u32>> {
    let mut users = BTreeSet::new();
    for key in sweep::keys(root)? {
        match fs::symlink_metadata(PlacementDir::new(root, &key).work()) {
            Ok(work) => {
                users.insert(work.uid());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(users)
}

/// The users of all processes.
fn running() -> io::Result<BTreeSet<u32>> {
    let owner = |pid: i32| fs::metadata(format!("/proc/{pid}")).ok().map(|entry| entry.uid());
    Ok(procfs::pids()?.into_iter().filter_map(owner).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> PlacementKey {
        PlacementKey::new(text).unwrap()
    }

    #[test]
    fn a_range_keeps_away_from_the_hosts_users() {
        let many = u32::try_from(limit::PLACEMENTS_MAX).unwrap();
        assert_eq!(UserRange::new(200_000, many - 1), Err(UserRangeError::Few));
        for (first, count) in [
            (0, many),
            (999, many),
            (65_000, 1000),
            (65_535, many),
            (LAST_MAX, many),
            (u32::MAX - 5, many),
            (LAST_MAX - many + 2, many),
        ] {
            assert_eq!(UserRange::new(first, count), Err(UserRangeError::Place), "{first} {count}");
        }
        let highest = UserRange::new(LAST_MAX - many + 1, many).unwrap();
        assert!(highest.contains(LAST_MAX));
        let default = UserRange::DEFAULT;
        assert_eq!(UserRange::new(default.first, default.count), Ok(default));
        assert!(default.contains(1_900_000_000) && default.contains(1_900_065_535));
        assert!(!default.contains(1_899_999_999) && !default.contains(1_900_065_536));
    }

    proptest! {
        #[test]
        fn a_user_is_never_given_twice(keys in proptest::collection::btree_set("[a-z0-9]{1,12}", 1..300)) {
            let range = UserRange::new(200_000, 512).unwrap();
            let mut taken = BTreeSet::new();
            for text in keys {
                let uid = range.choose(&key(&text), &taken).unwrap();
                prop_assert!(range.contains(uid));
                prop_assert!(taken.insert(uid));
            }
        }
    }

    #[test]
    fn a_full_range_gives_none() {
        let range = UserRange::new(200_000, 512).unwrap();
        let mut taken: BTreeSet<u32> = (200_000..200_512).collect();
        assert_eq!(range.choose(&key("a"), &taken), None);
        taken.remove(&200_400);
        assert_eq!(range.choose(&key("a"), &taken), Some(200_400));
    }

    #[test]
    fn who_runs_here_has_a_user_that_is_taken() {
        let me = nix::unistd::geteuid().as_raw();
        assert!(running().unwrap().contains(&me));
        let root = tempfile::tempdir().unwrap();
        assert!(recorded(root.path()).unwrap().is_empty());
        PlacementDir::new(root.path(), &key("p")).create(None).unwrap();
        assert_eq!(recorded(root.path()).unwrap(), [me].into());
    }
}
