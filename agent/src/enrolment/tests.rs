//! Sound answers to a join, and every way to spoil one.

use super::*;
use sekisho_evidence::bundle::Endorser;
use sekisho_evidence::operator::{BackupKey, Keys};
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_proto::internal::v1::{MemberEndpoint, OperatorRoot};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_types::id::ClusterId;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A bundle of one operator whose root is nobody's.
pub(crate) fn bundle() -> EndorserBundle {
    bundle_of(Digest([9; 32]))
}

fn bundle_of(root_hash: Digest) -> EndorserBundle {
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
    let operator: OperatorId = "hokuto".parse().unwrap();
    EndorserBundle {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 1,
        endorsers: vec![Endorser {
            operator: operator.clone(),
            member: MemberId(1),
            public_key: key(1),
        }],
        operators: vec![OperatorKeys {
            operator,
            trust_domain: TrustDomain::parse("hokuto.example").unwrap(),
            issuers: Keys::one(key(2)),
            site_tags: Keys::one(key(3)),
            roots: Keys::one(root_hash),
            backups: Keys::one(BackupKey([4; 32])),
        }],
    }
}

/// A federation of one operator, and a sound answer to a join of its node.
struct Scene {
    bundle: EndorserBundle,
    node: NodeId,
    secrets: Secrets,
    answer: JoinResponse,
    ca: OperatorCa,
}

fn scene(area: &str) -> Scene {
    let clock = clock();
    let now = clock.wall();
    let domain = TrustDomain::parse("hokuto.example").unwrap();
    let ca = OperatorCa::create("hokuto".parse().unwrap(), domain, now).unwrap();
    let bundle = bundle_of(Digest::of(ca.root()));
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let key = Key::generate().unwrap();
    let secrets = Secrets { key_pem: key.pem().expose().to_owned(), receipt_seed: [4; 32] };
    let tag = tag(&node, area, &key, now);
    let answer = JoinResponse {
        certificate_chain: chain(&ca, &node, &key),
        site_tag: tag.0.into(),
        bundle: encode(&bundle).unwrap().into(),
        members: vec![MemberEndpoint {
            member: 1,
            operator: "hokuto".into(),
            site: "ishikari-1".into(),
            address: "127.0.0.1:7443".into(),
        }],
        roots: vec![OperatorRoot {
            operator: "hokuto".into(),
            trust_domain: "hokuto.example".into(),
            root: ca.root().to_vec().into(),
        }],
    };
    Scene { bundle, node, secrets, answer, ca }
}

/// What a host in Japan has after joining.
pub(crate) fn joined() -> Enrolment {
    scene("012351").judge().unwrap()
}

fn tag(node: &NodeId, area: &str, key: &Key, now: Timestamp) -> SignedTag {
    let tag = SiteTag {
        cluster: ClusterId([1; 16]),
        operator: "hokuto".parse().unwrap(),
        node: node.clone(),
        area: TagArea::resolve(area).unwrap(),
        node_key: key.spki_sha256(),
        issued: Timestamp(now.0 - 1000),
        expires: Timestamp(now.0 + 3_600_000),
        serial: 1,
    };
    tag.sign(&SigningKey::from_seed(&[3; 32])).unwrap()
}

fn chain(ca: &OperatorCa, node: &NodeId, key: &Key) -> Vec<tonic::codegen::Bytes> {
    let validity = Validity { now: clock().wall(), lifetime: HOUR };
    let issuer = ca.issuer(&[], validity.now).unwrap();
    let issued = issuer.issue_agent_from_csr(&key.csr().unwrap(), node, None, validity).unwrap();
    use rustls_pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes())
        .map(|der| der.unwrap().to_vec().into())
        .collect()
}

impl Scene {
    fn judge(&self) -> Result<Enrolment, Failure> {
        let root_hash = Digest::of(self.ca.root());
        let bundle = self.bundle.hash().unwrap();
        let pinned = Pinned { node: &self.node, bundle, root_hash };
        Enrolment::judge(pinned, self.secrets.clone(), &self.answer, &clock())
    }
}

