//! DNS-label names: the one form of every identifier that a person chooses.
//!
//! Parsed once, at the edge; inside the system a [`Name`] is always valid, so no later code re-checks it.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use smol_str::SmolStr;
use std::fmt;

/// Longest name in bytes: one DNS label (RFC 1035, section 2.3.4), because site and node names become labels of
/// a certificate's DNS SAN.
pub const NAME_MAX: usize = 63;

/// A lower-case DNS label: `[a-z]([a-z0-9-]*[a-z0-9])?`, at most [`NAME_MAX`] bytes.
///
/// Names are the keys of the state's tables, which copy nodes full of them with every change: up to 23 bytes lie in the
/// value itself, and a longer name is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

/// Why a string is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than [`NAME_MAX`] bytes.
    #[error("a name has at most {NAME_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// Does not begin with a letter, or ends with a hyphen.
    #[error("`{0}` must begin with a letter a-z and end with a letter or digit")]
    Ends(String),
    /// Holds a character other than `a-z`, `0-9`, `-`.
    #[error("`{0}` has the character `{1}`: only a-z, 0-9 and - are allowed")]
    Character(String, char),
    /// A task's number is not written as a number is.
    #[error("the number of a task is written in digits, without zeros before it")]
    Number,
}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule of the form is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(NameError::Character(text.to_owned(), c));
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
            return Err(NameError::Ends(text.to_owned()));
        }
        Ok(Self(SmolStr::new(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                Name::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_labels_and_says_what_is_wrong_with_others() {
        for good in ["a", "tokyo-1", "n01", &"a".repeat(63)] {
            assert_eq!(Name::parse(good).map(String::from).as_deref(), Ok(good));
        }
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::TooLong(64)));
        assert_eq!(Name::parse("Tokyo"), Err(NameError::Character("Tokyo".into(), 'T')));
        assert_eq!(Name::parse("東京"), Err(NameError::Character("東京".into(), '東')));
        for ends in ["-a", "a-", "1a"] {
            assert_eq!(Name::parse(ends), Err(NameError::Ends(ends.into())));
        }
    }
}
