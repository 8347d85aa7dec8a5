//! Sealed payloads: what a job runs, readable at the sites that its policy allows and nowhere else.
//!
//! The submitter encrypts the payload once under a fresh key and seals that key to each site's ([`SitePublicKey`], RFC
//! 9180). Members store and carry the result without being able to read it; an agent opens it after its check list.
//!
//! Must hold:
//! - Nobody splices. Everything a recipient reads is bound to the cluster, the caller's scope, the list of recipients and
//!   each of their entries: a changed bit anywhere makes it unreadable everywhere.
//! - All sites open the same bytes, those of [`SealedPayload::commitment`]: a salted hash, which hides the payload and
//!   stays the same when it is sealed anew for more sites. A grant that names it fixes what runs.
//! - The canonical bytes stay within [`PAYLOAD_MAX`].
//!
//! Does not hold: the length of a payload and the names of its sites can be read. Who held a site's key can read what was
//! sealed to it: after a revoke the site takes a new epoch, and what waits is sealed anew.

mod delivery;
mod key;
mod suite;

pub use delivery::{
    NodeSealingKey, NodeSealingRecord, SEALED_SITE_KEY_MAX, SIGNED_NODE_SEALING_MAX, SealedSiteKey,
    SignedNodeSealing,
};
pub use key::{SIGNED_SITE_KEY_MAX, SignedSiteKey, SiteKeyRecord, SitePublicKey, SiteSecretKey};

use crate::canonical::{CanonicalError, decode, encode};
use crate::key::SigningKey;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, JobId, NodeId, RequestId, SiteId};
use sekisho_types::limit::PAYLOAD_MAX;
pub use sekisho_types::limit::RECIPIENTS_MAX;
pub use sekisho_types::revision::KeyEpoch;
use serde::{Deserialize, Serialize};
use std::fmt;
use suite::{Secret, TAG, Wrapped, decrypt, encrypt, unwrap, wrap};
use zeroize::Zeroizing;

/// Version of the bytes.
const FORMAT: u8 = 1;
/// Bytes of the salt in front of the payload.
const SALT: usize = 32;

const COMMITMENT: &[u8] = b"sekisho/sealed-payload/commitment/v1\0";
const DERIVED: &[u8] = b"sekisho/sealed-payload/derived/v1\0";
const JOB_SCOPE: &str = "sekisho/sealed-payload/job/v1";
const KEY_INFO: &str = "sekisho/sealed-payload/key/v1";
const CONTENT_AAD: &str = "sekisho/sealed-payload/content/v1";

/// Why a payload cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealed, it would be or is longer than its bound.
    #[error("sealed it has {0} bytes, at most {PAYLOAD_MAX} are stored")]
    TooLarge(usize),
    /// Sealed to too many sites, or to none.
    #[error("sealed to {0} sites: 1 to {RECIPIENTS_MAX} are possible")]
    Recipients(usize),
    /// Two keys of one site, or sites out of order.
    #[error("site {0} stands twice or out of order")]
    Twice(SiteId),
    /// A key that keeps no secret.
    #[error("the key of site {0} cannot be sealed to")]
    WeakKey(SiteId),
    /// Not canonical bytes of a sealed payload or key.
    #[error("the sealed bytes do not parse")]
    Malformed(#[from] CanonicalError),
    /// Made by a later program.
    #[error("sealed bytes of format {0}, this program reads {FORMAT}")]
    Format(u8),
    /// The site is not among the recipients.
    #[error("payload not sealed to {0}")]
    NotSealed(SiteId),
    /// Sealed to another of the site's keys.
    #[error("payload not sealed to {site}: it is for key {sealed} of the site, this is key {held}")]
    Epoch {
        /// The site.
        site: SiteId,
        /// Epoch of the entry.
        sealed: KeyEpoch,
        /// Epoch of the opener's key.
        held: KeyEpoch,
    },
    /// Altered, for another cluster, job or node, or the wrong key: nobody can tell which.
    #[error("it does not open: altered, or sealed for something else")]
    Unopenable,
    /// A record of another federation.
    #[error("the key record is of another cluster")]
    OtherCluster,
    /// The operator has not signed the site's key.
    #[error("the site-tag key of its operator has not signed the key of site {0}")]
    Operator(SiteId),
    /// The node has not signed its sealing key.
    #[error("node {0} has not signed its sealing key")]
    NodeSignature(NodeId),
    /// A site's key is for its own nodes.
    #[error("node {0} is not of the key's site")]
    OtherSite(NodeId),
}

