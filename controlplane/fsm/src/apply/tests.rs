//! One behaviour each: what a command does, and that its refusal changes nothing.

mod adopt;
mod ahead;
mod approval;
mod area_only;
mod batch;
mod beacon;
mod break_glass;
mod budget;
mod calls;
mod countersign;
mod delete;
mod drain;
mod escrow;
mod event;
mod eviction;
mod fix;
mod held;
mod incarnation;
mod job;
mod journal;
mod key;
mod lease;
mod login;
mod member;
mod node;
mod offer;
mod operator;
mod power;
mod preemption;
mod quarantine;
mod quota;
mod range;
mod reservation;
mod sharing;
mod site_key;
mod submission;
mod tasks;
mod topology;
mod trust;
mod whole;

use crate::command::Command;
use crate::invariant;
use crate::outcome::{Applied, Reply};
use crate::testing::{
    CLASS, Federation, admin, agent, job, member, node_key, offer, receipt_key, user, user_key,
};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Refusal;
use sekisho_evidence::record::{Body, Record};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::job::{JobPhase, OverLimit};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::ATTEMPTS_MAX;
use sekisho_types::offer::OfferSpec;
use sekisho_types::patch::Patch;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::residency::{Rules, Tier};
use std::collections::BTreeSet;

fn code(applied: &Applied) -> Option<ErrorCode> {
    applied.outcome.as_ref().err().map(|rejection| rejection.code)
}

/// Applies a command that must be refused with `expected` and change no table.
#[track_caller]
fn refused(f: &mut Federation, actor: Principal, command: Command, expected: ErrorCode) {
    let before = tables(f);
    let applied = f.run(actor, command);
    assert_eq!(code(&applied), Some(expected), "{:?}", applied.outcome);
    assert_eq!(tables(f), before, "a refusal changed the state");
    assert!(matches!(body(&applied, 0), Body::Entry { rejected: Some(c), .. } if c == expected));
}

/// Snapshot of everything but revision, clock, audit log and kept replies.
fn tables(f: &Federation) -> Vec<u8> {
    let mut state = f.state.clone();
    state.revision = Default::default();
    state.clock = Default::default();
    state.frontier = Default::default();
    state.replies = Default::default();
    state.reply_order = Default::default();
    state.to_snapshot().unwrap()
}

fn body(applied: &Applied, leaf: usize) -> Body {
    Record::parse(&applied.leaves[leaf].record).unwrap().body
}

fn report(
    f: &mut Federation,
    node: &NodeId,
    phases: Vec<(sekisho_types::revision::PlacementId, Phase)>,
) -> Applied {
    let session = f.state.node(node).unwrap().session.as_ref().unwrap().id;
    f.run(agent(node), Command::Report { node: node.clone(), session, phases })
}

/// A report of `phase` for every placement of a job.
fn all(f: &mut Federation, id: &sekisho_types::id::JobId, phase: &Phase) {
    for placement in f.placements(id) {
        let node = f.state.placement(&placement).unwrap().grant.node.clone();
        let applied = report(f, &node, vec![(placement, phase.clone())]);
        assert_eq!(applied.outcome, Ok(Reply::Done));
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
}

fn buckets() -> Vec<sekisho_types::device::Bucket> {
    vec![crate::testing::bucket(4)]
}
