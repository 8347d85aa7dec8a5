//! What operators reserved: the plan leaves it, the explanation names the window, and apply grants what is planned.

use super::*;
use crate::{Verdict, Waiting, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::invariant;
use sekisho_fsm::testing::{job, offer, reservation};
use sekisho_types::job::JobFacts;
use sekisho_types::quota::Limit;
use sekisho_types::reservation::ReservationSpec;

const HOUR_MS: u64 = 3_600_000;

fn of(tenant: &str, name: &str, gpus: u32) -> JobFacts {
    let facts = job(name, 1, gpus, &["Tokyo"]);
    JobFacts { id: JobId { tenant: tenant.parse().unwrap(), ..facts.id.clone() }, ..facts }
}

/// Tokyo offers so many, of which otaru has 3 from in two hours on, for an hour.
fn promised(gpus: u64) -> Federation {
    let mut federation = Federation::furnished();
    federation.tenant("otaru", Limit::Unlimited);
    federation.offer("tokyo-1", offer(gpus));
    let from = federation.state.clock().plus_ms(2 * HOUR_MS);
    let until = Some(from.plus_ms(HOUR_MS));
    let spec = ReservationSpec { from, until, ..reservation("tokyo-1", 3) };
    federation.reserve("otaru", "later", spec);
    federation
}

#[test]
fn groups_of_a_plan_leave_together_what_others_reserved() {
    let mut federation = promised(5);
    let long = |name: &str, gpus| JobFacts { time_limit_s: 7200, ..of("sapporo", name, gpus) };
    federation.submit(long("a", 2));
    federation.submit(long("b", 1));
    federation.submit(of("sapporo", "short", 2));
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["a: tokyo-1/n-01", "short: tokyo-1/n-01"]);
    assert_eq!(found.waiting, Waiting { offer: 1, ..Waiting::default() });
    assert_eq!(commit(&mut federation), 2);
    // The holder's own long work uses what is its own.
    federation.submit(JobFacts { time_limit_s: 3 * 3600, ..of("otaru", "own", 1) });
    assert_eq!(shown(&plan(&federation.state)), ["own: tokyo-1/n-02"]);
}

#[test]
fn who_waits_is_told_the_window_and_how_long_it_may_take() {
    let federation = promised(4);
    let long = JobFacts { time_limit_s: 4 * 3600, ..of("sapporo", "long", 2) };
    let found = explain(&federation.state, &long);
    assert_eq!(
        (found.verdict, found.binding),
        (Verdict::WouldWait, Some(ErrorCode::OfferReserved))
    );
    let step = found.steps.iter().find(|step| step.token == "OFFER_RESERVED").unwrap();
    let window = "tokyo-1 3 2026-11-22T02:00:00.000Z/2026-11-22T03:00:00.000Z";
    assert_eq!(step.condition, format!("not reserved for others: {window}"));
    assert_eq!(step.nodes_left, 0);
    let shorter = "ask for a time limit of 7080 s instead of 14400";
    let told = found.relaxations.iter().find(|one| one.change == shorter).unwrap();
    assert_eq!(told.effect, Verdict::PlacedNow);
    // What it names is none of its tenant's, or has not begun.
    let name = Some("later".parse().unwrap());
    let theirs = explain(&federation.state, &JobFacts { reservation: name.clone(), ..long });
    assert_eq!(
        (theirs.verdict, theirs.binding),
        (Verdict::Never, Some(ErrorCode::ReservationNone))
    );
    let early = JobFacts { reservation: name, time_limit_s: 1800, ..of("otaru", "early", 2) };
    let found = explain(&federation.state, &early);
    let waits = (Verdict::WouldWait, Some(ErrorCode::ReservationFull));
    assert_eq!((found.verdict, found.binding), waits);
    let step = found.steps.iter().find(|step| step.token == "RESERVATION_FULL").unwrap();
    assert_eq!(step.condition, "2 of reservation later left for so long");
}

#[derive(Debug, Clone)]
struct Ask {
    tenant: usize,
    group: u32,
    gpus: u32,
    names: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    (0usize..3, 1u32..3, 1u32..5, prop::bool::weighted(0.3))
        .prop_map(|(tenant, group, gpus, names)| Ask { tenant, group, gpus, names })
}

const TENANTS: [&str; 3] = ["sapporo", "naha", "otaru"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is reserved, what is planned is granted whole, and who is left behind is told that it waits.
    #[test]
    fn what_is_planned_beside_reservations_is_granted(
        offers in prop::collection::vec((0usize..3, 1u64..9, prop::option::of(1u64..9)), 1..5),
        reserved in prop::collection::vec((0usize..3, 0usize..3, 1u64..5, 0u64..5, prop::option::of(1u64..5)), 0..6),
        // Of one length: of several, whoever waits may keep a place from a longer one that would fit now.
        limit in 1u64..9,
        asks in prop::collection::vec(ask(), 1..12),
    ) {
        let mut federation = Federation::furnished();
        for tenant in ["naha", "otaru"] {
            federation.tenant(tenant, Limit::Unlimited);
        }
        let now = federation.state.clock();
        let hours = |n: u64| now.plus_ms(n.saturating_mul(HOUR_MS));
        for (site, gpus, until) in offers {
            let until = until.map(hours);
            federation.offer(OPERATORS[site].1, sekisho_types::offer::OfferSpec { until, ..offer(gpus) });
        }
        for (n, (tenant, site, gpus, after, lasts)) in reserved.into_iter().enumerate() {
            let (from, until) = (hours(after), lasts.map(|lasts| hours(after.saturating_add(lasts))));
            let spec = ReservationSpec { from, until, ..reservation(OPERATORS[site].1, gpus) };
            let put = federation.reserving(TENANTS[tenant], &format!("r-{n}"), spec);
            // More than is offered is refused, and then not reserved.
            federation.run(admin(OPERATORS[site].0), put);
        }
        for (n, ask) in asks.iter().enumerate() {
            let tenant = TENANTS[ask.tenant];
            let facts = job(&format!("j-{n}"), ask.group, ask.gpus, &[]);
            let mine = federation.state.reservations().find(|((of, _), _)| of.as_str() == tenant);
            let name = mine.map(|((_, name), _)| name.clone()).filter(|_| ask.names);
            let id = JobId { tenant: tenant.parse().unwrap(), ..facts.id.clone() };
            let facts = JobFacts { id, reservation: name, time_limit_s: limit.saturating_mul(3600), ..facts };
            let (by, facts) = (sekisho_fsm::testing::user("kanto", tenant), Box::new(facts));
            // One that could never be placed out of what it names is not queued.
            federation.run(by, Command::SubmitJob { facts });
        }
        while {
            let found = plan(&federation.state);
            prop_assert_eq!(&found, &plan(&federation.state));
            if let Some(first) = found.groups.first() {
                let facts = &federation.state.job(&first.job).unwrap().facts;
                prop_assert_eq!(explain(&federation.state, facts).verdict, Verdict::PlacedNow);
            }
            commit(&mut federation) > 0
        } {
            prop_assert_eq!(invariant::check(&federation.state), Ok(()));
        }
        for (_, id) in federation.state.queue() {
            let found = explain(&federation.state, &federation.state.job(id).unwrap().facts);
            prop_assert_ne!(found.verdict, Verdict::PlacedNow);
            prop_assert!(found.binding.is_some());
        }
    }
}
