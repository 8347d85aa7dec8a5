//! The trust package: how somebody who holds an older endorser bundle, or the genesis alone, comes to the one in force.
//!
//! A new member begins from it, a member that was away catches up by it, agents and the command line move on with it.
//!
//! Must hold (D4): each step follows from the bundle before it as in apply; what the holder trusts is one of the bundles on
//! the way, so a chain that branched off is refused; the newest bundle decides which roots and members count. Anybody may
//! hand it over: nothing in it is believed because of where it came from.

use crate::bundle::{BundleError, EndorserBundle};
use crate::canonical::{CanonicalError, decode, encode};
use crate::genesis::{GenesisError, GenesisMember, SignedGenesis};
use crate::opening::Opening;
use crate::operator::BundleRoot;
use crate::terms::{Agreement, Rotation, Terms};
use sekisho_types::id::{Digest, MemberId, OperatorId, SiteId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// First bytes of a package file.
pub const MAGIC: &[u8; 16] = b"sekisho-trust-1\n";
/// Largest package, bytes: at about 2 KiB a step, a thousand steps; a large federation makes some tens a year.
pub const PACKAGE_MAX: usize = 2 * 1024 * 1024;

/// The whole way from the genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustPackage {
    /// The beginning, signed by every first operator.
    pub genesis: Arc<SignedGenesis>,
    /// Each change of the bundle since, in order.
    pub steps: Vec<Arc<Agreement>>,
    /// Where today's members are found, ordered. An address is a hint: who answers there has to prove who it is.
    pub members: Vec<GenesisMember>,
}

/// What a package leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The newest bundle.
    pub bundle: EndorserBundle,
    /// The roots that it names.
    pub roots: Vec<BundleRoot>,
    /// Its members.
    pub members: Vec<GenesisMember>,
    /// The step that opened the incarnation; `None` in the first one.
    pub opened: Option<Arc<Agreement>>,
}

impl Trust {
    /// What opened the incarnation.
    #[must_use]
    pub fn opening(&self) -> Option<&Opening> {
        opening(self.opened.as_deref()?)
    }

    /// By which this life of this federation is told from every other: see [`begun`].
    #[must_use]
    pub fn begun(&self, genesis: &SignedGenesis) -> Digest {
        begun(genesis, self.opened.as_deref())
    }
}

/// What an agreement opens, if it does.
#[must_use]
pub fn opening(agreement: &Agreement) -> Option<&Opening> {
    if let Terms::Open(opening) = &agreement.terms { Some(opening) } else { None }
}

/// The controller that an agreement takes in, if it does.
#[must_use]
pub fn added(agreement: &Agreement) -> Option<&GenesisMember> {
    if let Terms::AddMember(member) = &agreement.terms { Some(member) } else { None }
}

fn site(member: &GenesisMember) -> (MemberId, SiteId) {
    (member.member, member.site.clone())
}

/// Digest of the first endorser bundle of an incarnation. Two openings may have the same number, when a ceremony was begun
/// again; members of one and of the other have to take each other for strangers (R6).
#[must_use]
pub fn begun(genesis: &SignedGenesis, opened: Option<&Agreement>) -> Digest {
    let first = opened.map_or(&genesis.genesis.bundle, |agreement| &agreement.signed.bundle);
    // Our own types always encode.
    Digest::of(&encode(first).unwrap_or_default())
}

/// Why a package leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Another kind of file.
    #[error("not a trust package")]
    Format,
    /// Not readable.
    #[error("the trust package is not readable")]
    Malformed(#[from] CanonicalError),
    /// More than a package may have.
    #[error("the trust package is larger than {PACKAGE_MAX} bytes")]
    TooLarge,
    /// It begins with nothing that counts.
    #[error("the trust package begins with a genesis that does not stand")]
    Genesis(#[from] GenesisError),
    /// A step does not follow from the one before it.
    #[error("bundle version {version} of the trust package does not follow")]
    Step {
        /// Of the step.
        version: u64,
        /// Why.
        #[source]
        source: BundleError,
    },
    /// What is held is not on the way: another federation, or a chain that branched off.
    #[error(
        "the trust package does not lead through the endorser bundle that is held (version {0})"
    )]
    Branch(u64),
    /// It ends before what is held.
    #[error("the trust package ends at bundle version {ends}, and version {held} is held")]
    Older {
        /// Its newest version.
        ends: u64,
        /// The holder's.
        held: u64,
    },
    /// A root or member that the newest bundle names is missing, or there is one too many.
    #[error("the trust package does not tell the {0} that its bundle names")]
    Parts(&'static str),
}

