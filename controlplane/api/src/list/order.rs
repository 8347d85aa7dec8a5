//! The order of a list (AIP-132): `field [desc], ...`; without one, by key.
//!
//! Must hold: a field once, none that is repeated; rows that are equal in all of it go by their keys.

use super::{Field, Kind, Ranked, Value, field};
use crate::limit::{ORDER_FIELDS_MAX, ORDER_MAX};
use sekisho_proto::field::{FieldError, FieldResult};

#[derive(Debug, Clone)]
struct Column<R> {
    name: &'static str,
    of: fn(&R) -> Value,
    descending: bool,
}

/// By what a list is ordered before it is by key.
#[derive(Debug, Clone)]
pub(super) struct Order<R>(Vec<Column<R>>);

impl<R> Order<R> {
    /// Reads an order; empty = by key.
    pub(super) fn parse(text: &str, fields: &[Field<R>]) -> FieldResult<Self> {
        let refused = |why: String| FieldError::new("order_by", why);
        if text.len() > ORDER_MAX {
            return Err(refused(format!("must be at most {ORDER_MAX} bytes")));
        }
        let mut columns: Vec<Column<R>> = Vec::new();
        for part in text.split(',').filter(|_| !text.trim_matches(' ').is_empty()) {
            let mut words = part.split(' ').filter(|word| !word.is_empty());
            let name = words.next().unwrap_or_default();
            let field =
                field(fields, name).map_err(|why| refused(format!("must name fields: {why}")))?;
            let descending = match words.next() {
                None => false,
                Some("desc") => true,
                Some(other) => {
                    return Err(refused(format!("must have `desc` or a comma, not `{other}`")));
                }
            };
            if words.next().is_some() {
                return Err(refused(format!("must have a comma after `{name} desc`")));
            }
            if field.kind == Kind::Texts {
                return Err(refused(format!("must not name `{name}`, which has several values")));
            }
            if columns.iter().any(|column| column.name == field.name) {
                return Err(refused(format!("must name `{name}` once")));
            }
            columns.push(Column { name: field.name, of: field.of, descending });
        }
        if columns.len() > ORDER_FIELDS_MAX {
            return Err(refused(format!("must name at most {ORDER_FIELDS_MAX} fields")));
        }
        Ok(Self(columns))
    }

    pub(super) fn is_by_key(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rank(&self, row: &R) -> Vec<Ranked> {
        let rank =
            |column: &Column<R>| Ranked { value: (column.of)(row), descending: column.descending };
        self.0.iter().map(rank).collect()
    }
}
