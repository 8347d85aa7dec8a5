//! Nodes: enrolment, sessions, refusals and revocation.
//!
//! Must hold: D2, P1, P5. The end of a node's lease stands with the leases.

use super::*;
use crate::event::Event;

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
fn a_host_that_knows_no_session_opens_none_and_an_honest_restart_does() {
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
        findings: vec![],
        rack: None,
    };
    refused(&mut f, agent(&node), open(None), ErrorCode::SessionWaits);
    let held = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(agent(&node), open(Some(held)));
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Queued, "the sweep confirmed it dead");
    assert_eq!(f.state.usages().count(), 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
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
    assert_eq!((row.phase, row.avoid.contains_key(&node)), (JobPhase::Queued, true));
    let applied = f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(id, ErrorCode::NodeUnavailable)] })
    );
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
        findings: vec![],
        rack: None,
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

fn pending(f: &mut Federation, node: &str) -> NodeId {
    let node: NodeId = node.parse().unwrap();
    let enrol = f.enrolment_with(&node, "131016", false);
    f.accept(member("kanto"), enrol);
    f.open(&node, 4, None);
    node
}

#[test]
fn a_node_takes_nothing_before_its_operator_has_compared_its_key() {
    let mut f = Federation::furnished();
    let node = pending(&mut f, "tokyo-1/n-09");
    let id = f.submit(job("early", 1, 1, &[]));
    let placed = f.place(&id, &["tokyo-1/n-09"]).outcome;
    let rejected = vec![(id.clone(), ErrorCode::NodePending)];
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
    let approve = |node_key| Command::ApproveNode { node: node.clone(), node_key };
    refused(&mut f, admin("kanto"), approve(Digest([7; 32])), ErrorCode::NodeKeyMismatch);
    refused(&mut f, admin("naniwa"), approve(node_key(&node)), ErrorCode::PermissionDenied);
    refused(&mut f, agent(&node), approve(node_key(&node)), ErrorCode::PermissionDenied);
    f.accept(admin("kanto"), approve(node_key(&node)));
    let revision = f.state.node(&node).unwrap().revision;
    f.accept(admin("kanto"), approve(node_key(&node)));
    assert_eq!(f.state.node(&node).unwrap().revision, revision, "again is nothing new");
    assert_eq!(
        f.place(&id, &["tokyo-1/n-09"]).outcome,
        Ok(Reply::Placed { granted: vec![id], rejected: vec![] })
    );
    let rejected = pending(&mut f, "tokyo-1/n-10");
    f.accept(admin("kanto"), Command::RevokeNode { node: rejected.clone() });
    let late = Command::ApproveNode { node_key: node_key(&rejected), node: rejected };
    refused(&mut f, admin("kanto"), late, ErrorCode::NodeRevoked);
}

fn unfit(check: &str, blocks: bool) -> sekisho_types::fitness::Unfit {
    let check = sekisho_types::name::Name::parse(check).unwrap();
    sekisho_types::fitness::Unfit { check, blocks, detail: "seen".into() }
}

#[test]
fn a_node_that_finds_something_wrong_gets_nothing_new_and_what_runs_goes_on() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let (runs, waits) = (f.submit(job("runs", 1, 1, &[])), f.submit(job("waits", 1, 1, &[])));
    f.place(&runs, &["tokyo-1/n-01"]);
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let tell = |session, findings| Command::ReportFitness {
        node: "tokyo-1/n-01".parse().unwrap(),
        session,
        findings,
    };
    let wrong = vec![unfit("clock", false), unfit("data-dir", true)];
    let over = tell(SessionId([9; 16]), wrong.clone());
    refused(&mut f, agent(&node), over, ErrorCode::SessionStale);
    let other = agent(&"tokyo-1/n-02".parse().unwrap());
    refused(&mut f, other, tell(session, wrong.clone()), ErrorCode::PermissionDenied);
    let twice = vec![unfit("clock", true), unfit("clock", true)];
    refused(&mut f, agent(&node), tell(session, twice), ErrorCode::InvalidArgument);
    f.accept(agent(&node), tell(session, wrong.clone()));
    let revision = f.state.node(&node).unwrap().revision;
    f.accept(agent(&node), tell(session, wrong));
    assert_eq!(f.state.node(&node).unwrap().revision, revision);
    let placed = f.place(&waits, &["tokyo-1/n-01"]).outcome;
    let rejected = vec![(waits.clone(), ErrorCode::NodeUnfit)];
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
    assert_eq!(f.state.job(&runs).unwrap().phase, JobPhase::Placed);
    // A warning keeps nothing away.
    f.accept(agent(&node), tell(session, vec![unfit("clock", false)]));
    assert_eq!(
        f.place(&waits, &["tokyo-1/n-01"]).outcome,
        Ok(Reply::Placed { granted: vec![waits], rejected: vec![] })
    );
}

