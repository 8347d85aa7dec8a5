//! One behaviour each: what a command does, and that its refusal changes nothing.

use crate::command::Command;
use crate::invariant;
use crate::outcome::{Applied, Reply};
use crate::testing::{
    CLASS, Federation, admin, agent, job, member, node_key, receipt_key, user, user_key,
};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Refusal;
use sekisho_evidence::record::{Body, Record};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::job::{JobPhase, OverLimit};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::ATTEMPTS_MAX;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use sekisho_types::residency::{Rules, Tier};
use std::collections::BTreeSet;

fn code(applied: &Applied) -> Option<ErrorCode> {
    applied.outcome.as_ref().err().map(|rejection| rejection.code)
}

/// Applies a command that must be refused with `expected` and change no table.
#[track_caller]
fn refused(f: &mut Federation, actor: Principal, command: Command, expected: ErrorCode) {
    let before = tables(f);
    let applied = f.run(actor, command);
    assert_eq!(code(&applied), Some(expected), "{:?}", applied.outcome);
    assert_eq!(tables(f), before, "a refusal changed the state");
    assert!(matches!(body(&applied, 0), Body::Entry { rejected: Some(c), .. } if c == expected));
}

/// Snapshot of everything but revision, clock, audit log and kept replies.
fn tables(f: &Federation) -> Vec<u8> {
    let mut state = f.state.clone();
    state.revision = Default::default();
    state.clock = Default::default();
    state.frontier = Default::default();
    state.replies = Default::default();
    state.reply_order = Default::default();
    state.to_snapshot().unwrap()
}

fn body(applied: &Applied, leaf: usize) -> Body {
    Record::parse(&applied.leaves[leaf].record).unwrap().body
}

fn report(
    f: &mut Federation,
    node: &NodeId,
    phases: Vec<(sekisho_types::revision::PlacementId, Phase)>,
) -> Applied {
    let session = f.state.node(node).unwrap().session.as_ref().unwrap().id;
    f.run(agent(node), Command::Report { node: node.clone(), session, phases })
}

/// A report of `phase` for every placement of a job.
fn all(f: &mut Federation, id: &sekisho_types::id::JobId, phase: &Phase) {
    for placement in f.placements(id) {
        let node = f.state.placement(&placement).unwrap().grant.node.clone();
        let applied = report(f, &node, vec![(placement, phase.clone())]);
        assert_eq!(applied.outcome, Ok(Reply::Done));
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
}

#[test]
fn a_job_runs_to_success_and_gives_everything_back() {
    let mut f = Federation::furnished();
    let id = f.submit(job("gang", 2, 2, &["JP-01"]));
    assert_eq!(f.state.queue_len(), 1);
    let applied = f.place(&id, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    assert_eq!(applied.outcome, Ok(Reply::Placed { granted: vec![id.clone()], rejected: vec![] }));
    // Entry, two grants, two desired sets, under a checkpoint.
    assert_eq!(applied.leaves.len(), 5);
    assert!(
        matches!(body(&applied, 1), Body::Grant(_))
            && matches!(body(&applied, 4), Body::Desired(_))
    );
    assert_eq!(applied.checkpoint.map(|c| c.head.size), Some(f.state.audit_size()));
    assert_eq!(f.state.usage(&id.tenant, &CLASS.parse().unwrap()), 4);
    all(&mut f, &id, &Phase::Running);
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Running);
    all(&mut f, &id, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Succeeded);
    assert_eq!(f.state.usages().count(), 0, "Q2");
    assert_eq!(f.state.tenant(&id.tenant).unwrap().open_jobs, 0);
    assert!(!f.state.refers_to_payload(&Digest::of(crate::testing::PAYLOAD)));
}

#[test]
fn every_rule_of_placement_refuses_the_whole_group_whoever_planned_it() {
    let mut f = Federation::furnished();
    let mut expect = |name: &str, gpus: u32, areas: &[&str], nodes: &[&str], code: ErrorCode| {
        let group = u32::try_from(nodes.len()).unwrap();
        let id = f.submit(job(name, group, gpus, areas));
        let before = f.state.usage(&id.tenant, &CLASS.parse().unwrap());
        let applied = f.place(&id, nodes);
        assert_eq!(
            applied.outcome,
            Ok(Reply::Placed { granted: vec![], rejected: vec![(id.clone(), code)] }),
            "{name}"
        );
        assert_eq!(f.state.usage(&id.tenant, &CLASS.parse().unwrap()), before);
        assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Queued);
        assert_eq!(applied.leaves.len(), 1);
    };
    expect("area", 1, &["JP-01"], &["tokyo-1/n-01"], ErrorCode::ResidencyArea);
    expect("half", 1, &["JP-01"], &["ishikari-1/n-01", "tokyo-1/n-01"], ErrorCode::ResidencyArea);
    expect("unknown", 1, &[], &["tokyo-1/n-99"], ErrorCode::NotFound);
    expect("doubled", 1, &[], &["tokyo-1/n-01", "tokyo-1/n-01"], ErrorCode::InvalidArgument);
    expect("big", 5, &[], &["tokyo-1/n-01"], ErrorCode::NoDevice);
    expect(
        "quota",
        3,
        &[],
        &["tokyo-1/n-01", "tokyo-1/n-02", "sakai-1/n-01"],
        ErrorCode::QuotaNone,
    );
    let holder = f.submit(job("holder", 1, 3, &[]));
    f.place(&holder, &["tokyo-1/n-01"]);
    let mut expect = |name: &str, gpus: u32, nodes: &[&str], code: ErrorCode| {
        let id = f.submit(job(name, u32::try_from(nodes.len()).unwrap(), gpus, &[]));
        let applied = f.place(&id, nodes);
        assert_eq!(
            applied.outcome,
            Ok(Reply::Placed { granted: vec![], rejected: vec![(id, code)] }),
            "{name}"
        );
    };
    expect("full", 2, &["tokyo-1/n-01"], ErrorCode::CapacityFull);
    expect("over", 3, &["sakai-1/n-01", "sakai-1/n-02"], ErrorCode::QuotaExceeded);
}

