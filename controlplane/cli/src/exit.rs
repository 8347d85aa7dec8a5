//! Exit codes: what a script can tell apart without reading text (design, section 11).
//!
//! Must hold: the numbers are a promise and never move; every error code has exactly one of them.

use sekisho_types::error_code::{ErrorCode, Kind};
use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `job plan`: would be placed now.
    Ok = 0,
    /// Failed for a reason that no other code names.
    Error = 1,
    /// The command line, a file or a field is wrong.
    Usage = 2,
    /// No such resource.
    NotFound = 3,
    /// Not who may do this.
    Auth = 4,
    /// Somebody else was first.
    Conflict = 5,
    /// Quota or another precondition does not hold.
    Precondition = 6,
    /// No leader, or no member answered.
    NoLeader = 7,
    /// No answer in time; with a request id, the outcome may be unknown.
    Timeout = 8,
    /// `job plan`: would wait.
    WouldWait = 10,
    /// `job plan`: can never be placed as asked.
    Never = 11,
    /// Ctrl-C ended the looking on, and nothing else.
    Interrupted = 130,
}

impl Exit {
    /// The exit of an error code.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        // A deadline is of the kind that a retry may help, like a missing leader, but scripts wait on it apart.
        if code == ErrorCode::Deadline {
            return Self::Timeout;
        }
        match code.kind() {
            Kind::Invalid => Self::Usage,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Auth => Self::Auth,
            Kind::Never | Kind::NotYet | Kind::Precondition => Self::Precondition,
            Kind::Unavailable => Self::NoLeader,
            Kind::Unknown => Self::Timeout,
            Kind::Internal => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_documentation() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Error, 1),
            (Exit::Usage, 2),
            (Exit::NotFound, 3),
            (Exit::Auth, 4),
            (Exit::Conflict, 5),
            (Exit::Precondition, 6),
            (Exit::NoLeader, 7),
            (Exit::Timeout, 8),
            (Exit::WouldWait, 10),
            (Exit::Never, 11),
            (Exit::Interrupted, 130),
        ];
        for (exit, number) in all {
            assert_eq!(exit as u8, number);
        }
    }

    #[test]
    fn every_error_code_fails_and_the_known_ones_as_documented() {
        for code in ErrorCode::ALL {
            assert!((1..=8).contains(&(Exit::of(*code) as u8)), "{code}");
        }
        let table = [
            (ErrorCode::NotFound, Exit::NotFound),
            (ErrorCode::PermissionDenied, Exit::Auth),
            (ErrorCode::SignaturesMissing, Exit::Auth),
            (ErrorCode::RevisionMismatch, Exit::Conflict),
            (ErrorCode::QuotaExceeded, Exit::Precondition),
            (ErrorCode::QuotaNone, Exit::Precondition),
            (ErrorCode::SpecUnknownField, Exit::Usage),
            (ErrorCode::NoLeader, Exit::NoLeader),
            (ErrorCode::Deadline, Exit::Timeout),
            (ErrorCode::OutcomeUnknown, Exit::Timeout),
            (ErrorCode::Internal, Exit::Error),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::of(code), exit, "{code}");
        }
    }
}
