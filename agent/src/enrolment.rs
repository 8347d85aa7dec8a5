//! What joining gave the host: key, certificate chain, site tag, endorser bundle, members, roots. One file, replaced
//! whole, so that a certificate never stands beside the tag of another.
//!
//! Must hold: nothing is believed for having come over the wire. The bundle is the one that the join token names;
//! roots are those that the bundle names; the chain, the tag and the members follow from them.

use crate::durable::{self, Magic};
use crate::failure::Failure;
use crate::limit::{ENROLMENT_MAX, MEMBERS_MAX};
use rustls_pki_types::CertificateDer;
use sekisho_agent_core::standing::Standing;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::operator::OperatorKeys;
use sekisho_evidence::package::Trust;
use sekisho_evidence::tag::SignedTag;
use sekisho_proto::internal::v1::{JoinResponse, OperatorRoot};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::{Key, certificate_pem};
use sekisho_transport::verify::judge_client;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, NodeId, OperatorId, SiteId};
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::time::Clock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: Magic = *b"SKENRL\0\x01";

/// A member that the agent keeps in touch with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Raft id.
    pub member: MemberId,
    /// Whose.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
    /// `host:port`.
    pub address: String,
}

impl Member {
    /// Whom its certificate must name.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let workload = Workload::Member { site: self.site.clone(), member: self.member.0 };
        Principal { operator: self.operator.clone(), workload }
    }
}

/// An operator's root certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The operator.
    pub operator: OperatorId,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// DER.
    pub der: Vec<u8>,
}

/// The node's own secrets: made here, and never leave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// Key of the certificate, PEM.
    pub key_pem: String,
    /// Seed of the key that signs refusal receipts.
    pub receipt_seed: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// What the host has from joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Who it is.
    pub node: NodeId,
    /// Whose host it is.
    pub operator: OperatorId,
    /// Its keys.
    pub secrets: Secrets,
    /// Its certificate chain, PEM, leaf first.
    pub chain_pem: String,
    /// Its site tag.
    pub tag: SignedTag,
    /// The pinned bundle at join; the ledger holds the one in force.
    pub bundle: EndorserBundle,
    /// Members.
    pub members: Vec<Member>,
    /// Roots of every operator.
    pub roots: Vec<Root>,
}

/// What the answer to a join must agree with: the token's word.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'p> {
    /// The node.
    pub node: &'p NodeId,
    /// Hash of the endorser bundle, which the answer brings.
    pub bundle: Digest,
    /// Hash of the root of the node's operator.
    pub root_hash: Digest,
}

fn refuse(code: ErrorCode, cause: impl Into<String>) -> Failure {
    Failure::new(code, cause)
}

/// The chain of an answer as PEM, leaf first.
fn chain_pem(answer: &JoinResponse) -> String {
    let ders = answer.certificate_chain.iter();
    ders.map(|der| certificate_pem(&CertificateDer::from(der.as_ref()))).collect()
}

impl Enrolment {
    /// Judges what a member answered to a join.
    ///
    /// # Errors
    /// `BUNDLE_MISMATCH` for anything that does not follow from what is pinned, and what is wrong with the tag,
    /// `RESIDENCY_OUTSIDE_JP` first of all.
    pub fn judge(
        pinned: Pinned<'_>,
        secrets: Secrets,
        answer: &JoinResponse,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let mismatch = |cause: &str| refuse(ErrorCode::BundleMismatch, cause);
        if Digest::of(&answer.bundle) != pinned.bundle {
            return Err(mismatch("the answer's endorser bundle is not the pinned one"));
        }
        let bundle: EndorserBundle =
            decode(&answer.bundle).map_err(|error| mismatch(&error.to_string()))?;
        bundle.check().map_err(|error| mismatch(&error.to_string()))?;
        let own = bundle.operators.iter().find(|keys| keys.roots.has(&pinned.root_hash));
        let own = own.ok_or_else(|| mismatch("no operator of the bundle has the pinned root"))?;
        let enrolment = Self {
            node: pinned.node.clone(),
            operator: own.operator.clone(),
            secrets,
            chain_pem: chain_pem(answer),
            tag: SignedTag(answer.site_tag.to_vec()),
            members: members(answer, &bundle)?,
            roots: roots(answer, &bundle)?,
            bundle: bundle.clone(),
        };
        enrolment.check_chain(own, answer, clock)?;
        enrolment.standing(&bundle)?.judge(&[], clock.wall())?;
        Ok(enrolment)
    }

