//! What is made is complete, private, and makes a genesis that stands.

use super::rotate::{BACKUP_FILE, Part};
use super::*;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_transport::credential::Identity;
use std::os::unix::fs::PermissionsExt as _;

const NOW: Timestamp = Timestamp(1_780_000_000_000);

fn plan(operator: &str, site: &str, area: &str, member: u64) -> Plan {
    Plan {
        operator: operator.parse().unwrap(),
        trust_domain: TrustDomain::parse(&format!("{operator}.example")).unwrap(),
        site: GenesisSite {
            site: site.parse().unwrap(),
            operator: operator.parse().unwrap(),
            area: Area::resolve(area).unwrap(),
            display_name: site.to_owned(),
        },
        members: vec![(MemberId(member), format!("127.0.0.1:{}", 7000 + member))],
        admin: "admin".parse().unwrap(),
    }
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

#[test]
fn a_directory_is_complete_and_private_and_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let operator = OperatorDir::new(dir.path().join("kanto"));
    let plan = plan("kanto", "tokyo-1", "131016", 1);
    let card = operator.init(&plan, &[], NOW).unwrap();
    let mut found = Vec::new();
    files(operator.path(), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(operator.path()).unwrap().display().to_string())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "backup.key",
            "card.json",
            "issuer-ed25519.key",
            "issuer.key",
            "issuer.pem",
            "members/1/checkpoint.key",
            "members/1/identity.key",
            "members/1/identity.pem",
            "root.key",
            "root.pem",
            "site-tag.key",
            "sites/tokyo-1/issuer.key",
            "sites/tokyo-1/issuer.pem",
            "users/admin/identity.key",
            "users/admin/identity.pem",
            "users/admin/sign.key",
        ]
    );
    for path in &found {
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{path:?}"
        );
        let folder = path.parent().unwrap();
        assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(operator.card().unwrap(), card);
    assert!(!std::fs::read_to_string(operator.path().join(CARD_FILE)).unwrap().contains("PRIVATE"));
    assert_eq!(operator.init(&plan, &[], NOW).unwrap_err().code, ErrorCode::AlreadyExists);
}

#[test]
fn identities_are_who_they_should_be_and_renewal_keeps_the_other_keys() {
    let dir = tempfile::tempdir().unwrap();
    let operator = OperatorDir::new(dir.path());
    let plan = plan("hokuto", "ishikari-1", "012351", 3);
    operator.init(&plan, &["127.0.0.1".parse().unwrap()], NOW).unwrap();
    let member = operator.member(MemberId(3));
    let before = Identity::load(&member).unwrap();
    assert_eq!(before.workload(), Workload::Member { site: plan.site.site.clone(), member: 3 });
    let checkpoint = signing::read(&member.join(CHECKPOINT_FILE)).unwrap().public();
    operator.renew_member(&plan.site, MemberId(3), &[], NOW.plus_ms(3_600_000)).unwrap();
    assert!(Identity::load(&member).unwrap().validity() > before.validity());
    assert_eq!(signing::read(&member.join(CHECKPOINT_FILE)).unwrap().public(), checkpoint);
    let user = Identity::load(&operator.user(&plan.admin)).unwrap();
    assert_eq!(user.workload(), Workload::User { name: plan.admin });
}

#[test]
fn three_cards_make_a_genesis_that_every_operator_signed() {
    let dir = tempfile::tempdir().unwrap();
    let plans = [
        plan("kanto", "tokyo-1", "131016", 1),
        plan("naniwa", "sakai-1", "271403", 2),
        plan("hokuto", "ishikari-1", "012351", 3),
    ];
    let dirs: Vec<OperatorDir> = plans
        .iter()
        .map(|plan| OperatorDir::new(dir.path().join(plan.operator.as_str())))
        .collect();
    let cards: Vec<Card> =
        dirs.iter().zip(&plans).map(|(dir, plan)| dir.init(plan, &[], NOW).unwrap()).collect();
    let unsigned = genesis::assemble(&cards, true, NOW).unwrap();
    assert_eq!((unsigned.bundle.k, unsigned.members.len(), unsigned.keys.len()), (2, 3, 3));
    let missing = genesis::sign(unsigned.clone(), &dirs[..2]).unwrap_err();
    assert!(missing.detail.contains("hokuto"), "{}", missing.detail);
    let signed = genesis::sign(unsigned, &dirs).unwrap();
    let bytes = genesis::bytes(&signed).unwrap();
    assert_eq!(SignedGenesis::open(&bytes).unwrap(), signed);
}

