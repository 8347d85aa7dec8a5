//! The funnel, its binding filter and what is offered to relax, one filter at a time.

use super::*;
use crate::{Basis, Explanation, Verdict, explain};
use sekisho_fsm::testing::{CLASS, job};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::quota::Limit;
use sekisho_types::residency::{Rules, Tier};
use sekisho_types::time::Timestamp;

fn text(explanation: &Explanation) -> String {
    let lines = explanation
        .steps
        .iter()
        .map(|step| format!("{:<21} {:>2}  {}", step.token, step.nodes_left, step.condition));
    lines.collect::<Vec<_>>().join("\n")
}

fn changes(explanation: &Explanation) -> Vec<(String, Verdict)> {
    explanation.relaxations.iter().map(|r| (r.change.clone(), r.effect)).collect()
}

fn said(change: &str, effect: Verdict) -> (String, Verdict) {
    (change.to_owned(), effect)
}

#[test]
fn the_funnel_reads_from_the_fleet_to_the_quota() {
    let mut federation = Federation::furnished();
    federation.tenant("other", Limit::Unlimited);
    let blocker = job("blocker", 1, 3, &["JP-01"]);
    let id = JobId { tenant: "other".parse().unwrap(), ..blocker.id.clone() };
    federation.submit(JobFacts { id, ..blocker });
    commit(&mut federation);
    cordon(&mut federation, "tokyo-1/n-01");
    let mut facts = job("wide", 2, 3, &["JP-01", "Tokyo"]);
    facts.resources.memory_mib = 40_960;
    facts.residency.denied_operators.insert("naniwa".parse().unwrap());
    let found = explain(&federation.state, &facts);
    let golden = "\
RESIDENCY_OUTSIDE_JP   6  inside Japan
RESIDENCY_TIER         6  country established at T1 or better, area at T1 or better
RESIDENCY_AREA         4  in 北海道 (010006), 東京都 (130001) (the job)
RESIDENCY_OPERATOR     4  not of naniwa (the job)
OFFER_VETOED           4  taken by its operator
NO_DEVICE              4  has 3 x sim-h100 with 40960 MiB or more each in one bucket
NODE_REVOKED           4  not revoked
POWER_TOO_SMALL        4  no member above its site's power cap
OFFER_NONE             4  offered to sapporo until 2026-11-22T01:00:00.000Z
PAYLOAD_NOT_SEALED     4  can read the payload
PAYLOAD_NOT_HERE       4  some member keeps the payload
NODE_UNAVAILABLE       4  has not refused this job
NODE_PENDING           4  approved by its operator
NODE_UNFIT             4  passes its own checks
NODE_DRAINING          4  not being drained
NODE_QUARANTINED       4  not in quarantine
NODE_UNAVAILABLE       3  schedulable and in contact
TAG_EXPIRED            3  site tag in force
TOPOLOGY_APART         3  beside any job
CAPACITY_FULL          2  3 of them free in one bucket
OFFER_FULL             2  3 of what is offered free
OFFER_RESERVED         2  not reserved for others
POWER_FULL             2  not beyond a power cap
QUOTA_EXCEEDED         2  quota of sapporo for sim-h100: 8, in use 0, room for 8, needed 6
BUDGET_EXHAUSTED       2  no hard budget
TOPOLOGY_UNMET         2  members anywhere
TURN_OF_ANOTHER        2  left by the jobs whose turn is first
ROOM_KEPT              2  not kept for another job";
    assert_eq!(text(&found), golden);
    assert_eq!((found.verdict, found.binding), (Verdict::PlacedNow, None));
    assert_eq!((found.nodes, found.nodes_needed, found.position), (6, 2, None));
    assert_eq!(changes(&found), []);
}

