//! What is made is complete, private, and makes a genesis that stands.

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
