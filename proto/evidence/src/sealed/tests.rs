//! Sealing and opening, and everything that must not open.

use super::*;
use crate::key::SigningKey;
use crate::operator::{BackupKey, Keys, OperatorKeys};
use proptest::prelude::*;
use sekisho_types::id::PublicKey;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::TrustDomain;

const TEXT: &[u8] = b"python train.py with DB_PASSWORD=himitsu";

fn secret(site: &str, epoch: u32) -> SiteSecretKey {
    let seed = Digest::of(format!("{site} {epoch}").as_bytes()).0;
    SiteSecretKey::from_seed(site.parse().unwrap(), KeyEpoch(epoch), &seed)
}

fn public(site: &str) -> SitePublicKey {
    secret(site, 1).public().clone()
}

fn context() -> Context {
    Context { cluster: ClusterId([1; 16]), scope: Digest([2; 32]) }
}

fn sealed() -> SealedPayload {
    seal(TEXT, &[public("tokyo-1"), public("ishikari-1")], &context(), &[9; 32]).unwrap().0
}

fn read(sealed: &SealedPayload, own: &SiteSecretKey) -> Result<Vec<u8>, SealError> {
    sealed.open(own, &context()).map(|opened| opened.payload().to_vec())
}

#[test]
fn it_opens_at_its_sites_and_nowhere_else() {
    let sealed = sealed();
    for site in ["tokyo-1", "ishikari-1"] {
        assert_eq!(read(&sealed, &secret(site, 1)), Ok(TEXT.to_vec()), "{site}");
    }
    let sites: Vec<_> = sealed.sites().map(|(site, epoch)| (site.as_str(), epoch.0)).collect();
    assert_eq!(sites, [("ishikari-1", 1), ("tokyo-1", 1)]);
    let refused = read(&sealed, &secret("sakai-1", 1)).unwrap_err();
    assert_eq!(refused.to_string(), "payload not sealed to sakai-1");
    assert_eq!(refused.code(), ErrorCode::PayloadNotSealed);
    // Another site's key under the name of an allowed one.
    let seed = Digest::of(b"sakai-1 1").0;
    let posing = SiteSecretKey::from_seed("tokyo-1".parse().unwrap(), KeyEpoch(1), &seed);
    assert_eq!(read(&sealed, &posing), Err(SealError::Unopenable));
    let bytes = sealed.bytes().unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"himitsu"));
}

/// After a revoke the site has another key: what is sealed to the old one has to be sealed anew.
#[test]
fn a_key_of_another_epoch_opens_nothing() {
    let (sealed, next) = (sealed(), secret("tokyo-1", 2));
    let refused = read(&sealed, &next).unwrap_err();
    let site = next.public().site.clone();
    assert_eq!(
        refused,
        SealError::Epoch { site: site.clone(), sealed: KeyEpoch(1), held: KeyEpoch(2) }
    );
    assert_eq!(refused.code(), ErrorCode::PayloadNotSealed);
    assert_eq!(sealed.check_sealed_to(&site, KeyEpoch(2)), Err(refused));
    assert_eq!(sealed.check_sealed_to(&site, KeyEpoch(1)), Ok(()));
    let own = secret("ishikari-1", 1);
    let keys = [public("ishikari-1"), next.public().clone()];
    let opener = Opener::Site(&own);
    let (again, _key) = sealed.reseal(opener, &keys, &context(), &[8; 32]).unwrap();
    assert_eq!(read(&again, &next), Ok(TEXT.to_vec()));
    assert!(matches!(read(&again, &secret("tokyo-1", 1)), Err(SealError::Epoch { .. })));
}

#[test]
fn it_opens_for_its_cluster_and_scope_only() {
    let (sealed, own) = (sealed(), secret("tokyo-1", 1));
    for other in [
        Context { cluster: ClusterId([0; 16]), ..context() },
        Context { scope: Digest([0; 32]), ..context() },
        Context::of_job(context().cluster, &"sapporo/train-01".parse().unwrap()).unwrap(),
    ] {
        assert!(matches!(sealed.open(&own, &other), Err(SealError::Unopenable)));
    }
}

#[test]
fn every_job_is_a_scope_of_its_own() {
    let of = |job: &str| Context::of_job(ClusterId([1; 16]), &job.parse().unwrap()).unwrap();
    assert_eq!(of("sapporo/train-01"), of("sapporo/train-01"));
    assert_ne!(of("sapporo/train-01").scope, of("sapporo/train-02").scope);
    assert_ne!(of("sapporo/train-01").scope, of("otaru/train-01").scope);
}

