//! Life of one placement, and the one table of its legal moves.

use crate::error_code::ErrorCode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a placement ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The process exited by itself.
    Exited(i32),
    /// Killed by a signal that Sekisho did not send.
    Signaled(i32),
    /// It ran into its time limit and was stopped.
    TimedOut,
    /// Stopped on request: cancel, drain, a sibling's end.
    Stopped,
    /// The agent could not start it.
    StartFailed(String),
    /// The agent refused it, with a signed receipt.
    Refused(ErrorCode),
    /// Lease over: dead for certain, nobody saw how.
    Lost,
    /// The kernel killed it because it used more memory than it was allowed.
    OutOfMemory,
}

/// Where a placement is in its life. Capacity and quota stay charged in every phase but [`Phase::Ended`] (P3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In the log; the agent has not answered.
    Granted,
    /// The agent accepted it and wrote its intent to disk.
    Starting,
    /// The process runs.
    Running,
    /// Ordered to stop; the process may still live.
    Stopping,
    /// Confirmed dead.
    Ended(Ending),
}

impl Phase {
    /// Position in life; reports may only move it forward.
    fn rank(&self) -> u8 {
        match self {
            Self::Granted => 0,
            Self::Starting => 1,
            Self::Running => 2,
            Self::Stopping => 3,
            Self::Ended(_) => 4,
        }
    }

    /// Whether a report may move a placement from `self` to `next`. An agent that runs what it was told to stop
    /// reports `Running` late: that is no move backwards but stale news, and refused like any other.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        self.rank() < next.rank()
    }

    /// Whether the process is confirmed dead.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.pad("granted"),
            Self::Starting => f.pad("starting"),
            Self::Running => f.pad("running"),
            Self::Stopping => f.pad("stopping"),
            Self::Ended(ending) => f.pad(&ending.to_string()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Stopped => f.write_str("stopped"),
            Self::StartFailed(why) => write!(f, "start failed: {why}"),
            Self::Refused(code) => write!(f, "refused {code}"),
            Self::Lost => f.write_str("lost"),
            Self::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_only_moves_forward() {
        let life = [
            Phase::Granted,
            Phase::Starting,
            Phase::Running,
            Phase::Stopping,
            Phase::Ended(Ending::Lost),
        ];
        for (i, from) in life.iter().enumerate() {
            for (j, to) in life.iter().enumerate() {
                assert_eq!(from.may_become(to), i < j, "{from} -> {to}");
            }
        }
    }
}
