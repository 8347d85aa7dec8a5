//! A federation that begins anew (A3, P5, P7, Q2, R5, R6).

use super::*;
use crate::outcome::Rejection;
use crate::state::{Fate, Standing};
use crate::testing::{administrator, newcomer};
use sekisho_evidence::opening::Opening;
use sekisho_evidence::terms::Agreement;
use sekisho_types::id::MemberId;
use sekisho_types::job::OnDisconnect;
use sekisho_types::principal::{MemberIdentity, Role};
use sekisho_types::revision::{Incarnation, Revision};

const BOTH: [&str; 2] = ["kanto", "naniwa"];

/// Founders of kanto and naniwa; hokuto is gone.
fn opened(f: &Federation) -> Agreement {
    f.opened(f.opening(&BOTH), &BOTH)
}

fn open(f: &mut Federation, agreement: &Agreement) -> Result<Applied, Rejection> {
    f.state.open_incarnation(&[], agreement)
}

#[track_caller]
fn is_refused(f: &Federation, agreement: &Agreement, code: ErrorCode) {
    let mut f = f.clone();
    let before = tables(&f);
    let rejection = open(&mut f, agreement).unwrap_err();
    assert_eq!(rejection.code, code, "{rejection:?}");
    assert_eq!(tables(&f), before, "a refusal changed the state");
}

fn founder(id: u64, operator: &str) -> Principal {
    let of = newcomer(id, operator);
    MemberIdentity { member: of.member, operator: of.operator, site: of.site }.principal()
}

#[test]
fn the_founders_take_over_and_every_host_waits_for_its_company() {
    let mut f = Federation::furnished();
    let token = f.enrolment(&"tokyo-1/n-09".parse().unwrap(), "131016");
    let agreement = opened(&f);
    let applied = open(&mut f, &agreement).unwrap();
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert!(applied.checkpoint.is_some_and(|at| at.incarnation == Incarnation(2)));
    let federation = f.state.federation().unwrap();
    assert_eq!((federation.incarnation, federation.opened), (Incarnation(2), f.state.revision()));
    assert_eq!(federation.voters(), [MemberId(1001), MemberId(1002)].into());
    assert!((1..=3).all(|id| federation.standing(MemberId(id)) == Some(Standing::Removed)));
    assert_eq!(federation.begun(), agreement.signed.bundle.hash().unwrap());
    let walked = federation.package().walk(&crate::testing::genesis().genesis.bundle).unwrap();
    assert_eq!((&walked.bundle, &walked.roots), (&federation.bundle, &federation.roots));
    // Every node is told its set anew, under an epoch of this incarnation.
    let nodes = f.state.nodes().count();
    assert_eq!(applied.leaves.len(), nodes + 1);
    let Body::Desired(desired) = body(&applied, 1) else { panic!() };
    assert_eq!(desired.epoch.incarnation, Incarnation(2));
    assert!(f.state.nodes().all(|(_, node)| !node.schedulable));
    let stale = f.run(founder(1001, "kanto"), token);
    assert_eq!(code(&stale), Some(ErrorCode::TokenUnknown), "tokens of before are void");

    // Its company gives a host back once its agent has come over; then work goes to it.
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let uncordon = Command::SetSchedulable { node: node.clone(), schedulable: true };
    refused(&mut f, admin("kanto"), uncordon.clone(), ErrorCode::WrongPhase);
    let held = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.open(&node, 4, Some(held));
    f.accept(admin("kanto"), uncordon);
    let id = f.submit(job("new", 1, 1, &["JP-13"]));
    let groups = vec![crate::command::Group {
        job: id.clone(),
        places: vec![crate::command::Slot { node, bucket: 0 }],
    }];
    let basis = f.state.revision();
    let placed =
        f.accept(founder(1002, "naniwa"), Command::CommitPlacement { basis, groups, calls: None });
    assert_eq!(placed.outcome, Ok(Reply::Placed { granted: vec![id.clone()], rejected: vec![] }));
    assert_eq!(f.placements(&id)[0].epoch.incarnation, Incarnation(2));
    let of_before = f.run(member("kanto"), Command::Tick);
    assert_eq!(code(&of_before), Some(ErrorCode::PermissionDenied));
}

