//! Quotas by area and tree, budgets and offers: the plan keeps to them, the explanation names them.

use super::*;
use crate::{Explanation, Verdict, Waiting, explain, plan};
use sekisho_fsm::testing::{CLASS, job, offer};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::TenantId;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Revision;

fn area(text: &str) -> Area {
    Area::resolve(text).unwrap()
}

fn sapporo() -> TenantId {
    "sapporo".parse().unwrap()
}

fn budget(federation: &mut Federation, amount: u64) {
    budget_of(federation, amount, Period::Month);
}

fn budget_of(federation: &mut Federation, amount: u64, period: Period) {
    let spec = BudgetSpec {
        unit: Unit::GpuHours,
        amount,
        period,
        class: None,
        area: Area::Japan,
        exhausted: Exhausted::Stop,
    };
    let (tenant, name) = (sapporo(), "fy".parse().unwrap());
    let (budget, expected) = (Some(spec), Revision(0));
    let set = Command::SetBudget { tenant, name, budget, expected };
    federation.accept(admin("kanto"), set);
}

fn why(federation: &Federation, facts: &JobFacts) -> (Verdict, ErrorCode, String) {
    let Explanation { verdict, binding, steps, .. } = explain(&federation.state, facts);
    let binding = binding.unwrap();
    let step = steps.into_iter().find(|step| step.token == binding.as_str()).unwrap();
    (verdict, binding, format!("{} left: {}", step.nodes_left, step.condition))
}

#[test]
fn a_gang_spreads_over_the_areas_that_have_room_for_it() {
    let mut federation = Federation::furnished();
    federation.allot(&sapporo(), area("JP-01"), Allotment::own(Limit::Gpus(2)));
    federation.submit(job("gang", 3, 2, &[]));
    // The first node of Ishikari takes all that its area has; the others stand elsewhere.
    let gang = "gang: ishikari-1/n-01 sakai-1/n-01 sakai-1/n-02";
    assert_eq!(shown(&plan(&federation.state)), [gang]);
    assert_eq!(commit(&mut federation), 1);
    let more = job("more", 1, 1, &["JP-01"]);
    federation.submit(more.clone());
    assert_eq!(plan(&federation.state).waiting, Waiting { quota: 1, ..Waiting::default() });
    let (verdict, code, said) = why(&federation, &more);
    assert_eq!((verdict, code), (Verdict::WouldWait, ErrorCode::QuotaExceeded));
    let rows = "8, in use 6, room for 2; 2 in 北海道 (010006), in use 2, room for 0";
    assert_eq!(said, format!("0 left: quota of sapporo for {CLASS}: {rows}, needed 1"));
}

#[test]
fn groups_of_a_plan_borrow_from_each_other_no_more_than_there_is() {
    let mut federation = Federation::furnished();
    let ministry = federation.tenant("ministry", Limit::None);
    let osaka = federation.tenant("osaka", Limit::None);
    for part in [&sapporo(), &osaka] {
        federation.part_of(part, &ministry);
    }
    let (nominal, lending) = (Limit::Gpus(8), Limit::Gpus(8));
    let lends = Allotment { nominal, borrowing: Limit::None, lending };
    federation.allot(&sapporo(), Area::Japan, lends);
    let borrows = Allotment { borrowing: Limit::Unlimited, ..Allotment::NONE };
    federation.allot(&osaka, Area::Japan, borrows);
    for (name, tenant, gpus) in [("a", &osaka, 4), ("b", &sapporo(), 3), ("c", &osaka, 2)] {
        let facts = job(name, 1, gpus, &[]);
        let id = JobId { tenant: tenant.clone(), ..facts.id.clone() };
        federation.submit(JobFacts { id, ..facts });
    }
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["a: ishikari-1/n-01", "b: ishikari-1/n-02"]);
    assert_eq!(found.waiting, Waiting { quota: 1, ..Waiting::default() });
    assert_eq!(commit(&mut federation), 2);
}

