//! Metrics of this process: recorded by everyone through the `metrics` facade, kept here, shown to those who may.
//!
//! Must hold: no plaintext listener and no listener at all unless one was asked for (D3); every metric stands in
//! [`table`]; who may read is decided by applied state at each request.
//! Where no listener is configured nothing is recorded: the facade then costs nothing.

pub mod serve;
pub mod table;

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use sekisho_api::core::Core;
use sekisho_fsm::State;
use sekisho_raft::consensus::Consensus;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::principal::{Principal, Role};
use serve::Source;
use std::sync::Arc;
use std::time::Duration;
use table::{CONTROLLER, Kind, Metric};

/// How often samples of histograms are folded into their buckets: between two folds each sample is held in memory.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// A recorder that knows the table.
///
/// # Errors
/// [`BuildError`] for a table with an empty list of buckets.
pub fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in CONTROLLER.iter().filter(|metric| metric.kind == Kind::Histogram) {
        let name = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(name, metric.unit.buckets())?;
    }
    Ok(builder.build_recorder())
}

/// Tells the recorder in force what each metric means.
pub fn describe() {
    for Metric { name, kind, unit, help } in CONTROLLER {
        let unit = unit.described();
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, unit, *help),
        }
    }
    metrics::gauge!("sekisho_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Puts the recorder in force for the whole process and keeps its memory bounded.
///
/// # Errors
/// There is one already, or the table is not usable.
pub fn install(tasks: &TaskGroup) -> anyhow::Result<PrometheusHandle> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|_taken| anyhow::anyhow!("this process has a recorder already"))?;
    describe();
    let fold = handle.clone();
    tasks.spawn(TaskKind::Critical, "fold-metrics", async move {
        loop {
            tokio::time::sleep(FOLD_EVERY).await;
            fold.run_upkeep();
        }
    });
    Ok(handle)
}

/// Whether a principal may read metrics: by a role that its own operator had registered in the state, and as long as that
/// operator has a site in Japan that stands (D3). What its certificate says beyond its name decides nothing.
#[must_use]
pub fn may_read(state: &State, principal: &Principal) -> bool {
    state.is_at_home(&principal.operator)
        && state.roles(principal).any(|role| match role {
            Role::Monitor | Role::FederationAdmin | Role::OperatorAdmin => true,
            Role::TenantAdmin(_) | Role::TenantUser(_) | Role::Auditor | Role::Archivist(_) => {
                false
            }
            Role::Registrar(_) | Role::Agent | Role::Member => false,
        })
}

/// The metrics of this member.
#[derive(Debug)]
pub struct Metrics {
    /// What was recorded.
    pub handle: PrometheusHandle,
    /// Whose health is looked up when asked.
    pub core: Arc<Core>,
    /// Whose state says who may ask.
    pub consensus: Consensus,
}

impl Source for Metrics {
    fn may_read(&self, principal: &Principal) -> bool {
        may_read(&self.consensus.view().state, principal)
    }

    fn render(&self) -> String {
        self.core.record_gauges();
        self.handle.render()
    }
}

#[cfg(test)]
mod tests;
