//! What landmark and subject say to each other: frames on their TLS connection, datagrams beside it.
//!
//! Must hold: one encoding of each (D1), so that what is left over or spelt otherwise is refused; lengths are bounded
//! before a byte is stored (L4). A datagram is of one size whatever it says: a longer question would be answered later,
//! and a cookie that is as long as its answer cannot be used to send more to somebody than one has sent.

use super::exchange::{Nonce, Reply};
use super::landmark::LandmarkId;
use super::transcript::{FixId, Subject, Transcript};
use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::Instance;
use sekisho_types::id::{Digest, Signature};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a frame after its length: a transcript, whose bound is larger than it is.
pub const FRAME_MAX: usize = 1024;

/// Bytes of the length before a frame.
pub const FRAME_HEADER: usize = 2;

/// Bytes of every datagram.
pub const DATAGRAM_SIZE: usize = 21;

/// What a subject shows by UDP, so that a landmark sends nothing to an address that nobody has shown.
pub type Cookie = [u8; 16];

/// First frame, by the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which landmark it means.
    pub landmark: LandmarkId,
    /// For which fix.
    pub fix: FixId,
    /// Who it is.
    pub subject: Subject,
    /// SHA-256 of the SPKI of its certificate.
    pub subject_key: Digest,
    /// Which start of its program.
    pub instance: Instance,
}

/// Answer to [`Hello`], by the landmark: it waits for the cookie now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Of the transcript to come.
    pub serial: u64,
    /// To be sent from the socket that will answer.
    pub cookie: Cookie,
    /// Where the landmark hears datagrams, on the address that was dialled, unless its operator registered another.
    pub port: u16,
}

/// The cookie is a secret of two until it is used.
impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// Why a landmark makes no transcript.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
pub enum Refusal {
    /// What came was no frame of this exchange.
    #[error("the landmark did not understand")]
    Malformed,
    /// It does not stand in the table of the state, or with another key.
    #[error("the landmark is not registered")]
    NotRegistered,
    /// The certificate is not one of an enrolled node or a registered landmark, or not the one that was named.
    #[error("the landmark does not know this subject")]
    NotEnrolled,
    /// The same subject was measured just now.
    #[error("the landmark measured this subject just now")]
    TooSoon,
    /// Others are measured.
    #[error("the landmark is busy")]
    Busy,
    /// Nobody showed the cookie.
    #[error("the cookie did not come")]
    NoCookie,
    /// So many rounds were lost that nothing follows.
    #[error("too few rounds were answered")]
    Silent,
    /// The subject did not sign, or with another key than the state's.
    #[error("the subject did not sign")]
    NotSigned,
    /// A fault of the landmark.
    #[error("the landmark failed")]
    Failed,
}

impl Refusal {
    /// One word, for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotRegistered => "not-registered",
            Self::NotEnrolled => "not-enrolled",
            Self::TooSoon => "too-soon",
            Self::Busy => "busy",
            Self::NoCookie => "no-cookie",
            Self::Silent => "silent",
            Self::NotSigned => "not-signed",
            Self::Failed => "failed",
        }
    }
}

/// A message on the connection, in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Subject: measure me.
    Hello(Hello),
    /// Landmark: show the cookie.
    Ready(Ready),
    /// Landmark, after the rounds: this is what came out.
    Drawn(Box<Transcript>),
    /// Subject: that was me.
    Agreed(Signature),
    /// Landmark: that was I.
    Sealed(Signature),
    /// Landmark, at any time: no.
    Refused(Refusal),
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More than [`FRAME_MAX`], or none.
    #[error("a frame of {0} bytes")]
    Length(usize),
    /// Not in the one form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
}

