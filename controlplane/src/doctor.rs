//! `sekisho-controller doctor`: what is wrong with this member and its machine, and what to do about it.
//!
//! Must hold: as of `sekisho-doctor`; besides, no database is opened, whether its member runs or not. So the endorser bundle
//! and the members are those of the files that the settings name: a running member may know later ones.

mod keys;
mod member;

use crate::config::Config;
use crate::trust::Ground;
use sekisho_doctor::args::DoctorArgs;
use sekisho_doctor::catalogue::host::*;
use sekisho_doctor::catalogue::identity::CERTIFICATE;
use sekisho_doctor::catalogue::member::*;
use sekisho_doctor::catalogue::network::{
    LISTEN, MEMBER, MEMBER_OFFLINE, MEMBER_UNEQUIPPED, RESOLVER,
};
use sekisho_doctor::check::Finding;
use sekisho_doctor::host::clock as clocks;
use sekisho_doctor::host::machine::{Needs, machine};
use sekisho_doctor::host::program::running;
use sekisho_doctor::host::{data, sync};
use sekisho_doctor::limit::{
    CONTROLLER_FILES, CONTROLLER_MEMORY, CONTROLLER_SYNC_SLOW, CONTROLLER_SYNCS, MEMBERS_WITHIN,
};
use sekisho_doctor::network::{self, Target};
use sekisho_doctor::report::Report;
use sekisho_doctor::round::Round;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_types::cause::explain;
use sekisho_types::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// The program file that runs here: an upgrade may have put another one in its place.
const OWN: &str = "/proc/self/exe";

/// What the network's checks need.
#[derive(Debug)]
struct Held {
    ground: Arc<Ground>,
    bundles: Option<Arc<TrustBundles>>,
    identity: Option<Identity>,
}

/// Looks at everything.
pub async fn examine(args: &DoctorArgs, clock: Arc<dyn Clock>) -> Report {
    let mut round = Round::new();
    let path = args.config.clone();
    let read = round.fetch(&SETTINGS, move || Config::load(&path)).await;
    match read {
        Some(Ok(config)) => {
            let config = Arc::new(config);
            round.note(settings(&args.config, &config));
            everything(&mut round, &config, &clock, args.offline).await;
        }
        Some(Err(error)) => {
            round.note([Finding::new(&SETTINGS_REFUSED).with("cause", explain(&error))]);
            machine(&mut round, &clock, needs(None), vec![clocks::oldest()]).await;
        }
        None => machine(&mut round, &clock, needs(None), vec![clocks::oldest()]).await,
    }
    Report::new("sekisho-controller", env!("CARGO_PKG_VERSION"), round.findings())
}

/// Where the paths lead, and which of them lead nowhere. Optional keys are told by their own checks.
fn settings(file: &Path, config: &Config) -> Vec<Finding> {
    let needed = [
        ("genesis", Some(config.genesis.as_path())),
        ("identity_dir", Some(config.identity_dir.as_path())),
        ("package", config.package.as_deref()),
    ];
    let optional = [
        ("issuer_dir", config.issuer_dir.as_deref()),
        ("site_tag_key", config.site_tag_key.as_deref()),
        ("checkpoint_key", config.checkpoint_key.as_deref()),
        ("login.registrar_dir", config.login.as_ref().map(|login| login.registrar_dir.as_path())),
    ];
    let data = [("data_dir", Some(config.data_dir.as_path()))];
    let all = data.into_iter().chain(needed).chain(optional);
    // Relative paths count from the working directory: a service has another one than a shell.
    let shown = all.filter_map(|(name, path)| {
        let whole = std::path::absolute(path?).ok()?;
        Some(format!("{name} {}", whole.display()))
    });
    let paths = shown.collect::<Vec<_>>().join(", ");
    let read = Finding::new(&SETTINGS_READ).with("file", file.display()).with("paths", paths);
    let missing = needed.into_iter().filter_map(|(what, path)| {
        let path = path.filter(|path| !path.exists())?;
        Some(Finding::new(&PATH_MISSING).with("what", what).with("path", path.display()))
    });
    std::iter::once(read).chain(missing).collect()
}

