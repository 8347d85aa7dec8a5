//! Issuing leaves: the issuer runs at each of the operator's sites, so that renewal works in a cut.

use super::file::{self, ISSUER_FILE, ISSUER_KEY_FILE};
use super::key::{Csr, Key, SecretPem, certificate_pem};
use super::{PkiError, params};
use crate::identity::ResidencyClaim;
use crate::limit::{LEAF_LIFETIME_MAX, USER_LIFETIME_MAX};
use crate::spiffe::{RESIDENCY_OID, dns_name, residency_der};
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sekisho_types::id::{Digest, NodeId, OperatorId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::time::Timestamp;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// When a leaf is issued and how long it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The issuer's wall clock; validity begins [`crate::limit::BACKDATE`] earlier.
    pub now: Timestamp,
    /// At most 7 days for members and agents, 12 hours for users; cut to the issuer's own end.
    pub lifetime: Duration,
}

/// What a leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Path of the SPIFFE id, and with it the DNS name.
    pub workload: Workload,
    /// IP SANs; no decision rests on them.
    pub ips: Vec<IpAddr>,
    /// Area for the residency extension of members and agents.
    pub area: Option<Area>,
}

/// A new leaf.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Leaf, issuer and root: the root too, because a joining agent knows no more than its hash.
    pub chain_pem: String,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub spki_sha256: Digest,
    /// Its end.
    pub not_after: Timestamp,
}

impl Issued {
    /// The chain as DER: leaf, issuer, root.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] never for a chain that was made here.
    pub fn chain_der(&self) -> Result<Vec<Vec<u8>>, PkiError> {
        CertificateDer::pem_slice_iter(self.chain_pem.as_bytes())
            .map(|certificate| certificate.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_pem| PkiError::Certificate("the chain is not PEM"))
    }
}

/// An operator's issuing authority at one or more sites.
#[derive(Debug)]
pub struct Issuer {
    operator: OperatorId,
    domain: TrustDomain,
    /// DNS subtrees that its certificate permits.
    permitted: Vec<String>,
    not_after: Timestamp,
    certificate: CertificateDer<'static>,
    root: CertificateDer<'static>,
    signer: rcgen::Issuer<'static, KeyPair>,
}

