//! Who acts: the workload or person that a certificate names, and the roles that the state binds to them.
//!
//! A certificate only says *who*. What they may do stands in replicated state as registered keys with roles, so
//! that a stolen CA cannot hand out a role (A3).

use crate::id::{MemberId, OperatorId, PublicKey, SiteId, TenantId};
use crate::name::{Name, NameError};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What kind of thing holds the certificate; the path of its SPIFFE id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Workload {
    /// A controller: `/site/SITE/member/NUMBER`.
    Member {
        /// Its site.
        site: SiteId,
        /// Its Raft id.
        member: u64,
    },
    /// An agent: `/site/SITE/node/NODE`.
    Agent {
        /// Its site.
        site: SiteId,
        /// The node's name within the site.
        node: Name,
    },
    /// A person or pipeline: `/user/NAME`.
    User {
        /// Login name.
        name: Name,
    },
    /// A landmark that runs apart from a controller: `/landmark/NAME`.
    Landmark {
        /// Its name within the operator.
        name: Name,
    },
}

/// An authenticated identity: the operator whose trust domain issued it, and the workload that it names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// The operator whose certificate authority vouches for it.
    pub operator: OperatorId,
    /// Path part of the SPIFFE id.
    pub workload: Workload,
}

impl Principal {
    /// The path of its SPIFFE id, beginning with `/`.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.workload {
            Workload::Member { site, member } => format!("/site/{site}/member/{member}"),
            Workload::Agent { site, node } => format!("/site/{site}/node/{node}"),
            Workload::User { name } => format!("/user/{name}"),
            Workload::Landmark { name } => format!("/landmark/{name}"),
        }
    }

    /// Its site, for members and agents.
    #[must_use]
    pub fn site(&self) -> Option<&SiteId> {
        match &self.workload {
            Workload::Member { site, .. } | Workload::Agent { site, .. } => Some(site),
            Workload::User { .. } | Workload::Landmark { .. } => None,
        }
    }
}

/// Which member a controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberIdentity {
    /// Its Raft id.
    pub member: MemberId,
    /// Whose controller.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
}

impl MemberIdentity {
    /// As the actor of an entry, and as its certificate names it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let workload = Workload::Member { site: self.site.clone(), member: self.member.0 };
        Principal { operator: self.operator.clone(), workload }
    }
}

/// `OPERATOR/user/NAME` and so on: the operator's id followed by the SPIFFE path.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", self.operator, self.path()))
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text does not name a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// Not one of the known paths.
    #[error("`{0}` is not /site/SITE/member/N, /site/SITE/node/NODE, /user/NAME or /landmark/NAME")]
    Path(String),
    /// A part is not a valid name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Workload {
    /// Parses the path of a SPIFFE id.
    ///
    /// # Errors
    /// [`PrincipalError`] for any path but the known forms.
    pub fn parse(path: &str) -> Result<Self, PrincipalError> {
        let bad = || PrincipalError::Path(path.to_owned());
        let parts: Vec<&str> = path.strip_prefix('/').ok_or_else(bad)?.split('/').collect();
        match parts.as_slice() {
            ["site", site, "member", id] => {
                let member = id.parse::<u64>().map_err(|_digits| bad())?;
                // One spelling per member: `01` and `+1` would be other ids for the same voter.
                if member.to_string() != *id {
                    return Err(bad());
                }
                Ok(Self::Member { site: site.parse()?, member })
            }
            ["site", site, "node", node] => {
                Ok(Self::Agent { site: site.parse()?, node: node.parse()? })
            }
            ["user", name] => Ok(Self::User { name: name.parse()? }),
            ["landmark", name] => Ok(Self::Landmark { name: name.parse()? }),
            _ => Err(bad()),
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let at = text.find('/').ok_or_else(|| PrincipalError::Path(text.to_owned()))?;
        let (operator, path) = text.split_at(at);
        Ok(Self { operator: operator.parse()?, workload: Workload::parse(path)? })
    }
}

/// A SPIFFE trust domain (SPIFFE-ID section 2.1): one per operator.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

/// Longest trust domain in bytes (SPIFFE-ID section 2.3).
pub const TRUST_DOMAIN_MAX: usize = 255;

/// The text is not a trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a trust domain: letters a-z, digits, `.`, `-`, `_`, at most {TRUST_DOMAIN_MAX}"
)]
pub struct TrustDomainError(String);

