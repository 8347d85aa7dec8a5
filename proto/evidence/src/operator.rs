//! The keys with which an operator speaks, and how it replaces them without a gap.
//!
//! Must hold: while a key is replaced the old and the new one both verify, so what either signed stays good until the
//! rotation is finished; a key stands for one operator and one use only.

use crate::key::{BadSignature, Purpose, verify};
use sekisho_types::id::{Digest, OperatorId, PublicKey, Signature};
use sekisho_types::principal::TrustDomain;
use serde::{Deserialize, Serialize};

/// One key, or two while it is replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Keys<T> {
    /// The one in use.
    pub current: T,
    /// The one before it, until the rotation is finished.
    pub other: Option<T>,
}

impl<T> Keys<T> {
    /// A key that is not being replaced.
    pub fn one(current: T) -> Self {
        Self { current, other: None }
    }

    /// The current one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [Some(&self.current), self.other.as_ref()].into_iter().flatten()
    }
}

impl<T: PartialEq> Keys<T> {
    /// Whether `key` counts.
    pub fn has(&self, key: &T) -> bool {
        self.iter().any(|own| own == key)
    }
}

/// An X25519 key that backups are encrypted to; as text an `age` recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BackupKey(#[serde(with = "crate::hexadecimal::array")] pub [u8; 32]);

/// One operator's root certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRoot {
    /// Whose.
    pub operator: OperatorId,
    /// DER; its hash stands in the endorser bundle.
    #[serde(with = "crate::hexadecimal")]
    pub der: Vec<u8>,
}

impl BundleRoot {
    /// By which a bundle names it: SHA-256 of the DER.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(&self.der)
    }
}

/// The keys with which an operator speaks, apart from its members' checkpoint keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperatorKeys {
    /// The operator.
    pub operator: OperatorId,
    /// Its SPIFFE trust domain.
    pub trust_domain: TrustDomain,
    /// Sign key records, genesis and bundles.
    pub issuers: Keys<PublicKey>,
    /// Sign site tags.
    pub site_tags: Keys<PublicKey>,
    /// SHA-256 of its root certificates (DER).
    pub roots: Keys<Digest>,
    /// Backups are encrypted to them.
    pub backups: Keys<BackupKey>,
}

impl OperatorKeys {
    /// Checks that an issuer of this operator signed `message`.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn issued(
        &self,
        purpose: Purpose,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let mut issuers = self.issuers.iter();
        let good = issuers.any(|key| verify(key, purpose, message, signature).is_ok());
        if good { Ok(()) } else { Err(BadSignature) }
    }

    /// Whether something is being replaced.
    #[must_use]
    pub fn rotating(&self) -> bool {
        let keys = self.issuers.other.is_some() || self.site_tags.other.is_some();
        keys || self.roots.other.is_some() || self.backups.other.is_some()
    }

    /// With only the keys that are in use, or with only those before them.
    #[must_use]
    pub fn settled(&self, on_new: bool) -> Self {
        fn pick<T: Clone>(keys: &Keys<T>, on_new: bool) -> Keys<T> {
            let old = keys.other.as_ref().filter(|_| !on_new);
            Keys::one(old.unwrap_or(&keys.current).clone())
        }
        Self {
            operator: self.operator.clone(),
            trust_domain: self.trust_domain.clone(),
            issuers: pick(&self.issuers, on_new),
            site_tags: pick(&self.site_tags, on_new),
            roots: pick(&self.roots, on_new),
            backups: pick(&self.backups, on_new),
        }
    }

    /// Whether `next` begins to replace some of these keys and changes nothing else.
    #[must_use]
    pub fn begins(&self, next: &Self) -> bool {
        fn kept_or_begun<T: PartialEq>(held: &Keys<T>, next: &Keys<T>) -> bool {
            let begun = next.other.as_ref() == Some(&held.current) && next.current != held.current;
            held == next || begun
        }
        let same = self.operator == next.operator && self.trust_domain == next.trust_domain;
        same && !self.rotating()
            && next.rotating()
            && kept_or_begun(&self.issuers, &next.issuers)
            && kept_or_begun(&self.site_tags, &next.site_tags)
            && kept_or_begun(&self.roots, &next.roots)
            && kept_or_begun(&self.backups, &next.backups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    fn public(n: u8) -> PublicKey {
        SigningKey::from_seed(&[n; 32]).public()
    }

    fn keys() -> OperatorKeys {
        OperatorKeys {
            operator: "kanto".parse().unwrap(),
            trust_domain: TrustDomain::parse("kanto.example").unwrap(),
            issuers: Keys::one(public(1)),
            site_tags: Keys::one(public(2)),
            roots: Keys::one(Digest([3; 32])),
            backups: Keys::one(BackupKey([4; 32])),
        }
    }

    #[test]
    fn both_issuers_count_while_one_replaces_the_other() {
        let mut own = keys();
        own.issuers = Keys { current: public(9), other: Some(public(1)) };
        let by = |n: u8| SigningKey::from_seed(&[n; 32]).sign(Purpose::Bundle, b"x");
        assert_eq!(own.issued(Purpose::Bundle, b"x", &by(9)), Ok(()));
        assert_eq!(own.issued(Purpose::Bundle, b"x", &by(1)), Ok(()));
        assert_eq!(own.issued(Purpose::Bundle, b"x", &by(2)), Err(BadSignature));
        assert_eq!(own.issued(Purpose::Genesis, b"x", &by(9)), Err(BadSignature));
        assert_eq!(own.settled(false), keys());
        assert_eq!(own.settled(true).issuers, Keys::one(public(9)));
    }

    #[test]
    fn a_rotation_keeps_the_key_before_it_and_touches_nothing_else() {
        let held = keys();
        let with = |alter: &dyn Fn(&mut OperatorKeys)| {
            let mut next = keys();
            alter(&mut next);
            held.begins(&next)
        };
        let new = |n: u8| Keys { current: public(n), other: Some(public(1)) };
        assert!(with(&|k| k.issuers = new(9)));
        assert!(with(&|k| {
            k.issuers = new(9);
            k.roots = Keys { current: Digest([9; 32]), other: Some(Digest([3; 32])) };
        }));
        assert!(!with(&|_| ()), "nothing begins");
        assert!(!with(&|k| k.issuers = Keys::one(public(9))), "no overlap");
        assert!(!with(&|k| k.issuers = new(1)), "the same key twice");
        assert!(!with(&|k| k.issuers = Keys { current: public(9), other: Some(public(8)) }));
        assert!(!with(&|k| {
            k.issuers = new(9);
            k.trust_domain = TrustDomain::parse("else.example").unwrap();
        }));
        let mut under_way = keys();
        under_way.issuers = new(9);
        let mut second = under_way.clone();
        second.issuers = Keys { current: public(10), other: Some(public(9)) };
        assert!(!under_way.begins(&second), "one rotation at a time");
    }
}
