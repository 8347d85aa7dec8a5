//! `sekisho-agent doctor`: what is wrong with this host, and what to do about it.
//!
//! Must hold: as of `sekisho-doctor`; besides, it is of use before the host has joined, and what cannot be read by whoever asks
//! is told as that and not as wrong.

mod devices;
mod jail;
mod node;

use crate::config::{Config, Devices as Choice};
use crate::enrolment::Enrolment;
use crate::ledger::LedgerFile;
use devices::room_for_output;
use node::Held;
use sekisho_agent_runtime::guard::Guard;
use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_doctor::args::DoctorArgs;
use sekisho_doctor::catalogue::any::ANY_OTHER_USER;
use sekisho_doctor::catalogue::host::*;
use sekisho_doctor::catalogue::network::{
    MEMBER, MEMBER_OFFLINE, MEMBER_UNEQUIPPED, MEMBER_UNJOINED, RESOLVER,
};
use sekisho_doctor::catalogue::node::*;
use sekisho_doctor::check::Finding;
use sekisho_doctor::host::clock::{self as clocks, Known};
use sekisho_doctor::host::machine::{Needs, machine};
use sekisho_doctor::host::program::{Same, holder, other_user, running, same_program};
use sekisho_doctor::host::{data, jail as confine, sync};
use sekisho_doctor::limit::{
    AGENT_FILES, AGENT_MEMORY, AGENT_SYNC_SLOW, AGENT_SYNCS, DRIVER_WITHIN, MEMBERS_WITHIN,
};
use sekisho_doctor::network::{self, Target};
use sekisho_doctor::report::Report;
use sekisho_doctor::round::Round;
use sekisho_transport::dial::Dialer;
use sekisho_types::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// The program file that runs here: an upgrade may have put another one in its place.
const OWN: &str = "/proc/self/exe";

