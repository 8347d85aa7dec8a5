//! Logging in: what somebody shows who has no registered key, with the identity provider's token or the issuer's signature.
//!
//! Must hold: keys and signatures have their length, a token at most [`ID_TOKEN_MAX`] bytes.
//! Does not judge whether a token, a signature or a role is good: the member and apply do.

use crate::field::{FieldError, FieldResult, array, required};
use crate::v1;
use sekisho_types::id::{PublicKey, Signature};
use sekisho_types::principal::KeyRecord;

/// Bytes of a token that are taken.
pub const ID_TOKEN_MAX: usize = 16 * 1024;

/// What somebody shows who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Of the identity provider.
    pub id_token: String,
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
    /// Will sign commands.
    pub public_key: PublicKey,
    /// By that key, under the digest of the certificate's.
    pub possession: Signature,
}

/// One's own key, for which the operator's issuer signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptKey {
    /// The binding.
    pub record: KeyRecord,
    /// By the issuer key of the principal's operator.
    pub issuer: Signature,
    /// By the key itself, under the digest of the certificate's.
    pub possession: Signature,
}

impl TryFrom<&v1::LoginRequest> for Login {
    type Error = FieldError;
    fn try_from(message: &v1::LoginRequest) -> FieldResult<Self> {
        if message.id_token.is_empty() || message.id_token.len() > ID_TOKEN_MAX {
            let must = format!("must have 1 to {ID_TOKEN_MAX} bytes");
            return Err(FieldError::new("id_token", must));
        }
        Ok(Self {
            id_token: message.id_token.clone(),
            csr: message.csr.to_vec(),
            public_key: PublicKey(array("public_key", &message.public_key)?),
            possession: Signature(array("possession", &message.possession)?),
        })
    }
}

impl Login {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self) -> v1::LoginRequest {
        v1::LoginRequest {
            id_token: self.id_token.clone(),
            csr: self.csr.clone().into(),
            public_key: self.public_key.0.to_vec().into(),
            possession: self.possession.0.to_vec().into(),
        }
    }
}

impl TryFrom<&v1::AcceptKeyRequest> for AcceptKey {
    type Error = FieldError;
    fn try_from(message: &v1::AcceptKeyRequest) -> FieldResult<Self> {
        let key = required("key", message.key.as_ref())?;
        Ok(Self {
            record: key.try_into().map_err(|error: FieldError| error.within("key"))?,
            issuer: Signature(array("issuer_signature", &message.issuer_signature)?),
            possession: Signature(array("possession", &message.possession)?),
        })
    }
}

impl AcceptKey {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self) -> v1::AcceptKeyRequest {
        v1::AcceptKeyRequest {
            key: Some((&self.record).into()),
            issuer_signature: self.issuer.0.to_vec().into(),
            possession: self.possession.0.to_vec().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::principal::Role;
    use sekisho_types::time::Timestamp;

    #[test]
    fn both_ways_in_round_trip_and_every_bad_field_is_named() {
        let login = Login {
            id_token: "a.b.c".into(),
            csr: vec![1, 2],
            public_key: PublicKey([3; 32]),
            possession: Signature([4; 64]),
        };
        assert_eq!(Login::try_from(&login.request()), Ok(login.clone()));
        let refused = |change: &dyn Fn(&mut v1::LoginRequest)| {
            let mut message = login.request();
            change(&mut message);
            Login::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.id_token.clear()), "id_token");
        assert_eq!(refused(&|m| m.id_token = "x".repeat(ID_TOKEN_MAX + 1)), "id_token");
        assert_eq!(refused(&|m| m.public_key = vec![1].into()), "public_key");
        assert_eq!(refused(&|m| m.possession = vec![].into()), "possession");
        let record = KeyRecord {
            principal: "kanto/user/robot".parse().unwrap(),
            role: Role::Monitor,
            public_key: PublicKey([2; 32]),
            expires: Timestamp(9),
        };
        let (issuer, possession) = (Signature([5; 64]), Signature([6; 64]));
        let accept = AcceptKey { record, issuer, possession };
        assert_eq!(AcceptKey::try_from(&accept.request()), Ok(accept.clone()));
        let none = v1::AcceptKeyRequest { key: None, ..accept.request() };
        assert_eq!(AcceptKey::try_from(&none).unwrap_err().field, "key");
        let cut = v1::AcceptKeyRequest { possession: vec![1].into(), ..accept.request() };
        assert_eq!(AcceptKey::try_from(&cut).unwrap_err().field, "possession");
    }
}