impl TrustPackage {
    /// Reads a package file: form only.
    ///
    /// # Errors
    /// [`PackageError::Format`], [`PackageError::Malformed`], [`PackageError::TooLarge`].
    pub fn open(bytes: &[u8]) -> Result<Self, PackageError> {
        if bytes.len() > PACKAGE_MAX {
            return Err(PackageError::TooLarge);
        }
        let body = bytes.strip_prefix(MAGIC).ok_or(PackageError::Format)?;
        Ok(decode(body)?)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`PackageError::TooLarge`].
    pub fn bytes(&self) -> Result<Vec<u8>, PackageError> {
        let bytes = [MAGIC.as_slice(), &encode(self)?].concat();
        if bytes.len() > PACKAGE_MAX { Err(PackageError::TooLarge) } else { Ok(bytes) }
    }

    /// Walks from `held`, wherever on the way it lies, to the newest bundle.
    ///
    /// # Errors
    /// The first [`PackageError`].
    pub fn walk(&self, held: &EndorserBundle) -> Result<Trust, PackageError> {
        self.genesis.check()?;
        let mut roots: BTreeMap<Digest, BundleRoot> =
            self.genesis.genesis.roots.iter().map(|root| (root.hash(), root.clone())).collect();
        let first = self.genesis.genesis.members.iter();
        let mut sites: BTreeMap<MemberId, SiteId> = first.map(site).collect();
        let mut at = &self.genesis.genesis.bundle;
        let mut met = at == held;
        let mut opened = None;
        for step in &self.steps {
            let version = step.signed.bundle.version;
            step.follows(at).map_err(|source| PackageError::Step { version, source })?;
            at = &step.signed.bundle;
            met |= at == held;
            if let Some(opening) = opening(step) {
                opened = Some(Arc::clone(step));
                sites.extend(opening.founders.iter().map(site));
            }
            sites.extend(added(step).map(site));
            if let Some(root) = step.terms.root() {
                roots.insert(root.hash(), root);
            }
        }
        if !met {
            let (ends, version) = (at.version, held.version);
            let older = (at.incarnation, ends) < (held.incarnation, version);
            return Err(if at.cluster == held.cluster && older {
                PackageError::Older { ends, held: version }
            } else {
                PackageError::Branch(version)
            });
        }
        self.at_the_end(at, &roots, &sites, opened)
    }

    fn at_the_end(
        &self,
        bundle: &EndorserBundle,
        known: &BTreeMap<Digest, BundleRoot>,
        sites: &BTreeMap<MemberId, SiteId>,
        opened: Option<Arc<Agreement>>,
    ) -> Result<Trust, PackageError> {
        let hashes = bundle.operators.iter().flat_map(|keys| keys.roots.iter());
        let roots: Option<Vec<_>> = hashes.map(|hash| known.get(hash).cloned()).collect();
        let roots = roots.ok_or(PackageError::Parts("roots"))?;
        let told = self.members.iter().map(|m| (m.member, &m.operator));
        if !told.eq(bundle.endorsers.iter().map(|e| (e.member, &e.operator))) {
            return Err(PackageError::Parts("members"));
        }
        // Whom a member's certificate has to name: not a hint, as its address is.
        if self.members.iter().any(|m| sites.get(&m.member) != Some(&m.site)) {
            return Err(PackageError::Parts("sites"));
        }
        Ok(Trust { bundle: bundle.clone(), roots, members: self.members.clone(), opened })
    }
}

impl Terms {
    /// The root certificate that comes with them.
    #[must_use]
    pub fn root(&self) -> Option<BundleRoot> {
        let of = |operator: &OperatorId, der: &Vec<u8>| BundleRoot {
            operator: operator.clone(),
            der: der.clone(),
        };
        match self {
            Self::AddOperator(newcomer) => Some(of(&newcomer.operator, &newcomer.root)),
            Self::RotateOperator { operator, rotation: Rotation::Begin { root } } => {
                root.as_ref().map(|der| of(operator, der))
            }
            Self::RotateOperator {
                rotation: Rotation::Finish { .. } | Rotation::Abort, ..
            }
            | Self::AddMember(_)
            | Self::RemoveMember(_)
            | Self::RemoveOperator(_)
            | Self::Open(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