#[test]
fn no_job_of_before_is_placed_again_and_nothing_stays_charged() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let stops = f.submit(job("stops", 1, 1, &["JP-13"]));
    let mut facts = job("completes", 1, 1, &["JP-13"]);
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let completes = f.submit(facts.clone());
    facts.id.name = "gone".parse().unwrap();
    let gone = f.submit(facts);
    for id in [&stops, &completes, &gone] {
        f.place(id, &["tokyo-1/n-01"]);
    }
    let waits = f.submit(job("waits", 1, 1, &[]));
    let agreement = opened(&f);
    open(&mut f, &agreement).unwrap();
    let phase = |f: &Federation, id| f.state.job(id).unwrap().phase;
    assert_eq!(phase(&f, &waits), JobPhase::Failed);
    let usage = |f: &Federation| f.state.usage(&stops.tenant, &CLASS.parse().unwrap());
    assert_eq!((phase(&f, &stops), usage(&f)), (JobPhase::Placed, 3), "what runs stays charged");
    // Its lease ends: what is bound to it is dead, and is not tried again.
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(founder(1001, "kanto"), Command::ExpireLease { node: node.clone(), session });
    assert_eq!((phase(&f, &stops), usage(&f)), (JobPhase::Failed, 2));
    // Its agent comes over and tells what of it lives.
    let live = f.placements(&completes);
    let buckets = f.state.node(&node).unwrap().buckets.clone();
    let open = Command::OpenSession {
        node: node.clone(),
        session: SessionId([9; 16]),
        previous: Some(session),
        buckets,
        live,
        table: sekisho_types::jurisdiction::table_hash(),
        findings: vec![],
        rack: None,
    };
    f.accept(agent(&node), open);
    assert_eq!((phase(&f, &gone), usage(&f)), (JobPhase::Failed, 1), "not queued again (P7)");
    assert!(f.state.queue().next().is_none());
    all(&mut f, &completes, &Phase::Running);
    all(&mut f, &completes, &Phase::Ended(Ending::Exited(0)));
    assert_eq!((phase(&f, &completes), usage(&f)), (JobPhase::Succeeded, 0));
    assert!(
        f.state
            .jobs()
            .all(|(_, job)| !matches!(job.fate, Some(Fate::Requeue(_))) || job.phase.is_final())
    );
}

#[test]
fn who_is_not_named_has_no_power_and_what_was_withdrawn_stays_out() {
    let mut f = Federation::furnished();
    let mut opening = f.opening(&BOTH);
    let user = user("kanto", "sapporo");
    opening.withdrawn.sites.insert("ishikari-1".parse().unwrap());
    opening.withdrawn.nodes.insert("tokyo-1/n-02".parse().unwrap());
    opening.withdrawn.nodes.insert("tokyo-1/never".parse().unwrap());
    opening.withdrawn.keys.insert(user_key(&user).public());
    let agreement = f.opened(opening.clone(), &BOTH);
    let mut other = f.clone();
    open(&mut f, &agreement).unwrap();
    assert!(f.state.site(&"ishikari-1".parse().unwrap()).unwrap().revoked);
    let revoked = |node: &str| f.state.node(&node.parse().unwrap()).unwrap().revoked;
    assert!(revoked("tokyo-1/n-02") && revoked("ishikari-1/n-01") && !revoked("tokyo-1/n-01"));
    assert!(f.state.key(&user, &user_key(&user).public()).is_none());
    let hokuto = admin("hokuto");
    assert!(f.state.key(&hokuto, &user_key(&hokuto).public()).is_none(), "not named");
    let kanto = admin("kanto");
    assert!(f.state.key(&kanto, &user_key(&kanto).public()).is_some());

    // Kept if it is not taken away: what a tenant's user may do is its tenant's.
    let plain = opened(&other);
    open(&mut other, &plain).unwrap();
    assert!(other.state.key(&user, &user_key(&user).public()).is_some());
    opening.keys.push(administrator("hokuto"));
    opening.withdrawn.keys.insert(user_key(&hokuto).public());
    let f = Federation::furnished();
    is_refused(&f, &f.opened(opening, &BOTH), ErrorCode::InvalidArgument);
}

