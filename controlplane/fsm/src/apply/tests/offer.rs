//! Offers and vetoes: nothing is granted beyond them, and only the devices' own operator says them.

use super::*;
use sekisho_types::id::{JobId, SiteId};
use sekisho_types::offer::{OFFERS_PER_SITE_MAX, OnLower, START_WITHIN_MS, Vetoed};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";

fn tokyo() -> SiteId {
    "tokyo-1".parse().unwrap()
}

fn put(f: &Federation, name: &str, spec: OfferSpec) -> Command {
    let name = name.parse().unwrap();
    let expected = f.state.offer(&tokyo(), &name).map(|row| row.revision);
    Command::PutOffer { site: tokyo(), name, offer: Box::new(spec), expected }
}

fn withdraw(f: &Federation, name: &str) -> Command {
    let name = name.parse().unwrap();
    let expected = f.state.offer(&tokyo(), &name).unwrap().revision;
    Command::WithdrawOffer { site: tokyo(), name, expected }
}

fn rejected(f: &mut Federation, job: &JobId, nodes: &[&str]) -> Option<ErrorCode> {
    match f.place(job, nodes).outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    }
}

fn evicted(f: &mut Federation) -> Vec<JobId> {
    let due: Vec<JobId> = f.state.denied().into_keys().collect();
    if !due.is_empty() {
        f.accept(member("kanto"), Command::EvictDenied { jobs: due.clone() });
    }
    assert_eq!(invariant::nothing_goes_on_where_it_is_refused(&f.state), Ok(()));
    due
}

