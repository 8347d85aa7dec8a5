//! Quotas in a tree, budgets, offers, vetoes and what sites hold: the auditor's own sums find what goes beyond them.

use super::access::{propose, sign};
use super::*;
use sekisho_fsm::testing::{CLASS, offer};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::joint::Joint;
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::quota::{Allotment, Limit};

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn gpus(nominal: u64, borrowing: u64, lending: u64) -> Allotment {
    let [nominal, borrowing, lending] = [nominal, borrowing, lending].map(|gpus| match gpus {
        0 => Limit::None,
        more => Limit::Gpus(more),
    });
    Allotment { nominal, borrowing, lending }
}

fn budget(unit: Unit, amount: u64, period: Period, exhausted: Exhausted) -> BudgetSpec {
    BudgetSpec { unit, amount, period, class: None, area: Area::Japan, exhausted }
}

fn set_budget(f: &mut Federation, of: &str, text: &str, spec: Option<BudgetSpec>) {
    let (tenant, name) = (tenant(of), name(text));
    let expected = f.state.budget(&tenant, &name).map_or(Revision(0), |row| row.revision);
    f.accept(admin("kanto"), Command::SetBudget { tenant, name, budget: spec, expected });
}

fn escrow(f: &mut Federation, gpus: u64) {
    let (site, tenant, class): (SiteId, _, _) =
        ("sakai-1".parse().unwrap(), tenant("otaru"), CLASS.parse().unwrap());
    let expected = f.state.escrow(&site, &tenant, &class).map_or(Revision(0), |row| row.revision);
    f.accept(admin("kanto"), Command::SetEscrow { site, tenant, class, gpus, expected });
}

/// A ministry with two bureaus: `otaru` lends its 4 GPUs, `sapporo` borrows up to 4; in Tokyo it has 4 at most. GPUs there
/// cost something, and `naniwa` wants none of `sapporo` for a while.
fn ministry() -> Federation {
    let mut f = Federation::new();
    let [ministry, sapporo, otaru] =
        ["ministry", "sapporo", "otaru"].map(|name| f.tenant(name, Limit::None));
    f.part_of(&sapporo, &otaru);
    f.part_of(&sapporo, &ministry);
    f.part_of(&otaru, &ministry);
    f.allot(&ministry, Area::Japan, gpus(2, 0, 0));
    f.allot(&sapporo, Area::Japan, gpus(4, 4, 0));
    f.allot(&sapporo, Area::resolve("JP-13").unwrap(), gpus(4, 0, 0));
    f.allot(&otaru, Area::Japan, gpus(4, 0, 4));
    for at in ["ishikari-1/n-01", "ishikari-1/n-02", "tokyo-1/n-01", "sakai-1/n-01"] {
        f.ready_node(at, 4);
    }
    f.offer("tokyo-1", OfferSpec { yen_per_gpu_hour: 100, ..offer(4) });
    let site: SiteId = "tokyo-1".parse().unwrap();
    // The cheaper one has room for less than what is asked for.
    let cheap = Box::new(OfferSpec { yen_per_gpu_hour: 50, ..offer(2) });
    let put = Command::PutOffer { site, name: name("cheap"), offer: cheap, expected: None };
    f.accept(admin("kanto"), put);
    // Exactly what an hour of 4 GPUs in Tokyo costs, and what 4 GPUs for two hours are.
    let yen = budget(Unit::Yen, 400, Period::Day, Exhausted::Stop);
    set_budget(&mut f, "ministry", "yen", Some(yen));
    let hours = budget(Unit::GpuHours, 8, Period::Month, Exhausted::Stop);
    set_budget(&mut f, "sapporo", "hours", Some(hours));
    let told = budget(Unit::GpuHours, 0, Period::FiscalYear, Exhausted::Warn);
    let (budget, expected) = (Some(told), Revision(0));
    let joint = Joint::SetBudget { tenant: sapporo, name: name("told"), budget, expected };
    let id = propose(&mut f, joint);
    sign(&mut f, id);
    let of = Vetoed::Tenant(tenant("sapporo"));
    let reason = "an audit of theirs".to_owned();
    let operator = "naniwa".parse().unwrap();
    f.accept(admin("naniwa"), Command::Veto { operator, of, reason });
    f
}

fn place(f: &mut Federation, facts: JobFacts, at: &[&str]) -> Vec<PlacementId> {
    let id = f.submit(facts);
    f.place(&id, at);
    let placed = f.placements(&id);
    assert_eq!(placed.len(), at.len(), "{id}");
    placed
}

fn ended(f: &mut Federation, at: &str, placement: PlacementId) {
    let over = Phase::Ended(Ending::Exited(0));
    report(f, at, vec![(placement, Phase::Running), (placement, over)]);
}

