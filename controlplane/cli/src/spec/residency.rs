//! Residency rules as people write them, in job specs and in policy files alike.
//!
//! Must hold: an area that is unknown, abroad or retired is refused here with a code of its own, before anything is
//! sent; a retired code names its successors.

use super::SPEC_MAX;
use super::refuse::{at, refuse_read};
use crate::duration::seconds;
use crate::failure::Failure;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::OperatorId;
use sekisho_types::jurisdiction::{Area, AreaError};
use sekisho_types::residency::{OnStaleProof, PROOF_F_DEFAULT, Rules, RulesError, Tier};
use sekisho_types::time::Date;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeSet;

/// Rules as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// `JP`, `JP-01`, a six-digit code, or a name in any spelling that [`Area::resolve`] reads.
    #[serde(default)]
    pub areas: Vec<Spanned<String>>,
    /// As `areas`.
    #[serde(default)]
    pub denied_areas: Vec<Spanned<String>>,
    /// Operators' ids.
    #[serde(default)]
    pub operators: Vec<Spanned<String>>,
    /// As `operators`.
    #[serde(default)]
    pub denied_operators: Vec<Spanned<String>>,
    /// `T1`, `T2` or `T3`.
    pub country_tier: Option<Spanned<String>>,
    /// As `country_tier`.
    pub area_tier: Option<Spanned<String>>,
    /// Whether jobs may outlive the contact to their node; policies only.
    pub allow_run_to_completion: Option<bool>,
    /// Least f at which `country_tier` T2 or T3 counts; without it 1.
    pub proof_f: Option<Spanned<u32>>,
    /// How old a proof may be: `10m`, at most an hour.
    pub max_proof_age: Option<Spanned<String>>,
    /// `keep` or `drain`.
    pub on_stale_proof: Option<Spanned<String>>,
}

/// A value without a place in a file, for arguments of the command line.
#[must_use]
pub fn placeless<T>(value: T) -> Spanned<T> {
    Spanned { value, referenced: Location::UNKNOWN, defined: Location::UNKNOWN }
}

/// A text without a place in a file.
#[must_use]
pub fn unplaced(text: &str) -> Spanned<String> {
    placeless(text.to_owned())
}

