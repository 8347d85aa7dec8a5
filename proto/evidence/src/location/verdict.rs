//! What the transcripts of one fix prove: not abroad, nothing, or that somebody is wrong.
//!
//! Must hold (D1), to the letter of `docs/location.md`: only the shortest delay of a landmark within one fix counts, and
//! nothing is taken off it; every cell of foreign land, and what is beyond the horizon, has to be excluded by landmarks of
//! f + 1 distinct operators; what is not known counts as abroad. Adding delay never makes a fix that was *unknown* proven,
//! and f lying operators never make it so.
//!
//! Contradictions are told only when they are certain. They make a fix worthless even if it would prove something: one of
//! those who measured is wrong, and somebody has to look. A liar can cause one, and so keep a host from being proven; it
//! can also take it back. Neither makes a host abroad *proven*, because that never rests on there being no contradiction.

use super::beacon::{self, Beacon, Home};
use super::geometry::{Vector, on_sphere, reach};
use super::intersection::{Disc, Intersection};
use super::landmark::{Landmark, LandmarkId, LandmarkTable, Row};
use super::transcript::{FixId, Subject, Transcript, Verified};
use crate::grant::Instance;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, OperatorId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
use sekisho_types::position::Position;
use sekisho_types::residency::PlaceProof;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Landmarks of one fix that count: 16 prove what can be proven; an operator of each is a bit of a word.
pub const FIX_LANDMARKS_MAX: usize = 64;

/// Longest time from the first round of a fix to the end of the last, ms: exchanges with 64 landmarks, some at a time.
/// The host must not be moved meanwhile.
pub const FIX_SPAN_MAX_MS: u64 = 120_000;

/// How far the clock of a landmark may be ahead of the one that asks, ms: what two members may differ by.
#[expect(clippy::cast_possible_truncation, reason = "twenty seconds")]
pub(super) const AHEAD_MS: u64 =
    (CLOCK_AHEAD_MAX.as_millis() + CLOCK_BEHIND_MAX.as_millis()) as u64;

/// Where a host is said to be, by its tag: within `radius_m` of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The middle.
    pub position: Position,
    /// How far from it the host may be, m.
    pub radius_m: u32,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The landmarks that count.
    pub landmarks: &'q LandmarkTable,
    /// About whom.
    pub subject: &'q Subject,
    /// With which certificate key.
    pub subject_key: &'q Digest,
    /// In which start of its program.
    pub instance: Instance,
    /// By which fix.
    pub fix: FixId,
    /// When it is asked.
    pub now: Timestamp,
    /// How old a transcript may be, ms.
    pub max_age_ms: u64,
    /// f: how many operators may lie without a host abroad being proven.
    pub threshold: u32,
    /// Where the host is said to be, if that is to be compared.
    pub claimed: Option<Claim>,
    /// The site that it is to be proven at, if its tag names one in a prefecture.
    pub home: Option<Home<'q>>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The host is not on foreign land.
    Proven(Proof),
    /// It may be anywhere.
    Unknown(Missing),
    /// Somebody is wrong; never proven.
    Inconsistent(Contradiction),
}

/// Why a host is not abroad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// So many operators may have lied; at least what was asked for.
    pub f: u32,
    /// Whose landmarks exclude some foreign land.
    pub operators: BTreeSet<OperatorId>,
    /// When the oldest exchange began.
    pub oldest: Timestamp,
    /// When it is too old, exclusive.
    pub expires: Timestamp,
    /// The prefecture of its tag, if a beacon of its site proves it to stand there: tier T3.
    pub prefecture: Option<Area>,
    /// What the site's beacon measured, whether or not that is enough; `None` if none did.
    pub beacon: Option<Beacon>,
}

impl From<&Proof> for PlaceProof {
    fn from(proof: &Proof) -> Self {
        let &Proof { f, oldest, prefecture, .. } = proof;
        Self { f, oldest, prefecture }
    }
}

/// What would prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// So many more operators have to exclude the place that the fewest exclude.
    pub operators: u32,
    /// The nearest place that too few exclude; `None` if nothing was measured.
    pub nearest: Option<Nearest>,
    /// What each landmark measured.
    pub discs: Vec<Measured>,
}

/// A place abroad where the host may be. Only its distance: places abroad have no names here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// How far it is at least, m.
    pub distance_m: u64,
    /// From this landmark: the one with the smallest disc.
    pub from: LandmarkId,
    /// How many operators exclude it.
    pub excluded_by: u32,
}

/// What one landmark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub landmark: LandmarkId,
    /// The host is within this of its stated position, m, rounded up.
    pub radius_m: u64,
    /// How much smaller than its distance to foreign land that is, m; what it lacks if negative.
    pub slack_m: i64,
}

