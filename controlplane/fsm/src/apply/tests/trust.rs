//! Who may write an entry at all: signatures, keys, repeated requests, foreign entries.
//!
//! Must hold: A2, A3, R3. What the commands do once they are let in stands with their subjects.

use super::*;

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

/// A person of two federations who means the other one.
#[test]
fn a_verb_that_needs_no_signature_ignores_none() {
    let mut f = Federation::furnished();
    let facts = Box::new(job("meant", 1, 1, &[]));
    f.accept(user("kanto", "sapporo"), Command::SubmitJob { facts });
    let cancel = Command::CancelJob { job: job("meant", 1, 1, &[]).id };
    let signed = f.entry(user("kanto", "sapporo"), &[], cancel);
    let mut elsewhere = signed.clone();
    elsewhere.request.0[15] ^= 1;
    assert!(!elsewhere.signatures.is_empty());
    assert_eq!(code(&f.apply(elsewhere)), Some(ErrorCode::SignatureInvalid));
    let mut unsigned = signed;
    unsigned.signatures.clear();
    assert_eq!(f.apply(unsigned).outcome, Ok(Reply::Done));
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
        Command::CommitPlacement { basis: Default::default(), groups: vec![], calls: None },
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
