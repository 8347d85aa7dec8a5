//! What is shown is what is signed, whole, or nothing is shown.

use super::*;
use sekisho_types::quota::Limit;

fn joint(gpus: u32) -> Joint {
    Joint::SetQuota {
        tenant: "sapporo".parse().unwrap(),
        class: "sim-h100".parse().unwrap(),
        limit: Limit::parse(&gpus.to_string()).unwrap(),
        expected: sekisho_types::revision::Revision(7),
    }
}

/// As an honest member shows it.
fn shown(gpus: u32) -> v1::Approval {
    let expires = Timestamp(1_795_305_600_000);
    let proposal = Command::Propose { joint: Box::new(joint(gpus)), expires };
    v1::Approval {
        name: ApprovalId([7; 16]).name(),
        proposer: "kanto/user/admin".into(),
        change: Some((&joint(gpus)).into()),
        proposal: encode(&proposal).unwrap().into(),
        signed_by: vec!["kanto/user/admin".into()],
        signatures_missing: 1,
        state: State::Pending.into(),
        expires_ms: expires.0,
        ..v1::Approval::default()
    }
}

#[test]
fn what_is_signed_is_what_is_shown() {
    let honest = shown(8);
    let read = Read::of(&honest).unwrap();
    assert_eq!((read.id, &read.joint), (ApprovalId([7; 16]), &joint(8)));
    let command =
        Command::Propose { joint: Box::new(joint(8)), expires: Timestamp(honest.expires_ms) };
    assert_eq!(read.digest, command.digest().unwrap());
    let view = ApprovalView::of(honest.clone()).unwrap();
    assert_eq!(view.change, "set quota of sapporo for sim-h100 to 8");
    // A member that shows less than it would have signed, another end, or nothing.
    for lie in [
        v1::Approval { proposal: shown(800).proposal, ..honest.clone() },
        v1::Approval { change: shown(1).change, ..honest.clone() },
        v1::Approval { expires_ms: honest.expires_ms + 1, ..honest.clone() },
        v1::Approval { change: None, ..honest.clone() },
        v1::Approval { name: "approvals/x".into(), ..honest },
    ] {
        let refused = ApprovalView::of(lie).unwrap_err();
        assert_eq!(refused.code, ErrorCode::SignatureInvalid, "{refused:?}");
        assert!(refused.remedy.is_some());
    }
}

#[test]
fn a_change_of_an_unknown_kind_is_listed_and_never_signed() {
    let newer = v1::Approval { change: Some(v1::approval::Change::default()), ..shown(8) };
    let view = ApprovalView::listed(newer.clone()).unwrap();
    assert_eq!((view.digest.as_str(), view.state), ("-", "pending"));
    assert!(view.change.contains("does not know"), "{}", view.change);
    assert!(Read::of(&newer).is_err());
    // One that is known and shown falsely is still refused.
    ApprovalView::listed(v1::Approval { proposal: shown(800).proposal, ..shown(8) }).unwrap_err();
}

#[test]
fn rules_are_told_whole() {
    let rules = sekisho_types::residency::Rules::default();
    let policy = "gov".parse().unwrap();
    let (change, details) = words::of(&Joint::PutPolicy { policy, rules, expected: None });
    assert_eq!(change, "create policy gov");
    assert_eq!(details.len(), 7, "{details:?}");
    assert!(details.iter().any(|line| line == "operators any"), "{details:?}");
}