/// What a look needs.
#[derive(Debug, Clone)]
pub struct Examined {
    /// How to run the shim, for the probe of namespaces.
    pub shim: ShimCommand,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Looks at everything.
pub async fn examine(args: &DoctorArgs, with: &Examined) -> Report {
    let mut round = Round::new();
    let path = args.config.clone();
    let read = round.fetch(&SETTINGS, move || Config::load(&path)).await;
    match read {
        Some(Ok(config)) => {
            let config = Arc::new(config);
            round.note([settings(&args.config, &config), area(&config)]);
            everything(&mut round, &config, with, args.offline).await;
        }
        Some(Err(failure)) => {
            round.note([Finding::new(&SETTINGS_REFUSED).with("cause", failure.cause)]);
            machine(&mut round, &with.clock, needs(None), Vec::new()).await;
        }
        None => machine(&mut round, &with.clock, needs(None), Vec::new()).await,
    }
    Report::new("sekisho-agent", env!("CARGO_PKG_VERSION"), round.findings())
}

fn settings(file: &Path, config: &Config) -> Finding {
    let mut paths = vec![
        format!("data_dir {}", config.data_dir.display()),
        format!("placements {}", config.runtime_dir().display()),
    ];
    if let Choice::Simulated { .. } = &config.devices {
        paths.push(format!("devices {}", config.devices_dir().display()));
    }
    if let Some(token) = &config.token {
        paths.push(format!("token {}", token.display()));
    }
    Finding::new(&SETTINGS_READ).with("file", file.display()).with("paths", paths.join(", "))
}

fn area(config: &Config) -> Finding {
    let inside = config.area.domestic().is_some();
    Finding::new(if inside { &AREA_INSIDE } else { &AREA_ABROAD }).with("area", &config.area)
}

async fn everything(round: &mut Round, config: &Arc<Config>, with: &Examined, offline: bool) {
    let pid = program(round, config).await;
    directories(round, config, pid).await;
    let held = enrolled(round, config, with).await;
    let known = known(config, held.as_ref());
    machine(round, &with.clock, needs(pid), known).await;
    jails(round, config, with, pid).await;
    let (settings, runs) = (Arc::clone(config), pid.is_some());
    let devices = move || devices::devices(&settings, runs);
    let looked = round.fetch_within(&DEVICES, DRIVER_WITHIN, devices).await;
    let (found, count) = looked.unwrap_or_default();
    round.note(found);
    let settings = Arc::clone(config);
    round.look(&TRACES, move || vec![devices::traces(&settings)]).await;
    let settings = Arc::clone(config);
    round.look(&OUTPUT_SPACE, move || vec![room_for_output(&settings, count)]).await;
    let root = config.runtime_dir();
    round.look(&WATCHDOG, move || vec![watches(&root, pid)]).await;
    round.ask(&RESOLVER, MEMBERS_WITHIN, network::resolvers(&config.resolvers, offline)).await;
    members(round, config, with, held.as_ref(), offline).await;
}

/// What jobs are confined by. What another user than the agent's could do says nothing of it.
async fn jails(round: &mut Round, config: &Config, with: &Examined, pid: Option<u32>) {
    if let Some(other) = pid.and_then(other_user) {
        let hidden = Finding::new(&ANY_OTHER_USER).with("user", other);
        round.note([&NAMESPACES, &CGROUPS].map(|check| hidden.clone().of(check)));
    } else {
        let (shim, run_as) = (with.shim.clone(), config.run_as.is_some());
        round.look(&NAMESPACES, move || vec![jail::namespaces(&shim, run_as)]).await;
        round.look(&CGROUPS, move || vec![confine::cgroups(pid)]).await;
    }
    round.look(&SECCOMP, || vec![confine::seccomp()]).await;
}

/// Who runs the agent of this data directory.
async fn program(round: &mut Round, config: &Config) -> Option<u32> {
    let lock = config.data_dir.join("lock");
    let found = round.fetch(&RUNNING, move || running(&lock, Path::new(OWN))).await?;
    let (pid, finding) = match found {
        Ok((pid, finding)) => (pid, finding),
        Err(error) => (None, Finding::told(&RUNNING, Err(error))),
    };
    round.note([finding]);
    pid
}

async fn directories(round: &mut Round, config: &Config, pid: Option<u32>) {
    let dir = || config.data_dir.clone();
    let path = dir();
    round.look(&DATA_DIR, move || vec![data::directory(&path, pid, false)]).await;
    let path = dir();
    let file_system = move || vec![Finding::told(&DATA_FS, data::file_system(&path))];
    round.look(&DATA_FS, file_system).await;
    let path = dir();
    let space = move || {
        let space = data::room(&path).map(|room| data::space(&path, room));
        vec![Finding::told(&DATA_SPACE, space)]
    };
    round.look(&DATA_SPACE, space).await;
    let path = dir();
    round
        .look(&DATA_SYNC, move || {
            vec![sync::sync(data::existing(&path), AGENT_SYNCS, AGENT_SYNC_SLOW)]
        })
        .await;
    let path = config.runtime_dir();
    round.look(&RUNTIME_DIR, move || vec![runtime_dir(&path)]).await;
}

fn runtime_dir(path: &Path) -> Finding {
    Finding::told(&RUNTIME_DIR, data::room(path).map(|room| judge_runtime_dir(path, room)))
}

fn judge_runtime_dir(path: &Path, room: data::Room) -> Finding {
    let outcome = if room.noexec { &RUNTIME_DIR_NOEXEC } else { &RUNTIME_DIR_SOUND };
    Finding::new(outcome).with("path", path.display()).with("flag", "noexec")
}

/// Enrolment, ledger, certificate and tag.
async fn enrolled(round: &mut Round, config: &Arc<Config>, with: &Examined) -> Option<Held> {
    let (settings, clock) = (Arc::clone(config), Arc::clone(&with.clock));
    let looked = round.fetch(&ENROLMENT, move || node::look(&settings, &clock)).await;
    let (findings, held) = looked?;
    round.note(findings);
    held
}

/// What is known to have happened before now.
fn known(config: &Config, held: Option<&Held>) -> Vec<Known> {
    let mut known = vec![clocks::oldest()];
    known.extend(clocks::written(LedgerFile::of(&config.data_dir).path()));
    known.extend(clocks::written(&Enrolment::path(&config.data_dir)));
    if let Some(issued) = held.and_then(|held| held.tagged) {
        known.push(Known { at: issued, what: TAG.id.to_owned() });
    }
    known
}

const fn needs(pid: Option<u32>) -> Needs {
    Needs { pid, files: AGENT_FILES, memory: AGENT_MEMORY }
}

fn watches(root: &Path, agent: Option<u32>) -> Finding {
    let found = match holder(&root.join(Guard::Watchdog.file_name())) {
        Ok(found) => found,
        Err(error) => return Finding::told(&WATCHDOG, Err(error)),
    };
    let Some(pid) = found else {
        return agent.map_or_else(
            || Finding::new(&WATCHDOG_IDLE),
            |agent| Finding::new(&WATCHDOG_NONE).with("agent", agent),
        );
    };
    let outcome = match same_program(pid, Path::new(OWN)) {
        Same::No => &WATCHDOG_OLD,
        Same::Yes | Same::Hidden => &WATCHDOG_RUNS,
    };
    Finding::new(outcome).with("pid", pid)
}

async fn members(
    round: &mut Round,
    config: &Config,
    with: &Examined,
    held: Option<&Held>,
    offline: bool,
) {
    let Some(held) = held else {
        return round.note([Finding::new(&MEMBER_UNJOINED)]);
    };
    let (Some(identity), Some(trust)) = (&held.identity, &held.trust) else {
        return round.note([Finding::new(&MEMBER_UNEQUIPPED)]);
    };
    if offline {
        return round.note([Finding::new(&MEMBER_OFFLINE)]);
    }
    let dialer = Dialer::new(Some(identity.clone()), Arc::clone(trust));
    let dialer = dialer.asking(config.names().unwrap_or_default());
    let clock = Arc::clone(&with.clock);
    let targets: Vec<Target> = held.targets();
    let k = held.bundle.k;
    let ask = async {
        let asked = network::ask(&dialer, &*clock, targets).await;
        let mut findings = network::members(&asked, clock.wall());
        findings.push(network::operators(&asked, k));
        findings.extend(network::clocks(&asked));
        findings
    };
    round.ask(&MEMBER, MEMBERS_WITHIN, ask).await;
}

#[cfg(test)]
mod tests;
