//! The endorser bundle: whose checkpoint signatures count, and how many operators are needed.
//!
//! Must hold: an agent pins the bundle's hash at join and moves on only to version + 1 signed by k operators of
//! the bundle that it holds (D4). k = 2 as soon as two operators take part, because one operator alone must not be
//! able to start work (f = 1).

use crate::canonical::{CanonicalError, encode};
use crate::key::{Purpose, verify};
use sekisho_types::id::{ClusterId, Digest, MemberId, OperatorId, PublicKey, Signature};
use sekisho_types::principal::TrustDomain;
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

/// The keys with which an operator speaks, apart from its members' checkpoint keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperatorKeys {
    /// The operator.
    pub operator: OperatorId,
    /// Its SPIFFE trust domain.
    pub trust_domain: TrustDomain,
    /// Signs key records, genesis and bundles.
    pub issuer: PublicKey,
    /// Signs site tags.
    pub site_tag: PublicKey,
    /// SHA-256 of its root certificate (DER).
    pub root_hash: Digest,
}

/// Whose signatures count in one incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndorserBundle {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Grows by one with each change.
    pub version: u64,
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

/// Most signatures under one bundle: every operator of a large federation, and bounded work for whoever verifies.
pub const BUNDLE_SIGNATURES_MAX: usize = 16;

