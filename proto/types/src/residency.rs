//! Residency rules and their verdict: the one pure function that admission, apply and the agent all call (D1, D4).
//!
//! Must hold: policies only narrow (D2); the baseline T1/T1 is never lowered; unknown is denied. A rule set is
//! *evaluated*, never edited, so the effective policy of a job is the list of rule sets that bind it: all of them
//! must allow the place. The module knows no node, job or table of state.

use crate::error_code::ErrorCode;
use crate::id::OperatorId;
use crate::jurisdiction::{Area, AreaError, Level};
use crate::rare::Usual;
use crate::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

/// How well a place is established. Only [`Tier::CountryProven`] and up may be called *proven*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// T0: the node says so.
    Claimed,
    /// T1: an operator-signed site tag says so.
    Tagged,
    /// T2: physics excludes abroad.
    CountryProven,
    /// T3: a beacon of the site confirms it.
    SiteProven,
    /// T4: hardware evidence binds it. In the vocabulary, given to nobody yet.
    Attested,
}

impl Tier {
    /// The tier below which nothing is ever placed; policies may raise it, never lower it.
    pub const BASELINE: Self = Self::Tagged;

    /// Parses `T0` to `T4`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Claimed, Self::Tagged, Self::CountryProven, Self::SiteProven, Self::Attested]
            .into_iter()
            .find(|tier| tier.to_string() == text)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Claimed => "T0",
            Self::Tagged => "T1",
            Self::CountryProven => "T2",
            Self::SiteProven => "T3",
            Self::Attested => "T4",
        })
    }
}

/// What becomes of a job whose node's proof is over or too old while it runs. Nothing new is placed there either way.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum OnStaleProof {
    /// It runs on.
    #[default]
    Keep,
    /// It is moved, once the proof has been over for [`STALE_PROOF_GRACE`](crate::limit::STALE_PROOF_GRACE).
    Drain,
}

impl OnStaleProof {
    /// Parses `keep` or `drain`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Keep, Self::Drain].into_iter().find(|mode| mode.to_string() == text)
    }
}

impl fmt::Display for OnStaleProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keep => "keep",
            Self::Drain => "drain",
        })
    }
}

/// The f at which T2 counts where a rule set says nothing: one operator may lie.
pub const PROOF_F_DEFAULT: u32 = 1;

/// Largest f that a rule set may ask for: no federation has that many operators with landmarks.
pub const PROOF_F_MAX: u32 = 15;

/// Least and largest age of a proof that a rule set may ask for, seconds: a proof takes up to two minutes to be made,
/// and none counts for longer than an hour.
pub const PROOF_AGE_S: std::ops::RangeInclusive<u64> = 180..=3600;

/// Where a job may run. Empty sets mean "no restriction by this rule set", except that Japan always binds. The order is of no
/// meaning: by it jobs with equal rules find each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rules {
    /// Areas allowed; empty = all of Japan.
    pub areas: BTreeSet<Area>,
    /// Areas denied, even inside an allowed one.
    pub denied_areas: BTreeSet<Area>,
    /// Operators allowed; empty = every operator of the federation.
    pub operators: BTreeSet<OperatorId>,
    /// Operators denied.
    pub denied_operators: BTreeSet<OperatorId>,
    /// Least tier at which "inside Japan" must be established.
    pub country_tier: Tier,
    /// Least tier at which the area must be established.
    pub area_tier: Tier,
    /// Whether jobs may keep running to their time limit when their node is cut off (P4).
    pub allow_run_to_completion: bool,
    /// Least f at which a proof of the country counts; asked only where `country_tier` is T2 or more.
    pub proof_f: u32,
    /// How old a proof may be, seconds; `None` = as long as it counts at all. Asked where any tier is T2 or more.
    pub max_proof_age_s: Option<u64>,
    /// What becomes of a running job when the proof is over.
    pub on_stale_proof: OnStaleProof,
}

