//! Quotas in a tree, and budgets.

use super::{Walk, item, number, text};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const SAPPORO: &str = "tenants/sapporo/quotas/sim-h100";
const MINATO: &str = "tenants/minato/quotas/sim-h100";

/// The fleet, and who shares it.
pub(super) fn stands(walk: &mut Walk) -> Result<()> {
    walk.does("kanto", "sekisho node list", "ishikari-1/n-02")?;
    walk.does("kanto", "sekisho offer list", "sakai-1")?;
    let tree = "sekisho tenant create joint --display-name 'Joint project'";
    walk.does("kanto", tree, "tenants/joint created")?;
    for part in ["sapporo", "minato"] {
        let line = format!("sekisho tenant update {part} --parent joint --cosign naniwa");
        walk.does("kanto", &line, "updated")?;
    }
    let lends = "sekisho quota set sapporo sim-h100 6 --lend 4 --cosign naniwa";
    walk.does("kanto", lends, " set ")?;
    // One is signed as real companies do it: each by its own person.
    let borrows = "sekisho quota set minato sim-h100 4 --borrow 4";
    let next = |said: &str| {
        let next = said.lines().find_map(|line| line.strip_prefix("next: "));
        next.map(str::to_owned).context("no next command")
    };
    let looks = next(&walk.types("kanto", borrows, 0)?)?;
    let shown = walk.types("naniwa", &looks, 0)?;
    ensure!(shown.contains("sim-h100"), "{shown}");
    walk.does("naniwa", &next(&shown)?, "signed")?;
    walk.does("kanto", "sekisho quota status", "minato")?;
    let list = walk.read("kanto", "quota list")?;
    let (lent, borrowed) = (item(&list, SAPPORO)?, item(&list, MINATO)?);
    ensure!(text(&lent, "limit") == "6" && text(&lent, "lending") == "4", "{lent}");
    ensure!(text(&borrowed, "limit") == "4" && text(&borrowed, "borrowing") == "4", "{borrowed}");
    Ok(())
}

/// How much of a quota is used, and borrowed.
fn use_of(walk: &Walk, quota: &str) -> Result<(u64, u64)> {
    let row = item(&walk.read("kanto", "quota status")?, quota)?;
    let of = |field: &str| number(&row, field).with_context(|| format!("no {field}"));
    Ok((of("used")?, of("borrowed")?))
}

pub(super) fn borrow(walk: &mut Walk) -> Result<()> {
    let own = "sekisho job submit train.yaml --name own --wait running";
    walk.does("minato", own, "minato/own: running")?;
    walk.does("minato", "sekisho job submit loan.yaml --wait running", "minato/loan: running")?;
    walk.does("minato", "sekisho quota status", "sim-h100")?;
    let used = use_of(walk, MINATO)?;
    ensure!(used == (8, 4), "used and borrowed: {used:?}");
    walk.does("minato", "sekisho job submit train.yaml --name third", "queued")?;
    walk.explains("minato/third", "QUOTA_EXCEEDED")?;
    walk.cancels(&["minato/third"])
}

/// Sapporo asks for its own: the loan is moved, and the job that minato has of its own is not.
pub(super) fn reclaim(walk: &mut Walk) -> Result<()> {
    let night = "sekisho job submit night.yaml --wait running";
    walk.does("sapporo", night, "sapporo/night: running")?;
    walk.does("sapporo", "sekisho job status sapporo/night", "ishikari-1/n-01")?;
    let loan = walk.job("minato/loan", "queued")?;
    ensure!(number(&loan, "attempts") == Some(0), "being moved counts as an attempt: {loan}");
    walk.does("minato", "sekisho job list", "minato/loan")?;
    walk.job("minato/own", "running")?;
    walk.does("kanto", "sekisho quota status", "sapporo")?;
    let used = (use_of(walk, SAPPORO)?, use_of(walk, MINATO)?);
    ensure!(used == ((4, 0), (4, 0)), "used and borrowed: {used:?}");
    walk.cancels(&["sapporo/night"])?;
    walk.job("minato/loan", "running")?;
    walk.does("minato", "sekisho job list", "minato/loan")?;
    let used = use_of(walk, MINATO)?;
    ensure!(used == (8, 4), "used and borrowed: {used:?}");
    walk.cancels(&["minato/own", "minato/loan"])
}

/// What is charged to the budget in its present period, thousandths of a GPU-hour.
fn charged(walk: &Walk) -> Result<u64> {
    let row = item(&walk.read("kanto", "budget list")?, "tenants/minato/budgets/trial")?;
    let charged = row.pointer("/spent/charged_milli").and_then(Value::as_u64);
    charged.with_context(|| format!("nothing is spent of {row}"))
}

pub(super) fn budget(walk: &mut Walk) -> Result<()> {
    // One span: what runs over the end of a period is charged to both.
    let span = "--from 2026-04-01 --until 2036-04-01";
    let make = format!("sekisho budget set minato trial 6 --unit gpu-hours {span} --cosign naniwa");
    walk.does("kanto", &make, "created")?;
    let submit = |name: &str| format!("sekisho job submit train.yaml --name {name}");
    walk.does("minato", &format!("{} --wait running", submit("paid")), "running")?;
    walk.does("minato", &submit("unpaid"), "queued")?;
    walk.explains("minato/unpaid", "BUDGET_EXHAUSTED")?;
    walk.does("minato", "sekisho quota status", "sim-h100")?;
    walk.refused("minato", "sekisho job submit now-or-never.yaml", (6, "BUDGET_EXHAUSTED"))?;
    let ahead = charged(walk)?;
    ensure!(ahead == 4000, "charged ahead: {ahead}");
    // What a job does not use comes back at its end, and the next one is placed.
    walk.cancels(&["minato/paid"])?;
    walk.job("minato/unpaid", "running")?;
    walk.does("minato", "sekisho budget list", "trial")?;
    let after = charged(walk)?;
    ensure!((4000..5000).contains(&after), "refunded and charged: {after}");
    walk.cancels(&["minato/unpaid"])?;
    walk.does("kanto", "sekisho budget set minato trial 3 --cosign naniwa", "updated")?;
    walk.plans("minato", "train.yaml --name dear", (11, "BUDGET_TOO_SMALL"))?;
    let delete = "sekisho budget delete minato trial";
    walk.refused("kanto", delete, (2, "CONFIRMATION_MISSING"))?;
    walk.does("kanto", &format!("{delete} --yes --cosign naniwa"), "deleted")
}