/// `sapporo` has its own 4, then 4 that it borrows; ends the first, and has the time and the place of them again. `otaru` is
/// left with what the ministry has beside that, which it gives to a site.
pub(super) fn busy() -> Federation {
    let mut f = ministry();
    let hosts = ["ishikari-1/n-01", "ishikari-1/n-02"];
    let own = place(&mut f, job("own", 2, 2, &[]), &hosts);
    place(&mut f, job("borrowed", 1, 4, &[]), &["tokyo-1/n-01"]);
    escrow(&mut f, 2);
    tick(&mut f, 10);
    hosts.into_iter().zip(own).for_each(|(at, placement)| ended(&mut f, at, placement));
    place(&mut f, job("again", 1, 3, &[]), &["ishikari-1/n-01"]);
    let (operator, of) = ("naniwa".parse().unwrap(), Vetoed::Tenant(tenant("sapporo")));
    f.accept(admin("naniwa"), Command::LiftVeto { operator, of });
    let short = JobFacts { time_limit_s: 600, ..job("short", 1, 1, &[]) };
    place(&mut f, short, &["sakai-1/n-01"]);
    // What is lowered below what is used says nothing of what was granted before.
    escrow(&mut f, 1);
    let less = budget(Unit::Yen, 1, Period::Day, Exhausted::Stop);
    set_budget(&mut f, "ministry", "yen", Some(less));
    set_budget(&mut f, "sapporo", "told", None);
    let (site, name): (SiteId, _) = ("tokyo-1".parse().unwrap(), name("all"));
    let expected = f.state.offer(&site, &name).unwrap().revision;
    f.accept(admin("kanto"), Command::WithdrawOffer { site, name, expected });
    f.accept(admin("naniwa"), Command::RevokeSite { site: "sakai-1".parse().unwrap() });
    assert_eq!(f.state.usage(&tenant("otaru"), &CLASS.parse().unwrap()), 0);
    f
}