impl Issuer {
    pub(super) fn from_parts(
        certificate: CertificateDer<'static>,
        root: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Self, PkiError> {
        let (operator, permitted) = ca_names(&certificate)?;
        let (_operator, domains) = ca_names(&root)?;
        let [domain] = domains.as_slice() else {
            return Err(PkiError::Certificate("a root is constrained to one trust domain"));
        };
        let domain = TrustDomain::parse(domain)
            .map_err(|_domain| PkiError::Certificate("the root's constraint is no trust domain"))?;
        let (_rest, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_nom| PkiError::Certificate("not X.509"))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(PkiError::Certificate("the key belongs to another certificate"));
        }
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = Timestamp(seconds.saturating_mul(1000));
        let signer = rcgen::Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { operator, domain, permitted, not_after, certificate, root, signer })
    }

    /// Reads `issuer.pem` (issuer, then root) and `issuer.key` of a directory.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let pem = file::read(&dir.join(ISSUER_FILE))?;
        let key = KeyPair::from_pem(&file::read(&dir.join(ISSUER_KEY_FILE))?)?;
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_pem| PkiError::Certificate("issuer.pem is not PEM"))?;
        let [certificate, root] = certificates.as_slice() else {
            return Err(PkiError::Certificate("issuer.pem holds the issuer, then the root"));
        };
        Self::from_parts(certificate.clone(), root.clone(), key)
    }

    /// Writes `issuer.pem` and `issuer.key`.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        let chain = certificate_pem(&self.certificate) + &certificate_pem(&self.root);
        file::write(&dir.join(ISSUER_KEY_FILE), &self.signer.key().serialize_pem())?;
        Ok(file::write(&dir.join(ISSUER_FILE), &chain)?)
    }

    /// Its operator.
    #[must_use]
    pub fn operator(&self) -> &OperatorId {
        &self.operator
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The root above it.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// End of its own certificate; no leaf outlives it.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A member's certificate with a fresh key. `area` goes into the residency extension.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue_member(
        &self,
        site: &SiteId,
        member: u64,
        ips: &[IpAddr],
        area: Option<Area>,
        validity: Validity,
    ) -> Result<(Issued, SecretPem), PkiError> {
        let workload = Workload::Member { site: site.clone(), member };
        self.issue_with_key(&Subject { workload, ips: ips.to_vec(), area }, validity)
    }

    /// An agent's certificate for the key of its signing request (PEM or DER). What the request says about names
    /// is ignored; who asks, and for which node, the caller has already decided.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue_agent_from_csr(
        &self,
        request: &[u8],
        node: &NodeId,
        area: Option<Area>,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let workload = Workload::Agent { site: node.site.clone(), node: node.name.clone() };
        self.issue(&Csr::verify(request)?, &Subject { workload, ips: Vec::new(), area }, validity)
    }

    /// A user's certificate for the key of a signing request (PEM or DER), of which nothing else is believed. Needs an issuer
    /// for the whole trust domain, or for logins.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue_user_from_csr(
        &self,
        request: &[u8],
        name: &Name,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let workload = Workload::User { name: name.clone() };
        self.issue(
            &Csr::verify(request)?,
            &Subject { workload, ips: Vec::new(), area: None },
            validity,
        )
    }

    /// A user's certificate with a fresh key. Needs an issuer for the whole trust domain.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue_user(
        &self,
        name: &Name,
        validity: Validity,
    ) -> Result<(Issued, SecretPem), PkiError> {
        let workload = Workload::User { name: name.clone() };
        self.issue_with_key(&Subject { workload, ips: Vec::new(), area: None }, validity)
    }

    /// The certificate of a landmark that runs apart from a controller, with a fresh key. Needs an issuer for the whole trust
    /// domain.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue_landmark(
        &self,
        name: &Name,
        ips: &[IpAddr],
        validity: Validity,
    ) -> Result<(Issued, SecretPem), PkiError> {
        let workload = Workload::Landmark { name: name.clone() };
        self.issue_with_key(&Subject { workload, ips: ips.to_vec(), area: None }, validity)
    }

    /// A leaf for the key of a verified signing request.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue(
        &self,
        csr: &Csr,
        subject: &Subject,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        self.sign(csr.public_key(), subject, validity)
    }

    fn issue_with_key(
        &self,
        subject: &Subject,
        validity: Validity,
    ) -> Result<(Issued, SecretPem), PkiError> {
        let key = Key::generate()?;
        Ok((self.sign(&key.0, subject, validity)?, key.pem()))
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        subject: &Subject,
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let not_after = self.end_of(&subject.workload, validity)?;
        let dns = dns_name(&subject.workload, &self.domain);
        if !self.permitted.iter().any(|subtree| inside(&dns, subtree)) {
            return Err(PkiError::NotPermitted(dns));
        }
        let params = self.leaf_params(dns, subject, validity.now, not_after)?;
        let leaf = params.signed_by(key, &self.signer)?;
        let chain = [leaf.der(), &self.certificate, &self.root];
        Ok(Issued {
            chain_pem: chain.into_iter().map(certificate_pem).collect(),
            spki_sha256: Digest::of(&key.subject_public_key_info()),
            not_after,
        })
    }

    fn end_of(&self, workload: &Workload, validity: Validity) -> Result<Timestamp, PkiError> {
        let max = match workload {
            Workload::Member { .. } | Workload::Agent { .. } | Workload::Landmark { .. } => {
                LEAF_LIFETIME_MAX
            }
            Workload::User { .. } => USER_LIFETIME_MAX,
        };
        let given = validity.lifetime;
        if given < Duration::from_secs(1) || given > max {
            return Err(PkiError::Lifetime { given, max });
        }
        if validity.now >= self.not_after {
            return Err(PkiError::IssuerExpired(self.not_after));
        }
        // Certificates count whole seconds.
        let end = validity.now.plus_ms(u64::try_from(given.as_millis()).unwrap_or(u64::MAX));
        Ok(Timestamp(end.min(self.not_after).0 / 1000 * 1000))
    }

    fn leaf_params(
        &self,
        dns: String,
        subject: &Subject,
        now: Timestamp,
        not_after: Timestamp,
    ) -> Result<CertificateParams, PkiError> {
        let (operator, workload) = (self.operator.clone(), subject.workload.clone());
        let path = Principal { operator, workload }.path();
        let uri = format!("spiffe://{}{path}", self.domain);
        let mut params = params(now, Duration::from_millis(not_after.since_ms(now)))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes(&subject.workload);
        // For people who read certificates; no program does.
        params.distinguished_name.push(DnType::OrganizationName, self.operator.as_str());
        params.subject_alt_names =
            vec![SanType::URI(uri.try_into()?), SanType::DnsName(dns.try_into()?)];
        params.subject_alt_names.extend(subject.ips.iter().copied().map(SanType::IpAddress));
        let site = match &subject.workload {
            Workload::Member { site, .. } | Workload::Agent { site, .. } => Some(site),
            Workload::User { .. } | Workload::Landmark { .. } => None,
        };
        if let (Some(site), Some(area)) = (site, subject.area) {
            let claim = ResidencyClaim { site: site.clone(), area };
            let der = residency_der(&claim).ok_or(PkiError::Certificate("residency too long"))?;
            params.custom_extensions = vec![CustomExtension::from_oid_content(RESIDENCY_OID, der)];
        }
        Ok(params)
    }
}

