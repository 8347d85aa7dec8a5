//! Reservations: whoever is granted a place leaves what others reserved, and the holder has it when its time has come.

use super::*;
use crate::command::DeleteReservation;
use crate::reservation::Standing;
use crate::testing::reservation;
use sekisho_types::id::{JobId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::offer::START_WITHIN_MS;
use sekisho_types::reservation::{
    RESERVATION_KEPT_MS, RESERVATIONS_PER_SITE_CLASS_MAX, RESERVED_FOR_MAX_MS, Reclaim,
    ReservationSpec,
};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";
const HOUR_MS: u64 = 3_600_000;

/// Tokyo offers so many to `sapporo`, `otaru` and its part `shiomi`.
fn offering(gpus: u64) -> Federation {
    let mut f = Federation::furnished();
    let otaru = f.tenant("otaru", Limit::Unlimited);
    let shiomi = f.tenant("shiomi", Limit::Unlimited);
    f.part_of(&shiomi, &otaru);
    f.offer("tokyo-1", offer(gpus));
    f
}

fn of(tenant: &str, name: &str, gpus: u32) -> JobFacts {
    let facts = job(name, 1, gpus, &[]);
    JobFacts { id: JobId { tenant: tenant.parse().unwrap(), ..facts.id.clone() }, ..facts }
}

fn naming(facts: JobFacts, name: &str) -> JobFacts {
    JobFacts { reservation: Some(name.parse().unwrap()), ..facts }
}

fn limited(facts: JobFacts, limit_ms: u64) -> JobFacts {
    JobFacts { time_limit_s: limit_ms / 1000, ..facts }
}

/// Submits and places a job: what it was refused with.
fn tried(f: &mut Federation, facts: JobFacts, at: &str) -> Option<ErrorCode> {
    let id = f.submit(facts);
    again(f, &id, at)
}

fn again(f: &mut Federation, id: &JobId, at: &str) -> Option<ErrorCode> {
    let Ok(Reply::Placed { rejected, .. }) = f.place(id, &[at]).outcome else { panic!("{id}") };
    assert_eq!(invariant::check(&f.state), Ok(()));
    rejected.first().map(|(_, code)| *code)
}

fn ended(f: &mut Federation, tenant: &str, name: &str) {
    let id = of(tenant, name, 1).id;
    all(f, &id, &Phase::Ended(Ending::Exited(0)));
}

fn wait(f: &mut Federation, ms: u64) {
    f.now = f.now.plus_ms(ms);
    f.state.clock = f.now;
    f.run(member("kanto"), Command::Tick);
}

fn from(f: &Federation, ms: u64, gpus: u64) -> ReservationSpec {
    ReservationSpec { from: f.state.clock().plus_ms(ms), ..reservation("tokyo-1", gpus) }
}

fn standing(f: &Federation, tenant: &str, name: &str) -> Standing {
    let key = (tenant.parse().unwrap(), name.parse().unwrap());
    f.state.standing(&key, f.state.reservation(&key.0, &key.1).unwrap())
}

fn delete(f: &Federation, tenant: &str, name: &str) -> Command {
    let (tenant, name): (TenantId, _) = (tenant.parse().unwrap(), name.parse().unwrap());
    let expected = f.state.reservation(&tenant, &name).unwrap().revision;
    Command::DeleteReservation(Box::new(DeleteReservation { tenant, name, expected }))
}

#[test]
fn others_leave_a_committed_minimum_and_its_holder_may_use_more() {
    let mut f = offering(6);
    f.reserve("otaru", "least", reservation("tokyo-1", 3));
    assert_eq!(tried(&mut f, of("sapporo", "large", 4), NODE), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, of("sapporo", "fits", 2), NODE), None);
    // Its part uses it as well, and one beyond it.
    assert_eq!(tried(&mut f, of("shiomi", "part", 2), OTHER), None);
    assert_eq!(standing(&f, "otaru", "least"), Standing { used: 2, short: 0, occupied: 0 });
    assert_eq!(tried(&mut f, of("otaru", "more", 2), OTHER), None);
    assert_eq!(standing(&f, "otaru", "least").used, 3);
    assert_eq!(tried(&mut f, of("sapporo", "last", 1), NODE), Some(ErrorCode::OfferFull));
    // What the holder gives back of what it had beyond is everybody's, the rest is its own.
    ended(&mut f, "shiomi", "part");
    assert_eq!(again(&mut f, &of("sapporo", "last", 1).id, NODE), None);
    assert_eq!(tried(&mut f, of("sapporo", "next", 1), NODE), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, of("otaru", "back", 1), OTHER), None);
}

