//! A fix: the transcripts of one attempt, judged. What apply, the agent and the offline auditor all call (D1, D4).
//!
//! Must hold: a transcript counts only if both signatures verify and it is of this host, this fix and one start of its
//! program; the verdict is [`prove`]'s with f = 0, so that it says which f it withstands, and the rules ask for theirs.
//! A proof is over at [`Proof::expires`], or when a landmark that was heard is no more: there is no renewal.

use super::beacon::Home;
use super::landmark::LandmarkTable;
use super::transcript::{Expected, FixId, SignedTranscript, Subject, TranscriptError, Verified};
use super::verdict::{AHEAD_MS, Claim, FIX_LANDMARKS_MAX, Proof, Question, Verdict, prove};
use crate::grant::Instance;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::jurisdiction::{Area, Level};
use sekisho_types::residency::{Place, PlaceProof, Tier};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a proof counts, from its first exchange on, ms.
pub const FIX_AGE_MAX_MS: u64 = 3_600_000;

/// A host stands within this of the office of its tag's area, m: offices of some towns of islands lie on other ones.
const CLAIM_RADIUS_M: u32 = 400_000;

/// Ogasawara: some of its islands lie a thousand kilometres from its office.
const WIDE: Area = Area::Code(134_210);

/// Whose fix it is, and what it is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Host<'h> {
    /// Federation.
    pub cluster: &'h ClusterId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// The landmarks that count.
    pub landmarks: &'h LandmarkTable,
    /// The host.
    pub node: &'h NodeId,
    /// SHA-256 of the SPKI of its certificate.
    pub node_key: &'h Digest,
    /// What it signs transcripts with.
    pub receipt_key: &'h PublicKey,
    /// Area on its site tag; the tag's site is that of `node`.
    pub area: Option<Area>,
}

/// A fix that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Which attempt.
    pub fix: FixId,
    /// Of which start of the host's program.
    pub instance: Instance,
    /// Those that count, in the order of their landmarks.
    pub transcripts: Vec<SignedTranscript>,
    /// What they proved when they were judged, with f = 0.
    pub verdict: Verdict,
    /// When the first exchange that counts began.
    pub measured: Timestamp,
}

/// Why a fix is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// More transcripts than a fix can have.
    #[error("{0} transcripts, at most {FIX_LANDMARKS_MAX} are taken")]
    TooMany(usize),
    /// No transcript counts; why the first one does not.
    #[error("no transcript counts: {0}")]
    Nothing(String),
}

impl FixError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::LocationInvalid
    }
}

impl<'h> Host<'h> {
    /// The site and the prefecture of its tag.
    fn home(&self) -> Option<Home<'h>> {
        let prefecture = self.area.and_then(Area::prefecture)?;
        Some(Home { site: &self.node.site, prefecture })
    }
}

impl Claim {
    /// Where a host of that area is; `None` if the area has no office, or is too wide to be told by it.
    #[must_use]
    pub fn of(area: Area) -> Option<Self> {
        let info = area.info().filter(|_| area != WIDE)?;
        match info.level {
            Level::Country | Level::Prefecture => None,
            Level::Municipality | Level::Ward => {
                Some(Self { position: info.office?, radius_m: CLAIM_RADIUS_M })
            }
        }
    }
}

