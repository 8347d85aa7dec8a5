//! Residency rules. Absent rules are the national baseline; an empty tier is the baseline's (D1).

use crate::field::{FieldError, FieldResult, area, parsed};
use crate::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::OperatorId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{OnStaleProof, PROOF_F_DEFAULT, RULE_ENTRIES_MAX, Rules, Tier};
use std::collections::BTreeSet;

impl TryFrom<&v1::Rules> for Rules {
    type Error = FieldError;
    fn try_from(message: &v1::Rules) -> FieldResult<Self> {
        Ok(Self {
            areas: areas("areas", &message.areas)?,
            denied_areas: areas("denied_areas", &message.denied_areas)?,
            operators: operators("operators", &message.operators)?,
            denied_operators: operators("denied_operators", &message.denied_operators)?,
            country_tier: tier("country_tier", &message.country_tier)?,
            area_tier: tier("area_tier", &message.area_tier)?,
            allow_run_to_completion: message.allow_run_to_completion,
            proof_f: message.proof_f.unwrap_or(PROOF_F_DEFAULT),
            max_proof_age_s: message.max_proof_age_s,
            on_stale_proof: on_stale_proof(&message.on_stale_proof)?,
        })
    }
}

impl From<&Rules> for v1::Rules {
    fn from(rules: &Rules) -> Self {
        let areas = |areas: &BTreeSet<Area>| areas.iter().map(Area::to_string).collect();
        let operators =
            |all: &BTreeSet<OperatorId>| all.iter().map(OperatorId::to_string).collect();
        Self {
            areas: areas(&rules.areas),
            denied_areas: areas(&rules.denied_areas),
            operators: operators(&rules.operators),
            denied_operators: operators(&rules.denied_operators),
            country_tier: rules.country_tier.to_string(),
            area_tier: rules.area_tier.to_string(),
            allow_run_to_completion: rules.allow_run_to_completion,
            proof_f: Some(rules.proof_f),
            max_proof_age_s: rules.max_proof_age_s,
            on_stale_proof: rules.on_stale_proof.to_string(),
        }
    }
}

fn bounded(field: &str, entries: &[String]) -> FieldResult<()> {
    if entries.len() > RULE_ENTRIES_MAX {
        return Err(FieldError::new(
            field,
            format!("must have at most {RULE_ENTRIES_MAX} entries"),
        ));
    }
    Ok(())
}

fn areas(field: &str, entries: &[String]) -> FieldResult<BTreeSet<Area>> {
    bounded(field, entries)?;
    entries.iter().map(|text| area(field, text)).collect()
}

fn operators(field: &str, entries: &[String]) -> FieldResult<BTreeSet<OperatorId>> {
    bounded(field, entries)?;
    entries.iter().map(|text| parsed(field, text)).collect()
}

fn tier(field: &str, text: &str) -> FieldResult<Tier> {
    if text.is_empty() {
        return Ok(Tier::BASELINE);
    }
    let bad = || FieldError::new(field, "must be T1, T2 or T3").with_code(ErrorCode::PolicyTier);
    Tier::parse(text).ok_or_else(bad)
}

fn on_stale_proof(text: &str) -> FieldResult<OnStaleProof> {
    if text.is_empty() {
        return Ok(OnStaleProof::default());
    }
    OnStaleProof::parse(text)
        .ok_or_else(|| FieldError::new("on_stale_proof", "must be keep or drain"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn rules() -> Rules {
        let area = |text| Area::resolve(text).unwrap();
        Rules {
            areas: BTreeSet::from([area("JP-01"), area("JP")]),
            denied_areas: BTreeSet::from([area("012351")]),
            operators: BTreeSet::from(["kanto".parse().unwrap(), "hokuto".parse().unwrap()]),
            denied_operators: BTreeSet::from(["naniwa".parse().unwrap()]),
            country_tier: Tier::CountryProven,
            area_tier: Tier::SiteProven,
            allow_run_to_completion: false,
            proof_f: 0,
            max_proof_age_s: Some(600),
            on_stale_proof: OnStaleProof::Drain,
        }
    }

    #[test]
    fn rules_round_trip_and_every_spelling_of_an_area_is_one_value() {
        for rules in [rules(), Rules::default()] {
            assert_eq!(Rules::try_from(&v1::Rules::from(&rules)), Ok(rules));
        }
        let named =
            v1::Rules { areas: vec!["Hokkaido".into(), "JP-01".into()], ..v1::Rules::default() };
        let rules = Rules::try_from(&named).unwrap();
        assert_eq!(rules.areas, BTreeSet::from([Area::resolve("010006").unwrap()]));
        assert_eq!((rules.country_tier, rules.allow_run_to_completion), (Tier::BASELINE, false));
    }

    #[test]
    fn every_bad_field_is_named_with_its_code() {
        let list = |entry: &str| vec![entry.to_owned()];
        let none = v1::Rules::default;
        for (message, field, code) in [
            (v1::Rules { areas: list("KR-26"), ..none() }, "areas", ErrorCode::ResidencyOutsideJp),
            (
                v1::Rules { denied_areas: list("Atlantis"), ..none() },
                "denied_areas",
                ErrorCode::AreaUnknown,
            ),
            (v1::Rules { operators: list("A"), ..none() }, "operators", ErrorCode::InvalidArgument),
            (
                v1::Rules { denied_operators: list(""), ..none() },
                "denied_operators",
                ErrorCode::InvalidArgument,
            ),
            (
                v1::Rules { country_tier: "T9".into(), ..none() },
                "country_tier",
                ErrorCode::PolicyTier,
            ),
            (v1::Rules { area_tier: "1".into(), ..none() }, "area_tier", ErrorCode::PolicyTier),
            (
                v1::Rules { on_stale_proof: "stop".into(), ..none() },
                "on_stale_proof",
                ErrorCode::InvalidArgument,
            ),
            (
                v1::Rules { areas: vec!["JP".into(); 129], ..none() },
                "areas",
                ErrorCode::InvalidArgument,
            ),
        ] {
            let error = Rules::try_from(&message).unwrap_err();
            assert_eq!((error.field.as_str(), error.code), (field, code));
        }
    }
}