#[test]
fn residency_follows_tenant_and_named_policies_too() {
    let mut f = Federation::furnished();
    let osaka =
        Rules { areas: BTreeSet::from([Area::resolve("JP-27").unwrap()]), ..Rules::default() };
    let policy = f.policy("osaka-only", osaka);
    let mut facts = job("named", 1, 1, &[]);
    facts.policy = Some(policy.clone());
    let named = f.submit(facts);
    let denied = |applied: &Applied| matches!(&applied.outcome, Ok(Reply::Placed { granted, .. }) if granted.is_empty());
    assert!(denied(&f.place(&named, &["tokyo-1/n-01"])));
    let expected = f.state.tenant(&named.tenant).map(|t| t.revision);
    let put = Command::PutTenant {
        tenant: named.tenant.clone(),
        display_name: "札幌市".into(),
        policy: Some(policy.clone()),
        expected,
    };
    f.accept(admin("naniwa"), put);
    let plain = f.submit(job("plain", 1, 1, &[]));
    assert!(denied(&f.place(&plain, &["tokyo-1/n-01"])));
    f.place(&plain, &["sakai-1/n-01"]);
    let grant = f.state.placement(&f.placements(&plain)[0]).unwrap().grant.clone();
    let version = f.state.policy(&policy).unwrap().revision;
    assert!(
        grant.rules.iter().any(|bound| bound.policy == Some((policy.clone(), version))),
        "bound version"
    );
}

#[test]
fn widening_verbs_need_signatures_of_two_operators_and_of_the_caller() {
    let mut f = Federation::new();
    let put = || Command::PutPolicy {
        policy: "p".parse().unwrap(),
        rules: Rules::default(),
        expected: None,
    };
    let alone = f.entry(admin("kanto"), &[], put());
    assert_eq!(code(&f.apply(alone)), Some(ErrorCode::SignaturesMissing));
    let own_twice = f.entry(admin("kanto"), &[admin("kanto")], put());
    assert_eq!(code(&f.apply(own_twice)), Some(ErrorCode::SignaturesMissing));
    let mut unsigned_by_actor = f.entry(admin("kanto"), &[admin("hokuto"), admin("naniwa")], put());
    unsigned_by_actor.signatures.remove(0);
    assert_eq!(code(&f.apply(unsigned_by_actor)), Some(ErrorCode::SignaturesMissing));
    let mut altered = f.entry(admin("kanto"), &[admin("hokuto")], put());
    altered.command = Command::PutPolicy {
        policy: "q".parse().unwrap(),
        rules: Rules::default(),
        expected: None,
    };
    assert_eq!(code(&f.apply(altered)), Some(ErrorCode::SignatureInvalid));
    let mut replayed = f.entry(admin("kanto"), &[admin("hokuto")], put());
    replayed.request.0[15] ^= 1;
    assert_eq!(code(&f.apply(replayed)), Some(ErrorCode::SignatureInvalid));
    let stranger = f.entry(admin("kanto"), &[user("hokuto", "mallory")], put());
    assert_eq!(code(&f.apply(stranger)), Some(ErrorCode::KeyUnknown));
    f.now = f.now.plus_ms(10_000);
    let good = f.entry(admin("kanto"), &[admin("hokuto")], put());
    assert_eq!(f.apply(good).outcome, Ok(Reply::Done));
}

