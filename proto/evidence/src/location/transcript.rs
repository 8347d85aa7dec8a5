//! Transcripts: what a landmark and a subject both sign after a timed exchange.
//!
//! Must hold (D1): a transcript is about one key, one start of a program, one landmark at one place, and one fix; bytes
//! that differ in a bit are refused. [`Verified`] is made by [`SignedTranscript::verify`] and [`verify_all`] alone, so
//! nothing is proven from what nobody signed. The landmark answers for position and time; the subject agrees to be the one that was measured, so
//! a landmark cannot measure one host and name another.
//!
//! Canonical bytes (ADR 6) under two signatures (ADR 9), because an envelope with one signature would not do.

use super::exchange::{ROUNDS_MAX, ROUNDS_MIN, Tally};
use super::landmark::{Landmark, LandmarkId};
use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::Instance;
use crate::key::{BadSignature, Batch, Purpose, SigningKey, verify};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey, Signature};
use sekisho_types::position::Position;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Bytes of a signed transcript, at most: four names of 63, two signatures, and less than 300 besides.
pub const TRANSCRIPT_MAX: usize = 768;

/// Longest time from the first nonce to the last reply, ms: 64 rounds, each with time to be lost.
pub const EXCHANGE_MAX_MS: u64 = 30_000;

/// One attempt of a subject to have its place proven, with as many landmarks as answer: made anew by the subject for
/// each. Delays of different fixes are never put together, because a host may be moved between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FixId(pub [u8; 16]);

/// Who was measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A node, or a controller under the name on its site tag.
    Node(NodeId),
    /// Another landmark.
    Landmark(LandmarkId),
}

/// What both sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Who measured.
    pub landmark: LandmarkId,
    /// From where: a landmark that is moved leaves no transcript behind that could be read at its new place.
    pub position: Position,
    /// Who was measured.
    pub subject: Subject,
    /// SHA-256 of the SPKI of its certificate, as on its site tag.
    pub subject_key: Digest,
    /// Which start of its program: a restart makes older transcripts worthless.
    pub instance: Instance,
    /// For which fix.
    pub fix: FixId,
    /// Commits to the key of the exchange: [`binding`](super::exchange::RangingKey::binding).
    pub binding: Digest,
    /// Rounds asked, [`ROUNDS_MIN`] to [`ROUNDS_MAX`].
    pub asked: u32,
    /// Rounds answered rightly, at least 1: a single right answer bounds the distance.
    pub answered: u32,
    /// The shortest of them by the landmark's clock, ns, rounded up, at least 1.
    pub rtt_min_ns: u64,
    /// SHA-256 of all nonces in the order of their rounds.
    pub nonces: Digest,
    /// The landmark's wall clock before the first round.
    pub started: Timestamp,
    /// And after the last.
    pub ended: Timestamp,
    /// Grows with each transcript of the landmark.
    pub serial: u64,
}

/// A transcript with both signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTranscript {
    /// What it says. Whether it counts, only [`Self::verify`] tells.
    pub transcript: Transcript,
    /// By the receipt key of the subject, or the key of the landmark that was measured.
    pub by_subject: Signature,
    /// By the key of the landmark that measured.
    pub by_landmark: Signature,
}

/// Why a transcript does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// More bytes than any has.
    #[error("{0} bytes are too many for a transcript")]
    TooLarge(usize),
    /// Not in the one canonical form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
    /// Of another federation, or another life of this one.
    #[error("the transcript is of another cluster or incarnation")]
    WrongCluster,
    /// Made for something else.
    #[error("the transcript is for another {0}")]
    Mismatch(&'static str),
    /// No exchange ends like this.
    #[error("the transcript's {0} is out of its bounds")]
    Bounds(&'static str),
    /// Not signed by whom it names.
    #[error("the {0}'s signature of the transcript does not verify")]
    Signature(&'static str, #[source] BadSignature),
}

impl TranscriptError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::WrongCluster => ErrorCode::WrongCluster,
            Self::TooLarge(_)
            | Self::Form(_)
            | Self::Mismatch(_)
            | Self::Bounds(_)
            | Self::Signature(..) => ErrorCode::LocationInvalid,
        }
    }
}

/// Whom a transcript must be about, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// Federation.
    pub cluster: &'e ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The landmark as it stands in the table.
    pub landmark: &'e Landmark,
    /// Who was measured.
    pub subject: &'e Subject,
    /// Digest of its certificate's key.
    pub subject_key: &'e Digest,
    /// What it signs with: its receipt key, or a landmark's own key.
    pub signing_key: &'e PublicKey,
}