#[test]
fn every_flipped_bit_is_refused_at_every_site() {
    let bytes = sealed().bytes().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(sealed) = SealedPayload::parse(&bytes) else { continue };
        for site in ["tokyo-1", "ishikari-1"] {
            assert!(sealed.open(&secret(site, 1), &context()).is_err(), "bit {bit}, {site}");
        }
    }
}

#[test]
fn spliced_recipients_are_refused() {
    let other = seal(b"another", &[public("sakai-1"), public("tokyo-1")], &context(), &[7; 32]);
    let other = other.unwrap().0;
    let good = sealed();
    let refused = |sealed: &SealedPayload| {
        for site in ["tokyo-1", "ishikari-1", "sakai-1"] {
            assert!(read(sealed, &secret(site, 1)).is_err(), "{site}");
        }
    };
    // One recipient taken away, one added, one exchanged, all exchanged, and the contents exchanged.
    let mut fewer = good.clone();
    fewer.recipients.truncate(1);
    refused(&fewer);
    let mut more = good.clone();
    more.recipients.insert(1, other.recipients[0].clone());
    refused(&more);
    let mut exchanged = good.clone();
    exchanged.recipients[1] = other.recipients[1].clone();
    refused(&exchanged);
    refused(&SealedPayload { recipients: other.recipients.clone(), ..good.clone() });
    refused(&SealedPayload { ciphertext: other.ciphertext, ..good.clone() });
    refused(&SealedPayload { commitment: other.commitment, ..good.clone() });
    // Two sites under each other's name.
    let mut swapped = good;
    let (one, rest) = swapped.recipients.split_first_mut().unwrap();
    std::mem::swap(&mut one.wrapped, &mut rest[0].wrapped);
    refused(&swapped);
}

/// Whoever seals could prepare one ciphertext for two keys; the commitment lets only one text through.
#[test]
fn what_does_not_have_the_commitment_is_refused() {
    let own = secret("tokyo-1", 1);
    let (good, key) = seal(TEXT, &[public("tokyo-1")], &context(), &[9; 32]).unwrap();
    let aad = content_aad(&context(), &good.commitment, &good.recipients).unwrap();
    let mut other = Opened::new(b"another", &Secret::new([3; 32])).salted.to_vec();
    encrypt(&key.0, &aad, &mut other).unwrap();
    let forged = SealedPayload { ciphertext: other, ..good.clone() };
    assert_eq!(read(&forged, &own), Err(SealError::Unopenable));
    let mut empty = vec![];
    encrypt(&key.0, &aad, &mut empty).unwrap();
    let forged = SealedPayload { ciphertext: empty, ..good };
    assert_eq!(read(&forged, &own), Err(SealError::Unopenable));
}

#[test]
fn sealing_anew_adds_a_site_and_keeps_the_commitment() {
    let keys = [public("tokyo-1"), public("ishikari-1")];
    let (first, kept) = seal(TEXT, &keys, &context(), &[9; 32]).unwrap();
    let more = [&keys[..], &[public("sakai-1")]].concat();
    let own = secret("tokyo-1", 1);
    for opener in [Opener::Site(&own), Opener::Content(&kept)] {
        let (again, key) = first.reseal(opener, &more, &context(), &[8; 32]).unwrap();
        for site in ["tokyo-1", "ishikari-1", "sakai-1"] {
            assert_eq!(read(&again, &secret(site, 1)), Ok(TEXT.to_vec()), "{site}");
        }
        assert_eq!(again.commitment(), first.commitment());
        // The key is another, so what the added site has opens nothing of before.
        assert_ne!(key.bytes(), kept.bytes());
        let refused = first.open_by(Opener::Content(&key), &context()).unwrap_err();
        assert_eq!(refused, SealError::Unopenable);
        let refused = read(&first, &secret("sakai-1", 1)).unwrap_err();
        assert_eq!(refused, SealError::NotSealed("sakai-1".parse().unwrap()));
        let bytes = again.bytes().unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"himitsu"));
    }
    let foreign = secret("sakai-1", 1);
    let refused = first.reseal(Opener::Site(&foreign), &more, &context(), &[8; 32]);
    assert_eq!(refused.unwrap_err(), SealError::NotSealed("sakai-1".parse().unwrap()));
    let wrong = ContentKey::from_bytes([0; 32]);
    let refused = first.reseal(Opener::Content(&wrong), &more, &context(), &[8; 32]);
    assert_eq!(refused.unwrap_err(), SealError::Unopenable);
}

