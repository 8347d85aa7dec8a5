//! What happens to the member, and at which of its disk calls.

use clap::{Args, ValueEnum};
use std::fmt;

/// What happens at the chosen disk call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Cut {
    /// Power goes before the call.
    Before,
    /// Power goes after the call.
    After,
    /// Power goes; of a write its first part is on the disk.
    Torn,
    /// Power goes; of a write some sectors are on the disk and some are not.
    Holes,
    /// Power goes after the call, but the file system's journal reaches the disk: names without content.
    Journal,
    /// The process is killed before the call; the page cache lives on.
    Kill,
    /// The call fails with EIO, once.
    Broken,
    /// The call and all later ones fail with EIO.
    Dead,
    /// The call and all later writes fail with ENOSPC; of a write a part was done.
    Full,
}

impl Cut {
    /// Ways to end the process.
    pub const ENDS: [Self; 6] =
        [Self::Before, Self::After, Self::Torn, Self::Holes, Self::Journal, Self::Kill];
    /// Ways to make the disk fail while the process lives.
    pub const FAILURES: [Self; 3] = [Self::Broken, Self::Dead, Self::Full];

    /// Whether the file system is shut down.
    #[must_use]
    pub fn is_power(self) -> bool {
        match self {
            Self::Before | Self::After | Self::Torn | Self::Holes | Self::Journal => true,
            Self::Kill | Self::Broken | Self::Dead | Self::Full => false,
        }
    }
}

/// A fault that the drill must find: each is what a bug in the store would do at the same disk calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Planted {
    /// Log writes are not synced.
    SyncOff,
    /// A log write that has a vote and no entries is not synced.
    VoteNotSynced,
    /// Log writes are acknowledged before they are synced: the sync comes with the next write.
    SyncLate,
}

/// The whole plan of one run, as options of the member program.
#[derive(Debug, Clone, Copy, Args)]
pub struct Plan {
    /// Disk call at which it happens, counted from 1 in the order of the process; never if left out.
    #[arg(long)]
    pub at: Option<u64>,
    /// What happens.
    #[arg(long, value_enum, default_value = "kill")]
    pub cut: Cut,
    /// Fault in the disk calls.
    #[arg(long, value_enum)]
    pub planted: Option<Planted>,
}

impl Plan {
    /// Nothing happens.
    pub const NOTHING: Self = Self { at: None, cut: Cut::Kill, planted: None };

    /// As options of the member program.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let mut out = vec!["--cut".to_owned(), self.cut.to_string()];
        if let Some(at) = self.at {
            out.extend(["--at".to_owned(), at.to_string()]);
        }
        if let Some(planted) = self.planted {
            out.extend(["--planted".to_owned(), planted.to_string()]);
        }
        out
    }
}

fn name(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    value.to_possible_value().map_or(Err(fmt::Error), |v| f.write_str(v.get_name()))
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, f)
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, f)
    }
}
