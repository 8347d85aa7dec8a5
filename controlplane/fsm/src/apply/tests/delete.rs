//! What is taken out, and what is not while something refers to it; names that are changed.

use super::*;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::revision::Revision;

fn sapporo() -> TenantId {
    "sapporo".parse().unwrap()
}

fn delete_tenant(f: &Federation) -> Command {
    let expected = f.state.tenant(&sapporo()).unwrap().revision;
    Command::DeleteTenant { tenant: sapporo(), expected }
}

fn delete_policy(f: &Federation, policy: &PolicyId) -> Command {
    let expected = f.state.policy(policy).unwrap().revision;
    Command::DeletePolicy { policy: policy.clone(), expected }
}

fn put_tenant(f: &Federation, policy: Patch<Option<PolicyId>>) -> Command {
    let expected = f.state.tenant(&sapporo()).map(|row| row.revision);
    let (display_name, parent) = (Patch::Keep, Patch::Keep);
    Command::PutTenant { tenant: sapporo(), display_name, policy, parent, expected }
}

fn take_key_back(f: &mut Federation) {
    let who = user("kanto", "sapporo");
    let key = user_key(&who).public();
    f.accept(admin("kanto"), Command::RevokeKey { principal: who, key });
}

fn with_policy(policy: &PolicyId) -> JobFacts {
    JobFacts { policy: Some(policy.clone()), ..job("named", 1, 1, &[]) }
}

#[test]
fn a_tenant_goes_when_nothing_of_it_is_left() {
    let mut f = Federation::furnished();
    let id = f.submit(job("runs", 1, 4, &["JP-13"]));
    let delete = delete_tenant(&f);
    refused(&mut f, admin("kanto"), delete, ErrorCode::ResourceInUse);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id.clone() });
    let delete = delete_tenant(&f);
    // Whoever holds its key would be somebody in the next tenant of that name.
    refused(&mut f, admin("kanto"), delete.clone(), ErrorCode::ResourceInUse);
    take_key_back(&mut f);
    for by in [user("kanto", "sapporo"), user("kanto", "nobody")] {
        refused(&mut f, by, delete.clone(), ErrorCode::PermissionDenied);
    }
    let Command::DeleteTenant { tenant, expected } = delete.clone() else { panic!("{delete:?}") };
    let stale = Command::DeleteTenant { tenant, expected: Revision(expected.0 - 1) };
    refused(&mut f, admin("kanto"), stale, ErrorCode::RevisionMismatch);
    f.accept(admin("kanto"), delete.clone());
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!(f.state.tenant(&sapporo()), None);
    assert!(!f.state.quotas().any(|((of, _), _, _)| *of == sapporo()), "its quotas go with it");
    assert!(f.state.job(&id).is_some(), "what it ran is kept");
    refused(&mut f, admin("kanto"), delete, ErrorCode::NotFound);
    // Its name is that of the jobs that are kept.
    let again = put_tenant(&f, Patch::Keep);
    refused(&mut f, admin("kanto"), again, ErrorCode::AlreadyExists);
}

#[test]
fn the_name_of_a_tenant_that_ran_nothing_is_free() {
    let mut f = Federation::furnished();
    take_key_back(&mut f);
    let delete = delete_tenant(&f);
    f.accept(admin("naniwa"), delete);
    let again = put_tenant(&f, Patch::Keep);
    f.accept(admin("kanto"), again);
    assert_eq!(f.state.tenant(&sapporo()).unwrap().display_name, "");
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn an_expired_key_holds_no_tenant() {
    let mut f = Federation::furnished();
    f.now = f.now.plus_ms(86_400_000 * 2);
    f.state.clock = f.now;
    let delete = delete_tenant(&f);
    f.accept(admin("kanto"), delete);
    assert_eq!(f.state.tenant(&sapporo()), None);
}

#[test]
fn a_policy_goes_when_nothing_refers_to_it() {
    let mut f = Federation::furnished();
    let policy = f.policy("osaka", Rules::default());
    let bind = put_tenant(&f, Patch::Set(Some(policy.clone())));
    f.accept(admin("kanto"), bind);
    let delete = delete_policy(&f, &policy);
    refused(&mut f, admin("kanto"), delete.clone(), ErrorCode::ResourceInUse);
    let free = put_tenant(&f, Patch::Set(None));
    f.accept(admin("kanto"), free);
    let id = f.submit(with_policy(&policy));
    refused(&mut f, admin("kanto"), delete.clone(), ErrorCode::ResourceInUse);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id });
    refused(&mut f, user("kanto", "sapporo"), delete.clone(), ErrorCode::PermissionDenied);
    let stale = Command::DeletePolicy { policy: policy.clone(), expected: Revision(1) };
    refused(&mut f, admin("kanto"), stale, ErrorCode::RevisionMismatch);
    f.accept(admin("kanto"), delete.clone());
    assert_eq!(f.state.policy(&policy), None);
    assert_eq!(invariant::check(&f.state), Ok(()));
    refused(&mut f, admin("kanto"), delete, ErrorCode::NotFound);
    let late = f.entry(
        user("kanto", "sapporo"),
        &[],
        Command::SubmitJob { facts: Box::new(with_policy(&policy)) },
    );
    assert_eq!(code(&f.apply(late)), Some(ErrorCode::NotFound), "unknown rules deny");
}

