//! The planner and its explanations on states that apply made.

mod alike;
mod brute;
mod charge;
mod claim;
mod contention;
mod documentation;
mod estimate;
mod explain;
mod held;
mod packing;
mod plan;
mod power;
mod preempt;
mod property;
mod relax;
mod reservation;
mod sharing;
mod starve;
mod tasks;
mod topology;

use sekisho_evidence::receipt::Refusal;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, OPERATORS, admin, agent, cluster, member, receipt_key};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::PlacementId;

/// `SITE/NODE,SITE/NODE` of each group, with its job's name.
fn shown(plan: &crate::Plan) -> Vec<String> {
    let group = |g: &sekisho_fsm::command::Group| {
        let nodes: Vec<String> = g.places.iter().map(|slot| slot.node.to_string()).collect();
        format!("{}: {}", g.job.name, nodes.join(" "))
    };
    plan.groups.iter().map(group).collect()
}

/// Commits a plan from the head; it must be granted whole.
fn commit(federation: &mut Federation) -> usize {
    let plan = crate::plan(&federation.state);
    let planned = plan.groups.len();
    if let Some(command) = plan.into_command() {
        let applied = federation.accept(member("naniwa"), command);
        let rejected = match applied.outcome {
            Ok(sekisho_fsm::outcome::Reply::Placed { rejected, .. }) => rejected,
            other => panic!("{other:?}"),
        };
        assert_eq!(rejected, []);
    }
    planned
}

fn cordon(federation: &mut Federation, node: &str) {
    let node: NodeId = node.parse().unwrap();
    let owner = admin(agent(&node).operator.as_str());
    federation.accept(owner, Command::SetSchedulable { node, schedulable: false });
}

/// Every node of the fixture's sites but those named is cordoned.
fn cordon_all_but(federation: &mut Federation, keep: &[&str]) {
    for (_, site, _) in OPERATORS {
        for name in ["n-01", "n-02"] {
            let node = format!("{site}/{name}");
            if !keep.contains(&node.as_str()) {
                cordon(federation, &node);
            }
        }
    }
}

/// The node of the job's first placement refuses it.
fn refuse(federation: &mut Federation, job: &JobId) -> NodeId {
    let id = federation.placements(job)[0];
    let placement = federation.state.placement(&id).unwrap().clone();
    let refusal = Refusal {
        cluster: cluster(),
        node: placement.grant.node.clone(),
        session: placement.grant.session,
        placement: id,
        grant: placement.digest,
        code: ErrorCode::PayloadMismatch,
        detail: String::new(),
        log_size: 1,
        time: federation.now,
    };
    let node = refusal.node.clone();
    let receipt = refusal.sign(&receipt_key(&node)).unwrap();
    federation.accept(agent(&node), Command::Refuse { node: node.clone(), receipt });
    node
}

/// Moves the state clock on by this many minutes, 10 s an entry.
fn minutes_later(federation: &mut Federation, minutes: u64) {
    for _ in (0..minutes).flat_map(|_| 0..6) {
        federation.now = federation.now.plus_ms(10_000);
        federation.accept(member("kanto"), Command::Tick);
    }
}

fn hours_later(federation: &mut Federation, hours: u64) {
    minutes_later(federation, hours.saturating_mul(60));
}

/// Time goes on by a minute; what is at its limit ends.
fn minute(federation: &mut Federation) {
    minutes_later(federation, 1);
    let now = federation.state.clock();
    let over: Vec<PlacementId> = federation
        .state
        .placements()
        .filter(|(_, row)| !row.phase.is_ended() && row.charge.until <= now)
        .map(|(id, _)| *id)
        .collect();
    over.into_iter().for_each(|id| exit(federation, id));
}

/// A placement ends well.
fn exit(federation: &mut Federation, id: PlacementId) {
    let grant = &federation.state.placement(&id).unwrap().grant;
    let (node, session) = (grant.node.clone(), grant.session);
    let phases = vec![(id, Phase::Ended(Ending::Exited(0)))];
    federation.accept(agent(&node), Command::Report { node, session, phases });
}
