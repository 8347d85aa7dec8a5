//! Test-only: what is under way in the federation of the golden files, and who takes part in it: approvals, break-glasses,
//! operations, companies.

use super::answers::AT;
use super::server::Answers;
use sekisho_evidence::canonical::encode;
use sekisho_fsm::command::Command;
use sekisho_proto::google::longrunning::{ListOperationsResponse, Operation};
use sekisho_proto::operation::pack;
use sekisho_proto::v1;
use sekisho_proto::v1::approval::State;
use sekisho_proto::v1::operation_metadata::Kind;
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

const HOUR_MS: u64 = 3_600_000;

/// As an honest member shows it: what is signed is what is shown.
fn approval(id: &str, gpus: u64, state: State) -> v1::Approval {
    let joint = Joint::SetQuota {
        tenant: "sapporo".parse().unwrap(),
        class: "nvidia-h200".parse().unwrap(),
        area: Area::Japan,
        allotment: Allotment::own(Limit::Gpus(gpus)),
        expected: Revision(18),
    };
    let expires_ms = AT + 24 * HOUR_MS;
    let change = Some((&joint).into());
    let proposal = Command::Propose { joint: Box::new(joint), expires: Timestamp(expires_ms) };
    v1::Approval {
        name: format!("approvals/{id}"),
        proposer: "hokuto/user/admin".into(),
        change,
        proposal: encode(&proposal).unwrap().into(),
        signed_by: vec!["hokuto/user/admin".into()],
        signatures_missing: u32::from(state == State::Pending),
        state: state.into(),
        proposed_ms: AT,
        expires_ms,
        etag: "22".into(),
        ..Default::default()
    }
}

fn break_glass(number: u64, open: bool) -> v1::BreakGlass {
    v1::BreakGlass {
        name: format!("breakGlasses/{number}"),
        by: "naniwa/user/admin".into(),
        reason: "a miner at ishikari-1/n-01".into(),
        since_ms: AT,
        until_ms: AT + HOUR_MS,
        open,
        ended_by: if open { String::new() } else { "kanto/user/admin".into() },
        ended_ms: (!open).then_some(AT + HOUR_MS / 2),
        uses: 2,
        revisions: vec![number + 1, number + 2],
        etag: number.to_string(),
    }
}

fn operation(id: &str, told: &v1::OperationMetadata) -> Operation {
    Operation {
        name: format!("operations/{id}"),
        metadata: Some(pack(told)),
        done: false,
        result: None,
    }
}

fn operations() -> Vec<Operation> {
    let drain = v1::OperationMetadata {
        kind: Kind::Drain.into(),
        target: "sites/ishikari-1/nodes/n-01".into(),
        revision: 4711,
        since_ms: AT,
        deadline_ms: Some(AT + HOUR_MS),
        left: 4,
        stopping: 1,
        ..Default::default()
    };
    let joins = v1::OperationMetadata {
        kind: Kind::Membership.into(),
        target: "members/4".into(),
        revision: 4700,
        since_ms: AT,
        waits_for: "812 entries behind".into(),
        ..Default::default()
    };
    vec![operation("drain.ishikari-1.n-01.4711", &drain), operation("membership.4.voter", &joins)]
}

/// Adds what is under way.
pub(super) fn pending(answers: Answers) -> Answers {
    let approvals = vec![
        approval(&"07".repeat(16), 128, State::Pending),
        approval(&"08".repeat(16), 64, State::Done),
    ];
    let operator = v1::Operator {
        name: "operators/kanto".into(),
        trust_domain: "kanto.example".into(),
        members: vec!["members/1".into()],
        sites: vec!["sites/tokyo-1".into()],
        root_sha256: vec!["0a".repeat(32), "0b".repeat(32)],
        issuer_sha256: vec!["0c".repeat(32)],
        site_tag_sha256: vec!["0d".repeat(32)],
        rotating: true,
        k: 2,
        bundle_version: 3,
    };
    let operations = operations();
    answers
        .with("ApprovalService/GetApproval", &approvals[0])
        .with(
            "ApprovalService/ListApprovals",
            &v1::ListApprovalsResponse { approvals, revision: 4711, ..Default::default() },
        )
        .with(
            "BreakGlassService/ListBreakGlasses",
            &v1::ListBreakGlassesResponse {
                break_glasses: vec![break_glass(4713, true), break_glass(4100, false)],
                revision: 4720,
                ..Default::default()
            },
        )
        .with("BreakGlassService/GetBreakGlass", &break_glass(4713, true))
        .with("OperatorService/GetOperator", &operator)
        .with("/google.longrunning.Operations/GetOperation", &operations[0])
        .with(
            "/google.longrunning.Operations/ListOperations",
            &ListOperationsResponse { operations, ..Default::default() },
        )
}
