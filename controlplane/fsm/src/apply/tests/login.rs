//! Logins: for half a day, by whom the issuer made a registrar, and never for what widens for all.

use super::*;
use crate::command::Login;
use crate::testing::{BEGIN, cluster, key};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::key::Purpose;
use sekisho_evidence::voucher::{Registered, Voucher, possession};
use sekisho_types::limit::{LOGIN_LIFETIME_MAX, LOGINS_MAX};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::time::Timestamp;

const SPKI: Digest = Digest([6; 32]);

fn hours(f: &Federation, hours: u64) -> Timestamp {
    f.state.clock().plus_ms(hours.saturating_mul(3_600_000))
}

fn registrar() -> Principal {
    user("kanto", "registrar-tokyo")
}

fn tenant_user() -> Role {
    Role::TenantUser("sapporo".parse().unwrap())
}

/// A federation whose `kanto` has a registrar, and that one's record.
fn with_registrar() -> (Federation, KeyRecord) {
    let mut f = Federation::furnished();
    let given = [tenant_user(), Role::Monitor, Role::OperatorAdmin];
    let role = Role::Registrar(given.iter().filter_map(Role::for_login).collect());
    let public_key = user_key(&registrar()).public();
    let expires = BEGIN.plus_ms(40 * 86_400_000);
    let record = KeyRecord { principal: registrar(), role, public_key, expires };
    f.register(record.clone());
    (f, record)
}

fn person(f: &Federation, name: &str, role: Role) -> KeyRecord {
    let principal = user("kanto", name);
    let public_key = key("login", name).public();
    KeyRecord { principal, role, public_key, expires: hours(f, 12) }
}

fn issued(record: &KeyRecord) -> sekisho_types::id::Signature {
    key("issuer", "kanto").sign(Purpose::KeyRecord, &encode(record).unwrap())
}

fn by_registrar(registrar: &KeyRecord, record: &KeyRecord) -> Voucher {
    let own = (registrar.clone(), issued(registrar));
    let signed = Registered::sign(own, &user_key(&registrar.principal), record).unwrap();
    Voucher::Registrar(Box::new(signed))
}

fn login(record: &KeyRecord, voucher: Voucher, name: &str) -> Command {
    login_with(record, voucher, name, SPKI)
}

fn login_with(
    record: &KeyRecord,
    voucher: Voucher,
    name: &str,
    certificate_key: Digest,
) -> Command {
    let possession = possession(&key("login", name), &certificate_key);
    let record = record.clone();
    Command::Login(Box::new(Login { record, voucher, certificate_key, possession }))
}