#[test]
fn an_expired_key_signs_nothing() {
    let mut f = Federation::furnished();
    let day = 86_400_000;
    // The clock moves ten seconds an entry at most, so time has to be walked.
    while f.state.clock().0 < crate::testing::BEGIN.0 + day {
        f.now = f.state.clock().plus_ms(10_000);
        f.accept(member("kanto"), Command::Tick);
    }
    let facts = Box::new(job("late", 1, 1, &[]));
    refused(
        &mut f,
        user("kanto", "sapporo"),
        Command::SubmitJob { facts },
        ErrorCode::PermissionDenied,
    );
}

#[test]
fn the_same_request_gets_the_same_answer_and_another_command_is_refused() {
    let mut f = Federation::furnished();
    let entry = f.entry(
        user("kanto", "sapporo"),
        &[],
        Command::SubmitJob { facts: Box::new(job("once", 1, 1, &[])) },
    );
    let first = f.apply(entry.clone());
    let size = f.state.audit_size();
    let again = f.apply(entry.clone());
    assert_eq!(again.outcome, first.outcome);
    assert!(again.leaves.is_empty() && f.state.audit_size() == size, "A2: one record");
    let mut other = f.entry(
        user("kanto", "sapporo"),
        &[],
        Command::CancelJob { job: job("once", 1, 1, &[]).id },
    );
    other.request = entry.request;
    assert_eq!(code(&f.apply(other)), Some(ErrorCode::RequestIdReused));
    assert_eq!(f.state.job(&job("once", 1, 1, &[]).id).unwrap().phase, JobPhase::Queued);
}

#[test]
fn a_tag_abroad_or_of_another_place_enrols_nobody() {
    let mut f = Federation::new();
    let node: NodeId = "tokyo-1/n-09".parse().unwrap();
    let busan = f.enrolment(&node, "KR-26");
    refused(&mut f, member("kanto"), busan, ErrorCode::ResidencyOutsideJp);
    let osaka = f.enrolment(&node, "271403");
    refused(&mut f, member("kanto"), osaka, ErrorCode::TagInvalid);
    let tokyo = f.enrolment(&node, "131016");
    refused(&mut f, member("hokuto"), tokyo.clone(), ErrorCode::PermissionDenied);
    f.accept(member("kanto"), tokyo.clone());
    f.accept(member("kanto"), tokyo.clone());
    let Command::EnrollNode { token, node, receipt_key, .. } = tokyo else { panic!("made above") };
    let copied = Digest::of(b"another key");
    let mut tag = f.tag(&node, "131016", 2);
    tag.node_key = copied;
    let tag = tag
        .sign(&sekisho_evidence::key::SigningKey::from_seed(&Digest::of(b"site-tag/kanto").0))
        .unwrap();
    let reuse = Command::EnrollNode { token, node, node_key: copied, receipt_key, tag };
    refused(&mut f, member("kanto"), reuse, ErrorCode::TokenUsed);
}

#[test]
fn a_token_expires_and_is_for_one_node() {
    let mut f = Federation::new();
    let node: NodeId = "tokyo-1/n-09".parse().unwrap();
    let enrol = f.enrolment(&node, "131016");
    let Command::EnrollNode { token, node_key, receipt_key, tag, .. } = enrol.clone() else {
        panic!("made above")
    };
    let other: NodeId = "tokyo-1/n-10".parse().unwrap();
    let stolen = Command::EnrollNode { token, node: other, node_key, receipt_key, tag };
    refused(&mut f, member("kanto"), stolen, ErrorCode::TokenUnknown);
    while f.state.clock().0 < crate::testing::BEGIN.0 + 3_600_000 {
        f.now = f.state.clock().plus_ms(10_000);
        f.accept(member("kanto"), Command::Tick);
    }
    refused(&mut f, member("kanto"), enrol, ErrorCode::TokenExpired);
}

