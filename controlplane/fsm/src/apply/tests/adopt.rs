//! What a host brings over from the tail that was lost (P1, P6, P7, Q2).

use super::*;
use crate::command::Item;
use crate::testing::sealed::area_only;
use crate::testing::{Federation, cluster, newcomer};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::checkpoint::{Checkpoint, assemble};
use sekisho_evidence::merkle::{Frontier, Head, prove_inclusion};
use sekisho_types::id::{JobId, MemberId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect};
use sekisho_types::limit::JOBS_KEPT_FOR;
use sekisho_types::principal::MemberIdentity;
use sekisho_types::revision::{Incarnation, PlacementId};
use std::collections::BTreeMap;

const NODE: &str = "tokyo-1/n-01";

/// A federation, and what followed on it that a backup of this moment does not know.
struct Tail {
    restored: Federation,
    later: Federation,
    job: JobId,
}

/// Submits a job between two others under one signature: what stands behind its grant then names its place.
fn submit_among(f: &mut Federation, facts: JobFacts) -> JobId {
    let id = facts.id.clone();
    let jobs = [job("before", 1, 1, &[]), facts, job("behind", 1, 1, &[])];
    let items = jobs.map(|facts| Item::SubmitJob { facts: Box::new(facts) });
    f.accept(user("kanto", "sapporo"), Command::Batch(items.into()));
    id
}

fn tail(mode: OnDisconnect, known: bool) -> Tail {
    let mut restored = Federation::furnished();
    let mut facts = job("long", 1, 2, &["JP-13"]);
    facts.on_disconnect = mode;
    if known {
        submit_among(&mut restored, facts.clone());
    }
    let mut later = restored.clone();
    let job = if known { facts.id } else { submit_among(&mut later, facts) };
    later.place(&job, &[NODE]);
    Tail { restored, later, job }
}

impl Tail {
    /// The proof of the job's placement, under a note of these members.
    fn adoption(&self, signers: &[u64]) -> (PlacementId, Adoption) {
        let placement = self.later.placements(&self.job)[0];
        let (mut frontier, mut hashes) = (Frontier::default(), BTreeMap::new());
        let mut found = None;
        let leaves = self.later.applied.iter().flat_map(|applied| &applied.leaves);
        for leaf in leaves {
            let appended = frontier.append(&leaf.record).unwrap();
            hashes.extend((appended.first_hash..).zip(appended.hashes));
            let body = Record::parse(&leaf.record).unwrap().body;
            if matches!(&body, Body::Grant(grant) if grant.placement == placement) {
                found = Some((leaf.record.clone(), appended.record));
            }
        }
        let (record, index) = found.unwrap();
        let head = Head { size: frontier.size(), root: frontier.root().unwrap() };
        let checkpoint = Checkpoint {
            cluster: cluster(),
            incarnation: Incarnation(1),
            head,
            revision: self.later.state.revision(),
            time: self.later.state.clock(),
        };
        let operators = [(1, "hokuto"), (2, "kanto"), (3, "naniwa")];
        let line = |id: &u64| {
            let (_, operator) = operators.iter().find(|(number, _)| number == id).unwrap();
            let (member, operator) = (MemberId(*id), operator.parse().unwrap());
            checkpoint.sign(&operator, member, &crate::testing::checkpoint_key(member)).unwrap()
        };
        let lines: Vec<_> = signers.iter().map(line).collect();
        let path = prove_inclusion(head.size, index, &hashes).unwrap();
        let note = assemble(&checkpoint.text().unwrap(), &lines);
        let submission = self.later.state.job(&self.job).unwrap().submission;
        let kept = self.later.applied.iter().flat_map(|applied| &applied.payloads);
        let bytes = kept
            .filter_map(|effect| match effect {
                crate::outcome::PayloadEffect::Put(digest, bytes) if *digest == submission => {
                    Some(bytes.clone())
                }
                crate::outcome::PayloadEffect::Put(..) | crate::outcome::PayloadEffect::Drop(_) => {
                    None
                }
            })
            .next_back();
        (placement, Adoption { record, index, path, note, submission: bytes.unwrap() })
    }

    /// The federation begins anew on the older state.
    fn open(&self) -> Federation {
        let mut f = self.restored.clone();
        let by = ["kanto", "naniwa"];
        let agreement = f.opened(f.opening(&by), &by);
        f.state.open_incarnation(&[], &agreement).unwrap();
        f
    }
}

fn adopt(f: &mut Federation, adoption: &Adoption) -> Applied {
    adopt_at(f, NODE, adoption, crate::testing::PAYLOAD)
}