impl Frame {
    /// Its bytes with their length before them.
    ///
    /// # Errors
    /// Never for these types: none is longer than [`FRAME_MAX`].
    pub fn bytes(&self) -> Result<Vec<u8>, FrameError> {
        let body = encode(self)?;
        let length = u16::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_MAX);
        let length = length.ok_or(FrameError::Length(body.len()))?;
        Ok([&length.to_be_bytes()[..], &body].concat())
    }

    /// How many bytes follow a header.
    ///
    /// # Errors
    /// [`FrameError::Length`].
    pub fn length(header: [u8; FRAME_HEADER]) -> Result<usize, FrameError> {
        let length = usize::from(u16::from_be_bytes(header));
        if (1..=FRAME_MAX).contains(&length) { Ok(length) } else { Err(FrameError::Length(length)) }
    }

    /// Reads what follows a header.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn parse(body: &[u8]) -> Result<Self, FrameError> {
        if body.len() > FRAME_MAX {
            return Err(FrameError::Length(body.len()));
        }
        Ok(decode(body)?)
    }
}

/// What is sent by UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// Subject: here I am.
    Cookie(Cookie),
    /// Landmark: a round's nonce.
    Ask(u32, Nonce),
    /// Subject: the reply to it.
    Reply(u32, Reply),
}

const COOKIE: u8 = 1;
const ASK: u8 = 2;
const REPLY: u8 = 3;

impl Datagram {
    /// Its bytes: kind, round, sixteen bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; DATAGRAM_SIZE] {
        let (kind, round, rest) = match self {
            Self::Cookie(cookie) => (COOKIE, 0, cookie),
            Self::Ask(round, nonce) => (ASK, *round, nonce),
            Self::Reply(round, reply) => (REPLY, *round, reply),
        };
        let mut bytes = [0; DATAGRAM_SIZE];
        let (head, tail) = bytes.split_at_mut(5);
        if let [first, middle @ ..] = head {
            *first = kind;
            middle.copy_from_slice(&round.to_be_bytes());
        }
        tail.copy_from_slice(rest);
        bytes
    }

    /// Reads one; `None` for anything that [`Self::bytes`] does not make.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, bytes) = bytes.split_first()?;
        let (round, bytes) = bytes.split_first_chunk::<4>()?;
        let rest = <[u8; 16]>::try_from(bytes).ok()?;
        match (*kind, u32::from_be_bytes(*round)) {
            (COOKIE, 0) => Some(Self::Cookie(rest)),
            (ASK, round) => Some(Self::Ask(round, rest)),
            (REPLY, round) => Some(Self::Reply(round, rest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_have_one_size_and_one_form() {
        let all = [
            Datagram::Cookie([7; 16]),
            Datagram::Ask(3, [8; 16]),
            Datagram::Reply(u32::MAX, [9; 16]),
        ];
        for datagram in all {
            let bytes = datagram.bytes();
            assert_eq!(Datagram::parse(&bytes), Some(datagram));
            assert_eq!(Datagram::parse(&bytes[1..]), None);
            assert_eq!(Datagram::parse(&[&bytes[..], &[0]].concat()), None, "longer");
            assert_eq!(Datagram::parse(&[&[0], &bytes[1..]].concat()), None, "of no kind");
        }
        let mut numbered = Datagram::Cookie([7; 16]).bytes();
        numbered[4] = 1;
        assert_eq!(Datagram::parse(&numbered), None, "a cookie has no round");
        assert_eq!(Datagram::Ask(0x0102_0304, [5; 16]).bytes()[..6], [2, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn frames_are_bounded_and_strict() {
        let frame = Frame::Ready(Ready { serial: 300, cookie: [7; 16], port: 7_443 });
        let bytes = frame.bytes().unwrap();
        let (header, body) = bytes.split_first_chunk::<FRAME_HEADER>().unwrap();
        assert_eq!(Frame::length(*header), Ok(body.len()));
        assert_eq!(Frame::parse(body), Ok(frame.clone()));
        Frame::parse(&[body, &[0]].concat()).unwrap_err();
        Frame::parse(&body[..body.len() - 1]).unwrap_err();
        assert_eq!(Frame::length([0, 0]), Err(FrameError::Length(0)));
        assert_eq!(Frame::length([4, 1]), Err(FrameError::Length(FRAME_MAX + 1)));
        assert_eq!(Frame::length([4, 0]), Ok(FRAME_MAX));
        assert!(!format!("{frame:?}").contains('7'), "a cookie is not printed");
    }
}