/// Judges a fix at `now`. Transcripts that do not count are left out.
///
/// # Errors
/// [`FixError`] if none counts.
pub fn judge(
    host: Host<'_>,
    fix: FixId,
    transcripts: &[SignedTranscript],
    now: Timestamp,
) -> Result<Fix, FixError> {
    if transcripts.len() > FIX_LANDMARKS_MAX {
        return Err(FixError::TooMany(transcripts.len()));
    }
    let subject = Subject::Node(host.node.clone());
    let (mut good, mut why): (Vec<(&SignedTranscript, Verified)>, Option<String>) = (vec![], None);
    for signed in transcripts {
        let instance = good.first().map(|(first, _)| first.transcript.instance);
        match check(host, fix, instance, &subject, signed, now) {
            Ok(verified) => good.push((signed, verified)),
            Err(wrong) => drop(why.get_or_insert(wrong)),
        }
    }
    good.sort_by(|(a, _), (b, _)| {
        let key = |signed: &SignedTranscript| signed.transcript.serial;
        a.transcript.landmark.cmp(&b.transcript.landmark).then(key(a).cmp(&key(b)))
    });
    let Some((first, _)) = good.first() else {
        return Err(FixError::Nothing(why.unwrap_or_else(|| "there is none".to_owned())));
    };
    let instance = first.transcript.instance;
    let measured = good.iter().map(|(signed, _)| signed.transcript.started).min();
    let (transcripts, verified): (Vec<_>, Vec<_>) =
        good.into_iter().map(|(signed, verified)| (signed.clone(), verified)).unzip();
    let question = Question {
        landmarks: host.landmarks,
        subject: &subject,
        subject_key: host.node_key,
        instance,
        fix,
        now,
        max_age_ms: FIX_AGE_MAX_MS,
        threshold: 0,
        claimed: host.area.and_then(Claim::of),
        home: host.home(),
    };
    let verdict = prove(&question, &verified);
    Ok(Fix { fix, instance, transcripts, verdict, measured: measured.unwrap_or_default() })
}

/// One transcript: signed by both, of this fix and start, neither too old nor of a time to come.
fn check(
    host: Host<'_>,
    fix: FixId,
    instance: Option<Instance>,
    subject: &Subject,
    signed: &SignedTranscript,
    now: Timestamp,
) -> Result<Verified, String> {
    let said = &signed.transcript;
    let landmark = host.landmarks.get(&said.landmark);
    let landmark = landmark.ok_or_else(|| format!("no landmark {} is known", said.landmark))?;
    let checks = [
        (said.fix == fix, "is of another fix"),
        (instance.is_none_or(|instance| said.instance == instance), "is of another start"),
        (said.ended.since_ms(now) <= AHEAD_MS, "is of a time to come"),
        (now.since_ms(said.started) < FIX_AGE_MAX_MS, "is too old"),
    ];
    if let Some((_, wrong)) = checks.iter().find(|(holds, _)| !holds) {
        return Err(format!("that of {} {wrong}", said.landmark));
    }
    let expected = Expected {
        cluster: host.cluster,
        incarnation: host.incarnation,
        landmark,
        subject,
        subject_key: host.node_key,
        signing_key: host.receipt_key,
    };
    signed.verify(expected).map_err(|error: TranscriptError| error.to_string())
}

impl Fix {
    /// The proof, if this is one that counts at `now`.
    #[must_use]
    pub fn proof(&self, now: Timestamp) -> Option<&Proof> {
        match &self.verdict {
            Verdict::Proven(proof) if now < proof.expires => Some(proof),
            Verdict::Proven(_) | Verdict::Unknown(_) | Verdict::Inconsistent(_) => None,
        }
    }
}

/// A place by its tag, raised to T2 by a proof that counts, and to T3 by one of the prefecture in which the tag's area lies:
/// the tag may have been renewed for another area since.
#[must_use]
pub fn proven(place: Place, proof: Option<PlaceProof>) -> Place {
    let Some(held) = proof else { return Place { proof, ..place } };
    let lies_in = |area: Area| held.prefecture.is_some_and(|within| within.contains(area));
    if place.area.is_some_and(lies_in) {
        let site = Tier::SiteProven;
        let (country_tier, area_tier) = (place.country_tier.max(site), place.area_tier.max(site));
        return Place { country_tier, area_tier, proof, ..place };
    }
    Place { country_tier: place.country_tier.max(Tier::CountryProven), proof, ..place }
}

#[cfg(test)]
mod tests;
