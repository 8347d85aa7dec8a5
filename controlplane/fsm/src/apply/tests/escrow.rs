//! Slices of quotas that sites hold: `Q = free + Σ granted` (Q1).

use super::*;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::quota::Amount;
use sekisho_types::revision::Revision;

fn class() -> DeviceClass {
    CLASS.parse().unwrap()
}

fn sapporo() -> TenantId {
    "sapporo".parse().unwrap()
}

fn set(f: &Federation, site: &str, gpus: u64) -> Command {
    let site: SiteId = site.parse().unwrap();
    let held = f.state.escrow(&site, &sapporo(), &class());
    let expected = held.map_or(Revision(0), |row| row.revision);
    Command::SetEscrow { site, tenant: sapporo(), class: class(), gpus, expected }
}

fn free(f: &Federation) -> Amount {
    f.state.room(&sapporo(), &class(), Area::Japan)
}

#[test]
fn what_a_site_holds_is_nobody_elses_until_it_is_returned() {
    let mut f = Federation::furnished();
    let grant = set(&f, "tokyo-1", 6);
    f.accept(admin("kanto"), grant);
    assert_eq!((free(&f), invariant::check(&f.state)), (Amount::Gpus(2), Ok(())));
    let over = set(&f, "sakai-1", 3);
    refused(&mut f, admin("kanto"), over, ErrorCode::QuotaExceeded);
    let waits = f.submit(job("waits", 1, 3, &[]));
    let outcome = f.place(&waits, &["tokyo-1/n-01"]).outcome;
    let rejected = vec![(waits.clone(), ErrorCode::QuotaExceeded)];
    assert_eq!(outcome, Ok(Reply::Placed { granted: vec![], rejected }));
    let less = set(&f, "tokyo-1", 5);
    f.accept(admin("kanto"), less);
    let outcome = f.place(&waits, &["tokyo-1/n-01"]).outcome;
    assert_eq!(outcome, Ok(Reply::Placed { granted: vec![waits], rejected: vec![] }));
    let back = set(&f, "tokyo-1", 0);
    f.accept(admin("kanto"), back);
    assert_eq!((free(&f), f.state.escrows().count()), (Amount::Gpus(5), 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_site_that_is_taken_out_gives_back_what_it_held() {
    let mut f = Federation::furnished();
    let grant = set(&f, "tokyo-1", 6);
    f.accept(admin("kanto"), grant);
    f.accept(admin("kanto"), Command::RevokeSite { site: "tokyo-1".parse().unwrap() });
    assert_eq!((free(&f), f.state.escrows().count()), (Amount::Gpus(8), 0));
    let again = set(&f, "tokyo-1", 1);
    refused(&mut f, admin("kanto"), again, ErrorCode::NodeRevoked);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn bad_slices_are_refused() {
    let mut f = Federation::furnished();
    let by = || admin("kanto");
    let with = |gpus, expected| Command::SetEscrow {
        site: "tokyo-1".parse().unwrap(),
        tenant: sapporo(),
        class: class(),
        gpus,
        expected,
    };
    refused(&mut f, by(), with(u64::MAX, Revision(0)), ErrorCode::InvalidArgument);
    refused(&mut f, by(), with(1, Revision(7)), ErrorCode::RevisionMismatch);
    refused(&mut f, user("kanto", "sapporo"), with(1, Revision(0)), ErrorCode::PermissionDenied);
    let mut other = with(1, Revision(0));
    if let Command::SetEscrow { class, .. } = &mut other {
        *class = "other".parse().unwrap();
    }
    refused(&mut f, by(), other, ErrorCode::QuotaNone);
    let nowhere = set(&f, "naha-9", 1);
    refused(&mut f, by(), nowhere, ErrorCode::NotFound);
    f.accept(by(), with(1, Revision(0)));
    // A tenant whose quota a site holds stays.
    let principal = user("kanto", "sapporo");
    let key = user_key(&principal).public();
    f.accept(by(), Command::RevokeKey { principal, key });
    let expected = f.state.tenant(&sapporo()).unwrap().revision;
    let delete = Command::DeleteTenant { tenant: sapporo(), expected };
    refused(&mut f, by(), delete, ErrorCode::ResourceInUse);
}
