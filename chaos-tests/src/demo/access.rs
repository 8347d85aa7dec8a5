//! What takes two companies, one after the other; and what one may do alone in an emergency.

use super::Narrator;
use crate::federation::{Federation, rows};
use crate::work::{spec, submit};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// kanto sets the quota of a tenant, and naniwa signs what it has looked at.
pub(super) fn quota_by_approval(federation: &Federation, gpus: &str) -> Result<()> {
    let set = ["quota", "set", "sapporo", "sim-h100", gpus];
    let proposed = &federation.read("kanto", &set)?;
    let name = proposed["approval"].as_str().context("no approval")?;
    let id = name.strip_prefix("approvals/").context("another name")?;
    let shown = &federation.read("naniwa", &["approval", "get", id])?;
    ensure!(shown["state"] == "pending" && shown["signatures_missing"] == 1, "{shown}");
    let change =
        format!("set quota of sapporo for sim-h100 to {gpus}, borrowing none, lending none");
    ensure!(shown["change"] == change.as_str(), "{shown}");
    let digest = shown["digest"].as_str().context("no digest")?;
    let own = federation.run("kanto", &["approval", "sign", id, "--digest", digest])?;
    ensure!(own.code == 5 && own.stderr.contains("APPROVAL_SIGNED"), "twice: {own:?}");
    let other = "0".repeat(64);
    let wrong = federation.run("naniwa", &["approval", "sign", id, "--digest", &other])?;
    ensure!(wrong.code == 4 && wrong.stderr.contains(digest), "another digest: {wrong:?}");
    federation.run("naniwa", &["approval", "sign", id, "--digest", digest])?.ok()?;
    let done = &federation.read("kanto", &["approval", "get", id])?;
    ensure!(done["state"] == "done", "{done}");
    let late = federation.run("hokuto", &["approval", "refuse", id])?;
    ensure!(late.code == 6 && late.stderr.contains("APPROVAL_CLOSED"), "too late: {late:?}");
    Ok(())
}

pub(super) fn break_glass(federation: &Federation, narrator: &mut Narrator) -> Result<()> {
    let job = submit(federation, "miner", &spec("miner", 1, 1, "", "sleep 300"))?;
    federation.await_job(&job, &["running"])?;
    let cancel = ["job", "cancel", &job];
    let denied = federation.run("naniwa", &cancel)?;
    ensure!(denied.code == 4 && denied.stderr.contains("PERMISSION_DENIED"), "{denied:?}");
    let open = ["break-glass", "open", "--reason", "a miner runs", "--for", "10m", "--yes"];
    let opened = &federation.read("naniwa", &open)?;
    let number = opened["revision"].as_u64().context("no revision")?.to_string();
    federation.until("status to show it red", || {
        let status = federation.read("hokuto", &["status"])?;
        let red = |row: &&Value| row["code"] == "BREAK_GLASS_OPEN";
        let findings = rows(&status, "findings");
        let red = findings.iter().find(red).context("not there")?;
        ensure!(red["severity"] == "bad", "{red}");
        Ok(())
    })?;
    federation.run("naniwa", &cancel)?.ok()?;
    federation.await_job(&job, &["cancelled"])?;
    federation.run("naniwa", &["break-glass", "end", &number])?.ok()?;
    let list = federation.read("sapporo", &["break-glass", "list"])?;
    let items = rows(&list, "items");
    let row = items.first().context("it is not listed")?;
    ensure!(row["uses"] == 1 && row["open"] == false, "{row}");
    let again = federation.run("naniwa", &["break-glass", "end", &number])?;
    ensure!(again.code == 6, "ended twice: {again:?}");
    narrator.step(
        "an administrator broke the glass and cancelled another company's job, alone and seen by all",
        &format!("red in status until it was ended; 1 use, for ever in the log (revision {number})"),
    )
}
