//! What a run of the agent finds: who the host is, its memory, and what an earlier run left (ADR 11).
//!
//! Must hold (P6): the host is swept by the ledger before anybody is told anything; if the ledger cannot be read, everything that
//! an earlier run left is killed, and nothing is started.

use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::failure::Failure;
use crate::host::{Inventory, open_runtime, sweep_host};
use crate::join::{join, read_token};
use crate::ledger::LedgerFile;
use sekisho_agent_core::devices::Device;
use sekisho_agent_core::ledger::Ledger;
use sekisho_agent_core::reconcile::recover;
use sekisho_agent_core::standing::Standing;
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::Exit;
use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Clock;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The host as this run of the agent found it.
pub(super) struct Found {
    pub(super) enrolment: Enrolment,
    pub(super) ledger: Ledger,
    pub(super) standing: Standing,
    pub(super) inventory: Inventory,
    pub(super) devices: Vec<Device>,
    pub(super) runtime: ProcessRuntime,
    pub(super) exits: mpsc::Receiver<Exit>,
}

/// Looks, sweeps, joins if the host has not joined, and takes over what goes on.
pub(super) async fn find(
    config: &Config,
    shim: ShimCommand,
    clock: &Arc<dyn Clock>,
) -> Result<Found, Failure> {
    let before = remembered(config);
    let (root, may_run) = (config.runtime_dir(), may_run(&before));
    let swept = blocking(move || sweep_host(&root, &may_run)).await?;
    let (enrolment, ledger) = enrolled(config, before?, clock).await?;
    let ledger = recover(ledger, &swept.seen);
    let standing = enrolment.standing(ledger.bundle())?;
    let held = ledger.held_devices().into_iter().map(str::to_owned).collect();
    let settings = config.clone();
    let (mut inventory, (runtime, exits)) = blocking(move || {
        let inventory = Inventory::open(&settings, &held)?;
        Ok((inventory, open_runtime(&settings, shim, &swept.adopted)?))
    })
    .await?;
    let devices = inventory.look().map_err(|error| Failure::host("devices", &error))?;
    Ok(Found { enrolment, ledger, standing, inventory, devices, runtime, exits })
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::host("a blocking step", &error))?
}

/// Who the data directory says the host is, and its memory; `None` if it has not joined.
fn remembered(config: &Config) -> Result<Option<(Enrolment, Ledger)>, Failure> {
    let Some(enrolment) = Enrolment::load(&config.data_dir)? else { return Ok(None) };
    let ledger = LedgerFile::of(&config.data_dir).load(&enrolment.node, &enrolment.bundle)?;
    Ok(Some((enrolment, ledger)))
}

/// The same, having joined if it had not.
async fn enrolled(
    config: &Config,
    remembered: Option<(Enrolment, Ledger)>,
    clock: &Arc<dyn Clock>,
) -> Result<(Enrolment, Ledger), Failure> {
    let (enrolment, ledger) = match (remembered, &config.token) {
        (Some(remembered), _) => remembered,
        (None, Some(token)) => {
            let enrolment = join(config, &read_token(token)?, clock).await?;
            let file = LedgerFile::of(&config.data_dir);
            let ledger = file.load(&enrolment.node, &enrolment.bundle)?;
            (enrolment, ledger)
        }
        (None, None) => {
            let cause = format!("{} holds no enrolment", config.data_dir.display());
            return Err(Failure::new(ErrorCode::Unauthenticated, cause)
                .remedy("Join first: `sekisho-agent join --token-file FILE --config FILE`."));
        }
    };
    if config.node.as_ref().is_some_and(|node| *node != enrolment.node) {
        let cause = format!("the host has joined as {}", enrolment.node);
        return Err(Failure::new(ErrorCode::InvalidArgument, cause).remedy("Correct `node`."));
    }
    Ok((enrolment, ledger))
}

/// What the ledger says may run; nothing if it cannot be read: then everything has to go.
fn may_run(remembered: &Result<Option<(Enrolment, Ledger)>, Failure>) -> BTreeSet<PlacementId> {
    let Ok(Some((_, ledger))) = remembered else { return BTreeSet::new() };
    ledger.entries().iter().filter(|(_, entry)| entry.may_run()).map(|(id, _)| *id).collect()
}
