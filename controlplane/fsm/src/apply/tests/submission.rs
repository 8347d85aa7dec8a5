//! What a submitter signed goes with the job: into the table of payloads, and by its digest into every grant.
//!
//! Must hold: A3, D4. What an agent makes of it is tested in `evidence` and `agent-core`.

use super::*;
use crate::outcome::PayloadEffect;
use crate::role::{Target, Verb, allows};
use crate::state::State;
use crate::testing::PAYLOAD;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::submission::{Submission, may_submit, reseal_command, submit_command};
use sekisho_types::principal::Role;

fn put(applied: &Applied) -> Vec<(Digest, Vec<u8>)> {
    let bytes = |effect: &PayloadEffect| match effect {
        PayloadEffect::Put(digest, bytes) => Some((*digest, bytes.clone())),
        PayloadEffect::Drop(_) => None,
    };
    applied.payloads.iter().filter_map(bytes).collect()
}

#[test]
fn the_bytes_that_agents_verify_are_those_of_the_command() {
    let facts = job("named", 2, 3, &["JP-01"]);
    let command = Command::SubmitJob { facts: Box::new(facts.clone()) };
    assert_eq!(submit_command(&facts), encode(&command));
    let anew = Command::ResealJob { facts: Box::new(facts.clone()) };
    assert_eq!(reseal_command(&facts), encode(&anew));
}

#[test]
fn agents_and_the_table_of_roles_agree_on_who_submits() {
    let (own, other) = ("sapporo".parse().unwrap(), "osaka".parse().unwrap());
    let roles = [
        Role::FederationAdmin,
        Role::OperatorAdmin,
        Role::TenantAdmin("sapporo".parse().unwrap()),
        Role::TenantUser("sapporo".parse().unwrap()),
        Role::Auditor,
        Role::Monitor,
        Role::Archivist("tokyo-1".parse().unwrap()),
        Role::Agent,
        Role::Member,
    ];
    let operator = "kanto".parse().unwrap();
    for role in roles {
        for tenant in [&own, &other] {
            let allowed = allows(&role, &operator, Verb::SubmitJob, Target::Tenant(tenant));
            assert_eq!(allowed, may_submit(&role, tenant), "{role} for {tenant}");
        }
    }
}

#[test]
fn a_grant_names_a_submission_that_stands_behind_it_until_the_job_ends() {
    let mut f = Federation::furnished();
    let id = f.submit(job("gang", 2, 2, &["JP-01"]));
    let submission = f.state.job(&id).unwrap().submission;
    let kept = put(f.applied.last().unwrap());
    let digests: BTreeSet<Digest> = kept.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(digests, BTreeSet::from([submission, Digest::of(PAYLOAD)]));
    assert!(kept.iter().all(|(digest, bytes)| Digest::of(bytes) == *digest));
    let bytes = &kept.iter().find(|(digest, _)| *digest == submission).unwrap().1;
    let read = Submission::parse(bytes).unwrap();
    assert_eq!(read.submitted_at, f.state.job(&id).unwrap().submitted_at);
    f.place(&id, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    let bundle = f.state.federation().unwrap().bundle.clone();
    for placement in f.placements(&id) {
        let grant = &f.state.placement(&placement).unwrap().grant;
        assert_eq!(read.check(&bundle, grant), Ok(()));
    }
    all(&mut f, &id, &Phase::Ended(Ending::StartFailed("drill".into())));
    assert!(f.state.refers_to_payload(&submission), "it waits for another place");
    // A second job with the same payload has a submission of its own.
    let other = f.submit(job("other", 1, 1, &[]));
    assert_eq!(put(f.applied.last().unwrap()).len(), 1);
    let cancelled = f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id });
    assert_eq!(cancelled.payloads, [PayloadEffect::Drop(submission)]);
    let last = f.state.job(&other).unwrap().submission;
    let cancelled = f.accept(user("kanto", "sapporo"), Command::CancelJob { job: other });
    let dropped = [last, Digest::of(PAYLOAD)].map(PayloadEffect::Drop);
    assert!(dropped.iter().all(|effect| cancelled.payloads.contains(effect)));
    assert_eq!(f.state.payloads.len(), 0);
}

#[test]
fn named_policies_and_the_tenants_bind_a_grant_as_its_submitter_signed() {
    let mut f = Federation::furnished();
    let policy = f.policy("anywhere", Rules::default());
    let mut facts = job("bound", 1, 1, &["JP-13"]);
    facts.policy = Some(policy);
    let id = f.submit(facts);
    let bytes = put(f.applied.last().unwrap());
    let submission = f.state.job(&id).unwrap().submission;
    let (_, bytes) = bytes.iter().find(|(digest, _)| *digest == submission).unwrap();
    f.place(&id, &["tokyo-1/n-01"]);
    let grant = &f.state.placement(&f.placements(&id)[0]).unwrap().grant;
    let bundle = &f.state.federation().unwrap().bundle;
    assert_eq!(Submission::parse(bytes).unwrap().check(bundle, grant), Ok(()));
}

#[test]
fn an_auditor_derives_the_same_submission_without_the_payload() {
    let mut f = Federation::furnished();
    let id = f.submit(job("seen", 1, 1, &["JP-13"]));
    f.place(&id, &["tokyo-1/n-01"]);
    let mut replayed = State::default();
    for (revision, entry) in &f.log {
        replayed.replay(*revision, entry.facts().as_ref());
    }
    assert_eq!(replayed.digest(), f.state.digest());
    assert_eq!(replayed.job(&id).unwrap().submission, f.state.job(&id).unwrap().submission);
}

#[test]
fn nobody_submits_with_a_key_that_no_issuer_signed() {
    let mut f = Federation::furnished();
    let principal = user("kanto", "sapporo");
    let key = (principal.clone(), user_key(&principal).public());
    // As if it had come with the genesis.
    let issuer = f.state.keys.update(&key, |row| row.voucher.take()).unwrap();
    let submit = || Command::SubmitJob { facts: Box::new(job("lost", 1, 1, &[])) };
    refused(&mut f, principal.clone(), submit(), ErrorCode::KeyUnknown);
    let detail = f.applied.last().unwrap().outcome.clone().unwrap_err().detail;
    assert!(detail.contains("vouches"), "{detail}");
    f.state.keys.update(&key, |row| row.voucher = issuer);
    f.accept(principal, submit());
}

#[test]
fn the_actors_own_signature_goes_with_the_job_not_a_cosigners() {
    let mut f = Federation::furnished();
    let colleague = user("naniwa", "colleague");
    let record = sekisho_types::principal::KeyRecord {
        principal: colleague.clone(),
        role: Role::TenantAdmin("sapporo".parse().unwrap()),
        public_key: user_key(&colleague).public(),
        expires: f.now.plus_ms(1000),
    };
    f.register(record);
    let facts = Box::new(job("both", 1, 1, &[]));
    let mut entry = f.entry(user("kanto", "sapporo"), &[colleague], Command::SubmitJob { facts });
    entry.signatures.reverse();
    let applied = f.apply(entry);
    assert_eq!(applied.outcome, Ok(Reply::Done));
    let submissions: Vec<_> =
        put(&applied).iter().filter_map(|(_, bytes)| Submission::parse(bytes).ok()).collect();
    let [submission] = &submissions[..] else { panic!("{submissions:?}") };
    assert_eq!(submission.signature.principal, user("kanto", "sapporo"));
    assert_eq!(submission.key.principal, user("kanto", "sapporo"));
}