#[test]
fn budgets_hold_what_they_do_not_cover_and_say_so() {
    let mut federation = Federation::furnished();
    budget(&mut federation, 5);
    for name in ["a", "b"] {
        federation.submit(job(name, 1, 4, &[]));
    }
    federation.submit(job("c", 1, 1, &[]));
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["a: ishikari-1/n-01", "c: ishikari-1/n-02"]);
    assert_eq!(found.waiting, Waiting { budget: 1, ..Waiting::default() });
    assert_eq!(commit(&mut federation), 2);
    let (verdict, code, said) = why(&federation, &job("b", 1, 3, &[]));
    assert_eq!((verdict, code), (Verdict::WouldWait, ErrorCode::BudgetExhausted));
    assert_eq!(said, "0 left: sapporo/fy has 0 of 5 gpu-hours left");
    let long = JobFacts { time_limit_s: 6 * 3600, ..job("long", 1, 1, &[]) };
    let (verdict, code, _) = why(&federation, &long);
    assert_eq!((verdict, code), (Verdict::Never, ErrorCode::BudgetTooSmall));
}

#[test]
fn a_budgets_next_day_is_kept_for_whom_it_will_suffice() {
    let mut federation = Federation::furnished();
    federation.quota(&sapporo(), Limit::Unlimited);
    budget_of(&mut federation, 60, Period::Day);
    // It is nine in the morning in Japan: fifteen hours are of this day.
    let lasting = |name: &str, gpus: u32, hours: u64| JobFacts {
        time_limit_s: hours.saturating_mul(3600),
        ..job(name, 1, gpus, &[])
    };
    for name in ["a", "b"] {
        federation.submit(lasting(name, 1, 20));
    }
    assert_eq!(commit(&mut federation), 2);
    federation.submit(lasting("large", 4, 10));
    federation.submit(lasting("long", 1, 28));
    federation.submit(lasting("short", 1, 20));
    let found = plan(&federation.state);
    // Of the sixty of tomorrow ten are charged, and the large one needs forty: the long one would take thirteen.
    assert_eq!(shown(&found), ["short: ishikari-1/n-01"]);
    assert_eq!(found.waiting, Waiting { budget: 2, ..Waiting::default() });
}

#[test]
fn offers_and_vetoes_keep_work_off_sites_and_say_so() {
    let mut federation = Federation::furnished();
    let tokyo = job("tokyo", 1, 4, &["Tokyo"]);
    federation.submit(tokyo.clone());
    federation.offer("tokyo-1", offer(3));
    assert_eq!(plan(&federation.state).waiting, Waiting { offer: 1, ..Waiting::default() });
    let (verdict, code, said) = why(&federation, &tokyo);
    assert_eq!((verdict, code), (Verdict::WouldWait, ErrorCode::OfferFull));
    assert_eq!(said, "0 left: 4 of what is offered free");
    federation.offer("tokyo-1", OfferSpec { excluded: [sapporo()].into(), ..offer(9) });
    let (verdict, code, said) = why(&federation, &tokyo);
    assert_eq!((verdict, code), (Verdict::WouldWait, ErrorCode::OfferNone));
    assert_eq!(said, "0 left: offered to sapporo until 2026-11-22T01:00:00.000Z");
    let (operator, of) = ("kanto".parse().unwrap(), Vetoed::Tenant(sapporo()));
    let veto = Command::Veto { operator, of, reason: "no contract".to_owned() };
    federation.accept(admin("kanto"), veto);
    let (verdict, code, _) = why(&federation, &tokyo);
    assert_eq!((verdict, code), (Verdict::Never, ErrorCode::OfferVetoed));
    // Elsewhere it is taken.
    federation.submit(job("any", 1, 4, &[]));
    assert_eq!(shown(&plan(&federation.state)), ["any: ishikari-1/n-01"]);
}
