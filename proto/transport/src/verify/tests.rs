//! Chains that must be refused, and the few that must not. The eleven numbered cases are those in which stock
//! validation is wrong or surprising about location.

use super::*;
use crate::fixture::{
    Authority, Constraint, LeafBuilder, domain, location, residency, trust, trust_at,
};
use rcgen::ExtendedKeyUsagePurpose as Usage;
use std::time::Duration;

const HOME: &str = "/site/ishikari-1/member/1";
const AWAY: &str = "/site/tokyo-1/member/1";
const DOMAIN: &str = "hokuto.example";

fn hokuto(constraint: &Constraint) -> Authority {
    Authority::constrained("hokuto", constraint)
}

fn ishikari() -> Authority {
    hokuto(&Constraint::Dns("ishikari-1.hokuto.example".to_owned()))
}

/// The verdict of both verifiers, which must agree.
fn verdict(authority: &Authority, leaf: &LeafBuilder<'_>) -> Result<PeerIdentity, VerifyError> {
    judge_both(authority, &leaf.issue().der)
}

fn judge_both(
    authority: &Authority,
    chain: &[CertificateDer<'_>],
) -> Result<PeerIdentity, VerifyError> {
    let bundles = trust(&[authority]);
    let client = judge_client(&bundles, chain);
    let server = judge_server(&bundles, &Expect::AnyMember, chain);
    match (&client, &server) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{client:?} but {server:?}"),
    }
    client
}

fn path_refused(result: &Result<PeerIdentity, VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Path { .. }))
}

