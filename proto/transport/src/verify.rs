//! Judging a presented certificate chain: one function for both ends, called by the rustls verifiers below.
//!
//! Must hold: the order is leaf rules, bundle by the leaf's trust domain, path validation against that bundle's
//! roots alone, then the caller's expectation. TLS 1.2 is refused. A client without a certificate is let through
//! as anonymous: [`crate::listen`] hands it to the join service only.

use crate::bundle::{BundleSet, TrustBundles};
use crate::clock::unix_time;
use crate::identity::PeerIdentity;
use crate::spiffe::{Leaf, LeafError};
use crate::tls::provider;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sekisho_types::id::{Digest, OperatorId};
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use std::collections::BTreeSet;
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whom a dialler takes at the other end. Always a workload; an address proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// This one and no other.
    Principal(Principal),
    /// A member of any operator whose bundle is in force.
    AnyMember,
    /// A member of one of these operators; of none if empty.
    MemberOf(BTreeSet<OperatorId>),
    /// A landmark of one of these operators, or a member, in which landmarks are, too.
    LandmarkOf(BTreeSet<OperatorId>),
    /// A member under the root whose DER has this SHA-256, and which stands in the presented chain: for an agent
    /// that joins and has no bundle yet, with the hash from its join token. The operator's id is read from the
    /// root's organization, which the hash covers.
    CaHash(Digest),
}

/// Which end presented the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role<'a> {
    Client,
    Server(&'a Expect),
}

/// Why a chain is refused.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The leaf breaks a rule of its own.
    #[error("certificate refused: {0}")]
    Leaf(#[from] LeafError),
    /// No bundle for the trust domain.
    #[error("no trust bundle for `{0}`")]
    UnknownDomain(TrustDomain),
    /// Path validation failed under the bundle of the trust domain.
    #[error("chain not valid under the bundle of `{domain}`")]
    Path {
        /// The trust domain.
        domain: TrustDomain,
        /// What the validator said.
        #[source]
        cause: rustls::Error,
    },
    /// Someone else than expected.
    #[error("the peer is {found}, whom this connection is not for")]
    NotExpected {
        /// Who it is.
        found: Principal,
    },
    /// The pinned root is not among the presented certificates.
    #[error("the presented chain has no root with SHA-256 {0}")]
    RootNotPresented(Digest),
    /// The pinned root does not say whose it is.
    #[error("the pinned root names no operator as its organization")]
    RootNamesNoOperator,
    /// No certificate where one is needed.
    #[error("no certificate presented")]
    NoCertificate,
}

/// rustls keeps its own errors' alerts; ours ride along as the source.
impl From<VerifyError> for rustls::Error {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Path { cause, .. } => cause,
            VerifyError::UnknownDomain(domain) => {
                tracing::warn!(%domain, "peer of an unknown trust domain refused");
                Self::InvalidCertificate(CertificateError::UnknownIssuer)
            }
            other @ (VerifyError::Leaf(_)
            | VerifyError::NotExpected { .. }
            | VerifyError::RootNotPresented(_)
            | VerifyError::RootNamesNoOperator
            | VerifyError::NoCertificate) => {
                Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(other))))
            }
        }
    }
}

/// Whole judgement of a chain, leaf first.
pub(crate) fn judge(
    set: &BundleSet,
    role: Role<'_>,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<PeerIdentity, VerifyError> {
    let (leaf, rest) = chain.split_first().ok_or(VerifyError::NoCertificate)?;
    let identity = name(set, role, chain)?;
    validate(set, role, &identity.trust_domain, (leaf, rest), now)
        .map_err(|cause| VerifyError::Path { domain: identity.trust_domain.clone(), cause })?;
    expected(role, identity)
}

