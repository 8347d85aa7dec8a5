//! The table of roles, cell by cell, and the page that is made of it.

mod page;
mod table;

use super::*;
use crate::command::Command;
use crate::testing::{BEGIN, Federation, admin, key, user, user_key};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::key::Purpose;
use sekisho_types::principal::KeyRecord;

/// Binds this role to `kanto/user/archive`, as the issuer of `kanto` vouches.
fn register(federation: &mut Federation, role: Role) -> Option<ErrorCode> {
    let principal = user("kanto", "archive");
    let public_key = user_key(&principal).public();
    let expires = BEGIN.plus_ms(1 << 40);
    let record = KeyRecord { principal, role, public_key, expires };
    let issuer = key("issuer", "kanto").sign(Purpose::KeyRecord, &encode(&record).unwrap());
    let applied = federation.run(admin("kanto"), Command::RegisterKey { record, issuer });
    applied.outcome.err().map(|rejection| rejection.code)
}

#[test]
fn nobody_but_an_archivist_takes_a_backup_and_it_does_nothing_else() {
    let (own, other): (OperatorId, OperatorId) =
        ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
    let tenant = "sapporo".parse().unwrap();
    let archivist = Role::Archivist("tokyo-1".parse().unwrap());
    let mine = Target::Operator(&own);
    for target in [mine, Target::Operator(&other), Target::Federation, Target::Tenant(&tenant)] {
        for verb in Verb::ALL {
            let due = verb == Verb::SaveSnapshot && target == mine;
            assert_eq!(allows(&archivist, &own, verb, target), due, "{verb:?} {target:?}");
        }
        for role in [
            Role::FederationAdmin,
            Role::OperatorAdmin,
            Role::TenantAdmin(tenant.clone()),
            Role::TenantUser(tenant.clone()),
            Role::Auditor,
            Role::Monitor,
            Role::Agent,
            Role::Member,
        ] {
            assert!(!allows(&role, &own, Verb::SaveSnapshot, target), "{role}");
        }
    }
    assert_eq!(signing(Verb::SaveSnapshot), Signed::No);
}

/// Cell by cell: what becomes of a node or landmark is for administrators of its own operator, and for nobody else.
#[test]
fn a_nodes_life_is_its_operators_alone() {
    let (own, other): (OperatorId, OperatorId) =
        ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
    let tenant: TenantId = "sapporo".parse().unwrap();
    let life = [
        Verb::Drain,
        Verb::Undrain,
        Verb::ApproveNode,
        Verb::Decommission,
        Verb::RegisterLandmark,
        Verb::RemoveLandmark,
    ];
    let roles = [
        (Role::FederationAdmin, true),
        (Role::OperatorAdmin, true),
        (Role::TenantAdmin(tenant.clone()), false),
        (Role::TenantUser(tenant.clone()), false),
        (Role::Auditor, false),
        (Role::Monitor, false),
        (Role::Archivist("tokyo-1".parse().unwrap()), false),
        (Role::Agent, false),
        (Role::Member, false),
    ];
    let mine = Target::Operator(&own);
    for target in [mine, Target::Operator(&other), Target::Federation, Target::Tenant(&tenant)] {
        for verb in life {
            for (role, administers) in &roles {
                let due = *administers && target == mine;
                let may = allows(role, &own, verb, target);
                assert_eq!(may, due, "{role} {verb:?} {target:?}");
            }
        }
    }
    let signed = life.map(signing);
    let (no, by) = (Signed::No, Signed::Caller);
    assert_eq!(signed, [no, by, by, by, by, no]);
}

#[test]
fn an_archivist_stands_for_a_site_of_its_own_operator() {
    let mut federation = Federation::furnished();
    let of = |site: &str| Role::Archivist(site.parse().unwrap());
    for site in ["sakai-1", "nowhere-1"] {
        assert_eq!(register(&mut federation, of(site)), Some(ErrorCode::NotFound), "{site}");
    }
    assert_eq!(register(&mut federation, of("tokyo-1")), None);
    let target = "kanto".parse().unwrap();
    let target = Target::Operator(&target);
    let may = |who: &Principal| federation.state.authorize(who, Verb::SaveSnapshot, target);
    may(&user("kanto", "archive")).unwrap();
    may(&admin("kanto")).unwrap_err();
}