/// A transcript that both signed. Its age is [`super::verdict`]'s to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified(Transcript);

impl Verified {
    /// What it says.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.0
    }

    /// What nobody signed.
    #[cfg(test)]
    pub(crate) fn unsigned(transcript: Transcript) -> Self {
        Self(transcript)
    }
}

impl Transcript {
    /// Fills in what an exchange came to.
    #[must_use]
    pub fn with_tally(self, tally: Tally) -> Self {
        let Tally { asked, answered, rtt_min_ns, nonces } = tally;
        Self { asked, answered, rtt_min_ns, nonces, ..self }
    }

    /// The landmark's signature.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign_as_landmark(&self, key: &SigningKey) -> Result<Signature, CanonicalError> {
        Ok(key.sign(Purpose::RangingLandmark, &encode(self)?))
    }

    /// The subject's signature.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign_as_subject(&self, key: &SigningKey) -> Result<Signature, CanonicalError> {
        Ok(key.sign(Purpose::RangingSubject, &encode(self)?))
    }

    pub(super) fn check_bounds(&self) -> Result<(), TranscriptError> {
        let checks = [
            ((ROUNDS_MIN..=ROUNDS_MAX).contains(&self.asked), "number of rounds"),
            ((1..=self.asked).contains(&self.answered), "number of answers"),
            (self.rtt_min_ns > 0, "delay"),
            (self.started <= self.ended, "time"),
            (self.ended.since_ms(self.started) <= EXCHANGE_MAX_MS, "time"),
        ];
        let wrong = checks.iter().find(|(holds, _)| !holds);
        wrong.map_or(Ok(()), |(_, what)| Err(TranscriptError::Bounds(what)))
    }
}

impl SignedTranscript {
    /// Its one form.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads it; nothing of it is checked.
    ///
    /// # Errors
    /// [`TranscriptError::TooLarge`], [`TranscriptError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TranscriptError> {
        if bytes.len() > TRANSCRIPT_MAX {
            return Err(TranscriptError::TooLarge(bytes.len()));
        }
        Ok(decode(bytes)?)
    }

    /// Checks who measured whom, the bounds, and both signatures.
    ///
    /// # Errors
    /// The first [`TranscriptError`].
    pub fn verify(&self, expected: Expected<'_>) -> Result<Verified, TranscriptError> {
        let bytes = self.check(expected)?;
        let wrong = |who| move |error| TranscriptError::Signature(who, error);
        verify(&expected.landmark.key, Purpose::RangingLandmark, &bytes, &self.by_landmark)
            .map_err(wrong("landmark"))?;
        verify(expected.signing_key, Purpose::RangingSubject, &bytes, &self.by_subject)
            .map_err(wrong("subject"))?;
        Ok(Verified(self.transcript.clone()))
    }

    /// Everything but the signatures. Returns what is signed.
    fn check(&self, expected: Expected<'_>) -> Result<Vec<u8>, TranscriptError> {
        let said = &self.transcript;
        if said.cluster != *expected.cluster || said.incarnation != expected.incarnation {
            return Err(TranscriptError::WrongCluster);
        }
        let checks = [
            (said.landmark == expected.landmark.id, "landmark"),
            (said.position == expected.landmark.position, "position"),
            (said.subject == *expected.subject, "subject"),
            (said.subject_key == *expected.subject_key, "key"),
        ];
        if let Some((_, what)) = checks.iter().find(|(same, _)| !same) {
            return Err(TranscriptError::Mismatch(what));
        }
        said.check_bounds()?;
        Ok(encode(said)?)
    }
}

/// Verifies many: each gets the answer that [`SignedTranscript::verify`] gives, for half the work if all are good.
#[must_use]
pub fn verify_all(
    signed: &[(&SignedTranscript, Expected<'_>)],
) -> Vec<Result<Verified, TranscriptError>> {
    let mut batch = Batch::default();
    for (one, expected) in signed {
        if let Ok(bytes) = one.check(*expected) {
            let Expected { landmark, signing_key, .. } = expected;
            batch.add(&landmark.key, Purpose::RangingLandmark, &bytes, &one.by_landmark);
            batch.add(signing_key, Purpose::RangingSubject, &bytes, &one.by_subject);
        }
    }
    let are_good = batch.verify().is_ok();
    let each = signed.iter().map(|(one, expected)| {
        if are_good {
            one.check(*expected).map(|_signed| Verified(one.transcript.clone()))
        } else {
            one.verify(*expected)
        }
    });
    each.collect()
}

#[cfg(test)]
mod tests;
