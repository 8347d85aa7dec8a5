//! Whether a member may sign a checkpoint: the pure part of the signer.
//!
//! Must hold: a member never signs a head that is smaller than, or another of the same size as, the last that it
//! signed (A1), nor one whose time is far from its own clock, because a signature vouches for that time too.

use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
use sekisho_types::time::Timestamp;
use std::time::Duration;

/// Why a checkpoint is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Covered by a head that was signed before; a member that replays its log meets these.
    #[error("a later checkpoint was signed already")]
    Older,
    /// This member's own log contradicts what it signed before. A human must look.
    #[error("the audit log contradicts the head that this member signed before")]
    Fork,
    /// Another member signs for the federation, and signed what this member's log contradicts. A human must look.
    #[error("member {member} signed an audit head that this member's log contradicts")]
    Witnessed {
        /// Who.
        member: MemberId,
    },
    /// This member's tree does not reach back to what it signed before: it installed a snapshot since, and has not fetched
    /// the records below it yet.
    #[error(
        "this member's audit tree has no hash {index} yet to show that it follows what was signed"
    )]
    Unproven {
        /// The first that is missing.
        index: u64,
    },
    /// The state clock is ahead of the wall clock.
    #[error("the state clock is {by_ms} ms ahead of this member's clock")]
    ClockAhead {
        /// By how much, ms.
        by_ms: u64,
    },
    /// The state clock is behind the wall clock.
    #[error("the state clock is {by_ms} ms behind this member's clock")]
    ClockBehind {
        /// By how much, ms.
        by_ms: u64,
    },
}

impl Refusal {
    /// The code that `status` shows; `None` for what is no trouble.
    #[must_use]
    pub fn code(self) -> Option<ErrorCode> {
        match self {
            Self::Older => None,
            Self::Fork | Self::Witnessed { .. } => Some(ErrorCode::AuditFork),
            Self::Unproven { .. } => Some(ErrorCode::AuditIncomplete),
            Self::ClockAhead { .. } => Some(ErrorCode::ClockAhead),
            Self::ClockBehind { .. } => Some(ErrorCode::ClockBehind),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether `next` may be signed after `last`, at this wall time.
///
/// # Errors
/// The first [`Refusal`]: order and consistency before clocks.
pub fn may_sign(
    last: Option<&Checkpoint>,
    next: &Checkpoint,
    wall: Timestamp,
) -> Result<(), Refusal> {
    if let Some(last) = last {
        follows(last, next)?;
    }
    let (ahead, behind) = (next.time.since_ms(wall), wall.since_ms(next.time));
    if ahead > milliseconds(CLOCK_AHEAD_MAX) {
        return Err(Refusal::ClockAhead { by_ms: ahead });
    }
    if behind > milliseconds(CLOCK_BEHIND_MAX) {
        return Err(Refusal::ClockBehind { by_ms: behind });
    }
    Ok(())
}

fn follows(last: &Checkpoint, next: &Checkpoint) -> Result<(), Refusal> {
    if last.cluster != next.cluster || next.incarnation < last.incarnation {
        return Err(Refusal::Fork);
    }
    // A later incarnation begins a log of its own from a backup, which may be shorter.
    if next.incarnation > last.incarnation || next == last {
        return Ok(());
    }
    if next.revision < last.revision {
        // What was signed covered it, unless the log has shrunk to another history: then sizes do not fit.
        return Err(if next.head.size <= last.head.size { Refusal::Older } else { Refusal::Fork });
    }
    let grown = next.head.size > last.head.size && next.revision > last.revision;
    let same = next.head == last.head && next.revision > last.revision;
    if (grown || same) && next.time >= last.time { Ok(()) } else { Err(Refusal::Fork) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::merkle::Head;
    use sekisho_types::id::{ClusterId, Digest};
    use sekisho_types::revision::{Incarnation, Revision};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn at(revision: u64, size: u64) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            head: Head { size, root: Digest::of(&size.to_le_bytes()) },
            revision: Revision(revision),
            time: NOW,
        }
    }

    #[test]
    fn heads_only_grow() {
        let last = at(10, 20);
        assert_eq!(may_sign(None, &last, NOW), Ok(()));
        assert_eq!(may_sign(Some(&last), &at(11, 21), NOW), Ok(()));
        assert_eq!(may_sign(Some(&last), &at(12, 20), NOW), Ok(()), "a tick may add no record");
        assert_eq!(may_sign(Some(&last), &last, NOW), Ok(()), "the same bytes again");
        assert_eq!(may_sign(Some(&last), &at(9, 19), NOW), Err(Refusal::Older));
        assert_eq!(may_sign(Some(&last), &at(11, 19), NOW), Err(Refusal::Fork));
        assert_eq!(may_sign(Some(&last), &at(10, 21), NOW), Err(Refusal::Fork));
        assert_eq!(may_sign(Some(&last), &at(9, 21), NOW), Err(Refusal::Fork));
        let mut other = at(11, 20);
        other.head.root = Digest::of(b"other");
        assert_eq!(may_sign(Some(&last), &other, NOW), Err(Refusal::Fork));
        let restored = Checkpoint { incarnation: Incarnation(2), ..at(5, 7) };
        assert_eq!(may_sign(Some(&last), &restored, NOW), Ok(()));
        assert_eq!(may_sign(Some(&restored), &last, NOW), Err(Refusal::Fork));
    }

    #[test]
    fn clocks_bound_what_is_vouched_for() {
        let (ahead, behind) = (Timestamp(NOW.0 - 5_000), Timestamp(NOW.0 + 15_000));
        assert_eq!(may_sign(None, &at(1, 1), ahead), Ok(()));
        assert_eq!(may_sign(None, &at(1, 1), behind), Ok(()));
        assert_eq!(
            may_sign(None, &at(1, 1), Timestamp(ahead.0 - 1)),
            Err(Refusal::ClockAhead { by_ms: 5_001 })
        );
        let late = may_sign(None, &at(1, 1), Timestamp(behind.0 + 1));
        assert_eq!(late, Err(Refusal::ClockBehind { by_ms: 15_001 }));
        assert_eq!(late.unwrap_err().code(), Some(ErrorCode::ClockBehind));
    }
}
