//! What the auditor charges is what the state machine does, to the last device and millisecond; and it knows whose vetoes and
//! reservations are over, and which are of a whole.

use super::quota::{busy, judged};
use super::*;
use sekisho_fsm::testing::{offer, reservation};
use sekisho_types::budget::Period;
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::patch::Patch;
use sekisho_types::quota::Limit;

#[test]
fn what_was_charged_otherwise_is_found_though_it_goes_beyond_nothing() {
    let f = busy();
    let differs = |change: &dyn Fn(&mut Command)| {
        let mut report = judged(&f, |entry| change(&mut entry.command));
        assert!(!report.is_bad(), "{:#?}", report.steps);
        oracle::compare_sums(&f.state, &mut report);
        findings(&report, Step::Quota)
    };
    assert_eq!(differs(&|_| {}), "");
    let priced = |of: &'static str, yen: u64| {
        move |command: &mut Command| {
            if let Command::PutOffer { name, offer, .. } = command
                && name.as_str() == of
                && offer.yen_per_gpu_hour > 0
            {
                offer.yen_per_gpu_hour = yen;
            }
        }
    };
    // Four devices for an hour, for ninety yen each instead of a hundred.
    let cheaper = differs(&priced("all", 90));
    assert!(cheaper.contains("budget") && cheaper.contains("Some(1296000000)"), "{cheaper}");
    assert!(cheaper.contains("placement") && !cheaper.contains("offer (tokyo-1"), "{cheaper}");
    let larger = differs(&|command| {
        if let Command::PutOffer { name, offer, .. } = command
            && name.as_str() == "cheap"
        {
            offer.gpus = 4;
        }
    });
    assert!(larger.contains("offer (tokyo-1"), "charged to the other offer: {larger}");
    let monthly = differs(&|command| {
        if let Command::SetBudget { name, budget: Some(spec), .. } = command
            && name.as_str() == "yen"
        {
            spec.period = Period::Month;
        }
    });
    assert!(monthly.contains("budget") && !monthly.contains("placement"), "{monthly}");
}

#[test]
fn a_veto_goes_with_its_tenant_and_not_to_the_next_of_its_name() {
    let mut f = Federation::furnished();
    let put = Command::PutTenant {
        tenant: "brief".parse().unwrap(),
        display_name: Patch::Keep,
        policy: Patch::Keep,
        parent: Patch::Keep,
        expected: None,
    };
    f.accept(admin("kanto"), put);
    let tenant: sekisho_types::id::TenantId = "brief".parse().unwrap();
    let (operator, reason) = ("kanto".parse().unwrap(), "no contract".to_owned());
    let of = Vetoed::Tenant(tenant.clone());
    f.accept(admin("kanto"), Command::Veto { operator, of, reason });
    let expected = f.state.tenant(&tenant).unwrap().revision;
    f.accept(admin("kanto"), Command::DeleteTenant { tenant, expected });
    let again = f.tenant("brief", Limit::Gpus(4));
    let facts = job("runs", 1, 2, &[]);
    let id = sekisho_types::id::JobId { tenant: again, ..facts.id.clone() };
    let id = f.submit(JobFacts { id, ..facts });
    f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(f.placements(&id).len(), 1);
    let report = verify(&signed(&records(&f), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
}

/// An array of `shiomi`, which is a part of `otaru`, out of what `otaru` reserved. There is an offer for less that is not made to
/// `otaru`, and so backs nothing.
fn reserved() -> Federation {
    let mut f = Federation::furnished();
    let otaru = f.tenant("otaru", Limit::Unlimited);
    let shiomi = f.tenant("shiomi", Limit::Unlimited);
    f.part_of(&shiomi, &otaru);
    f.offer("tokyo-1", OfferSpec { yen_per_gpu_hour: 100, ..offer(8) });
    let (site, name) = ("tokyo-1".parse().unwrap(), "cheap".parse().unwrap());
    let cheap = Box::new(OfferSpec { excluded: [otaru].into(), ..offer(8) });
    f.accept(admin("kanto"), Command::PutOffer { site, name, offer: cheap, expected: None });
    f.reserve("otaru", "least", reservation("tokyo-1", 4));
    let of = Vetoed::Job("sapporo/nobody".parse().unwrap());
    let (operator, reason) = ("kanto".parse().unwrap(), "an audit of it".to_owned());
    f.accept(admin("kanto"), Command::Veto { operator, of, reason });
    let facts = job("sweep", 1, 1, &[]);
    let id = sekisho_types::id::JobId { tenant: shiomi, ..facts.id.clone() };
    let (kind, reservation) = (Kind::Array { tasks: 2, at_most: 2 }, "least".parse().ok());
    let id = f.submit(JobFacts { id, kind, reservation, ..facts });
    for task in 0..2 {
        f.place(&id, &["tokyo-1/n-01"]);
        let placed = f.placements(&id.task(task));
        let row = f.state.placement(&placed[0]).unwrap();
        assert_eq!(row.charge.offer.as_ref().unwrap().as_str(), "all");
    }
    f
}

#[test]
fn tasks_are_charged_to_what_their_whole_names_and_vetoed_with_it() {
    let f = reserved();
    let report = verify(&signed(&records(&f), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let report = judged(&f, |entry| {
        if let Command::Veto { of, .. } = &mut entry.command {
            *of = Vetoed::Job("shiomi/sweep".parse().unwrap());
        }
    });
    let told = findings(&report, Step::Quota);
    assert!(told.contains("kanto takes no work of job shiomi/sweep"), "{told}");
}