#[test]
fn an_empty_fleet_lacks_devices_and_blames_no_residency_rule() {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Gpus(8));
    for areas in [&[][..], &["JP-01"]] {
        let found = explain(&federation.state, &job("first", 1, 1, areas));
        assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NoDevice)));
        assert_eq!((found.nodes, found.detail.as_str()), (0, "no node is enrolled"));
        assert_eq!(changes(&found), []);
    }
    // One node is a fleet: then the rule that drops it is named.
    federation.ready_node("tokyo-1/n-01", 4);
    let found = explain(&federation.state, &job("first", 1, 1, &["JP-01"]));
    assert_eq!((found.binding, found.detail.as_str()), (Some(ErrorCode::ResidencyArea), ""));
}

#[test]
fn an_area_without_nodes_is_never_and_dropping_the_rule_helps() {
    let federation = Federation::furnished();
    let found = explain(&federation.state, &job("okinawa", 1, 1, &["JP-47"]));
    assert_eq!(found.verdict, Verdict::Never);
    assert_eq!(found.binding, Some(ErrorCode::ResidencyArea));
    assert_eq!(
        changes(&found),
        [said("drop the area rule 沖縄県 (470007) of the job", Verdict::PlacedNow)]
    );
}

#[test]
fn a_tier_that_no_node_has_is_never() {
    let mut federation = Federation::furnished();
    let rules = Rules { area_tier: Tier::SiteProven, ..Rules::default() };
    let policy = federation.policy("proven", rules);
    let facts = JobFacts { policy: Some(policy), ..job("strict", 1, 1, &[]) };
    let found = explain(&federation.state, &facts);
    assert_eq!(found.binding, Some(ErrorCode::ResidencyTier));
    assert_eq!(
        changes(&found),
        [said("lower the tiers to T1 of policy proven", Verdict::PlacedNow)]
    );
}

#[test]
fn too_many_members_or_gpus_for_the_fleet_is_never() {
    let mut federation = Federation::furnished();
    federation.tenant("large", Limit::Unlimited);
    let of_large = |facts: JobFacts| {
        let id = JobId { tenant: "large".parse().unwrap(), ..facts.id.clone() };
        JobFacts { id, ..facts }
    };
    let found = explain(&federation.state, &of_large(job("gang", 7, 1, &[])));
    assert_eq!(
        (found.verdict, found.binding),
        (Verdict::Never, Some(ErrorCode::ResidencyOutsideJp))
    );
    let found = explain(&federation.state, &of_large(job("big", 1, 5, &[])));
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NoDevice)));
    assert_eq!(changes(&found), [said("ask for 4 GPUs a member instead of 5", Verdict::PlacedNow)]);
}

#[test]
fn cordons_and_lost_leases_are_not_yet() {
    let mut federation = Federation::furnished();
    cordon_all_but(&mut federation, &["tokyo-1/n-02"]);
    let found = explain(&federation.state, &job("pair", 2, 1, &[]));
    assert_eq!(
        (found.verdict, found.binding),
        (Verdict::WouldWait, Some(ErrorCode::NodeUnavailable))
    );
    assert_eq!(changes(&found), [said("make the group 1 instead of 2", Verdict::PlacedNow)]);
}

#[test]
fn revoked_nodes_are_never() {
    let mut federation = Federation::furnished();
    let site = "ishikari-1".parse().unwrap();
    federation.accept(admin("hokuto"), Command::RevokeSite { site });
    let found = explain(&federation.state, &job("here", 1, 1, &["JP-01"]));
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NodeRevoked)));
}

#[test]
fn an_expired_tag_is_not_yet() {
    let mut federation = Federation::furnished();
    hours_later(&mut federation, 24);
    let found = explain(&federation.state, &job("late", 1, 1, &[]));
    assert_eq!((found.verdict, found.binding), (Verdict::WouldWait, Some(ErrorCode::TagExpired)));
    // The place is judged all the same.
    let found = explain(&federation.state, &job("late", 1, 1, &["JP-47"]));
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::ResidencyArea)));
}