#[test]
fn whom_a_registrar_brings_in_submits_and_an_agent_believes_the_whole_chain() {
    let (mut f, own) = with_registrar();
    let alice = person(&f, "alice", tenant_user());
    f.accept(member("kanto"), login(&alice, by_registrar(&own, &alice), "alice"));
    assert_eq!(f.state.roles(&alice.principal).count(), 1);
    // The answer was lost: again.
    f.accept(member("kanto"), login(&alice, by_registrar(&own, &alice), "alice"));
    let facts = Box::new(job("by-alice", 1, 1, &[]));
    let mut entry = f.entry(alice.principal.clone(), &[], Command::SubmitJob { facts });
    let command = entry.command.digest().unwrap();
    let (incarnation, request) = (entry.incarnation, entry.request);
    let intention = Intention { cluster: cluster(), incarnation, request, command };
    entry.signatures = vec![intention.sign(alice.principal.clone(), &key("login", "alice"))];
    assert_eq!(f.apply(entry).outcome, Ok(Reply::Done));
    let keys = f.state.federation().unwrap().bundle.keys(&"kanto".parse().unwrap()).unwrap();
    let row = f.state.key(&alice.principal, &alice.public_key).unwrap();
    assert_eq!(row.voucher.as_ref().unwrap().check(keys, &alice), Ok(()));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn whom_the_issuer_signed_for_brings_the_record_alone() {
    let mut f = Federation::furnished();
    let robot = person(&f, "robot", tenant_user());
    let own = login(&robot, Voucher::Issuer(issued(&robot)), "robot");
    let elsewhere = [user("kanto", "sapporo"), admin("kanto"), member("naniwa")];
    for by in elsewhere {
        refused(&mut f, by, own.clone(), ErrorCode::PermissionDenied);
    }
    f.accept(robot.principal.clone(), own.clone());
    let revoke = Command::RevokeKey { principal: robot.principal.clone(), key: robot.public_key };
    f.accept(robot.principal.clone(), revoke);
    // Logged out for good: the same file brings nothing back.
    refused(&mut f, robot.principal.clone(), own, ErrorCode::InvalidArgument);
    // A key that somebody else has is not registered for them.
    let other = login(&robot, Voucher::Issuer(issued(&robot)), "mallory");
    refused(&mut f, robot.principal, other, ErrorCode::SignatureInvalid);
}

#[test]
fn what_a_registrar_may_not_give_is_refused() {
    let (mut f, own) = with_registrar();
    let mut refuse = |record: &KeyRecord, name: &str, code: ErrorCode| {
        refused(&mut f, member("kanto"), login(record, by_registrar(&own, record), name), code);
    };
    let f0 = with_registrar().0;
    for role in [Role::Auditor, Role::FederationAdmin, Role::TenantUser("osaka".parse().unwrap())] {
        refuse(&person(&f0, "eve", role), "eve", ErrorCode::SignatureInvalid);
    }
    let long = KeyRecord { expires: hours(&f0, 13), ..person(&f0, "eve", tenant_user()) };
    refuse(&long, "eve", ErrorCode::InvalidArgument);
    let over = KeyRecord { expires: BEGIN, ..person(&f0, "eve", tenant_user()) };
    refuse(&over, "eve", ErrorCode::InvalidArgument);
    // A name that the issuer gave: whoever runs the provider becomes no administrator by it.
    for name in ["admin", "sapporo"] {
        let record = person(&f0, name, tenant_user());
        refuse(&record, name, ErrorCode::PermissionDenied);
    }
    // And what no login gives, the issuer's own word included.
    let root = person(&f0, "root", Role::FederationAdmin);
    let by_issuer = login(&root, Voucher::Issuer(issued(&root)), "root");
    refused(&mut f, root.principal, by_issuer, ErrorCode::InvalidArgument);
    assert!(LOGIN_LIFETIME_MAX.as_secs() == 12 * 3600);
}

#[test]
fn a_registrar_that_was_taken_back_brings_nobody_in() {
    let (mut f, own) = with_registrar();
    take(&mut f, &own);
    let alice = person(&f, "alice", tenant_user());
    let late = login(&alice, by_registrar(&own, &alice), "alice");
    refused(&mut f, member("kanto"), late, ErrorCode::KeyUnknown);
    // Nor does one whose record nobody registered.
    let mut unknown = Federation::furnished();
    let late = login(&alice, by_registrar(&own, &alice), "alice");
    refused(&mut unknown, member("kanto"), late, ErrorCode::KeyUnknown);
}

fn take(f: &mut Federation, own: &KeyRecord) {
    let revoke = Command::RevokeKey { principal: own.principal.clone(), key: own.public_key };
    f.accept(admin("kanto"), revoke);
}

#[test]
fn a_person_has_so_many_logins_and_the_oldest_makes_room() {
    let (mut f, own) = with_registrar();
    let count = |f: &Federation| f.state.roles(&user("kanto", "alice")).count();
    for n in 0..LOGINS_MAX + 2 {
        let name = format!("alice-{n}");
        let public_key = key("login", &name).public();
        let expires = hours(&f, 1).plus_ms(u64::try_from(n).unwrap());
        let record = KeyRecord { public_key, expires, ..person(&f, "alice", tenant_user()) };
        f.accept(member("kanto"), login(&record, by_registrar(&own, &record), &name));
        assert!(count(&f) <= LOGINS_MAX);
    }
    assert_eq!(count(&f), LOGINS_MAX);
    let first = key("login", "alice-0").public();
    assert!(f.state.key(&user("kanto", "alice"), &first).is_none(), "the oldest");
}

#[test]
fn the_issuer_gives_no_name_that_a_login_holds() {
    let (mut f, own) = with_registrar();
    let alice = person(&f, "alice", tenant_user());
    f.accept(member("kanto"), login(&alice, by_registrar(&own, &alice), "alice"));
    // Another alice: the provider's one would answer for her in all that needs no signature.
    let public_key = key("login", "other-alice").public();
    let other = KeyRecord { role: Role::OperatorAdmin, public_key, ..alice.clone() };
    let register =
        |other: &KeyRecord| Command::RegisterKey { record: other.clone(), issuer: issued(other) };
    let by_file = |other: &KeyRecord| login(other, Voucher::Issuer(issued(other)), "other-alice");
    let held = |f: &mut Federation| {
        refused(f, admin("kanto"), register(&other), ErrorCode::PermissionDenied);
        refused(f, member("kanto"), by_file(&other), ErrorCode::PermissionDenied);
    };
    held(&mut f);
    let key = alice.public_key;
    f.accept(admin("kanto"), Command::RevokeKey { principal: alice.principal.clone(), key });
    // Its certificate lives on.
    held(&mut f);
    at(&mut f, alice.expires);
    let late = KeyRecord { expires: hours(&f, 12), ..other };
    f.clone().accept(member("kanto"), by_file(&late));
    f.accept(admin("kanto"), register(&late));
}

/// Moves both clocks, of which an entry moves the state's by a bound only.
fn at(f: &mut Federation, now: Timestamp) {
    (f.now, f.state.clock) = (now, now);
}

#[test]
fn with_a_key_that_is_taken_back_its_certificate_ends_and_no_other() {
    let (mut f, own) = with_registrar();
    let second = Digest([7; 32]);
    let alice = person(&f, "alice", tenant_user());
    let public_key = key("login", "alice-2").public();
    let twice = KeyRecord { public_key, ..alice.clone() };
    f.accept(member("kanto"), login(&alice, by_registrar(&own, &alice), "alice"));
    let again = login_with(&twice, by_registrar(&own, &twice), "alice-2", second);
    f.accept(member("kanto"), again);
    // Of two certificates for one key, one would outlive it.
    let beside = login_with(&alice, by_registrar(&own, &alice), "alice", second);
    refused(&mut f, member("kanto"), beside, ErrorCode::InvalidArgument);
    let ended = |f: &Federation, spki| f.state.certificate_ended(&alice.principal, &spki);
    assert!(!ended(&f, SPKI) && !ended(&f, second));
    let revoke = Command::RevokeKey { principal: alice.principal.clone(), key: alice.public_key };
    f.accept(alice.principal.clone(), revoke);
    assert!(ended(&f, SPKI) && !ended(&f, second));
    assert!(!f.state.certificate_ended(&registrar(), &SPKI), "another person's");
    at(&mut f, alice.expires);
    assert!(!ended(&f, SPKI), "it has ended by itself");
}

#[test]
fn rows_of_logins_that_are_over_do_not_pile_up() {
    let mut f = Federation::furnished();
    let rows = |f: &Federation| f.state.keys.iter().count();
    let mut seen = Vec::new();
    for n in 0..10 {
        let name = format!("robot-{n}");
        let record = person(&f, &name, tenant_user());
        let by_file = login(&record, Voucher::Issuer(issued(&record)), &name);
        let applied = f.accept(record.principal.clone(), by_file);
        let named = |event: &&crate::event::Event| matches!(event, crate::event::Event::Key(_));
        let told = applied.events.iter().filter(named).count();
        seen.push((rows(&f), told));
        let next = hours(&f, 13);
        at(&mut f, next);
    }
    // Once the key of the fixture's own user is over too: the row that goes and the one that comes, both named.
    let last = *seen.last().unwrap();
    assert!(seen[3..].iter().all(|one| *one == last) && last.1 == 2, "{seen:?}");
}

#[test]
fn after_an_opening_no_file_brings_an_administrator_back() {
    let mut f = Federation::furnished();
    let dan = person(&f, "dan", Role::OperatorAdmin);
    let file = login(&dan, Voucher::Issuer(issued(&dan)), "dan");
    f.accept(dan.principal.clone(), file.clone());
    let by = ["kanto", "naniwa"];
    let agreement = f.opened(f.opening(&by), &by);
    f.state.open_incarnation(&[], &agreement).unwrap();
    assert_eq!(f.state.roles(&dan.principal).count(), 0);
    assert!(f.state.certificate_ended(&dan.principal, &SPKI));
    refused(&mut f, dan.principal, file, ErrorCode::WrongPhase);
    // One that the older state never saw.
    let eve = person(&f, "eve", Role::Auditor);
    let lost = login(&eve, Voucher::Issuer(issued(&eve)), "eve");
    refused(&mut f, eve.principal, lost, ErrorCode::WrongPhase);
    // What a tenant's user may do is its tenant's.
    let robot = person(&f, "robot", tenant_user());
    f.accept(robot.principal.clone(), login(&robot, Voucher::Issuer(issued(&robot)), "robot"));
    at(&mut f, BEGIN.plus_ms(12 * 3_600_000 + 60_000));
    let later = person(&f, "later", Role::OperatorAdmin);
    f.accept(later.principal.clone(), login(&later, Voucher::Issuer(issued(&later)), "later"));
    assert_eq!(invariant::check(&f.state), Ok(()));
}