impl Default for Rules {
    /// The national baseline: anywhere in Japan, tagged, any operator.
    fn default() -> Self {
        Self {
            areas: BTreeSet::new(),
            denied_areas: BTreeSet::new(),
            operators: BTreeSet::new(),
            denied_operators: BTreeSet::new(),
            country_tier: Tier::BASELINE,
            area_tier: Tier::BASELINE,
            allow_run_to_completion: true,
            proof_f: PROOF_F_DEFAULT,
            max_proof_age_s: None,
            on_stale_proof: OnStaleProof::Keep,
        }
    }
}

impl Usual for Rules {
    fn usual() -> &'static Self {
        static USUAL: LazyLock<Rules> = LazyLock::new(Rules::default);
        &USUAL
    }
}

/// Most areas or operators in one rule set: more than the 47 prefectures, few enough to check a placement in
/// microseconds and to fit an audit record.
pub const RULE_ENTRIES_MAX: usize = 128;

/// Why a rule set may not be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// An area is unknown or not valid on the day.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// A tier under the baseline.
    #[error("{0} is below the national baseline {base}", base = Tier::BASELINE)]
    BelowBaseline(Tier),
    /// A tier that nobody can have yet.
    #[error("tier {0} is given to no node yet")]
    Unreachable(Tier),
    /// Too many entries.
    #[error("a policy lists at most {RULE_ENTRIES_MAX} areas or operators")]
    TooMany,
    /// An f that nobody can have.
    #[error("proof_f is at most {PROOF_F_MAX}")]
    ProofF(u32),
    /// An age that no proof can keep to, or that binds nothing.
    #[error("max_proof_age_s is {} to {} seconds", PROOF_AGE_S.start(), PROOF_AGE_S.end())]
    ProofAge(u64),
    /// A rule about proofs, where none is asked for.
    #[error("max_proof_age_s and on_stale_proof: drain need country_tier or area_tier T2 or more")]
    ProofUnasked,
}

impl Rules {
    /// Checks that the rules may be stored on `day`: known and valid codes, tiers not below the baseline.
    ///
    /// # Errors
    /// [`RulesError`] names the first rule that may not stand.
    pub fn check(&self, day: Date) -> Result<(), RulesError> {
        let sizes = [
            self.areas.len(),
            self.denied_areas.len(),
            self.operators.len(),
            self.denied_operators.len(),
        ];
        if sizes.iter().any(|n| *n > RULE_ENTRIES_MAX) {
            return Err(RulesError::TooMany);
        }
        for area in self.areas.iter().chain(&self.denied_areas) {
            area.valid_on(day)?;
        }
        for tier in [self.country_tier, self.area_tier] {
            if tier < Tier::BASELINE {
                return Err(RulesError::BelowBaseline(tier));
            }
            if tier > Tier::SiteProven {
                return Err(RulesError::Unreachable(tier));
            }
        }
        self.check_proof()
    }

    fn check_proof(&self) -> Result<(), RulesError> {
        if self.proof_f > PROOF_F_MAX {
            return Err(RulesError::ProofF(self.proof_f));
        }
        if let Some(age_s) = self.max_proof_age_s.filter(|age_s| !PROOF_AGE_S.contains(age_s)) {
            return Err(RulesError::ProofAge(age_s));
        }
        let about_proofs =
            self.max_proof_age_s.is_some() || self.on_stale_proof == OnStaleProof::Drain;
        if about_proofs && !self.wants_proof() {
            return Err(RulesError::ProofUnasked);
        }
        Ok(())
    }

    /// Whether a place has to be proven, not only tagged.
    #[must_use]
    pub fn wants_proof(&self) -> bool {
        self.strictest() >= Tier::CountryProven
    }

    /// Whether a beacon has to confirm the site. A proof of the area above T1 is one of the site: there is no other.
    #[must_use]
    pub fn wants_site(&self) -> bool {
        self.country_tier >= Tier::SiteProven || self.area_tier >= Tier::CountryProven
    }

