//! Nodes: enrolment, sessions, refusals and revocation.
//!
//! Must hold: D2, P1, P5. The end of a node's lease stands with the leases.

use super::*;

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
    assert_eq!((row.phase, row.avoid.contains(&node)), (JobPhase::Queued, true));
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
