//! This host: what an earlier run left on it, its devices, and the runtime.
//!
//! Must hold: one agent per data directory; before a session is asked for, nothing of an earlier run lives but what the
//! ledger holds and the runtime takes over (P6, ADR 11); a device that somebody unknown holds is not offered.

use crate::config::{Config, Devices as Choice};
use crate::failure::Failure;
use crate::limit::{ENDED_KEPT, SWEEP_WITHIN};
use crate::stream::{Begin, Outputs, Piece};
use sekisho_agent_core::devices::{Device, DeviceKind, check_inventory};
use sekisho_agent_core::reconcile::Seen;
use sekisho_agent_runtime::capability::{Capability, Finding};
use sekisho_agent_runtime::deadline::Deadline;
use sekisho_agent_runtime::device::nvidia::NvidiaDevices;
use sekisho_agent_runtime::device::simulated::{SimulatedDevices, SimulatedSettings};
use sekisho_agent_runtime::device::{Device as Found, DeviceError, Devices, Health};
use sekisho_agent_runtime::directory::{ExitStatus, PlacementDir};
use sekisho_agent_runtime::log::{Stream, last_lines, tail};
use sekisho_agent_runtime::placement::PlacementKey;
use sekisho_agent_runtime::process::{ProcessRuntime, ProcessSettings};
use sekisho_agent_runtime::runtime::{Exit, RuntimeError};
use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_agent_runtime::sweep::{Found as Left, sweep};
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::DeviceClass;
use sekisho_types::placement::Ending;
use sekisho_types::revision::PlacementId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// How a job ended, in the control plane's words. Nobody but the kernel knows why a shim was killed.
pub(crate) fn ending(status: ExitStatus) -> Ending {
    const KILLED: i32 = 9;
    match status {
        ExitStatus::Exited(code) => Ending::Exited(code),
        ExitStatus::Signaled(signal) => Ending::Signaled(signal),
        ExitStatus::TimedOut => Ending::TimedOut,
        ExitStatus::StartFailed(failure) => Ending::StartFailed(failure.to_string()),
        ExitStatus::ShimKilled | ExitStatus::LeaseOver | ExitStatus::Unguarded => {
            Ending::Signaled(KILLED)
        }
        ExitStatus::OutOfMemory => Ending::OutOfMemory,
    }
}

/// The same of what ended while no agent was there: what the host ended by itself is no end of the job's own, and finds
/// another place.
fn ending_unseen(status: ExitStatus) -> Ending {
    if status.is_the_hosts() { Ending::Lost } else { ending(status) }
}

/// What an earlier run left, after a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// What goes on, to be taken over by the runtime.
    pub adopted: Vec<PlacementKey>,
    /// The same, and what has ended, for the ledger.
    pub seen: BTreeMap<PlacementId, Seen>,
}

/// Takes the data directory for this process. Without it a second agent would sweep the first one's jobs.
///
/// # Errors
/// `ALREADY_EXISTS` while another agent has it.
pub fn lock(data_dir: &Path) -> Result<File, Failure> {
    crate::durable::make_dir(data_dir)
        .map_err(|error| Failure::host("cannot make data_dir", &error))?;
    let path = data_dir.join("lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| Failure::host("cannot open the lock", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let cause = format!("another agent uses {}", data_dir.display());
            Err(Failure::new(ErrorCode::AlreadyExists, cause).remedy("Stop it first."))
        }
        Err(TryLockError::Error(error)) => Err(Failure::host("cannot lock data_dir", &error)),
    }
}