#[test]
fn who_is_missing_could_still_decide_or_has_not_agreed() {
    let f = Federation::furnished();
    is_refused(&f, &f.opened(f.opening(&BOTH), &["kanto"]), ErrorCode::SignaturesMissing);
    is_refused(&f, &f.opened(f.opening(&BOTH), &["kanto", "hokuto"]), ErrorCode::SignaturesMissing);
    let one = f.opened(f.opening(&["kanto"]), &["kanto", "naniwa"]);
    is_refused(&f, &one, ErrorCode::IncarnationQuorum);
    // Two more companies that vote: kanto and naniwa are two of five, and the other three go on without them.
    let mut five = Federation::furnished();
    for (name, id) in [("tokai", 4), ("chugoku", 5)] {
        let join = five.joining(name, &["kanto", "naniwa", name]);
        five.accept(admin("kanto"), join);
        let mut member = newcomer(id, "kanto");
        member.operator = name.parse().unwrap();
        member.site = format!("{name}-1").parse().unwrap();
        let add = five.taking_in(member, &["kanto", "naniwa", name]);
        five.accept(admin("kanto"), add);
        let vote = Command::SetVoter {
            member: MemberId(id),
            voter: true,
            accept_quorum_in_one_hand: false,
        };
        five.accept(admin("kanto"), vote);
    }
    is_refused(&five, &opened(&five), ErrorCode::IncarnationQuorum);
    let three = ["kanto", "naniwa", "hokuto"];
    let agreement = five.opened(five.opening(&three), &three);
    open(&mut five, &agreement).unwrap();
}

#[test]
fn votes_that_came_after_the_state_count_too() {
    let f = Federation::furnished();
    let mut later = f.clone();
    let mut base = Vec::new();
    for id in [4, 5] {
        let command = later.newcomer(id, "hokuto");
        let Command::ChangeBundle(step) = command.clone() else { panic!() };
        later.accept(admin("kanto"), command);
        base.push(*step);
    }
    // Opened on the older state, where hokuto has one vote of three; it has three of five by now.
    let on_both = |by: &[&str]| {
        let opening = f.opening(by);
        let endorsers = opening.founders.iter().map(crate::testing::endorser).collect();
        let terms = sekisho_evidence::terms::Terms::Open(Box::new(opening));
        let held = &later.state.federation().unwrap().bundle;
        let bundle = held.opened(endorsers, terms.digest());
        crate::testing::agreement(terms, bundle, by)
    };
    let refused = f.clone().state.open_incarnation(&base, &on_both(&BOTH)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::IncarnationQuorum);
    let all = ["kanto", "naniwa", "hokuto"];
    f.clone().state.open_incarnation(&base, &on_both(&all)).unwrap();
}

