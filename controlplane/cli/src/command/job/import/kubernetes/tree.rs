//! A YAML document with the place of every key, and the taking of its fields one by one.
//!
//! Must hold: [`Fields::rest`] tells whatever was not taken; null, `{}` and `[]` say nothing and are as good as absent.

use super::super::draft::{Place, Told, Why};
use super::reason;
use crate::failure::Failure;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value. Numbers are kept as text: a quantity is one, with or without a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Place,
}

fn place(location: &Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: place(&spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// Takes whatever stands there.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let node = map.next_value::<Node>()?;
            entries.push(Entry { place: place(&key.referenced), key: key.value, node });
        }
        Ok(Value::Map(entries))
    }
}

impl Node {
    /// Whether it says nothing.
    fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
        }
    }

    /// On one line, as YAML would have it.
    pub(super) fn flow(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) => text.clone(),
            Value::Text(text) => {
                let is_plain = |c: char| c.is_alphanumeric() || "-_./:=$()".contains(c);
                let is_word = !text.is_empty() && text.chars().all(is_plain);
                if is_word { text.clone() } else { format!("{text:?}") }
            }
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::flow).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(entries) => {
                let entry = |entry: &Entry| format!("{}: {}", entry.key, entry.node.flow());
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// The text of a scalar that has one.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Number(text) | Value::Text(text) => Some(text.clone()),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The items of a list; of anything else, none.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => &[],
        }
    }

    /// The value at these keys.
    pub(super) fn find(&self, keys: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = keys.split_first() else { return Some(self) };
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == *first)?.node.find(rest)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                None
            }
        }
    }
}

/// The fields of a mapping that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where they stand in the document.
    pub(super) path: String,
    pub(super) place: Place,
    left: Vec<Entry>,
}

impl Fields {
    /// The fields of a mapping.
    pub(super) fn of(node: Node, path: impl Into<String>) -> Result<Self, Failure> {
        let (path, place) = (path.into(), node.place);
        match node.value {
            Value::Map(left) => Ok(Self { path, place, left }),
            Value::Null => Ok(Self { path, place, left: Vec::new() }),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                let path = if path.is_empty() { "the document".to_owned() } else { path };
                Err(place.refuse(format!("{path}: must be a mapping")))
            }
        }
    }

    /// The path of one of them.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether there is a field that says something.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.iter().any(|entry| entry.key == key && !entry.node.is_empty())
    }

    /// Takes a field that says something.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let at = self.left.iter().position(|entry| entry.key == key)?;
        Some(self.left.remove(at)).filter(|entry| !entry.node.is_empty())
    }

    /// Takes all that are left.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.left)
    }

    /// Takes a text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<Word>, Failure> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let place = entry.node.place;
        match entry.node.value {
            Value::Text(text) => Ok(Some(Word { text, place })),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                Err(place.refuse(format!("{}: must be a text, in quotes", self.path_of(key))))
            }
        }
    }

    /// Takes a whole number.
    pub(super) fn count(&mut self, key: &str) -> Result<Option<(u64, Place)>, Failure> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let place = entry.node.place;
        let number = match &entry.node.value {
            Value::Number(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        };
        let why = || place.refuse(format!("{}: must be a whole number", self.path_of(key)));
        Ok(Some((number.ok_or_else(why)?, place)))
    }

    /// Reads a yes or no, and leaves it.
    pub(super) fn flag(&self, key: &str) -> Result<Option<(bool, Place)>, Failure> {
        let Some(entry) = self.left.iter().find(|entry| entry.key == key) else { return Ok(None) };
        match entry.node.value {
            Value::Null => Ok(None),
            Value::Bool(is_set) => Ok(Some((is_set, entry.node.place))),
            Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                let why = format!("{}: must be true or false", self.path_of(key));
                Err(entry.node.place.refuse(why))
            }
        }
    }

    /// Takes a field that was read and says nothing more.
    pub(super) fn drop_taken(&mut self, key: &str) {
        self.left.retain(|entry| entry.key != key);
    }

    /// Takes a mapping; absent is an empty one.
    pub(super) fn fields(&mut self, key: &str) -> Result<Self, Failure> {
        let path = self.path_of(key);
        match self.take(key) {
            Some(entry) => Self::of(entry.node, path),
            None => Ok(Self { path, place: self.place, left: Vec::new() }),
        }
    }

    /// Takes a list; absent is an empty one.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<Node>, Failure> {
        let Some(entry) = self.take(key) else { return Ok(Vec::new()) };
        match entry.node.value {
            Value::List(items) => Ok(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                Err(entry.node.place.refuse(format!("{}: must be a list", self.path_of(key))))
            }
        }
    }

    /// Tells a field that was taken.
    pub(super) fn tell(&self, entry: &Entry, why: Why) -> Told {
        let quoted = format!("{}: {}", self.path_of(&entry.key), entry.node.flow());
        Told { place: entry.place, quoted, why }
    }

    /// Tells every field that nobody took.
    pub(super) fn rest(&mut self, told: &mut Vec<Told>) {
        for entry in self.take_all().iter().filter(|entry| !entry.node.is_empty()) {
            told.push(self.tell(entry, reason::of_field(&entry.key)));
        }
    }
}
