//! A fix with all that is needed to judge it again, years later and with no cluster at hand: what `residency prove --save`
//! writes and `residency verify` reads.
//!
//! Layout: [`MAGIC`], which has the version, the canonical [`Evidence`], and the SHA-256 of all that precedes it.
//!
//! Must hold (D1): the verdict of a file is never believed; [`Evidence::judge`] reaches it again from signatures, and says
//! no if it reaches another one. One changed bit is noticed. The trailer only finds damage: whoever writes a file of his
//! own writes its trailer too.
//! Does not show: that the landmarks' keys and places are the federation's, that the receipt key and the certificate's key
//! are the node's, that the area is its tag's, or what the federation's tables of land are. The reader compares
//! [`LandmarkTable::hash`] and the cluster with what it knows.

use super::fix::{FIX_AGE_MAX_MS, FixError, Host, judge};
use super::foreign;
use super::landmark::{LandmarkId, LandmarkTable};
use super::prefecture;
use super::transcript::{Expected, FixId, SignedTranscript, Subject, TranscriptError, verify_all};
use super::verdict::{FIX_LANDMARKS_MAX, Question, Ranged, Verdict, ranged};
use crate::canonical::{CanonicalError, decode, encode};
use crate::grant::Instance;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// First bytes of the file: what it is, and its version.
pub const MAGIC: &[u8; 14] = b"sekisho-fix-2\n";

/// Largest file, bytes: 256 landmarks and 64 signed transcripts are less than half of it.
pub const EVIDENCE_MAX: usize = 256 * 1024;

/// Bytes of the trailer.
const TRAILER: usize = 32;

/// A fix, and what it was judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Federation.
    pub cluster: ClusterId,
    /// Its life in which the fix was made.
    pub incarnation: Incarnation,
    /// Whose fix it is.
    pub node: NodeId,
    /// SHA-256 of the SPKI of its certificate.
    pub node_key: Digest,
    /// What it signed transcripts with.
    pub receipt_key: PublicKey,
    /// Area on its site tag; `None` if that is none of Japan's.
    pub area: Option<Area>,
    /// The landmarks that count.
    pub landmarks: LandmarkTable,
    /// SHA-256 of the table of foreign land that it was judged by.
    pub foreign: Digest,
    /// The same of the prefectures' land.
    pub prefectures: Digest,
    /// Which attempt.
    pub fix: FixId,
    /// Those that count, in the order of their landmarks.
    pub transcripts: Vec<SignedTranscript>,
    /// What it proved.
    pub verdict: Verdict,
}

/// What a file comes to when it is judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The verdict, with f = 0.
    pub verdict: Verdict,
    /// What each landmark says.
    pub ranged: Vec<Ranged>,
    /// Which start of the host's program was measured.
    pub instance: Instance,
    /// When the first exchange began.
    pub measured: Timestamp,
}

/// Why a file does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// More bytes than any has.
    #[error("{0} bytes are too many, at most {EVIDENCE_MAX} are read")]
    TooLarge(usize),
    /// Another kind of file, or another version.
    #[error("not a fix of version 2")]
    Magic,
    /// A byte of it was changed or is missing.
    #[error("damaged: the hash at its end is of other bytes")]
    Damaged,
    /// Not in the one canonical form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
    /// Judged by another table of foreign land than this program has.
    #[error("judged by the table of foreign land {0}, this program has {1}")]
    Foreign(Digest, Digest),
    /// The same of the prefectures' land.
    #[error("judged by the table of the prefectures' land {0}, this program has {1}")]
    Prefectures(Digest, Digest),
    /// No transcript, or more than a fix has.
    #[error("{0} transcripts, 1 to {FIX_LANDMARKS_MAX} make a fix")]
    Count(usize),
    /// Measured by none of its landmarks.
    #[error("no landmark {0} stands in its table")]
    Stranger(LandmarkId),
    /// Transcripts of several attempts or starts, or not in their order.
    #[error("the transcript of {0} {1}")]
    Mixed(LandmarkId, &'static str),
    /// A transcript that does not verify.
    #[error("that of {0}: {1}")]
    Transcript(LandmarkId, TranscriptError),
    /// It is no fix.
    #[error(transparent)]
    Fix(#[from] FixError),
    /// The transcripts come to something else.
    #[error("its transcripts come to another verdict than it says")]
    Verdict,
}

impl EvidenceError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Transcript(_, error) => error.code(),
            Self::Fix(error) => error.code(),
            Self::Magic
            | Self::Damaged
            | Self::Form(_)
            | Self::Foreign(..)
            | Self::Prefectures(..)
            | Self::Count(_)
            | Self::Stranger(_)
            | Self::Mixed(..)
            | Self::Verdict => ErrorCode::LocationInvalid,
        }
    }
}

