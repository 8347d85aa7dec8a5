//! What is issued passes verification; what must not be issued is not.

use super::*;
use crate::bundle::TrustBundles;
use crate::credential::Identity;
use crate::fixture::{NOW, clock, ders, domain};
use crate::identity::PeerIdentity;
use crate::limit::{LEAF_LIFETIME_MAX, USER_LIFETIME_MAX};
use crate::verify::{Expect, VerifyError, judge_client, judge_server};
use rcgen::SanType;
use sekisho_types::id::NodeId;
use sekisho_types::jurisdiction::Area;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: Validity = Validity { now: NOW, lifetime: Duration::from_secs(86_400) };

fn hokuto() -> OperatorCa {
    OperatorCa::create("hokuto".parse().unwrap(), domain("hokuto.example"), NOW).unwrap()
}

fn trusting(ca: &OperatorCa) -> Arc<TrustBundles> {
    let bundles = TrustBundles::new(clock());
    let bundle = BTreeMap::from([(ca.trust_domain().clone(), ca.bundle())]);
    bundles.replace(&bundle).unwrap();
    bundles
}

fn client(ca: &OperatorCa, issued: &Issued) -> Result<PeerIdentity, VerifyError> {
    judge_client(&trusting(ca), &ders(&issued.chain_pem))
}

#[test]
fn members_agents_and_users_pass_the_verifiers() {
    let ca = hokuto();
    let issuer = ca.issuer(&[], NOW).unwrap();
    let site = "ishikari-1".parse().unwrap();
    let ips = ["192.0.2.7".parse().unwrap()];
    let (member, key) = issuer.issue_member(&site, 3, &ips, Some(Area::Japan), DAY).unwrap();
    let peer = client(&ca, &member).unwrap();
    assert_eq!(peer.principal.to_string(), "hokuto/site/ishikari-1/member/3");
    assert_eq!(peer.residency.unwrap().area, Area::Japan);
    assert_eq!((peer.spki_sha256, peer.not_after), (member.spki_sha256, member.not_after));
    assert_eq!(peer.not_after, NOW.plus_ms(86_400_000));
    let chain = ders(&member.chain_pem);
    judge_server(&trusting(&ca), &Expect::AnyMember, &chain).unwrap();
    let pin = Expect::CaHash(root_hash(ca.root()));
    judge_server(&TrustBundles::new(clock()), &pin, &chain).unwrap();
    Identity::from_pem(&member.chain_pem, key.expose()).unwrap();
    assert!(!format!("{key:?}").contains("PRIVATE"));

    let (user, _key) = issuer
        .issue_user(&"alice".parse().unwrap(), Validity { lifetime: USER_LIFETIME_MAX, ..DAY })
        .unwrap();
    assert_eq!(client(&ca, &user).unwrap().principal.to_string(), "hokuto/user/alice");
    // Only members may answer.
    let as_server = judge_server(&trusting(&ca), &Expect::AnyMember, &ders(&user.chain_pem));
    assert!(matches!(as_server, Err(VerifyError::Path { .. })));
}

#[test]
fn of_a_signing_request_only_the_key_counts() {
    let ca = hokuto();
    let issuer = ca.issuer(&[], NOW).unwrap();
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let key = Key::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let uri = "spiffe://hokuto.example/site/tokyo-1/member/1";
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let greedy = params.serialize_request(&key.0).unwrap().pem().unwrap();
    let issued = issuer.issue_agent_from_csr(greedy.as_bytes(), &node, None, DAY).unwrap();
    let peer = client(&ca, &issued).unwrap();
    assert_eq!(peer.principal.to_string(), "hokuto/site/ishikari-1/node/n-01");
    assert_eq!(peer.spki_sha256, key.spki_sha256());
    let der = key.csr().unwrap();
    assert_eq!(Csr::verify(&der).unwrap().spki_sha256(), key.spki_sha256());
    // A renewal for the same key is another certificate.
    let again = issuer.issue_agent_from_csr(&der, &node, None, DAY).unwrap();
    assert_ne!(ders(&again.chain_pem)[0], ders(&issued.chain_pem)[0]);
}

#[test]
fn signing_requests_without_proof_of_possession_are_refused() {
    let (mine, theirs) = (Key::generate().unwrap(), Key::generate().unwrap());
    let good = mine.csr().unwrap();
    let (public, stolen) = (mine.0.public_key_raw(), theirs.0.public_key_raw());
    let at = good.windows(public.len()).position(|bytes| bytes == public).unwrap();
    let mut forged = good.clone();
    forged[at..at + public.len()].copy_from_slice(stolen);
    let refused = Csr::verify(&forged).unwrap_err().to_string();
    assert!(refused.contains("possession"), "{refused}");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = CertificateParams::default().serialize_request(&ed25519).unwrap();
    assert!(matches!(Csr::verify(other.der()), Err(PkiError::Csr(_))));
    for bad in [&b""[..], b"-----BEGIN", b"\x30\x00", &good[..good.len() - 1], &[0x30; 20_000]] {
        assert!(matches!(Csr::verify(bad), Err(PkiError::Csr(_))));
    }
}

