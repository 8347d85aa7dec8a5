//! Where jobs land, and why some wait.

use super::{Narrator, access};
use crate::federation::Federation;
use crate::work::{nodes, spec, submit};
use anyhow::{Context as _, Result, ensure};

pub(super) fn bound_to_hokkaido(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let job =
        submit(federation, "hokkaido", &spec("hokkaido", 1, 1, "Hokkaido", "echo 札幌の計算"))?;
    let done = federation.await_job(&job, &["succeeded"])?;
    let nodes = nodes(&done);
    ensure!(nodes.iter().all(|node| node.contains("ishikari-1")), "it ran on {nodes:?}");
    let printed = federation.until("its output", || {
        let logs = federation.run("sapporo", &["job", "logs", &job])?.ok()?;
        ensure!(logs.stdout.contains("札幌の計算"), "{}", logs.stdout);
        Ok(logs.stdout)
    })?;
    narrator.step(
        "a job bound to Hokkaido ran in Ishikari, and its output came back",
        &format!("{}: {}", nodes.join(", "), printed.trim()),
    )
}

pub(super) fn gang(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let job = submit(federation, "gang", &spec("gang", 2, 2, "Hokkaido", "sleep 1"))?;
    let done = federation.await_job(&job, &["succeeded"])?;
    let mut nodes = nodes(&done);
    nodes.sort();
    nodes.dedup();
    ensure!(nodes.len() == 2, "its members ran on {nodes:?}");
    narrator.step("a gang of two landed whole, in one log entry", &nodes.join(" + "))
}

pub(super) fn topology(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let asking = |name: &str, group, topology: &str| {
        let spec = spec(name, group, 1, "", "sleep 1");
        submit(federation, name, &format!("{spec}topology: {topology}\n"))
    };
    let wide = asking("wide", 2, "{ within: site, spread: { over: rack, at_least: 2 } }")?;
    let done = federation.await_job(&wide, &["succeeded"])?;
    let mut nodes = nodes(&done);
    nodes.sort();
    nodes.dedup();
    ensure!(nodes.len() == 2, "its members ran on {nodes:?}");
    let rack = asking("rack", 2, "{ within: rack }")?;
    federation.await_job(&rack, &["queued"])?;
    let why = federation.run("sapporo", &["job", "explain", &rack])?;
    ensure!(why.stdout.contains("TOPOLOGY_NONE"), "explain says: {}{}", why.stdout, why.stderr);
    federation.run("sapporo", &["job", "cancel", &rack])?.ok()?;
    narrator.step(
        "a gang stood in two racks of a site, as it asked; one that asked for one rack never will: none there has two hosts",
        &nodes.join(" + "),
    )
}

pub(super) fn nowhere(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let job = submit(federation, "okinawa", &spec("okinawa", 1, 1, "JP-47", "true"))?;
    let waiting = federation.await_job(&job, &["queued"])?;
    ensure!(nodes(&waiting).is_empty());
    let why = federation.run("sapporo", &["job", "explain", &job])?;
    ensure!(why.stdout.contains("RESIDENCY_AREA"), "explain says: {}{}", why.stdout, why.stderr);
    federation.run("sapporo", &["job", "cancel", &job])?.ok()?;
    narrator.step(
        "a job for Okinawa, where nobody has a site, waits; explain says why",
        "RESIDENCY_AREA: never, by these rules",
    )
}

pub(super) fn over_quota(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    // Two companies sign: a quota is everyone's.
    access::quota_by_approval(federation, "4").context("a quota by approval")?;
    let holder = submit(federation, "holder", &spec("holder", 1, 3, "", "sleep 300"))?;
    federation.await_job(&holder, &["running"])?;
    let waits = submit(federation, "waits", &spec("waits", 1, 2, "", "true"))?;
    federation.until("explain to name the quota", || {
        let why = federation.run("sapporo", &["job", "explain", &waits])?;
        ensure!(why.stdout.contains("QUOTA_EXCEEDED"), "{}{}", why.stdout, why.stderr);
        Ok(())
    })?;
    federation.await_job(&waits, &["queued"])?;
    federation.run("sapporo", &["job", "cancel", &holder])?.ok()?;
    federation.await_job(&waits, &["succeeded"])?;
    narrator.step(
        "a job over its quota waited, and ran as soon as GPUs were given back",
        "QUOTA_EXCEEDED at 4 GPUs, then succeeded; kanto proposed the quota, naniwa looked at it and signed",
    )
}