/// A seed that came twice would otherwise encrypt two texts under one key and nonce.
#[test]
fn a_repeated_seed_still_gives_every_payload_its_own_key() {
    let key = |payload: &[u8], site: &str| {
        *seal(payload, &[public(site)], &context(), &[9; 32]).unwrap().1.bytes()
    };
    assert_eq!(key(b"a", "tokyo-1"), key(b"a", "tokyo-1"));
    assert_ne!(key(b"a", "tokyo-1"), key(b"b", "tokyo-1"));
    assert_ne!(key(b"a", "tokyo-1"), key(b"a", "sakai-1"));
}

#[test]
fn recipients_and_length_are_bounded() {
    let refused = |payload: &[u8], keys: &[SitePublicKey]| {
        seal(payload, keys, &context(), &[9; 32]).unwrap_err()
    };
    assert_eq!(refused(TEXT, &[]), SealError::Recipients(0));
    let twice = [public("tokyo-1"), secret("tokyo-1", 2).public().clone()];
    assert_eq!(refused(TEXT, &twice), SealError::Twice("tokyo-1".parse().unwrap()));
    let weak = SitePublicKey { key: [0; 32], ..public("tokyo-1") };
    assert_eq!(refused(TEXT, &[weak]), SealError::WeakKey("tokyo-1".parse().unwrap()));
    let longest = |n: usize| public(&format!("a{n:0>62}"));
    let most: Vec<_> = (0..RECIPIENTS_MAX).map(longest).collect();
    let many: Vec<_> = (0..=RECIPIENTS_MAX).map(longest).collect();
    assert_eq!(refused(TEXT, &many), SealError::Recipients(RECIPIENTS_MAX + 1));
    let large = vec![7; PAYLOAD_MAX];
    assert!(matches!(refused(&large, &most), SealError::TooLarge(_)));
    assert!(matches!(refused(&[7; PAYLOAD_MAX + 1], &most), SealError::TooLarge(_)));
    // The entries of all sites with the longest names take at most 10 KiB.
    let room = PAYLOAD_MAX - 10 * 1024;
    let (full, _key) = seal(&large[..room], &most, &context(), &[9; 32]).unwrap();
    let bytes = full.bytes().unwrap();
    assert!(bytes.len() <= PAYLOAD_MAX, "{}", bytes.len());
    assert_eq!(SealedPayload::parse(&bytes), Ok(full));
}

#[test]
fn only_the_one_form_is_parsed() {
    let good = sealed();
    let bytes = good.bytes().unwrap();
    assert_eq!(SealedPayload::parse(&bytes), Ok(good.clone()));
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(SealedPayload::parse(&longer), Err(SealError::Malformed(_))));
    assert!(matches!(SealedPayload::parse(&[]), Err(SealError::Malformed(_))));
    let later = [&[2], &bytes[1..]].concat();
    assert_eq!(SealedPayload::parse(&later), Err(SealError::Format(2)));
    let large = vec![1; PAYLOAD_MAX + 1];
    assert_eq!(SealedPayload::parse(&large), Err(SealError::TooLarge(PAYLOAD_MAX + 1)));
    let mut turned = good.clone();
    turned.recipients.reverse();
    assert!(matches!(SealedPayload::parse(&turned.bytes().unwrap()), Err(SealError::Twice(_))));
    let none = SealedPayload { recipients: vec![], ..good };
    assert_eq!(SealedPayload::parse(&none.bytes().unwrap()), Err(SealError::Recipients(0)));
}

/// The bytes lie in logs and snapshots: a change here is a new format, not an edit.
#[test]
fn golden_bytes_of_format_1() {
    let bytes = sealed().bytes().unwrap();
    assert_eq!(Digest::of(&bytes).to_string(), GOLDEN);
    let site = delivery(&node("tokyo-1/n-01")).bytes().unwrap();
    assert_eq!(Digest::of(&site).to_string(), GOLDEN_SITE_KEY);
}
const GOLDEN: &str = "7f3312fbd617262f414ba922353e9e7f65e16b648f8078b87f8848bdc0edc1f6";
const GOLDEN_SITE_KEY: &str = "bb3d78ae9afa67c65816a6c4aaa6bae2600251e1fb96c7c74eb6111b4d4a4da6";

#[test]
fn nothing_secret_is_shown() {
    let own = secret("tokyo-1", 1);
    let (sealed, key) = seal(TEXT, &[public("tokyo-1")], &context(), &[9; 32]).unwrap();
    let opened = sealed.open(&own, &context()).unwrap();
    assert_eq!(format!("{key:?} {opened:?}"), "ContentKey(..) Opened(40 bytes)");
    let (shown, hidden) = (format!("{own:?} {:?}", node_key()), format!("{:?}", *own.secret));
    assert!(shown.contains("tokyo-1") && !shown.contains(hidden.trim_matches(['[', ']'])));
}

