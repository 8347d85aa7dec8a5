//! What an error means to whoever meets it, apart from which error it is.

use super::ErrorCode;
use std::fmt;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Can never be satisfied as asked: change the request.
    Never,
    /// Cannot be satisfied now: waiting may help.
    NotYet,
    /// The request is malformed: correct it.
    Invalid,
    /// The resource does not exist, or must not be known to exist.
    NotFound,
    /// Somebody else was first.
    Conflict,
    /// The system is not in a state that allows it.
    Precondition,
    /// Who the caller is does not suffice.
    Auth,
    /// Retry later; nothing happened.
    Unavailable,
    /// It may or may not have happened; repeat with the same request id.
    Unknown,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// The code of this name.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == code)
    }

    /// Whether repeating the same call unchanged can succeed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self.kind(), Kind::Unavailable | Kind::Unknown)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
