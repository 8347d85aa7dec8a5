//! Power caps: the plan keeps to them and prefers sites with power left, the explanation names them and what would help.

use super::*;
use crate::{Explanation, Verdict, Waiting, With, explain, plan};
use sekisho_fsm::testing::{bucket, job};
use sekisho_types::device::Bucket;
use sekisho_types::job::JobFacts;

fn watts(devices: u64) -> u64 {
    u64::from(bucket(1).rated_watts()).saturating_mul(devices)
}

fn why(federation: &Federation, facts: &JobFacts) -> (Verdict, ErrorCode, String) {
    let Explanation { verdict, binding, steps, .. } = explain(&federation.state, facts);
    let binding = binding.unwrap();
    let step = steps.into_iter().find(|step| step.token == binding.as_str()).unwrap();
    (verdict, binding, format!("{} left: {}", step.nodes_left, step.condition))
}

/// What is said to help, each tried.
fn helps(federation: &Federation, facts: &JobFacts) -> Vec<String> {
    let found = explain(&federation.state, facts);
    let tried = found.relaxations.into_iter().map(|one| {
        let then = match &one.with {
            With::Job(facts) => explain(&federation.state, facts).verdict,
            With::Other(supposed) => explain(&federation.state.supposing(supposed), facts).verdict,
            With::End(_) | With::Seal => one.effect,
        };
        assert_eq!(then, one.effect, "{one:?}");
        one.change
    });
    tried.collect()
}

#[test]
fn groups_of_a_plan_see_the_power_that_earlier_ones_take() {
    let mut federation = Federation::furnished();
    federation.cap("tokyo-1", Some(watts(5)));
    for (name, gpus) in [("a", 3), ("b", 3), ("c", 2)] {
        federation.submit(job(name, 1, gpus, &["Tokyo"]));
    }
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["a: tokyo-1/n-01", "c: tokyo-1/n-02"]);
    assert_eq!(found.waiting, Waiting { offer: 1, ..Waiting::default() });
    assert_eq!(commit(&mut federation), 2);
    assert_eq!(federation.state.power(&"tokyo-1".parse().unwrap()).left(0), Some(0));
}

#[test]
fn it_is_said_how_much_is_left_and_what_would_help() {
    let mut federation = Federation::furnished();
    federation.cap("tokyo-1", Some(watts(5)));
    federation.submit(job("a", 1, 3, &["Tokyo"]));
    commit(&mut federation);
    let gang = job("gang", 2, 2, &["Tokyo"]);
    // Each of them would fit alone.
    cordon(&mut federation, "tokyo-1/n-01");
    federation.ready_node("tokyo-1/n-03", 4);
    let (verdict, code, said) = why(&federation, &gang);
    assert_eq!((verdict, code), (Verdict::WouldWait, ErrorCode::PowerFull));
    assert_eq!(said, "1 left: not beyond a power cap: tokyo-1 3000/7500 W (3000 W)");
    let found = helps(&federation, &gang);
    for change in [
        "wait for job sapporo/a to end, by 2026-11-22T01:00:40.000Z at the latest",
        "ask for 1 GPUs a member instead of 2",
        "make the group 1 instead of 2",
        "drop the area rule 東京都 (130001) of the job",
        "have the power cap of tokyo-1 raised by 3000 to 10500 W",
    ] {
        let said = |one: &String| one.split(", by ").next() == change.split(", by ").next();
        assert!(found.iter().any(said), "{change} in {found:?}");
    }
    let estimate = explain(&federation.state, &gang).estimate;
    assert!(estimate.is_some(), "what runs gives its power back");
}

#[test]
fn what_no_cap_admits_is_never() {
    let mut federation = Federation::furnished();
    federation.cap("tokyo-1", Some(watts(3)));
    let large = job("large", 1, 4, &["Tokyo"]);
    let (verdict, code, said) = why(&federation, &large);
    assert_eq!((verdict, code), (Verdict::Never, ErrorCode::PowerTooSmall));
    assert_eq!(said, "0 left: no member above its site's power cap");
    let found = helps(&federation, &large);
    for change in [
        "ask for 3 GPUs a member instead of 4",
        "have the power cap of tokyo-1 raised by 1500 to 6000 W",
    ] {
        assert!(found.iter().any(|one| one == change), "{change} in {found:?}");
    }
    // Said before an offer that is full, which waiting may change.
    federation.offer("tokyo-1", sekisho_fsm::testing::offer(1));
    assert_eq!(why(&federation, &large).1, ErrorCode::PowerTooSmall);
    // Elsewhere it would do.
    assert_eq!(explain(&federation.state, &job("any", 1, 4, &[])).verdict, Verdict::PlacedNow);
}

#[test]
fn of_what_is_as_good_the_site_with_most_power_left_comes_first_and_begun_nodes_before_it() {
    let mut federation = Federation::furnished();
    let small = |name: &str, group| job(name, group, 1, &[]);
    for (site, devices) in [("ishikari-1", 6), ("sakai-1", 7), ("tokyo-1", 5)] {
        federation.cap(site, Some(watts(devices)));
    }
    federation.submit(small("a", 1));
    assert_eq!(shown(&plan(&federation.state)), ["a: sakai-1/n-01"], "not the first by name");
    commit(&mut federation);
    // 6 are left there as in Ishikari, and its node is begun.
    federation.submit(small("b", 1));
    assert_eq!(shown(&plan(&federation.state)), ["b: sakai-1/n-01"]);
    commit(&mut federation);
    federation.submit(small("c", 1));
    assert_eq!(shown(&plan(&federation.state)), ["c: sakai-1/n-01"], "though Ishikari has more");
    commit(&mut federation);
    // Two members find room at each site alike.
    federation.submit(small("gang", 2));
    assert_eq!(shown(&plan(&federation.state)), ["gang: ishikari-1/n-01 ishikari-1/n-02"]);
    federation.cap("tokyo-1", None);
    let free = "gang: tokyo-1/n-01 tokyo-1/n-02";
    assert_eq!(shown(&plan(&federation.state)), [free], "where nothing binds");
}

#[test]
fn devices_that_draw_less_are_taken_first_and_each_at_its_own() {
    let mut federation = Federation::furnished();
    let node: NodeId = "tokyo-1/n-02".parse().unwrap();
    federation.equip(&node, vec![Bucket { watts: 500, ..bucket(4) }]);
    federation.cap("tokyo-1", Some(2_000));
    let lean = job("lean", 1, 4, &["Tokyo"]);
    federation.submit(lean.clone());
    assert_eq!(shown(&plan(&federation.state)), ["lean: tokyo-1/n-02"]);
    let told = explain(&federation.state, &lean);
    let at = |token: &str| told.steps.iter().find(|step| step.token == token).unwrap().nodes_left;
    assert_eq!((told.verdict, at("POWER_TOO_SMALL")), (Verdict::PlacedNow, 1));
}