    /// Whether a proof that withstands `f` liars is enough for the country.
    #[must_use]
    pub fn enough_f(&self, f: u32) -> bool {
        self.country_tier < Tier::CountryProven || f >= self.proof_f
    }

    fn strictest(&self) -> Tier {
        self.country_tier.max(self.area_tier)
    }
}

/// Where a node stands, as established by evidence; what the verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The operator that runs the site.
    pub operator: OperatorId,
    /// Area on the site tag. `None` if the tag names another country.
    pub area: Option<Area>,
    /// Tier at which the country is established.
    pub country_tier: Tier,
    /// Tier at which the area is established.
    pub area_tier: Tier,
    /// What proves it, where a tier is T2 or more.
    pub proof: Option<PlaceProof>,
}

/// How good a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlaceProof {
    /// So many operators may have lied.
    pub f: u32,
    /// When the oldest measurement that it rests on began.
    pub oldest: Timestamp,
    /// The prefecture in which a beacon of its site proves it to stand.
    pub prefecture: Option<Area>,
}

/// Why a place does not satisfy the rules. Every variant is a *never* for this place, these rules and this proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Denial {
    /// D2: not in Japan, or not known to be.
    #[error("the place is not inside Japan")]
    OutsideJapan,
    /// The place's code is not valid on the day of the decision.
    #[error("the place's area code is unknown or retired")]
    AreaInvalid,
    /// In none of the allowed areas.
    #[error("{0} is in none of the allowed areas")]
    AreaNotAllowed(Area),
    /// In a denied area.
    #[error("{0} lies in the denied area {1}")]
    AreaDenied(Area, Area),
    /// A rule names a code that is retired: nothing matches it any more.
    #[error("the policy names the retired area code {0}")]
    PolicyAreaRetired(Area),
    /// Operator not on the list, or denied.
    #[error("operator {0} is not allowed")]
    Operator(OperatorId),
    /// The country is not established well enough.
    #[error("the country is established at {have}, the policy wants {want}")]
    CountryTier {
        /// What the evidence gives.
        have: Tier,
        /// What the rules want.
        want: Tier,
    },
    /// The area is not established well enough.
    #[error("the area is established at {have}, the policy wants {want}")]
    AreaTier {
        /// What the evidence gives.
        have: Tier,
        /// What the rules want.
        want: Tier,
    },
    /// The proof of the country rests on too few operators.
    #[error("the country is proven with f={have}, the policy wants f={want}")]
    ProofF {
        /// What the proof withstands.
        have: u32,
        /// What the rules want.
        want: u32,
    },
    /// The proof of the country is too old, or of a time to come.
    #[error("the proof of the country is {have_s} s old, the policy wants at most {want_s} s")]
    ProofAge {
        /// Its age, seconds, rounded up.
        have_s: u64,
        /// What the rules want.
        want_s: u64,
    },
}

impl Denial {
    /// The code under which admission, apply and the agent all tell it (D4: the agent's own decision reads the same).
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OutsideJapan => ErrorCode::ResidencyOutsideJp,
            Self::AreaInvalid | Self::AreaNotAllowed(_) | Self::AreaDenied(..) => {
                ErrorCode::ResidencyArea
            }
            Self::PolicyAreaRetired(_) => ErrorCode::AreaRetired,
            Self::Operator(_) => ErrorCode::ResidencyOperator,
            Self::CountryTier { .. }
            | Self::AreaTier { .. }
            | Self::ProofF { .. }
            | Self::ProofAge { .. } => ErrorCode::ResidencyTier,
        }
    }
}

