//! Sites' keys, and what is sealed to them.
//!
//! Must hold: a site's key is its operator's word; what is sealed is placed where it can be read; what takes a host out makes
//! its site's key outdated.

use super::*;
use crate::testing::sealed::{sealed, site_key, site_key_record};
use crate::testing::{key, payload_of};
use sekisho_types::job::JobFacts;
use sekisho_types::revision::KeyEpoch;

const TEXT: &[u8] = b"python train.py --token himitsu";

fn with_keys() -> Federation {
    let mut f = Federation::furnished();
    for site in ["tokyo-1", "ishikari-1"] {
        f.give_site_key(site, 1);
    }
    f
}

fn submit(facts: &JobFacts) -> Command {
    Command::SubmitJob { facts: Box::new(facts.clone()) }
}

#[test]
fn a_sites_key_is_its_operators_word_one_after_the_other() {
    let mut f = Federation::furnished();
    let put = |key| Command::PutSiteKey(Box::new(key));
    let tokyo = || site_key("tokyo-1", 1);
    refused(&mut f, member("hokuto"), put(tokyo()), ErrorCode::PermissionDenied);
    refused(&mut f, admin("kanto"), put(tokyo()), ErrorCode::PermissionDenied);
    let by_issuer = site_key_record("tokyo-1", 1).sign(&key("issuer", "kanto")).unwrap();
    refused(&mut f, member("kanto"), put(by_issuer), ErrorCode::SignatureInvalid);
    let mut moved = site_key_record("tokyo-1", 1);
    moved.area = Area::resolve("271403").unwrap();
    let moved = moved.sign(&key("site-tag", "kanto")).unwrap();
    refused(&mut f, member("kanto"), put(moved), ErrorCode::TagInvalid);
    let mut seized = site_key_record("sakai-1", 1);
    seized.operator = "kanto".parse().unwrap();
    let seized = seized.sign(&key("site-tag", "kanto")).unwrap();
    refused(&mut f, member("kanto"), put(seized), ErrorCode::PermissionDenied);
    refused(&mut f, member("kanto"), put(site_key("tokyo-1", 2)), ErrorCode::AlreadyExists);
    f.accept(member("kanto"), put(tokyo()));
    // Twice, and an old one after a new one: what was in use stays.
    refused(&mut f, member("kanto"), put(tokyo()), ErrorCode::AlreadyExists);
    f.give_site_key("tokyo-1", 2);
    refused(&mut f, member("kanto"), put(tokyo()), ErrorCode::AlreadyExists);
    assert_eq!(f.key_epoch("tokyo-1"), 2);
    for epoch in 3..=30 {
        f.give_site_key("tokyo-1", epoch);
    }
    let keys = f.state.site_keys(&"tokyo-1".parse().unwrap()).unwrap();
    let held: Vec<u32> = keys.keys().map(|key| key.epoch.0).collect();
    assert_eq!(held, (14..=30).collect::<Vec<_>>());
    assert!(keys.opens(KeyEpoch(14)) && !keys.opens(KeyEpoch(13)));
    f.accept(admin("kanto"), Command::RevokeSite { site: "tokyo-1".parse().unwrap() });
    refused(&mut f, member("kanto"), put(site_key("tokyo-1", 31)), ErrorCode::NodeRevoked);
}

#[test]
fn what_is_sealed_is_placed_only_where_it_can_be_read() {
    let mut f = with_keys();
    let (facts, bytes) = sealed(job("train", 1, 1, &[]), TEXT, &[("tokyo-1", 1)]);
    assert_eq!(code(&f.run_with(submit(&facts), bytes)), None);
    for node in ["ishikari-1/n-01", "sakai-1/n-01"] {
        let placed = f.place(&facts.id, &[node]);
        let Ok(Reply::Placed { rejected, .. }) = &placed.outcome else { panic!("{placed:?}") };
        assert_eq!(rejected[..], [(facts.id.clone(), ErrorCode::PayloadNotSealed)], "{node}");
    }
    let placed = f.place(&facts.id, &["tokyo-1/n-01"]);
    let Ok(Reply::Placed { granted, .. }) = &placed.outcome else { panic!("{placed:?}") };
    assert_eq!(granted[..], *std::slice::from_ref(&facts.id));
    invariant::check(&f.state).unwrap();
}

