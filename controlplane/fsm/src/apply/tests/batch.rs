//! Several commands in one entry: all or none, each as if it had come alone.

use super::*;
use crate::command::{Group, Item, Slot};
use crate::outcome::PayloadEffect;
use crate::state::State;
use crate::testing::PAYLOAD;
use sekisho_evidence::batch::{BATCH, ITEMS_MAX};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::submission::{Submission, submit_item};
use sekisho_types::id::JobId;

fn submit(name: &str) -> Item {
    Item::SubmitJob { facts: Box::new(job(name, 1, 1, &[])) }
}

fn id(name: &str) -> JobId {
    format!("sapporo/{name}").parse().unwrap()
}

fn user_of(tenant: &str) -> Principal {
    user("kanto", tenant)
}

fn item(applied: &Applied) -> Option<u32> {
    applied.outcome.as_ref().unwrap_err().item
}

/// A batch of sapporo's user that must be refused for this command of it.
#[track_caller]
fn refused_at(f: &mut Federation, items: Vec<Item>, at: u32, expected: ErrorCode) {
    refused(f, user_of("sapporo"), Command::Batch(items), expected);
    let applied = f.applied.last().unwrap();
    assert_eq!(item(applied), Some(at));
    assert!(applied.payloads.is_empty() && applied.events.is_empty() && applied.leaves.len() == 1);
}

#[test]
fn agents_and_apply_mean_the_same_bytes() {
    assert_eq!(encode(&Command::Batch(vec![])).unwrap(), encode(&(BATCH, 0u8)).unwrap());
    let facts = job("named", 2, 3, &["JP-01"]);
    let item = Item::SubmitJob { facts: Box::new(facts.clone()) };
    assert_eq!(submit_item(&facts), encode(&item));
}

