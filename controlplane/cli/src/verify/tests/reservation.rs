//! Reservations: from the records alone the auditor finds who was granted what another one had reserved.

use super::quota::judged;
use super::*;
use sekisho_fsm::testing::{offer, reservation};
use sekisho_types::id::TenantId;
use sekisho_types::job::JobFacts;
use sekisho_types::quota::Limit;
use sekisho_types::reservation::ReservationSpec;
use sekisho_types::time::Timestamp;

fn of(tenant: &str, name: &str, gpus: u32, limit_s: u64) -> JobFacts {
    let (mut facts, tenant): (_, TenantId) = (job(name, 1, gpus, &[]), tenant.parse().unwrap());
    (facts.id.tenant, facts.time_limit_s) = (tenant, limit_s);
    facts
}

fn placed(f: &mut Federation, facts: JobFacts, at: &str) {
    let id = f.submit(facts);
    f.place(&id, &[at]);
    assert_eq!(f.placements(&id).len(), 1, "{id}");
}

/// Tokyo offers 6: otaru has 2 of them always, and its part 2 more in an hour, for two hours.
fn promised() -> Federation {
    let mut f = Federation::new();
    let [otaru, shiomi, _] =
        ["otaru", "shiomi", "sapporo"].map(|name| f.tenant(name, Limit::Unlimited));
    f.part_of(&shiomi, &otaru);
    for at in ["tokyo-1/n-01", "tokyo-1/n-02"] {
        f.ready_node(at, 4);
    }
    f.offer("tokyo-1", offer(6));
    f.reserve("otaru", "least", reservation("tokyo-1", 2));
    let from = f.state.clock().plus_ms(3_600_000);
    let until = Some(from.plus_ms(7_200_000));
    f.reserve("shiomi", "later", ReservationSpec { from, until, ..reservation("tokyo-1", 2) });
    // Until just before it begins, and beyond that beside all that is reserved.
    placed(&mut f, of("sapporo", "short", 2, 3_480), "tokyo-1/n-01");
    placed(&mut f, of("sapporo", "long", 2, 7_200), "tokyo-1/n-01");
    placed(&mut f, of("otaru", "own", 2, 36_000), "tokyo-1/n-02");
    let named =
        JobFacts { reservation: Some("least".parse().unwrap()), ..of("otaru", "named", 1, 60) };
    f.submit(named);
    f.reserve("otaru", "least", reservation("tokyo-1", 1));
    f
}

fn found(what: &str, change: impl Fn(&mut Command)) {
    let report = judged(&promised(), |entry| change(&mut entry.command));
    let told = findings(&report, Step::Quota);
    assert!(told.contains(what), "{what} in {told}");
}

fn put(of: &'static str, to: impl Fn(&mut ReservationSpec)) -> impl Fn(&mut Command) {
    move |command| {
        if let Command::PutReservation(put) = command
            && put.name.as_str() == of
        {
            to(&mut put.spec);
        }
    }
}

fn limit(of: &'static str, to: impl Fn(&mut JobFacts)) -> impl Fn(&mut Command) {
    move |command| {
        if let Command::SubmitJob { facts } = command
            && facts.id.name.as_str() == of
        {
            to(facts);
        }
    }
}

#[test]
fn a_log_with_reservations_verifies() {
    let report = verify(&signed(&records(&promised()), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let report = judged(&promised(), |_| {});
    assert!(!report.is_bad(), "{:#?}", report.steps);
}

#[test]
fn q1_a_grant_of_what_another_reserved_is_found() {
    // More was reserved than the log says that others left.
    found("beside", put("least", |spec| spec.gpus = spec.gpus.saturating_mul(3)));
    found("beside", put("later", |spec| spec.gpus = 3));
    // It began earlier than who was granted its devices leaves them.
    found("beside", put("later", |spec| spec.from = Timestamp(spec.from.0 - 600_000)));
    found("beside", |command| {
        if let Command::PutReservation(put) = command
            && put.name.as_str() == "least"
        {
            put.tenant = "shiomi".parse().unwrap();
        }
    });
    found(
        "not out of reservation later",
        limit("own", |facts| {
            facts.reservation = Some("later".parse().unwrap());
        }),
    );
}

#[test]
fn q1_more_than_is_offered_or_than_before_is_found() {
    found("are reserved at", put("later", |spec| spec.gpus = 5));
    found("are reserved at", |command| {
        if let Command::PutOffer { site, offer, .. } = command
            && site.as_str() == "tokyo-1"
        {
            offer.gpus = 3;
        }
    });
    found("reservation otaru/least is not only lowered", |command| {
        if let Command::PutReservation(put) = command
            && put.expected.is_some()
        {
            put.spec.until = Some(sekisho_fsm::testing::BEGIN.plus_ms(60_000));
        }
    });
}

#[test]
fn a3_a_promise_by_somebody_else_is_found() {
    let report = judged(&promised(), |entry| {
        if matches!(entry.command, Command::PutReservation(_)) {
            entry.actor = admin("hokuto");
        }
    });
    let told = findings(&report, Step::Access);
    assert!(told.contains("reservation otaru/least is not the word"), "{told}");
}
