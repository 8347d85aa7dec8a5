//! What a tighter rule or the end of a proof moves, and what it does not (D1, ADR 14).

use super::*;
use crate::eviction::Stay;
use crate::testing::location::{IN_TOKYO, fix_id};
use sekisho_evidence::location::fix::FIX_AGE_MAX_MS;
use sekisho_types::id::JobId;
use sekisho_types::job::{JobFacts, OnDisconnect};
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::limit::{EVICTION_WITHIN, STALE_PROOF_GRACE};
use sekisho_types::residency::OnStaleProof;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeSet;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";
const NORTH: &str = "ishikari-1/n-01";

fn within(areas: &[&str]) -> Rules {
    let areas = areas.iter().map(|area| Area::resolve(area).unwrap()).collect();
    Rules { areas, ..Rules::default() }
}

fn proven(on_stale_proof: OnStaleProof) -> Rules {
    Rules { country_tier: Tier::CountryProven, on_stale_proof, ..Rules::default() }
}

/// Puts the rules of policy `gov`.
fn put(f: &mut Federation, rules: Rules) {
    let policy = "gov".parse().unwrap();
    let expected = f.state.policy(&policy).map(|row| row.revision);
    f.accept(admin("kanto"), Command::PutPolicy { policy, rules, expected });
}

fn bind(f: &mut Federation, policy: Option<&str>) {
    let tenant = "sapporo".parse().unwrap();
    let row = f.state.tenant(&tenant).unwrap();
    let (display_name, expected) = (Patch::Keep, Some(row.revision));
    let policy = Patch::Set(policy.map(|policy| policy.parse().unwrap()));
    let put = Command::PutTenant { tenant, display_name, policy, parent: Patch::Keep, expected };
    f.accept(admin("kanto"), put);
}

/// A job under `gov`, placed there.
fn placed(f: &mut Federation, name: &str, nodes: &[&str]) -> JobId {
    let mut facts = job(name, u32::try_from(nodes.len()).unwrap(), 1, &[]);
    facts.policy = Some("gov".parse().unwrap());
    put_on(f, facts, nodes)
}

fn put_on(f: &mut Federation, facts: JobFacts, nodes: &[&str]) -> JobId {
    let id = f.submit(facts);
    let applied = f.place(&id, nodes);
    assert!(matches!(&applied.outcome, Ok(Reply::Placed { rejected, .. }) if rejected.is_empty()));
    id
}

fn evict(jobs: &[&JobId]) -> Command {
    Command::EvictDenied { jobs: jobs.iter().map(|id| (*id).clone()).collect() }
}

fn phase(f: &Federation, id: &JobId) -> JobPhase {
    f.state.job(id).unwrap().phase
}

fn due(f: &Federation) -> Vec<JobId> {
    f.state.denied().into_keys().collect()
}

/// Lets so much time pass.
fn wait(f: &mut Federation, ms: u64) {
    let until = f.now.plus_ms(ms);
    while f.now < until {
        f.now = until.min(f.now.plus_ms(10_000));
        f.accept(member("kanto"), Command::Tick);
    }
}

fn grace() -> u64 {
    u64::try_from(STALE_PROOF_GRACE.as_millis()).unwrap()
}

fn stay(f: &Federation, id: &JobId) -> Stay {
    f.state.residence(&f.placements(id)[0]).unwrap().stay
}

fn ended(f: &mut Federation, id: &JobId) {
    let placement = f.placements(id)[0];
    let node = f.state.placement(&placement).unwrap().grant.node.clone();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let phases = vec![(placement, Phase::Ended(Ending::Stopped))];
    f.accept(agent(&node), Command::Report { node: node.clone(), session, phases });
}

/// Two landmarks in Tokyo, and the first node there proven.
fn surveyed() -> Federation {
    let mut f = Federation::furnished();
    f.landmarks();
    f.prove(NODE, 1);
    f
}

