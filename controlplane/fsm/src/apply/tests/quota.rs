//! Quotas in a tree of tenants, by area (Q1).

use super::*;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::quota::{Amount, GPUS_MAX};
use sekisho_types::revision::Revision;

fn area(text: &str) -> Area {
    Area::resolve(text).unwrap()
}

fn lends(nominal: u64, lending: u64) -> Allotment {
    let (nominal, lending) = (Limit::Gpus(nominal), Limit::Gpus(lending));
    Allotment { nominal, borrowing: Limit::None, lending }
}

fn borrows(nominal: u64, borrowing: u64) -> Allotment {
    let (nominal, borrowing) = (Limit::Gpus(nominal), Limit::Gpus(borrowing));
    Allotment { nominal, borrowing, lending: Limit::None }
}

/// `ministry` with the parts `sapporo`, which lends all of its 8, and `osaka`, which has none and borrows up to 6.
fn family() -> (Federation, TenantId, TenantId, TenantId) {
    let mut f = Federation::furnished();
    let (sapporo, ministry) = ("sapporo".parse().unwrap(), f.tenant("ministry", Limit::None));
    let osaka = f.tenant("osaka", Limit::None);
    f.part_of(&sapporo, &ministry);
    f.part_of(&osaka, &ministry);
    f.allot(&sapporo, Area::Japan, lends(8, 8));
    f.allot(&osaka, Area::Japan, borrows(0, 6));
    (f, ministry, sapporo, osaka)
}

fn of(tenant: &TenantId, name: &str, group: u32, gpus: u32) -> sekisho_types::job::JobFacts {
    let mut facts = job(name, group, gpus, &[]);
    facts.id.tenant = tenant.clone();
    facts
}

fn rejected(f: &mut Federation, job: &JobId, nodes: &[&str]) -> Option<ErrorCode> {
    match f.place(job, nodes).outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    }
}

fn set(f: &Federation, tenant: &TenantId, allotment: Allotment) -> Command {
    let (tenant, class, area) = (tenant.clone(), CLASS.parse().unwrap(), Area::Japan);
    let expected = f.state.quota_revision(&tenant, &class, area);
    Command::SetQuota { tenant, class, area, allotment, expected }
}

fn moves(f: &Federation, tenant: &TenantId, parent: Option<&TenantId>) -> Command {
    Command::PutTenant {
        tenant: tenant.clone(),
        display_name: Patch::Keep,
        policy: Patch::Keep,
        parent: Patch::Set(parent.cloned()),
        expected: f.state.tenant(tenant).map(|row| row.revision),
    }
}

