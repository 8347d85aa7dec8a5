//! Registered signing keys and their roles.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, array, parsed, required};
use crate::name::{KeyId, Resource as _};
use crate::v1;
use sekisho_types::id::{PublicKey, Signature};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::time::Timestamp;

/// A key to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterKey {
    /// The binding.
    pub record: KeyRecord,
    /// By the issuer key of the principal's operator.
    pub issuer: Signature,
}

/// The role of this text. Agents and members have theirs by enrolment: their words are no role here.
#[must_use]
pub fn parse_role(text: &str) -> Option<Role> {
    match text.split_once(':') {
        Some(("tenant-admin", tenant)) => tenant.parse().ok().map(Role::TenantAdmin),
        Some(("tenant-user", tenant)) => tenant.parse().ok().map(Role::TenantUser),
        Some(("archivist", site)) => site.parse().ok().map(Role::Archivist),
        Some(("registrar", given)) => {
            // One level and no more: a text must not choose how deep this goes.
            let plain = |text: &&str| !text.starts_with("registrar");
            let each = given.split('+').map(|text| Some(text).filter(plain).and_then(parse_role));
            let each = each.map(|role| role.as_ref().and_then(Role::for_login));
            each.collect::<Option<Vec<_>>>().map(Role::Registrar)
        }
        Some(_) => None,
        None => [Role::FederationAdmin, Role::OperatorAdmin, Role::Auditor, Role::Monitor]
            .into_iter()
            .find(|role| role.to_string() == text),
    }
}

fn id(record: &KeyRecord) -> KeyId {
    KeyId { principal: record.principal.clone(), key: record.public_key }
}

impl TryFrom<&v1::Key> for KeyRecord {
    type Error = FieldError;
    fn try_from(message: &v1::Key) -> FieldResult<Self> {
        let words = "federation-admin, operator-admin, tenant-admin:T, tenant-user:T, auditor, \
                     monitor, archivist:SITE, registrar:ROLE+ROLE";
        let bad = || FieldError::new("role", format!("must be one of {words}"));
        let record = Self {
            principal: parsed("principal", &message.principal)?,
            role: parse_role(&message.role).ok_or_else(bad)?,
            public_key: PublicKey(array("public_key", &message.public_key)?),
            expires: Timestamp(message.expires_ms),
        };
        same_name("name", &message.name, &id(&record).name())?;
        Ok(record)
    }
}

impl From<&KeyRecord> for v1::Key {
    fn from(record: &KeyRecord) -> Self {
        Self {
            name: id(record).name(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::principal::LoginRole;

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
            Role::Registrar(vec![LoginRole::TenantUser(tenant()), LoginRole::Monitor]),
        ] {
            let key = register(role);
            assert_eq!(RegisterKey::try_from(&key.request(v1::Intent::default())), Ok(key));
        }
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
            "registrar",
            "registrar:",
            "registrar:monitor+",
            "registrar:federation-admin",
            "registrar:registrar:monitor",
        ];
        for role in refused_roles {
            assert_eq!(refused(&|_, key| key.role = role.into()), "key.role", "{role}");
        }
        assert_eq!(refused(&|m, _| m.issuer_signature = vec![].into()), "issuer_signature");
        let none = v1::RegisterKeyRequest::default();
        assert_eq!(RegisterKey::try_from(&none).unwrap_err().field, "key");
        assert_eq!(refused(&|_, key| key.name.push('0')), "key.name");
    }
}