#[test]
fn while_the_clock_catches_up_nothing_is_granted_and_no_token_accepted() {
    let mut f = Federation::furnished();
    let id = f.submit(job("early", 1, 1, &[]));
    f.now = f.now.plus_ms(3_600_000);
    assert_eq!(code(&f.place(&id, &["tokyo-1/n-01"])), Some(ErrorCode::ClockBehind));
    let before = f.state.clock();
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.clock().since_ms(before), 10_000);
    f.now = crate::testing::BEGIN;
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.clock().since_ms(before), 10_000, "never back");
}

#[test]
fn a_copied_host_cannot_open_a_session_and_an_honest_restart_can() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let id = f.submit(job("held", 1, 2, &["JP-13"]));
    f.place(&id, &["tokyo-1/n-01"]);
    let open = |previous| Command::OpenSession {
        node: "tokyo-1/n-01".parse().unwrap(),
        session: SessionId([9; 16]),
        previous,
        buckets: buckets(),
        live: vec![],
        table: sekisho_types::jurisdiction::table_hash(),
    };
    refused(&mut f, agent(&node), open(None), ErrorCode::SessionTwin);
    refused(&mut f, agent(&node), open(Some(SessionId([1; 16]))), ErrorCode::SessionTwin);
    let held = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(agent(&node), open(Some(held)));
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Queued, "the sweep confirmed it dead");
    assert_eq!(f.state.usages().count(), 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

fn buckets() -> Vec<sekisho_types::device::Bucket> {
    vec![sekisho_types::device::Bucket {
        class: CLASS.parse().unwrap(),
        memory_mib: 81_920,
        island: 0,
        count: 4,
    }]
}

#[test]
fn the_end_of_a_lease_frees_what_stops_and_keeps_what_runs_to_completion() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let stops = f.submit(job("stops", 1, 1, &["JP-13"]));
    let mut facts = job("completes", 1, 1, &["JP-13"]);
    facts.on_disconnect = sekisho_types::job::OnDisconnect::RunToCompletion;
    let completes = f.submit(facts);
    f.place(&stops, &["tokyo-1/n-01"]);
    f.place(&completes, &["tokyo-1/n-01"]);
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let stale = Command::ExpireLease { node: node.clone(), session: SessionId([1; 16]) };
    f.accept(member("kanto"), stale);
    assert_eq!(
        f.state.usage(&stops.tenant, &CLASS.parse().unwrap()),
        2,
        "another session's end means nothing"
    );
    f.accept(member("kanto"), Command::ExpireLease { node: node.clone(), session });
    assert_eq!(f.state.usage(&stops.tenant, &CLASS.parse().unwrap()), 1);
    assert_eq!(f.state.job(&stops).unwrap().phase, JobPhase::Queued);
    assert_eq!(f.state.job(&completes).unwrap().phase, JobPhase::Placed);
    let late = f.submit(job("late", 1, 1, &["JP-13"]));
    let applied = f.place(&late, &["tokyo-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(late, ErrorCode::NodeUnavailable)] })
    );
    let first = f.placements(&completes)[0];
    let applied = report(&mut f, &node, vec![(first, Phase::Running)]);
    assert_eq!(code(&applied), Some(ErrorCode::SessionStale));
}

#[test]
fn a_failed_member_stops_its_group_and_capacity_returns_when_all_are_dead() {
    let mut f = Federation::furnished();
    let id = f.submit(job("gang", 2, 2, &["JP-01"]));
    f.place(&id, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    all(&mut f, &id, &Phase::Running);
    let [first, second] = f.placements(&id)[..] else { panic!("made above") };
    let node = |p| f.state.placement(p).unwrap().grant.node.clone();
    let (a, b) = (node(&first), node(&second));
    report(&mut f, &a, vec![(first, Phase::Ended(Ending::Exited(3)))]);
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Stopping);
    assert_eq!(f.state.placement(&second).unwrap().phase, Phase::Stopping);
    assert_eq!(
        f.state.usage(&id.tenant, &CLASS.parse().unwrap()),
        2,
        "P3: charged until confirmed dead"
    );
    report(&mut f, &b, vec![(second, Phase::Ended(Ending::Stopped))]);
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Failed);
    assert_eq!(f.state.usages().count(), 0);
}

