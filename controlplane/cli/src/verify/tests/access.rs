//! Approvals and break-glasses in a log: judged like the commands by themselves, listed, and found out where they lie.

use super::*;
use sekisho_types::id::ApprovalId;
use sekisho_types::joint::Joint;

pub(super) fn propose(f: &mut Federation, joint: Joint) -> ApprovalId {
    let expires = f.state.clock().plus_ms(3_600_000);
    let command = Command::Propose { joint: Box::new(joint), expires };
    let entry = f.entry(admin("kanto"), &[], command);
    let id = ApprovalId(entry.request.0);
    f.apply(entry).outcome.unwrap();
    id
}

pub(super) fn sign(f: &mut Federation, id: ApprovalId) {
    let by = admin("naniwa");
    let approval = f.state.approval(&id).unwrap();
    let intention = f.state.approval_intention(&id, approval).unwrap();
    let signature = intention.sign(by.clone(), &sekisho_fsm::testing::user_key(&by));
    f.accept(by, Command::SignApproval { id, signature });
}

fn policy(name: &str, areas: &[&str]) -> Joint {
    Joint::PutPolicy { policy: name.parse().unwrap(), rules: rules(areas), expected: None }
}

/// A policy by approval, under which a job is placed; one that failed, one that was refused; and a job that an administrator of
/// another company stopped in an emergency.
pub(super) fn two_and_alone(f: &mut Federation) {
    let id = propose(f, policy("tokyo", &["JP-13"]));
    sign(f, id);
    let fails = propose(f, policy("twice", &[]));
    f.policy("twice", rules(&[]));
    sign(f, fails);
    let refused = propose(f, policy("never", &[]));
    f.accept(admin("hokuto"), Command::RefuseApproval { id: refused, reason: "no".into() });
    let mut facts = job("miner", 1, 1, &[]);
    facts.policy = Some("tokyo".parse().unwrap());
    let miner = f.submit(facts);
    let until = f.state.clock().plus_ms(600_000);
    let reason = "a miner".to_owned();
    f.accept(admin("naniwa"), Command::BreakGlass { reason, until });
    let opened = f.state.revision();
    f.accept(admin("naniwa"), Command::CancelJob { job: miner });
    f.accept(admin("naniwa"), Command::EndBreakGlass { opened });
}

#[test]
fn every_break_glass_is_told_with_who_why_when_and_what() {
    let report = verify(&signed(&records(&eventful()), &[1, 2]), None);
    let [glass] = &report.subject.break_glasses[..] else { panic!("one") };
    assert_eq!((glass.by.as_str(), glass.reason.as_str()), ("naniwa/user/admin", "a miner"));
    assert!(glass.ended.is_some());
    let done: Vec<&str> = glass.uses.iter().map(|one| one.command.as_str()).collect();
    assert_eq!(done, ["CancelJob"]);
    for (language, words) in [(Language::En, "break-glass"), (Language::Ja, "緊急権限")] {
        let lines = report.lines(language, 80).join("\n");
        assert!(lines.contains(words) && lines.contains("CancelJob"), "{lines}");
    }
}

/// The entry of an accepted command, changed.
fn entries(change: impl Fn(&mut Entry)) -> Report {
    forged(|record| {
        let Body::Entry { entry, rejected: None } = &mut record.body else { return };
        let mut read: Entry = decode(entry).unwrap();
        change(&mut read);
        *entry = encode(&read).unwrap();
    })
}

#[test]
fn what_was_not_signed_by_two_or_in_time_or_by_the_holder_is_found() {
    let own = entries(|entry| {
        if matches!(entry.command, Command::SignApproval { .. }) {
            entry.actor = admin("kanto");
        }
    });
    assert!(findings(&own, Step::Access).contains("has 1 operator(s) of 2"), "{own:#?}");
    let late = entries(|entry| {
        if let Command::Propose { expires, .. } = &mut entry.command {
            expires.0 = 1;
        }
    });
    assert!(findings(&late, Step::Access).contains("was over"), "{late:#?}");
    let other = entries(|entry| {
        if matches!(entry.command, Command::BreakGlass { .. }) {
            entry.actor = admin("hokuto");
        }
    });
    assert!(findings(&other, Step::Access).contains("was not open"), "{other:#?}");
    for report in [own, late, other] {
        assert_eq!(verdict(&report, Step::Replay), Verdict::Failed);
    }
    // Told as failed, the policy is none: the replay knows better.
    let failed = forged(|record| {
        if let Body::Approval { failed, .. } = &mut record.body {
            *failed = Some(ErrorCode::NotFound);
        }
    });
    assert_eq!(verdict(&failed, Step::Replay), Verdict::Failed);
}
