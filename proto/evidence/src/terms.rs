//! What operators agree on when the endorser bundle changes.
//!
//! Must hold (D4, R5): a bundle follows another by exactly one of these terms and names their digest, so whoever signs
//! the bundle signs the whole agreement; besides k operators those sign whom the change makes or replaces. The same
//! judgement is made by whoever signs, by every replica in apply, and by everybody who walks the bundles later.
//! Does not know the state: whether a site is registered or a key still used is judged in apply.

use crate::bundle::{BUNDLE_SIGNATURES_MAX, BundleError, Endorser, EndorserBundle, SignedBundle};
use crate::canonical::encode;
use crate::genesis::{GenesisMember, GenesisSite};
use crate::key::{Purpose, verify};
use crate::opening::Opening;
use crate::operator::OperatorKeys;
use sekisho_types::id::{Digest, MemberId, OperatorId, PublicKey, Signature};
use sekisho_types::principal::KeyRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A key record with its issuer's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedKey {
    /// Whose key, and what it may do.
    pub record: KeyRecord,
    /// By the issuer of its operator.
    pub issuer: Signature,
}

/// What an operator brings when it joins, beside the keys that stand in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newcomer {
    /// The operator.
    pub operator: OperatorId,
    /// Its first sites, ordered.
    pub sites: Vec<GenesisSite>,
    /// Its first administrators.
    pub admins: Vec<IssuedKey>,
    /// Its root certificate, DER.
    #[serde(with = "crate::hexadecimal")]
    pub root: Vec<u8>,
}

/// A step in replacing an operator's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The new keys count beside the old ones.
    Begin {
        /// The new root certificate, DER, if the root is among what is replaced.
        #[serde(with = "crate::hexadecimal::optional")]
        root: Option<Vec<u8>>,
    },
    /// The old keys count no longer.
    Finish {
        /// Also if something still stands on an old key: for a key that was stolen.
        accept_stranded: bool,
    },
    /// The new keys count no longer.
    Abort,
}

/// What was agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// This controller comes.
    AddMember(GenesisMember),
    /// This one goes.
    RemoveMember(MemberId),
    /// This company comes.
    AddOperator(Box<Newcomer>),
    /// This company goes.
    RemoveOperator(OperatorId),
    /// This company replaces keys.
    RotateOperator {
        /// Which.
        operator: OperatorId,
        /// How far.
        rotation: Rotation,
    },
    /// The federation begins anew from a backup, with other members.
    Open(Box<Opening>),
}

