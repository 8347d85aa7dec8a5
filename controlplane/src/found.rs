//! Leaving one incarnation and beginning the next: `sekisho-controller found` and `retire`.
//!
//! Must hold (R6): a founder is set up from the very file that the operators agreed on, into a directory of its own; a
//! member of the incarnation before that was retired never starts again, whatever its settings say.

use crate::config::Config;
use crate::trust::{self, Ground};
use anyhow::{Context as _, Result, bail};
use sekisho_evidence::merkle::Head;
use sekisho_evidence::package::{TrustPackage, opening};
use sekisho_evidence::snapshot_file::SnapshotReader;
use sekisho_evidence::terms::Agreement;
use sekisho_raft::found::found;
use sekisho_store::Store;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::pki::backup::BackupIdentity;
use sekisho_transport::seal;
use sekisho_types::time::Clock as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

/// Sets up the data directory of the founder that `config` describes, from a sealed backup and the key to it.
///
/// # Errors
/// What is missing or does not fit, in words. Done again, it goes on where it was cut off.
pub fn set_up(config: &Config, snapshot: &Path, identity: &Path) -> Result<Head> {
    let ground = Ground::read(config)?;
    let Some(agreement) = ground.trust.opened.clone() else {
        bail!(
            "the package of this member opens no incarnation: name the one that `operator sign` wrote as `package`"
        );
    };
    let identity =
        BackupIdentity::read(identity).with_context(|| identity.display().to_string())?;
    let file = File::open(snapshot).with_context(|| snapshot.display().to_string())?;
    let opened = seal::open(&identity, BufReader::new(file))
        .with_context(|| snapshot.display().to_string())?;
    let reader = SnapshotReader::open(opened).with_context(|| snapshot.display().to_string())?;
    let base = between(&reader.head().package, &ground.package)?;
    let clock = Arc::new(SystemClock);
    let now = clock.wall().0;
    let store = Store::open(&ground.open_request(config, Some(now), clock))
        .with_context(|| format!("data directory {}", config.data_dir.display()))?;
    Ok(found(&store, ground.origin(), reader, &base, &agreement)?)
}

/// The steps that lead from the backup's bundle to the last opening.
fn between(backup: &TrustPackage, package: &TrustPackage) -> Result<Vec<Agreement>> {
    let known = backup.steps.len();
    let opens = package.steps.iter().rposition(|step| opening(step).is_some());
    let same = package.genesis == backup.genesis && package.steps.starts_with(&backup.steps);
    let steps = opens.filter(|_| same).and_then(|opens| package.steps.get(known..opens));
    let steps =
        steps.context("the backup is of another federation, or further on than the package")?;
    Ok(steps.iter().map(|step| step.as_ref().clone()).collect())
}

/// Makes a stopped member of the incarnation before never start again. Returns the incarnation that it gave way to.
///
/// # Errors
/// The member runs, or the package does not lead from what it trusts to a later incarnation.
pub fn retire(config: &Config, package: &Path) -> Result<u64> {
    let mut ground = Ground::read(config)?;
    let own = ground.origin().incarnation;
    let store = Store::open(&ground.open_request(config, None, Arc::new(SystemClock)))
        .with_context(|| format!("data directory {}", config.data_dir.display()))?;
    ground.resume(&store);
    let bytes = std::fs::read(package).with_context(|| package.display().to_string())?;
    let led = TrustPackage::open(&bytes).with_context(|| package.display().to_string())?;
    let trust = led.walk(&ground.trust.bundle).with_context(|| package.display().to_string())?;
    if trust.bundle.incarnation <= own {
        bail!("{}: opens no incarnation after {own}", package.display());
    }
    trust::keep(&store, &bytes)?;
    Ok(trust.bundle.incarnation.0)
}
