//! This process's own certificate chain and key, replaced while running when it is renewed.
//!
//! Must hold: a chain that peers would refuse for its own statements is refused here at load, where the message
//! reaches the person who made it. The key never leaves this module.

use crate::pki::file::{CHAIN_FILE, KEY_FILE, PemFileError, read};
use crate::spiffe::{Leaf, LeafError};
use crate::tls::provider;
use arc_swap::ArcSwap;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_types::id::Digest;
use sekisho_types::principal::{TrustDomain, Workload};
use sekisho_types::time::Timestamp;
use std::path::Path;
use std::sync::Arc;

/// Why a chain and key are not taken.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// Not PEM, or without a certificate or key.
    #[error("{0} is not PEM with what is needed")]
    Pem(&'static str),
    /// Peers would refuse the leaf.
    #[error("the certificate would be refused by every peer")]
    Leaf(#[from] LeafError),
    /// The key is of an unusable kind or belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    Key(#[source] rustls::Error),
    /// The renewed certificate names someone else.
    #[error("the new certificate names another workload")]
    OtherWorkload,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    leaf: Leaf,
}

/// SHA-256 of the SPKI in the first certificate of a PEM chain: which key it is for, before that key is at hand.
///
/// # Errors
/// [`IdentityError`].
pub fn certificate_key(chain: &str) -> Result<Digest, IdentityError> {
    let first = CertificateDer::pem_slice_iter(chain.as_bytes()).next();
    let leaf = first.and_then(Result::ok).ok_or(IdentityError::Pem("the certificate chain"))?;
    Ok(Leaf::parse(&leaf)?.spki_sha256)
}

/// A certificate chain with its key. Clones share one: a reload reaches listeners and diallers at once; live
/// connections keep the certificate that they began with.
#[derive(Debug, Clone)]
pub struct Identity(Arc<ArcSwap<Loaded>>);

impl Identity {
    /// Reads `identity.pem` and `identity.key` of a directory.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&read(&dir.join(CHAIN_FILE))?, &read(&dir.join(KEY_FILE))?)
    }

    /// Takes a PEM chain, leaf first, and the PEM key.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, IdentityError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(Loaded::from_pem(chain, key)?))))
    }

    /// Takes the renewed certificate for every handshake from now on.
    ///
    /// # Errors
    /// [`IdentityError`]; the present certificate stays in use then.
    pub fn renew(&self, chain: &str, key: &str) -> Result<(), IdentityError> {
        let new = Loaded::from_pem(chain, key)?;
        let old = self.0.load();
        let same = (&old.leaf.workload, &old.leaf.trust_domain);
        if same != (&new.leaf.workload, &new.leaf.trust_domain) {
            return Err(IdentityError::OtherWorkload);
        }
        tracing::info!(not_after = %new.leaf.not_after, "certificate renewed");
        self.0.store(Arc::new(new));
        Ok(())
    }

    /// Reads the directory again, as [`Identity::renew`].
    ///
    /// # Errors
    /// [`IdentityError`]; the present certificate stays in use then.
    pub fn reload(&self, dir: &Path) -> Result<(), IdentityError> {
        self.renew(&read(&dir.join(CHAIN_FILE))?, &read(&dir.join(KEY_FILE))?)
    }

    /// Whom it names.
    #[must_use]
    pub fn workload(&self) -> Workload {
        self.0.load().leaf.workload.clone()
    }

    /// SHA-256 of the SPKI of the certificate in use.
    #[must_use]
    pub fn key(&self) -> Digest {
        self.0.load().leaf.spki_sha256
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomain {
        self.0.load().leaf.trust_domain.clone()
    }

    /// First and last instant of the certificate: renew well before the second.
    #[must_use]
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let now = self.0.load();
        (now.leaf.not_before, now.leaf.not_after)
    }

    /// The chain, leaf first: for judging it as others do ([`crate::verify::judge_client`]).
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.load().key.cert.clone()
    }
}

impl Loaded {
    fn from_pem(chain: &str, key: &str) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_pem| IdentityError::Pem("the certificate chain"))?;
        let leaf = Leaf::parse(chain.first().ok_or(IdentityError::Pem("the certificate chain"))?)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_pem| IdentityError::Pem("the private key"))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(IdentityError::Key)?;
        Ok(Self { key: Arc::new(key), leaf })
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Authority;

    #[test]
    fn foreign_keys_and_refusable_leaves_are_not_loaded() {
        let authority = Authority::new("kanto");
        let [one, other] = ["/site/tokyo-1/member/1", "/site/tokyo-1/member/2"]
            .map(|path| authority.leaf(path).issue());
        let identity = Identity::from_pem(&one.chain, &one.key).unwrap();
        assert_eq!(identity.trust_domain().as_str(), "kanto.example");
        let mixed = Identity::from_pem(&one.chain, &other.key);
        assert!(matches!(mixed, Err(IdentityError::Key(_))));
        assert!(matches!(Identity::from_pem("", &one.key), Err(IdentityError::Pem(_))));
        assert!(matches!(Identity::from_pem(&one.chain, "x"), Err(IdentityError::Pem(_))));
        let nameless = authority.leaf("/site/tokyo-1/member/1").dns(&[]).issue();
        let refused = Identity::from_pem(&nameless.chain, &nameless.key);
        assert!(matches!(refused, Err(IdentityError::Leaf(LeafError::NoDnsSan))));
        // A renewal is for the same workload.
        let stolen = identity.renew(&other.chain, &other.key);
        assert!(matches!(stolen, Err(IdentityError::OtherWorkload)));
        let again = authority.leaf("/site/tokyo-1/member/1").days(0, 9).issue();
        let before = identity.validity();
        identity.renew(&again.chain, &again.key).unwrap();
        assert!(identity.validity() > before);
    }
}