/// Looks at what an earlier run left: what the ledger says `may_run` goes on if the runtime can take it over, everything
/// else is killed. Keeps the newest directories for readers of their output. Blocks.
///
/// # Errors
/// When something may still live that must not: then nothing may be started.
pub fn sweep_host(root: &Path, may_run: &BTreeSet<PlacementId>) -> Result<Swept, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(ErrorCode::Internal, format!("sweep: {}", explain(error)))
            .remedy("Nothing is started until no process of an earlier run lives.")
    };
    let found = sweep(root).map_err(|error| failed(&error))?;
    let (mut swept, mut over) = (Swept::default(), Vec::new());
    for left in found {
        let placement: Option<PlacementId> = left.key.as_str().parse().ok();
        if left.adoptable
            && let Some(placement) = placement.filter(|placement| may_run.contains(placement))
        {
            tracing::info!(%placement, "goes on: it was started by an earlier run");
            swept.adopted.push(left.key);
            swept.seen.insert(placement, Seen::Lives);
            continue;
        }
        if !left.alive.is_empty() {
            tracing::warn!(placement = %left.key, "killing what an earlier run left");
            left.kill(SWEEP_WITHIN).map_err(|error| failed(&error))?;
        }
        if let (Some(placement), Some(exit)) = (placement, left.exit.clone()) {
            swept.seen.insert(placement, Seen::Ended(ending_unseen(exit.status)));
        }
        if let Err(error) = PlacementDir::new(root, &left.key).clear() {
            tracing::warn!(placement = %left.key, %error, "the files of an ended job stay");
        }
        over.push(left);
    }
    over.sort_by_key(|left| left.key.as_str().parse::<PlacementId>().ok());
    let surplus = over.len().saturating_sub(ENDED_KEPT);
    let remove = |left: &Left| left.remove(root).map_err(|error| failed(&error));
    over.iter().take(surplus).try_for_each(remove)?;
    Ok(swept)
}

/// Until when the lease of an earlier run binds what it left, boottime in nanoseconds; 0 if nobody can tell.
#[must_use]
pub fn inherited_ns(root: &Path) -> u64 {
    Deadline::read(root).map_or(0, |held| held.stop_ns)
}

/// Opens the runtime over what is `adopted`. Blocks.
///
/// # Errors
/// Why this host runs no jobs, with the remedy.
pub fn open_runtime(
    config: &Config,
    shim: ShimCommand,
    adopted: &[PlacementKey],
) -> Result<(ProcessRuntime, mpsc::Receiver<Exit>), Failure> {
    let root = config.runtime_dir();
    let (sandbox, log_bytes) = (config.sandbox()?, config.log_bytes());
    let settings = ProcessSettings { root, shim, sandbox, log_bytes };
    let opened = ProcessRuntime::open(settings, adopted).map_err(|error| {
        let failure = Failure::host("cannot run jobs", &error);
        if let RuntimeError::NamespacesUnavailable { remedy, .. } = error {
            failure.remedy(remedy)
        } else {
            failure
        }
    })?;
    tell(opened.0.capability());
    Ok(opened)
}

/// What this host gives to keep jobs apart, and what it does not.
fn tell(capability: &Capability) {
    tracing::info!(%capability, "jobs are kept apart");
    for finding in capability.findings() {
        let Finding { name, cause, english, .. } = finding;
        tracing::info!(name, cause, english, "jobs are kept apart less than they could be");
    }
}

/// The devices of this host.
#[derive(Clone)]
pub struct Inventory {
    source: Option<Arc<dyn Devices>>,
    /// Held by somebody unknown when the agent started, and since.
    dirty: BTreeSet<String>,
    /// Shares of each device that the settings share.
    shared: BTreeMap<String, u32>,
}

impl std::fmt::Debug for Inventory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inventory").field("dirty", &self.dirty).finish_non_exhaustive()
    }
}