#[test]
fn a_tighter_policy_moves_what_it_no_longer_allows_and_quota_comes_back_with_the_teardown() {
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-13", "JP-01"]));
    let (stays, goes) = (placed(&mut f, "stays", &[NORTH]), placed(&mut f, "goes", &[NODE]));
    assert_eq!(due(&f), []);
    refused(&mut f, member("kanto"), evict(&[&goes]), ErrorCode::WrongPhase);
    put(&mut f, within(&["JP-01"]));
    assert_eq!(due(&f), std::slice::from_ref(&goes));
    refused(&mut f, admin("kanto"), evict(&[&goes]), ErrorCode::PermissionDenied);
    refused(&mut f, member("kanto"), evict(&[]), ErrorCode::InvalidArgument);
    // All or none: one that may stay keeps the entry from moving anything.
    refused(&mut f, member("kanto"), evict(&[&goes, &stays]), ErrorCode::WrongPhase);
    assert_eq!(phase(&f, &goes), JobPhase::Placed);
    let applied = f.accept(member("naniwa"), evict(&[&goes]));
    assert!(applied.checkpoint.is_some(), "the agent is told under a checkpoint (P2)");
    assert_eq!((phase(&f, &goes), phase(&f, &stays)), (JobPhase::Stopping, JobPhase::Placed));
    assert_eq!((due(&f), f.state.usages().next().unwrap().1), (vec![], 2));
    // Ordered once, and what ended meanwhile is passed over.
    assert!(f.accept(member("naniwa"), evict(&[&goes])).checkpoint.is_none());
    ended(&mut f, &goes);
    assert_eq!(f.state.usages().next().unwrap().1, 1);
    let moved = f.state.job(&goes).unwrap();
    assert_eq!((moved.phase, moved.attempts), (JobPhase::Queued, 0));
    assert!(moved.message.contains("RESIDENCY_AREA"), "{}", moved.message);
    let again = f.place(&goes, &[NODE]).outcome;
    let rejected = vec![(goes, ErrorCode::ResidencyArea)];
    assert_eq!(again, Ok(Reply::Placed { granted: vec![], rejected }));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_plan_that_was_overtaken_moves_nothing() {
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-13"]));
    let id = placed(&mut f, "lucky", &[NODE]);
    put(&mut f, within(&["JP-01"]));
    let planned = evict(&[&id]);
    put(&mut f, within(&["JP-13", "JP-01"]));
    refused(&mut f, member("kanto"), planned, ErrorCode::WrongPhase);
    assert_eq!(phase(&f, &id), JobPhase::Placed);
}

/// Jobs with something that should have stopped.
fn overdue(f: &Federation) -> Vec<JobId> {
    let jobs: BTreeSet<JobId> =
        f.state.overdue().map(|(residence, _)| residence.row.grant.job.clone()).collect();
    jobs.into_iter().collect()
}

#[test]
fn what_is_still_there_after_the_bound_is_overdue_whether_it_was_ordered_or_not() {
    let within_ms = u64::try_from(EVICTION_WITHIN.as_millis()).unwrap();
    for ordered in [false, true] {
        let mut f = Federation::furnished();
        put(&mut f, within(&["JP-13"]));
        let goes = placed(&mut f, "goes", &[NODE]);
        wait(&mut f, within_ms * 2);
        put(&mut f, within(&["JP-01"]));
        if ordered {
            f.accept(member("kanto"), evict(&[&goes]));
        }
        wait(&mut f, within_ms);
        assert_eq!(overdue(&f), [], "its time is not over");
        wait(&mut f, 1);
        assert_eq!(overdue(&f), std::slice::from_ref(&goes));
        if !ordered {
            f.accept(member("kanto"), evict(&[&goes]));
            assert_eq!(overdue(&f), std::slice::from_ref(&goes), "an order is no end");
        }
        ended(&mut f, &goes);
        assert_eq!(overdue(&f), []);
    }
}

#[test]
fn a_tenants_bound_counts_from_its_own_change() {
    let within_ms = u64::try_from(EVICTION_WITHIN.as_millis()).unwrap();
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-01"]));
    let goes = put_on(&mut f, job("goes", 1, 1, &[]), &[NODE]);
    wait(&mut f, within_ms * 2);
    bind(&mut f, Some("gov"));
    assert_eq!((due(&f).len(), overdue(&f)), (1, vec![]), "the policy is old, the bound is not");
    wait(&mut f, within_ms + 1);
    assert_eq!(overdue(&f), [goes]);
}

#[test]
fn what_completes_on_a_host_out_of_contact_is_late_only_once_that_is_back() {
    let within_ms = u64::try_from(EVICTION_WITHIN.as_millis()).unwrap();
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-13"]));
    let mut facts = job("completes", 1, 1, &[]);
    facts.policy = Some("gov".parse().unwrap());
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let id = put_on(&mut f, facts, &[NODE]);
    let session = f.state.node(&NODE.parse().unwrap()).unwrap().session.as_ref().unwrap().id;
    let gone = Command::ExpireLease { node: NODE.parse().unwrap(), session };
    f.accept(member("kanto"), gone);
    put(&mut f, within(&["JP-01"]));
    wait(&mut f, within_ms * 2);
    assert!(f.state.residence(&f.placements(&id)[0]).unwrap().leaves().is_some());
    assert_eq!(overdue(&f), []);
}

#[test]
fn a_gang_goes_as_a_whole_and_a_tenants_bound_is_a_rule_as_any() {
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-01"]));
    let gang = put_on(&mut f, job("gang", 2, 1, &[]), &[NODE, NORTH]);
    bind(&mut f, Some("gov"));
    assert_eq!(due(&f), std::slice::from_ref(&gang));
    f.accept(member("kanto"), evict(&[&gang]));
    for placement in f.placements(&gang) {
        assert_eq!(f.state.placement(&placement).unwrap().phase, Phase::Stopping);
    }
    assert_eq!(invariant::nothing_goes_on_where_it_is_refused(&f.state), Ok(()));
}

#[test]
fn who_may_not_run_to_completion_any_more_goes_and_is_not_placed_again() {
    let mut f = Federation::furnished();
    put(&mut f, Rules::default());
    let mut facts = job("completes", 1, 1, &[]);
    (facts.policy, facts.on_disconnect) =
        (Some("gov".parse().unwrap()), OnDisconnect::RunToCompletion);
    let id = put_on(&mut f, facts, &[NODE]);
    put(&mut f, Rules { allow_run_to_completion: false, ..Rules::default() });
    assert_eq!(due(&f), std::slice::from_ref(&id));
    f.accept(member("kanto"), evict(&[&id]));
    ended(&mut f, &id);
    let again = f.place(&id, &[OTHER]).outcome;
    let rejected = vec![(id, ErrorCode::InvalidArgument)];
    assert_eq!(again, Ok(Reply::Placed { granted: vec![], rejected }));
}

#[test]
fn what_runs_to_completion_out_of_contact_is_told_when_its_host_is_back() {
    let mut f = Federation::furnished();
    put(&mut f, Rules::default());
    let mut facts = job("completes", 1, 1, &[]);
    (facts.policy, facts.on_disconnect) =
        (Some("gov".parse().unwrap()), OnDisconnect::RunToCompletion);
    let id = put_on(&mut f, facts, &[NODE]);
    let node: NodeId = NODE.parse().unwrap();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node, session });
    put(&mut f, within(&["JP-01"]));
    assert!(matches!(stay(&f, &id), Stay::Leaves(_)), "a plan lists it");
    assert_eq!(due(&f), []);
    refused(&mut f, member("kanto"), evict(&[&id]), ErrorCode::WrongPhase);
}

