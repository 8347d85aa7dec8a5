//! Jobs from submission to their end: what may be placed where, what is charged, and when it is given back.
//!
//! Must hold: D1, P3, Q1, Q2. Whether the planner chooses well is no matter of these tests: any plan is checked.

use super::*;

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
        display_name: Patch::Set("札幌市".into()),
        policy: Patch::Set(Some(policy.clone())),
        parent: Patch::Keep,
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
fn lowering_a_quota_keeps_what_runs() {
    let mut f = Federation::furnished();
    let id = f.submit(job("runs", 1, 4, &["JP-13"]));
    f.place(&id, &["tokyo-1/n-01"]);
    f.quota(&id.tenant, Limit::Gpus(1));
    assert_eq!(f.state.usage(&id.tenant, &CLASS.parse().unwrap()), 4);
    let next = f.submit(job("next", 1, 1, &[]));
    let applied = f.place(&next, &["sakai-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(next, ErrorCode::QuotaExceeded)] })
    );
}