impl Evidence {
    /// The file.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(self)?);
        let trailer = Digest::of(&bytes);
        bytes.extend(trailer.0);
        Ok(bytes)
    }

    /// Reads a file; nothing that it says is checked.
    ///
    /// # Errors
    /// [`EvidenceError`]: another kind of file, or a damaged one.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > EVIDENCE_MAX {
            return Err(EvidenceError::TooLarge(bytes.len()));
        }
        let body = bytes.strip_prefix(MAGIC).ok_or(EvidenceError::Magic)?;
        let body = body.len().checked_sub(TRAILER).and_then(|at| body.split_at_checked(at));
        let (body, trailer) = body.ok_or(EvidenceError::Damaged)?;
        let before = bytes.len().saturating_sub(TRAILER);
        let hash = bytes.get(..before).map(Digest::of);
        if hash.is_none_or(|hash| hash.0 != *trailer) {
            return Err(EvidenceError::Damaged);
        }
        Ok(decode(body)?)
    }

    /// Judges it again, with every signature, at the moment of its last exchange.
    ///
    /// # Errors
    /// The first [`EvidenceError`].
    pub fn judge(&self) -> Result<Judged, EvidenceError> {
        let own = foreign::table_hash();
        if self.foreign != own {
            return Err(EvidenceError::Foreign(self.foreign, own));
        }
        let own = prefecture::table_hash();
        if self.prefectures != own {
            return Err(EvidenceError::Prefectures(self.prefectures, own));
        }
        let all = &self.transcripts;
        let first = all.first().filter(|_| all.len() <= FIX_LANDMARKS_MAX);
        let first = first.ok_or(EvidenceError::Count(all.len()))?;
        let (instance, subject) = (first.transcript.instance, Subject::Node(self.node.clone()));
        self.check_order(instance)?;
        let verified = verify_all(&self.expected(&subject)?);
        let verified = verified.into_iter().zip(all).map(|(verified, signed)| {
            let of = || signed.transcript.landmark.clone();
            verified.map_err(|error| EvidenceError::Transcript(of(), error))
        });
        let verified = verified.collect::<Result<Vec<_>, _>>()?;
        let (host, now) = (self.host(), self.last());
        let fix = judge(host, self.fix, all, now)?;
        if fix.verdict != self.verdict {
            return Err(EvidenceError::Verdict);
        }
        let question = Question {
            landmarks: &self.landmarks,
            subject: &subject,
            subject_key: &self.node_key,
            instance,
            fix: self.fix,
            now,
            max_age_ms: FIX_AGE_MAX_MS,
            threshold: 0,
            claimed: None,
            home: None,
        };
        let ranged = ranged(&question, &verified);
        Ok(Judged { verdict: fix.verdict, ranged, instance, measured: fix.measured })
    }

    /// When the last exchange was over: whatever counted when the fix was kept counts at this moment too.
    fn last(&self) -> Timestamp {
        let ended = self.transcripts.iter().map(|signed| signed.transcript.ended);
        ended.max().unwrap_or_default()
    }

    fn host(&self) -> Host<'_> {
        Host {
            cluster: &self.cluster,
            incarnation: self.incarnation,
            landmarks: &self.landmarks,
            node: &self.node,
            node_key: &self.node_key,
            receipt_key: &self.receipt_key,
            area: self.area,
        }
    }

    fn check_order(&self, instance: Instance) -> Result<(), EvidenceError> {
        let mut before = None;
        for signed in &self.transcripts {
            let said = &signed.transcript;
            let place = (&said.landmark, said.serial);
            let checks = [
                (said.fix == self.fix, "is of another fix"),
                (said.instance == instance, "is of another start"),
                (before.is_none_or(|before| before < place), "stands twice or out of order"),
            ];
            if let Some((_, wrong)) = checks.iter().find(|(holds, _)| !holds) {
                return Err(EvidenceError::Mixed(said.landmark.clone(), wrong));
            }
            before = Some(place);
        }
        Ok(())
    }

    fn expected<'e>(
        &'e self,
        subject: &'e Subject,
    ) -> Result<Vec<(&'e SignedTranscript, Expected<'e>)>, EvidenceError> {
        let one = |signed: &'e SignedTranscript| {
            let id = &signed.transcript.landmark;
            let landmark =
                self.landmarks.get(id).ok_or_else(|| EvidenceError::Stranger(id.clone()))?;
            let expected = Expected {
                cluster: &self.cluster,
                incarnation: self.incarnation,
                landmark,
                subject,
                subject_key: &self.node_key,
                signing_key: &self.receipt_key,
            };
            Ok((signed, expected))
        };
        self.transcripts.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests;