#[test]
fn a_part_borrows_what_another_lends_and_no_more() {
    let (mut f, ministry, sapporo, osaka) = family();
    let own = f.submit(of(&sapporo, "own", 1, 4));
    assert_eq!(rejected(&mut f, &own, &["tokyo-1/n-01"]), None);
    let borrows = f.submit(of(&osaka, "borrows", 2, 2));
    assert_eq!(rejected(&mut f, &borrows, &["sakai-1/n-01", "sakai-1/n-02"]), None);
    let line = f.state.line(&osaka, &CLASS.parse().unwrap(), Area::Japan);
    assert_eq!((line.used(), line.borrowed()), (4, 4));
    assert_eq!(f.state.line(&ministry, &CLASS.parse().unwrap(), Area::Japan).used(), 8);
    let more = f.submit(of(&sapporo, "more", 1, 1));
    let full = rejected(&mut f, &more, &["tokyo-1/n-02"]);
    assert_eq!(full, Some(ErrorCode::QuotaExceeded), "what it lent is in use");
    all(&mut f, &borrows, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(rejected(&mut f, &more, &["tokyo-1/n-02"]), None);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn every_row_around_a_place_binds_and_none_is_none() {
    let mut f = Federation::furnished();
    let tenant: TenantId = "sapporo".parse().unwrap();
    f.allot(&tenant, area("JP-01"), Allotment::own(Limit::Gpus(2)));
    let north = f.submit(job("north", 2, 2, &[]));
    let nodes = ["ishikari-1/n-01", "ishikari-1/n-02"];
    assert_eq!(rejected(&mut f, &north, &nodes), Some(ErrorCode::QuotaNone));
    // One of them elsewhere is within both rows.
    assert_eq!(rejected(&mut f, &north, &["ishikari-1/n-01", "tokyo-1/n-01"]), None);
    let most = f.state.most(&tenant, &CLASS.parse().unwrap());
    assert_eq!(
        (most.ever, most.now),
        (Amount::Gpus(8), Amount::Gpus(4)),
        "the inner row adds none"
    );
    f.allot(&tenant, Area::Japan, Allotment::NONE);
    let south = f.submit(job("south", 1, 1, &[]));
    assert_eq!(rejected(&mut f, &south, &["tokyo-1/n-02"]), Some(ErrorCode::QuotaNone));
    assert_eq!(rejected(&mut f, &south, &["ishikari-1/n-01"]), Some(ErrorCode::QuotaExceeded));
    // A row that is set later knows what runs in its area.
    f.allot(&tenant, area("JP-13"), Allotment::own(Limit::Gpus(2)));
    assert_eq!(f.state.room(&tenant, &CLASS.parse().unwrap(), area("JP-13")), Amount::NONE);
    assert_eq!(rejected(&mut f, &south, &["tokyo-1/n-02"]), Some(ErrorCode::QuotaExceeded));
}

#[test]
fn a_limit_below_what_runs_keeps_it_and_lets_no_more_come() {
    let (mut f, _, sapporo, _) = family();
    let runs = f.submit(of(&sapporo, "runs", 1, 4));
    f.place(&runs, &["tokyo-1/n-01"]);
    f.allot(&sapporo, Area::Japan, lends(2, 2));
    assert_eq!(f.state.job(&runs).unwrap().phase, JobPhase::Placed);
    let more = f.submit(of(&sapporo, "more", 1, 1));
    let full = rejected(&mut f, &more, &["tokyo-1/n-02"]);
    assert_eq!(full, Some(ErrorCode::QuotaExceeded));
    assert_eq!(invariant::check(&f.state), Ok(()));
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(rejected(&mut f, &more, &["tokyo-1/n-02"]), None);
}

#[test]
fn numbers_that_contradict_are_refused() {
    let (mut f, ministry, sapporo, osaka) = family();
    let by = || admin("kanto");
    let contradicts = ErrorCode::QuotaContradicts;
    let more = set(&f, &sapporo, lends(8, 9));
    refused(&mut f, by(), more, contradicts);
    let rootless = set(&f, &ministry, borrows(0, 1));
    refused(&mut f, by(), rootless, contradicts);
    for field in 0..3 {
        let over = |n| if n == field { Limit::Gpus(GPUS_MAX + 1) } else { Limit::None };
        let allotment = Allotment { nominal: over(0), borrowing: over(1), lending: over(2) };
        let huge = set(&f, &sapporo, allotment);
        refused(&mut f, by(), huge, ErrorCode::InvalidArgument);
    }
    // What is no row lends nothing: without one all would go up that the parts lend.
    for lending in [Limit::Gpus(4), Limit::Unlimited] {
        let rowless = set(&f, &ministry, Allotment { lending, ..Allotment::NONE });
        refused(&mut f, by(), rowless, contradicts);
    }
    // Whoever has parts lends what they lend.
    f.allot(&ministry, Area::Japan, lends(0, 4));
    let orphan = moves(&f, &osaka, None);
    refused(&mut f, by(), orphan, contradicts);
    let class = CLASS.parse().unwrap();
    let retired = area("221317");
    let expected = f.state.quota_revision(&sapporo, &class, retired);
    let (tenant, allotment) = (sapporo, Allotment::own(Limit::Gpus(1)));
    let old = Command::SetQuota { tenant, class, area: retired, allotment, expected };
    refused(&mut f, by(), old, ErrorCode::AreaRetired);
}

#[test]
fn no_tenant_is_a_part_of_itself_and_no_tree_too_deep() {
    let (mut f, ministry, sapporo, _) = family();
    let by = || admin("kanto");
    for (of, parent) in [(&ministry, &ministry), (&ministry, &sapporo)] {
        let cycle = moves(&f, of, Some(parent));
        refused(&mut f, by(), cycle, ErrorCode::TenantTree);
    }
    let nobody = moves(&f, &sapporo, Some(&"nobody".parse().unwrap()));
    refused(&mut f, by(), nobody, ErrorCode::NotFound);
    let mut above = sapporo.clone();
    for level in 3..=sekisho_types::limit::TENANT_DEPTH_MAX {
        let below = f.tenant(&format!("level-{level}"), Limit::None);
        f.part_of(&below, &above);
        above = below;
    }
    let last = f.tenant("too-deep", Limit::None);
    let deep = moves(&f, &last, Some(&above));
    refused(&mut f, by(), deep, ErrorCode::TenantTree);
    // A whole tree may not hang too deep either.
    let root = f.tenant("root", Limit::None);
    let under = moves(&f, &ministry, Some(&root));
    refused(&mut f, by(), under, ErrorCode::TenantTree);
    let expected = f.state.tenant(&sapporo).unwrap().revision;
    let delete = Command::DeleteTenant { tenant: sapporo, expected };
    refused(&mut f, by(), delete, ErrorCode::ResourceInUse);
}

#[test]
fn what_a_tenant_holds_goes_with_it_to_another_parent() {
    let (mut f, ministry, sapporo, osaka) = family();
    let class = CLASS.parse().unwrap();
    let runs = f.submit(of(&osaka, "runs", 1, 4));
    f.place(&runs, &["tokyo-1/n-01"]);
    let city = f.tenant("city", Limit::Gpus(3));
    f.part_of(&osaka, &city);
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!(f.state.line(&ministry, &class, Area::Japan).used(), 0);
    assert_eq!(f.state.line(&city, &class, Area::Japan).used(), 4, "more than it has: it goes on");
    assert_eq!(f.state.room(&sapporo, &class, Area::Japan), Amount::Gpus(8));
    let more = f.submit(of(&osaka, "more", 1, 1));
    let full = rejected(&mut f, &more, &["tokyo-1/n-02"]);
    assert_eq!(full, Some(ErrorCode::QuotaExceeded));
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(rejected(&mut f, &more, &["tokyo-1/n-02"]), None);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_tenant_that_goes_lends_no_more() {
    let (mut f, ministry, sapporo, osaka) = family();
    let class = CLASS.parse().unwrap();
    let principal = user("kanto", "sapporo");
    let key = user_key(&principal).public();
    f.accept(admin("kanto"), Command::RevokeKey { principal, key });
    let expected = f.state.tenant(&sapporo).unwrap().revision;
    f.accept(admin("kanto"), Command::DeleteTenant { tenant: sapporo, expected });
    assert_eq!(f.state.room(&osaka, &class, Area::Japan), Amount::NONE);
    assert_eq!(f.state.line(&ministry, &class, Area::Japan).pool(), Amount::NONE);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn who_asks_to_be_refused_over_the_limit_is() {
    let (mut f, _, _, osaka) = family();
    let reject = |f: &mut Federation, gpus, expected| {
        let mut facts = of(&osaka, "reject", 1, gpus);
        facts.over_limit = OverLimit::Reject;
        let command = Command::SubmitJob { facts: Box::new(facts) };
        refused(f, user("kanto", "osaka"), command, expected);
    };
    reject(&mut f, 7, ErrorCode::QuotaNone);
    let runs = f.submit(of(&osaka, "runs", 1, 4));
    f.place(&runs, &["tokyo-1/n-01"]);
    reject(&mut f, 3, ErrorCode::QuotaExceeded);
    let mut wrong = set(&f, &osaka, borrows(0, 9));
    if let Command::SetQuota { expected, .. } = &mut wrong {
        *expected = Revision(1);
    }
    refused(&mut f, admin("kanto"), wrong, ErrorCode::RevisionMismatch);
}