#[test]
fn drain_moves_once_the_proof_has_been_over_for_the_grace_and_keep_does_not() {
    for mode in [OnStaleProof::Drain, OnStaleProof::Keep] {
        let mut f = surveyed();
        put(&mut f, proven(mode));
        let id = placed(&mut f, "watched", &[NODE]);
        wait(&mut f, FIX_AGE_MAX_MS - 1);
        assert_eq!(stay(&f, &id), Stay::Allowed);
        wait(&mut f, 1);
        let over = f.state.clock();
        let Stay::Stale(why, until) = stay(&f, &id) else { panic!("{:?}", stay(&f, &id)) };
        assert_eq!(why.code, ErrorCode::ResidencyTier);
        let drains = mode == OnStaleProof::Drain;
        assert_eq!(until, drains.then(|| over.plus_ms(grace())));
        // Nothing new comes either way.
        let other = f.submit(job("other", 1, 1, &[]));
        bind(&mut f, Some("gov"));
        let rejected = vec![(other.clone(), ErrorCode::ResidencyTier)];
        assert_eq!(
            f.place(&other, &[NODE]).outcome,
            Ok(Reply::Placed { granted: vec![], rejected })
        );
        wait(&mut f, grace() - 1);
        assert_eq!(due(&f), []);
        wait(&mut f, 1);
        assert_eq!(due(&f), if drains { vec![id.clone()] } else { vec![] });
        if drains {
            f.accept(member("kanto"), evict(&[&id]));
            ended(&mut f, &id);
            assert_eq!(phase(&f, &id), JobPhase::Queued);
        } else {
            wait(&mut f, 2 * FIX_AGE_MAX_MS);
            assert_eq!((due(&f), phase(&f, &id)), (vec![], JobPhase::Placed));
        }
    }
}

#[test]
fn a_proof_made_anew_within_the_grace_moves_nothing() {
    let mut f = surveyed();
    put(&mut f, Rules { max_proof_age_s: Some(600), ..proven(OnStaleProof::Drain) });
    let id = placed(&mut f, "watched", &[NODE]);
    wait(&mut f, 600_000 + grace() - 1_000);
    assert!(matches!(stay(&f, &id), Stay::Stale(_, Some(_))));
    f.prove(NODE, 2);
    assert_eq!(stay(&f, &id), Stay::Allowed);
    // The agent starts anew: its proof is over at once, and so the grace begins.
    let node: NodeId = NODE.parse().unwrap();
    let held = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let live = f.placements(&id);
    reopen(&mut f, &node, held, live);
    let Stay::Stale(_, until) = stay(&f, &id) else { panic!("{:?}", stay(&f, &id)) };
    assert_eq!(until, Some(f.state.clock().plus_ms(grace())));
    wait(&mut f, grace());
    assert_eq!(due(&f), [id]);
}