#[test]
fn who_has_left_before_it_begins_may_use_it() {
    let mut f = offering(4);
    let spec = from(&f, 2 * HOUR_MS, 3);
    f.reserve("otaru", "later", spec);
    let most = 2 * HOUR_MS - START_WITHIN_MS;
    let long = limited(of("sapporo", "long", 4), most + 1000);
    assert_eq!(tried(&mut f, long, NODE), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, limited(of("sapporo", "short", 4), most), NODE), None);
    ended(&mut f, "sapporo", "short");
    assert_eq!(tried(&mut f, limited(of("sapporo", "small", 1), 9 * HOUR_MS), NODE), None);
    // The holder's own work may last into it.
    assert_eq!(tried(&mut f, limited(of("otaru", "own", 3), 9 * HOUR_MS), OTHER), None);
    ended(&mut f, "otaru", "own");
    wait(&mut f, 2 * HOUR_MS);
    assert_eq!(again(&mut f, &of("sapporo", "long", 4).id, OTHER), Some(ErrorCode::OfferFull));
    assert_eq!(tried(&mut f, of("sapporo", "now", 1), OTHER), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, of("otaru", "had", 3), OTHER), None);
}

#[test]
fn what_is_reserved_is_everybodys_again_at_its_end() {
    let mut f = offering(4);
    let until = Some(f.state.clock().plus_ms(HOUR_MS));
    let hour = ReservationSpec { until, ..from(&f, 0, 4) };
    f.reserve("otaru", "hour", hour.clone());
    assert_eq!(tried(&mut f, of("sapporo", "waits", 4), NODE), Some(ErrorCode::OfferReserved));
    wait(&mut f, HOUR_MS);
    assert_eq!(again(&mut f, &of("sapporo", "waits", 4).id, NODE), None);
    let key = ("otaru".parse().unwrap(), "hour".parse().unwrap());
    assert!(f.state.reservation(&key.0, &key.1).is_some(), "it is shown for a while");
    let over = f.reserving("otaru", "hour", ReservationSpec { gpus: 1, ..hour });
    refused(&mut f, admin("kanto"), over, ErrorCode::ReservationPast);
    wait(&mut f, RESERVATION_KEPT_MS);
    assert_eq!(f.state.reservation(&key.0, &key.1), None);
    f.reserve("otaru", "other", reservation("tokyo-1", 1));
    assert_eq!(f.state.reservations.len(), 1, "the next one takes its place");
}

#[test]
fn a_job_that_names_one_is_placed_out_of_it_alone() {
    let mut f = offering(8);
    let until = Some(f.state.clock().plus_ms(4 * HOUR_MS));
    let spec = ReservationSpec { until, ..from(&f, HOUR_MS, 3) };
    f.reserve("otaru", "night", spec);
    let named = |name: &str, gpus| naming(of("shiomi", name, gpus), "night");
    let early = tried(&mut f, named("early", 2), NODE);
    assert_eq!(early, Some(ErrorCode::ReservationFull), "it has not begun");
    for bad in [
        naming(of("shiomi", "unknown", 1), "day"),
        naming(of("sapporo", "others", 1), "night"),
        limited(named("long", 1), 5 * HOUR_MS),
        named("large", 4),
    ] {
        let (actor, facts) = (user("kanto", bad.id.tenant.as_str()), Box::new(bad));
        refused(&mut f, actor, Command::SubmitJob { facts }, ErrorCode::ReservationNone);
    }
    wait(&mut f, HOUR_MS);
    let early = of("shiomi", "early", 2).id;
    assert_eq!(again(&mut f, &early, "sakai-1/n-01"), Some(ErrorCode::ReservationFull));
    assert_eq!(again(&mut f, &early, NODE), None);
    assert_eq!(tried(&mut f, named("next", 2), OTHER), Some(ErrorCode::ReservationFull));
    assert_eq!(tried(&mut f, of("shiomi", "any", 2), OTHER), None, "there is room beside it");
    let gone = delete(&f, "otaru", "night");
    f.accept(admin("kanto"), gone);
    let next = of("shiomi", "next", 2).id;
    assert_eq!(again(&mut f, &next, OTHER), Some(ErrorCode::ReservationNone));
}

fn evicted(f: &mut Federation) -> Vec<String> {
    let due: Vec<JobId> = f.state.denied().into_keys().collect();
    if !due.is_empty() {
        f.accept(member("kanto"), Command::EvictDenied { jobs: due.clone() });
    }
    assert_eq!(invariant::nothing_goes_on_where_it_is_refused(&f.state), Ok(()));
    due.into_iter().map(|id| id.name.to_string()).collect()
}

