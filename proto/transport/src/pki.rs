//! Making certificates: an operator's root, the issuers of its sites, leaves for members, agents and users.
//!
//! Must hold: what is made here passes [`crate::verify`], and says nothing that the requester chose: names come
//! from the caller's arguments, of a signing request only the public key is used, after it proved possession.
//! Issuers carry a DNS name constraint, which binds because every leaf has a DNS SAN. Time and lifetimes are
//! passed in. Does not decide who may have a certificate: enrolment does.

pub mod backup;
pub mod file;
mod issue;
mod key;
pub mod signing;

pub use issue::{Issued, Issuer, Subject, Validity};
pub use key::{Csr, Key, SecretPem, certificate_pem};

use crate::bundle::Bundle;
use crate::limit::{BACKDATE, ISSUER_LIFETIME, ROOT_LIFETIME};
use crate::spiffe::{site_domain, user_domain};
use file::{PemFileError, ROOT_FILE, ROOT_KEY_FILE};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
    NameConstraints, SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sekisho_types::id::{Digest, OperatorId, SiteId};
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Timestamp;
use std::path::Path;
use std::time::Duration;

/// Why a certificate is not made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// The trust domain is no DNS name, so that no name constraint can bind to it.
    #[error("trust domain `{0}` is not a DNS name")]
    NotDns(TrustDomain),
    /// Key or certificate cannot be made or read.
    #[error("key or certificate is unusable")]
    Rcgen(#[from] rcgen::Error),
    /// The machine has no randomness.
    #[error("no randomness from the operating system")]
    Random,
    /// Not a PEM certificate, or without what a CA certificate needs.
    #[error("not a certificate of this kind: {0}")]
    Certificate(&'static str),
    /// The signing request is unreadable or does not prove possession of its key.
    #[error("signing request refused: {0}")]
    Csr(&'static str),
    /// The issuer's name constraint does not cover the name.
    #[error("this issuer may not issue for `{0}`")]
    NotPermitted(String),
    /// Zero or longer than the kind of workload may have.
    #[error("a lifetime of {given:?} is outside what is allowed, at most {max:?}")]
    Lifetime {
        /// What was asked for.
        given: Duration,
        /// The longest allowed.
        max: Duration,
    },
    /// The issuer's own certificate is over.
    #[error("the issuer certificate ended at {0}")]
    IssuerExpired(Timestamp),
}

/// SHA-256 of a root's DER: what a join token carries and [`crate::verify::Expect::CaHash`] compares.
#[must_use]
pub fn root_hash(root: &CertificateDer<'_>) -> Digest {
    Digest::of(root)
}

/// An operator's root: makes issuers, nothing else. Belongs offline between two uses.
#[derive(Debug)]
pub struct OperatorCa {
    operator: OperatorId,
    domain: TrustDomain,
    root: CertificateDer<'static>,
    signer: rcgen::Issuer<'static, KeyPair>,
}

impl OperatorCa {
    /// Makes a root for an operator and its trust domain, valid 10 years.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn create(
        operator: OperatorId,
        domain: TrustDomain,
        now: Timestamp,
    ) -> Result<Self, PkiError> {
        let label = |label: &str| {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(good)
        };
        if !domain.as_str().split('.').all(label) {
            return Err(PkiError::NotDns(domain));
        }
        let key = Key::generate()?;
        let mut params = ca_params(&format!("{operator} root"), &operator, now, ROOT_LIFETIME)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.name_constraints = Some(permit(vec![domain.to_string()]));
        let root = params.self_signed(&key.0)?.der().clone();
        let signer = rcgen::Issuer::new(params, key.0);
        Ok(Self { operator, domain, root, signer })
    }

    /// Reads `root.pem` and `root.key` of a directory.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let pem = file::read(&dir.join(ROOT_FILE))?;
        let key = KeyPair::from_pem(&file::read(&dir.join(ROOT_KEY_FILE))?)?;
        let root = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_pem| PkiError::Certificate("root.pem is not PEM"))?;
        let (operator, permitted) = issue::ca_names(&root)?;
        let [domain] = permitted.as_slice() else {
            return Err(PkiError::Certificate("a root is constrained to one trust domain"));
        };
        let domain = TrustDomain::parse(domain)
            .map_err(|_domain| PkiError::Certificate("the root's constraint is no trust domain"))?;
        let signer = rcgen::Issuer::from_ca_cert_der(&root, key)?;
        Ok(Self { operator, domain, root, signer })
    }

    /// Writes `root.pem` and `root.key`.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        file::write(&dir.join(ROOT_KEY_FILE), &self.signer.key().serialize_pem())?;
        Ok(file::write(&dir.join(ROOT_FILE), &self.root_pem())?)
    }

    /// Makes an issuer, valid one year: for all of the trust domain, or, better, for the sites that it runs at.
    /// An issuer for `sites` cannot issue for users.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issuer(&self, sites: &[SiteId], now: Timestamp) -> Result<Issuer, PkiError> {
        let permitted = match sites {
            [] => vec![self.domain.to_string()],
            sites => sites.iter().map(|site| site_domain(site, &self.domain)).collect(),
        };
        self.issuer_for(permitted, now)
    }

    /// Makes an issuer for people and nobody else, valid one year: what a controller needs that takes logins.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn login_issuer(&self, now: Timestamp) -> Result<Issuer, PkiError> {
        self.issuer_for(vec![user_domain(&self.domain)], now)
    }

    fn issuer_for(&self, permitted: Vec<String>, now: Timestamp) -> Result<Issuer, PkiError> {
        let name = format!("{} issuer", self.operator);
        let mut params = ca_params(&name, &self.operator, now, ISSUER_LIFETIME)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        params.name_constraints = Some(permit(permitted));
        let key = Key::generate()?;
        let certificate = params.signed_by(&key.0, &self.signer)?.der().clone();
        Issuer::from_parts(certificate, self.root.clone(), key.0)
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root certificate as PEM: what partners put into their bundles.
    #[must_use]
    pub fn root_pem(&self) -> String {
        certificate_pem(&self.root)
    }

    /// The bundle that peers need for this operator.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        Bundle { operator: self.operator.clone(), roots: vec![self.root.clone()] }
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Its operator.
    #[must_use]
    pub fn operator(&self) -> &OperatorId {
        &self.operator
    }
}

fn permit(domains: Vec<String>) -> NameConstraints {
    let permitted_subtrees = domains.into_iter().map(GeneralSubtree::DnsName).collect();
    NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() }
}

fn ca_params(
    name: &str,
    operator: &OperatorId,
    now: Timestamp,
    lifetime: Duration,
) -> Result<CertificateParams, PkiError> {
    let mut params = params(now, lifetime)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, operator.as_str());
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Validity and a random serial; the library's default serial would repeat at every renewal of the same key.
fn params(now: Timestamp, lifetime: Duration) -> Result<CertificateParams, PkiError> {
    let mut serial = [0u8; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_unspecified| PkiError::Random)?;
    let [first, ..] = &mut serial;
    // Positive, and without a leading zero byte: DER integers have one form.
    *first = (*first & 0x3f) | 0x40;
    let at = |time: Duration| rcgen::date_time_ymd(1970, 1, 1) + time.min(LAST_TIME);
    let now = Duration::from_millis(now.0);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = at(now.saturating_sub(BACKDATE));
    params.not_after = at(now.saturating_add(lifetime));
    Ok(params)
}

/// 9999-12-31T23:59:59Z: the last time that a certificate can express.
const LAST_TIME: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests;