fn site_tags() -> SigningKey {
    SigningKey::from_seed(&[4; 32])
}

fn operator() -> OperatorKeys {
    OperatorKeys {
        operator: "kanto".parse().unwrap(),
        trust_domain: TrustDomain::parse("kanto.example").unwrap(),
        issuers: Keys::one(PublicKey([0; 32])),
        site_tags: Keys::one(site_tags().public()),
        roots: Keys::one(Digest([0; 32])),
        backups: Keys::one(BackupKey([0; 32])),
    }
}

#[test]
fn a_site_key_counts_with_its_operators_signature_only() {
    let cluster = context().cluster;
    let record = SiteKeyRecord {
        cluster,
        operator: operator().operator,
        area: Area::resolve("131016").unwrap(),
        key: public("tokyo-1"),
    };
    let signed = record.clone().sign(&site_tags()).unwrap();
    assert_eq!(signed.verify(&cluster, &operator()), Ok(&public("tokyo-1")));
    let refused = Err(SealError::Operator("tokyo-1".parse().unwrap()));
    let by_another = record.clone().sign(&SigningKey::from_seed(&[5; 32])).unwrap();
    assert_eq!(by_another.verify(&cluster, &operator()), refused);
    let mut altered = signed.clone();
    altered.record.key.epoch = KeyEpoch(2);
    assert_eq!(altered.verify(&cluster, &operator()), refused);
    let mut moved = signed.clone();
    moved.record.area = Area::resolve("271403").unwrap();
    assert_eq!(moved.verify(&cluster, &operator()), refused);
    let replacing = Keys { current: PublicKey([0; 32]), other: Some(site_tags().public()) };
    let under_way = OperatorKeys { site_tags: replacing, ..operator() };
    assert_eq!(signed.verify(&cluster, &under_way), Ok(&public("tokyo-1")));
    assert_eq!(SignedSiteKey::parse(&signed.bytes().unwrap()), Ok(signed.clone()));
    let other = OperatorKeys { operator: "hokuto".parse().unwrap(), ..operator() };
    assert_eq!(signed.verify(&cluster, &other), refused);
    assert_eq!(signed.verify(&ClusterId([0; 16]), &operator()), Err(SealError::OtherCluster));
    let tagged = SignedSiteKey {
        signature: site_tags().sign(crate::key::Purpose::KeyRecord, &encode(&record).unwrap()),
        record,
    };
    assert_eq!(tagged.verify(&cluster, &operator()), refused);
}

#[test]
fn each_member_of_an_operator_derives_the_same_key_and_no_other_does() {
    let of = |key: &SigningKey, cluster: u8, site: &str, epoch: u32| {
        let (cluster, site) = (ClusterId([cluster; 16]), site.parse().unwrap());
        SiteSecretKey::derive(key, &cluster, site, KeyEpoch(epoch)).unwrap().public().clone()
    };
    let own = of(&site_tags(), 1, "tokyo-1", 1);
    assert_eq!(of(&site_tags(), 1, "tokyo-1", 1), own);
    let other = SigningKey::from_seed(&[5; 32]);
    for another in [
        of(&other, 1, "tokyo-1", 1),
        of(&site_tags(), 2, "tokyo-1", 1),
        of(&site_tags(), 1, "tokyo-2", 1),
        of(&site_tags(), 1, "tokyo-1", 2),
    ] {
        assert_ne!(another.key, own.key);
    }
}

fn node_key() -> NodeSealingKey {
    NodeSealingKey::from_seed(&[6; 32])
}

fn node(name: &str) -> NodeSealingRecord {
    let (node, receipts) = (name.parse().unwrap(), SigningKey::from_seed(&[7; 32]));
    let signed = node_key().record(context().cluster, node, Digest([5; 32]), &receipts).unwrap();
    signed.verify(&context().cluster, &receipts.public()).unwrap().clone()
}

fn delivery(to: &NodeSealingRecord) -> SealedSiteKey {
    SealedSiteKey::seal(&secret("tokyo-1", 1), to, &[8; 32]).unwrap()
}

