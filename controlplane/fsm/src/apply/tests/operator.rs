//! Companies that come, go, and replace their keys (D2, D4, P5, Q2).

use super::*;
use crate::apply::operator::{OVERLAP, ROOT_MAX};
use crate::testing::{BEGIN, company, key, operator_keys};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::operator::{Keys, OperatorKeys};
use sekisho_evidence::terms::{Newcomer, Rotation, Terms};
use sekisho_types::id::{MemberId, OperatorId, PublicKey};
use sekisho_types::principal::{KeyRecord, Role};

const BOTH: [&str; 2] = ["kanto", "naniwa"];
const WITH_ITS_OWN: [&str; 3] = ["kanto", "naniwa", "tokai"];

fn tokai() -> OperatorId {
    "tokai".parse().unwrap()
}

fn accept(f: &mut Federation, command: Command) -> Applied {
    let applied = f.accept(admin("kanto"), command);
    assert_eq!(invariant::check(&f.state), Ok(()));
    applied
}

/// Walks the state clock on, which an entry moves by a bound only.
fn wait(f: &mut Federation, ms: u64) {
    let until = f.state.clock().plus_ms(ms);
    while f.state.clock() < until {
        f.now = f.now.plus_ms(3_600_000);
        f.run(member("kanto"), Command::Tick);
        f.state.clock = f.now;
    }
}

#[test]
fn a_company_comes_with_sites_and_people_and_goes_when_nothing_is_left() {
    let mut f = Federation::furnished();
    let unasked = f.joining("tokai", &BOTH);
    refused(&mut f, admin("kanto"), unasked, ErrorCode::SignaturesMissing);
    let join = f.joining("tokai", &WITH_ITS_OWN);
    let applied = accept(&mut f, join.clone());
    assert!(applied.checkpoint.is_some());
    refused(&mut f, admin("kanto"), join, ErrorCode::AlreadyExists);
    let federation = f.state.federation().unwrap();
    assert_eq!((federation.bundle.k, federation.bundle.operators.len()), (2, 4));
    assert_eq!(federation.roots.len(), 4);
    let walked = federation.package().walk(&crate::testing::genesis().genesis.bundle).unwrap();
    assert_eq!((&walked.bundle, &walked.roots), (&federation.bundle, &federation.roots));
    // Its administrator acts, a controller of it comes, and its issuer counts in the next agreement.
    let member = GenesisMember {
        member: MemberId(4),
        operator: tokai(),
        site: "tokai-1".parse().unwrap(),
        address: "10.0.0.4:7000".to_owned(),
    };
    let add = f.taking_in(member, &["kanto", "tokai"]);
    accept(&mut f, add);

    let leave = |f: &Federation| f.leaving("tokai", &BOTH);
    let command = leave(&f);
    refused(&mut f, admin("kanto"), command, ErrorCode::OperatorInUse);
    let remove = f.leaver(4);
    accept(&mut f, remove);
    let command = leave(&f);
    let told = f.run(admin("kanto"), command).outcome.unwrap_err();
    assert_eq!(told.code, ErrorCode::OperatorInUse);
    assert!(told.detail.starts_with("site tokai-1 and 0 more"), "{}", told.detail);
    f.accept(admin("tokai"), Command::RevokeSite { site: "tokai-1".parse().unwrap() });
    let command = leave(&f);
    accept(&mut f, command);
    assert!(f.state.federation().unwrap().bundle.keys(&tokai()).is_none());
    refused(
        &mut f,
        admin("tokai"),
        Command::RevokeSite { site: "tokyo-1".parse().unwrap() },
        ErrorCode::PermissionDenied,
    );
    let command = leave(&f);
    refused(&mut f, admin("kanto"), command, ErrorCode::NotFound);
    // A name that was given up may come again, with another site: the old one stays revoked (P5).
    let back = f.joining("tokai", &WITH_ITS_OWN);
    refused(&mut f, admin("kanto"), back, ErrorCode::AlreadyExists);
}

#[test]
fn what_a_leaving_companys_people_queued_fails() {
    let mut f = Federation::furnished();
    let join = f.joining("tokai", &WITH_ITS_OWN);
    accept(&mut f, join);
    let record = KeyRecord {
        principal: user("tokai", "guest"),
        role: Role::TenantUser("sapporo".parse().unwrap()),
        public_key: user_key(&user("tokai", "guest")).public(),
        expires: f.now.plus_ms(86_400_000),
    };
    f.register(record);
    let facts = Box::new(job("theirs", 1, 1, &[]));
    let id = facts.id.clone();
    f.accept(user("tokai", "guest"), Command::SubmitJob { facts });
    f.accept(admin("tokai"), Command::RevokeSite { site: "tokai-1".parse().unwrap() });
    let leave = f.leaving("tokai", &BOTH);
    accept(&mut f, leave);
    let row = f.state.job(&id).unwrap();
    assert_eq!(row.phase, JobPhase::Failed);
    assert!(row.message.contains("left the federation"), "{}", row.message);
}