#[test]
fn work_from_before_leaves_at_its_beginning_if_it_says_so() {
    for (reclaim, moved) in [(Reclaim::Wait, &[][..]), (Reclaim::Drain, &["second", "third"][..])] {
        let mut f = offering(8);
        for (name, gpus, at) in [("first", 3, NODE), ("second", 1, NODE), ("third", 2, OTHER)] {
            let long = limited(of("sapporo", name, gpus), 9 * HOUR_MS);
            assert_eq!(tried(&mut f, long, at), None);
        }
        assert_eq!(tried(&mut f, of("otaru", "own", 1), OTHER), None);
        let spec = ReservationSpec { reclaim, ..from(&f, HOUR_MS, 5) };
        f.reserve("otaru", "later", spec);
        assert_eq!(standing(&f, "otaru", "later"), Standing { used: 0, short: 0, occupied: 3 });
        assert_eq!(evicted(&mut f), [""; 0], "its time has not come");
        wait(&mut f, HOUR_MS);
        assert_eq!(evicted(&mut f), moved, "what fits beside it stays, the oldest first");
        assert_eq!(evicted(&mut f), [""; 0], "once");
        if reclaim == Reclaim::Wait {
            continue;
        }
        for name in moved {
            let id = of("sapporo", name, 1).id;
            all(&mut f, &id, &Phase::Ended(Ending::Stopped));
            assert_eq!(again(&mut f, &id, OTHER), Some(ErrorCode::OfferReserved));
        }
        assert_eq!(tried(&mut f, of("otaru", "rest", 3), OTHER), None);
        assert_eq!(standing(&f, "otaru", "later"), Standing { used: 4, short: 0, occupied: 0 });
    }
}

#[test]
fn no_more_is_reserved_than_is_offered_at_every_moment_of_its_time() {
    let mut f = offering(4);
    let now = f.state.clock();
    f.offer("tokyo-1", OfferSpec { until: Some(now.plus_ms(10 * HOUR_MS)), ..offer(4) });
    let until = Some(now.plus_ms(10 * HOUR_MS));
    let whole = ReservationSpec { until, ..from(&f, 5 * HOUR_MS, 3) };
    f.reserve("otaru", "evening", whole.clone());
    let before = Some(now.plus_ms(5 * HOUR_MS));
    f.reserve("otaru", "morning", ReservationSpec { until: before, ..from(&f, 0, 4) });
    for bad in [
        ReservationSpec { gpus: 2, ..whole.clone() },
        ReservationSpec { from: now, gpus: 1, ..whole.clone() },
        // The offer ends before it does.
        ReservationSpec { gpus: 1, until: None, ..whole.clone() },
        ReservationSpec { gpus: 5, ..whole.clone() },
        ReservationSpec { site: "sakai-1".parse().unwrap(), gpus: 2_000_000, ..whole.clone() },
    ] {
        let operator = f.state.site(&bad.site).unwrap().operator.clone();
        let bad = f.reserving("otaru", "bad", bad);
        refused(&mut f, admin(operator.as_str()), bad, ErrorCode::ReservationNoRoom);
    }
    f.reserve("sapporo", "beside", ReservationSpec { gpus: 1, ..whole });
    // One that is not made to a holder backs nothing.
    let excluded = ["otaru".parse().unwrap()].into();
    f.offer("tokyo-1", OfferSpec { excluded, ..offer(9) });
    assert_eq!(standing(&f, "otaru", "morning"), Standing { used: 0, short: 4, occupied: 0 });
    let more = f.reserving("otaru", "more", from(&f, 0, 1));
    refused(&mut f, admin("kanto"), more, ErrorCode::ReservationNoRoom);
    assert_eq!(tried(&mut f, of("sapporo", "free", 4), NODE), None, "nothing there is reserved");
}

#[test]
fn an_offer_that_is_lowered_leaves_it_short_and_others_out() {
    let mut f = offering(8);
    f.reserve("otaru", "least", reservation("tokyo-1", 6));
    f.offer("tokyo-1", offer(5));
    assert_eq!(standing(&f, "otaru", "least"), Standing { used: 0, short: 1, occupied: 0 });
    assert_eq!(tried(&mut f, of("sapporo", "out", 1), NODE), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, of("otaru", "own", 4), NODE), None);
    f.offer("tokyo-1", offer(8));
    assert_eq!(standing(&f, "otaru", "least"), Standing { used: 4, short: 0, occupied: 0 });
    assert_eq!(again(&mut f, &of("sapporo", "out", 1).id, OTHER), None);
}