#[test]
fn nothing_is_granted_beyond_what_is_offered() {
    let mut f = Federation::furnished();
    f.offer("tokyo-1", offer(5));
    let (first, second) = (f.submit(job("first", 1, 4, &[])), f.submit(job("second", 1, 2, &[])));
    assert_eq!(rejected(&mut f, &first, &[NODE]), None);
    assert_eq!(rejected(&mut f, &second, &[OTHER]), Some(ErrorCode::OfferFull));
    assert_eq!(f.state.offer(&tokyo(), &"all".parse().unwrap()).unwrap().used, 4);
    all(&mut f, &first, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(rejected(&mut f, &second, &[OTHER]), None);
    // Where none is made, nothing is granted.
    let gone = withdraw(&f, "all");
    f.accept(admin("kanto"), gone);
    let third = f.submit(job("third", 1, 1, &[]));
    assert_eq!(rejected(&mut f, &third, &[NODE]), Some(ErrorCode::OfferNone));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_time_limit_ends_within_the_offer_and_not_everybody_is_made_it() {
    let mut f = Federation::furnished();
    let (now, hour) = (f.state.clock(), 3_600_000);
    let end = hour + START_WITHIN_MS;
    let id = f.submit(job("id", 1, 1, &[]));
    for (spec, expected) in [
        (OfferSpec { until: Some(now.plus_ms(end - 1)), ..offer(4) }, Some(ErrorCode::OfferNone)),
        (OfferSpec { from: now.plus_ms(hour), ..offer(4) }, Some(ErrorCode::OfferNone)),
        (
            OfferSpec { excluded: [id.tenant.clone()].into(), ..offer(4) },
            Some(ErrorCode::OfferNone),
        ),
        (OfferSpec { until: Some(now.plus_ms(end)), ..offer(4) }, None),
    ] {
        f.offer("tokyo-1", spec);
        assert_eq!(rejected(&mut f, &id, &[NODE]), expected);
    }
}

#[test]
fn the_cheapest_offer_that_has_room_is_charged() {
    let mut f = Federation::furnished();
    let priced = |gpus, yen| OfferSpec { yen_per_gpu_hour: yen, ..offer(gpus) };
    f.offer("tokyo-1", priced(8, 500));
    let cheap = put(&f, "cheap", priced(2, 100));
    f.accept(admin("kanto"), cheap);
    let charged = |f: &mut Federation, name: &str, gpus, node| {
        let id = f.submit(job(name, 1, gpus, &[]));
        assert_eq!(rejected(f, &id, &[node]), None);
        let row = f.state.placement(&f.placements(&id)[0]).unwrap();
        (row.charge.offer.clone().unwrap().to_string(), row.charge.yen_per_gpu_hour)
    };
    assert_eq!(charged(&mut f, "large", 3, NODE), ("all".to_owned(), 500));
    assert_eq!(charged(&mut f, "small", 1, NODE), ("cheap".to_owned(), 100));
    assert_eq!(charged(&mut f, "next", 1, OTHER), ("cheap".to_owned(), 100));
    assert_eq!(charged(&mut f, "last", 1, OTHER), ("all".to_owned(), 500));
}

#[test]
fn lowering_moves_what_came_last_or_keeps_it() {
    let mut f = Federation::furnished();
    let jobs: Vec<JobId> = (0..3).map(|n| f.submit(job(&format!("j-{n}"), 1, 2, &[]))).collect();
    for (id, node) in jobs.iter().zip([NODE, NODE, OTHER]) {
        assert_eq!(rejected(&mut f, id, &[node]), None);
    }
    f.offer("tokyo-1", OfferSpec { on_lower: OnLower::Keep, ..offer(3) });
    assert_eq!(evicted(&mut f), []);
    f.offer("tokyo-1", offer(3));
    assert_eq!(evicted(&mut f), jobs[1..], "two GPUs are covered, those that came first");
    // Ordered once; what is being stopped makes room already.
    assert_eq!(evicted(&mut f), []);
    for id in &jobs[1..] {
        all(&mut f, id, &Phase::Ended(Ending::Stopped));
        assert_eq!(f.state.job(id).unwrap().phase, JobPhase::Queued);
        assert_eq!(f.state.job(id).unwrap().attempts, 0);
    }
    let gone = withdraw(&f, "all");
    f.accept(admin("kanto"), gone);
    assert_eq!(evicted(&mut f), jobs[..1]);
    assert!(f.state.offer(&tokyo(), &"all".parse().unwrap()).unwrap().withdrawn);
    let again = put(&f, "all", offer(9));
    refused(&mut f, admin("kanto"), again, ErrorCode::WrongPhase);
    all(&mut f, &jobs[0], &Phase::Ended(Ending::Stopped));
    assert_eq!(f.state.offers_of(&tokyo()).count(), 0, "it went with its last placement");
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn an_offer_that_is_put_off_covers_nothing_until_it_begins() {
    let mut f = Federation::furnished();
    let runs = f.submit(job("runs", 1, 2, &[]));
    assert_eq!(rejected(&mut f, &runs, &[NODE]), None);
    let from = f.state.clock().plus_ms(3_600_000);
    f.offer("tokyo-1", OfferSpec { from, on_lower: OnLower::Keep, ..offer(8) });
    assert_eq!(evicted(&mut f), []);
    f.offer("tokyo-1", OfferSpec { from, ..offer(8) });
    assert_eq!(evicted(&mut f), std::slice::from_ref(&runs));
    all(&mut f, &runs, &Phase::Ended(Ending::Stopped));
    assert_eq!(rejected(&mut f, &runs, &[OTHER]), Some(ErrorCode::OfferNone));
}

#[test]
fn a_veto_stands_before_all_and_is_the_operators_alone() {
    let mut f = Federation::furnished();
    let runs = f.submit(job("runs", 1, 1, &[]));
    assert_eq!(rejected(&mut f, &runs, &[NODE]), None);
    let of = Vetoed::Tenant(runs.tenant.clone());
    let kanto: sekisho_types::id::OperatorId = "kanto".parse().unwrap();
    let (operator, reason) = (kanto, "no contract".to_owned());
    let veto = Command::Veto { operator: operator.clone(), of: of.clone(), reason };
    refused(&mut f, admin("naniwa"), veto.clone(), ErrorCode::PermissionDenied);
    f.accept(admin("kanto"), veto);
    assert_eq!(evicted(&mut f), std::slice::from_ref(&runs));
    all(&mut f, &runs, &Phase::Ended(Ending::Stopped));
    assert!(f.state.job(&runs).unwrap().message.contains("no contract"));
    assert_eq!(rejected(&mut f, &runs, &[NODE]), Some(ErrorCode::OfferVetoed));
    assert_eq!(rejected(&mut f, &runs, &["sakai-1/n-01"]), None, "others take it");
    let lift = Command::LiftVeto { operator, of };
    refused(&mut f, admin("hokuto"), lift.clone(), ErrorCode::PermissionDenied);
    f.accept(admin("kanto"), lift.clone());
    refused(&mut f, admin("kanto"), lift, ErrorCode::NotFound);
    // Of one job: it goes with the job.
    let job_alone = Vetoed::Job(runs.clone());
    let (operator, reason) = ("naniwa".parse().unwrap(), String::new());
    f.accept(admin("naniwa"), Command::Veto { operator, of: job_alone, reason });
    assert_eq!(evicted(&mut f), std::slice::from_ref(&runs));
    all(&mut f, &runs, &Phase::Ended(Ending::Stopped));
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: runs });
    assert_eq!(f.state.vetoes().count(), 0);
    let unknown = Command::Veto {
        operator: "nobody".parse().unwrap(),
        of: Vetoed::Tenant("osaka".parse().unwrap()),
        reason: String::new(),
    };
    refused(&mut f, admin("kanto"), unknown, ErrorCode::PermissionDenied);
}

#[test]
fn a_veto_is_of_a_whole_job() {
    let mut f = Federation::furnished();
    let of = Vetoed::Job(f.submit(job("array", 1, 1, &[])).task(1));
    let (operator, reason) = ("kanto".parse().unwrap(), String::new());
    let veto = Command::Veto { operator, of, reason };
    refused(&mut f, admin("kanto"), veto, ErrorCode::InvalidArgument);
}

#[test]
fn nobody_but_the_operator_offers_its_devices_and_bad_offers_are_refused() {
    let mut f = Federation::furnished();
    for other in [admin("naniwa"), user("kanto", "sapporo")] {
        let raise = put(&f, "all", offer(9_000_000));
        refused(&mut f, other, raise, ErrorCode::PermissionDenied);
    }
    let by = || admin("kanto");
    let other_class = OfferSpec { class: "other".parse().unwrap(), ..offer(1) };
    for bad in [
        OfferSpec { gpus: u64::MAX, ..offer(1) },
        OfferSpec { yen_per_gpu_hour: u64::MAX, ..offer(1) },
        OfferSpec { from: Timestamp(9), until: Some(Timestamp(9)), ..offer(1) },
        OfferSpec { until: Some(f.state.clock()), ..offer(1) },
        other_class,
    ] {
        let bad = put(&f, "all", bad);
        refused(&mut f, by(), bad, ErrorCode::InvalidArgument);
    }
    let stale = Command::PutOffer {
        site: tokyo(),
        name: "all".parse().unwrap(),
        offer: Box::new(offer(1)),
        expected: Some(Revision(1)),
    };
    refused(&mut f, by(), stale, ErrorCode::RevisionMismatch);
    for n in 1..OFFERS_PER_SITE_MAX {
        let one = put(&f, &format!("o-{n}"), offer(1));
        f.accept(by(), one);
    }
    let one_more = put(&f, "one-more", offer(1));
    refused(&mut f, by(), one_more, ErrorCode::TooLarge);
    f.accept(by(), Command::RevokeSite { site: tokyo() });
    let revoked = put(&f, "all", offer(1));
    refused(&mut f, by(), revoked, ErrorCode::NodeRevoked);
}