/// Another session of the node in which these live on.
fn reopen(f: &mut Federation, node: &NodeId, previous: SessionId, live: Vec<PlacementId>) {
    let open = Command::OpenSession {
        node: node.clone(),
        session: SessionId([77; 16]),
        previous: Some(previous),
        buckets: f.state.node(node).unwrap().buckets.clone(),
        live,
        table: table_hash(),
        findings: Vec::new(),
        rack: None,
    };
    f.accept(agent(node), open);
}

#[test]
fn keep_is_for_what_a_grant_was_checked_for_and_for_nothing_more() {
    let mut f = surveyed();
    put(&mut f, Rules::default());
    let (here, there) = (placed(&mut f, "here", &[NODE]), placed(&mut f, "there", &[OTHER]));
    put(&mut f, proven(OnStaleProof::Keep));
    assert_eq!((stay(&f, &here), due(&f)), (Stay::Allowed, vec![there]));
    // The grant asked for no proof, so what the policy asks for now holds as if it said drain.
    wait(&mut f, FIX_AGE_MAX_MS);
    assert!(matches!(stay(&f, &here), Stay::Stale(_, Some(_))));
    wait(&mut f, grace());
    assert!(due(&f).contains(&here));
    // Of one that was granted under it, the age of a proof moves nothing.
    let mut f = surveyed();
    put(&mut f, proven(OnStaleProof::Keep));
    let kept = placed(&mut f, "kept", &[NODE]);
    wait(&mut f, 400_000);
    put(&mut f, Rules { max_proof_age_s: Some(300), ..proven(OnStaleProof::Keep) });
    assert!(matches!(stay(&f, &kept), Stay::Stale(_, None)));
    put(&mut f, Rules { proof_f: 2, ..proven(OnStaleProof::Keep) });
    assert_eq!(due(&f), [kept]);
}

#[test]
fn a_fix_of_fewer_operators_and_a_contradiction_end_a_proof_too() {
    for landmarks in [&IN_TOKYO[..1], &["hokuto/fukuoka", "kanto/otemachi", "naniwa/shinagawa"]] {
        let mut f = surveyed();
        put(&mut f, proven(OnStaleProof::Drain));
        let id = placed(&mut f, "watched", &[NODE]);
        wait(&mut f, 10_000);
        let node: NodeId = NODE.parse().unwrap();
        let transcripts = landmarks.iter().map(|of| f.transcript(of, &node, fix_id(2))).collect();
        f.submit_fix(&node, fix_id(2), transcripts).outcome.unwrap();
        let until = f.state.clock().plus_ms(grace());
        assert!(matches!(stay(&f, &id), Stay::Stale(_, Some(at)) if at == until));
        wait(&mut f, grace());
        assert_eq!(due(&f), [id]);
    }
}

#[test]
fn a_tag_that_is_over_moves_whatever_the_rules_keep() {
    let mut f = Federation::furnished();
    let mut facts = job("long", 1, 1, &[]);
    facts.time_limit_s = 90_000;
    let id = put_on(&mut f, facts, &[NODE]);
    wait(&mut f, 24 * 3_600_000);
    let Stay::Leaves(why) = stay(&f, &id) else { panic!("{:?}", stay(&f, &id)) };
    assert_eq!((why.code, due(&f)), (ErrorCode::TagExpired, vec![id]));
}

#[test]
fn a_supposition_is_the_change_and_changes_nothing() {
    let mut f = Federation::furnished();
    put(&mut f, within(&["JP-13"]));
    let id = placed(&mut f, "planned", &[NODE]);
    let gov = "gov".parse().unwrap();
    let supposed = f.state.supposing_policy(&gov, &within(&["JP-01"])).unwrap();
    assert_eq!(supposed.denied().into_keys().collect::<Vec<_>>(), [id]);
    assert_eq!(due(&f), []);
    let code = |policy: &str, rules: &Rules| {
        f.state.supposing_policy(&policy.parse().unwrap(), rules).map(|_| ()).unwrap_err().code
    };
    assert_eq!(code("nowhere", &Rules::default()), ErrorCode::NotFound);
    let low = Rules { country_tier: Tier::Claimed, ..Rules::default() };
    assert_eq!(code("gov", &low), ErrorCode::PolicyTier);
}