#[test]
fn only_the_operator_of_the_devices_promises_them_and_bad_promises_are_refused() {
    let mut f = offering(8);
    let good = || reservation("tokyo-1", 4);
    for other in [admin("naniwa"), user("kanto", "otaru")] {
        let put = f.reserving("otaru", "mine", good());
        refused(&mut f, other, put, ErrorCode::PermissionDenied);
    }
    let (now, past) = (f.state.clock(), Timestamp(1000));
    for (bad, code) in [
        (ReservationSpec { gpus: 0, ..good() }, ErrorCode::InvalidArgument),
        (ReservationSpec { gpus: u64::MAX, ..good() }, ErrorCode::InvalidArgument),
        (ReservationSpec { until: Some(past), ..good() }, ErrorCode::InvalidArgument),
        (
            ReservationSpec { until: Some(now.plus_ms(2 * RESERVED_FOR_MAX_MS)), ..good() },
            ErrorCode::InvalidArgument,
        ),
        (ReservationSpec { from: Timestamp(u64::MAX), ..good() }, ErrorCode::InvalidArgument),
        (
            ReservationSpec { from: past, until: Some(Timestamp(2000)), ..good() },
            ErrorCode::ReservationPast,
        ),
        (ReservationSpec { message: "x".repeat(513), ..good() }, ErrorCode::TooLarge),
        (ReservationSpec { site: "osaka-9".parse().unwrap(), ..good() }, ErrorCode::NotFound),
    ] {
        let bad = f.reserving("otaru", "bad", bad);
        refused(&mut f, admin("kanto"), bad, code);
    }
    let nobodys = f.reserving("nobody", "bad", good());
    refused(&mut f, admin("kanto"), nobodys, ErrorCode::NotFound);
    f.reserve("otaru", "least", good());
    let Command::PutReservation(mut put) = f.reserving("otaru", "least", good()) else {
        panic!("it reserves")
    };
    put.expected = Some(Revision(1));
    let stale = Command::PutReservation(put);
    refused(&mut f, admin("kanto"), stale, ErrorCode::RevisionMismatch);
    for bad in [
        ReservationSpec { gpus: 5, ..good() },
        ReservationSpec { from: now.plus_ms(1), ..good() },
        ReservationSpec { until: Some(now.plus_ms(HOUR_MS)), ..good() },
    ] {
        let bad = f.reserving("otaru", "least", bad);
        refused(&mut f, admin("kanto"), bad, ErrorCode::InvalidArgument);
    }
    let lowered = ReservationSpec { gpus: 2, reclaim: Reclaim::Drain, ..good() };
    f.reserve("otaru", "least", lowered);
    assert_eq!(tried(&mut f, of("sapporo", "more", 4), NODE), None);
    let gone = delete(&f, "otaru", "least");
    refused(&mut f, admin("naniwa"), gone.clone(), ErrorCode::PermissionDenied);
    f.accept(admin("kanto"), gone.clone());
    refused(&mut f, admin("kanto"), gone, ErrorCode::NotFound);
    assert!(f.state.stocks.is_empty() && f.state.reservations.is_empty());
}

