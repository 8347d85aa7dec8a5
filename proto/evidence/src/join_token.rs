//! Join tokens: what a GPU host is given to join with (design section 10).
//!
//! Must hold: a token pins the endorser bundle and the root of the operator's certificate authority, so that whoever
//! answers the host's first call cannot pass for the federation; it is for one node, and its secret is shown by no
//! `Debug`. One line of text, because it is carried by hand.

use crate::canonical::{decode, encode};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use sekisho_types::id::{ClusterId, Digest, NodeId};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Says what the line is and of which version.
const PREFIX: &str = "sekisho-join:v1:";

/// Longest line that is parsed, bytes.
pub const JOIN_TOKEN_MAX: usize = 8192;

/// Most endpoints in a token: as many as a client holds.
pub const ENDPOINTS_MAX: usize = 16;

/// A join token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Which federation.
    pub cluster: ClusterId,
    /// `host:port` of members that answer a join, 1 to [`ENDPOINTS_MAX`].
    pub endpoints: Vec<String>,
    /// Hash of the endorser bundle to pin.
    pub bundle_hash: Digest,
    /// SHA-256 of the root certificate (DER) of the node's operator.
    pub root_hash: Digest,
    /// The one node that it is for.
    pub node: NodeId,
    /// Shown once; the federation knows its hash.
    pub secret: [u8; 32],
    /// Refused from this instant on.
    pub expires: Timestamp,
}

/// The text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join token: one line that begins with `{PREFIX}` is expected")]
pub struct JoinTokenError;

impl JoinToken {
    /// The token as one line, without a newline.
    ///
    /// # Errors
    /// [`JoinTokenError`] for a token without endpoints or with too many.
    pub fn encode(&self) -> Result<String, JoinTokenError> {
        if !(1..=ENDPOINTS_MAX).contains(&self.endpoints.len()) {
            return Err(JoinTokenError);
        }
        let bytes = encode(self).map_err(|_canonical| JoinTokenError)?;
        let line = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&bytes));
        if line.len() > JOIN_TOKEN_MAX { Err(JoinTokenError) } else { Ok(line) }
    }

    /// Reads a token; white space around it is ignored, because editors and shells add newlines.
    ///
    /// # Errors
    /// [`JoinTokenError`] for anything that [`JoinToken::encode`] would not have written.
    pub fn parse(text: &str) -> Result<Self, JoinTokenError> {
        let line = text.trim();
        if line.len() > JOIN_TOKEN_MAX {
            return Err(JoinTokenError);
        }
        let body = line.strip_prefix(PREFIX).ok_or(JoinTokenError)?;
        let bytes = Base64UrlUnpadded::decode_vec(body).map_err(|_base64| JoinTokenError)?;
        let token: Self = decode(&bytes).map_err(|_canonical| JoinTokenError)?;
        if token.encode()? == line { Ok(token) } else { Err(JoinTokenError) }
    }

    /// Hash of the secret: what the federation stores.
    #[must_use]
    pub fn secret_hash(&self) -> Digest {
        Digest::of(&self.secret)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("endpoints", &self.endpoints)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            cluster: ClusterId([1; 16]),
            endpoints: vec!["c1.tokyo-1.kanto.example:7443".into(), "192.0.2.1:7443".into()],
            bundle_hash: Digest([2; 32]),
            root_hash: Digest([3; 32]),
            node: "tokyo-1/n-01".parse().unwrap(),
            secret: [0x5a; 32],
            expires: Timestamp(1_000),
        }
    }

    #[test]
    fn a_token_is_one_line_that_comes_back() {
        let line = token().encode().unwrap();
        assert!(line.starts_with("sekisho-join:v1:") && !line.contains(char::is_whitespace));
        assert_eq!(JoinToken::parse(&line), Ok(token()));
        assert_eq!(JoinToken::parse(&format!("\n {line}\r\n")), Ok(token()));
        assert!(!format!("{:?}", token()).contains("90"), "the secret is not shown");
        assert_eq!(token().secret_hash(), Digest::of(&[0x5a; 32]));
    }

    #[test]
    fn anything_else_is_refused() {
        let line = token().encode().unwrap();
        let long = "x".repeat(JOIN_TOKEN_MAX + 1);
        let bad = [
            "",
            "sekisho-join:v1:",
            "sekisho-join:v2:AAAA",
            &line.replace("v1", "v2"),
            &format!("{line}="),
            &format!("{line}AA"),
            &line.replace("sekisho-join:v1:", "sekisho-join:v1: "),
            line.get(..line.len() - 4).unwrap(),
            &long,
        ];
        for text in bad {
            assert_eq!(JoinToken::parse(text), Err(JoinTokenError), "{text}");
        }
        let none = JoinToken { endpoints: vec![], ..token() };
        assert_eq!(none.encode(), Err(JoinTokenError));
        let many = JoinToken { endpoints: vec!["a:1".into(); ENDPOINTS_MAX + 1], ..token() };
        assert_eq!(many.encode(), Err(JoinTokenError));
    }
}