/// What an unknown name may have meant, in the letters in which it was written.
fn meant(name: &str) -> String {
    let shown = |area: Area| {
        let english = area.info().map_or("", |info| info.name_en);
        // `Osaka` is a city, too.
        let is_one = name.is_ascii() && Area::resolve(english) == Ok(area);
        if is_one { english.to_owned() } else { area.full_name() }
    };
    let near: Vec<String> =
        Area::near(name).into_iter().map(|area| format!("`{}`", shown(area))).collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

fn area(field: &str, text: &Spanned<String>, today: Date) -> Result<Area, Failure> {
    let found = Area::resolve(&text.value).and_then(|area| area.valid_on(today).map(|()| area));
    found.map_err(|error| {
        let (code, hint) = match &error {
            AreaError::Unknown(name) => (ErrorCode::AreaUnknown, meant(name)),
            AreaError::Foreign(_) => (ErrorCode::ResidencyOutsideJp, String::new()),
            AreaError::Ambiguous { .. } => (ErrorCode::AreaAmbiguous, String::new()),
            AreaError::Retired { .. } => (ErrorCode::AreaRetired, String::new()),
        };
        let mut failure = at(&text.referenced, field, &format!("{error}{hint}"));
        failure.code = code;
        failure
    })
}

fn areas(field: &str, texts: &[Spanned<String>], today: Date) -> Result<BTreeSet<Area>, Failure> {
    texts.iter().enumerate().map(|(i, text)| area(&format!("{field}[{i}]"), text, today)).collect()
}

fn operators(field: &str, texts: &[Spanned<String>]) -> Result<BTreeSet<OperatorId>, Failure> {
    let parse = |(i, text): (usize, &Spanned<String>)| {
        let parsed = text.value.parse();
        parsed.map_err(|error| at(&text.referenced, &format!("{field}[{i}]"), &error))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn tier(field: &str, text: Option<&Spanned<String>>) -> Result<Tier, Failure> {
    let Some(text) = text else { return Ok(Tier::BASELINE) };
    Tier::parse(&text.value).ok_or_else(|| {
        at(&text.referenced, field, &format!("`{}` is not a tier: T1, T2 or T3", text.value))
    })
}

fn proof_age(field: &str, text: Option<&Spanned<String>>) -> Result<Option<u64>, Failure> {
    let read = |text: &Spanned<String>| {
        seconds(&text.value).map_err(|error| at(&text.referenced, field, &error))
    };
    text.map(read).transpose()
}

fn stale(field: &str, text: Option<&Spanned<String>>) -> Result<OnStaleProof, Failure> {
    let Some(text) = text else { return Ok(OnStaleProof::default()) };
    OnStaleProof::parse(&text.value).ok_or_else(|| {
        at(&text.referenced, field, &format!("`{}` is neither keep nor drain", text.value))
    })
}

/// Reads a file of rules: the fields of [`Raw`]. `today` decides which area codes are valid.
///
/// # Errors
/// `SPEC_SYNTAX`, `SPEC_UNKNOWN_FIELD`, or as [`Raw::read`].
pub fn parse(text: &str, today: Date) -> Result<Rules, Failure> {
    if text.len() > SPEC_MAX {
        let why = format!("rules have at most {SPEC_MAX} bytes");
        return Err(Failure::new(ErrorCode::TooLarge, why));
    }
    let raw: Raw = serde_saphyr::from_str(text).map_err(|error| refuse_read(&error))?;
    raw.read("", today)
}

impl Raw {
    /// Where in the file what is wrong stands.
    fn place(&self, error: &RulesError) -> Location {
        let tier = self.country_tier.as_ref().or(self.area_tier.as_ref());
        let place = match error {
            RulesError::ProofF(_) => self.proof_f.as_ref().map(|f| f.referenced),
            RulesError::ProofAge(_) => self.max_proof_age.as_ref().map(|age| age.referenced),
            RulesError::ProofUnasked => {
                let either = self.max_proof_age.as_ref().or(self.on_stale_proof.as_ref());
                either.map(|either| either.referenced)
            }
            RulesError::Area(_)
            | RulesError::BelowBaseline(_)
            | RulesError::Unreachable(_)
            | RulesError::TooMany => tier.map(|tier| tier.referenced),
        };
        place.unwrap_or(Location::UNKNOWN)
    }

    /// Reads the rules; `path` is their place in the file, for messages.
    ///
    /// # Errors
    /// `AREA_UNKNOWN`, `AREA_AMBIGUOUS`, `AREA_RETIRED`, `RESIDENCY_OUTSIDE_JP`, `POLICY_TIER`, `TOO_LARGE` or
    /// `INVALID_ARGUMENT`.
    pub fn read(&self, path: &str, today: Date) -> Result<Rules, Failure> {
        let field =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let rules = Rules {
            areas: areas(&field("areas"), &self.areas, today)?,
            denied_areas: areas(&field("denied_areas"), &self.denied_areas, today)?,
            operators: operators(&field("operators"), &self.operators)?,
            denied_operators: operators(&field("denied_operators"), &self.denied_operators)?,
            country_tier: tier(&field("country_tier"), self.country_tier.as_ref())?,
            area_tier: tier(&field("area_tier"), self.area_tier.as_ref())?,
            allow_run_to_completion: self.allow_run_to_completion.unwrap_or(true),
            proof_f: self.proof_f.as_ref().map_or(PROOF_F_DEFAULT, |f| f.value),
            max_proof_age_s: proof_age(&field("max_proof_age"), self.max_proof_age.as_ref())?,
            on_stale_proof: stale(&field("on_stale_proof"), self.on_stale_proof.as_ref())?,
        };
        rules.check(today).map_err(|error| {
            let code = match &error {
                RulesError::Area(_) => ErrorCode::AreaUnknown,
                RulesError::BelowBaseline(_)
                | RulesError::Unreachable(_)
                | RulesError::ProofF(_)
                | RulesError::ProofAge(_)
                | RulesError::ProofUnasked => ErrorCode::PolicyTier,
                RulesError::TooMany => ErrorCode::TooLarge,
            };
            let place = self.place(&error);
            let mut failure = at(&place, if path.is_empty() { "rules" } else { path }, &error);
            failure.code = code;
            failure
        })?;
        Ok(rules)
    }
}