/// The one way in which a successor may differ from the bundle before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession<'s> {
    /// This member of this operator signs from now on, too.
    With(&'s OperatorId, MemberId),
    /// This member signs no longer.
    Without(MemberId),
}

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
    /// Something else differs from the held bundle than the change at hand accounts for.
    #[error("the bundle differs from its predecessor in more than the key of member {0}")]
    Unrelated(MemberId),
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

    /// Checks the form: ordered without doubles, every endorser of a listed operator, k as [`Self::threshold`].
    ///
    /// # Errors
    /// [`BundleError::Malformed`] or [`BundleError::Threshold`].
    pub fn check(&self) -> Result<(), BundleError> {
        let ordered = self.endorsers.is_sorted_by(|a, b| a.member < b.member);
        let listed = self.operators.is_sorted_by(|a, b| a.operator < b.operator);
        if !ordered || !listed || self.operators.is_empty() || self.endorsers.is_empty() {
            return Err(BundleError::Malformed("entries must be ordered and without doubles"));
        }
        if self.endorsers.iter().any(|e| self.keys(&e.operator).is_none()) {
            return Err(BundleError::Malformed("an endorser belongs to no listed operator"));
        }
        let domains: BTreeSet<_> = self.operators.iter().map(|o| &o.trust_domain).collect();
        let keys: BTreeSet<_> = self.endorsers.iter().map(|e| e.public_key).collect();
        if domains.len() != self.operators.len() || keys.len() != self.endorsers.len() {
            return Err(BundleError::Malformed(
                "two operators share a trust domain or two endorsers a key",
            ));
        }
        let need = Self::threshold(self.operators.len());
        if self.k == need { Ok(()) } else { Err(BundleError::Threshold(need)) }
    }

    /// The keys of one operator.
    #[must_use]
    pub fn keys(&self, operator: &OperatorId) -> Option<&OperatorKeys> {
        self.operators.iter().find(|o| o.operator == *operator)
    }

    /// Operators that have at least one endorser, in order.
    pub fn operators(&self) -> impl Iterator<Item = OperatorId> {
        let all: BTreeSet<OperatorId> = self.endorsers.iter().map(|e| e.operator.clone()).collect();
        all.into_iter()
    }

    /// SHA-256 of the canonical bytes: what the join token pins.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn hash(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&encode(self)?))
    }

    /// Checks that `next` may replace this bundle.
    ///
    /// # Errors
    /// The first [`BundleError`].
    pub fn accepts(
        &self,
        next: &Self,
        signatures: &[OperatorSignature],
    ) -> Result<(), BundleError> {
        if next.cluster != self.cluster || next.incarnation != self.incarnation {
            return Err(BundleError::WrongCluster);
        }
        let expected = self.version.saturating_add(1);
        if next.version != expected {
            return Err(BundleError::Version { expected, got: next.version });
        }
        next.check()?;
        let bytes = encode(next).map_err(|_canonical| BundleError::Malformed("not encodable"))?;
        let good: BTreeSet<&OperatorId> = signatures
            .iter()
            .filter(|s| {
                self.keys(&s.operator).is_some_and(|keys| {
                    verify(&keys.issuer, Purpose::Bundle, &bytes, &s.signature).is_ok()
                })
            })
            .map(|s| &s.operator)
            .collect();
        let have = u32::try_from(good.len()).unwrap_or(u32::MAX);
        if have >= self.k { Ok(()) } else { Err(BundleError::Signatures { have, need: self.k }) }
    }

    /// The successor in which one more member signs, in place of an earlier key of the same member.
    #[must_use]
    pub fn with(&self, endorser: Endorser) -> Self {
        let mut next = self.without(endorser.member);
        next.endorsers.push(endorser);
        next.endorsers.sort_by_key(|endorser| endorser.member);
        next
    }

    /// The successor in which a member no longer signs.
    #[must_use]
    pub fn without(&self, member: MemberId) -> Self {
        let mut next = self.clone();
        next.version = self.version.saturating_add(1);
        next.endorsers.retain(|endorser| endorser.member != member);
        next
    }

    /// Checks that `next` may replace this bundle and differs from it by exactly `step`.
    ///
    /// # Errors
    /// The first [`BundleError`]: form and version first, then what differs, signatures last.
    pub fn succeeded_by(
        &self,
        next: &SignedBundle,
        step: Succession<'_>,
    ) -> Result<(), BundleError> {
        if next.signatures.len() > BUNDLE_SIGNATURES_MAX {
            return Err(BundleError::Malformed("too many signatures"));
        }
        let (member, expected) = match step {
            Succession::Without(member) => (member, Some(self.without(member))),
            Succession::With(operator, member) => {
                let mut all = next.bundle.endorsers.iter();
                let own = all.find(|e| e.member == member && e.operator == *operator);
                // A key that was replaced would be a second change in the shape of the first.
                let new = self.endorsers.iter().all(|e| e.member != member);
                (member, own.filter(|_| new).map(|own| self.with(own.clone())))
            }
        };
        let same = |expected: &Self| {
            let (a, b) = (expected, &next.bundle);
            a.endorsers == b.endorsers && a.operators == b.operators && a.k == b.k
        };
        if !expected.as_ref().is_some_and(same) {
            return Err(BundleError::Unrelated(member));
        }
        self.accepts(&next.bundle, &next.signatures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    fn issuer(n: u8) -> SigningKey {
        SigningKey::from_seed(&[n; 32])
    }
    fn bundle(version: u64) -> EndorserBundle {
        let operator = |n: u8| OperatorKeys {
            operator: format!("op-{n}").parse().unwrap(),
            trust_domain: TrustDomain::parse(&format!("op-{n}.example")).unwrap(),
            issuer: issuer(n).public(),
            site_tag: issuer(n.saturating_add(10)).public(),
            root_hash: Digest([n; 32]),
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
        assert_eq!(held.accepts(&next, &sign(&next, &[1, 3])), Ok(()));
        let one = held.accepts(&next, &sign(&next, &[1, 1]));
        assert_eq!(one, Err(BundleError::Signatures { have: 1, need: 2 }));
        let skipped = bundle(3);
        let refused = held.accepts(&skipped, &sign(&skipped, &[1, 2, 3]));
        assert_eq!(refused, Err(BundleError::Version { expected: 2, got: 3 }));
        let other = EndorserBundle { cluster: ClusterId([2; 16]), ..bundle(2) };
        assert_eq!(held.accepts(&other, &sign(&other, &[1, 2])), Err(BundleError::WrongCluster));
    }

    #[test]
    fn a_successor_differs_by_one_key_and_by_nothing_else() {
        let held = bundle(1);
        let op = |n: u8| format!("op-{n}").parse::<OperatorId>().unwrap();
        let fourth =
            Endorser { operator: op(2), member: MemberId(4), public_key: issuer(44).public() };
        let signed = |bundle: EndorserBundle, by: &[u8]| SignedBundle {
            signatures: sign(&bundle, by),
            bundle,
        };
        let (with, without) = (held.with(fourth.clone()), held.without(MemberId(3)));
        let (one, two, four) = (op(1), op(2), MemberId(4));
        let adding = Succession::With(&two, four);
        let judge = |bundle, step| held.succeeded_by(&signed(bundle, &[1, 2]), step);
        assert_eq!(judge(with.clone(), adding), Ok(()));
        assert_eq!(judge(without.clone(), Succession::Without(MemberId(3))), Ok(()));
        // The right bundle for another step.
        for (bundle, step) in [
            (with.clone(), Succession::With(&one, four)),
            (with.clone(), Succession::With(&two, MemberId(5))),
            (with.clone(), Succession::Without(four)),
            (without, Succession::Without(MemberId(2))),
            (
                held.with(Endorser { member: MemberId(2), ..fourth }),
                Succession::With(&two, MemberId(2)),
            ),
        ] {
            assert!(matches!(judge(bundle, step), Err(BundleError::Unrelated(_))), "{step:?}");
        }
        // A second change hidden in the first.
        let mut swapped = with.clone();
        swapped.operators[0].issuer = issuer(99).public();
        let mut dropped = with.clone();
        dropped.endorsers.remove(0);
        for bundle in [swapped, dropped] {
            assert_eq!(judge(bundle, adding), Err(BundleError::Unrelated(four)));
        }
        let skipped = EndorserBundle { version: 3, ..with.clone() };
        assert!(matches!(judge(skipped, adding), Err(BundleError::Version { .. })));
        let alone = held.succeeded_by(&signed(with.clone(), &[2]), adding);
        assert_eq!(alone, Err(BundleError::Signatures { have: 1, need: 2 }));
        let mut flood = signed(with, &[1, 2]);
        flood.signatures = vec![flood.signatures[0].clone(); BUNDLE_SIGNATURES_MAX + 1];
        assert!(matches!(held.succeeded_by(&flood, adding), Err(BundleError::Malformed(_))));
    }

    #[test]
    fn a_bundle_that_would_let_one_operator_start_work_is_malformed() {
        assert_eq!(EndorserBundle { k: 1, ..bundle(1) }.check(), Err(BundleError::Threshold(2)));
        let mut shared = bundle(1);
        shared.endorsers[1].public_key = shared.endorsers[0].public_key;
        assert!(matches!(shared.check(), Err(BundleError::Malformed(_))));
        let mut stray = bundle(1);
        stray.endorsers[0].operator = "op-9".parse().unwrap();
        assert!(matches!(stray.check(), Err(BundleError::Malformed(_))));
    }
}