impl Inventory {
    /// Opens the devices that the settings choose. Whoever holds one that is not `held` by a placement of ours is unknown.
    /// Blocks.
    ///
    /// # Errors
    /// When they cannot be told. A host without a driver has none, which is no error.
    pub fn open(config: &Config, held: &BTreeSet<String>) -> Result<Self, Failure> {
        let failed = |error: DeviceError| Failure::host("devices", &error);
        let shared = config.shares();
        let source: Option<Arc<dyn Devices>> = match &config.devices {
            Choice::Simulated { groups, .. } => {
                let (dir, groups, shares) = (config.devices_dir(), groups.clone(), shared.clone());
                let settings = SimulatedSettings { dir, groups, shares };
                Some(Arc::new(SimulatedDevices::open(&settings).map_err(failed)?))
            }
            Choice::Nvidia => match NvidiaDevices::open() {
                Ok(devices) => Some(Arc::new(devices)),
                Err(DeviceError::DriverAbsent(why)) => {
                    tracing::warn!(why, "no driver: this host offers no devices");
                    None
                }
                Err(error) => return Err(failed(error)),
            },
        };
        let mut inventory = Self { source, dirty: BTreeSet::new(), shared };
        inventory.dirty = inventory.occupied(None).map_err(failed)?;
        inventory.dirty.retain(|uuid| !held.contains(uuid));
        for uuid in &inventory.dirty {
            tracing::error!(device = uuid, "dirty: held by an unknown process, not offered");
        }
        Ok(inventory)
    }

    /// Devices that are held, of those given, or of all. One that does not answer counts as held.
    fn occupied(&self, of: Option<&BTreeSet<String>>) -> Result<BTreeSet<String>, DeviceError> {
        let Some(source) = &self.source else { return Ok(BTreeSet::new()) };
        let all = source.inventory()?.into_iter().map(|device| device.uuid);
        let asked = all.filter(|uuid| of.is_none_or(|of| of.contains(uuid)));
        Ok(asked.filter(|uuid| source.is_occupied(uuid).unwrap_or(true)).collect())
    }

    /// Looks again. Blocks.
    ///
    /// # Errors
    /// When they cannot be told; what was known before then stands.
    pub fn look(&mut self) -> Result<Vec<Device>, DeviceError> {
        let Some(source) = &self.source else { return Ok(Vec::new()) };
        let found = source.inventory()?;
        if !self.dirty.is_empty() {
            self.dirty = self.occupied(Some(&self.dirty))?;
        }
        let dirty = |device: &Device| self.dirty.contains(&device.id);
        let offered = found.into_iter().filter_map(|device| offered(device, &self.shared));
        Ok(offered.map(|d| Device { healthy: d.healthy && !dirty(&d), ..d }).collect())
    }

    /// What is wrong with what was found, by the settings and by itself; and whether that keeps work away.
    #[must_use]
    pub fn doubt(&self, found: &[Device]) -> Option<(bool, String)> {
        doubt(found, &self.shared)
    }

    /// The files of which a holder locks one, where devices have such.
    #[must_use]
    pub fn lock_files(&self, uuid: &str) -> Vec<PathBuf> {
        self.source.as_ref().map(|source| source.lock_files(uuid)).unwrap_or_default()
    }
}

/// A device as it is offered, shared or not; `None` = there is no name for its class. One in instances is not shared as well:
/// what the settings share in vain is not offered at all.
pub(crate) fn offered(found: Found, shared: &BTreeMap<String, u32>) -> Option<Device> {
    let Ok(class) = found.class.as_str().parse::<DeviceClass>() else {
        tracing::warn!(device = found.uuid, class = %found.class, "no name for its class");
        return None;
    };
    let named = |id: &str| shared.get(id).copied();
    let healthy = found.health == Health::Healthy;
    let device = Device {
        healthy,
        id: found.uuid,
        gpu: found.gpu,
        class,
        memory_mib: found.memory_mib,
        units: found.units,
        watts: found.watts,
        island: found.island,
        index: found.index,
        kind: found.profile.map_or(DeviceKind::Whole, DeviceKind::Mig),
    };
    match (&device.kind, named(&device.gpu).or_else(|| named(&device.id))) {
        (_, None) => Some(device),
        (DeviceKind::Mig(_) | DeviceKind::Shared(_), Some(_)) => {
            Some(Device { healthy: false, ..device })
        }
        (DeviceKind::Whole, Some(shares)) => {
            let Ok(class) = device.class.shared() else {
                tracing::warn!(device = device.id, "no name for the class of its shares");
                return None;
            };
            let memory_mib = device.memory_mib.checked_div(u64::from(shares)).unwrap_or(0);
            let kind = DeviceKind::Shared(shares);
            // The slices of a device cannot be counted on by those who take turns on all of them.
            Some(Device { class, memory_mib, units: 0, kind, ..device })
        }
    }
}

