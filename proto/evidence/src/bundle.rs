//! The endorser bundle: whose checkpoint signatures count, and how many operators are needed.
//!
//! Must hold: an agent pins the bundle's hash at join and moves on only to version + 1 signed by k operators of
//! the bundle that it holds (D4). k = 2 as soon as two operators take part, because one operator alone must not be
//! able to start work (f = 1).

use crate::canonical::{CanonicalError, encode};
use crate::key::Purpose;
use crate::operator::{BackupKey, OperatorKeys};
use sekisho_types::id::{ClusterId, Digest, MemberId, OperatorId, PublicKey, Signature};
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A member's checkpoint-signing key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endorser {
    /// The operator that it counts for.
    pub operator: OperatorId,
    /// The member that signs.
    pub member: MemberId,
    /// Its Ed25519 key.
    pub public_key: PublicKey,
}

/// Whose signatures count in one incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndorserBundle {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Grows by one with each change, over incarnations, too.
    pub version: u64,
    /// Digest of what was agreed with this version ([`crate::terms::Terms`]); zero for that of the genesis.
    pub terms: Digest,
    /// Distinct operators needed under a checkpoint.
    pub k: u32,
    /// Checkpoint keys, ordered.
    pub endorsers: Vec<Endorser>,
    /// Operators' own keys, ordered.
    pub operators: Vec<OperatorKeys>,
}

/// One operator's agreement to a bundle or genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSignature {
    /// Who signed.
    pub operator: OperatorId,
    /// By its issuer key.
    pub signature: Signature,
}

/// A bundle with the operators' agreement to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBundle {
    /// The bundle.
    pub bundle: EndorserBundle,
    /// By operators of the bundle before it.
    pub signatures: Vec<OperatorSignature>,
}

/// Companies that take part at once: more than there are that could run a site, few enough to compare by voice.
pub const OPERATORS_MAX: usize = 16;
/// Most signatures under one bundle: every operator, and one that signs with an old and a new key. Bounded work for
/// whoever verifies.
pub const BUNDLE_SIGNATURES_MAX: usize = OPERATORS_MAX + 1;