fn adopt_at(f: &mut Federation, node: &str, adoption: &Adoption, payload: &[u8]) -> Applied {
    let node: NodeId = node.parse().unwrap();
    let (adoption, actor) = (Box::new(adoption.clone()), agent(&node));
    let mut entry = f.entry(actor, &[], Command::Adopt { node, adoption, running: true });
    entry.payload = payload.to_vec();
    let applied = f.apply(entry);
    assert_eq!(invariant::check(&f.state), Ok(()));
    applied
}

fn usage(f: &Federation, job: &JobId) -> u64 {
    f.state.usage(&job.tenant, &CLASS.parse().unwrap())
}

/// Ends it as its agent would, after coming over.
fn ends(f: &mut Federation, placement: PlacementId) {
    let node: NodeId = NODE.parse().unwrap();
    let before = f.state.node(&node).unwrap().clone();
    let session = SessionId([9; 16]);
    let open = Command::OpenSession {
        node: node.clone(),
        session,
        previous: before.session.map(|session| session.id),
        buckets: before.buckets,
        live: vec![placement],
        table: sekisho_types::jurisdiction::table_hash(),
        findings: vec![],
        rack: None,
    };
    f.accept(agent(&node), open);
    assert!(f.state.node(&node).unwrap().placements.contains(&placement));
    report(f, &node, vec![(placement, Phase::Ended(Ending::Exited(0)))]);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn what_runs_to_completion_is_taken_in_charged_and_ends_as_ever() {
    for known in [true, false] {
        let tail = tail(OnDisconnect::RunToCompletion, known);
        let (placement, adoption) = tail.adoption(&[1, 2]);
        let mut f = tail.open();
        let applied = adopt(&mut f, &adoption);
        assert_eq!(applied.outcome, Ok(Reply::Done));
        assert_eq!(usage(&f, &tail.job), 2);
        assert_eq!(f.state.job(&tail.job).unwrap().phase, JobPhase::Running);
        // Its grant has a record of this log, and so does the set that names it.
        let told: Vec<_> = (0..applied.leaves.len()).map(|leaf| body(&applied, leaf)).collect();
        assert!(matches!(&told[1], Body::Grant(grant) if grant.placement == placement));
        assert!(matches!(&told[2], Body::Desired(desired) if desired.count == 1));
        assert_eq!(adopt(&mut f, &adoption).outcome, Ok(Reply::Done), "the answer was lost");
        assert_eq!(usage(&f, &tail.job), 2, "charged once");
        ends(&mut f, placement);
        assert_eq!(f.state.job(&tail.job).unwrap().phase, JobPhase::Succeeded);
        assert_eq!(usage(&f, &tail.job), 0);
        assert_eq!(code(&adopt(&mut f, &adoption)), Some(ErrorCode::WrongPhase), "it has ended");
    }
}

/// The backup knows a job where it ran first, and in the tail it was granted again. The first placement.
fn moved() -> (Tail, PlacementId) {
    let mut restored = Federation::furnished();
    let mut facts = job("long", 1, 2, &["JP-13"]);
    facts.on_disconnect = OnDisconnect::RunToCompletion;
    let id = restored.submit(facts);
    restored.place(&id, &["tokyo-1/n-02"]);
    let first = restored.placements(&id)[0];
    let mut later = restored.clone();
    let lost = vec![(first, Phase::Ended(Ending::StartFailed("drill".to_owned())))];
    report(&mut later, &"tokyo-1/n-02".parse().unwrap(), lost);
    later.place(&id, &[NODE]);
    (Tail { restored, later, job: id }, first)
}

#[test]
fn a_later_attempt_proves_that_the_earlier_one_is_dead() {
    let (tail, first) = moved();
    let id = tail.job.clone();
    let (second, adoption) = tail.adoption(&[1, 2]);
    let mut f = tail.open();
    assert_eq!((usage(&f, &id), f.placements(&id)), (2, vec![first]));
    assert_eq!(adopt(&mut f, &adoption).outcome, Ok(Reply::Done));
    assert_eq!((usage(&f, &id), f.placements(&id)), (2, vec![second]));
    ends(&mut f, second);
    assert_eq!(usage(&f, &id), 0);
}

#[test]
fn what_the_restored_state_knows_to_have_ended_is_not_taken_in() {
    let granted = tail(OnDisconnect::RunToCompletion, true);
    let (placement, adoption) = granted.adoption(&[1, 2]);
    // It ended, was queued again and forgotten, and then the backup was taken.
    let mut restored = granted.later.clone();
    let lost = vec![(placement, Phase::Ended(Ending::StartFailed("drill".to_owned())))];
    report(&mut restored, &NODE.parse().unwrap(), lost);
    assert!(restored.state.placement(&placement).is_none());
    let mut f = Tail { restored, ..granted }.open();
    assert_eq!(code(&adopt(&mut f, &adoption)), Some(ErrorCode::WrongPhase));
}

#[test]
fn nothing_else_is_taken_in() {
    let refused = |f: &mut Federation, adoption: &Adoption, expected: ErrorCode| {
        let before = tables(f);
        assert_eq!(code(&adopt(f, adoption)), Some(expected));
        assert_eq!(tables(f), before);
    };
    let bound = tail(OnDisconnect::Stop, true);
    let (_, adoption) = bound.adoption(&[1, 2]);
    refused(&mut bound.open(), &adoption, ErrorCode::WrongPhase);
    let mut first = bound.restored;
    refused(&mut first, &adoption, ErrorCode::WrongPhase);

    let tail = tail(OnDisconnect::RunToCompletion, true);
    let (_, alone) = tail.adoption(&[1]);
    let (_, good) = tail.adoption(&[1, 2]);
    let f = tail.open();
    refused(&mut f.clone(), &alone, ErrorCode::SignatureInvalid);
    refused(
        &mut f.clone(),
        &Adoption { index: good.index + 1, ..good.clone() },
        ErrorCode::SignatureInvalid,
    );
    refused(
        &mut f.clone(),
        &Adoption { submission: Vec::new(), ..good.clone() },
        ErrorCode::SignatureInvalid,
    );
    // Its host has told what it runs already, and has room no more, or another job has the name.
    let mut over = f.clone();
    let node: NodeId = NODE.parse().unwrap();
    let held = over.state.node(&node).unwrap().session.as_ref().unwrap().id;
    over.open(&node, 4, Some(held));
    refused(&mut over, &good, ErrorCode::WrongPhase);
    let mut full = f.clone();
    full.state.nodes.update(&node, |row| {
        row.buckets[0].count = 1;
        row.buckets[0].parts.truncate(1);
    });
    refused(&mut full, &good, ErrorCode::CapacityFull);
    // By another host's agent, or with another payload than was granted.
    let mut stranger = f;
    let other: NodeId = "tokyo-1/n-02".parse().unwrap();
    let adoption = Box::new(good.clone());
    let command = Command::Adopt { node: other.clone(), adoption, running: true };
    let mut entry = stranger.entry(agent(&other), &[], command.clone());
    entry.payload = crate::testing::PAYLOAD.to_vec();
    assert_eq!(code(&stranger.apply(entry)), Some(ErrorCode::GrantNotMine));
    let own = Command::Adopt { node: node.clone(), adoption: Box::new(good), running: true };
    let mut entry = stranger.entry(agent(&node), &[], own);
    entry.payload = b"false".to_vec();
    assert_eq!(code(&stranger.apply(entry)), Some(ErrorCode::PayloadMismatch));
    let founder = newcomer(1001, "kanto");
    let member =
        MemberIdentity { member: founder.member, operator: founder.operator, site: founder.site };
    let entry = stranger.entry(member.principal(), &[], command);
    assert_eq!(code(&stranger.apply(entry)), Some(ErrorCode::PermissionDenied));
}

/// Its tenant wants it no more: a host that comes over late must not bring it back to life.
#[test]
fn what_is_being_cancelled_is_not_taken_in() {
    let (tail, first) = moved();
    let id = tail.job.clone();
    let (_, adoption) = tail.adoption(&[1, 2]);
    let mut f = tail.open();
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id.clone() });
    assert_eq!(code(&adopt(&mut f, &adoption)), Some(ErrorCode::WrongPhase));
    assert_eq!(f.placements(&id), vec![first]);
}

