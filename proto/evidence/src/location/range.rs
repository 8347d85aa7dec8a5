//! Landmarks that measure each other: a delay shorter than light takes between the places that two state.
//!
//! Must hold: whoever tells the truth about its place, its key and its clock stands in contradiction with liars alone,
//! whatever they do; so as long as landmarks of at most [`LIARS`] operators lie or err, none but those is taken out
//! (`docs/location.md` has the argument). A range is of both landmarks as they stand in the table: the one that was
//! measured signs where it stands, too.
//!
//! Does not know who is wrong of two. A delay that is too long says nothing.

use super::landmark::{Landmark, LandmarkId, LandmarkTable};
use super::transcript::{Expected, FixId, SignedTranscript, Subject, TranscriptError};
use super::verdict::{AHEAD_MS, Conviction, convict};
use crate::canonical::{CanonicalError, encode};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, OperatorId};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Transcripts that are handed in together at most: who measures more at a time has the others wait.
pub const RANGES_MAX: usize = 8;

/// How old a range may be when it is judged, ms: it is handed in at once, and a slow leader has time.
pub const RANGE_AGE_MAX_MS: u64 = 600_000;

/// Of so many operators the landmarks may lie or err without an honest one being taken out: the f of rules that say
/// nothing else.
pub const LIARS: usize = 1;

/// What a landmark measured of another one last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The shortest round trip, ns.
    pub rtt_min_ns: u64,
    /// When the exchange ended, by the clock of the one that measured.
    pub ended: Timestamp,
    /// Of the transcript.
    pub serial: u64,
    /// Why it cannot be. Stays, whatever is measured later, until one of the two is registered anew.
    pub conviction: Option<Conviction>,
}

/// Who measured, and who was measured.
pub type Pair = (LandmarkId, LandmarkId);

/// By what a range is judged.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// Federation.
    pub cluster: &'q ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The landmarks that count.
    pub landmarks: &'q LandmarkTable,
    /// When it is asked.
    pub now: Timestamp,
}

/// Why a transcript is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is of a landmark that does not count.
    #[error("no landmark {0} is known")]
    Stranger(LandmarkId),
    /// It is of a node.
    #[error("a node was measured, no landmark")]
    Node,
    /// Landmarks of one operator have nothing to say against each other.
    #[error("both landmarks are of {0}")]
    OneOperator(OperatorId),
    /// Made at another time.
    #[error("the range of {0} by {1} {2}")]
    Time(LandmarkId, LandmarkId, &'static str),
    /// The landmark that was measured stood elsewhere, or had another key.
    #[error("landmark {0} was measured where it does not stand now")]
    Moved(LandmarkId),
    /// Not signed as it has to be.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
    /// Never for this type.
    #[error(transparent)]
    Form(#[from] CanonicalError),
}

impl RangeError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Transcript(error) => error.code(),
            Self::Stranger(_)
            | Self::Node
            | Self::OneOperator(_)
            | Self::Time(..)
            | Self::Moved(_)
            | Self::Form(_) => ErrorCode::LocationInvalid,
        }
    }
}

/// In place of a fix: commits to the landmark that is measured as it stands in the table. What is signed for one place
/// of it is nothing at another.
///
/// # Errors
/// Never for this type; see [`encode`].
pub fn occasion(measured: &Landmark) -> Result<FixId, CanonicalError> {
    let bytes = [b"sekisho/range/v1\0".as_slice(), &encode(measured)?].concat();
    let Digest(hash) = Digest::of(&bytes);
    Ok(FixId(hash.first_chunk().copied().unwrap_or_default()))
}

/// Judges what one landmark measured of another.
///
/// # Errors
/// [`RangeError`]: nothing follows from it.
pub fn judge(
    question: Question<'_>,
    signed: &SignedTranscript,
) -> Result<(Pair, Range), RangeError> {
    let said = &signed.transcript;
    let known = |id: &LandmarkId| {
        question.landmarks.get(id).ok_or_else(|| RangeError::Stranger(id.clone()))
    };
    let Subject::Landmark(measured) = &said.subject else { return Err(RangeError::Node) };
    let (measuring, measured) = (known(&said.landmark)?, known(measured)?);
    if measuring.id.operator == measured.id.operator {
        return Err(RangeError::OneOperator(measuring.id.operator.clone()));
    }
    let times = [
        (said.ended.since_ms(question.now) <= AHEAD_MS, "is of a time to come"),
        (question.now.since_ms(said.started) < RANGE_AGE_MAX_MS, "is too old"),
    ];
    if let Some((_, wrong)) = times.iter().find(|(holds, _)| !holds) {
        return Err(RangeError::Time(measured.id.clone(), measuring.id.clone(), wrong));
    }
    if said.fix != occasion(measured)? {
        return Err(RangeError::Moved(measured.id.clone()));
    }
    let expected = Expected {
        cluster: question.cluster,
        incarnation: question.incarnation,
        landmark: measuring,
        subject: &said.subject,
        // Whose certificate it was does not matter: the key in the table is the landmark's.
        subject_key: &said.subject_key,
        signing_key: &measured.key,
    };
    let verified = signed.verify(expected)?;
    let range = Range {
        rtt_min_ns: said.rtt_min_ns,
        ended: said.ended,
        serial: said.serial,
        conviction: convict(measuring, measured, &verified),
    };
    Ok(((measuring.id.clone(), measured.id.clone()), range))
}

impl Range {
    /// What is kept of this one after that one before. `None` if it is not newer.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Option<Self> {
        let Some(before) = before else { return Some(self) };
        if self.ended <= before.ended {
            return None;
        }
        Some(Self { conviction: before.conviction.clone().or(self.conviction), ..self })
    }
}

/// With whose landmarks each one stands in contradiction, whoever measured.
#[must_use]
pub fn contradicted<'p>(
    contradictions: impl IntoIterator<Item = &'p Pair>,
) -> BTreeMap<&'p LandmarkId, BTreeSet<&'p OperatorId>> {
    let mut with: BTreeMap<&LandmarkId, BTreeSet<&OperatorId>> = BTreeMap::new();
    for (a, b) in contradictions {
        with.entry(a).or_default().insert(&b.operator);
        with.entry(b).or_default().insert(&a.operator);
    }
    with
}

/// Those that are taken out: more than [`LIARS`] other operators' landmarks stand against them.
#[must_use]
#[expect(single_use_lifetimes, reason = "an anonymous one is not stable there")]
pub fn convicted<'p>(contradictions: impl IntoIterator<Item = &'p Pair>) -> BTreeSet<LandmarkId> {
    let with = contradicted(contradictions).into_iter();
    with.filter(|(_, operators)| operators.len() > LIARS).map(|(id, _)| id.clone()).collect()
}

#[cfg(test)]
mod tests;