fn leaf_refused(result: Result<PeerIdentity, VerifyError>) -> LeafError {
    match result {
        Err(VerifyError::Leaf(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn cases_1_to_4_dns_constraints_bind_because_every_leaf_has_its_dns_name() {
    let site = ishikari();
    let good = verdict(&site, &site.leaf(HOME)).unwrap();
    assert_eq!(good.site.as_ref().map(ToString::to_string).as_deref(), Some("ishikari-1"));
    assert_eq!(good.principal.to_string(), "hokuto/site/ishikari-1/member/1");
    assert_eq!((good.trust_domain, good.residency), (domain(DOMAIN), None));
    // 2: another site, consistently claimed.
    assert!(path_refused(&verdict(&site, &site.leaf(AWAY))));
    // 3: another site, with a URI SAN alone. Stock validation accepts.
    assert_eq!(leaf_refused(verdict(&site, &site.leaf(AWAY).dns(&[]))), LeafError::NoDnsSan);
    // 4: the DNS name of home, the SPIFFE id of elsewhere. Stock validation accepts.
    let lie = site.leaf(AWAY).dns(&["member-1.ishikari-1.hokuto.example"]);
    assert!(matches!(leaf_refused(verdict(&site, &lie)), LeafError::DnsMismatch { .. }));
}

#[test]
fn cases_5_and_6_directory_constraints_fail_closed() {
    let japan = hokuto(&Constraint::Directory);
    assert!(path_refused(&verdict(&japan, &japan.leaf(HOME).subject_in_japan())));
    assert!(path_refused(&verdict(&japan, &japan.leaf(HOME))));
}

#[test]
fn cases_7_and_8_uri_constraints_fail_closed() {
    let japan = hokuto(&Constraint::Uri(DOMAIN.to_owned()));
    assert!(path_refused(&verdict(&japan, &japan.leaf(HOME))));
    // Stock validation accepts a leaf without any URI.
    assert_eq!(leaf_refused(verdict(&japan, &japan.leaf(HOME).uris(&[]))), LeafError::UriSans(0));
}

#[test]
fn cases_9_to_11_unknown_extensions_are_refused_only_where_critical() {
    let plain = ishikari();
    assert!(path_refused(&verdict(&plain, &plain.leaf(HOME).extension(location(true)))));
    assert_eq!(
        verdict(&plain, &plain.leaf(HOME).extension(location(false))).unwrap().residency,
        None
    );
    let marked = hokuto(&Constraint::CriticalExtension);
    assert!(path_refused(&verdict(&marked, &marked.leaf(HOME))));
}

#[test]
fn the_residency_extension_is_a_claim_about_the_same_site() {
    let site = ishikari();
    let with = |text: &str, critical| {
        verdict(&site, &site.leaf(HOME).extension(residency(text, critical)))
    };
    let claim = with("ishikari-1/JP", false).unwrap().residency.unwrap();
    assert_eq!((claim.site.as_str(), claim.area.to_string()), ("ishikari-1", "JP".to_owned()));
    let other = leaf_refused(with("tokyo-1/JP", false));
    assert!(matches!(other, LeafError::ResidencySite { .. }), "{other}");
    for bad in ["ishikari-1", "ishikari-1/KR", "ishikari-1/jp", "/JP", ""] {
        assert!(matches!(leaf_refused(with(bad, false)), LeafError::Residency(_)), "{bad}");
    }
    // Stock peers would refuse a critical one, and so do we.
    assert!(path_refused(&with("ishikari-1/JP", true)));
    let twice = site.leaf(HOME).extension(residency("ishikari-1/JP", false));
    let twice = twice.extension(residency("ishikari-1/JP", false));
    verdict(&site, &twice).unwrap_err();
    // Users belong to no site.
    let whole = Authority::new("hokuto");
    let user = whole.leaf("/user/alice").extension(residency("ishikari-1/JP", false));
    let refused = leaf_refused(judge_client(&trust(&[&whole]), &user.issue().der));
    assert!(matches!(refused, LeafError::ResidencySite { .. }));
}

#[test]
fn names_that_are_not_exactly_one_known_spiffe_id_are_refused() {
    let a = Authority::new("hokuto");
    let uris = |uris: &[&str]| leaf_refused(verdict(&a, &a.leaf(HOME).uris(uris)));
    let home = format!("spiffe://{DOMAIN}{HOME}");
    assert_eq!(uris(&[&home, "spiffe://kanto.example/user/alice"]), LeafError::UriSans(2));
    assert_eq!(uris(&[&home, &home]), LeafError::UriSans(2));
    for (uri, what) in [
        ("https://hokuto.example/site/ishikari-1/member/1", "scheme"),
        ("SPIFFE://hokuto.example/site/ishikari-1/member/1", "scheme in capitals"),
        ("spiffe://hokuto.example", "no path"),
    ] {
        assert!(matches!(uris(&[uri]), LeafError::NotSpiffe(_)), "{what}");
    }
    for uri in [
        "spiffe://Hokuto.example/site/ishikari-1/member/1",
        "spiffe:///user/alice",
        "spiffe://u@hokuto.example/user/alice",
        "spiffe://hokuto.example:443/user/alice",
    ] {
        assert!(matches!(uris(&[uri]), LeafError::TrustDomain(_)), "{uri}");
    }
    for path in [
        "/",
        "/site/ishikari-1/member/01",
        "/site/ishikari-1/member/1/",
        "/admin/root",
        "/site/ishikari-1/member/1?x=1",
        "/site/ishikari-1/member/1#x",
        "/user/%61lice",
    ] {
        let uri = format!("spiffe://{DOMAIN}{path}");
        assert!(matches!(uris(&[&uri]), LeafError::Workload(_)), "{path}");
    }
    // No SAN extension at all.
    assert_eq!(leaf_refused(verdict(&a, &a.leaf(HOME).uris(&[]).dns(&[]))), LeafError::UriSans(0));
    assert_eq!(leaf_refused(verdict(&a, &a.leaf(HOME).email())), LeafError::OtherSan);
    let capitals = a.leaf(HOME).dns(&["MEMBER-1.ishikari-1.hokuto.example"]);
    assert!(matches!(leaf_refused(verdict(&a, &capitals)), LeafError::DnsMismatch { .. }));
}

#[test]
fn an_operator_cannot_mint_for_another() {
    let (kanto, hokuto) = (Authority::new("kanto"), Authority::new("hokuto"));
    let bundles = trust(&[&kanto, &hokuto]);
    let claims = format!("spiffe://{DOMAIN}{HOME}");
    let names = ["member-1.ishikari-1.hokuto.example"];
    let forged = kanto.leaf(HOME).uris(&[&claims]).dns(&names).issue();
    assert!(path_refused(&judge_client(&bundles, &forged.der)));
    assert!(path_refused(&judge_server(&bundles, &Expect::AnyMember, &forged.der)));
    let real = hokuto.leaf(HOME).issue();
    assert_eq!(judge_client(&bundles, &real.der).unwrap().principal.operator.as_str(), "hokuto");
    // Nobody's bundle.
    let unknown = Authority::new("naniwa").leaf(HOME).issue();
    let refused = judge_client(&bundles, &unknown.der);
    assert!(matches!(refused, Err(VerifyError::UnknownDomain(_))));
    assert!(matches!(judge_client(&bundles, &[]), Err(VerifyError::NoCertificate)));
}

#[test]
fn time_purpose_and_kind_of_certificate_are_checked() {
    let a = Authority::new("hokuto");
    for days in [(-2, -1), (1, 2)] {
        assert!(path_refused(&verdict(&a, &a.leaf(HOME).days(days.0, days.1))), "{days:?}");
    }
    assert!(path_refused(&verdict(&a, &a.leaf(HOME).usage(&[Usage::CodeSigning]))));
    assert_eq!(leaf_refused(verdict(&a, &a.leaf(HOME).usage(&[]))), LeafError::NoPurpose);
    assert_eq!(leaf_refused(verdict(&a, &a.leaf(HOME).usage(&[Usage::Any]))), LeafError::NoPurpose);
    // A client's certificate is no server's.
    let client = a.leaf(HOME).usage(&[Usage::ClientAuth]).issue();
    let bundles = trust(&[&a]);
    judge_client(&bundles, &client.der).unwrap();
    assert!(path_refused(&judge_server(&bundles, &Expect::AnyMember, &client.der)));
    assert!(path_refused(&verdict(&a, &a.leaf(HOME).authority())));
    let alone = a.leaf(HOME).self_signed();
    assert!(path_refused(&judge_both(&a, &alone.der)));
    assert!(path_refused(&judge_both(&a, &alone.der[..1])));
    // Without the intermediate there is no path; an authority's own certificate is no leaf.
    assert!(path_refused(&judge_both(&a, &a.leaf(HOME).issue().der[..1])));
    leaf_refused(judge_both(&a, &[a.intermediate()]));
    let garbage = [CertificateDer::from(vec![0x30, 0x00])];
    assert_eq!(leaf_refused(judge_both(&a, &garbage)), LeafError::Encoding("not X.509"));
}

#[test]
fn a_certificate_is_refused_from_the_instant_of_its_end() {
    let (a, clock) = (Authority::new("hokuto"), crate::fixture::clock());
    let bundles = trust_at(clock.clone(), &[&a]);
    let leaf = a.leaf(HOME).issue();
    clock.advance(Duration::from_secs(86_400));
    judge_client(&bundles, &leaf.der).unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(path_refused(&judge_client(&bundles, &leaf.der)));
}

#[test]
fn a_server_must_be_whom_the_dialler_expects() {
    let a = Authority::new("hokuto");
    let bundles = trust(&[&a]);
    let judge = |path: &str, expect: &Expect| {
        let result = judge_server(&bundles, expect, &a.leaf(path).issue().der);
        assert!(matches!(result, Ok(_) | Err(VerifyError::NotExpected { .. })), "{result:?}");
        result.is_ok()
    };
    let exactly = |text: &str| Expect::Principal(text.parse().unwrap());
    assert!(judge(HOME, &exactly("hokuto/site/ishikari-1/member/1")));
    assert!(!judge(HOME, &exactly("hokuto/site/ishikari-1/member/2")));
    assert!(!judge(HOME, &exactly("kanto/site/ishikari-1/member/1")));
    for path in ["/site/ishikari-1/node/n-01", "/user/alice"] {
        assert!(!judge(path, &Expect::AnyMember));
    }
    let of = |operators: &[&str]| {
        Expect::MemberOf(operators.iter().map(|operator| operator.parse().unwrap()).collect())
    };
    assert!(judge(HOME, &of(&["kanto", "hokuto"])));
    assert!(!judge(HOME, &of(&["kanto"])) && !judge(HOME, &of(&[])));
    // A landmark measures, and is no member.
    let landmark = |operator: &str| Expect::LandmarkOf([operator.parse().unwrap()].into());
    for path in [HOME, "/landmark/otemachi"] {
        assert!(judge(path, &landmark("hokuto")) && !judge(path, &landmark("kanto")));
    }
    assert!(!judge("/site/ishikari-1/node/n-01", &landmark("hokuto")));
    assert!(!judge("/landmark/otemachi", &of(&["hokuto"])));
    assert!(!judge("/landmark/otemachi", &Expect::AnyMember));
}

#[test]
fn a_joining_agent_needs_no_bundle_but_the_right_root() {
    let (a, b) = (Authority::new("hokuto"), Authority::new("kanto"));
    let none = trust(&[]);
    let judge = |hash: Digest, chain: &[CertificateDer<'_>]| {
        judge_server(&none, &Expect::CaHash(hash), chain)
    };
    let (good, hash) = (a.leaf(HOME).issue(), Digest::of(&a.root()));
    let peer = judge(hash, &good.der).unwrap();
    assert_eq!(peer.principal.to_string(), "hokuto/site/ishikari-1/member/1");
    let missing = judge(hash, &good.der[..2]);
    assert!(matches!(missing, Err(VerifyError::RootNotPresented(_))));
    let other = judge(Digest::of(&b.root()), &good.der);
    assert!(matches!(other, Err(VerifyError::RootNotPresented(_))));
    // The right root beside someone else's chain.
    let mut borrowed = b.leaf(HOME).issue().der;
    borrowed.push(a.root());
    assert!(path_refused(&judge(hash, &borrowed)));
    // A leaf is no root of itself.
    let leaf = Digest::of(&good.der[0]);
    assert!(matches!(judge(leaf, &good.der), Err(VerifyError::RootNotPresented(_))));
    let agent = a.leaf("/site/ishikari-1/node/n-01").issue();
    assert!(matches!(judge(hash, &agent.der), Err(VerifyError::NotExpected { .. })));
    // A pin speaks for nobody else: the same bundles still know no domain.
    let plain = judge_server(&none, &Expect::AnyMember, &good.der);
    assert!(matches!(plain, Err(VerifyError::UnknownDomain(_))));
}