#[test]
fn quota_tells_none_from_in_use() {
    let mut federation = Federation::furnished();
    let mut facts = job("more", 3, 3, &[]);
    let found = explain(&federation.state, &facts);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::QuotaNone)));
    let said_of_quota = "\
QUOTA_NONE             2  quota of sapporo for sim-h100: 8, in use 0, room for 8, needed 9";
    assert!(text(&found).contains(said_of_quota), "{}", text(&found));
    // What the submitter does alone comes first.
    let helps = [
        said("ask for 2 GPUs a member instead of 3", Verdict::PlacedNow),
        said("make the group 2 instead of 3", Verdict::PlacedNow),
        said("raise the quota of sapporo for sim-h100 by 1 to 9", Verdict::PlacedNow),
    ];
    assert_eq!(changes(&found), helps);
    federation.submit(job("first", 1, 4, &["Tokyo"]));
    commit(&mut federation);
    facts.group = 2;
    let found = explain(&federation.state, &facts);
    assert_eq!(
        (found.verdict, found.binding),
        (Verdict::WouldWait, Some(ErrorCode::QuotaExceeded))
    );
    // `never` hides behind no `not yet`.
    cordon_all_but(&mut federation, &[]);
    facts.group = 3;
    let found = explain(&federation.state, &facts);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::QuotaNone)));
}

#[test]
fn a_full_place_names_the_job_to_wait_for_and_when() {
    let mut federation = Federation::furnished();
    cordon_all_but(&mut federation, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    federation.submit(JobFacts { time_limit_s: 600, ..job("short", 1, 4, &["JP-01"]) });
    federation.submit(JobFacts { time_limit_s: 7200, ..job("long", 1, 4, &["JP-01"]) });
    assert_eq!(commit(&mut federation), 2);
    let end = |s: u64| Some(Timestamp(federation.now.0 + (s + 5) * 1000));
    let one = job("one", 1, 1, &["JP-01"]);
    let found = explain(&federation.state, &one);
    assert_eq!((found.verdict, found.binding), (Verdict::WouldWait, Some(ErrorCode::CapacityFull)));
    let by = end(600).unwrap();
    let change = format!("wait for job sapporo/short to end, by {by} at the latest");
    assert_eq!(changes(&found)[0], (change, Verdict::PlacedNow));
    assert_eq!(found.estimate, end(600).map(|at| (at, Basis::Ends)));
    // A pair needs both to end: no single job to wait for.
    let found = explain(&federation.state, &job("pair", 2, 2, &["JP-01"]));
    assert_eq!(found.estimate, end(7200).map(|at| (at, Basis::Ends)));
    assert!(changes(&found).iter().all(|(change, _)| !change.starts_with("wait")), "{found:?}");
    // Queued behind another.
    federation.submit(one.clone());
    federation.submit(JobFacts { priority: 99, ..job("ahead", 1, 1, &["JP-01"]) });
    assert_eq!(explain(&federation.state, &one).position, Some(2));
}

#[test]
fn a_refused_node_counts_against_this_job_only() {
    let mut federation = Federation::furnished();
    let facts = job("picky", 1, 1, &["Tokyo"]);
    let id = federation.submit(facts.clone());
    for _ in 0..2 {
        commit(&mut federation);
        refuse(&mut federation, &id);
    }
    let found = explain(&federation.state, &facts);
    assert_eq!(
        (found.verdict, found.binding),
        (Verdict::WouldWait, Some(ErrorCode::NodeUnavailable))
    );
    let other = explain(&federation.state, &job("other", 1, 1, &["Tokyo"]));
    assert_eq!(other.verdict, Verdict::PlacedNow);
}

#[test]
fn unknown_rules_deny() {
    let federation = Federation::furnished();
    let facts = JobFacts { policy: Some("gone".parse().unwrap()), ..job("x", 1, 1, &[]) };
    let found = explain(&federation.state, &facts);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NotFound)));
    assert_eq!(found.detail, "policy gone does not exist");
    let resources = Resources::of("sim-b200".parse().unwrap(), 1);
    let found = explain(&federation.state, &JobFacts { resources, ..job("x", 1, 1, &[]) });
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NoDevice)));
    assert_eq!(
        changes(&found),
        [said(&format!("ask for {CLASS} instead of sim-b200"), Verdict::PlacedNow)]
    );
}
