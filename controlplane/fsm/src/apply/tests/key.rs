//! Registered keys: what was taken back stays so (A3, P5).

use super::*;
use sekisho_evidence::voucher::Voucher;
use sekisho_types::id::Signature;
use sekisho_types::principal::KeyRecord;

fn issuer_of(row: &crate::state::Key) -> Signature {
    let Some(Voucher::Issuer(issuer)) = row.voucher else { panic!("{row:?}") };
    issuer
}

/// The record of a registered key, as everybody reads it in the audit log.
fn told(f: &Federation, who: &Principal) -> (KeyRecord, Signature) {
    let public_key = user_key(who).public();
    let row = f.state.key(who, &public_key).unwrap();
    let (role, expires) = (row.role.clone(), row.expires);
    (KeyRecord { principal: who.clone(), role, public_key, expires }, issuer_of(row))
}

fn take_back(f: &mut Federation, by: &Principal, who: &Principal) {
    let revoke = Command::RevokeKey { principal: who.clone(), key: user_key(who).public() };
    f.accept(by.clone(), revoke);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_key_that_was_taken_back_is_none_and_its_record_brings_it_in_no_more() {
    let (mut f, who) = (Federation::furnished(), user("kanto", "sapporo"));
    let (record, issuer) = told(&f, &who);
    let keys = f.state.keys().count();
    take_back(&mut f, &admin("kanto"), &who);
    assert!(f.state.key(&who, &record.public_key).is_none());
    assert_eq!((f.state.roles(&who).count(), f.state.keys().count()), (0, keys - 1));
    let again = Command::RegisterKey { record: record.clone(), issuer };
    for by in ["kanto", "hokuto"] {
        refused(&mut f, admin(by), again.clone(), ErrorCode::InvalidArgument);
    }
    let twice = Command::RevokeKey { principal: who.clone(), key: record.public_key };
    refused(&mut f, admin("kanto"), twice, ErrorCode::NotFound);
    // Another key of the person is another matter, and that one the person takes back without an administrator.
    let other = user_key(&user("kanto", "another")).public();
    f.register(KeyRecord { public_key: other, ..record });
    assert_eq!(f.state.roles(&who).count(), 1);
    let own = || Command::RevokeKey { principal: who.clone(), key: other };
    refused(&mut f, user("kanto", "another"), own(), ErrorCode::PermissionDenied);
    f.accept(who.clone(), own());
    assert_eq!(f.state.roles(&who).count(), 0);
}

#[test]
fn an_opening_brings_no_key_back() {
    let (mut f, hokuto) = (Federation::furnished(), admin("hokuto"));
    let by = ["kanto", "naniwa"];
    let open = |f: &Federation| {
        let mut opening = f.opening(&by);
        opening.keys.push(crate::testing::administrator("hokuto"));
        f.state.clone().open_incarnation(&[], &f.opened(opening, &by))
    };
    open(&f).unwrap();
    take_back(&mut f, &admin("kanto"), &hokuto);
    let refused = open(&f).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument, "{refused:?}");
}

#[test]
fn what_an_opening_took_away_is_not_registered_again() {
    let (mut f, who) = (Federation::furnished(), user("kanto", "sapporo"));
    let (record, issuer) = told(&f, &who);
    let by = ["kanto", "naniwa"];
    let mut opening = f.opening(&by);
    opening.withdrawn.keys.insert(record.public_key);
    let agreement = f.opened(opening, &by);
    f.state.open_incarnation(&[], &agreement).unwrap();
    refused(
        &mut f,
        admin("kanto"),
        Command::RegisterKey { record, issuer },
        ErrorCode::InvalidArgument,
    );
}
