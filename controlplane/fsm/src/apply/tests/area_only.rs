//! Payloads that stay in their job's area.
//!
//! Must hold: no entry carries one; somebody may keep it, or the job is refused; it is of one job; what nobody has is not
//! placed until somebody says that he has it, or it is sealed anew.

use super::*;
use crate::image::{Image, ImageError};
use crate::outcome::PayloadEffect;
use crate::state::State;
use crate::testing::sealed::{area_only, sealed};
use sekisho_types::id::JobId;
use sekisho_types::job::JobFacts;

const TEXT: &[u8] = b"python train.py --token himitsu";

fn with_keys() -> Federation {
    let mut f = Federation::furnished();
    for site in ["tokyo-1", "ishikari-1", "sakai-1"] {
        f.give_site_key(site, 1);
    }
    f
}

fn submit(facts: &JobFacts) -> Command {
    Command::SubmitJob { facts: Box::new(facts.clone()) }
}

fn north(name: &str) -> (JobFacts, Vec<u8>) {
    area_only(job(name, 1, 1, &["JP-01"]), TEXT, &[("ishikari-1", 1)])
}

/// Submits without the bytes, as it has to be.
fn queue(f: &mut Federation, facts: &JobFacts) -> Applied {
    let applied = f.run_with(submit(facts), Vec::new());
    assert_eq!(code(&applied), None, "{:?}", applied.outcome);
    assert_eq!(invariant::check(&f.state), Ok(()));
    applied
}

fn keepers(f: &Federation, facts: &JobFacts) -> Vec<u64> {
    f.state.keepers(facts).iter().map(|member| member.member.0).collect()
}

/// A host says that it found it nowhere.
fn nowhere(f: &mut Federation, id: &JobId) {
    let placement = f.placements(id)[0];
    f.refuse(placement, ErrorCode::PayloadNotHere);
}

#[test]
fn the_bytes_are_in_no_entry_no_table_and_no_image() {
    let mut f = with_keys();
    let (facts, bytes) = north("train");
    let before = tables(&f);
    let carried = f.run_with(submit(&facts), bytes.clone());
    assert_eq!(code(&carried), Some(ErrorCode::PayloadMismatch));
    assert_eq!(tables(&f), before);
    let applied = queue(&mut f, &facts);
    let put = |effect: &PayloadEffect| match effect {
        PayloadEffect::Put(digest, bytes) => Some((*digest, bytes.clone())),
        PayloadEffect::Drop(_) => None,
    };
    let kept: Vec<_> = applied.payloads.iter().filter_map(put).collect();
    let submission = f.state.job(&facts.id).unwrap().submission;
    assert_eq!(kept.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [submission]);
    let image = Image::decode(&Image::encode(&f.state, &kept).unwrap()).unwrap();
    assert_eq!(image.lacks(), None);
    assert_eq!(image.state.area_only(&facts.payload), Some(&facts));
    let with = [(facts.payload, bytes)];
    let strange = Image::decode(&Image::encode(&f.state, &with).unwrap()).unwrap_err();
    assert_eq!(strange, ImageError::Payload(facts.payload));
    // When the job is over, nothing of it is left, and nothing has to be taken from a table.
    let cancel = Command::CancelJob { job: facts.id.clone() };
    let over = f.accept(user("kanto", "sapporo"), cancel);
    assert_eq!(over.payloads, [PayloadEffect::Drop(submission)]);
    assert!(!f.state.refers_to_payload(&facts.payload));
    assert_eq!((f.state.area_only(&facts.payload), invariant::check(&f.state)), (None, Ok(())));
}

#[test]
fn an_auditor_comes_to_the_same_state() {
    let mut f = with_keys();
    let (facts, _) = north("train");
    queue(&mut f, &facts);
    f.submit(job("plain", 1, 1, &[]));
    let mut replayed = State::default();
    for (revision, entry) in &f.log {
        replayed.replay(*revision, &entry.facts());
    }
    assert_eq!(f.state.differs(&replayed), None);
    assert_eq!(f.state.digest(), replayed.digest());
}

#[test]
fn somebody_may_keep_it_or_it_is_refused() {
    let mut f = with_keys();
    let mut refuse = |(facts, _): (JobFacts, Vec<u8>), expected| {
        let before = tables(&f);
        let refused = f.run_with(submit(&facts), Vec::new());
        assert_eq!(code(&refused), Some(expected), "{:?}", refused.outcome);
        assert_eq!(tables(&f), before);
    };
    // Sealed to a site elsewhere than the member of the area stands.
    let elsewhere = area_only(job("a", 1, 1, &["JP-01"]), TEXT, &[("tokyo-1", 1)]);
    refuse(elsewhere, ErrorCode::PayloadOutside);
    let nobody = area_only(job("b", 1, 1, &["JP-47"]), TEXT, &[("tokyo-1", 1)]);
    refuse(nobody, ErrorCode::PayloadOutside);
    let mut other = job("c", 1, 1, &[]);
    other.residency.denied_operators = ["hokuto".parse().unwrap()].into();
    refuse(area_only(other, TEXT, &[("ishikari-1", 1)]), ErrorCode::PayloadOutside);
    let mut open = job("d", 1, 1, &["JP-01"]);
    open.area_only = true;
    refuse((open, Vec::new()), ErrorCode::InvalidArgument);
    let (both, _) = area_only(
        job("e", 1, 1, &["JP-01", "JP-27"]),
        TEXT,
        &[("ishikari-1", 1), ("sakai-1", 1), ("tokyo-1", 1)],
    );
    assert_eq!(keepers(&f, &both), [1, 3]);
    queue(&mut f, &both);
}