/// Why a bundle does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not ordered, doubled, or an endorser of no operator.
    #[error("the endorser bundle is not well formed: {0}")]
    Malformed(&'static str),
    /// k does not follow from the number of operators.
    #[error("k must be {0} for this number of operators")]
    Threshold(u32),
    /// Not the successor of the held one.
    #[error("expected bundle version {expected}, got {got}")]
    Version {
        /// Held version plus one.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// Another federation or incarnation.
    #[error("the bundle belongs to another cluster or incarnation")]
    WrongCluster,
    /// It does not follow from the held bundle by what was agreed, and nothing else.
    #[error("the bundle does not follow from its predecessor by what the change tells")]
    Unrelated,
    /// Who is made or replaced by the change has not signed it with the key that it brings or holds.
    #[error("operator {0} itself must sign this change")]
    Party(OperatorId),
    /// Not signed by enough operators of the held bundle.
    #[error("the bundle is signed by {have} of {need} operators")]
    Signatures {
        /// Distinct operators with a good signature.
        have: u32,
        /// Needed.
        need: u32,
    },
}

impl EndorserBundle {
    /// How many operators must sign: f + 1 with f = 1 from two operators on.
    #[must_use]
    pub fn threshold(operators: usize) -> u32 {
        if operators >= 2 { 2 } else { 1 }
    }

    /// Checks the form: ordered without doubles, every endorser of a listed operator, no key in two hands, k as
    /// [`Self::threshold`] of the operators that have an endorser: one that has none can sign nothing.
    ///
    /// # Errors
    /// [`BundleError::Malformed`] or [`BundleError::Threshold`].
    pub fn check(&self) -> Result<(), BundleError> {
        let bad = |why| Err(BundleError::Malformed(why));
        let ordered = self.endorsers.is_sorted_by(|a, b| a.member < b.member);
        let listed = self.operators.is_sorted_by(|a, b| a.operator < b.operator);
        if !ordered || !listed || self.operators.is_empty() || self.endorsers.is_empty() {
            return bad("entries must be ordered and without doubles");
        }
        if self.operators.len() > OPERATORS_MAX {
            return bad("more operators than a federation may have");
        }
        if self.endorsers.iter().any(|e| self.keys(&e.operator).is_none()) {
            return bad("an endorser belongs to no listed operator");
        }
        let domains: BTreeSet<_> = self.operators.iter().map(|o| &o.trust_domain).collect();
        if domains.len() != self.operators.len() {
            return bad("two operators share a trust domain");
        }
        // One key for two uses, or in two hands, would let one signature be read as another's.
        let mut keys = BTreeSet::new();
        let endorsers = self.endorsers.iter().map(|e| e.public_key.0);
        let own = self.operators.iter().flat_map(|o| {
            let signing = o.issuers.iter().chain(o.site_tags.iter()).map(|key| key.0);
            let other = o.roots.iter().map(|hash| hash.0);
            signing.chain(other).chain(o.backups.iter().map(|key| key.0))
        });
        if !endorsers.chain(own).all(|key| keys.insert(key)) {
            return bad("a key or root stands twice");
        }
        let need = Self::threshold(self.operators().count());
        if self.k == need { Ok(()) } else { Err(BundleError::Threshold(need)) }
    }

    /// The keys of one operator.
    #[must_use]
    pub fn keys(&self, operator: &OperatorId) -> Option<&OperatorKeys> {
        self.operators.iter().find(|o| o.operator == *operator)
    }

    /// The checkpoint key of one member.
    #[must_use]
    pub fn endorser(&self, member: MemberId) -> Option<&Endorser> {
        self.endorsers.iter().find(|e| e.member == member)
    }

    /// Operators that have at least one endorser, in order.
    pub fn operators(&self) -> impl Iterator<Item = OperatorId> {
        let all: BTreeSet<OperatorId> = self.endorsers.iter().map(|e| e.operator.clone()).collect();
        all.into_iter()
    }

    /// To whom backups are sealed: the backup keys of each operator that has an endorser. Its controller holds all of this
    /// anyway.
    #[must_use]
    pub fn backup_keys(&self) -> Vec<BackupKey> {
        let runs = |operator: &OperatorId| self.endorsers.iter().any(|e| e.operator == *operator);
        let keys = self.operators.iter().filter(|keys| runs(&keys.operator));
        keys.flat_map(|keys| keys.backups.iter().copied()).collect()
    }

    /// SHA-256 of the canonical bytes: what the join token pins.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn hash(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&encode(self)?))
    }

    /// Checks that `next` is the next version of this bundle, whoever signed it.
    ///
    /// # Errors
    /// [`BundleError::WrongCluster`], [`BundleError::Version`], or what [`Self::check`] says.
    pub fn precedes(&self, next: &Self) -> Result<(), BundleError> {
        // Whether this change may open the next incarnation is judged with its terms.
        let lives = [self.incarnation.0, self.incarnation.0.saturating_add(1)];
        if next.cluster != self.cluster || !lives.contains(&next.incarnation.0) {
            return Err(BundleError::WrongCluster);
        }
        let expected = self.version.saturating_add(1);
        if next.version != expected {
            return Err(BundleError::Version { expected, got: next.version });
        }
        next.check()?;
        // Two operators never become one that starts work alone (D4).
        if next.k < self.k { Err(BundleError::Threshold(self.k)) } else { Ok(()) }
    }

    /// Checks that `next` may replace this bundle, and returns the operators of this one that agreed.
    ///
    /// # Errors
    /// The first [`BundleError`].
    pub fn accepts<'s>(
        &self,
        next: &Self,
        signatures: &'s [OperatorSignature],
    ) -> Result<BTreeSet<&'s OperatorId>, BundleError> {
        self.precedes(next)?;
        let bytes = encode(next).map_err(|_canonical| BundleError::Malformed("not encodable"))?;
        let issued = |s: &&OperatorSignature| {
            let keys = self.keys(&s.operator);
            keys.is_some_and(|keys| keys.issued(Purpose::Bundle, &bytes, &s.signature).is_ok())
        };
        let good: BTreeSet<_> = signatures.iter().filter(issued).map(|s| &s.operator).collect();
        let have = u32::try_from(good.len()).unwrap_or(u32::MAX);
        if have >= self.k { Ok(good) } else { Err(BundleError::Signatures { have, need: self.k }) }
    }

    fn next(&self, terms: Digest, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        next.version = self.version.saturating_add(1);
        next.terms = terms;
        change(&mut next);
        next.endorsers.sort_by_key(|endorser| endorser.member);
        next.operators.sort_by(|a, b| a.operator.cmp(&b.operator));
        next.k = Self::threshold(next.operators().count());
        next
    }

    /// The successor in which one more member signs.
    #[must_use]
    pub fn with(&self, endorser: Endorser, terms: Digest) -> Self {
        self.next(terms, |next| next.endorsers.push(endorser))
    }

    /// The successor in which a member no longer signs.
    #[must_use]
    pub fn without(&self, member: MemberId, terms: Digest) -> Self {
        self.next(terms, |next| next.endorsers.retain(|endorser| endorser.member != member))
    }

    /// The successor in which one more operator takes part.
    #[must_use]
    pub fn joined_by(&self, keys: OperatorKeys, terms: Digest) -> Self {
        self.next(terms, |next| next.operators.push(keys))
    }

    /// The successor in which an operator takes part no longer.
    #[must_use]
    pub fn left_by(&self, operator: &OperatorId, terms: Digest) -> Self {
        self.next(terms, |next| next.operators.retain(|keys| keys.operator != *operator))
    }

    /// The successor that opens the next incarnation, in which only these sign.
    #[must_use]
    pub fn opened(&self, endorsers: Vec<Endorser>, terms: Digest) -> Self {
        self.next(terms, |next| {
            next.incarnation = Incarnation(next.incarnation.0.saturating_add(1));
            next.endorsers = endorsers;
        })
    }

    /// The successor in which an operator has other keys.
    #[must_use]
    pub fn replacing(&self, keys: OperatorKeys, terms: Digest) -> Self {
        self.next(terms, |next| {
            next.operators.retain(|held| held.operator != keys.operator);
            next.operators.push(keys);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;
    use crate::operator::{BackupKey, Keys};
    use sekisho_types::principal::TrustDomain;

    fn issuer(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }
    fn bundle(version: u64) -> EndorserBundle {
        let operator = |n: u8| OperatorKeys {
            operator: format!("op-{n}").parse().unwrap(),
            trust_domain: TrustDomain::parse(&format!("op-{n}.example")).unwrap(),
            issuers: Keys::one(issuer(n).public()),
            site_tags: Keys::one(issuer(n.saturating_add(10)).public()),
            roots: Keys::one(Digest([n; 32])),
            backups: Keys::one(BackupKey([n.saturating_add(100); 32])),
        };
        let endorser = |n: u8| Endorser {
            operator: format!("op-{n}").parse().unwrap(),
            member: MemberId(u64::from(n)),
            public_key: issuer(n.saturating_add(20)).public(),
        };
        EndorserBundle {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            version,
            terms: Digest([0; 32]),
            k: 2,
            endorsers: [1, 2, 3].map(endorser).to_vec(),
            operators: [1, 2, 3].map(operator).to_vec(),
        }
    }
    fn sign(next: &EndorserBundle, by: &[u8]) -> Vec<OperatorSignature> {
        let bytes = encode(next).unwrap();
        by.iter()
            .map(|n| OperatorSignature {
                operator: format!("op-{n}").parse().unwrap(),
                signature: issuer(*n).sign(Purpose::Bundle, &bytes),
            })
            .collect()
    }

    #[test]
    fn only_the_successor_signed_by_k_operators_of_the_held_bundle_is_accepted() {
        let (held, next) = (bundle(1), bundle(2));
        let agreed = held.accepts(&next, &sign(&next, &[1, 3])).unwrap().len();
        assert_eq!(agreed, 2);
        let twice = sign(&next, &[1, 1]);
        let one = held.accepts(&next, &twice);
        assert_eq!(one, Err(BundleError::Signatures { have: 1, need: 2 }));
        let skipped = bundle(3);
        let all = sign(&skipped, &[1, 2, 3]);
        let refused = held.accepts(&skipped, &all);
        assert_eq!(refused, Err(BundleError::Version { expected: 2, got: 3 }));
        let other = EndorserBundle { cluster: ClusterId([2; 16]), ..bundle(2) };
        let two = sign(&other, &[1, 2]);
        assert_eq!(held.accepts(&other, &two), Err(BundleError::WrongCluster));
    }

    #[test]
    fn a_bundle_that_would_let_one_operator_start_work_is_malformed() {
        assert_eq!(EndorserBundle { k: 1, ..bundle(1) }.check(), Err(BundleError::Threshold(2)));
        let mut shared = bundle(1);
        shared.endorsers[1].public_key = shared.endorsers[0].public_key;
        assert!(matches!(shared.check(), Err(BundleError::Malformed(_))));
        let mut both = bundle(1);
        both.operators[1].site_tags = both.operators[0].issuers.clone();
        assert!(matches!(both.check(), Err(BundleError::Malformed(_))));
        let mut stray = bundle(1);
        stray.endorsers[0].operator = "op-9".parse().unwrap();
        assert!(matches!(stray.check(), Err(BundleError::Malformed(_))));
    }
    #[test]
    fn only_operators_that_can_sign_count_and_two_never_become_one() {
        let first = bundle(1);
        let mut two = first.without(MemberId(3), Digest([9; 32]));
        assert_eq!((two.check(), two.k, two.version, two.operators.len()), (Ok(()), 2, 2, 3));
        assert_eq!(first.precedes(&two), Ok(()));
        let one = two.without(MemberId(2), Digest([9; 32]));
        assert_eq!((one.check(), one.k), (Ok(()), 1));
        assert_eq!(two.precedes(&one), Err(BundleError::Threshold(2)));
        two.k = 3;
        assert_eq!(two.check(), Err(BundleError::Threshold(2)));
    }
}
