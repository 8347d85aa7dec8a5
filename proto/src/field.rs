//! What is wrong with one field of a message, and the few ways in which fields become values.

use crate::name::Resource;
use sekisho_evidence::batch::ITEMS_MAX;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::jurisdiction::{Area, AreaError};
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::revision::Revision;
use std::fmt;
use std::str::FromStr;

/// A field that cannot be read, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {must}")]
pub struct FieldError {
    /// Path of the field in the request, e.g. `spec.residency.areas`.
    pub field: String,
    /// What it must be, or what is wrong with it.
    pub must: String,
    /// `INVALID_ARGUMENT`, unless a code says it better.
    pub code: ErrorCode,
}

/// A value, or the field that has none.
pub type FieldResult<T> = Result<T, FieldError>;

impl FieldError {
    /// An invalid field.
    pub fn new(field: impl Into<String>, must: impl Into<String>) -> Self {
        Self { field: field.into(), must: must.into(), code: ErrorCode::InvalidArgument }
    }

    /// The same with the code that says it best.
    #[must_use]
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The same field, seen from the message around it.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field.insert(0, '.');
        self.field.insert_str(0, outer);
        self
    }
}

/// Reads a value from text.
pub fn parsed<T>(field: &str, text: &str) -> FieldResult<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|error: T::Err| FieldError::new(field, error.to_string()))
}

/// A message that must be there.
pub(crate) fn required<'m, T>(field: &str, message: Option<&'m T>) -> FieldResult<&'m T> {
    message.ok_or_else(|| FieldError::new(field, "must be given"))
}

/// As many commands as a batch may have.
pub(crate) fn items(field: &str, number: usize) -> FieldResult<()> {
    if (1..=ITEMS_MAX).contains(&number) {
        return Ok(());
    }
    Err(FieldError::new(field, format!("must be 1 to {ITEMS_MAX}, are {number}")))
}

/// Names of a batch, each of a resource within `parent`.
///
/// # Errors
/// [`FieldError`] of `names` or one of them.
pub fn names<T: Resource>(names: &[String], within: impl Fn(&T) -> bool) -> FieldResult<Vec<T>> {
    items("names", names.len())?;
    let read = names.iter().enumerate().map(|(index, name)| {
        let field = format!("names[{index}]");
        let id = T::from_field(&field, name)?;
        if within(&id) { Ok(id) } else { Err(FieldError::new(field, "must be within the parent")) }
    });
    read.collect()
}

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize>(field: &str, bytes: &[u8]) -> FieldResult<[u8; N]> {
    bytes.try_into().map_err(|_len| FieldError::new(field, format!("must have {N} bytes")))
}

/// Text for people: bounded, without control characters, so that it can stand in logs and on terminals.
pub(crate) fn words(field: &str, text: &str) -> FieldResult<String> {
    if text.len() > TEXT_MAX {
        return Err(FieldError::new(field, format!("must be at most {TEXT_MAX} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "must have no control characters"));
    }
    Ok(text.to_owned())
}

/// An area in any of its spellings; foreign and unknown ones keep codes of their own.
pub(crate) fn area(field: &str, text: &str) -> FieldResult<Area> {
    Area::resolve(text).map_err(|error| area_error(field, &error))
}

/// The field error of an area that cannot be used.
pub(crate) fn area_error(field: &str, error: &AreaError) -> FieldError {
    let code = match error {
        AreaError::Unknown(_) => ErrorCode::AreaUnknown,
        AreaError::Foreign(_) => ErrorCode::ResidencyOutsideJp,
        AreaError::Ambiguous { .. } => ErrorCode::AreaAmbiguous,
        AreaError::Retired { .. } => ErrorCode::AreaRetired,
    };
    FieldError::new(field, error.to_string()).with_code(code)
}

/// The revision that an etag stands for.
pub(crate) fn etag(field: &str, text: &str) -> FieldResult<Revision> {
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    number.map(Revision).ok_or_else(|| FieldError::new(field, "must be the etag that was read"))
}