#[test]
fn what_a_company_brings_is_judged_as_everybody_elses() {
    let mut f = Federation::new();
    let with = |f: &Federation, alter: &dyn Fn(&mut Newcomer)| {
        let (mut newcomer, mut keys) = company("tokai");
        alter(&mut newcomer);
        keys.roots = Keys::one(Digest::of(&newcomer.root));
        let terms = Terms::AddOperator(Box::new(newcomer));
        f.agreed(terms, |held, terms| held.joined_by(keys, terms), &WITH_ITS_OWN)
    };
    let osaka = || Area::resolve("JP-27").unwrap();
    for (bad, expected) in [
        (with(&f, &|n| n.sites.clear()), ErrorCode::InvalidArgument),
        (with(&f, &|n| n.admins.clear()), ErrorCode::InvalidArgument),
        (with(&f, &|n| n.sites = vec![n.sites[0].clone(); 2]), ErrorCode::InvalidArgument),
        (with(&f, &|n| n.sites[0].operator = "kanto".parse().unwrap()), ErrorCode::InvalidArgument),
        (with(&f, &|n| n.sites[0].site = "tokyo-1".parse().unwrap()), ErrorCode::AlreadyExists),
        (with(&f, &|n| n.sites[0].display_name = "x".repeat(5000)), ErrorCode::TooLarge),
        (with(&f, &|n| n.root = vec![1; ROOT_MAX + 1]), ErrorCode::TooLarge),
        (with(&f, &|n| n.admins[0].record.expires = BEGIN), ErrorCode::InvalidArgument),
        (with(&f, &|n| n.admins[0].record.expires.0 += 1), ErrorCode::SignatureInvalid),
        (with(&f, &|n| n.admins[0].record.principal = admin("kanto")), ErrorCode::InvalidArgument),
        (
            with(&f, &|n| n.admins[0].record.role = Role::TenantUser("t".parse().unwrap())),
            ErrorCode::InvalidArgument,
        ),
        // Agreed on with one site, brought in with another.
        (
            {
                let Command::ChangeBundle(mut agreed) = f.joining("tokai", &WITH_ITS_OWN) else {
                    panic!("not one")
                };
                let Terms::AddOperator(newcomer) = &mut agreed.terms else { panic!("not one") };
                newcomer.sites[0].area = osaka();
                Command::ChangeBundle(agreed)
            },
            ErrorCode::BundleMismatch,
        ),
    ] {
        refused(&mut f, admin("kanto"), bad, expected);
    }
}

/// kanto with another issuer and another site-tag key beside those that it has.
fn replacing() -> OperatorKeys {
    let mut keys = operator_keys("kanto");
    let both = |purpose: &str, held: &Keys<PublicKey>| Keys {
        current: key(purpose, "kanto").public(),
        other: Some(held.current),
    };
    keys.issuers = both("issuer-2", &keys.issuers);
    keys.site_tags = both("site-tag-2", &keys.site_tags);
    keys
}

const BEGIN_ROTATION: Rotation = Rotation::Begin { root: None };
const FINISH: Rotation = Rotation::Finish { accept_stranded: false };
const BY: [&str; 3] = ["kanto", "kanto/issuer-2", "naniwa"];

#[test]
fn an_old_key_is_given_up_when_nothing_stands_on_it() {
    let mut f = Federation::furnished();
    let step = |f: &Federation, rotation: Rotation| {
        let keys = match rotation {
            Rotation::Begin { .. } => replacing(),
            Rotation::Finish { .. } => replacing().settled(true),
            Rotation::Abort => replacing().settled(false),
        };
        f.rotating(keys, rotation, &BY)
    };
    for early in [FINISH, Rotation::Abort] {
        let command = step(&f, early);
        refused(&mut f, admin("kanto"), command, ErrorCode::WrongPhase);
    }
    let begin = step(&f, BEGIN_ROTATION);
    accept(&mut f, begin);
    let again = step(&f, BEGIN_ROTATION);
    refused(&mut f, admin("kanto"), again, ErrorCode::WrongPhase);
    let finish = step(&f, FINISH);
    let told = f.run(admin("kanto"), finish).outcome.unwrap_err();
    assert_eq!(told.code, ErrorCode::KeyInUse);
    assert!(told.detail.contains("count together until"), "{}", told.detail);
    // Both issuers vouch while it lasts.
    f.tenant("hakodate", Limit::Gpus(1));
    wait(&mut f, OVERLAP.as_secs() * 1000);
    f.register(KeyRecord {
        principal: user("kanto", "late"),
        role: Role::OperatorAdmin,
        public_key: user_key(&user("kanto", "late")).public(),
        expires: f.now.plus_ms(86_400_000),
    });
    let command = step(&f, FINISH);
    let told = f.run(admin("kanto"), command).outcome.unwrap_err();
    assert_eq!(told.code, ErrorCode::KeyInUse);
    assert!(told.detail.starts_with("a key of kanto/user/late"), "{}", told.detail);
    // It was stolen: what it alone vouched for goes with it.
    let by_force = step(&f, Rotation::Finish { accept_stranded: true });
    accept(&mut f, by_force);
    let late = user("kanto", "late");
    assert!(f.state.roles(&late).next().is_none(), "its key stood on the old issuer alone");
    assert!(f.state.roles(&admin("kanto")).next().is_some(), "the genesis bears this one");
    let federation = f.state.federation().unwrap();
    assert!(federation.rotations.is_empty() && federation.agreements.len() == 2);
    federation.package().walk(&crate::testing::genesis().genesis.bundle).unwrap();
}

#[test]
fn a_rotation_may_be_called_off() {
    let mut f = Federation::furnished();
    let begin = f.rotating(replacing(), BEGIN_ROTATION, &BY);
    accept(&mut f, begin);
    let abort = f.rotating(replacing().settled(false), Rotation::Abort, &["kanto", "hokuto"]);
    accept(&mut f, abort);
    let bundle = &f.state.federation().unwrap().bundle;
    assert_eq!(bundle.keys(&"kanto".parse().unwrap()), Some(&operator_keys("kanto")));
    assert!(f.state.roles(&user("kanto", "sapporo")).next().is_some());
}