/// One landmark's part in a verdict, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranged {
    /// Which.
    pub landmark: LandmarkId,
    /// The shortest round trip that counts, ns.
    pub rtt_ns: u64,
    /// The host is within this of its stated position, m, rounded up.
    pub radius_m: u64,
    /// No foreign land is nearer to that position, m, rounded down.
    pub nearest_m: u64,
    /// It excludes everything abroad without any other one.
    pub excludes_all: bool,
}

/// What each landmark says, of the transcripts that [`prove`] counts.
#[must_use]
pub fn ranged(question: &Question<'_>, transcripts: &[Verified]) -> Vec<Ranged> {
    let (shortest, _oldest) = shortest(question, transcripts);
    let delays: Vec<u64> = shortest.values().map(|(_row, rtt_ns)| *rtt_ns).collect();
    let discs = discs(shortest.into_values(), reach);
    let one = |((row, disc), rtt_ns): ((&Row, Disc), u64)| Ranged {
        landmark: row.landmark.id.clone(),
        rtt_ns,
        radius_m: disc.radius_cm.div_ceil(100),
        nearest_m: disc.nearest_cm.div_euclid(100),
        excludes_all: disc.excludes_all(),
    };
    discs.into_iter().zip(delays).map(one).collect()
}

/// Statements that cannot all be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contradiction {
    /// No point of the Earth lies in the discs of both.
    Landmarks(LandmarkId, LandmarkId),
    /// The host cannot be where it is said to be.
    Claim(LandmarkId),
}

impl Verdict {
    /// The code under which a verdict that is not *proven* is told.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Proven(_) => None,
            Self::Unknown(_) => Some(ErrorCode::ResidencyTier),
            Self::Inconsistent(_) => Some(ErrorCode::LocationInconsistent),
        }
    }
}

/// Judges a fix. Transcripts of anything else than what is asked about, too old ones, and those of landmarks that the
/// table does not have where they measured do not count.
#[must_use]
pub fn prove(question: &Question<'_>, transcripts: &[Verified]) -> Verdict {
    let (shortest, oldest) = shortest(question, transcripts);
    let delays: Vec<u64> = shortest.values().map(|(_row, rtt_ns)| *rtt_ns).collect();
    let measured: Vec<(&Row, Disc)> = discs(shortest.into_values(), reach);
    if let Some(wrong) = contradiction(&measured, question.claimed) {
        return Verdict::Inconsistent(wrong);
    }
    let enough = question.threshold.saturating_add(1);
    let discs: Vec<Disc> = measured.iter().map(|(_, disc)| *disc).collect();
    let intersection = Intersection::of(&discs);
    let fewest = intersection.fewest();
    if fewest < enough {
        return Verdict::Unknown(missing(&measured, &intersection, enough, fewest));
    }
    let excluding = intersection.excluding();
    let operators = measured.iter().filter(|(_, disc)| disc.operator & excluding != 0);
    let beacon = question.home.and_then(|home| beacon::best(home, &measured, &delays));
    let confirmed = question.home.filter(|_| beacon.as_ref().is_some_and(Beacon::confirms));
    Verdict::Proven(Proof {
        f: fewest.saturating_sub(1),
        operators: operators.map(|(row, _)| row.landmark.id.operator.clone()).collect(),
        oldest,
        expires: oldest.plus_ms(question.max_age_ms),
        prefecture: confirmed.map(|home| home.prefecture),
        beacon,
    })
}

type Shortest<'q> = BTreeMap<&'q LandmarkId, (&'q Row, u64)>;

/// The shortest delay of each landmark, and when the oldest exchange that counts began.
fn shortest<'q>(question: &Question<'q>, transcripts: &'q [Verified]) -> (Shortest<'q>, Timestamp) {
    let usable = |transcript: &&Transcript| {
        transcript.subject == *question.subject
            && transcript.subject_key == *question.subject_key
            && transcript.instance == question.instance
            && transcript.fix == question.fix
            && transcript.ended.since_ms(question.now) <= AHEAD_MS
            && question.now.since_ms(transcript.started) < question.max_age_ms
    };
    let usable: Vec<_> = transcripts.iter().map(Verified::transcript).filter(usable).collect();
    let last = usable.iter().map(|transcript| transcript.ended).max().unwrap_or_default();
    let (mut found, mut oldest) = (Shortest::new(), last);
    for transcript in usable {
        let row = question.landmarks.row(&transcript.landmark);
        let Some(row) = row.filter(|row| row.landmark.position == transcript.position) else {
            continue;
        };
        if last.since_ms(transcript.started) > FIX_SPAN_MAX_MS {
            continue;
        }
        let (_, shortest) = found.entry(&row.landmark.id).or_insert((row, u64::MAX));
        *shortest = transcript.rtt_min_ns.min(*shortest);
        oldest = oldest.min(transcript.started);
    }
    (found, oldest)
}