impl TrustDomain {
    /// Parses a trust domain.
    ///
    /// # Errors
    /// [`TrustDomainError`] when it is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, TrustDomainError> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        if text.is_empty() || text.len() > TRUST_DOMAIN_MAX || !text.bytes().all(good) {
            return Err(TrustDomainError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = TrustDomainError;
    fn try_from(text: String) -> Result<Self, TrustDomainError> {
        Self::parse(&text)
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a principal is trusted to do. The table of verbs stands beside the state machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Runs the federation; its dangerous verbs need a second operator.
    FederationAdmin,
    /// Administers the sites of the principal's own operator, and no others.
    OperatorAdmin,
    /// Administers one tenant.
    TenantAdmin(TenantId),
    /// Submits jobs for one tenant.
    TenantUser(TenantId),
    /// Reads everything, audit included; changes nothing.
    Auditor,
    /// Reads metrics and health.
    Monitor,
    /// A node's agent. Bound by enrolment, never registered by hand.
    Agent,
    /// A controller. Bound by membership, never registered by hand.
    Member,
    /// Takes sealed backups to one site of the principal's own operator; reads nothing else.
    Archivist(SiteId),
    /// Registers people of its own operator who log in, for half a day, in one of these roles; does nothing else.
    Registrar(Vec<LoginRole>),
}

/// A role that a login may give: none that widens for all, and none that is bound by enrolment or would register others. A type
/// of its own, so that no bytes nest registrars in registrars.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LoginRole {
    /// [`Role::OperatorAdmin`].
    OperatorAdmin,
    /// [`Role::TenantAdmin`].
    TenantAdmin(TenantId),
    /// [`Role::TenantUser`].
    TenantUser(TenantId),
    /// [`Role::Auditor`].
    Auditor,
    /// [`Role::Monitor`].
    Monitor,
    /// [`Role::Archivist`].
    Archivist(SiteId),
}

/// Roles that one registrar may give: a company has few kinds of people, and every record of theirs names all of them.
pub const REGISTRAR_ROLES_MAX: usize = 16;

impl Role {
    /// As what a login gives it; `None` for a role that no login gives.
    #[must_use]
    pub fn for_login(&self) -> Option<LoginRole> {
        match self {
            Self::OperatorAdmin => Some(LoginRole::OperatorAdmin),
            Self::TenantAdmin(tenant) => Some(LoginRole::TenantAdmin(tenant.clone())),
            Self::TenantUser(tenant) => Some(LoginRole::TenantUser(tenant.clone())),
            Self::Auditor => Some(LoginRole::Auditor),
            Self::Monitor => Some(LoginRole::Monitor),
            Self::Archivist(site) => Some(LoginRole::Archivist(site.clone())),
            Self::FederationAdmin | Self::Agent | Self::Member | Self::Registrar(_) => None,
        }
    }

    /// Whether it is a registrar that may give `role`.
    #[must_use]
    pub fn may_register(&self, role: &Self) -> bool {
        let given = if let Self::Registrar(given) = self { given.as_slice() } else { &[] };
        let wanted = role.for_login();
        given.len() <= REGISTRAR_ROLES_MAX && wanted.is_some_and(|role| given.contains(&role))
    }
}

impl From<LoginRole> for Role {
    fn from(role: LoginRole) -> Self {
        match role {
            LoginRole::OperatorAdmin => Self::OperatorAdmin,
            LoginRole::TenantAdmin(tenant) => Self::TenantAdmin(tenant),
            LoginRole::TenantUser(tenant) => Self::TenantUser(tenant),
            LoginRole::Auditor => Self::Auditor,
            LoginRole::Monitor => Self::Monitor,
            LoginRole::Archivist(site) => Self::Archivist(site),
        }
    }
}

impl fmt::Display for LoginRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Role::from(self.clone()), f)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::FederationAdmin => "federation-admin",
            Self::OperatorAdmin => "operator-admin",
            Self::TenantAdmin(tenant) => return write!(f, "tenant-admin:{tenant}"),
            Self::TenantUser(tenant) => return write!(f, "tenant-user:{tenant}"),
            Self::Auditor => "auditor",
            Self::Monitor => "monitor",
            Self::Agent => "agent",
            Self::Member => "member",
            Self::Archivist(site) => return write!(f, "archivist:{site}"),
            Self::Registrar(roles) => {
                let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
                return write!(f, "registrar:{}", roles.join("+"));
            }
        };
        f.pad(text)
    }
}

/// Binds a role and a signing key to a principal; valid once signed by the issuer key of the principal's operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Whose key.
    pub principal: Principal,
    /// What it may do.
    pub role: Role,
    /// Ed25519 key that signs its commands.
    pub public_key: PublicKey,
    /// Refused from this instant of the state clock on.
    pub expires: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_round_trip_and_odd_paths_are_refused() {
        for text in [
            "kanto/site/tokyo-1/member/3",
            "hokuto/site/ishikari-1/node/n-01",
            "naniwa/user/alice",
            "kanto/landmark/otemachi",
        ] {
            assert_eq!(text.parse::<Principal>().map(|p| p.to_string()).as_deref(), Ok(text));
        }
        for bad in [
            "",
            "kanto",
            "kanto/",
            "kanto/user",
            "kanto/user/a/b",
            "kanto/user/",
            "kanto//user/a",
            "kanto/site/s/member/01",
            "kanto/site/s/member/+1",
            "kanto/site/S/node/n",
            "kanto/admin/a",
        ] {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
        assert_eq!(
            TrustDomain::parse("hokuto.example").map(String::from).as_deref(),
            Ok("hokuto.example")
        );
        for bad in ["", "Hokuto", "a/b", "a b", &"a".repeat(256)] {
            assert!(TrustDomain::parse(bad).is_err(), "{bad}");
        }
    }
}