#[test]
fn a_log_with_trees_budgets_offers_vetoes_and_escrow_verifies() {
    let report = verify(&signed(&records(&busy()), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let told = |of: &str, area: &str| {
        let is = |sum: &&report::QuotaSum| sum.tenant == of && sum.area == area;
        let sum = report.quotas.iter().find(is).unwrap();
        (sum.limit.clone(), sum.peak, sum.charged)
    };
    assert_eq!(told("sapporo", "JP"), ("4".to_owned(), 8, 8));
    assert_eq!(told("sapporo", "130001"), ("4".to_owned(), 4, 4));
    assert_eq!(told("otaru", "JP"), ("4".to_owned(), 2, 0));
    assert_eq!(report.quotas.len(), 3);
}

/// What the oracle alone says of the same records, with these entries in them.
pub(super) fn judged(f: &Federation, change: impl Fn(&mut Entry)) -> Report {
    let read = |bytes: &Vec<u8>| {
        let mut record = Record::parse(bytes).unwrap();
        if let Body::Entry { entry, .. } = &mut record.body {
            let mut read: Entry = decode(entry).unwrap();
            change(&mut read);
            *entry = encode(&read).unwrap();
        }
        record
    };
    let changed: Vec<Record> = records(f).iter().map(read).collect();
    let mut report = Report::default();
    oracle::judge(&genesis(), &changed, &mut report);
    report
}

/// Each of these makes one thing of the honest log go too far.
fn found(what: &str, change: impl Fn(&mut Command)) {
    let report = judged(&busy(), |entry| change(&mut entry.command));
    let told = findings(&report, Step::Quota);
    assert!(told.contains(what), "{what} in {told}");
    for step in [Step::Residency, Step::Fencing, Step::Capacity, Step::Access] {
        assert_eq!(verdict(&report, step), Verdict::Passed, "{what}: {:#?}", report.steps);
    }
}

#[test]
fn the_oracle_passes_what_is_as_it_was() {
    let report = judged(&busy(), |_| {});
    assert!(!report.is_bad(), "{:#?}", report.steps);
}

fn allotted(of: &'static str, to: Allotment) -> impl Fn(&mut Command) {
    move |command| {
        if let Command::SetQuota { tenant, area: Area::Japan, allotment, .. } = command
            && tenant.as_str() == of
            && !allotment.is_none()
        {
            *allotment = to;
        }
    }
}

#[test]
fn q1_what_is_more_than_may_be_borrowed_or_is_lent_is_found() {
    let most = "sapporo would hold 8 sim-h100 in JP, of 7";
    found(most, allotted("sapporo", gpus(4, 3, 0)));
    let lent = "ministry would hold 4 sim-h100 in JP, of 3";
    found(lent, allotted("otaru", gpus(4, 0, 1)));
    found("ministry would hold 4 sim-h100 in JP, of 0", |command| {
        if let Command::PutTenant { tenant, parent, .. } = command
            && tenant.as_str() == "otaru"
        {
            *parent = sekisho_types::patch::Patch::Keep;
        }
        allotted("ministry", gpus(0, 0, 0))(command);
    });
    found("sapporo would hold 4 sim-h100 in 130001, of 3", |command| {
        if let Command::SetQuota { area: Area::Code(130_001), allotment, .. } = command {
            *allotment = gpus(3, 0, 0);
        }
    });
    found("sapporo has no quota for sim-h100 in ", |command| {
        if let Command::SetQuota { tenant, allotment, .. } = command
            && tenant.as_str() == "sapporo"
        {
            *allotment = Allotment::NONE;
        }
    });
}

#[test]
fn q1_what_a_site_is_given_beyond_the_quota_is_found() {
    found("escrow at sakai-1: ministry would hold 7 sim-h100 in JP, of 6", |command| {
        if let Command::SetEscrow { gpus: gpus @ 2, .. } = command {
            *gpus = 3;
        }
    });
}

fn budgeted(of: &'static str, to: u64) -> impl Fn(&mut Command) {
    move |command| {
        if let Command::SetBudget { name, budget: Some(spec), .. } = command
            && name.as_str() == of
        {
            spec.amount = to;
        }
    }
}

#[test]
fn a_grant_beyond_a_hard_budget_is_found() {
    let yen = "budget ministry/yen would have 400 yen charged from";
    found(yen, budgeted("yen", 399));
    let hours = "budget sapporo/hours would have 8 gpu-hours charged from";
    found(hours, budgeted("hours", 7));
    found("budget sapporo/told would have", |command| {
        if let Command::Propose { joint, .. } = command
            && let Joint::SetBudget { budget: Some(spec), .. } = joint.as_mut()
        {
            spec.exhausted = Exhausted::Stop;
        }
    });
    found("budget ministry/yen counts something else than before", |command| {
        if let Command::SetBudget { name, budget: Some(spec), .. } = command
            && name.as_str() == "yen"
            && spec.amount == 1
        {
            spec.unit = Unit::GpuHours;
        }
    });
}

fn offered(to: impl Fn(&mut OfferSpec)) -> impl Fn(&mut Command) {
    move |command| {
        if let Command::PutOffer { site, offer, .. } = command
            && site.as_str() == "tokyo-1"
        {
            to(offer);
        }
    }
}

#[test]
fn a_grant_without_an_offer_is_found() {
    let none = "no sim-h100 is offered to sapporo at tokyo-1 until";
    found(none, offered(|offer| offer.class = "other".parse().unwrap()));
    found(none, offered(|offer| offer.excluded = [tenant("sapporo")].into()));
    found(none, offered(|offer| offer.from = offer.from.plus_ms(u64::MAX)));
    found(none, offered(|offer| offer.until = Some(sekisho_fsm::testing::BEGIN.plus_ms(60_000))));
    let full = "no offer of tokyo-1 has room for 4 more sim-h100";
    found(full, offered(|offer| offer.gpus = 3));
}

#[test]
fn a_grant_at_an_operator_that_takes_nothing_of_the_tenant_or_job_is_found() {
    let lift = |of: Vetoed| {
        move |command: &mut Command| {
            if let Command::LiftVeto { of: lifted, .. } = command {
                *lifted = of.clone();
            }
        }
    };
    found("naniwa takes no work of tenant sapporo", lift(Vetoed::Tenant(tenant("otaru"))));
    found("naniwa takes no work of job sapporo/short", |command| {
        if let Command::Veto { of, .. } = command {
            *of = Vetoed::Job("sapporo/short".parse().unwrap());
        }
    });
}

/// Whoever is at the hub can neither raise an offer nor lift a veto.
#[test]
fn a3_an_offer_or_the_end_of_a_veto_by_somebody_else_is_found() {
    let by_hokuto = |is: fn(&Command) -> bool| {
        judged(&busy(), |entry| {
            if is(&entry.command) {
                entry.actor = admin("hokuto");
            }
        })
    };
    let offer = by_hokuto(|command| matches!(command, Command::PutOffer { .. }));
    assert!(findings(&offer, Step::Access).contains("offer tokyo-1/cheap is not"), "{offer:#?}");
    let lift = by_hokuto(|command| matches!(command, Command::LiftVeto { .. }));
    assert!(findings(&lift, Step::Access).contains("the end of the veto of naniwa"), "{lift:#?}");
}