#[test]
fn jobs_of_a_batch_wait_in_its_order_and_each_has_a_submission_that_stands_behind_its_grant() {
    let mut f = Federation::furnished();
    let names = ["z", "a", "m"];
    let applied = f.accept(user_of("sapporo"), Command::Batch(names.map(submit).into()));
    assert_eq!(applied.leaves.len(), 1, "one record tells of all");
    let queued: Vec<JobId> = f.state.queue().map(|(_, id)| id.clone()).collect();
    assert_eq!(queued, names.map(id));
    let kept = |digest: &Digest| {
        applied.payloads.iter().find_map(|effect| match effect {
            PayloadEffect::Put(found, bytes) if found == digest => Some(bytes.clone()),
            PayloadEffect::Put(..) | PayloadEffect::Drop(_) => None,
        })
    };
    assert_eq!(kept(&Digest::of(PAYLOAD)).unwrap(), PAYLOAD);
    let place = |name| Group {
        job: id(name),
        places: vec![Slot { node: "tokyo-1/n-01".parse().unwrap(), bucket: 0 }],
    };
    let basis = f.state.revision();
    f.run(
        member("kanto"),
        Command::CommitPlacement { basis, groups: names.map(place).into(), calls: None },
    );
    let bundle = f.state.federation().unwrap().bundle.clone();
    for name in names {
        let job = f.state.job(&id(name)).unwrap();
        let submission = Submission::parse(&kept(&job.submission).unwrap()).unwrap();
        let grant = &f.state.placement(&job.placements[0]).unwrap().grant;
        assert_eq!(submission.check(&bundle, grant), Ok(()), "{name}");
    }
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn one_bad_command_undoes_those_before_it() {
    let mut f = Federation::furnished();
    f.submit(job("there", 1, 1, &[]));
    let jobs = |names: &[&str]| names.iter().map(|name| submit(name)).collect::<Vec<Item>>();
    refused_at(&mut f, jobs(&["a", "b", "there"]), 2, ErrorCode::AlreadyExists);
    refused_at(&mut f, jobs(&["a", "a"]), 1, ErrorCode::AlreadyExists);
    let gone = Item::CancelJob { job: id("gone") };
    refused_at(&mut f, vec![submit("a"), gone], 1, ErrorCode::NotFound);
    let node = "tokyo-1/n-01".parse().unwrap();
    let cordon = Item::SetSchedulable { node, schedulable: false };
    refused_at(&mut f, vec![submit("a"), cordon], 1, ErrorCode::PermissionDenied);
    let mut facts = job("a", 1, 1, &[]);
    facts.id.tenant = "osaka".parse().unwrap();
    let other = Item::SubmitJob { facts: Box::new(facts) };
    refused_at(&mut f, vec![submit("b"), other], 1, ErrorCode::PermissionDenied);
    f.accept(user_of("sapporo"), Command::Batch(jobs(&["a", "b"])));
}

/// Work that runs, and a payload's last user, are as they were; so is everything that follows from them.
#[test]
fn a_refused_batch_stops_nothing_and_forgets_nothing() {
    let mut f = Federation::furnished();
    let runs = f.submit(job("runs", 1, 1, &[]));
    f.place(&runs, &["tokyo-1/n-01"]);
    all(&mut f, &runs, &Phase::Running);
    f.submit(job("waits", 1, 1, &[]));
    let cancel = |name: &str| Item::CancelJob { job: id(name) };
    refused_at(
        &mut f,
        vec![cancel("runs"), cancel("waits"), cancel("gone")],
        2,
        ErrorCode::NotFound,
    );
    assert!(f.applied.last().unwrap().checkpoint.is_none());
    assert_eq!(invariant::check(&f.state), Ok(()));
    let done = Command::Batch(vec![cancel("runs"), cancel("waits")]);
    assert!(f.accept(user_of("sapporo"), done).leaves.len() > 1, "a desired set changed");
}

/// The last user of a payload goes and another comes: whoever stores it follows the order.
#[test]
fn a_payload_that_changes_hands_within_a_batch_is_kept() {
    let mut f = Federation::furnished();
    f.submit(job("old", 1, 1, &[]));
    let batch = Command::Batch(vec![Item::CancelJob { job: id("old") }, submit("new")]);
    let applied = f.accept(user_of("sapporo"), batch);
    let of_payload = applied.payloads.iter().filter(|effect| match effect {
        PayloadEffect::Put(digest, _) | PayloadEffect::Drop(digest) => {
            *digest == Digest::of(PAYLOAD)
        }
    });
    let kinds: Vec<bool> = of_payload.map(|e| matches!(e, PayloadEffect::Put(..))).collect();
    assert_eq!(kinds, [false, true]);
    assert!(f.state.refers_to_payload(&Digest::of(PAYLOAD)));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

/// A host lost them all: they wait again, in the order of their batch.
#[test]
fn jobs_of_a_batch_wait_again_in_its_order() {
    let mut f = Federation::furnished();
    let names = ["z", "a", "m"];
    f.accept(user_of("sapporo"), Command::Batch(names.map(submit).into()));
    for name in ["m", "z", "a"] {
        f.place(&id(name), &["tokyo-1/n-01"]);
    }
    for name in ["a", "m", "z"] {
        all(&mut f, &id(name), &Phase::Ended(Ending::StartFailed("drill".into())));
    }
    let queued: Vec<JobId> = f.state.queue().map(|(_, id)| id.clone()).collect();
    assert_eq!(queued, names.map(id));
}

#[test]
fn each_command_sees_what_those_before_it_did() {
    let mut f = Federation::furnished();
    let cancel = Item::CancelJob { job: id("a") };
    let applied = f.accept(user_of("sapporo"), Command::Batch(vec![submit("a"), cancel]));
    assert_eq!(f.state.job(&id("a")).unwrap().phase, JobPhase::Cancelled);
    let last: Vec<_> = applied.payloads.iter().skip(2).collect();
    assert!(last.iter().all(|effect| matches!(effect, PayloadEffect::Drop(_))), "{last:?}");
    let nodes: Vec<NodeId> = f.state.nodes().map(|(id, _)| id.clone()).collect();
    let of = |operator: &str, f: &Federation| -> Vec<NodeId> {
        let own = |id: &&NodeId| f.state.node(id).unwrap().operator.as_str() == operator;
        nodes.iter().filter(own).cloned().collect()
    };
    let own = of("kanto", &f);
    let cordon = |node: &NodeId| Item::SetSchedulable { node: node.clone(), schedulable: false };
    let items: Vec<Item> = own.iter().map(cordon).collect();
    assert!(!items.is_empty());
    f.accept(admin("kanto"), Command::Batch(items));
    assert!(own.iter().all(|node| !f.state.node(node).unwrap().schedulable));
    let foreign = of("hokuto", &f).iter().map(cordon).collect();
    refused(&mut f, admin("kanto"), Command::Batch(foreign), ErrorCode::PermissionDenied);
}

#[test]
fn a_batch_is_bounded_and_not_empty() {
    let mut f = Federation::furnished();
    let jobs = |n: usize| (0..n).map(|n| submit(&format!("j-{n}"))).collect();
    for n in [0, ITEMS_MAX + 1] {
        let batch = Command::Batch(jobs(n));
        refused(&mut f, user_of("sapporo"), batch, ErrorCode::InvalidArgument);
    }
    f.accept(user_of("sapporo"), Command::Batch(jobs(ITEMS_MAX)));
    assert_eq!(f.state.queue_len(), ITEMS_MAX);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn the_callers_signature_covers_the_whole_batch_and_counts_once() {
    let mut f = Federation::furnished();
    let mut entry =
        f.entry(user_of("sapporo"), &[], Command::Batch(vec![submit("a"), submit("b")]));
    let Command::Batch(items) = &mut entry.command else { panic!("a batch") };
    items[1] = submit("c");
    assert_eq!(code(&f.apply(entry.clone())), Some(ErrorCode::SignatureInvalid));
    entry.signatures.clear();
    entry.request.0[15] ^= 1;
    let applied = f.apply(entry);
    assert_eq!((code(&applied), item(&applied)), (Some(ErrorCode::SignaturesMissing), Some(0)));
    let batch = f.entry(user_of("sapporo"), &[], Command::Batch(vec![submit("a")]));
    let first = f.apply(batch.clone());
    let again = f.apply(batch);
    assert_eq!(first.outcome, Ok(Reply::Done));
    assert_eq!((again.outcome, again.first, again.leaves), (Ok(Reply::Done), first.first, vec![]));
}

#[test]
fn payloads_are_those_of_the_jobs_one_behind_the_other() {
    let mut f = Federation::furnished();
    let mut facts = job("longer", 1, 1, &[]);
    (facts.payload, facts.payload_len) = (Digest::of(b"another"), 7);
    let longer = Item::SubmitJob { facts: Box::new(facts) };
    let batch = Command::Batch(vec![submit("a"), longer, submit("b")]);
    for payload in [&b"trueanothertru"[..], b"truetrueanother", b"", b"trueanothertrue!"] {
        let mut entry = f.entry(user_of("sapporo"), &[], batch.clone());
        entry.payload = payload.to_vec();
        let before = tables(&f);
        let applied = f.apply(entry);
        assert_eq!((code(&applied), item(&applied)), (Some(ErrorCode::PayloadMismatch), None));
        assert_eq!(tables(&f), before);
    }
    let mut f = Federation::furnished();
    let mut entry = f.entry(user_of("sapporo"), &[], batch);
    entry.payload = b"trueanothertrue".to_vec();
    assert_eq!(f.apply(entry).outcome, Ok(Reply::Done));
    // An auditor's records leave payloads out.
    let mut replayed = State::default();
    for (revision, entry) in &f.log {
        replayed.replay(*revision, entry.facts().as_ref());
    }
    assert_eq!(replayed.digest(), f.state.digest());
}
