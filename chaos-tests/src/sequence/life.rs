//! What becomes of a node between its first and its last day, as steps of random sequences.

use proptest::prelude::*;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, admin, agent, job, member};
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::limit::EVICTIONS_MAX;
use sekisho_types::principal::Principal;

/// A step.
#[derive(Debug, Clone)]
pub enum Life {
    /// Drain it, within so many seconds or as long as it takes.
    Drain(Option<u8>),
    /// Call that off, and leave it cordoned or not.
    Undrain(bool),
    /// Move what is left, due or not.
    Evict,
    /// Move what the rules no longer allow there, due or not.
    EvictDenied,
    /// Its own checks come out so: fit or not.
    Fitness(bool),
    /// Take it out of the federation.
    Decommission,
}

pub(super) fn steps() -> impl Strategy<Value = Life> {
    prop_oneof![
        2 => prop::option::of(0u8..20).prop_map(Life::Drain),
        1 => any::<bool>().prop_map(Life::Undrain),
        3 => Just(Life::Evict),
        2 => Just(Life::EvictDenied),
        1 => any::<bool>().prop_map(Life::Fitness),
        1 => Just(Life::Decommission),
    ]
}

pub(super) fn command(
    federation: &Federation,
    node: NodeId,
    step: &Life,
) -> Option<(Principal, Command)> {
    let owner = admin(agent(&node).operator.as_str());
    Some(match step {
        Life::Drain(within) => {
            let (within_s, message) = (within.map(u64::from), String::new());
            (owner, Command::DrainNode { node, within_s, message })
        }
        Life::Undrain(keep_cordoned) => {
            (owner, Command::UndrainNode { node, keep_cordoned: *keep_cordoned })
        }
        Life::Evict => {
            let drain = federation.state.node(&node)?.drain.as_ref()?.revision;
            (member("hokuto"), Command::EvictDrained { node, drain })
        }
        Life::EvictDenied => {
            let held = federation.state.node(&node)?.placements.iter();
            let held = held.filter_map(|id| federation.state.placement(id));
            let jobs: Vec<JobId> = held.map(|row| row.grant.job.clone()).collect();
            (member("kanto"), Command::EvictDenied { jobs })
        }
        Life::Fitness(fit) => {
            let session = super::session(federation, &node)?;
            let check = job("clock", 1, 1, &[]).id.name;
            let unfit = Unfit { check, blocks: true, detail: String::new() };
            let findings = if *fit { Vec::new() } else { vec![unfit] };
            (agent(&node), Command::ReportFitness { node, session, findings })
        }
        Life::Decommission => (owner, Command::DecommissionNode { node }),
    })
}

/// Does what the leader's duty does until the rules hold for whatever goes on.
pub fn catch_up(federation: &mut Federation) {
    // Nothing is moved by a clock that is behind.
    while federation.state.clock() < federation.now {
        let Some(leader) = super::twin::voter(federation) else { return };
        if federation.run(leader, Command::Tick).outcome.is_err() {
            return;
        }
    }
    loop {
        let jobs: Vec<JobId> = federation.state.denied().into_keys().take(EVICTIONS_MAX).collect();
        let Some(leader) = super::twin::voter(federation).filter(|_| !jobs.is_empty()) else {
            return;
        };
        if federation.run(leader, Command::EvictDenied { jobs }).outcome.is_err() {
            return;
        }
    }
}
