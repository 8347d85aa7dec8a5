//! Trust bundles: which roots speak for which trust domain. Changed while running, without a listener restart.
//!
//! Must hold: the bundle is chosen by the trust domain that the certificate names, before path validation, so that
//! one operator's authority cannot vouch for another's workloads; one operator has one domain, one root serves one
//! domain; what leaves a bundle loses its live connections at once (P5).
//! Does not decide which bundles there are: genesis, the join answer and replicated state do.

use crate::connections::Connections;
use crate::tls::provider;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sekisho_types::id::{Digest, OperatorId};
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The roots of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The operator that the domain belongs to.
    pub operator: OperatorId,
    /// Root certificates, DER. More than one during a change of roots.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Why a set of bundles is not taken. The old set stays in force.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A domain without roots would refuse everyone; leave the domain out instead.
    #[error("the bundle of `{0}` has no root")]
    NoRoots(TrustDomain),
    /// Not PEM certificates.
    #[error("the bundle is not PEM")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// A root is not a usable certificate.
    #[error("the bundle of `{0}` has an unusable root")]
    Root(TrustDomain, #[source] rustls::Error),
    /// The path validator refused the roots.
    #[error("the bundle of `{0}` cannot be used")]
    Verifier(TrustDomain, #[source] rustls::client::VerifierBuilderError),
    /// Two domains of one operator would give two keys the same principal.
    #[error("operator `{0}` has two trust domains")]
    OperatorTwice(OperatorId),
    /// A root in two domains could mint workloads of both.
    #[error("root {0} stands in two trust domains")]
    RootTwice(Digest),
}

impl Bundle {
    /// Reads PEM certificates.
    ///
    /// # Errors
    /// [`BundleError::Pem`].
    pub fn from_pem(operator: OperatorId, pem: &str) -> Result<Self, BundleError> {
        let roots = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>();
        Ok(Self { operator, roots: roots.map_err(BundleError::Pem)? })
    }

    /// Checks that a root certificate (DER) can be used at all, so that it does not shut its own operator out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_root(der: &[u8]) -> Result<(), rustls::Error> {
        RootCertStore::empty().add(CertificateDer::from(der))
    }
}

/// One domain's bundle, made ready for validation.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) operator: OperatorId,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) clients: Arc<dyn ClientCertVerifier>,
    digests: BTreeSet<Digest>,
}

/// The bundles in force at one instant.
#[derive(Debug, Default)]
pub(crate) struct BundleSet(BTreeMap<TrustDomain, Ready>);

impl BundleSet {
    fn build(bundles: &BTreeMap<TrustDomain, Bundle>) -> Result<Self, BundleError> {
        let (mut operators, mut roots) = (BTreeSet::new(), BTreeSet::new());
        let mut ready = BTreeMap::new();
        for (domain, bundle) in bundles {
            if !operators.insert(&bundle.operator) {
                return Err(BundleError::OperatorTwice(bundle.operator.clone()));
            }
            let one = Ready::build(domain, bundle)?;
            if let Some(twice) = one.digests.iter().find(|digest| !roots.insert(**digest)) {
                return Err(BundleError::RootTwice(*twice));
            }
            ready.insert(domain.clone(), one);
        }
        Ok(Self(ready))
    }

    pub(crate) fn get(&self, domain: &TrustDomain) -> Option<&Ready> {
        self.0.get(domain)
    }

    /// Whether what `old` vouched for in `domain` still stands. Also true where `old` knew nothing of the domain:
    /// such a connection was pinned by hash and owes its standing to no bundle.
    fn upholds(&self, old: &Self, domain: &TrustDomain) -> bool {
        let Some(old) = old.get(domain) else { return true };
        self.get(domain)
            .is_some_and(|new| new.operator == old.operator && old.digests.is_subset(&new.digests))
    }
}

