//! Refusals of a spec: which code, which field, which line and column, and the nearest name that would do.

use crate::failure::Failure;
use sekisho_types::error_code::ErrorCode;
use serde_saphyr::{Error, Location};
use std::fmt::Display;

/// Edits between a misspelt name and the one that was meant; beyond it a suggestion is noise.
const EDITS_MAX: usize = 3;

/// A field that is wrong at a place.
pub(super) fn at(place: &Location, field: &str, what: &dyn Display) -> Failure {
    Failure::invalid(format!("{}{field}: {what}", prefix(place)))
}

fn prefix(place: &Location) -> String {
    if *place == Location::UNKNOWN {
        return String::new();
    }
    format!("line {}, column {}: ", place.line(), place.column())
}

/// The known name nearest to `name`, if one is near.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(edits, known)| *edits <= EDITS_MAX && *edits < known.len())
        .min()
        .map(|(_, known)| known)
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("{what} `{name}` does not exist; did you mean `{near}`?"),
        None => format!("{what} `{name}` does not exist; known: {}", known.join(", ")),
    }
}

/// What the reader says, as a failure.
pub(crate) fn refuse_read(error: &Error) -> Failure {
    let place = prefix(&error.location().unwrap_or(Location::UNKNOWN));
    let mut inner = error.without_snippet();
    while let Error::AliasError { error, .. } = inner {
        inner = error.without_snippet();
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "sixty other kinds, and more to come: all syntax"
    )]
    let (code, what) = match inner {
        Error::SerdeUnknownField { field, expected, .. } => {
            (ErrorCode::SpecUnknownField, unknown("field", field, expected))
        }
        Error::SerdeMissingField { field, .. } => {
            (ErrorCode::InvalidArgument, format!("field `{field}` is missing"))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (ErrorCode::InvalidArgument, unknown("value", variant, expected))
        }
        Error::InvalidScalar { ty, .. } => (ErrorCode::InvalidArgument, format!("must be a {ty}")),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            (ErrorCode::InvalidArgument, format!("is {unexpected}, must be {expected}"))
        }
        Error::Unexpected { expected, .. } => {
            (ErrorCode::InvalidArgument, format!("must be {expected}"))
        }
        Error::NullIntoString { .. } => (ErrorCode::InvalidArgument, "must be a text".to_owned()),
        other => (ErrorCode::SpecSyntax, syntax(other)),
    };
    Failure::new(code, format!("{place}{what}"))
}

/// The reader's words without its place, which stands before them already.
fn syntax(error: &Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let end = [" at line ", ", line "].iter().filter_map(|mark| first.find(mark)).min();
    first.get(..end.unwrap_or(first.len())).unwrap_or(first).trim_end_matches(':').to_owned()
}