#[test]
fn a_session_begins_with_what_its_host_found() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let held = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let open = |findings| Command::OpenSession {
        node: "tokyo-1/n-01".parse().unwrap(),
        session: SessionId([9; 16]),
        previous: Some(held),
        buckets: buckets(),
        live: vec![],
        table: sekisho_types::jurisdiction::table_hash(),
        findings,
        rack: None,
    };
    let backwards = vec![unfit("data-dir", true), unfit("clock", true)];
    refused(&mut f, agent(&node), open(backwards), ErrorCode::InvalidArgument);
    f.accept(agent(&node), open(vec![unfit("clock", true)]));
    assert!(!f.state.node(&node).unwrap().is_fit());
}

#[test]
fn an_empty_node_is_taken_out_and_its_key_never_comes_back() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let id = f.submit(job("last", 1, 1, &[]));
    f.place(&id, &["tokyo-1/n-01"]);
    let placement = f.placements(&id)[0];
    let out = || Command::DecommissionNode { node: "tokyo-1/n-01".parse().unwrap() };
    refused(&mut f, admin("kanto"), out(), ErrorCode::WrongPhase);
    let (within_s, message) = (None, String::new());
    f.accept(admin("kanto"), Command::DrainNode { node: node.clone(), within_s, message });
    // Something may live there still.
    refused(&mut f, admin("kanto"), out(), ErrorCode::WrongPhase);
    let applied = report(&mut f, &node, vec![(placement, Phase::Ended(Ending::Exited(0)))]);
    assert_eq!(applied.outcome, Ok(Reply::Done));
    refused(&mut f, admin("naniwa"), out(), ErrorCode::PermissionDenied);
    let applied = f.accept(admin("kanto"), out());
    assert!(applied.checkpoint.is_some());
    let told = [Event::Node(node.clone()), Event::Trust];
    assert!(told.iter().all(|event| applied.events.contains(event)), "{:?}", applied.events);
    assert!(f.state.node(&node).is_none());
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Succeeded, "its records stay");
    assert_eq!(invariant::check(&f.state), Ok(()));
    refused(&mut f, admin("kanto"), out(), ErrorCode::NotFound);
    // The same key under the old name, and under another.
    let old = node_key(&node);
    assert_eq!(f.state.retired(&old).unwrap().node, node);
    let again = f.enrolment(&node, "131016");
    refused(&mut f, member("kanto"), again.clone(), ErrorCode::NodeRevoked);
    // The name with another key.
    let Command::EnrollNode { token, node, receipt_key, .. } = again else { panic!("made above") };
    let fresh = Digest::of(b"another host");
    let mut tag = f.tag(&node, "131016", 9);
    tag.node_key = fresh;
    let site_tags = sekisho_evidence::key::SigningKey::from_seed(&Digest::of(b"site-tag/kanto").0);
    let tag = tag.sign(&site_tags).unwrap();
    f.accept(
        member("kanto"),
        Command::EnrollNode { token, node: node.clone(), node_key: fresh, receipt_key, tag },
    );
    assert_eq!(f.state.node(&node).unwrap().node_key, fresh);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_revoked_node_is_taken_out_once_nothing_lives_there() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let id = f.submit(job("held", 1, 1, &[]));
    f.place(&id, &["tokyo-1/n-01"]);
    f.accept(admin("kanto"), Command::RevokeNode { node: node.clone() });
    let out = Command::DecommissionNode { node: node.clone() };
    refused(&mut f, admin("kanto"), out.clone(), ErrorCode::WrongPhase);
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node: node.clone(), session });
    f.accept(admin("kanto"), out);
    assert!(f.state.retired(&node_key(&node)).is_some());
    // The end of a lease that was on its way finds nothing, and breaks nothing.
    refused(&mut f, member("kanto"), Command::ExpireLease { node, session }, ErrorCode::NotFound);
}