#[test]
fn a_site_key_reaches_its_node_and_opens_what_the_site_may_read() {
    let own = node("tokyo-1/n-01");
    let sent = SealedSiteKey::parse(&delivery(&own).bytes().unwrap()).unwrap();
    let key = sent.open(&node_key(), &own, &public("tokyo-1")).unwrap();
    assert_eq!(read(&sealed(), &key), Ok(TEXT.to_vec()));
    assert_eq!(sent.key(), &public("tokyo-1"));
}

#[test]
fn a_site_key_opens_nowhere_else() {
    let own = node("tokyo-1/n-01");
    let sent = delivery(&own);
    let refused = |key: &NodeSealingKey, node: &NodeSealingRecord, expected: &SitePublicKey| {
        sent.open(key, node, expected).unwrap_err()
    };
    let here = public("tokyo-1");
    let other = NodeSealingKey::from_seed(&[1; 32]);
    assert_eq!(refused(&other, &own, &here), SealError::Unopenable);
    for record in [
        node("tokyo-1/n-02"),
        NodeSealingRecord { node_key: Digest([0; 32]), ..own.clone() },
        NodeSealingRecord { cluster: ClusterId([0; 16]), ..own.clone() },
    ] {
        assert_eq!(refused(&node_key(), &record, &here), SealError::Unopenable);
    }
    let away = node("sakai-1/n-01");
    assert_eq!(refused(&node_key(), &away, &here), SealError::OtherSite(away.node.clone()));
    let sealing = SealedSiteKey::seal(&secret("tokyo-1", 1), &away, &[8; 32]);
    assert_eq!(sealing, Err(SealError::OtherSite(away.node)));
    // Not the key that the operator signed: another epoch, or another key under its name.
    let next = secret("tokyo-1", 2).public().clone();
    assert_eq!(refused(&node_key(), &own, &next), SealError::Unopenable);
    let seed = Digest::of(b"somebody's").0;
    let posing = SiteSecretKey::from_seed("tokyo-1".parse().unwrap(), KeyEpoch(1), &seed);
    let planted = SealedSiteKey::seal(&posing, &own, &[8; 32]).unwrap();
    assert_eq!(planted.open(&node_key(), &own, &here).unwrap_err(), SealError::Unopenable);
    // The key's name exchanged for the expected one's.
    let mut bytes = planted.bytes().unwrap();
    let at = bytes.windows(32).position(|window| *window == posing.public().key).unwrap();
    bytes[at..at + 32].copy_from_slice(&here.key);
    let relabelled = SealedSiteKey::parse(&bytes).unwrap();
    assert_eq!(relabelled.key(), &here);
    assert_eq!(relabelled.open(&node_key(), &own, &here).unwrap_err(), SealError::Unopenable);
}

#[test]
fn every_flipped_bit_of_a_delivery_is_refused() {
    let own = node("tokyo-1/n-01");
    let bytes = delivery(&own).bytes().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let opened = SealedSiteKey::parse(&bytes)
            .and_then(|sent| sent.open(&node_key(), &own, &public("tokyo-1")));
        assert!(opened.is_err(), "bit {bit}");
    }
}

#[test]
fn a_node_signs_its_sealing_key_itself() {
    let (cluster, receipts) = (context().cluster, SigningKey::from_seed(&[7; 32]));
    let name: NodeId = "tokyo-1/n-01".parse().unwrap();
    let mut signed = node_key().record(cluster, name.clone(), Digest([5; 32]), &receipts).unwrap();
    let other = SigningKey::from_seed(&[1; 32]).public();
    let refused = Err(SealError::NodeSignature(name));
    assert_eq!(signed.verify(&cluster, &other), refused);
    assert_eq!(
        signed.verify(&ClusterId([0; 16]), &receipts.public()),
        Err(SealError::OtherCluster)
    );
    signed.record.key = [1; 32];
    assert_eq!(signed.verify(&cluster, &receipts.public()), refused);
}

proptest! {
    #[test]
    fn any_payload_comes_back(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        seed in any::<[u8; 32]>(),
        sites in 1..5_usize,
    ) {
        let names: Vec<String> = (0..sites).map(|n| format!("site-{n}")).collect();
        let keys: Vec<_> = names.iter().rev().map(|name| public(name)).collect();
        let (sealed, _key) = seal(&payload, &keys, &context(), &seed).unwrap();
        let sealed = SealedPayload::parse(&sealed.bytes().unwrap()).unwrap();
        for name in &names {
            prop_assert_eq!(read(&sealed, &secret(name, 1)), Ok(payload.clone()));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(sealed) = SealedPayload::parse(&bytes) {
            prop_assert_eq!(sealed.bytes().unwrap(), bytes);
        }
    }
}
