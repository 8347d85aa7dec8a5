//! What a leaf certificate must say, read before and apart from path validation.
//!
//! Must hold (design section 10): exactly one URI SAN, a SPIFFE id of a known path; the DNS SAN that belongs to it,
//! so that the name constraints of the issuer bind it (without one they bind nothing); DNS site = SPIFFE site; a
//! residency extension, if there, names that site too. Subject fields are never read. Names of any other kind,
//! repeated or unreadable extensions are refused.
//! Does not check: signatures, validity, purpose, critical extensions. Path validation does.

use crate::identity::ResidencyClaim;
use rustls_pki_types::CertificateDer;
use sekisho_types::id::{Digest, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{PrincipalError, TrustDomain, TrustDomainError, Workload};
use sekisho_types::time::Timestamp;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Residency extension, `1.3.6.1.4.1.99999.7.1`: a DER UTF8String `SITE/AREA`, where AREA is `JP` or a six-digit
/// JIS code. 99999 stands for no registered enterprise, so that no other product's meaning can be read into it.
/// Never critical: stock verifiers refuse critical extensions that they do not know.
pub const RESIDENCY_OID: &[u64] = &[1, 3, 6, 1, 4, 1, 99999, 7, 1];

const RESIDENCY: Oid<'static> = oid!(1.3.6.1.4.1.99999.7.1);

/// DER tag of a UTF8String.
const TAG_UTF8: u8 = 0x0c;

/// The DNS label that stands for the site in a user's name; users belong to no site.
const USER_LABEL: &str = "user";

/// And in a landmark's.
const LANDMARK_LABEL: &str = "landmark";

/// Why a leaf certificate is refused whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not one DER certificate, or an extension is repeated or unreadable.
    #[error("not a readable certificate: {0}")]
    Encoding(&'static str),
    /// Not exactly one URI SAN.
    #[error("a certificate has exactly one URI SAN, this one has {0}")]
    UriSans(usize),
    /// No DNS SAN, so that no name constraint of its issuer binds it.
    #[error("a certificate has at least one DNS SAN, this one has none")]
    NoDnsSan,
    /// A name of another kind than URI, DNS or IP.
    #[error("names other than URI, DNS and IP are refused")]
    OtherSan,
    /// The URI is not a SPIFFE id.
    #[error("`{0}` is not spiffe://TRUSTDOMAIN/PATH")]
    NotSpiffe(String),
    /// Its trust domain is malformed.
    #[error(transparent)]
    TrustDomain(#[from] TrustDomainError),
    /// Its path names no workload.
    #[error(transparent)]
    Workload(#[from] PrincipalError),
    /// A DNS SAN says another place than the SPIFFE id.
    #[error("DNS SAN `{dns}` is not the SPIFFE id's `{expected}` or a name beside it")]
    DnsMismatch {
        /// The name found.
        dns: String,
        /// The name that the SPIFFE id demands.
        expected: String,
    },
    /// No extended key usage: such a certificate would be good for anything.
    #[error("a certificate states its extended key usage, this one does not")]
    NoPurpose,
    /// The residency extension is malformed.
    #[error("residency extension: {0}")]
    Residency(String),
    /// The residency extension names another site than the SPIFFE id.
    #[error("residency extension names site `{extension}`, the SPIFFE id `{spiffe}`")]
    ResidencySite {
        /// Site in the extension.
        extension: SiteId,
        /// Site in the SPIFFE id, or `none`.
        spiffe: String,
    },
}

/// A leaf's own statements; trusted only after path validation under `trust_domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) trust_domain: TrustDomain,
    pub(crate) workload: Workload,
    pub(crate) residency: Option<ResidencyClaim>,
    pub(crate) spki_sha256: Digest,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// `HOST.SITE.TRUSTDOMAIN`: the DNS name of a workload. Members are `member-N`, users `NAME.user`, landmarks `NAME.landmark`.
#[must_use]
pub fn dns_name(workload: &Workload, domain: &TrustDomain) -> String {
    let parent = parent_domain(workload, domain);
    match workload {
        Workload::Member { member, .. } => format!("member-{member}.{parent}"),
        Workload::Agent { node, .. } => format!("{node}.{parent}"),
        Workload::User { name } | Workload::Landmark { name } => format!("{name}.{parent}"),
    }
}

/// `SITE.TRUSTDOMAIN`, `user.TRUSTDOMAIN` or `landmark.TRUSTDOMAIN`: what every DNS SAN of the workload lies directly under.
fn parent_domain(workload: &Workload, domain: &TrustDomain) -> String {
    match workload {
        Workload::Member { site, .. } | Workload::Agent { site, .. } => format!("{site}.{domain}"),
        Workload::User { .. } => format!("{USER_LABEL}.{domain}"),
        Workload::Landmark { .. } => format!("{LANDMARK_LABEL}.{domain}"),
    }
}

/// `SITE.TRUSTDOMAIN`: the subtree that a site's issuer is constrained to.
pub(crate) fn site_domain(site: &SiteId, domain: &TrustDomain) -> String {
    format!("{site}.{domain}")
}

/// `user.TRUSTDOMAIN`: the subtree that an issuer for logins is constrained to.
pub(crate) fn user_domain(domain: &TrustDomain) -> String {
    format!("{USER_LABEL}.{domain}")
}

/// Content of the residency extension.
pub(crate) fn residency_der(claim: &ResidencyClaim) -> Option<Vec<u8>> {
    let text = format!("{}/{}", claim.site, claim.area);
    // Short form of the DER length; 63 + 1 + 6 bytes at most, so it always fits.
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 0x80)?;
    Some([&[TAG_UTF8, length], text.as_bytes()].concat())
}

fn parse_residency(der: &[u8]) -> Result<ResidencyClaim, LeafError> {
    let bad = |why: &str| LeafError::Residency(why.to_owned());
    let [TAG_UTF8, length, text @ ..] = der else {
        return Err(bad("not a UTF8String"));
    };
    if usize::from(*length) != text.len() || *length >= 0x80 {
        return Err(bad("wrong length"));
    }
    let text = std::str::from_utf8(text).map_err(|_utf8| bad("not UTF-8"))?;
    let (site, area) = text.split_once('/').ok_or_else(|| bad("not SITE/AREA"))?;
    Ok(ResidencyClaim {
        site: site.parse().map_err(|e| LeafError::Residency(format!("{e}")))?,
        area: Area::try_from(area.to_owned()).map_err(|e| LeafError::Residency(e.to_string()))?,
    })
}

fn parse_spiffe(uri: &str) -> Result<(TrustDomain, Workload), LeafError> {
    let bad = || LeafError::NotSpiffe(uri.to_owned());
    let rest = uri.strip_prefix("spiffe://").ok_or_else(bad)?;
    let (domain, path) = rest.split_at(rest.find('/').ok_or_else(bad)?);
    Ok((TrustDomain::parse(domain)?, Workload::parse(path)?))
}

/// The DNS name that belongs to the SPIFFE id must be there; others must stand directly beside it.
fn check_dns(dns: &[&str], workload: &Workload, domain: &TrustDomain) -> Result<(), LeafError> {
    let first = dns.first().ok_or(LeafError::NoDnsSan)?;
    let (expected, parent) = (dns_name(workload, domain), parent_domain(workload, domain));
    let beside = |name: &str| {
        let label = name.strip_suffix(&parent).and_then(|name| name.strip_suffix('.'));
        label.is_some_and(|label| {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !label.is_empty() && label.bytes().all(good)
        })
    };
    let stray = dns.iter().find(|name| !beside(name));
    let missing = (!dns.contains(&expected.as_str())).then_some(first);
    match stray.or(missing) {
        Some(name) => Err(LeafError::DnsMismatch { dns: (*name).to_owned(), expected }),
        None => Ok(()),
    }
}

impl Leaf {
    /// Reads a leaf.
    ///
    /// # Errors
    /// [`LeafError`] names the broken rule.
    pub(crate) fn parse(der: &CertificateDer<'_>) -> Result<Self, LeafError> {
        let (rest, cert) =
            X509Certificate::from_der(der).map_err(|_nom| LeafError::Encoding("not X.509"))?;
        if !rest.is_empty() {
            return Err(LeafError::Encoding("bytes follow it"));
        }
        let san = cert
            .subject_alternative_name()
            .map_err(|_x509| LeafError::Encoding("subject alternative name"))?
            .ok_or(LeafError::UriSans(0))?;
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in &san.value.general_names {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "every other kind of name is refused"
            )]
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::DNSName(name) => dns.push(*name),
                GeneralName::IPAddress(_) => {}
                _ => return Err(LeafError::OtherSan),
            }
        }
        let [uri] = uris.as_slice() else { return Err(LeafError::UriSans(uris.len())) };
        let (trust_domain, workload) = parse_spiffe(uri)?;
        check_dns(&dns, &workload, &trust_domain)?;
        cert.extended_key_usage()
            .map_err(|_x509| LeafError::Encoding("extended key usage"))?
            .filter(|usage| !usage.value.any)
            .ok_or(LeafError::NoPurpose)?;
        let validity = cert.validity();
        Ok(Self {
            residency: residency_of(&cert, &workload)?,
            spki_sha256: Digest::of(cert.public_key().raw),
            not_before: milliseconds(validity.not_before.timestamp()),
            not_after: milliseconds(validity.not_after.timestamp()),
            trust_domain,
            workload,
        })
    }
}