/// What is wrong with what was found, by the settings and by itself; and whether that keeps work away.
pub(crate) fn doubt(found: &[Device], shared: &BTreeMap<String, u32>) -> Option<(bool, String)> {
    if let Err(error) = check_inventory(found) {
        return Some((true, format!("nothing is offered: {error}")));
    }
    let sliced = |name: &String| {
        let named = |device: &&Device| device.gpu == *name || device.id == *name;
        found.iter().filter(named).any(|device| matches!(device.kind, DeviceKind::Mig(_)))
    };
    if let Some(name) = shared.keys().find(|name| sliced(name)) {
        return Some((true, format!("{name} is in MIG instances and is to be shared")));
    }
    let here = |name: &String| found.iter().any(|device| device.id == *name);
    let missing = shared.keys().find(|name| !here(name));
    missing.map(|name| (false, format!("{name} is to be shared and is not here")))
}

/// Output of placements below a runtime directory.
#[derive(Debug)]
pub(crate) struct OutputFiles(pub(crate) PathBuf);

impl Outputs for OutputFiles {
    fn read(
        &self,
        placement: &PlacementId,
        output: Stream,
        begin: Begin,
        max: usize,
    ) -> Result<Piece, ErrorCode> {
        let key = PlacementKey::new(placement.to_string()).map_err(|_form| ErrorCode::Internal)?;
        let dir = self.0.join(key.as_str());
        if !dir.is_dir() {
            return Err(ErrorCode::NotFound);
        }
        // Before the output is read: what is written before the end is then in what is read.
        let ended = PlacementDir::at(dir.clone()).is_over();
        let offset = match begin {
            Begin::At(offset) => Ok(offset),
            Begin::LastLines(lines) => last_lines(&dir, output, lines),
        };
        match offset.and_then(|offset| tail(&dir, output, offset, max)) {
            Ok(chunk) => Ok(Piece { over: ended && chunk.eof, chunk }),
            Err(error) => {
                tracing::warn!(%placement, %error, "output cannot be read");
                Err(ErrorCode::Internal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_agent_runtime::directory::ExitRecord;

    fn config(data_dir: &Path) -> Config {
        let text = format!(
            "area = 'JP'\ndata_dir = '{}'\n[devices]\nkind = 'simulated'\n\
             groups = [{{ class = 'l4', memory_mib = 1024, islands = 0, devices = 2 }}]",
            data_dir.display()
        );
        Config::parse(&text).unwrap()
    }

    #[test]
    fn a_second_agent_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert_eq!(lock(dir.path()).unwrap_err().code, ErrorCode::AlreadyExists);
        drop(held);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn a_device_that_somebody_holds_is_not_offered_until_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let mut inventory = Inventory::open(&config, &BTreeSet::new()).unwrap();
        let healthy = |inventory: &mut Inventory| {
            inventory.look().unwrap().iter().map(|device| device.healthy).collect::<Vec<_>>()
        };
        assert_eq!(healthy(&mut inventory), [true, true]);
        let paths = inventory.lock_files("GPU-sim-0001");
        let file = File::open(&paths[0]).unwrap();
        file.lock().unwrap();
        let mut dirty = Inventory::open(&config, &BTreeSet::new()).unwrap();
        assert_eq!(healthy(&mut dirty), [true, false]);
        assert_eq!(healthy(&mut inventory), [true, true], "held by a job of ours");
        drop(file);
        assert_eq!(healthy(&mut dirty), [true, true]);
    }

    /// A device in instances, one that is shared, one that is whole.
    fn mixed(data_dir: &Path, shared: &str) -> Config {
        let text = format!(
            "area = 'JP'\ndata_dir = '{}'\n\
             [[shared_devices]]\ndevice = '{shared}'\nshares = 4\n\
             [devices]\nkind = 'simulated'\n\
             [[devices.groups]]\nclass = 'h200'\nmemory_mib = 143360\nislands = 0\ndevices = 1\n\
             mig = [{{ profile = '1g.18gb', memory_mib = 18432, units = 1, count = 2 }}]\n\
             [[devices.groups]]\nclass = 'h200'\nmemory_mib = 143360\nislands = 1\ndevices = 2\n",
            data_dir.display()
        );
        Config::parse(&text).unwrap()
    }

    #[test]
    fn each_device_is_offered_as_what_it_is_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let config = mixed(dir.path(), "GPU-sim-0002");
        let mut inventory = Inventory::open(&config, &BTreeSet::new()).unwrap();
        let found = inventory.look().unwrap();
        let shown: Vec<_> =
            found.iter().map(|d| (d.id.as_str(), d.class.as_str(), d.memory_mib)).collect();
        assert_eq!(
            shown,
            [
                ("GPU-sim-0001", "h200", 143_360),
                ("GPU-sim-0002", "h200-shared", 35_840),
                ("MIG-sim-0000-0", "h200-1g-18gb", 18_432),
                ("MIG-sim-0000-1", "h200-1g-18gb", 18_432),
            ]
        );
        assert_eq!(inventory.doubt(&found), None);
        let buckets = sekisho_agent_core::devices::buckets(&found);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(inventory.lock_files("GPU-sim-0002").len(), 4);
        // A share that somebody unknown holds keeps the whole device away.
        let file = File::open(&inventory.lock_files("GPU-sim-0002")[3]).unwrap();
        file.lock().unwrap();
        let mut dirty = Inventory::open(&config, &BTreeSet::new()).unwrap();
        assert!(!dirty.look().unwrap()[1].healthy);
    }

    #[test]
    fn what_is_in_instances_or_not_here_cannot_be_shared() {
        let dir = tempfile::tempdir().unwrap();
        for (named, blocks) in
            [("GPU-sim-0000", true), ("MIG-sim-0000-1", true), ("GPU-sim-0009", false)]
        {
            let config = mixed(dir.path(), named);
            let mut inventory = Inventory::open(&config, &BTreeSet::new()).unwrap();
            let found = inventory.look().unwrap();
            let doubt = inventory.doubt(&found).unwrap();
            assert!(doubt.0 == blocks && doubt.1.contains(named), "{doubt:?}");
            let kept = found.iter().filter(|device| !device.healthy);
            assert!(kept.clone().all(|device| matches!(device.kind, DeviceKind::Mig(_))));
            assert_eq!(kept.count() > 0, blocks, "it is not offered as anything else");
        }
        let mut twice =
            Inventory::open(&mixed(dir.path(), "GPU-sim-0002"), &BTreeSet::new()).unwrap();
        let mut found = twice.look().unwrap();
        found.push(found[0].clone());
        assert!(twice.doubt(&found).unwrap().0, "counted twice");
    }

    #[test]
    fn a_sweep_keeps_the_newest_output_only() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..ENDED_KEPT + 3 {
            std::fs::create_dir(dir.path().join(format!("p-1-{n}-0"))).unwrap();
        }
        assert_eq!(sweep_host(dir.path(), &BTreeSet::new()).unwrap(), Swept::default());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), ENDED_KEPT);
        assert!(!dir.path().join("p-1-2-0").exists() && dir.path().join("p-1-3-0").exists());
        let outputs = OutputFiles(dir.path().to_owned());
        let read = |id: &str| outputs.read(&id.parse().unwrap(), Stream::Stdout, Begin::At(0), 9);
        assert_eq!(read("p-1-2-0"), Err(ErrorCode::NotFound));
        let kept = read("p-1-3-0").unwrap();
        assert!(kept.chunk.eof && !kept.over, "nobody has said that it is over");
        let (status, at_boottime_ns) = (ExitStatus::Exited(0), 1);
        let end = ExitRecord { status, at_boottime_ns, restarts: 0 };
        PlacementDir::at(dir.path().join("p-1-3-0")).write_exit(&end).unwrap();
        assert!(read("p-1-3-0").unwrap().over);
    }
}
