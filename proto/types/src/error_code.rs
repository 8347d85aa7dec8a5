//! The one vocabulary of errors: stable codes, their kind, and their text in English and Japanese.
//!
//! Clients decide by [`Kind`], people read the text, support goes by the code: each has a page in
//! `docs/error-codes/`. The order is append-only, because receipts and log entries store the number.

mod kind;
mod language;
#[macro_use]
mod table;
#[macro_use]
mod late;
#[macro_use]
mod early;

pub use kind::Kind;
pub use language::{Language, Text};

use serde::{Deserialize, Serialize};

early!();

#[cfg(test)]
mod tests;