impl Ready {
    fn build(domain: &TrustDomain, bundle: &Bundle) -> Result<Self, BundleError> {
        let mut roots = RootCertStore::empty();
        for root in &bundle.roots {
            roots.add(root.clone()).map_err(|e| BundleError::Root(domain.clone(), e))?;
        }
        if roots.is_empty() {
            return Err(BundleError::NoRoots(domain.clone()));
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|e| BundleError::Verifier(domain.clone(), e))?;
        let digests = bundle.roots.iter().map(|root| Digest::of(root)).collect();
        Ok(Self { operator: bundle.operator.clone(), roots, clients, digests })
    }
}

/// The bundles in force, and the connections that stand on them.
#[derive(Debug)]
pub struct TrustBundles {
    current: ArcSwap<BundleSet>,
    replacing: Mutex<()>,
    connections: Arc<Connections>,
    clock: Arc<dyn Clock>,
}

impl TrustBundles {
    /// No bundle: every certificate is refused until [`TrustBundles::replace`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::default(),
            replacing: Mutex::new(()),
            connections: Arc::default(),
            clock,
        })
    }

    /// Puts `bundles` in force and cuts every live connection of a domain that is gone, changed its operator or
    /// lost a root; a peer that still has a valid chain comes back by itself. Returns how many were cut.
    ///
    /// # Errors
    /// [`BundleError`]; nothing has changed then.
    pub fn replace(&self, bundles: &BTreeMap<TrustDomain, Bundle>) -> Result<usize, BundleError> {
        let new = Arc::new(BundleSet::build(bundles)?);
        let _one_at_a_time = self.replacing.lock();
        let old = self.current.swap(Arc::clone(&new));
        let cut = self.connections.cut(|peer| {
            peer.identity.as_ref().is_some_and(|peer| !new.upholds(&old, &peer.trust_domain))
        });
        tracing::info!(domains = new.0.len(), cut, "trust bundles replaced");
        Ok(cut)
    }

    /// The trust domains in force, with their operators.
    #[must_use]
    pub fn domains(&self) -> BTreeMap<TrustDomain, OperatorId> {
        let set = self.current.load();
        set.0.iter().map(|(domain, ready)| (domain.clone(), ready.operator.clone())).collect()
    }

    /// Every live connection, dialled or accepted.
    #[must_use]
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    pub(crate) fn current(&self) -> Arc<BundleSet> {
        self.current.load_full()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Authority, domain};

    #[test]
    fn sets_that_would_mix_operators_are_refused_and_change_nothing() {
        let (a, b) = (Authority::new("kanto"), Authority::new("hokuto"));
        let trust = TrustBundles::new(crate::fixture::clock());
        let set = |entries: Vec<(&str, &str, Vec<CertificateDer<'static>>)>| {
            let entry = |(at, operator, roots): (&str, &str, _)| {
                (domain(at), Bundle { operator: operator.parse().unwrap(), roots })
            };
            trust.replace(&entries.into_iter().map(entry).collect())
        };
        set(vec![("kanto.example", "kanto", vec![a.root()])]).unwrap();
        let twice = vec![
            ("kanto.example", "kanto", vec![a.root()]),
            ("kanto2.example", "kanto", vec![b.root()]),
        ];
        assert!(matches!(set(twice), Err(BundleError::OperatorTwice(_))));
        let shared = vec![
            ("kanto.example", "kanto", vec![a.root()]),
            ("hokuto.example", "hokuto", vec![b.root(), a.root()]),
        ];
        assert!(matches!(set(shared), Err(BundleError::RootTwice(_))));
        assert!(matches!(
            set(vec![("kanto.example", "kanto", vec![])]),
            Err(BundleError::NoRoots(_))
        ));
        let garbage = vec![("kanto.example", "kanto", vec![CertificateDer::from(vec![1, 2, 3])])];
        assert!(matches!(set(garbage), Err(BundleError::Root(..))));
        assert_eq!(trust.domains().len(), 1);
        assert!(trust.domains().contains_key(&domain("kanto.example")));
    }
}
