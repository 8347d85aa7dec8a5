//! What a member keeps beside the log.

use super::answers::AT;
use sekisho_evidence::countersign::Seen;
use sekisho_evidence::journal::{Denial, Entry, Peer, Summed};
use sekisho_evidence::merkle::Head;
use sekisho_fsm::testing::{cluster, key};
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;

pub(super) fn denials() -> v1::ListDenialsResponse {
    let denied = Denial {
        at: Timestamp(AT),
        peer: Peer::Principal(sekisho_fsm::testing::user("naniwa", "otaru")),
        method: "/sekisho.v1.JobService/GetJob".into(),
        target: "tenants/sapporo/jobs/train".into(),
        code: ErrorCode::NotFound,
        request: None,
    };
    let many = Summed {
        from: Timestamp(AT),
        to: Timestamp(AT).plus_ms(60_000),
        peer: Some(Peer::Address("203.0.113.9".into())),
        count: 4_711,
    };
    let entries = [Entry::Denied(denied), Entry::Summed(many)];
    v1::ListDenialsResponse {
        member: 2,
        start: 7,
        before: vec![7; 32].into(),
        entries: entries.iter().map(|entry| entry.bytes().unwrap().into()).collect(),
        count: 9,
        first: 0,
    }
}

pub(super) fn forks() -> v1::ListForksResponse {
    let seen = Seen {
        cluster: cluster(),
        incarnation: Incarnation(1),
        node: "tokyo-1/n-01".parse().unwrap(),
        head: Head { size: 90, root: Digest([9; 32]) },
        revision: Revision(120),
    };
    let word = seen.sign(&key("receipt", "tokyo-1/n-01")).unwrap();
    v1::ListForksResponse {
        member: 2,
        forks: Vec::new(),
        countersignatures: vec![v1::ContradictedCountersignature {
            node: "sites/tokyo-1/nodes/n-01".into(),
            countersignature: word.bytes().unwrap().into(),
            size: 100,
            root: vec![1; 32].into(),
            revision: 130,
        }],
    }
}
