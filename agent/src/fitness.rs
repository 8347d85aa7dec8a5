//! Whether this host is fit for new work: its own checks, and telling the controllers when they come out differently.
//!
//! Must hold: a host that finds something wrong says so before it is given work: the findings go with each session. What
//! cannot be checked counts as wrong. What runs goes on; that is decided nowhere here.
//! Does not decide who may trust the host: the controllers and their members' signatures do that.

mod clock;

pub use clock::Clocks;

use crate::calls::Calls;
use crate::config::Config;
use crate::durable;
use crate::failure::Failure;
use crate::host::Inventory;
use crate::limit::{
    CERTIFICATE_LOW_PART, CERTIFICATE_MIN_PART, CLOCK_OFF_LOW, CLOCK_OFF_MAX, DATA_FREE_LOW,
    DATA_FREE_MIN, FITNESS_EVERY,
};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sekisho_agent_core::devices::Device;
use sekisho_agent_runtime::shim::{ShimCommand, namespace};
use sekisho_evidence::grant::SessionId;
use sekisho_proto::convert::fitness::ReportFitness;
use sekisho_transport::credential::Identity;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::fitness::Unfit;
use sekisho_types::limit::FINDING_TEXT_MAX;
use sekisho_types::name::Name;
use sekisho_types::time::{Clock, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the checks look at.
#[derive(Debug, Clone)]
pub struct Host {
    /// Where the agent keeps everything.
    pub data_dir: PathBuf,
    /// Its devices.
    pub inventory: Inventory,
    /// Makes the namespaces of jobs.
    pub shim: ShimCommand,
    /// Its certificate.
    pub identity: Identity,
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// What the members say of the time.
    pub clocks: Clocks,
}

impl Host {
    /// This host, as its settings and its certificate name it.
    #[must_use]
    pub fn of(
        config: &Config,
        inventory: Inventory,
        shim: ShimCommand,
        identity: Identity,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (data_dir, clocks) = (config.data_dir.clone(), Clocks::new(Arc::clone(clock)));
        Self { data_dir, inventory, shim, identity, clock: Arc::clone(clock), clocks }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A finding; `None` if the name is none, which no name here is.
fn unfit(check: &str, blocks: bool, detail: &str) -> Option<Unfit> {
    let plain = detail.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text = String::new();
    for c in plain {
        if text.len().saturating_add(c.len_utf8()) > FINDING_TEXT_MAX {
            break;
        }
        text.push(c);
    }
    Some(Unfit { check: Name::parse(check).ok()?, blocks, detail: text })
}

/// Runs every check. Blocks. No findings = fit.
#[must_use]
pub fn check(host: &mut Host) -> Vec<Unfit> {
    let now = host.clock.wall();
    let probed = namespace::probe(&host.shim).map(|_kind| ());
    let looked = host.inventory.look().map_err(|error| error.to_string());
    let doubt = looked.as_ref().ok().and_then(|found| host.inventory.doubt(found));
    let found = [
        certificate(host.identity.validity(), now),
        clock(host.clocks.offset_ms()),
        data_dir(&host.data_dir),
        devices(looked, doubt),
        namespaces(probed),
    ];
    let mut found: Vec<Unfit> = found.into_iter().flatten().collect();
    found.sort_by(|a, b| a.check.cmp(&b.check));
    found
}

fn certificate((from, until): (Timestamp, Timestamp), now: Timestamp) -> Option<Unfit> {
    let (left, life) = (until.since_ms(now), until.since_ms(from));
    let detail = format!("not renewed, ends at {until}");
    (left < life / CERTIFICATE_LOW_PART)
        .then(|| unfit("certificate", left < life / CERTIFICATE_MIN_PART, &detail))
        .flatten()
}

/// `off_ms`: how far this host is ahead; nothing is known before the first session.
fn clock(off_ms: Option<i64>) -> Option<Unfit> {
    let off = off_ms?;
    let (by, way) = (off.unsigned_abs(), if off > 0 { "ahead of" } else { "behind" });
    let detail = format!("{} s {way} the controllers", by / 1000);
    (by > ms(CLOCK_OFF_LOW)).then(|| unfit("clock", by > ms(CLOCK_OFF_MAX), &detail)).flatten()
}

/// Room for output and ledger, and a write that reaches the disk.
fn data_dir(dir: &Path) -> Option<Unfit> {
    let wrong = |why: &str| unfit("data-dir", true, why);
    let space = match nix::sys::statvfs::statvfs(dir) {
        Ok(space) => space.blocks_available().saturating_mul(space.fragment_size()),
        Err(error) => return wrong(&format!("cannot be looked at: {error}")),
    };
    if let Err(error) = durable::try_write(&dir.join("fitness")) {
        return wrong(&sekisho_types::cause::explain(&error));
    }
    let detail = format!("{} MiB are free", space >> 20);
    (space < DATA_FREE_LOW).then(|| unfit("data-dir", space < DATA_FREE_MIN, &detail)).flatten()
}

/// Devices that cannot be told, or are counted twice, keep work away; a sick one among healthy ones is not advertised, and
/// somebody should look.
fn devices(looked: Result<Vec<Device>, String>, doubt: Option<(bool, String)>) -> Option<Unfit> {
    let found = match looked {
        Ok(found) => found,
        Err(error) => return unfit("devices", true, &format!("cannot be told: {error}")),
    };
    let sick = found.iter().filter(|device| !device.healthy).count();
    let detail = format!("{sick} of {} are not healthy or held by an unknown process", found.len());
    let sick = (sick > 0).then(|| unfit("devices", sick == found.len(), &detail)).flatten();
    let doubtful = doubt.and_then(|(blocks, why)| unfit("devices", blocks, &why));
    // Of two the one that keeps work away.
    sick.into_iter().chain(doubtful).max_by_key(|finding| finding.blocks)
}

fn namespaces(probed: Result<(), String>) -> Option<Unfit> {
    probed.err().and_then(|why| unfit("namespaces", true, &why))
}

/// What differs enough to be told: the words move with every look.
fn gist(findings: &[Unfit]) -> Vec<(&Name, bool)> {
    findings.iter().map(|finding| (&finding.check, finding.blocks)).collect()
}

#[derive(Debug, Default)]
struct Known {
    now: Vec<Unfit>,
    /// What the controllers know, and of which session.
    told: Option<(SessionId, Vec<Unfit>)>,
}

/// The newest findings, shared between who checks and who opens sessions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fitness(Arc<Mutex<Known>>);

impl Fitness {
    /// The findings to open this session with. A session that is asked for again is asked for with the same.
    pub(crate) fn opening(&self, session: SessionId) -> Vec<Unfit> {
        let mut known = self.0.lock();
        if let Some((of, told)) = &known.told
            && *of == session
        {
            return told.clone();
        }
        let now = known.now.clone();
        known.told = Some((session, now.clone()));
        now
    }

    pub(crate) fn set(&self, findings: Vec<Unfit>) {
        let mut known = self.0.lock();
        if gist(&findings) != gist(&known.now) {
            for finding in &findings {
                let Unfit { check, blocks, detail } = finding;
                tracing::warn!(%check, blocks, detail, "a check of this host did not come out well");
            }
            if findings.is_empty() {
                tracing::info!("every check of this host comes out well again");
            }
        }
        known.now = findings;
    }

    /// What has to be told, if the controllers know something else.
    fn due(&self) -> Option<ReportFitness> {
        let known = self.0.lock();
        let (session, told) = known.told.as_ref()?;
        let differs = gist(told) != gist(&known.now);
        differs.then(|| ReportFitness { session: *session, findings: known.now.clone() })
    }

    fn told(&self, report: ReportFitness) {
        let mut known = self.0.lock();
        if let Some((session, told)) = &mut known.told
            && *session == report.session
        {
            *told = report.findings;
        }
    }
}

/// The task that checks now and then.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) host: Host,
    pub(crate) fitness: Fitness,
    pub(crate) calls: Arc<ArcSwap<Calls>>,
}

impl Checker {
    /// Checks for the first time, before any session is asked for.
    pub(crate) async fn begin(mut host: Host, calls: Arc<ArcSwap<Calls>>) -> Result<Self, Failure> {
        let looked = tokio::task::spawn_blocking(move || {
            let found = check(&mut host);
            (host, found)
        });
        let looked = looked.await.map_err(|error| Failure::host("the checks of this host", &error));
        let ((host, found), fitness) = (looked?, Fitness::default());
        fitness.set(found);
        Ok(Self { host, fitness, calls })
    }

    pub(crate) async fn run(self) {
        let Self { mut host, fitness, calls } = self;
        loop {
            tokio::time::sleep(FITNESS_EVERY).await;
            let looked = tokio::task::spawn_blocking(move || {
                let found = check(&mut host);
                (host, found)
            });
            let Ok((back, found)) = looked.await else {
                tracing::error!("the checks of this host broke off; they are not made any more");
                return;
            };
            host = back;
            fitness.set(found);
            let Some(report) = fitness.due() else { continue };
            match calls.load_full().report_fitness(&report).await {
                Ok(()) => fitness.told(report),
                // The next session is opened with what is found then.
                Err(error) if error.code == ErrorCode::SessionStale => {}
                Err(error) => tracing::warn!(%error, "the checks of this host cannot be told"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_agent_core::devices::DeviceKind;
    use sekisho_types::fitness;

    const HOUR: u64 = 3_600_000;

    fn blocks(found: Option<Unfit>) -> Option<bool> {
        let found = found?;
        fitness::check(std::slice::from_ref(&found)).unwrap();
        Some(found.blocks)
    }

    #[test]
    fn each_check_warns_before_it_keeps_work_away() {
        let (from, until) = (Timestamp(100 * HOUR), Timestamp(124 * HOUR));
        let ends = |left| blocks(certificate((from, until), Timestamp(until.0 - left)));
        assert_eq!(
            [24 * HOUR, 6 * HOUR, 6 * HOUR - 1, HOUR, HOUR - 1, 0].map(ends),
            [None, None, Some(false), Some(false), Some(true), Some(true)]
        );
        let off = |off: i64| blocks(clock(Some(off)));
        assert_eq!(
            [0, 5000, -5000, 5001, -15_000, 15_001, -15_001, i64::MIN].map(off),
            [None, None, None, Some(false), Some(false), Some(true), Some(true), Some(true)]
        );
        assert_eq!(clock(None), None, "before the first session nobody says the time");
        assert_eq!(blocks(namespaces(Ok(()))), None);
        assert_eq!(blocks(namespaces(Err("EPERM\nEPERM".repeat(99)))), Some(true));
    }

    #[test]
    fn a_data_directory_that_takes_no_write_keeps_work_away() {
        let dir = tempfile::tempdir().unwrap();
        assert_ne!(blocks(data_dir(dir.path())), Some(true));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it leaves nothing behind");
        std::fs::create_dir(dir.path().join("fitness")).unwrap();
        assert_eq!(blocks(data_dir(dir.path())), Some(true));
        assert_eq!(blocks(data_dir(&dir.path().join("gone"))), Some(true));
    }

    #[test]
    fn sick_devices_are_told_and_none_that_is_healthy_keeps_work_away() {
        let device = |healthy| Device {
            id: "GPU-1".into(),
            gpu: "GPU-1".into(),
            class: "l4".parse().unwrap(),
            memory_mib: 1,
            units: 0,
            watts: 0,
            island: 0,
            index: 0,
            kind: DeviceKind::Whole,
            healthy,
        };
        let of = |all: &[bool]| blocks(devices(Ok(all.iter().map(|h| device(*h)).collect()), None));
        assert_eq!([of(&[]), of(&[true])], [None, None], "a host without devices is no sick one");
        assert_eq!([of(&[true, false]), of(&[false])], [Some(false), Some(true)]);
        assert_eq!(blocks(devices(Err("the driver hangs".into()), None)), Some(true));
        let doubt = |blocks| Some((blocks, "GPU-1 is counted twice".to_owned()));
        let doubtful = |sick: &[bool], of| {
            blocks(devices(Ok(sick.iter().map(|h| device(*h)).collect()), doubt(of)))
        };
        assert_eq!([doubtful(&[true], true), doubtful(&[true], false)], [Some(true), Some(false)]);
        assert_eq!(doubtful(&[true, false], true), Some(true), "not hidden by one that is sick");
        assert_eq!(doubtful(&[false], false), Some(true));
    }

    #[test]
    fn what_changed_is_told_once_and_a_session_is_asked_for_with_one_word() {
        let fitness = Fitness::default();
        let finding = |blocks, detail: &str| unfit("clock", blocks, detail).unwrap();
        assert_eq!(fitness.due(), None, "no session");
        fitness.set(vec![finding(false, "off by 6 s")]);
        let (one, two) = (SessionId([1; 16]), SessionId([2; 16]));
        let first = fitness.opening(one);
        assert_eq!((first.len(), fitness.due()), (1, None));
        fitness.set(vec![finding(false, "off by 7 s")]);
        assert_eq!(fitness.due(), None, "other words only");
        assert_eq!(fitness.opening(one), first, "asked for again");
        fitness.set(vec![finding(true, "off by 20 s")]);
        let report = fitness.due().unwrap();
        assert_eq!((report.session, report.findings[0].blocks), (one, true));
        assert_eq!(fitness.due(), Some(report.clone()), "until it is taken");
        fitness.told(report.clone());
        assert_eq!(fitness.due(), None);
        fitness.set(Vec::new());
        assert!(fitness.due().unwrap().findings.is_empty());
        assert!(fitness.opening(two).is_empty());
        fitness.told(report);
        assert_eq!(fitness.due(), None, "news of a session before");
    }
}