/// Members come and go: a renewal is judged by the bundle that is held, and leaves it and its roots as they are.
#[test]
fn a_renewal_after_a_change_of_members_keeps_the_held_bundle() {
    let mut scene = scene("012351");
    let enrolment = scene.judge().unwrap();
    let mut next = scene.bundle.clone();
    next.version += 1;
    next.endorsers.retain(|endorser| endorser.member.0 != 2);
    scene.answer.bundle = encode(&next).unwrap().into();
    scene.answer.roots[0].root = vec![1].into();
    let refused = scene.judge().unwrap_err();
    assert_eq!(refused.code, ErrorCode::BundleMismatch);
    scene.answer.members[0].address = "127.0.0.1:9".into();
    let renewed = enrolment.renewed(&scene.answer, &clock()).unwrap();
    assert_eq!((&renewed.bundle, &renewed.roots), (&enrolment.bundle, &enrolment.roots));
    assert_eq!(renewed.members[0].address, "127.0.0.1:9");
    // Under it nothing is laxer.
    let key = Key::from_pem(&scene.secrets.key_pem).unwrap();
    scene.answer.certificate_chain = chain(&self::scene("JP").ca, &scene.node, &key);
    let refused = enrolment.renewed(&scene.answer, &clock()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}

#[test]
fn a_sound_answer_becomes_an_enrolment_that_survives_on_disk() {
    let scene = scene("012351");
    let enrolment = scene.judge().unwrap();
    assert_eq!(enrolment.operator.as_str(), "hokuto");
    assert_eq!(enrolment.members[0].principal().to_string(), "hokuto/site/ishikari-1/member/1");
    enrolment.identity().unwrap();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Enrolment::load(dir.path()).unwrap(), None);
    enrolment.store(dir.path()).unwrap();
    assert_eq!(Enrolment::load(dir.path()).unwrap().as_ref(), Some(&enrolment));
    assert!(!format!("{enrolment:?}").contains("PRIVATE"));
    std::fs::write(dir.path().join("enrolment"), "rubbish").unwrap();
    assert_eq!(Enrolment::load(dir.path()).unwrap_err().code, ErrorCode::StorageFailed);
}

#[test]
fn a_tag_abroad_is_refused_as_that() {
    let failure = scene("KR-26").judge().unwrap_err();
    assert_eq!((failure.code, failure.exit()), (ErrorCode::ResidencyOutsideJp, 4));
    assert!(failure.cause.contains("KR-26"));
}

#[test]
fn what_does_not_follow_from_the_token_is_refused() {
    type Spoil = fn(&mut Scene);
    let cases: [(&str, ErrorCode, Spoil); 11] = [
        ("another bundle", ErrorCode::BundleMismatch, |s| {
            let bundle = EndorserBundle { version: 2, ..s.bundle.clone() };
            s.answer.bundle = encode(&bundle).unwrap().into();
        }),
        ("no member", ErrorCode::BundleMismatch, |s| s.answer.members.clear()),
        ("an unknown member", ErrorCode::BundleMismatch, |s| s.answer.members[0].member = 2),
        ("an address", ErrorCode::BundleMismatch, |s| {
            s.answer.members[0].address = "http://x".into();
        }),
        ("no root", ErrorCode::BundleMismatch, |s| s.answer.roots.clear()),
        ("a root twice", ErrorCode::BundleMismatch, |s| {
            let root = s.answer.roots[0].clone();
            s.answer.roots.push(root);
        }),
        ("another root", ErrorCode::BundleMismatch, |s| {
            s.answer.roots[0].root = scene("JP").ca.root().to_vec().into();
        }),
        ("a chain of another authority", ErrorCode::Unauthenticated, |s| {
            let key = Key::from_pem(&s.secrets.key_pem).unwrap();
            s.answer.certificate_chain = chain(&scene("JP").ca, &s.node, &key);
        }),
        ("a certificate of another node", ErrorCode::Unauthenticated, |s| {
            let key = Key::from_pem(&s.secrets.key_pem).unwrap();
            let other = "ishikari-1/n-02".parse().unwrap();
            s.answer.certificate_chain = chain(&s.ca, &other, &key);
        }),
        ("a certificate of another key", ErrorCode::Unauthenticated, |s| {
            s.answer.certificate_chain = chain(&s.ca, &s.node, &Key::generate().unwrap());
        }),
        ("a tag of another key", ErrorCode::TagInvalid, |s| {
            let other = Key::generate().unwrap();
            s.answer.site_tag = tag(&s.node, "012351", &other, clock().wall()).0.into();
        }),
    ];
    for (what, code, spoil) in cases {
        let mut scene = scene("012351");
        spoil(&mut scene);
        let failure = scene.judge().expect_err(what);
        assert_eq!(failure.code, code, "{what}: {failure}");
    }
}