/// Who an already validated chain names, without validating it again.
pub(crate) fn identify(
    set: &BundleSet,
    role: Role<'_>,
    chain: &[CertificateDer<'_>],
) -> Result<PeerIdentity, VerifyError> {
    expected(role, name(set, role, chain)?)
}

fn name(
    set: &BundleSet,
    role: Role<'_>,
    chain: &[CertificateDer<'_>],
) -> Result<PeerIdentity, VerifyError> {
    let (leaf, rest) = chain.split_first().ok_or(VerifyError::NoCertificate)?;
    let leaf = Leaf::parse(leaf)?;
    let operator = match role {
        Role::Server(Expect::CaHash(hash)) => {
            let root = pinned(*hash, rest).ok_or(VerifyError::RootNotPresented(*hash))?;
            operator_of(root).ok_or(VerifyError::RootNamesNoOperator)?
        }
        Role::Client
        | Role::Server(
            Expect::Principal(_) | Expect::AnyMember | Expect::MemberOf(_) | Expect::LandmarkOf(_),
        ) => {
            let known = set.get(&leaf.trust_domain);
            known
                .ok_or_else(|| VerifyError::UnknownDomain(leaf.trust_domain.clone()))?
                .operator
                .clone()
        }
    };
    let principal = Principal { operator, workload: leaf.workload };
    Ok(PeerIdentity {
        site: principal.site().cloned(),
        principal,
        trust_domain: leaf.trust_domain,
        spki_sha256: leaf.spki_sha256,
        residency: leaf.residency,
        not_after: leaf.not_after,
    })
}

fn expected(role: Role<'_>, identity: PeerIdentity) -> Result<PeerIdentity, VerifyError> {
    let member = matches!(identity.principal.workload, Workload::Member { .. });
    let good = match role {
        Role::Client => true,
        Role::Server(Expect::Principal(principal)) => *principal == identity.principal,
        Role::Server(Expect::AnyMember | Expect::CaHash(_)) => member,
        Role::Server(Expect::MemberOf(operators)) => {
            member && operators.contains(&identity.principal.operator)
        }
        Role::Server(Expect::LandmarkOf(operators)) => {
            let landmark = matches!(identity.principal.workload, Workload::Landmark { .. });
            (member || landmark) && operators.contains(&identity.principal.operator)
        }
    };
    if good { Ok(identity) } else { Err(VerifyError::NotExpected { found: identity.principal }) }
}

fn validate(
    set: &BundleSet,
    role: Role<'_>,
    domain: &TrustDomain,
    (leaf, rest): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let pinned_roots;
    let roots = match role {
        Role::Client => {
            let bundle = set.get(domain).ok_or_else(unknown)?;
            return bundle.clients.verify_client_cert(leaf, rest, now).map(|_verified| ());
        }
        Role::Server(Expect::CaHash(hash)) => {
            let mut store = RootCertStore::empty();
            store.add(pinned(*hash, rest).ok_or_else(unknown)?.clone().into_owned())?;
            pinned_roots = store;
            &pinned_roots
        }
        Role::Server(
            Expect::Principal(_) | Expect::AnyMember | Expect::MemberOf(_) | Expect::LandmarkOf(_),
        ) => &*set.get(domain).ok_or_else(unknown)?.roots,
    };
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, rest, now, algorithms().all)
}

fn pinned<'a, 'c>(hash: Digest, rest: &'a [CertificateDer<'c>]) -> Option<&'a CertificateDer<'c>> {
    rest.iter().find(|der| Digest::of(der) == hash)
}

fn operator_of(root: &CertificateDer<'_>) -> Option<OperatorId> {
    let (_rest, root) = X509Certificate::from_der(root).ok()?;
    let mut organizations = root.subject().iter_organization();
    let only = organizations.next()?.as_str().ok()?.parse().ok();
    only.filter(|_| organizations.next().is_none())
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Judges clients.
#[derive(Debug)]
pub(crate) struct Clients(pub(crate) Arc<TrustBundles>);

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Borrowed for the life of the verifier, so it cannot follow the bundles; no hint is legal.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        judge(&self.0.current(), Role::Client, &chain(leaf, rest), now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// Judges servers.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) bundles: Arc<TrustBundles>,
    pub(crate) expect: Expect,
}

impl ServerCertVerifier for Servers {
    /// The name is not looked at: identity is the SPIFFE id, wherever it answers.
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        judge(&self.bundles.current(), Role::Server(&self.expect), &chain(leaf, rest), now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn chain<'a>(leaf: &CertificateDer<'a>, rest: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    [std::slice::from_ref(leaf), rest].concat()
}

/// Judges a client's chain the way the listener does: for offline checks of what a certificate would be taken for.
///
/// # Errors
/// [`VerifyError`].
pub fn judge_client(
    bundles: &TrustBundles,
    chain: &[CertificateDer<'_>],
) -> Result<PeerIdentity, VerifyError> {
    judge(&bundles.current(), Role::Client, chain, unix_time(bundles.clock().wall()))
}

/// Judges a server's chain the way the dialler does.
///
/// # Errors
/// [`VerifyError`].
pub fn judge_server(
    bundles: &TrustBundles,
    expect: &Expect,
    chain: &[CertificateDer<'_>],
) -> Result<PeerIdentity, VerifyError> {
    judge(&bundles.current(), Role::Server(expect), chain, unix_time(bundles.clock().wall()))
}

#[cfg(test)]
mod tests;
