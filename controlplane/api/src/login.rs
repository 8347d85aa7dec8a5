//! Who lets people in: the operator's identity provider, its rules, and the keys with which what follows is signed.

use crate::issuer::IssueError;
use sekisho_evidence::voucher::Voucher;
use sekisho_types::id::Digest;
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// Somebody whom the identity provider knows and the rules give a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Login name.
    pub name: Name,
    /// What the rules give.
    pub role: Role,
    /// For how long, at most [`LOGIN_LIFETIME_MAX`](sekisho_types::limit::LOGIN_LIFETIME_MAX).
    pub lifetime: Duration,
    /// When whoever vouches ends, and with it the login.
    pub not_after: Timestamp,
}

impl Person {
    /// Until when a login is good that begins at `from`.
    #[must_use]
    pub fn expires(&self, from: Timestamp) -> Timestamp {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        from.plus_ms(lifetime).min(self.not_after)
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The token is not one of the provider's, for this federation, now, and for these keys.
    #[error("{0}")]
    Token(String),
    /// No rule gives the person a role, or its name is none.
    #[error("{0}")]
    NoRole(String),
    /// The provider's keys cannot be had.
    #[error("{0}")]
    Provider(String),
}

/// What a login rests on.
#[tonic::async_trait]
pub trait Logins: Send + Sync + fmt::Debug {
    /// Who a token is about, if the provider signed it for this nonce.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn person(&self, token: &str, nonce: &Digest) -> Result<Person, LoginError>;

    /// The registrar's word under a record.
    ///
    /// # Errors
    /// [`IssueError`].
    fn vouch(&self, record: &KeyRecord) -> Result<Voucher, IssueError>;

    /// A certificate for the key of a signing request, until then: leaf, issuer, root, DER.
    ///
    /// # Errors
    /// [`IssueError`].
    fn certify(
        &self,
        csr: &[u8],
        name: &Name,
        until: Timestamp,
    ) -> Result<Vec<Vec<u8>>, IssueError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends_with_whoever_vouches() {
        const HOUR_MS: u64 = 3_600_000;
        let from = Timestamp(1_795_305_600_000);
        let person = |left| Person {
            name: "alice".parse().unwrap(),
            role: Role::Monitor,
            lifetime: Duration::from_secs(12 * 3600),
            not_after: from.plus_ms(left),
        };
        assert_eq!(person(2 * HOUR_MS).expires(from), from.plus_ms(2 * HOUR_MS));
        assert_eq!(person(24 * HOUR_MS).expires(from), from.plus_ms(12 * HOUR_MS));
    }
}