impl Terms {
    /// What the bundle names.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Our own types always encode.
        Digest::of(&encode(self).unwrap_or_default())
    }

    /// The bundle that these terms make of `held`; what they bring into it is taken from `next`. `None` where no such
    /// bundle follows.
    fn successor(&self, held: &EndorserBundle, next: &EndorserBundle) -> Option<EndorserBundle> {
        let terms = self.digest();
        let of = |operator: &OperatorId| Some((held.keys(operator)?, next.keys(operator)?));
        match self {
            Self::AddMember(member) => {
                let own = next.endorser(member.member)?;
                // A key that was replaced would be a second change in the shape of the first.
                let new = held.endorser(member.member).is_none();
                (new && own.operator == member.operator).then(|| held.with(own.clone(), terms))
            }
            Self::RemoveMember(member) => Some(held.without(*member, terms)),
            Self::AddOperator(newcomer) => {
                let keys = next.keys(&newcomer.operator)?;
                let new = held.keys(&newcomer.operator).is_none();
                let root = keys.roots.current == Digest::of(&newcomer.root);
                (new && root && !keys.rotating()).then(|| held.joined_by(keys.clone(), terms))
            }
            Self::RemoveOperator(operator) => {
                let idle = held.endorsers.iter().all(|e| e.operator != *operator);
                (idle && held.keys(operator).is_some()).then(|| held.left_by(operator, terms))
            }
            Self::RotateOperator { operator, rotation } => {
                let (old, new) = of(operator)?;
                let replaced = |keys: OperatorKeys| Some(held.replacing(keys, terms));
                match rotation {
                    Rotation::Begin { root } => {
                        let named = root.as_ref().map(|root| Digest::of(root));
                        let changed = Some(new.roots.current).filter(|new| !old.roots.has(new));
                        (named == changed && old.begins(new))
                            .then(|| new.clone())
                            .and_then(replaced)
                    }
                    Rotation::Finish { .. } if old.rotating() => replaced(old.settled(true)),
                    Rotation::Abort if old.rotating() => replaced(old.settled(false)),
                    Rotation::Finish { .. } | Rotation::Abort => None,
                }
            }
            Self::Open(opening) => {
                let of = |e: &Endorser| (e.member, e.operator.clone());
                let founders = opening.founders.iter().map(|f| (f.member, f.operator.clone()));
                // A key that signed for a member of before could sign for both lives.
                let new =
                    |e: &Endorser| held.endorsers.iter().all(|h| h.public_key != e.public_key);
                let own = next.endorsers.iter().map(of).eq(founders);
                (own && next.endorsers.iter().all(new))
                    .then(|| held.opened(next.endorsers.clone(), terms))
            }
        }
    }

    /// Whose agreement is needed besides that of k operators.
    fn parties(
        &self,
        held: &EndorserBundle,
        next: &SignedBundle,
        agreed: &BTreeSet<&OperatorId>,
    ) -> Result<(), BundleError> {
        let bytes = encode(&next.bundle).map_err(|_own| BundleError::Malformed("not encodable"))?;
        let by = |operator: &OperatorId, key: &PublicKey| {
            next.signatures
                .iter()
                .filter(|s| s.operator == *operator)
                .any(|s| verify(key, Purpose::Bundle, &bytes, &s.signature).is_ok())
        };
        let own = |operator: &OperatorId| {
            let keys = next.bundle.keys(operator);
            if keys.is_some_and(|keys| by(operator, &keys.issuers.current)) {
                return Ok(());
            }
            Err(BundleError::Party(operator.clone()))
        };
        match self {
            Self::RemoveMember(_) | Self::RemoveOperator(_) => Ok(()),
            // Its checkpoint key speaks for the company: nobody else may say which one that is.
            Self::AddMember(member) if agreed.contains(&member.operator) => Ok(()),
            Self::AddMember(member) => Err(BundleError::Party(member.operator.clone())),
            Self::AddOperator(newcomer) => own(&newcomer.operator),
            Self::Open(opening) => {
                opening.check(next.bundle.incarnation)?;
                let mut openers = opening.openers().into_iter();
                match openers.find(|operator| !agreed.contains(operator)) {
                    Some(missing) => Err(BundleError::Party(missing.clone())),
                    None => Ok(()),
                }
            }
            Self::RotateOperator { operator, rotation } => {
                // Who lost its issuer cannot agree; then nobody else may be missing.
                let counts =
                    |o: &OperatorKeys| o.operator == *operator || agreed.contains(&o.operator);
                if !agreed.contains(operator) && !held.operators.iter().all(counts) {
                    return Err(BundleError::Party(operator.clone()));
                }
                match rotation {
                    Rotation::Begin { .. } => own(operator),
                    Rotation::Finish { .. } | Rotation::Abort => Ok(()),
                }
            }
        }
    }
}

/// Terms, and the bundle that they make, with the operators' agreement: what a ceremony passes on by file, what a command
/// brings into the log, and what others walk later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// What was agreed.
    pub terms: Terms,
    /// The bundle after it.
    pub signed: SignedBundle,
}

impl Agreement {
    /// Checks that the bundle may replace `held`: that it differs by exactly these terms, and that everybody signed who
    /// must.
    ///
    /// # Errors
    /// The first [`BundleError`]: version and form first, then what differs, signatures last.
    pub fn follows(&self, held: &EndorserBundle) -> Result<(), BundleError> {
        let Self { terms, signed } = self;
        if signed.signatures.len() > BUNDLE_SIGNATURES_MAX {
            return Err(BundleError::Malformed("too many signatures"));
        }
        let next = u64::from(matches!(terms, Terms::Open(_)));
        if signed.bundle.incarnation.0 != held.incarnation.0.saturating_add(next) {
            return Err(BundleError::WrongCluster);
        }
        held.precedes(&signed.bundle)?;
        if terms.successor(held, &signed.bundle).as_ref() != Some(&signed.bundle) {
            return Err(BundleError::Unrelated);
        }
        let agreed = held.accepts(&signed.bundle, &signed.signatures)?;
        terms.parties(held, signed, &agreed)
    }
}

#[cfg(test)]
pub(crate) mod tests;
