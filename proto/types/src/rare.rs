//! A part of a row that most rows leave as it usually is.
//!
//! Must hold: it reads, compares, prints and encodes as the value does, so that a table of such rows has the digest of one of plain
//! rows (R4). A million queued jobs that ask for no topology and name no rules of their own keep a pointer for each, and copies of a
//! row share what they have.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What a part usually is.
pub trait Usual: Clone + Default + PartialEq + 'static {
    /// Its default, which is built once.
    fn usual() -> &'static Self;
}

impl<K: Clone + Ord + 'static, V: Clone + PartialEq + 'static> Usual for BTreeMap<K, V> {
    fn usual() -> &'static Self {
        const { &Self::new() }
    }
}

impl<T: Clone + PartialEq + 'static> Usual for Vec<T> {
    fn usual() -> &'static Self {
        const { &Self::new() }
    }
}

/// A value of which only one other than the usual takes room.
pub struct Rare<T>(Option<Arc<T>>);

impl<T> Clone for Rare<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Usual> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::usual()).then(|| Arc::new(value)))
    }
}

impl<I, T: Usual + FromIterator<I>> FromIterator<I> for Rare<T> {
    fn from_iter<A: IntoIterator<Item = I>>(all: A) -> Self {
        Self::from(T::from_iter(all))
    }
}

impl<T: Usual> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::usual(),
        }
    }
}

impl<T: Usual> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(T::usual().clone())))
    }
}

impl<T> Rare<T> {
    /// Whether both are known to be equal without a look at what they say.
    fn is_same(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }
}

/// By value: what was changed back may keep its room.
impl<T: Usual + Eq> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || T::eq(self, other)
    }
}

impl<T: Usual + Eq> Eq for Rare<T> {}

impl<T: Usual + Ord> PartialOrd for Rare<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Usual + Ord> Ord for Rare<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { T::cmp(self, other) }
    }
}

impl<T: Usual + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: Usual + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(self, serializer)
    }
}

impl<'de, T: Usual + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residency::{OnStaleProof, Rules};

    #[test]
    fn the_usual_takes_no_room_and_everything_reads_as_the_value_does() {
        assert_eq!(size_of::<Rare<Rules>>(), size_of::<usize>());
        let other = Rules { on_stale_proof: OnStaleProof::Drain, ..Rules::default() };
        for value in [Rules::default(), other.clone()] {
            let rare = Rare::from(value.clone());
            assert_eq!((&*rare, format!("{rare:?}")), (&value, format!("{value:?}")));
            assert_eq!(
                (rare.0.is_some(), rare == Rare::default()),
                (value == other, value != other)
            );
            assert_eq!(rare.clone(), rare);
        }
        let (mut changed, kept) = (Rare::from(other.clone()), Rare::from(other));
        *changed = Rules::default();
        assert_eq!((&changed, changed.0.is_some()), (&Rare::default(), true));
        assert_eq!(kept.on_stale_proof, OnStaleProof::Drain, "copies are apart");
    }
}