/// Kanto's directory, and the keys of it that the federation counts.
fn kanto(dir: &Path) -> (OperatorDir, OperatorKeys) {
    let operator = OperatorDir::new(dir.join("kanto"));
    let card = operator.init(&plan("kanto", "tokyo-1", "131016", 1), &[], NOW).unwrap();
    (operator, card.keys)
}

/// Each key in its place is the one that counts.
#[track_caller]
fn counts(operator: &OperatorDir, keys: &OperatorKeys) {
    let ca = OperatorCa::load(operator.path()).unwrap();
    assert_eq!(root_hash(ca.root()), keys.roots.current);
    assert_eq!(operator.issuer_key().unwrap().public(), keys.issuers.current);
    assert_eq!(operator.card().unwrap().keys, *keys);
}

#[test]
fn new_keys_are_put_in_place_from_wherever_a_cut_left_them() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, held) = kanto(dir.path());
    let (renewed, _root) = operator.renew_keys(&held, &[Part::Root, Part::Issuer], NOW).unwrap();
    assert_eq!(operator.install(&held, NOW).unwrap_err().code, ErrorCode::WrongPhase);
    // Between the two files of the root.
    let at = |name: &str| operator.path().join(name);
    std::fs::create_dir_all(at("old/1")).unwrap();
    std::fs::rename(at("root.key"), at("old/1/root.key")).unwrap();
    std::fs::rename(at("next/root.key"), at("root.key")).unwrap();
    assert!(operator.install(&renewed, NOW.plus_ms(1)).unwrap(), "certificates are to be made");
    counts(&operator, &renewed);
    // And before they were.
    assert!(operator.install(&renewed, NOW.plus_ms(2)).unwrap());
    operator.reissue(&[], NOW.plus_ms(2)).unwrap();
    assert!(!operator.install(&renewed, NOW.plus_ms(3)).unwrap());
    counts(&operator, &renewed);
}

#[test]
fn keys_of_a_replacement_that_was_called_off_are_taken_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, held) = kanto(dir.path());
    let (renewed, _root) = operator.renew_keys(&held, &[Part::Root, Part::Issuer], NOW).unwrap();
    assert_eq!(operator.discard(&renewed, NOW).unwrap_err().code, ErrorCode::WrongPhase);
    operator.install(&renewed, NOW.plus_ms(1)).unwrap();
    operator.reissue(&[], NOW.plus_ms(1)).unwrap();
    let back = renewed.settled(false);
    assert_eq!(back.issuers.current, held.issuers.current);
    assert!(operator.install(&back, NOW.plus_ms(2)).unwrap());
    counts(&operator, &back);
    // Made, and never sent: in the way until it is put aside.
    operator.renew_keys(&back, &[Part::Backup], NOW).unwrap();
    assert_eq!(operator.install(&back, NOW).unwrap_err().code, ErrorCode::WrongPhase);
    operator.discard(&back, NOW.plus_ms(3)).unwrap();
    operator.install(&back, NOW.plus_ms(4)).unwrap();
    let mut found = Vec::new();
    files(operator.path(), &mut found);
    assert!(found.iter().any(|path| path.ends_with(format!("{BACKUP_FILE}.discarded"))));
}

#[test]
fn a_company_that_lost_its_issuer_key_signs_with_the_one_that_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, held) = kanto(dir.path());
    std::fs::remove_file(operator.path().join(ISSUER_SIGN_FILE)).unwrap();
    let bundle = sekisho_fsm::testing::genesis().genesis.bundle;
    assert!(operator.sign_bundle(&bundle).is_err(), "nothing to sign with");
    let (renewed, _root) = operator.renew_keys(&held, &[Part::Issuer], NOW).unwrap();
    let next = bundle.replacing(renewed.clone(), Digest([1; 32]));
    let signed = operator.sign_bundle(&next).unwrap();
    let bytes = encode(&next).unwrap();
    let [own] = signed.as_slice() else { panic!("{signed:?}") };
    let by_new = sekisho_evidence::key::verify(
        &renewed.issuers.current,
        Purpose::Bundle,
        &bytes,
        &own.signature,
    );
    by_new.unwrap();
    // Another one than the bundle names is no word of the company's.
    operator.sign_bundle(&bundle).unwrap_err();
}

#[test]
fn an_endorser_with_another_key_than_the_directorys_is_not_the_companys_own() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, _) = kanto(dir.path());
    let own = operator.card().unwrap().endorsers[0].clone();
    operator.has_member(&own).unwrap();
    let other = Endorser { public_key: sekisho_types::id::PublicKey([9; 32]), ..own.clone() };
    assert_eq!(operator.has_member(&other).unwrap_err().code, ErrorCode::BundleMismatch);
    let none = Endorser { member: MemberId(9), ..own };
    assert_eq!(operator.has_member(&none).unwrap_err().code, ErrorCode::InvalidArgument);
}