impl SealError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Recipients(_) | Self::Twice(_) | Self::WeakKey(_) | Self::Malformed(_) => {
                ErrorCode::InvalidArgument
            }
            Self::Format(_) => ErrorCode::FeatureLevel,
            Self::NotSealed(_) | Self::Epoch { .. } => ErrorCode::PayloadNotSealed,
            Self::Unopenable => ErrorCode::PayloadUnopenable,
            Self::OtherCluster => ErrorCode::WrongCluster,
            Self::Operator(_) | Self::NodeSignature(_) => ErrorCode::SignatureInvalid,
            Self::OtherSite(_) => ErrorCode::PermissionDenied,
        }
    }
}

/// What a sealed payload belongs to; not in its bytes, so both ends have to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Which federation.
    pub cluster: ClusterId,
    /// What within it: for a job's payload see [`Context::of_job`].
    pub scope: Digest,
}

impl Context {
    /// The context of one job's payload.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn of_job(cluster: ClusterId, job: &JobId) -> Result<Self, SealError> {
        Ok(Self { cluster, scope: Digest::of(&encode(&(JOB_SCOPE, job))?) })
    }
}

/// The entry of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Recipient {
    site: SiteId,
    epoch: KeyEpoch,
    wrapped: Wrapped,
}

/// A payload that only the agents of some sites can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPayload {
    format: u8,
    commitment: Digest,
    recipients: Vec<Recipient>,
    ciphertext: Vec<u8>,
}

/// The key under which a payload is encrypted: whoever keeps it can seal the payload anew without the payload at hand.
#[derive(Clone)]
pub struct ContentKey(Secret);

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl ContentKey {
    /// A key that was kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// For keeping it, where only its owner reads.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An opened payload. Wiped when dropped; does not print itself.
pub struct Opened {
    salted: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({} bytes)", self.payload().len())
    }
}

impl Opened {
    /// The payload's bytes, not yet read: [`crate::payload::read`].
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.salted.get(SALT..).unwrap_or_default()
    }

    fn new(payload: &[u8], salt: &Secret) -> Self {
        // Room for the tag besides, so that nothing is left behind by a move.
        let room = SALT.saturating_add(payload.len()).saturating_add(TAG);
        let mut salted = Zeroizing::new(Vec::with_capacity(room));
        salted.extend_from_slice(salt.as_slice());
        salted.extend_from_slice(payload);
        Self { salted }
    }

    fn commitment(&self) -> Digest {
        let bytes = Zeroizing::new([COMMITMENT, self.salted.as_slice()].concat());
        Digest::of(&bytes)
    }
}