/// Whether `place` satisfies every one of `rules` at `now` (D1); areas are judged by the day in Japan. The baseline binds
/// even an empty list.
///
/// # Errors
/// The first [`Denial`], in the fixed order country, tiers, proof, area, operator, so that every caller gives one answer.
pub fn verdict(place: &Place, rules: &[&Rules], now: Timestamp) -> Result<(), Denial> {
    let day = now.date_in_japan();
    let area = place.area.ok_or(Denial::OutsideJapan)?;
    if !Area::Japan.contains(area) {
        return Err(Denial::OutsideJapan);
    }
    area.valid_on(day).map_err(|_retired| Denial::AreaInvalid)?;
    tiers(place, Tier::BASELINE, Tier::BASELINE)?;
    for rule in rules {
        tiers(place, rule.country_tier, rule.area_tier)?;
        proof(place, rule, now)?;
        areas(area, rule, day)?;
        let listed = rule.operators.is_empty() || rule.operators.contains(&place.operator);
        if !listed || rule.denied_operators.contains(&place.operator) {
            return Err(Denial::Operator(place.operator.clone()));
        }
    }
    Ok(())
}

/// Whether what belongs to a job that `rules` bind may lie with, or pass through, a member at a site of this operator that
/// stands in `area`: wholly inside. Tiers are about where work runs; a member is T1 by the rules of membership, so they are
/// taken as met.
#[must_use]
pub fn may_pass(operator: &OperatorId, area: Area, rules: &[&Rules], now: Timestamp) -> bool {
    let place = Place {
        operator: operator.clone(),
        area: Some(area),
        country_tier: Tier::Attested,
        area_tier: Tier::Attested,
        proof: Some(PlaceProof { f: u32::MAX, oldest: now, prefecture: None }),
    };
    verdict(&place, rules, now).is_ok()
}

fn tiers(place: &Place, country: Tier, area: Tier) -> Result<(), Denial> {
    if place.country_tier < country {
        return Err(Denial::CountryTier { have: place.country_tier, want: country });
    }
    if place.area_tier < area {
        return Err(Denial::AreaTier { have: place.area_tier, want: area });
    }
    Ok(())
}

/// What a rule asks of a proof; nothing where none is asked for. A tier without a proof proves nothing.
fn proof(place: &Place, rule: &Rules, now: Timestamp) -> Result<(), Denial> {
    if !rule.wants_proof() {
        return Ok(());
    }
    let Some(proof) = place.proof else {
        let (have, want) = (Tier::BASELINE, rule.strictest());
        return Err(if rule.country_tier == want {
            Denial::CountryTier { have, want }
        } else {
            Denial::AreaTier { have, want }
        });
    };
    if !rule.enough_f(proof.f) {
        return Err(Denial::ProofF { have: proof.f, want: rule.proof_f });
    }
    let Some(want_s) = rule.max_proof_age_s else { return Ok(()) };
    let have_s = now.since_ms(proof.oldest).div_ceil(1000);
    if have_s <= want_s { Ok(()) } else { Err(Denial::ProofAge { have_s, want_s }) }
}

fn areas(area: Area, rule: &Rules, day: Date) -> Result<(), Denial> {
    // A denied area that was retired still denies: its ground is still the ground that was meant.
    if let Some(denied) = rule.denied_areas.iter().find(|denied| denied.contains(area)) {
        return Err(Denial::AreaDenied(area, *denied));
    }
    if rule.areas.is_empty() {
        return Ok(());
    }
    if let Some(allowed) = rule.areas.iter().find(|allowed| allowed.contains(area)) {
        return allowed.valid_on(day).map_err(|_retired| Denial::PolicyAreaRetired(*allowed));
    }
    Err(Denial::AreaNotAllowed(area))
}

/// The finest area that certainly bounds every allowed place, for people: the allowed list, or Japan.
#[must_use]
pub fn describe(rules: &Rules) -> String {
    if rules.areas.is_empty() {
        return Area::Japan.label();
    }
    let at = |area: &Area| area.info().map_or(Level::Country, |info| info.level);
    let mut areas: Vec<&Area> = rules.areas.iter().collect();
    areas.sort_by_key(|area| (at(area), **area));
    areas.iter().map(|area| area.label()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