/// A disc for each delay. `reach` is a parameter so that the tests can show what a wrong one does.
pub(crate) fn discs<'r>(
    delays: impl IntoIterator<Item = (&'r Row, u64)>,
    reach: impl Fn(u64) -> u32,
) -> Vec<(&'r Row, Disc)> {
    let mut bits: BTreeMap<&OperatorId, u64> = BTreeMap::new();
    let delays = delays.into_iter().take(FIX_LANDMARKS_MAX);
    delays
        .map(|(row, rtt_ns)| {
            // There are no more operators than landmarks, so each has a bit.
            let next = 1_u64.rotate_left(u32::try_from(bits.len()).unwrap_or_default());
            let operator = *bits.entry(&row.landmark.id.operator).or_insert(next);
            let radius_cm = u64::from(reach(rtt_ns)).saturating_add(row.survey_cm);
            let (centre, nearest_cm, farthest_cm) = (row.vector, row.nearest_cm, row.farthest_cm);
            (row, Disc { centre, radius_cm, nearest_cm, farthest_cm, operator })
        })
        .collect()
}

fn contradiction(measured: &[(&Row, Disc)], claimed: Option<Claim>) -> Option<Contradiction> {
    let id = |row: &Row| row.landmark.id.clone();
    for (at, (row, disc)) in measured.iter().enumerate() {
        let others = measured.iter().skip(at.saturating_add(1));
        if let Some((other, _)) = others.into_iter().find(|(_, other)| disc.misses(other)) {
            return Some(Contradiction::Landmarks(id(row), id(other)));
        }
        let elsewhere = |claim: &Claim| {
            let within = disc.radius_cm.saturating_add(on_sphere(claim.radius_m).into());
            disc.centre.is_beyond(Vector::of(claim.position), within)
        };
        if claimed.as_ref().is_some_and(elsewhere) {
            return Some(Contradiction::Claim(id(row)));
        }
    }
    None
}

fn missing(
    measured: &[(&Row, Disc)],
    intersection: &Intersection<'_>,
    enough: u32,
    fewest: u32,
) -> Missing {
    let smallest = measured.iter().min_by_key(|(_, disc)| disc.radius_cm);
    let nearest = smallest.and_then(|(row, disc)| {
        let open = intersection.nearest_open(enough, disc.centre)?;
        Some(Nearest {
            distance_m: open.distance_cm.div_euclid(100),
            from: row.landmark.id.clone(),
            excluded_by: open.excluded_by,
        })
    });
    let discs = measured.iter().map(|(row, disc)| {
        let signed = |cm: u64| i64::try_from(cm).unwrap_or(i64::MAX);
        let slack_cm = signed(disc.nearest_cm).saturating_sub(signed(disc.radius_cm));
        Measured {
            landmark: row.landmark.id.clone(),
            radius_m: disc.radius_cm.div_ceil(100),
            slack_m: slack_cm.div_euclid(100),
        }
    });
    Missing { operators: enough.saturating_sub(fewest), nearest, discs: discs.collect() }
}

/// Two landmarks of which at least one lies, or has a clock or a position that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conviction {
    /// Who measured.
    pub measuring: LandmarkId,
    /// Who was measured.
    pub measured: LandmarkId,
    /// How far apart they say that they are, m, at least.
    pub distance_m: u64,
    /// How far light comes in the time that was measured, m, at most.
    pub reach_m: u64,
}

/// Whether a landmark's measurement of another one is shorter than light takes between the places that they state.
/// `None` also for a transcript of others.
#[must_use]
pub fn convict(
    measuring: &Landmark,
    measured: &Landmark,
    verified: &Verified,
) -> Option<Conviction> {
    let transcript = verified.transcript();
    let is_theirs = transcript.landmark == measuring.id
        && transcript.position == measuring.position
        && transcript.subject == Subject::Landmark(measured.id.clone());
    let (from, to) = (Vector::of(measuring.position), Vector::of(measured.position));
    let surveys = on_sphere(measuring.survey_m).saturating_add(on_sphere(measured.survey_m));
    let reach_cm = u64::from(reach(transcript.rtt_min_ns)).saturating_add(surveys.into());
    (is_theirs && from.is_beyond(to, reach_cm)).then(|| Conviction {
        measuring: measuring.id.clone(),
        measured: measured.id.clone(),
        distance_m: from.chord(to).div_euclid(100),
        reach_m: reach_cm.div_ceil(100),
    })
}
