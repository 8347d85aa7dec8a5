//! How an operator vouches for a person's key: its issuer signed the record, or a registrar did whom the issuer made one.
//!
//! Must hold: A3, D4. The issuer's key signs at few occasions and lies on no controller; what a controller holds is a
//! registrar's key, whose own record, signed by the issuer, names the roles that it may give and its end. A record of a
//! registrar is good for half a day at most, never beyond the registrar's own, and never for a role that widens for all.
//! Does not know the state: whether a registrar's key was taken back is judged in apply, as of every key.

use crate::canonical::{CanonicalError, encode};
use crate::key::{BadSignature, Purpose, SigningKey, verify};
use crate::operator::OperatorKeys;
use sekisho_types::id::{Digest, OperatorId, PublicKey, Signature};
use sekisho_types::principal::{KeyRecord, Role};
use serde::{Deserialize, Serialize};

/// The word of an operator under a key record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Voucher {
    /// Of its issuer.
    Issuer(Signature),
    /// Of a registrar.
    Registrar(Box<Registered>),
}

/// A registrar's word, with all that shows that it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The registrar's own record.
    pub registrar: KeyRecord,
    /// Under that, by the operator's issuer.
    pub issuer: Signature,
    /// Under the person's record, by the registrar.
    pub signature: Signature,
}