/// Members and landmarks answer and dial; agents and users only dial, so that none of them can pose as a server.
fn purposes(workload: &Workload) -> Vec<ExtendedKeyUsagePurpose> {
    match workload {
        Workload::Member { .. } | Workload::Landmark { .. } => {
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth]
        }
        Workload::Agent { .. } | Workload::User { .. } => {
            vec![ExtendedKeyUsagePurpose::ClientAuth]
        }
    }
}

/// RFC 5280, section 4.2.1.10: equal, or with labels added on the left.
fn inside(dns: &str, subtree: &str) -> bool {
    let rest = dns.strip_suffix(subtree);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Operator and permitted DNS subtrees of a CA certificate of ours.
pub(super) fn ca_names(der: &CertificateDer<'_>) -> Result<(OperatorId, Vec<String>), PkiError> {
    let bad = PkiError::Certificate;
    let (_rest, cert) = X509Certificate::from_der(der).map_err(|_nom| bad("not X.509"))?;
    if !cert.is_ca() {
        return Err(bad("not a certificate authority"));
    }
    let operator = cert
        .subject()
        .iter_organization()
        .next()
        .and_then(|name| name.as_str().ok())
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| bad("its organization is no operator id"))?;
    let constraints = cert
        .name_constraints()
        .map_err(|_x509| bad("unreadable name constraints"))?
        .ok_or_else(|| bad("it has no name constraints"))?;
    let mut permitted = Vec::new();
    for subtree in constraints.value.permitted_subtrees.iter().flatten() {
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is refused")]
        match &subtree.base {
            GeneralName::DNSName(name) => permitted.push((*name).to_owned()),
            _ => return Err(bad("a name constraint of another kind than DNS")),
        }
    }
    Ok((operator, permitted))
}

#[cfg(test)]
impl Issuer {
    /// An attacker with the issuer's key and without our check.
    pub(super) fn permit_everything_for_tests(&mut self) {
        self.permitted = vec![self.domain.to_string()];
    }
}