#[test]
fn an_issuer_of_some_sites_issues_for_no_other() {
    let ca = hokuto();
    let issuer = ca.issuer(&["ishikari-1".parse().unwrap()], NOW).unwrap();
    let member = |site: &str| issuer.issue_member(&site.parse().unwrap(), 1, &[], None, DAY);
    client(&ca, &member("ishikari-1").unwrap().0).unwrap();
    assert!(matches!(member("tokyo-1"), Err(PkiError::NotPermitted(_))));
    let user = Validity { lifetime: USER_LIFETIME_MAX, ..DAY };
    let user = issuer.issue_user(&"alice".parse().unwrap(), user);
    assert!(matches!(user, Err(PkiError::NotPermitted(_))));
    // The certificate binds too, not only this program: an issuer that lies about its own limits gets nowhere.
    let mut liar = ca.issuer(&["ishikari-1".parse().unwrap()], NOW).unwrap();
    liar.permit_everything_for_tests();
    let (forged, _key) = liar.issue_member(&"tokyo-1".parse().unwrap(), 1, &[], None, DAY).unwrap();
    assert!(matches!(client(&ca, &forged), Err(VerifyError::Path { .. })));
}

#[test]
fn lifetimes_are_bounded() {
    let ca = hokuto();
    let issuer = ca.issuer(&[], NOW).unwrap();
    let member = |now, lifetime| {
        issuer.issue_member(&"a".parse().unwrap(), 1, &[], None, Validity { now, lifetime })
    };
    let second = Duration::from_secs(1);
    for bad in [Duration::ZERO, Duration::from_millis(999), LEAF_LIFETIME_MAX + second] {
        assert!(matches!(member(NOW, bad), Err(PkiError::Lifetime { .. })), "{bad:?}");
    }
    let long = Validity { lifetime: USER_LIFETIME_MAX + second, ..DAY };
    let user = issuer.issue_user(&"alice".parse().unwrap(), long);
    assert!(matches!(user, Err(PkiError::Lifetime { .. })));
    // No leaf outlives its issuer.
    let late = Timestamp(issuer.not_after().0 - 5000);
    assert_eq!(member(late, LEAF_LIFETIME_MAX).unwrap().0.not_after, issuer.not_after());
    assert!(matches!(member(issuer.not_after(), second), Err(PkiError::IssuerExpired(_))));
}

#[test]
fn authorities_survive_a_round_trip_through_their_files() {
    let (ca, dir) = (hokuto(), tempfile::tempdir().unwrap());
    ca.save(dir.path()).unwrap();
    let again = OperatorCa::load(dir.path()).unwrap();
    assert_eq!((again.bundle(), again.trust_domain()), (ca.bundle(), ca.trust_domain()));
    assert_eq!(Bundle::from_pem("hokuto".parse().unwrap(), &ca.root_pem()).unwrap(), ca.bundle());
    again.issuer(&["ishikari-1".parse().unwrap()], NOW).unwrap().save(dir.path()).unwrap();
    let issuer = Issuer::load(dir.path()).unwrap();
    let site = "ishikari-1".parse().unwrap();
    let (member, key) = issuer.issue_member(&site, 1, &[], None, DAY).unwrap();
    client(&ca, &member).unwrap();
    issuer.issue_member(&"tokyo-1".parse().unwrap(), 1, &[], None, DAY).unwrap_err();
    file::write(&dir.path().join(file::CHAIN_FILE), &member.chain_pem).unwrap();
    file::write(&dir.path().join(file::KEY_FILE), key.expose()).unwrap();
    let identity = Identity::load(dir.path()).unwrap();
    assert_eq!(identity.validity().1, member.not_after);
    identity.reload(dir.path()).unwrap();
    // Someone else's issuer key is noticed at load.
    let stranger = Key::generate().unwrap();
    file::write(&dir.path().join(file::ISSUER_KEY_FILE), stranger.pem().expose()).unwrap();
    assert!(matches!(Issuer::load(dir.path()), Err(PkiError::Certificate(_))));
    let underscore = OperatorCa::create("hokuto".parse().unwrap(), domain("hoku_to.example"), NOW);
    assert!(matches!(underscore, Err(PkiError::NotDns(_))));
}
