//! An ordered persistent table with an incremental digest (R4).
//!
//! Must hold: equal contents have equal sums whatever the order of changes. The sum is that of the rows' hashes, so a changed
//! row costs two of them; what changed since it was last drawn up is found where both versions of the rows part, so a row
//! that an entry changes a hundred times costs two as well. It compares replicas that hold no grudge, and XXH3 is enough for
//! that; it is no commitment against an adversary, the Merkle log is.

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use sekisho_evidence::canonical::encode;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Rows by key.
pub struct Table<K, V> {
    rows: OrdMap<K, Arc<V>>,
    /// Sum of the hashes of these rows.
    sum: u128,
    /// What `sum` was drawn up of: versions share what they have in common.
    summed: OrdMap<K, Arc<V>>,
}

impl<K: Ord + Clone, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: OrdMap::new(), sum: 0, summed: OrdMap::new() }
    }
}

impl<K: Ord + Clone, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), sum: self.sum, summed: self.summed.clone() }
    }
}

impl<K: Ord + Clone + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.rows.iter()).finish()
    }
}

fn hash<K: Serialize, V: Serialize>(key: &K, value: &V) -> u128 {
    // Types of the state always encode; a row that did not would show as a digest that other replicas lack.
    xxh3_128(&encode(&(key, value)).unwrap_or_default())
}

impl<K: Ord + Clone + Serialize, V: Serialize + Clone> Table<K, V> {
    /// The row of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(Arc::as_ref)
    }

    /// The row of `key`, shared.
    pub fn get_arc(&self, key: &K) -> Option<&Arc<V>> {
        self.rows.get(key)
    }

    /// Whether there is a row.
    pub fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// Puts a row, in place of an older one.
    pub fn insert(&mut self, key: K, value: V) {
        self.rows.insert(key, Arc::new(value));
    }

    /// Takes a row out.
    pub fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.rows.remove(key)
    }

    /// Changes a row in place; `None` if there is none.
    pub fn update<R>(&mut self, key: &K, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let mut value = self.get(key)?.clone();
        let result = change(&mut value);
        self.insert(key.clone(), value);
        Some(result)
    }

    /// Rows in order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Rows within a range of keys, in order.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range).map(|(key, value)| (key, value.as_ref()))
    }

    /// Keys whose rows are not what they were in `before`, in order: those that came, changed or went. What both share
    /// is passed over in whole branches, so that it costs what changed and not what there is.
    pub fn changed<'t>(&'t self, before: &'t Self) -> impl Iterator<Item = &'t K>
    where
        V: Eq,
    {
        before.rows.diff(&self.rows).map(|item| match item {
            DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
            DiffItem::Update { new: (key, _), .. } => key,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sum of the rows' hashes.
    pub(crate) fn sum(&self) -> u128
    where
        V: PartialEq,
    {
        let mut sum = self.sum;
        for item in self.summed.diff(&self.rows) {
            let (gone, come) = match item {
                DiffItem::Add(key, new) => (None, Some((key, new))),
                DiffItem::Remove(key, old) => (Some((key, old)), None),
                DiffItem::Update { old, new } => (Some(old), Some(new)),
            };
            let of = |row: Option<(&K, &Arc<V>)>| row.map_or(0, |(key, row)| hash(key, &**row));
            sum = sum.wrapping_sub(of(gone)).wrapping_add(of(come));
        }
        sum
    }

    /// Draws up the sum, so that the next one costs only what changes from now on, and lets go of the rows that were.
    pub(crate) fn settle(&mut self)
    where
        V: PartialEq,
    {
        if !self.rows.ptr_eq(&self.summed) {
            self.sum = self.sum();
            self.summed = self.rows.clone();
        }
    }
}

impl<K: Serialize + Ord + Clone, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.rows.len()))?;
        for (key, value) in &self.rows {
            seq.serialize_element(&(key, value.as_ref()))?;
        }
        seq.end()
    }
}

impl<'de, K, V> Deserialize<'de> for Table<K, V>
where
    K: DeserializeOwned + Serialize + Ord + Clone,
    V: DeserializeOwned + Serialize + Clone + PartialEq,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for Rows<K, V>
        where
            K: DeserializeOwned + Serialize + Ord + Clone,
            V: DeserializeOwned + Serialize + Clone + PartialEq,
        {
            type Value = Table<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rows in ascending order")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Table<K, V>, A::Error> {
                let mut table = Table::default();
                let mut last: Option<K> = None;
                while let Some((key, value)) = seq.next_element::<(K, V)>()? {
                    // One order, or equal states would have two snapshots.
                    if last.as_ref().is_some_and(|last| *last >= key) {
                        return Err(serde::de::Error::custom("rows out of order"));
                    }
                    last = Some(key.clone());
                    table.insert(key, value);
                }
                table.settle();
                Ok(table)
            }
        }
        deserializer.deserialize_seq(Rows(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sekisho_evidence::canonical::{CanonicalError, decode};
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn digest_and_bytes_depend_on_the_contents_alone(ops in prop::collection::vec((0u8..12, prop::option::of(0u32..5)), 0..60)) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for (key, value) in ops {
                match value {
                    Some(4) => table.settle(),
                    Some(value) => { table.insert(key, value); model.insert(key, value); }
                    None => { table.remove(&key); model.remove(&key); }
                }
            }
            let mut fresh = Table::default();
            for (key, value) in model.iter().rev() { fresh.insert(*key, *value); }
            prop_assert_eq!(table.sum(), fresh.sum());
            let bytes = encode(&table).unwrap();
            prop_assert_eq!(&bytes, &encode(&fresh).unwrap());
            let back: Table<u8, u32> = decode(&bytes).unwrap();
            prop_assert_eq!(back.sum(), table.sum());
            prop_assert!(back.iter().eq(model.iter()));
        }
    }

    proptest! {
        #[test]
        fn what_changed_is_told_and_nothing_else(
            first in prop::collection::btree_map(0u16..400, 0u32..3, 0..300),
            ops in prop::collection::vec((0u16..400, prop::option::of(0u32..3)), 0..40),
        ) {
            let mut before = Table::default();
            for (key, value) in &first { before.insert(*key, *value); }
            let mut after = before.clone();
            for (key, value) in ops {
                match value {
                    Some(value) => after.insert(key, value),
                    None => drop(after.remove(&key)),
                }
            }
            let differs = |key: &u16| before.get(key) != after.get(key);
            let expected: Vec<u16> = (0..400).filter(differs).collect();
            let told: Vec<u16> = after.changed(&before).copied().collect();
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        for bytes in [[2, 2, 0, 1, 0], [2, 1, 0, 1, 0]] {
            let refused = decode::<Table<u8, u8>>(&bytes).map(|table| table.len());
            assert!(matches!(refused, Err(CanonicalError::Malformed(_))), "{refused:?}");
        }
        assert_eq!(decode::<Table<u8, u8>>(&[2, 1, 0, 2, 0]).unwrap().len(), 2);
    }
}