async fn everything(
    round: &mut Round,
    config: &Arc<Config>,
    clock: &Arc<dyn Clock>,
    offline: bool,
) {
    let pid = program(round, config).await;
    directories(round, config, pid).await;
    let held = trusted(round, config, clock).await;
    let known = clocks::written(&config.data_dir.join("boot"));
    let known = known.into_iter().chain([clocks::oldest()]).collect();
    machine(round, clock, needs(pid), known).await;
    let addresses = [Some(config.listen), config.metrics.as_ref().map(|metrics| metrics.listen)];
    let listen = move || {
        addresses.into_iter().flatten().map(|address| network::listen(address, pid)).collect()
    };
    round.look(&LISTEN, listen).await;
    round.ask(&RESOLVER, MEMBERS_WITHIN, network::resolvers(&config.resolvers, offline)).await;
    members(round, config, clock, held.as_ref(), offline).await;
}

async fn program(round: &mut Round, config: &Config) -> Option<u32> {
    let dir = config.data_dir.clone();
    let look = move || {
        let lock = sekisho_store::look(&dir).map_or_else(|_error| dir.join("lock"), |at| at.lock);
        running(&lock, Path::new(OWN))
    };
    let (pid, finding) = match round.fetch(&RUNNING, look).await? {
        Ok((pid, finding)) => (pid, finding),
        Err(error) => (None, Finding::told(&RUNNING, Err(error))),
    };
    round.note([finding]);
    pid
}

async fn directories(round: &mut Round, config: &Arc<Config>, pid: Option<u32>) {
    let dir = || config.data_dir.clone();
    let path = dir();
    round.look(&DATA_DIR, move || vec![data::directory(&path, pid, true)]).await;
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
    let sync =
        move || vec![sync::sync(data::existing(&path), CONTROLLER_SYNCS, CONTROLLER_SYNC_SLOW)];
    round.look(&DATA_SYNC, sync).await;
}

/// Genesis and package, the marks, the own certificate, the keys.
async fn trusted(round: &mut Round, config: &Arc<Config>, clock: &Arc<dyn Clock>) -> Option<Held> {
    let settings = Arc::clone(config);
    let ground = round.fetch(&GROUND, move || Ground::read(&settings)).await?;
    let ground = match ground {
        Ok(ground) => Some(Arc::new(ground)),
        Err(error) => {
            round.note([Finding::new(&GROUND_BAD).with("cause", explain(&error))]);
            None
        }
    };
    round.note(ground.as_deref().map(|ground| member::ground(config, ground)));
    let (settings, of) = (Arc::clone(config), ground.clone());
    round.look(&DIRECTORY, move || vec![member::directory(&settings, of.as_deref())]).await;
    let (settings, of, now) = (Arc::clone(config), ground.clone(), Arc::clone(clock));
    let identified =
        round.fetch(&CERTIFICATE, move || keys::identity(&settings, of.as_deref(), &now)).await;
    let (findings, identity, bundles) = identified?;
    round.note(findings);
    let ground = ground?;
    let (settings, of) = (Arc::clone(config), Arc::clone(&ground));
    round.look(&CHECKPOINT_KEY, move || keys::checkpoint_key(&settings, &of)).await;
    let (settings, of, now) = (Arc::clone(config), Arc::clone(&ground), clock.wall());
    round.look(&ISSUER, move || keys::issuer(&settings, &of, now)).await;
    let (settings, of) = (Arc::clone(config), Arc::clone(clock));
    round.look(&LOGIN, move || keys::login(&settings, &of)).await;
    Some(Held { ground, bundles, identity })
}

const fn needs(pid: Option<u32>) -> Needs {
    Needs { pid, files: CONTROLLER_FILES, memory: CONTROLLER_MEMORY }
}

async fn members(
    round: &mut Round,
    config: &Config,
    clock: &Arc<dyn Clock>,
    held: Option<&Held>,
    offline: bool,
) {
    let Some(Held { ground, bundles: Some(bundles), identity: Some(identity) }) = held else {
        return round.note([Finding::new(&MEMBER_UNEQUIPPED)]);
    };
    if offline {
        return round.note([Finding::new(&MEMBER_OFFLINE)]);
    }
    let dialer = Dialer::new(Some(identity.clone()), Arc::clone(bundles));
    let dialer = dialer.asking(config.names().unwrap_or_default());
    let others = ground.known().members.into_iter().filter(|(id, _)| *id != config.member());
    let targets = others.map(|(id, node)| Target {
        name: format!("members/{}", id.0),
        principal: node.principal(id),
        address: node.address,
    });
    let targets: Vec<Target> = targets.collect();
    let ask = async {
        let asked = network::ask(&dialer, &**clock, targets).await;
        let mut findings = network::members(&asked, clock.wall());
        findings.push(network::majority(&asked));
        findings.extend(network::clocks(&asked));
        findings
    };
    round.ask(&MEMBER, MEMBERS_WITHIN, ask).await;
}

#[cfg(test)]
mod tests;