    /// Judges what a member answered to a renewal, by what is held, whatever is in force meanwhile: what a host believes
    /// moves only along signed steps, never with an answer. Chain, tag and addresses are taken from it.
    ///
    /// # Errors
    /// As [`Enrolment::judge`].
    pub fn renewed(&self, answer: &JoinResponse, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        let own = self.bundle.keys(&self.operator);
        let own = own.ok_or_else(|| refuse(ErrorCode::OperatorUnknown, self.operator.as_str()))?;
        let renewed = Self {
            chain_pem: chain_pem(answer),
            tag: SignedTag(answer.site_tag.to_vec()),
            members: members(answer, &self.bundle)?,
            ..self.clone()
        };
        renewed.check_chain(own, answer, clock)?;
        renewed.standing(&self.bundle)?.judge(&[], clock.wall())?;
        Ok(renewed)
    }

    /// The same host under a later endorser bundle, whose steps were walked: its roots and members.
    #[must_use]
    pub fn moved(&self, trust: &Trust) -> Self {
        let root = |root: &sekisho_evidence::operator::BundleRoot| {
            let keys = trust.bundle.keys(&root.operator)?;
            Some(Root {
                operator: root.operator.clone(),
                trust_domain: keys.trust_domain.clone(),
                der: root.der.clone(),
            })
        };
        let member = |told: &sekisho_evidence::genesis::GenesisMember| {
            told.address.parse::<Address>().ok().map(|_usable| Member {
                member: told.member,
                operator: told.operator.clone(),
                site: told.site.clone(),
                address: told.address.clone(),
            })
        };
        Self {
            bundle: trust.bundle.clone(),
            roots: trust.roots.iter().filter_map(root).collect(),
            members: trust.members.iter().filter_map(member).collect(),
            ..self.clone()
        }
    }

    /// The chain leads to the operator's root and names this node with our key.
    fn check_chain(
        &self,
        own: &OperatorKeys,
        answer: &JoinResponse,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), Failure> {
        let unusable = |cause: String| refuse(ErrorCode::Unauthenticated, cause);
        let trust = self.trust(clock)?;
        let ders = answer.certificate_chain.iter();
        let chain: Vec<_> = ders.map(|der| CertificateDer::from(der.to_vec())).collect();
        let named = judge_client(&trust, &chain).map_err(|error| unusable(error.to_string()))?;
        let workload =
            Workload::Agent { site: self.node.site.clone(), node: self.node.name.clone() };
        let expected = Principal { operator: own.operator.clone(), workload };
        if named.principal != expected {
            return Err(unusable(format!("the certificate names {}", named.principal)));
        }
        self.identity().map(|_identity| ())
    }

    /// The node's standing by its tag.
    ///
    /// # Errors
    /// What is wrong with tag or key.
    pub fn standing(&self, bundle: &EndorserBundle) -> Result<Standing, Failure> {
        let key = Key::from_pem(&self.secrets.key_pem)
            .map_err(|error| refuse(ErrorCode::Unauthenticated, error.to_string()))?;
        let key = key.spki_sha256();
        Ok(Standing::open(bundle, &self.operator, &self.node, &key, &self.tag)?)
    }

    /// What people compare before they approve the host: SHA-256 of its key, hexadecimal.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for a key that cannot be read.
    pub fn fingerprint(&self) -> Result<String, Failure> {
        let key = Key::from_pem(&self.secrets.key_pem)
            .map_err(|error| refuse(ErrorCode::Unauthenticated, error.to_string()))?;
        Ok(key.spki_sha256().to_string())
    }

    /// Certificate and key, for dialling.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when peers would refuse it.
    pub fn identity(&self) -> Result<Identity, Failure> {
        Identity::from_pem(&self.chain_pem, &self.secrets.key_pem)
            .map_err(|error| refuse(ErrorCode::Unauthenticated, error.to_string()))
    }

    /// The operators' roots, for judging members.
    ///
    /// # Errors
    /// `BUNDLE_MISMATCH` when they cannot be used.
    pub fn trust(&self, clock: &Arc<dyn Clock>) -> Result<Arc<TrustBundles>, Failure> {
        let trust = TrustBundles::new(Arc::clone(clock));
        self.put_in_force(&trust)?;
        Ok(trust)
    }