#[test]
fn who_may_keep_it_follows_the_rules_in_force_and_never_the_submitters_word_alone() {
    let mut f = with_keys();
    let (facts, _) = area_only(job("train", 1, 1, &[]), TEXT, &[("ishikari-1", 1), ("tokyo-1", 1)]);
    queue(&mut f, &facts);
    assert_eq!(keepers(&f, &facts), [1, 2], "not sealed to Sakai");
    let policy: sekisho_types::id::PolicyId = "north".parse().unwrap();
    let rules = Rules { areas: [Area::resolve("JP-01").unwrap()].into(), ..Rules::default() };
    let put = Command::PutPolicy { policy: policy.clone(), rules, expected: None };
    f.accept(admin("kanto"), put);
    let tenant = "sapporo".parse().unwrap();
    let expected = f.state.tenant(&tenant).map(|row| row.revision);
    let bound = Command::PutTenant {
        tenant,
        display_name: Patch::Keep,
        policy: Patch::Set(Some(policy)),
        parent: Patch::Keep,
        expected,
    };
    f.accept(admin("kanto"), bound);
    assert_eq!(keepers(&f, &facts), [1]);
    f.accept(admin("hokuto"), Command::RevokeSite { site: "ishikari-1".parse().unwrap() });
    assert_eq!(keepers(&f, &facts), [0; 0]);
}

#[test]
fn it_is_of_one_job() {
    let mut f = with_keys();
    let (facts, bytes) = north("train");
    queue(&mut f, &facts);
    let again = JobFacts { id: job("twin", 1, 1, &[]).id, ..facts.clone() };
    let refused = f.run_with(submit(&again), Vec::new());
    assert_eq!(code(&refused), Some(ErrorCode::AlreadyExists));
    let open = JobFacts { area_only: false, ..again };
    let refused = f.run_with(submit(&open), bytes.clone());
    assert_eq!(code(&refused), Some(ErrorCode::AlreadyExists));
    // The other way round as well.
    let mut f = with_keys();
    assert_eq!(code(&f.run_with(submit(&open), bytes)), None);
    let refused = f.run_with(submit(&facts), Vec::new());
    assert_eq!(code(&refused), Some(ErrorCode::AlreadyExists));
}

#[test]
fn a_batch_carries_the_others_alone() {
    let mut f = with_keys();
    let (apart, _) = north("apart");
    let (along, bytes) = sealed(job("along", 1, 1, &["JP-01"]), TEXT, &[("ishikari-1", 1)]);
    let items = [&along, &apart, &job("plain", 1, 1, &[])]
        .map(|facts| crate::command::Item::SubmitJob { facts: Box::new(facts.clone()) });
    let content = [&bytes[..], crate::testing::PAYLOAD].concat();
    let done = f.run_with(Command::Batch(items.into()), content);
    assert_eq!(code(&done), None, "{:?}", done.outcome);
    assert!(f.state.area_only(&apart.payload).is_some());
    assert!(f.state.area_only(&along.payload).is_none());
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn what_nobody_has_waits_until_somebody_says_that_he_has_it() {
    let mut f = with_keys();
    let (facts, _) = north("train");
    queue(&mut f, &facts);
    f.place(&facts.id, &["ishikari-1/n-01"]);
    nowhere(&mut f, &facts.id);
    let row = f.state.job(&facts.id).unwrap();
    assert_eq!((row.phase, row.avoid.len()), (JobPhase::Queued, 0), "no fault of the host");
    assert!(row.message.contains("PAYLOAD_NOT_HERE"), "{}", row.message);
    assert!(f.state.is_missing(&facts.payload));
    let place = |f: &mut Federation| {
        let placed = f.place(&facts.id, &["ishikari-1/n-01"]);
        let Ok(Reply::Placed { rejected, .. }) = placed.outcome else { panic!("{placed:?}") };
        rejected.first().map(|(_, code)| *code)
    };
    assert_eq!(place(&mut f), Some(ErrorCode::PayloadNotHere));
    let found = Command::FoundPayload(facts.payload);
    refused(&mut f, member("kanto"), found.clone(), ErrorCode::PermissionDenied);
    refused(&mut f, admin("hokuto"), found.clone(), ErrorCode::PermissionDenied);
    f.accept(member("hokuto"), found.clone());
    // Said twice, it changes nothing.
    f.accept(member("kanto"), found);
    assert_eq!(place(&mut f), None);
}

#[test]
fn what_nobody_has_is_sealed_anew() {
    let mut f = with_keys();
    let (facts, _) = north("train");
    queue(&mut f, &facts);
    f.place(&facts.id, &["ishikari-1/n-01"]);
    nowhere(&mut f, &facts.id);
    let (anew, bytes) =
        area_only(job("train", 1, 1, &["JP-01"]), b"the same", &[("ishikari-1", 1)]);
    let reseal = |facts: &JobFacts| Command::ResealJob { facts: Box::new(facts.clone()) };
    let open = JobFacts { area_only: false, ..anew.clone() };
    let refused = f.run_with(reseal(&open), bytes);
    assert_eq!(code(&refused), Some(ErrorCode::InvalidArgument), "it stays in its area");
    assert_eq!(code(&f.run_with(reseal(&anew), Vec::new())), None);
    assert!(!f.state.is_missing(&anew.payload) && f.state.area_only(&facts.payload).is_none());
    assert_eq!(invariant::check(&f.state), Ok(()));
    f.place(&facts.id, &["ishikari-1/n-01"]);
    assert_eq!(f.placements(&facts.id).len(), 1);
}