#[test]
fn a_refusal_with_a_receipt_frees_the_place_and_avoids_the_node() {
    let mut f = Federation::furnished();
    let id = f.submit(job("refused", 1, 1, &[]));
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    f.place(&id, &["tokyo-1/n-01"]);
    let placement = f.placements(&id)[0];
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let refusal = Refusal {
        cluster: crate::testing::cluster(),
        node: node.clone(),
        session,
        placement,
        grant: f.state.placement(&placement).unwrap().digest,
        code: ErrorCode::ResidencyOutsideJp,
        detail: "my tag names KR".into(),
        log_size: 1,
        time: f.now,
    };
    let forged = refusal.sign(&user_key(&admin("kanto"))).unwrap();
    refused(
        &mut f,
        agent(&node),
        Command::Refuse { node: node.clone(), receipt: forged },
        ErrorCode::SignatureInvalid,
    );
    let other =
        Refusal { grant: Digest([0; 32]), ..refusal.clone() }.sign(&receipt_key(&node)).unwrap();
    f.accept(agent(&node), Command::Refuse { node: node.clone(), receipt: other });
    assert_eq!(
        f.state.job(&id).unwrap().phase,
        JobPhase::Placed,
        "a receipt for another grant frees nothing"
    );
    let receipt = refusal.sign(&receipt_key(&node)).unwrap();
    f.accept(agent(&node), Command::Refuse { node: node.clone(), receipt });
    let row = f.state.job(&id).unwrap();
    assert_eq!((row.phase, row.avoid.contains(&node)), (JobPhase::Queued, true));
    let applied = f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(id, ErrorCode::NodeUnavailable)] })
    );
}

#[test]
fn attempts_are_bounded() {
    let mut f = Federation::furnished();
    let id = f.submit(job("doomed", 1, 1, &["JP-13"]));
    for attempt in 1..=ATTEMPTS_MAX {
        f.place(&id, &["tokyo-1/n-01"]);
        all(&mut f, &id, &Phase::Ended(Ending::StartFailed("no such file".into())));
        let expected = if attempt < ATTEMPTS_MAX { JobPhase::Queued } else { JobPhase::Failed };
        assert_eq!(f.state.job(&id).unwrap().phase, expected, "attempt {attempt}");
    }
}

#[test]
fn a_revoked_site_gets_nothing_more_and_stops_what_it_has() {
    let mut f = Federation::furnished();
    let id = f.submit(job("there", 1, 1, &["JP-01"]));
    f.place(&id, &["ishikari-1/n-01"]);
    let site = "ishikari-1".parse().unwrap();
    let applied = f.accept(admin("kanto"), Command::RevokeSite { site });
    assert!(applied.checkpoint.is_some());
    let placement = f.placements(&id)[0];
    assert_eq!(f.state.placement(&placement).unwrap().phase, Phase::Stopping);
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let runs =
        Command::Report { node: node.clone(), session, phases: vec![(placement, Phase::Running)] };
    refused(&mut f, agent(&node), runs, ErrorCode::NodeRevoked);
    let open = Command::OpenSession {
        node: node.clone(),
        session: SessionId([9; 16]),
        previous: Some(session),
        buckets: buckets(),
        live: vec![],
        table: sekisho_types::jurisdiction::table_hash(),
    };
    refused(&mut f, agent(&node), open, ErrorCode::NodeRevoked);
    f.accept(member("kanto"), Command::ExpireLease { node, session });
    assert_eq!(f.state.usages().count(), 0);
    let again = Command::CreateSite {
        site: "ishikari-1".parse().unwrap(),
        operator: "hokuto".parse().unwrap(),
        area: Area::resolve("012351").unwrap(),
        display_name: String::new(),
    };
    refused(&mut f, admin("kanto"), again, ErrorCode::AlreadyExists);
}

#[test]
fn cancelling_is_final_and_frees_only_the_dead() {
    let mut f = Federation::furnished();
    let queued = f.submit(job("queued", 1, 1, &[]));
    let runs = f.submit(job("runs", 1, 1, &["JP-13"]));
    f.place(&runs, &["tokyo-1/n-01"]);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: queued.clone() });
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: runs.clone() });
    assert_eq!(f.state.job(&queued).unwrap().phase, JobPhase::Cancelled);
    assert_eq!(f.state.job(&runs).unwrap().phase, JobPhase::Stopping);
    assert_eq!(f.state.usage(&runs.tenant, &CLASS.parse().unwrap()), 1);
    all(&mut f, &runs, &Phase::Ended(Ending::Stopped));
    assert_eq!(f.state.job(&runs).unwrap().phase, JobPhase::Cancelled);
    refused(
        &mut f,
        user("kanto", "sapporo"),
        Command::CancelJob { job: runs },
        ErrorCode::WrongPhase,
    );
    refused(
        &mut f,
        user("kanto", "mallory"),
        Command::CancelJob { job: queued },
        ErrorCode::PermissionDenied,
    );
}