    /// Replaces the roots in force by these.
    ///
    /// # Errors
    /// `BUNDLE_MISMATCH` when they cannot be used; those in force stay.
    pub fn put_in_force(&self, trust: &TrustBundles) -> Result<(), Failure> {
        let mut bundles: BTreeMap<TrustDomain, Bundle> = BTreeMap::new();
        for root in &self.roots {
            let der = CertificateDer::from(root.der.clone());
            bundles
                .entry(root.trust_domain.clone())
                .or_insert_with(|| Bundle { operator: root.operator.clone(), roots: Vec::new() })
                .roots
                .push(der);
        }
        let replaced = trust.replace(&bundles);
        replaced.map_err(|error| refuse(ErrorCode::BundleMismatch, error.to_string()))?;
        Ok(())
    }

    /// The key that signs refusal receipts.
    #[must_use]
    pub fn receipt_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.secrets.receipt_seed)
    }

    /// Where the enrolment of a data directory lies.
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("enrolment")
    }

    /// Reads the enrolment of a data directory; `None` if the host has not joined.
    ///
    /// # Errors
    /// `STORAGE_FAILED` for a damaged file.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, Failure> {
        let path = Self::path(data_dir);
        let dirty = |cause: String| refuse(ErrorCode::StorageFailed, cause);
        let bytes = durable::read(&path, MAGIC, ENROLMENT_MAX);
        let bytes = bytes.map_err(|error| dirty(sekisho_types::cause::explain(&error)))?;
        let read = bytes.map(|bytes| decode(&bytes)).transpose();
        read.map_err(|error| dirty(format!("{}: {error}", path.display())))
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// `STORAGE_FAILED`.
    pub fn store(&self, data_dir: &Path) -> Result<(), Failure> {
        let failed = |cause: String| refuse(ErrorCode::StorageFailed, cause);
        let bytes = encode(self).map_err(|error| failed(error.to_string()))?;
        durable::write(&Self::path(data_dir), MAGIC, &bytes)
            .map_err(|error| failed(sekisho_types::cause::explain(&error)))
    }
}

/// Members that the bundle knows as endorsers, at addresses that can be dialled.
fn members(answer: &JoinResponse, bundle: &EndorserBundle) -> Result<Vec<Member>, Failure> {
    let mismatch = |cause: String| refuse(ErrorCode::BundleMismatch, cause);
    let mut members = Vec::new();
    for told in answer.members.iter().take(MEMBERS_MAX) {
        let known = bundle.endorsers.iter().find(|endorser| {
            endorser.member.0 == told.member && endorser.operator.as_str() == told.operator
        });
        // A member that joined after the bundle was made cannot endorse: it is of no use here.
        let Some(endorser) = known else { continue };
        let site = told.site.parse().map_err(|error| mismatch(format!("site: {error}")))?;
        told.address
            .parse::<Address>()
            .map_err(|error| mismatch(format!("member {}: {error}", told.member)))?;
        members.push(Member {
            member: endorser.member,
            operator: endorser.operator.clone(),
            site,
            address: told.address.clone(),
        });
    }
    if members.is_empty() {
        return Err(mismatch("the answer names no member of the bundle".to_owned()));
    }
    Ok(members)
}

/// Roots whose hash the bundle gives for their operator: all of them, once each. Those of operators that it does not know
/// are left aside.
fn roots(answer: &JoinResponse, bundle: &EndorserBundle) -> Result<Vec<Root>, Failure> {
    let mismatch = |cause: String| refuse(ErrorCode::BundleMismatch, cause);
    let mut roots: Vec<Root> = Vec::new();
    let known = |told: &&OperatorRoot| {
        bundle.operators.iter().any(|keys| keys.operator.as_str() == told.operator)
    };
    for told in answer.roots.iter().filter(known).take(MEMBERS_MAX) {
        let sound = bundle.operators.iter().find(|keys| {
            keys.operator.as_str() == told.operator
                && keys.trust_domain.as_str() == told.trust_domain
                && keys.roots.has(&Digest::of(&told.root))
        });
        let keys = sound.ok_or_else(|| {
            mismatch(format!("the root of {} is not the one in the bundle", told.operator))
        })?;
        roots.push(Root {
            operator: keys.operator.clone(),
            trust_domain: keys.trust_domain.clone(),
            der: told.root.to_vec(),
        });
    }
    let have: BTreeSet<_> = roots.iter().map(|root| Digest::of(&root.der)).collect();
    let missing = bundle.operators.iter().find(|keys| keys.roots.iter().any(|r| !have.contains(r)));
    match missing {
        Some(keys) => Err(mismatch(format!("a root of {} is missing", keys.operator))),
        None if have.len() < roots.len() => Err(mismatch("a root is there twice".to_owned())),
        None => Ok(roots),
    }
}

#[cfg(test)]
pub(crate) mod tests;