#[test]
fn what_an_update_does_not_name_stays() {
    let mut f = Federation::furnished();
    let policy = f.policy("osaka", Rules::default());
    let named = f.state.tenant(&sapporo()).unwrap().display_name.clone();
    let bind = put_tenant(&f, Patch::Set(Some(policy.clone())));
    f.accept(admin("kanto"), bind);
    let row = f.state.tenant(&sapporo()).unwrap();
    assert_eq!((row.display_name.as_str(), row.policy.as_ref()), (named.as_str(), Some(&policy)));
    let expected = Some(row.revision);
    let rename = Command::PutTenant {
        tenant: sapporo(),
        display_name: Patch::Set("札幌市".to_owned()),
        policy: Patch::Keep,
        parent: Patch::Keep,
        expected,
    };
    f.accept(admin("kanto"), rename);
    let row = f.state.tenant(&sapporo()).unwrap();
    assert_eq!((row.display_name.as_str(), row.policy.as_ref()), ("札幌市", Some(&policy)));
}

#[test]
fn a_site_is_named_by_its_operator_or_the_federation() {
    let mut f = Federation::furnished();
    let site: sekisho_types::id::SiteId = "tokyo-1".parse().unwrap();
    let operator_admin = user("kanto", "operations");
    f.register(KeyRecord {
        public_key: user_key(&operator_admin).public(),
        principal: operator_admin.clone(),
        role: Role::OperatorAdmin,
        expires: f.now.plus_ms(86_400_000),
    });
    let other = user("naniwa", "operations");
    f.register(KeyRecord {
        public_key: user_key(&other).public(),
        principal: other.clone(),
        role: Role::OperatorAdmin,
        expires: f.now.plus_ms(86_400_000),
    });
    let update = |f: &Federation, name: &str| Command::UpdateSite {
        site: site.clone(),
        display_name: name.to_owned(),
        expected: f.state.site(&site).unwrap().revision,
    };
    let before = f.state.site(&site).unwrap().clone();
    for (by, name) in [(operator_admin, "東京第一"), (admin("naniwa"), "東京")] {
        let stale = update(&f, name);
        f.accept(by.clone(), stale.clone());
        let row = f.state.site(&site).unwrap();
        assert_eq!(
            (row.display_name.as_str(), row.area, &row.operator),
            (name, before.area, &before.operator)
        );
        refused(&mut f, by, stale, ErrorCode::RevisionMismatch);
    }
    let foreign = update(&f, "x");
    refused(&mut f, other, foreign, ErrorCode::PermissionDenied);
    let long = update(&f, &"x".repeat(513));
    refused(&mut f, admin("kanto"), long, ErrorCode::TooLarge);
    let unknown = Command::UpdateSite {
        site: "nowhere-1".parse().unwrap(),
        display_name: String::new(),
        expected: Revision(1),
    };
    refused(&mut f, admin("kanto"), unknown, ErrorCode::NotFound);
}

#[test]
fn a_quota_is_changed_as_it_was_read() {
    let mut f = Federation::furnished();
    let class: sekisho_types::id::DeviceClass = CLASS.parse().unwrap();
    let area = Area::Japan;
    let set = |limit, expected| Command::SetQuota {
        tenant: sapporo(),
        class: CLASS.parse().unwrap(),
        area,
        allotment: Allotment::own(limit),
        expected,
    };
    let read = f.state.quota_revision(&sapporo(), &class, area);
    f.accept(admin("kanto"), set(Limit::Gpus(3), read));
    refused(&mut f, admin("kanto"), set(Limit::Unlimited, read), ErrorCode::RevisionMismatch);
    refused(
        &mut f,
        admin("kanto"),
        set(Limit::Unlimited, Revision(0)),
        ErrorCode::RevisionMismatch,
    );
    f.quota(&sapporo(), Limit::None);
    assert_eq!(f.state.quota_revision(&sapporo(), &class, area), Revision(0));
    f.accept(admin("kanto"), set(Limit::Gpus(3), Revision(0)));
    assert_eq!(f.limit("sapporo"), Limit::Gpus(3));
}