fn milliseconds(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

fn residency_of(
    cert: &X509Certificate<'_>,
    workload: &Workload,
) -> Result<Option<ResidencyClaim>, LeafError> {
    let found = cert
        .get_extension_unique(&RESIDENCY)
        .map_err(|_x509| LeafError::Residency("repeated".to_owned()))?;
    let Some(extension) = found else { return Ok(None) };
    let claim = parse_residency(extension.value)?;
    let site = match workload {
        Workload::Member { site, .. } | Workload::Agent { site, .. } => Some(site),
        Workload::User { .. } | Workload::Landmark { .. } => None,
    };
    if site == Some(&claim.site) {
        return Ok(Some(claim));
    }
    let spiffe = site.map_or_else(|| "none".to_owned(), ToString::to_string);
    Err(LeafError::ResidencySite { extension: claim.site, spiffe })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residency_extensions_round_trip_and_odd_ones_are_refused() {
        let claim = ResidencyClaim { site: "tokyo-1".parse().unwrap(), area: Area::Japan };
        let der = residency_der(&claim).unwrap();
        assert_eq!(parse_residency(&der), Ok(claim));
        for cut in 0..der.len() {
            assert!(parse_residency(&der[..cut]).is_err(), "{cut}");
        }
        for text in ["tokyo-1/KR", "Tokyo/JP", "tokyo-1", "tokyo-1/ JP", "tokyo-1/13"] {
            let der = [&[TAG_UTF8, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            assert!(matches!(parse_residency(&der), Err(LeafError::Residency(_))), "{text}");
        }
    }

    #[test]
    fn dns_names_must_stand_beside_the_spiffe_id() {
        let (domain, agent) =
            parse_spiffe("spiffe://hokuto.example/site/ishikari-1/node/n-01").unwrap();
        let check = |names: &[&str]| check_dns(names, &agent, &domain).is_ok();
        assert!(check(&["n-01.ishikari-1.hokuto.example"]));
        assert!(check(&["alias.ishikari-1.hokuto.example", "n-01.ishikari-1.hokuto.example"]));
        for bad in [
            &[][..],
            &["n-02.ishikari-1.hokuto.example"],
            &["n-01.tokyo-1.hokuto.example"],
            &["n-01.ishikari-1.hokuto.example", "n-01.tokyo-1.hokuto.example"],
            &["n-01.ishikari-1.hokuto.example", "a.b.ishikari-1.hokuto.example"],
            &["n-01.ishikari-1.hokuto.example", "*.ishikari-1.hokuto.example"],
            &["n-01.ishikari-1.hokuto.example", "ishikari-1.hokuto.example"],
            &["n-01.ishikari-1.hokuto.example.evil.example"],
            &["N-01.ishikari-1.hokuto.example"],
        ] {
            assert!(!check(bad), "{bad:?}");
        }
    }
}
