//! Residency rules and their verdict: the one pure function that admission, apply and the agent all call (D1, D4).
//!
//! Must hold: policies only narrow (D2); the baseline T1/T1 is never lowered; unknown is denied. A rule set is
//! *evaluated*, never edited, so the effective policy of a job is the list of rule sets that bind it: all of them
//! must allow the place. The module knows no node, job or table of state.

use crate::error_code::ErrorCode;
use crate::id::OperatorId;
use crate::jurisdiction::{Area, AreaError, Level};
use crate::time::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

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

/// Where a job may run. Empty sets mean "no restriction by this rule set", except that Japan always binds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        }
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
        Ok(())
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
}

/// Why a place does not satisfy the rules. Every variant is a *never* for this place and these rules.
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
            Self::CountryTier { .. } | Self::AreaTier { .. } => ErrorCode::ResidencyTier,
        }
    }
}

/// Whether `place` satisfies every one of `rules` on `day` (D1). The baseline binds even an empty list.
///
/// # Errors
/// The first [`Denial`], in the fixed order country, tiers, area, operator, so that every caller gives one answer.
pub fn verdict(place: &Place, rules: &[&Rules], day: Date) -> Result<(), Denial> {
    let area = place.area.ok_or(Denial::OutsideJapan)?;
    if !Area::Japan.contains(area) {
        return Err(Denial::OutsideJapan);
    }
    area.valid_on(day).map_err(|_retired| Denial::AreaInvalid)?;
    tiers(place, Tier::BASELINE, Tier::BASELINE)?;
    for rule in rules {
        tiers(place, rule.country_tier, rule.area_tier)?;
        areas(area, rule, day)?;
        let listed = rule.operators.is_empty() || rule.operators.contains(&place.operator);
        if !listed || rule.denied_operators.contains(&place.operator) {
            return Err(Denial::Operator(place.operator.clone()));
        }
    }
    Ok(())
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
mod tests {
    use super::*;

    fn day() -> Date {
        Date::parse("2026-11-22").unwrap()
    }
    fn place(area: &str) -> Place {
        Place {
            operator: "hokuto".parse().unwrap(),
            area: Area::resolve(area).ok(),
            country_tier: Tier::Tagged,
            area_tier: Tier::Tagged,
        }
    }
    fn within(area: &str) -> Rules {
        Rules { areas: BTreeSet::from([Area::resolve(area).unwrap()]), ..Rules::default() }
    }

    #[test]
    fn the_country_binds_even_without_any_rule() {
        assert_eq!(verdict(&place("012351"), &[], day()), Ok(()));
        assert_eq!(verdict(&place("KR-26"), &[], day()), Err(Denial::OutsideJapan));
        let claimed = Place { country_tier: Tier::Claimed, ..place("012351") };
        assert!(matches!(verdict(&claimed, &[], day()), Err(Denial::CountryTier { .. })));
    }

    #[test]
    fn every_rule_set_must_allow() {
        let (hokkaido, osaka) = (within("JP-01"), within("JP-27"));
        let ishikari = place("012351");
        assert_eq!(verdict(&ishikari, &[&hokkaido], day()), Ok(()));
        assert!(matches!(verdict(&ishikari, &[&osaka], day()), Err(Denial::AreaNotAllowed(_))));
        assert!(matches!(
            verdict(&ishikari, &[&hokkaido, &osaka], day()),
            Err(Denial::AreaNotAllowed(_))
        ));
        let denied = Rules { denied_areas: within("012351").areas, ..hokkaido };
        assert!(matches!(verdict(&ishikari, &[&denied], day()), Err(Denial::AreaDenied(..))));
        let others =
            Rules { operators: BTreeSet::from(["kanto".parse().unwrap()]), ..Rules::default() };
        assert!(matches!(verdict(&ishikari, &[&others], day()), Err(Denial::Operator(_))));
        let strict = Rules { area_tier: Tier::SiteProven, ..Rules::default() };
        assert!(matches!(verdict(&ishikari, &[&strict], day()), Err(Denial::AreaTier { .. })));
    }

    #[test]
    fn rules_that_lower_the_baseline_or_name_a_retired_code_may_not_be_stored() {
        let low = Rules { country_tier: Tier::Claimed, ..Rules::default() };
        assert_eq!(low.check(day()), Err(RulesError::BelowBaseline(Tier::Claimed)));
        let high = Rules { area_tier: Tier::Attested, ..Rules::default() };
        assert_eq!(high.check(day()), Err(RulesError::Unreachable(Tier::Attested)));
        assert!(matches!(
            within("221317").check(day()),
            Err(RulesError::Area(AreaError::Retired { .. }))
        ));
        assert_eq!(within("221384").check(day()), Ok(()));
    }
}
