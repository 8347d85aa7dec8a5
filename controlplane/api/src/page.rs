//! Pages: an opaque token names the query, the revision of its first page and the last row that was given.
//!
//! A page is of the state at the time of its own request: rows that were there throughout are given exactly once, in
//! the order of their keys. A token under another query, or altered, is refused.

use crate::limit::{PAGE_DEFAULT, PAGE_MAX, PAGE_TOKEN_MAX};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use sekisho_evidence::canonical::{decode, encode};
use sekisho_proto::field::FieldError;
use sekisho_proto::status::ApiError;
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Token<K> {
    query: Digest,
    revision: Revision,
    last: K,
}

/// Which rows are asked for, of a table with keys `K`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<K> {
    query: Digest,
    /// Revision of the first page and the last key given, once there was a page.
    before: Option<(Revision, K)>,
    size: usize,
}

impl<K: Ord + Clone + Serialize + DeserializeOwned> Page<K> {
    /// Reads size and token of a request; `query` is the method with its other arguments.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a token that is not this query's.
    pub(crate) fn of(query: &str, size: u32, token: &str) -> Result<Self, ApiError> {
        if token.len() > PAGE_TOKEN_MAX {
            return Err(foreign().into());
        }
        let wanted = if size == 0 { PAGE_DEFAULT } else { size.min(PAGE_MAX) };
        let size = usize::try_from(wanted).unwrap_or(usize::MAX);
        let query = Digest::of(query.as_bytes());
        if token.is_empty() {
            return Ok(Self { query, before: None, size });
        }
        let token: Option<Token<K>> = parse(token);
        let token = token.filter(|token| token.query == query).ok_or_else(foreign)?;
        Ok(Self { query, before: Some((token.revision, token.last)), size })
    }

    /// Most rows of it.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether an earlier page gave the row of this key, or passed it.
    pub(crate) fn is_given(&self, key: &K) -> bool {
        self.before.as_ref().is_some_and(|(_, last)| key <= last)
    }

    /// Takes this page out of rows in ascending order of their keys, and the token of the next; empty at the end.
    pub(crate) fn take<R>(
        &self,
        revision: Revision,
        rows: impl IntoIterator<Item = (K, R)>,
    ) -> (Vec<(K, R)>, String) {
        let mut rows = rows.into_iter().skip_while(|(key, _)| self.is_given(key)).peekable();
        let mut page: Vec<(K, R)> = Vec::new();
        while page.len() < self.size
            && let Some(row) = rows.next()
        {
            page.push(row);
        }
        let more = rows.peek().is_some();
        let token = page.last().filter(|_| more).map(|(last, _)| {
            let revision = self.before.as_ref().map_or(revision, |(first, _)| *first);
            let token = Token { query: self.query, revision, last: last.clone() };
            Base64UrlUnpadded::encode_string(&encode(&token).unwrap_or_default())
        });
        (page, token.unwrap_or_default())
    }
}

fn foreign() -> FieldError {
    FieldError::new("page_token", "must be the one that the previous page of this query gave")
}

fn parse<K: Serialize + DeserializeOwned>(token: &str) -> Option<Token<K>> {
    decode(&Base64UrlUnpadded::decode_vec(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::error_code::ErrorCode;

    fn take(page: &Page<u32>, n: u32) -> (Vec<u32>, String) {
        let (rows, token) = page.take(Revision(5), (0..n).map(|key| (key, ())));
        (rows.into_iter().map(|(key, ())| key).collect(), token)
    }

    #[test]
    fn pages_give_every_row_once_in_order() {
        let (mut token, mut all) = (String::new(), Vec::new());
        loop {
            let (part, next) = take(&Page::of("jobs/acme", 7, &token).unwrap(), 50);
            all.extend(part);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        // An exact fit ends without an empty page.
        let (part, next) = take(&Page::of("q", 50, "").unwrap(), 50);
        assert_eq!((part.len(), next.as_str()), (50, ""));
    }

    #[test]
    fn sizes_are_coerced_and_foreign_tokens_refused() {
        let len = |size| take(&Page::of("q", size, "").unwrap(), 3000).0.len();
        assert_eq!((len(0), len(5), len(2000)), (100, 5, 1000));
        let (_, token) = take(&Page::of("q", 1, "").unwrap(), 2);
        Page::<u32>::of("q", 2, &token).unwrap();
        let mut altered = token.clone();
        altered.pop();
        for (query, token) in [("p", token.as_str()), ("q", "x"), ("q", "!!"), ("q", &altered)] {
            let error = Page::<u32>::of(query, 1, token).unwrap_err();
            let field = error.fields[0].field.as_str();
            assert_eq!((error.code, field), (ErrorCode::InvalidArgument, "page_token"));
        }
    }
}