/// Who opens a payload to seal it anew.
#[derive(Debug, Clone, Copy)]
pub enum Opener<'k> {
    /// A site that it is sealed to.
    Site(&'k SiteSecretKey),
    /// The submitter, who kept the key.
    Content(&'k ContentKey),
}

/// A secret for one use, of a seed and of all that it is used with: should a seed ever come twice, two payloads still
/// have two keys.
fn derived(label: &[u8], seed: &[u8; 32], with: &Digest) -> Secret {
    let bytes = Zeroizing::new([DERIVED, seed, &with.0, label].concat());
    Secret::new(Digest::of(&bytes).0)
}

/// The seed with which a submitter seals the payload of one job in one request: fresh for every request, and the same when
/// that one is repeated, so that a repeated command is the same command.
///
/// # Errors
/// Never for these types; see [`encode`].
pub fn seed_of(
    submitter: &SigningKey,
    request: &RequestId,
    context: &Context,
) -> Result<[u8; 32], SealError> {
    let with = Digest::of(&encode(&(request, context.cluster, context.scope))?);
    Ok(*derived(b"submitter", &Zeroizing::new(submitter.seed()), &with))
}

/// Seals `payload` to `recipients`, in any order. `seed`: 32 fresh random bytes.
///
/// # Errors
/// [`SealError::Recipients`], [`SealError::Twice`], [`SealError::WeakKey`] or [`SealError::TooLarge`].
pub fn seal(
    payload: &[u8],
    recipients: &[SitePublicKey],
    context: &Context,
    seed: &[u8; 32],
) -> Result<(SealedPayload, ContentKey), SealError> {
    if payload.len() > PAYLOAD_MAX {
        return Err(SealError::TooLarge(payload.len()));
    }
    let salt = derived(b"salt", seed, &Digest::of(payload));
    seal_opened(Opened::new(payload, &salt), recipients, context, seed)
}

fn seal_opened(
    mut opened: Opened,
    recipients: &[SitePublicKey],
    context: &Context,
    seed: &[u8; 32],
) -> Result<(SealedPayload, ContentKey), SealError> {
    let mut keys: Vec<&SitePublicKey> = recipients.iter().collect();
    keys.sort();
    check_sites(&keys.iter().map(|key| &key.site).collect::<Vec<_>>())?;
    let commitment = opened.commitment();
    let all = encode(&(context.cluster, context.scope, commitment, &keys))?;
    let all = Digest::of(&all);
    let key = derived(b"content-key", seed, &all);
    let sites: Vec<(&SiteId, KeyEpoch)> = keys.iter().map(|key| (&key.site, key.epoch)).collect();
    let entry = |to: &&SitePublicKey| {
        let info = key_info(context, &commitment, &sites, &to.site)?;
        let label = [b"entry/", to.site.as_str().as_bytes()].concat();
        let seed = derived(&label, seed, &all);
        let wrapped = wrap(&key, &to.key, &info, &seed)
            .map_err(|_weak| SealError::WeakKey(to.site.clone()))?;
        Ok(Recipient { site: to.site.clone(), epoch: to.epoch, wrapped })
    };
    let recipients = keys.iter().map(entry).collect::<Result<Vec<_>, SealError>>()?;
    let aad = content_aad(context, &commitment, &recipients)?;
    let mut ciphertext = std::mem::take(&mut *opened.salted);
    encrypt(&key, &aad, &mut ciphertext)
        .map_err(|_too_long| SealError::TooLarge(ciphertext.len()))?;
    let sealed = SealedPayload { format: FORMAT, commitment, recipients, ciphertext };
    let len = sealed.bytes()?.len();
    if len > PAYLOAD_MAX { Err(SealError::TooLarge(len)) } else { Ok((sealed, ContentKey(key))) }
}

/// One to [`RECIPIENTS_MAX`] sites, ascending, each once.
fn check_sites(sites: &[&SiteId]) -> Result<(), SealError> {
    if !(1..=RECIPIENTS_MAX).contains(&sites.len()) {
        return Err(SealError::Recipients(sites.len()));
    }
    let mut pairs = sites.iter().zip(sites.iter().skip(1));
    match pairs.find(|(site, next)| site >= next) {
        Some((_, next)) => Err(SealError::Twice((*next).clone())),
        None => Ok(()),
    }
}

/// What one site's entry is bound to: everything but the entries themselves.
fn key_info(
    context: &Context,
    commitment: &Digest,
    sites: &[(&SiteId, KeyEpoch)],
    site: &SiteId,
) -> Result<Vec<u8>, SealError> {
    Ok(encode(&(KEY_INFO, FORMAT, context.cluster, context.scope, commitment, sites, site))?)
}

/// What the content is bound to: the entries too, so that a changed one makes it unreadable for all.
fn content_aad(
    context: &Context,
    commitment: &Digest,
    recipients: &[Recipient],
) -> Result<Vec<u8>, SealError> {
    Ok(encode(&(CONTENT_AAD, FORMAT, context.cluster, context.scope, commitment, recipients))?)
}

impl SealedPayload {
    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, SealError> {
        Ok(encode(self)?)
    }

    /// Reads a sealed payload in its one form. Nothing of it is authenticated before it is opened.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], [`SealError::Malformed`], [`SealError::Format`], [`SealError::Recipients`] or
    /// [`SealError::Twice`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() > PAYLOAD_MAX {
            return Err(SealError::TooLarge(bytes.len()));
        }
        // The version stands first, so that a later form is told from a broken one.
        match bytes.first() {
            Some(&format) if format != FORMAT => return Err(SealError::Format(format)),
            Some(_) | None => {}
        }
        let sealed: Self = decode(bytes)?;
        check_sites(&sealed.sites().map(|(site, _)| site).collect::<Vec<_>>())?;
        Ok(sealed)
    }

    /// Salted hash of the payload: hides it, and is the same after [`SealedPayload::reseal`].
    #[must_use]
    pub fn commitment(&self) -> Digest {
        self.commitment
    }

    /// The sites that it is sealed to, ascending, each with the epoch of its key.
    pub fn sites(&self) -> impl Iterator<Item = (&SiteId, KeyEpoch)> {
        self.recipients.iter().map(|entry| (&entry.site, entry.epoch))
    }

    /// Whether it is sealed to this key of this site.
    ///
    /// # Errors
    /// [`SealError::NotSealed`] or [`SealError::Epoch`].
    pub fn check_sealed_to(&self, site: &SiteId, epoch: KeyEpoch) -> Result<(), SealError> {
        self.entry(site, epoch).map(|_entry| ())
    }

    fn entry(&self, site: &SiteId, held: KeyEpoch) -> Result<&Recipient, SealError> {
        let found = self.recipients.iter().find(|entry| entry.site == *site);
        let entry = found.ok_or_else(|| SealError::NotSealed(site.clone()))?;
        if entry.epoch == held {
            return Ok(entry);
        }
        Err(SealError::Epoch { site: site.clone(), sealed: entry.epoch, held })
    }

    /// Opens it with a site's key.
    ///
    /// # Errors
    /// [`SealError::NotSealed`], [`SealError::Epoch`] or [`SealError::Unopenable`].
    pub fn open(&self, own: &SiteSecretKey, context: &Context) -> Result<Opened, SealError> {
        self.open_by(Opener::Site(own), context)
    }

    fn open_by(&self, opener: Opener<'_>, context: &Context) -> Result<Opened, SealError> {
        let unopenable = |_failed| SealError::Unopenable;
        let key = match opener {
            Opener::Content(key) => key.clone(),
            Opener::Site(own) => {
                let public = own.public();
                let entry = self.entry(&public.site, public.epoch)?;
                let sites: Vec<_> = self.sites().collect();
                let info = key_info(context, &self.commitment, &sites, &entry.site)?;
                ContentKey(unwrap(&entry.wrapped, &own.secret, &info).map_err(unopenable)?)
            }
        };
        let aad = content_aad(context, &self.commitment, &self.recipients)?;
        let salted = decrypt(&key.0, &aad, &self.ciphertext).map_err(unopenable)?;
        let opened = Opened { salted };
        // Two sites could be given two keys that both open: what they read has to be the one thing committed to.
        let whole = opened.salted.len() >= SALT && opened.commitment() == self.commitment;
        if whole { Ok(opened) } else { Err(SealError::Unopenable) }
    }

    /// The same payload, sealed to these sites instead, under a fresh key: a site that is left out learns nothing new, one
    /// that is added needs none of the others. The commitment stays. `seed`: 32 fresh random bytes.
    ///
    /// # Errors
    /// As [`SealedPayload::open`] and [`seal`].
    pub fn reseal(
        &self,
        opener: Opener<'_>,
        recipients: &[SitePublicKey],
        context: &Context,
        seed: &[u8; 32],
    ) -> Result<(Self, ContentKey), SealError> {
        let opened = self.open_by(opener, context)?;
        seal_opened(opened, recipients, context, seed)
    }
}

#[cfg(test)]
mod tests;