#[test]
fn the_facts_say_to_whom_a_payload_is_sealed() {
    let mut f = with_keys();
    let good = sealed(job("train", 1, 1, &[]), TEXT, &[("tokyo-1", 1)]);
    let mut run = |change: fn(&mut JobFacts), bytes: &[u8]| {
        let mut facts = good.0.clone();
        change(&mut facts);
        code(&f.run_with(submit(&facts), bytes.to_vec()))
    };
    let wider: fn(&mut JobFacts) = |facts| {
        facts.sealed_to.insert("ishikari-1".parse().unwrap(), KeyEpoch(1));
    };
    assert_eq!(run(wider, &good.1), Some(ErrorCode::PayloadMismatch));
    let plain: fn(&mut JobFacts) = |facts| {
        facts.payload = Digest::of(TEXT);
        facts.payload_len = TEXT.len().try_into().unwrap();
    };
    assert_eq!(run(plain, TEXT), Some(ErrorCode::PayloadMismatch));
    // Sealed to a key that the site has not, or has no more.
    for to in [("sakai-1", 1), ("tokyo-1", 2)] {
        let (facts, bytes) = sealed(job("train", 1, 1, &[]), TEXT, &[to]);
        let refused = f.run_with(submit(&facts), bytes);
        assert_eq!(code(&refused), Some(ErrorCode::PayloadNotSealed), "{to:?}");
    }
    f.give_site_key("tokyo-1", 2);
    let (facts, bytes) = good;
    assert_eq!(code(&f.run_with(submit(&facts), bytes)), Some(ErrorCode::PayloadNotSealed));
}

#[test]
fn who_submitted_a_queued_job_seals_it_anew_and_changes_nothing_else() {
    let mut f = with_keys();
    let (facts, bytes) = sealed(job("train", 1, 1, &[]), TEXT, &[("tokyo-1", 1)]);
    f.run_with(submit(&facts), bytes);
    let submission = f.state.job(&facts.id).unwrap().submission;
    let both = [("tokyo-1", 1), ("ishikari-1", 1)];
    let (anew, bytes) = sealed(job("train", 1, 1, &[]), TEXT, &both);
    let reseal = |facts: &JobFacts| Command::ResealJob { facts: Box::new(facts.clone()) };
    let refuse = |f: &mut Federation, command: Command, payload: &[u8], expected: ErrorCode| {
        let before = tables(f);
        assert_eq!(code(&f.run_with(command, payload.to_vec())), Some(expected));
        assert_eq!(tables(f), before);
    };
    let urgent = JobFacts { priority: 100, ..anew.clone() };
    refuse(&mut f, reseal(&urgent), &bytes, ErrorCode::InvalidArgument);
    let plain = job("train", 1, 1, &[]);
    let true_ = payload_of(&submit(&plain));
    refuse(&mut f, reseal(&plain), &true_, ErrorCode::InvalidArgument);
    refuse(&mut f, reseal(&anew), TEXT, ErrorCode::PayloadMismatch);
    let mut entry = f.entry(admin("kanto"), &[], reseal(&anew));
    entry.payload.clone_from(&bytes);
    assert_eq!(code(&f.apply(entry)), Some(ErrorCode::PermissionDenied));

    assert_eq!(code(&f.run_with(reseal(&anew), bytes.clone())), None);
    let row = f.state.job(&facts.id).unwrap();
    assert_eq!((&row.facts, row.phase), (&anew, JobPhase::Queued));
    assert_ne!(row.submission, submission);
    assert!(!f.state.refers_to_payload(&facts.payload));
    assert!(f.state.refers_to_payload(&anew.payload));
    invariant::check(&f.state).unwrap();
    f.place(&facts.id, &["ishikari-1/n-01"]);
    let placement = f.placements(&facts.id)[0];
    assert_eq!(f.state.placement(&placement).unwrap().grant.payload, anew.payload);
    refuse(&mut f, reseal(&anew), &bytes, ErrorCode::WrongPhase);
}

#[test]
fn a_host_that_is_taken_out_makes_its_sites_key_outdated() {
    let mut f = with_keys();
    let outdated =
        |f: &Federation, site: &str| f.state.site_keys(&site.parse().unwrap()).unwrap().outdated;
    let (facts, bytes) = sealed(job("train", 1, 1, &[]), TEXT, &[("tokyo-1", 1)]);
    f.run_with(submit(&facts), bytes);
    f.accept(admin("kanto"), Command::RevokeNode { node: "tokyo-1/n-02".parse().unwrap() });
    assert!(outdated(&f, "tokyo-1") && !outdated(&f, "ishikari-1"));
    f.give_site_key("tokyo-1", 2);
    assert!(!outdated(&f, "tokyo-1"));
    // Taken away after it was revoked, it takes no second key out of use.
    f.accept(admin("kanto"), Command::DecommissionNode { node: "tokyo-1/n-02".parse().unwrap() });
    assert!(!outdated(&f, "tokyo-1"));
    // What was sealed before opens at the hosts that are left.
    let placed = f.place(&facts.id, &["tokyo-1/n-01"]);
    let Ok(Reply::Placed { granted, .. }) = &placed.outcome else { panic!("{placed:?}") };
    assert_eq!(granted.len(), 1);
}
