//! Arrays and services, and what becomes of their tasks.

use super::{facts, id, tenant_name};
use proptest::prelude::*;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, member, user};
use sekisho_scheduler::Planner;
use sekisho_types::id::JobId;
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::limit::EVICTIONS_MAX;
use sekisho_types::principal::Principal;

/// The name under which sequences submit arrays.
const ARRAY: u8 = 5;
/// The same of services.
const SERVICE: u8 = 6;

/// A step. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Tasks {
    /// A service is replaced: replicas, and whether it runs something else.
    Replace(u8, bool),
    /// Replicas are stopped as the planner finds them, or the n-th task that there is, as a rogue would have it.
    Stop(Option<u8>),
    /// A task of the array or the service is cancelled.
    Cancel(bool, u8),
}

pub(super) fn steps() -> impl Strategy<Value = Tasks> {
    prop_oneof![
        2 => (1u8..4, any::<bool>()).prop_map(|(replicas, other)| Tasks::Replace(replicas, other)),
        3 => prop::option::weighted(0.3, 0u8..8).prop_map(Tasks::Stop),
        1 => (any::<bool>(), 0u8..6).prop_map(|(array, task)| Tasks::Cancel(array, task)),
    ]
}

/// How a job of this name runs.
pub(super) fn kind(name: u8) -> Kind {
    match name {
        ARRAY => Kind::Array { tasks: 4, at_most: 2 },
        SERVICE => Kind::Service { replicas: 2, surge: 1 },
        _ => Kind::Batch,
    }
}

pub(super) fn command(
    federation: &Federation,
    tenant: u8,
    step: &Tasks,
) -> Option<(Principal, Command)> {
    let by = user("kanto", tenant_name(tenant));
    match step {
        Tasks::Replace(replicas, other) => {
            let replicas = u32::from(*replicas);
            let before = facts(tenant, SERVICE, 1, 1, 0, false);
            let time_limit_s = before.time_limit_s.saturating_add(u64::from(*other));
            let kind = Kind::Service { replicas, surge: 1 };
            let facts = Box::new(JobFacts { kind, time_limit_s, ..before });
            Some((by, Command::ReplaceJob { facts }))
        }
        Tasks::Stop(None) => {
            let mut planner = Planner::default();
            let _plan = planner.plan(&federation.state);
            let replicas = planner.surplus(EVICTIONS_MAX);
            let any = (!replicas.is_empty()).then_some(());
            any.map(|()| (member("kanto"), Command::StopReplicas { replicas }))
        }
        Tasks::Stop(Some(n)) => {
            let tasks = federation.state.jobs().filter(|(id, _)| id.task.is_some());
            let tasks: Vec<JobId> = tasks.map(|(id, _)| id.clone()).collect();
            let task = tasks.get(usize::from(*n).checked_rem(tasks.len())?)?;
            let replicas = vec![task.clone()];
            Some((member("kanto"), Command::StopReplicas { replicas }))
        }
        Tasks::Cancel(array, task) => {
            let whole = id(tenant, if *array { ARRAY } else { SERVICE });
            Some((by, Command::CancelJob { job: whole.task(u32::from(*task)) }))
        }
    }
}
