//! Registered signing keys and their roles.

use crate::field::{FieldError, FieldResult, array, parsed, required};
use crate::v1;
use sekisho_types::id::{PublicKey, Signature};
use sekisho_types::principal::{KeyRecord, Principal, Role};
use sekisho_types::time::Timestamp;

/// A key to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterKey {
    /// The binding.
    pub record: KeyRecord,
    /// By the issuer key of the principal's operator.
    pub issuer: Signature,
}

/// A key to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeKey {
    /// Whose.
    pub principal: Principal,
    /// Which.
    pub key: PublicKey,
}

/// The role of this text. Agents and members have theirs by enrolment: their words are no role here.
#[must_use]
pub fn parse_role(text: &str) -> Option<Role> {
    match text.split_once(':') {
        Some(("tenant-admin", tenant)) => tenant.parse().ok().map(Role::TenantAdmin),
        Some(("tenant-user", tenant)) => tenant.parse().ok().map(Role::TenantUser),
        Some(("archivist", site)) => site.parse().ok().map(Role::Archivist),
        Some(_) => None,
        None => [Role::FederationAdmin, Role::OperatorAdmin, Role::Auditor, Role::Monitor]
            .into_iter()
            .find(|role| role.to_string() == text),
    }
}

impl TryFrom<&v1::Key> for KeyRecord {
    type Error = FieldError;
    fn try_from(message: &v1::Key) -> FieldResult<Self> {
        let words = "federation-admin, operator-admin, tenant-admin:T, tenant-user:T, auditor, \
                     monitor, archivist:SITE";
        let bad = || FieldError::new("role", format!("must be one of {words}"));
        Ok(Self {
            principal: parsed("principal", &message.principal)?,
            role: parse_role(&message.role).ok_or_else(bad)?,
            public_key: PublicKey(array("public_key", &message.public_key)?),
            expires: Timestamp(message.expires_ms),
        })
    }
}

impl From<&KeyRecord> for v1::Key {
    fn from(record: &KeyRecord) -> Self {
        Self {
            principal: record.principal.to_string(),
            public_key: record.public_key.0.to_vec().into(),
            role: record.role.to_string(),
            expires_ms: record.expires.0,
        }
    }
}

impl TryFrom<&v1::RegisterKeyRequest> for RegisterKey {
    type Error = FieldError;
    fn try_from(message: &v1::RegisterKeyRequest) -> FieldResult<Self> {
        let key = required("key", message.key.as_ref())?;
        Ok(Self {
            record: key.try_into().map_err(|error: FieldError| error.within("key"))?,
            issuer: Signature(array("issuer_signature", &message.issuer_signature)?),
        })
    }
}

impl RegisterKey {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::RegisterKeyRequest {
        v1::RegisterKeyRequest {
            key: Some((&self.record).into()),
            issuer_signature: self.issuer.0.to_vec().into(),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::RevokeKeyRequest> for RevokeKey {
    type Error = FieldError;
    fn try_from(message: &v1::RevokeKeyRequest) -> FieldResult<Self> {
        Ok(Self {
            principal: parsed("principal", &message.principal)?,
            key: PublicKey(array("public_key", &message.public_key)?),
        })
    }
}

impl RevokeKey {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::RevokeKeyRequest {
        v1::RevokeKeyRequest {
            principal: self.principal.to_string(),
            public_key: self.key.0.to_vec().into(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(role: Role) -> RegisterKey {
        let record = KeyRecord {
            principal: "kanto/user/alice".parse().unwrap(),
            role,
            public_key: PublicKey([2; 32]),
            expires: Timestamp(99),
        };
        RegisterKey { record, issuer: Signature([3; 64]) }
    }

    #[test]
    fn keys_round_trip_in_every_role_that_is_registered() {
        let tenant = || "acme".parse().unwrap();
        for role in [
            Role::FederationAdmin,
            Role::OperatorAdmin,
            Role::TenantAdmin(tenant()),
            Role::TenantUser(tenant()),
            Role::Auditor,
            Role::Monitor,
            Role::Archivist("tokyo-1".parse().unwrap()),
        ] {
            let key = register(role);
            assert_eq!(RegisterKey::try_from(&key.request(v1::Intent::default())), Ok(key));
        }
        let revoke =
            RevokeKey { principal: "kanto/user/bob".parse().unwrap(), key: PublicKey([4; 32]) };
        assert_eq!(RevokeKey::try_from(&revoke.request(v1::Intent::default())), Ok(revoke));
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::RegisterKeyRequest, &mut v1::Key)| {
            let mut message = register(Role::Auditor).request(v1::Intent::default());
            let mut key = message.key.take().unwrap();
            change(&mut message, &mut key);
            message.key = Some(key);
            RegisterKey::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|_, key| key.principal = "alice".into()), "key.principal");
        assert_eq!(refused(&|_, key| key.public_key = vec![1].into()), "key.public_key");
        // Enrolment alone makes agents and members.
        let refused_roles = [
            "",
            "agent",
            "member",
            "root",
            "tenant-admin",
            "tenant-user:",
            "auditor:x",
            "archivist",
            "archivist:",
        ];
        for role in refused_roles {
            assert_eq!(refused(&|_, key| key.role = role.into()), "key.role", "{role}");
        }
        assert_eq!(refused(&|m, _| m.issuer_signature = vec![].into()), "issuer_signature");
        let none = v1::RegisterKeyRequest::default();
        assert_eq!(RegisterKey::try_from(&none).unwrap_err().field, "key");
        let none = v1::RevokeKeyRequest::default();
        assert_eq!(RevokeKey::try_from(&none).unwrap_err().field, "principal");
    }
}
