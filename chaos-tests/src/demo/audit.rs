//! The bundle that an auditor takes home.

use super::Narrator;
use crate::federation::Federation;
use anyhow::{Context as _, Result, ensure};

pub(super) fn verified_and_altered(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let bundle = federation.dir().join("bundle.bin").to_string_lossy().into_owned();
    federation.until("the log to be covered by two companies' signatures", || {
        federation.run("kanto", &["audit", "export", &bundle])?.ok().map(drop)
    })?;
    let good = federation.run("kanto", &["audit", "verify", &bundle])?;
    ensure!(good.code == 0, "a true bundle was refused: {}{}", good.stdout, good.stderr);
    let mut bytes = std::fs::read(&bundle)?;
    let middle = bytes.len().checked_div(2).context("an empty bundle")?;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let altered = federation.dir().join("altered.bin").to_string_lossy().into_owned();
    std::fs::write(&altered, &bytes)?;
    let bad = federation.run("kanto", &["audit", "verify", &altered])?;
    ensure!(bad.code == 1, "an altered bundle gave exit {}: {}", bad.code, bad.stdout);
    narrator.step(
        "the exported audit bundle verified offline; with one flipped byte it did not",
        &format!("{} bytes, every placement judged again", bytes.len()),
    )
}