#[test]
fn there_are_so_many_at_most_and_they_go_with_tenant_and_site() {
    let mut f = offering(1000);
    let until = Some(f.state.clock().plus_ms(HOUR_MS));
    for n in 0..RESERVATIONS_PER_SITE_CLASS_MAX {
        let spec = ReservationSpec { until, ..from(&f, 0, 1) };
        f.reserve(["otaru", "sapporo"][n % 2], &format!("r-{n}"), spec);
    }
    let more = f.reserving("otaru", "more", reservation("tokyo-1", 1));
    refused(&mut f, admin("kanto"), more, ErrorCode::TooLarge);
    // Those that are over make room.
    wait(&mut f, HOUR_MS);
    f.reserve("shiomi", "more", reservation("tokyo-1", 1));
    assert_eq!(f.state.reservations.len(), 1);
    f.reserve("otaru", "there", reservation("sakai-1", 1));
    assert_eq!(invariant::check(&f.state), Ok(()));
    f.accept(admin("naniwa"), Command::RevokeSite { site: "sakai-1".parse().unwrap() });
    assert_eq!(f.state.reservations.len(), 1);
    let tenant: TenantId = "shiomi".parse().unwrap();
    let key = user_key(&user("kanto", "shiomi")).public();
    let principal = user("kanto", "shiomi");
    f.accept(admin("kanto"), Command::RevokeKey { principal, key });
    let expected = f.state.tenant(&tenant).unwrap().revision;
    f.accept(admin("kanto"), Command::DeleteTenant { tenant, expected });
    assert!(f.state.reservations.is_empty() && f.state.stocks.is_empty());
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_tenant_that_moves_takes_its_work_out_of_its_parents_reservation() {
    let mut f = offering(8);
    f.reserve("otaru", "least", reservation("tokyo-1", 4));
    assert_eq!(tried(&mut f, of("shiomi", "part", 3), NODE), None);
    assert_eq!(standing(&f, "otaru", "least").used, 3);
    let (tenant, display_name) = ("shiomi".parse().unwrap(), Patch::Keep);
    let expected = f.state.tenant(&tenant).map(|row| row.revision);
    let (policy, parent) = (Patch::Keep, Patch::Set(None));
    f.accept(admin("kanto"), Command::PutTenant { tenant, display_name, policy, parent, expected });
    assert_eq!(standing(&f, "otaru", "least").used, 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!(tried(&mut f, of("sapporo", "more", 2), OTHER), Some(ErrorCode::OfferReserved));
    ended(&mut f, "shiomi", "part");
    assert_eq!(again(&mut f, &of("sapporo", "more", 2).id, OTHER), None);
}

#[test]
fn one_that_does_not_hold_now_keeps_nobody_from_its_parents() {
    let mut f = offering(8);
    let until = Some(f.state.clock().plus_ms(HOUR_MS));
    f.reserve("shiomi", "over", ReservationSpec { until, ..from(&f, 0, 2) });
    f.reserve("otaru", "least", reservation("tokyo-1", 4));
    assert_eq!(tried(&mut f, of("shiomi", "first", 3), NODE), None);
    assert_eq!((standing(&f, "shiomi", "over").used, standing(&f, "otaru", "least").used), (2, 0));
    wait(&mut f, HOUR_MS);
    // What it runs is of its parent's now, and held for it no second time.
    assert_eq!(standing(&f, "otaru", "least").used, 3);
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!(tried(&mut f, of("sapporo", "beside", 4), OTHER), None);
    assert_eq!(tried(&mut f, of("sapporo", "more", 1), NODE), Some(ErrorCode::OfferReserved));
    assert_eq!(tried(&mut f, naming(of("shiomi", "named", 1), "least"), NODE), None);
}

#[test]
fn one_that_is_to_come_takes_over_from_its_parents_when_it_begins() {
    let mut f = offering(8);
    f.reserve("otaru", "least", reservation("tokyo-1", 4));
    let later = from(&f, 2 * HOUR_MS, 2);
    f.reserve("shiomi", "later", later);
    assert_eq!(tried(&mut f, limited(of("shiomi", "long", 3), 9 * HOUR_MS), NODE), None);
    assert_eq!(standing(&f, "otaru", "least").used, 3);
    // From then on the parent has four of its own again, beside the three: one is left for others that last so long.
    assert_eq!(
        tried(&mut f, limited(of("sapporo", "long", 2), 9 * HOUR_MS), OTHER),
        Some(ErrorCode::OfferReserved)
    );
    assert_eq!(tried(&mut f, limited(of("sapporo", "one", 1), 9 * HOUR_MS), OTHER), None);
    assert_eq!(tried(&mut f, limited(of("sapporo", "short", 3), HOUR_MS), OTHER), None);
    wait(&mut f, 2 * HOUR_MS);
    assert_eq!((standing(&f, "shiomi", "later").used, standing(&f, "otaru", "least").used), (2, 0));
}

#[test]
fn a_holder_whom_an_offer_excludes_takes_it_from_no_other_holder() {
    let mut f = offering(8);
    let excluded = ["shiomi".parse().unwrap()].into();
    f.offer("tokyo-1", OfferSpec { excluded, ..offer(6) });
    let (site, name) = ("tokyo-1".parse().unwrap(), "open".parse().unwrap());
    let open = Command::PutOffer { site, name, offer: Box::new(offer(2)), expected: None };
    f.accept(admin("kanto"), open);
    let until = Some(f.state.clock().plus_ms(2 * HOUR_MS));
    f.reserve("otaru", "now", ReservationSpec { until, ..from(&f, 0, 6) });
    // Of the two offers one would back nothing any more, though the other is enough for it when its time comes.
    let later = f.reserving("shiomi", "later", from(&f, 5 * HOUR_MS, 1));
    refused(&mut f, admin("kanto"), later, ErrorCode::ReservationNoRoom);
    assert_eq!(standing(&f, "otaru", "now").short, 0);
}