#[test]
fn another_state_founder_or_key_than_agreed_is_refused() {
    let mut f = Federation::furnished();
    let altered = |f: &Federation, how: &dyn Fn(&mut Opening)| {
        let mut opening = f.opening(&BOTH);
        how(&mut opening);
        f.opened(opening, &BOTH)
    };
    type Case<'c> = (&'c dyn Fn(&mut Opening), ErrorCode);
    let cases: [Case<'_>; 9] = [
        (&|o| o.restored.head.size += 1, ErrorCode::SnapshotMismatch),
        (&|o| o.restored.head.root = Digest([1; 32]), ErrorCode::SnapshotMismatch),
        (&|o| o.founders[0].address = "nowhere".into(), ErrorCode::InvalidArgument),
        (&|o| o.founders[0].address = o.founders[1].address.clone(), ErrorCode::AlreadyExists),
        (&|o| o.founders[0].site = "ishikari-1".parse().unwrap(), ErrorCode::InvalidArgument),
        (&|o| drop(o.keys.pop()), ErrorCode::InvalidArgument),
        (&|o| o.keys[0].record.role = Role::Auditor, ErrorCode::SignatureInvalid),
        (&|o| o.highest = Some(b"no note".to_vec()), ErrorCode::SignatureInvalid),
        (&|o| o.founders.push(newcomer(1003, "kanto")), ErrorCode::MemberQuorumInOneHand),
    ];
    for (how, code) in cases {
        is_refused(&f, &altered(&f, how), code);
    }
    let accepted = altered(&f, &|o| {
        o.founders.push(newcomer(1003, "kanto"));
        o.accept_quorum_in_one_hand = true;
    });
    open(&mut f.clone(), &accepted).unwrap();
    let agreement = opened(&f);
    // A leader could put it into the log of the old incarnation, or send it as an ordinary change.
    let entry = super::super::incarnation::entry(&[], &agreement).unwrap().1;
    assert_eq!(code(&f.clone().apply(entry)), Some(ErrorCode::WrongPhase));
    let change = Command::ChangeBundle(Box::new(agreement.clone()));
    refused(&mut f, admin("kanto"), change, ErrorCode::WrongPhase);
    // The refusals left records: this is another state than the one agreed on.
    is_refused(&f, &agreement, ErrorCode::SnapshotMismatch);
}

#[test]
fn a_step_of_the_bundle_that_the_state_forgot_is_made_up_for() {
    let mut f = Federation::furnished();
    let mut later = f.clone();
    let join = later.joining("tokai", &["kanto", "naniwa", "tokai"]);
    let Command::ChangeBundle(step) = join.clone() else { panic!() };
    later.accept(admin("kanto"), join);
    let bundle = later.state.federation().unwrap().bundle.clone();
    // Opened on the older state, by who holds the newer bundle.
    let opening = f.opening(&BOTH);
    let endorsers = opening.founders.iter().map(crate::testing::endorser).collect();
    let terms = sekisho_evidence::terms::Terms::Open(Box::new(opening));
    let next = bundle.opened(endorsers, terms.digest());
    let agreement = crate::testing::agreement(terms, next, &BOTH);
    is_refused(&f, &agreement, ErrorCode::BundleMismatch);
    f.state.open_incarnation(&[*step], &agreement).unwrap();
    assert_eq!(invariant::check(&f.state), Ok(()));
    let federation = f.state.federation().unwrap();
    assert!(federation.bundle.keys(&"tokai".parse().unwrap()).is_some());
    assert!(f.state.site(&"tokai-1".parse().unwrap()).is_some());
    assert!(federation.package().walk(&bundle).is_ok(), "who holds the newer bundle is led on");
}

#[test]
fn replaying_the_records_gives_the_same_state() {
    let mut f = Federation::furnished();
    f.submit(job("waits", 1, 1, &[]));
    let agreement = opened(&f);
    let mut replayed = f.state.clone();
    let applied = open(&mut f, &agreement).unwrap();
    let Body::Entry { entry, rejected: None } = body(&applied, 0) else { panic!() };
    let entry = sekisho_evidence::canonical::decode(&entry).unwrap();
    let again = replayed.replay(f.state.revision(), &entry);
    assert_eq!(again.leaves, applied.leaves);
    assert_eq!(replayed.digest(), f.state.digest());
    assert_ne!(f.state.revision(), Revision(0));
}