#[test]
fn over_limit_rejects_on_request_and_bad_rules_are_refused() {
    let mut f = Federation::furnished();
    let who = || user("kanto", "sapporo");
    let mut facts = job("reject", 3, 3, &[]);
    facts.over_limit = OverLimit::Reject;
    refused(&mut f, who(), Command::SubmitJob { facts: Box::new(facts) }, ErrorCode::QuotaNone);
    let retired = job("retired", 1, 1, &["221317"]);
    refused(&mut f, who(), Command::SubmitJob { facts: Box::new(retired) }, ErrorCode::AreaRetired);
    let mut low = job("low", 1, 1, &[]);
    low.residency.country_tier = Tier::Claimed;
    refused(&mut f, who(), Command::SubmitJob { facts: Box::new(low) }, ErrorCode::PolicyTier);
    let mut operator = job("operator", 1, 1, &[]);
    operator.residency.denied_operators.insert("misspelt".parse().unwrap());
    refused(
        &mut f,
        who(),
        Command::SubmitJob { facts: Box::new(operator) },
        ErrorCode::OperatorUnknown,
    );
    let mut payload = job("payload", 1, 1, &[]);
    payload.payload = Digest([0; 32]);
    refused(
        &mut f,
        who(),
        Command::SubmitJob { facts: Box::new(payload) },
        ErrorCode::PayloadMismatch,
    );
    refused(
        &mut f,
        who(),
        Command::SubmitJob { facts: Box::new(job("big", 1, 17, &[])) },
        ErrorCode::InvalidArgument,
    );
}

#[test]
fn entries_of_another_cluster_level_or_before_genesis_are_refused() {
    let mut f = Federation::new();
    let mut other = f.entry(member("kanto"), &[], Command::Tick);
    other.cluster.0[0] ^= 1;
    assert_eq!(code(&f.apply(other)), Some(ErrorCode::WrongCluster));
    let mut level = f.entry(member("kanto"), &[], Command::Tick);
    level.feature_level = 99;
    assert_eq!(code(&f.apply(level)), Some(ErrorCode::FeatureLevel));
    let genesis = Command::Bootstrap(Box::new(crate::testing::genesis()));
    refused(&mut f, member("kanto"), genesis, ErrorCode::AlreadyExists);
    let mut empty = crate::State::default();
    let tick = f.entry(member("kanto"), &[], Command::Tick);
    let applied = empty.apply(sekisho_types::revision::Revision(1), &tick);
    assert_eq!(code(&applied), Some(ErrorCode::WrongCluster));
}

#[test]
fn members_and_agents_speak_for_themselves_only() {
    let mut f = Federation::furnished();
    refused(
        &mut f,
        user("kanto", "sapporo"),
        Command::CommitPlacement { basis: Default::default(), groups: vec![] },
        ErrorCode::PermissionDenied,
    );
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let foreign = agent(&"sakai-1/n-01".parse().unwrap());
    refused(
        &mut f,
        foreign,
        Command::Report { node: node.clone(), session, phases: vec![] },
        ErrorCode::PermissionDenied,
    );
    let mut wrong_site = member("kanto");
    if let sekisho_types::principal::Workload::Member { member, .. } = &mut wrong_site.workload {
        *member = 3;
    }
    refused(
        &mut f,
        wrong_site,
        Command::ExpireLease { node: node.clone(), session },
        ErrorCode::PermissionDenied,
    );
    let placement = "p-1-1-0".parse().unwrap();
    let lie = vec![(placement, Phase::Ended(Ending::Lost))];
    refused(
        &mut f,
        agent(&node),
        Command::Report { node: node.clone(), session, phases: lie },
        ErrorCode::InvalidArgument,
    );
    assert_eq!(f.state.node(&node).unwrap().node_key, node_key(&node));
}

#[test]
fn lowering_a_quota_keeps_what_runs() {
    let mut f = Federation::furnished();
    let id = f.submit(job("runs", 1, 4, &["JP-13"]));
    f.place(&id, &["tokyo-1/n-01"]);
    let class = CLASS.parse().unwrap();
    f.accept(
        admin("kanto"),
        Command::SetQuota { tenant: id.tenant.clone(), class, limit: Limit::Gpus(1) },
    );
    assert_eq!(f.state.usage(&id.tenant, &CLASS.parse().unwrap()), 4);
    let next = f.submit(job("next", 1, 1, &[]));
    let applied = f.place(&next, &["sakai-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(next, ErrorCode::QuotaExceeded)] })
    );
}
