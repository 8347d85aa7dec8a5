//! Lists: which rows, in which order, and the page that is given (AIP-132, AIP-158, AIP-160).
//!
//! Must hold: the fields of a resource are a constant set with one meaning each; a filter or order that names another field,
//! or is malformed, is refused and never narrowed or ignored. The page token is of its query, filter and order. Whatever is
//! asked for, a call looks at each row once and keeps a page of them.
//! Does not know: any resource; who may read a row is decided before it comes here.

mod filter;
mod order;

use crate::page::Page;
use filter::Filter;
use order::Order;
use sekisho_proto::field::FieldResult;
use sekisho_proto::status::ApiError;
use sekisho_types::revision::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a field of a row says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
    /// A repeated field: nothing is ordered by it.
    Texts(Vec<String>),
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

/// What may be said about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Flag,
    Number,
    Text,
    Texts,
    /// One of these words: another one is misspelt, and would match nothing.
    Word(&'static [&'static str]),
}

/// A field that filters and orders may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<R> {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) of: fn(&R) -> Value,
}

impl<R> Field<R> {
    pub(crate) const fn new(name: &'static str, kind: Kind, of: fn(&R) -> Value) -> Self {
        Self { name, kind, of }
    }
}

/// The field of this name.
fn field<'f, R>(fields: &'f [Field<R>], name: &str) -> Result<&'f Field<R>, String> {
    let found = fields.iter().find(|field| field.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        format!("`{name}` is none of the fields {}", known.join(", "))
    })
}

/// What a list request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'w> {
    pub(crate) size: u32,
    pub(crate) token: &'w str,
    pub(crate) filter: &'w str,
    pub(crate) order_by: &'w str,
}

/// The wish of a list request; all of them name these fields so.
macro_rules! wish {
    ($request:expr) => {
        $crate::list::Wish {
            size: $request.page_size,
            token: &$request.page_token,
            filter: &$request.filter,
            order_by: &$request.order_by,
        }
    };
}
pub(crate) use wish;

/// A value in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ranked {
    value: Value,
    descending: bool,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.value.cmp(&other.value);
        if self.descending { order.reverse() } else { order }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where a row stands in a list: by what was asked for, then by its key. No two rows stand in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place<K> {
    by: Vec<Ranked>,
    key: K,
}

/// A list of rows `R` with keys `K`, as it was asked for.
#[derive(Debug)]
pub(crate) struct List<K, R> {
    page: Page<Place<K>>,
    filter: Filter<R>,
    order: Order<R>,
}

impl<K: Ord + Clone + Serialize + DeserializeOwned, R> List<K, R> {
    /// Reads a wish; `query` is the method with its other arguments.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a filter or an order that is none, or a token that is not this query's.
    pub(crate) fn of(query: &str, wish: &Wish<'_>, fields: &[Field<R>]) -> Result<Self, ApiError> {
        let (filter, order) = read(wish, fields)?;
        // Lengths first, so that no part runs into the next one.
        let (by, order_by) = (wish.filter, wish.order_by);
        let query = format!("{} {} {query}{by}{order_by}", query.len(), by.len());
        let page = Page::of(&query, wish.size, wish.token)?;
        Ok(Self { page, filter, order })
    }

    /// Takes this page out of rows in ascending order of their keys, and the token of the next; empty at the end.
    pub(crate) fn take<'r>(
        &self,
        revision: Revision,
        rows: impl Iterator<Item = (&'r K, R)>,
    ) -> (Vec<R>, String)
    where
        K: 'r,
    {
        let mut kept: BTreeMap<Place<K>, R> = BTreeMap::new();
        // One more than the page: it tells that there is a next one.
        let most = self.page.size().saturating_add(1);
        for (key, row) in rows.filter(|(_, row)| self.filter.matches(row)) {
            let place = Place { by: self.order.rank(&row), key: key.clone() };
            if self.page.is_given(&place) {
                continue;
            }
            kept.insert(place, row);
            if kept.len() > most {
                kept.pop_last();
            }
            if kept.len() == most && self.order.is_by_key() {
                break;
            }
        }
        let places: Vec<(Place<K>, R)> = kept.into_iter().collect();
        let (page, token) = self.page.take(revision, places);
        (page.into_iter().map(|(_, row)| row).collect(), token)
    }
}

fn read<R>(wish: &Wish<'_>, fields: &[Field<R>]) -> FieldResult<(Filter<R>, Order<R>)> {
    Ok((Filter::parse(wish.filter, fields)?, Order::parse(wish.order_by, fields)?))
}

#[cfg(test)]
mod tests;