/// Why a voucher is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// A record does not encode.
    #[error("the record does not encode")]
    Canonical(#[source] CanonicalError),
    /// The issuer has not signed.
    #[error("the issuer of {0} has not signed it")]
    Issuer(OperatorId),
    /// The registrar's record is of another operator.
    #[error("the registrar is not one of {0}")]
    Operator(OperatorId),
    /// The registrar may not give the role.
    #[error("the registrar may not give the role {0}")]
    Role(Role),
    /// It would outlive the registrar's own key.
    #[error("the record would outlive its registrar's")]
    Outlives,
    /// The registrar has not signed.
    #[error("the registrar has not signed it")]
    Registrar(#[source] BadSignature),
}

impl Registered {
    /// A registrar's word under a record.
    ///
    /// # Errors
    /// Never for these types; see [`encode`].
    pub fn sign(
        (registrar, issuer): (KeyRecord, Signature),
        key: &SigningKey,
        record: &KeyRecord,
    ) -> Result<Self, CanonicalError> {
        let signature = key.sign(Purpose::LoginRecord, &encode(record)?);
        Ok(Self { registrar, issuer, signature })
    }

    fn check(&self, keys: &OperatorKeys, record: &KeyRecord) -> Result<(), VoucherError> {
        let Self { registrar, issuer, signature } = self;
        issued(keys, registrar, issuer)?;
        let own = &keys.operator;
        if registrar.principal.operator != *own || record.principal.operator != *own {
            return Err(VoucherError::Operator(own.clone()));
        }
        if !registrar.role.may_register(&record.role) {
            return Err(VoucherError::Role(record.role.clone()));
        }
        if record.expires > registrar.expires {
            return Err(VoucherError::Outlives);
        }
        let bytes = encode(record).map_err(VoucherError::Canonical)?;
        verify(&registrar.public_key, Purpose::LoginRecord, &bytes, signature)
            .map_err(VoucherError::Registrar)
    }
}

impl Voucher {
    /// Checks that the operator with these keys vouches for a record.
    ///
    /// # Errors
    /// [`VoucherError`].
    pub fn check(&self, keys: &OperatorKeys, record: &KeyRecord) -> Result<(), VoucherError> {
        match self {
            Self::Issuer(signature) => issued(keys, record, signature),
            Self::Registrar(registered) => registered.check(keys, record),
        }
    }

    /// The registrar whose word it is.
    #[must_use]
    pub fn registrar(&self) -> Option<&KeyRecord> {
        match self {
            Self::Issuer(_) => None,
            Self::Registrar(registered) => Some(&registered.registrar),
        }
    }
}

fn issued(
    keys: &OperatorKeys,
    record: &KeyRecord,
    signature: &Signature,
) -> Result<(), VoucherError> {
    let bytes = encode(record).map_err(VoucherError::Canonical)?;
    keys.issued(Purpose::KeyRecord, &bytes, signature)
        .map_err(|_bad| VoucherError::Issuer(keys.operator.clone()))
}

/// What the `nonce` of an identity provider's token has to be, in hexadecimal: so a token that is stolen on its way is of no
/// use with other keys than those of whoever asked for it.
#[must_use]
pub fn login_nonce(certificate_key: &Digest, key: &PublicKey) -> Digest {
    const LABEL: &[u8] = b"sekisho/login-nonce/v1\0";
    Digest::of(&[LABEL, &certificate_key.0, &key.0].concat())
}

/// What whoever logs in signs with the key that is to be registered: the digest of the certificate's key beside it. So
/// nobody registers a key that another holds, and none beside a certificate of another.
#[must_use]
pub fn possession(key: &SigningKey, certificate_key: &Digest) -> Signature {
    key.sign(Purpose::LoginPossession, &certificate_key.0)
}

/// Checks [`possession`].
///
/// # Errors
/// [`BadSignature`].
pub fn possesses(
    key: &PublicKey,
    certificate_key: &Digest,
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify(key, Purpose::LoginPossession, &certificate_key.0, signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{BackupKey, Keys};
    use sekisho_types::principal::{LoginRole, REGISTRAR_ROLES_MAX, TrustDomain};
    use sekisho_types::time::Timestamp;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }

    fn keys(operator: &str) -> OperatorKeys {
        OperatorKeys {
            operator: operator.parse().unwrap(),
            trust_domain: TrustDomain::parse("kanto.example").unwrap(),
            issuers: Keys::one(key(1).public()),
            site_tags: Keys::one(key(2).public()),
            roots: Keys::one(Digest([3; 32])),
            backups: Keys::one(BackupKey([4; 32])),
        }
    }

    fn record(name: &str, role: Role, of: u8, expires: u64) -> KeyRecord {
        let principal = format!("kanto/user/{name}").parse().unwrap();
        KeyRecord { principal, role, public_key: key(of).public(), expires: Timestamp(expires) }
    }

    fn tenant(name: &str) -> Role {
        Role::TenantUser(name.parse().unwrap())
    }

    fn given(name: &str) -> LoginRole {
        LoginRole::TenantUser(name.parse().unwrap())
    }

    fn registrar() -> KeyRecord {
        record("registrar", Role::Registrar(vec![given("sapporo"), LoginRole::Monitor]), 9, 100)
    }

    fn by(registrar: &KeyRecord, signer: u8, record: &KeyRecord) -> Voucher {
        let issuer = key(1).sign(Purpose::KeyRecord, &encode(registrar).unwrap());
        let with = (registrar.clone(), issuer);
        Voucher::Registrar(Box::new(Registered::sign(with, &key(signer), record).unwrap()))
    }

    #[test]
    fn a_registrar_gives_what_its_own_record_says_and_no_longer_than_it_lives() {
        let keys = keys("kanto");
        let alice = record("alice", tenant("sapporo"), 5, 100);
        let good = by(&registrar(), 9, &alice);
        assert_eq!(good.check(&keys, &alice), Ok(()));
        assert_eq!(good.registrar(), Some(&registrar()));
        let refused = |record: &KeyRecord| by(&registrar(), 9, record).check(&keys, record);
        for role in [
            tenant("osaka"),
            Role::OperatorAdmin,
            Role::FederationAdmin,
            Role::Registrar(vec![LoginRole::Monitor]),
        ] {
            let record = record("alice", role.clone(), 5, 100);
            assert_eq!(refused(&record), Err(VoucherError::Role(role)));
        }
        assert_eq!(refused(&record("a", Role::Monitor, 5, 101)), Err(VoucherError::Outlives));
        let other = KeyRecord { principal: "naniwa/user/a".parse().unwrap(), ..alice.clone() };
        assert!(matches!(refused(&other), Err(VoucherError::Operator(_))));
        // Its word for one is none for another, and nobody else's word is its.
        let bob = record("bob", tenant("sapporo"), 5, 100);
        assert!(matches!(good.check(&keys, &bob), Err(VoucherError::Registrar(_))));
        let forged = by(&registrar(), 8, &alice);
        assert!(matches!(forged.check(&keys, &alice), Err(VoucherError::Registrar(_))));
    }

    #[test]
    fn who_is_no_registrar_by_the_issuers_word_vouches_for_nobody() {
        let keys = keys("kanto");
        let alice = record("alice", tenant("sapporo"), 5, 90);
        let admin = record("admin", Role::OperatorAdmin, 9, 100);
        assert!(matches!(by(&admin, 9, &alice).check(&keys, &alice), Err(VoucherError::Role(_))));
        let many = vec![given("sapporo"); REGISTRAR_ROLES_MAX + 1];
        let wide = record("wide", Role::Registrar(many), 9, 100);
        assert!(matches!(by(&wide, 9, &alice).check(&keys, &alice), Err(VoucherError::Role(_))));
        // Under an issuer's word that is not this operator's.
        let Voucher::Registrar(mut registered) = by(&registrar(), 9, &alice) else { panic!() };
        let own = encode(&registered.registrar).unwrap();
        registered.issuer = key(7).sign(Purpose::KeyRecord, &own);
        let forged = Voucher::Registrar(registered);
        assert!(matches!(forged.check(&keys, &alice), Err(VoucherError::Issuer(_))));
        // The issuer's own word counts as before, and not in the registrar's place.
        let bytes = encode(&alice).unwrap();
        let own = Voucher::Issuer(key(1).sign(Purpose::KeyRecord, &bytes));
        assert_eq!((own.check(&keys, &alice), own.registrar()), (Ok(()), None));
        let other = Voucher::Issuer(key(1).sign(Purpose::LoginRecord, &bytes));
        assert!(matches!(other.check(&keys, &alice), Err(VoucherError::Issuer(_))));
    }

    #[test]
    fn possession_is_of_both_keys_together() {
        let (own, spki) = (key(5), Digest([6; 32]));
        let shown = possession(&own, &spki);
        assert_eq!(possesses(&own.public(), &spki, &shown), Ok(()));
        assert_eq!(possesses(&key(4).public(), &spki, &shown), Err(BadSignature));
        assert_eq!(possesses(&own.public(), &Digest([7; 32]), &shown), Err(BadSignature));
        let nonce = login_nonce(&spki, &own.public());
        assert_ne!(nonce, login_nonce(&spki, &key(4).public()));
        assert_ne!(nonce, login_nonce(&Digest([7; 32]), &own.public()));
    }
}
