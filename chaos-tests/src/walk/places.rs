//! Where a gang stands, and who passes whom.

use super::Walk;
use crate::work::nodes;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub(super) fn gang(walk: &mut Walk) -> Result<()> {
    walk.does("sapporo", "sekisho job submit gang.yaml --wait running", "sapporo/gang: running")?;
    walk.does("sapporo", "sekisho job status sapporo/gang", "ishikari-1/n-02")?;
    let mut on = nodes(&walk.read("sapporo", "job status sapporo/gang")?);
    on.sort();
    ensure!(on == ["sites/ishikari-1/nodes/n-01", "sites/ishikari-1/nodes/n-02"], "{on:?}");
    // Three hosts have room for a member, and no two of them stand at one site.
    walk.does("minato", "sekisho job submit pair.yaml", "queued")?;
    walk.explains("minato/pair", "TOPOLOGY_UNMET")?;
    walk.cancels(&["minato/pair"])?;
    walk.plans("sapporo", "rack.yaml", (11, "TOPOLOGY_NONE"))?;
    walk.cancels(&["sapporo/gang"])
}

/// When at the latest: times of one form, in the order of their text.
fn estimate(found: &Value) -> Result<&str> {
    let at = found.pointer("/estimate/at").and_then(Value::as_str);
    at.with_context(|| format!("no estimate in {found}"))
}

pub(super) fn backfill(walk: &mut Walk) -> Result<()> {
    let before = "sekisho job submit loan.yaml --name before --wait running";
    walk.does("minato", before, "minato/before: running")?;
    walk.does("sapporo", "sekisho job submit gang.yaml --name large", "queued")?;
    let found = walk.explains("sapporo/large", "CAPACITY_FULL")?;
    let basis = found.pointer("/estimate/basis").and_then(Value::as_str);
    ensure!(basis == Some("RUNNING_JOBS_END"), "{found}");
    let large = estimate(&found)?.to_owned();
    walk.does("sapporo", "sekisho job submit quick.yaml --wait running", "sapporo/quick: running")?;
    walk.does("sapporo", "sekisho job submit slow.yaml", "queued")?;
    let found = walk.explains("sapporo/slow", "ROOM_KEPT")?;
    ensure!(estimate(&found)? >= large.as_str(), "{found}");
    let still = walk.read("sapporo", "job explain sapporo/large")?;
    ensure!(estimate(&still)? == large, "the quick one put it off: {still}");
    // It was kept for the larger one, which has it before the slow one.
    walk.cancels(&["sapporo/quick"])?;
    walk.cancels(&["minato/before"])?;
    walk.job("sapporo/large", "running")?;
    walk.job("sapporo/slow", "running")?;
    walk.does("sapporo", "sekisho job list", "sapporo/large")?;
    walk.cancels(&["sapporo/large", "sapporo/slow"])
}