fn array(name: &str, at_most: u32) -> JobFacts {
    JobFacts {
        kind: Kind::Array { tasks: 5, at_most },
        on_disconnect: OnDisconnect::RunToCompletion,
        ..job(name, 1, 2, &["JP-13"])
    }
}

/// The backup knows an array or not, and in the tail its first task was granted.
fn tail_of_task(known: bool) -> Tail {
    let mut restored = Federation::furnished();
    let facts = array("long", 2);
    if known {
        submit_among(&mut restored, facts.clone());
    }
    let mut later = restored.clone();
    let whole = if known { facts.id } else { submit_among(&mut later, facts) };
    later.place(&whole, &[NODE]);
    Tail { restored, later, job: whole.task(0) }
}

fn forgotten(f: &mut Federation) {
    let week = u64::try_from(JOBS_KEPT_FOR.as_millis()).unwrap();
    f.state.clock = f.state.clock.plus_ms(week);
    f.now = f.state.clock;
    let tick = f.entry(newcomer_of(f), &[], Command::Tick);
    assert_eq!(f.apply(tick).outcome, Ok(Reply::Done));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

/// A member of the incarnation that was opened.
fn newcomer_of(f: &Federation) -> Principal {
    let members = &f.state.federation().unwrap().members;
    let (_, founder) = members.first_key_value().unwrap();
    let (operator, site) = (founder.operator.clone(), founder.site.clone());
    MemberIdentity { member: founder.member, operator, site }.principal()
}

#[test]
fn a_task_is_taken_in_with_its_whole() {
    for known in [true, false] {
        let tail = tail_of_task(known);
        let (placement, adoption) = tail.adoption(&[1, 2]);
        let whole = tail.job.whole();
        let mut f = tail.open();
        assert_eq!(adopt(&mut f, &adoption).outcome, Ok(Reply::Done));
        let row = f.state.job(&whole).unwrap();
        let tasks = row.tasks.clone().unwrap();
        assert_eq!((row.phase, tasks.open, tasks.next), (JobPhase::Stopping, 1, 1));
        assert_eq!(f.state.wanted(row), 0, "it is of the incarnation before");
        // Nobody else gets its name, under which its numbers would be given again.
        let again = Command::SubmitJob { facts: Box::new(array("long", 2)) };
        let by = user("kanto", "sapporo");
        assert_eq!(code(&f.run(by, again)), Some(ErrorCode::AlreadyExists));
        // What runs for longer than jobs are kept is not forgotten.
        forgotten(&mut f);
        assert_eq!((f.placements(&tail.job), usage(&f, &tail.job)), (vec![placement], 2));
        ends(&mut f, placement);
        let phase = |id: &JobId| f.state.job(id).unwrap().phase;
        assert_eq!((phase(&tail.job), phase(&whole)), (JobPhase::Succeeded, JobPhase::Failed));
        forgotten(&mut f);
        assert_eq!((f.state.jobs().count(), f.state.placements().count()), (0, 0));
    }
}

#[test]
fn a_task_of_another_whole_or_of_one_that_is_cancelled_is_not_taken_in() {
    let tail = tail_of_task(false);
    let (_, adoption) = tail.adoption(&[1, 2]);
    for facts in [array("long", 2), job("long", 1, 1, &[])] {
        let mut f = tail.open();
        f.submit(facts);
        assert_eq!(code(&adopt(&mut f, &adoption)), Some(ErrorCode::AlreadyExists));
    }
    // One task runs that the backup knows, and ends in the tail, where another follows it.
    let mut restored = Federation::furnished();
    let whole = submit_among(&mut restored, array("long", 1));
    restored.place(&whole, &["tokyo-1/n-02"]);
    let mut later = restored.clone();
    let first = later.placements(&whole.task(0))[0];
    let over = vec![(first, Phase::Ended(Ending::Exited(0)))];
    report(&mut later, &"tokyo-1/n-02".parse().unwrap(), over);
    later.place(&whole, &[NODE]);
    let tail = Tail { restored, later, job: whole.task(1) };
    let (_, adoption) = tail.adoption(&[1, 2]);
    let mut f = tail.open();
    let mut cancelled = f.clone();
    cancelled.accept(user("kanto", "sapporo"), Command::CancelJob { job: whole.clone() });
    assert_eq!(code(&adopt(&mut cancelled, &adoption)), Some(ErrorCode::WrongPhase));
    // More run than may at once, for as long as nobody knows that the first is over.
    assert_eq!(adopt(&mut f, &adoption).outcome, Ok(Reply::Done));
    assert_eq!(f.state.job(&whole).unwrap().tasks.as_ref().unwrap().open, 2);
}

#[test]
fn a_payload_that_stays_in_its_area_is_counted_for_each_task() {
    let mut restored = Federation::furnished();
    for site in ["tokyo-1", "ishikari-1"] {
        restored.give_site_key(site, 1);
    }
    let facts = JobFacts { residency: job("x", 1, 1, &["JP-01"]).residency, ..array("long", 2) };
    let (facts, _) = area_only(facts, b"python", &[("ishikari-1", 1)]);
    let submit = Command::SubmitJob { facts: Box::new(facts.clone()) };
    assert_eq!(code(&restored.run_with(submit, Vec::new())), None);
    let (whole, nodes) = (facts.id.clone(), ["ishikari-1/n-01", "ishikari-1/n-02"]);
    restored.place(&whole, &nodes[..1]);
    let mut later = restored.clone();
    later.place(&whole, &nodes[1..]);
    let tail = Tail { restored, later, job: whole.task(1) };
    let (_, adoption) = tail.adoption(&[1, 2]);
    let mut f = tail.open();
    assert_eq!(adopt_at(&mut f, nodes[1], &adoption, b"").outcome, Ok(Reply::Done));
    // The first is lost: the other one still has what it runs.
    let node: NodeId = nodes[0].parse().unwrap();
    let first = f.placements(&whole.task(0))[0];
    let lost = vec![(first, Phase::Ended(Ending::Exited(1)))];
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.run(agent(&node), Command::Report { node, session, phases: lost });
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert!(f.state.area_only(&facts.payload).is_some());
}
