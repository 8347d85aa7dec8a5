//! Every exit of design section 11: of a plan where a plan can end so, else of the submission that follows one.

use super::{Walk, text};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

/// Members of the federation.
const MEMBERS: [&str; 3] = ["controller-1", "controller-2", "controller-3"];

pub(super) fn each(walk: &mut Walk) -> Result<()> {
    verdicts(walk)?;
    refusals(walk)?;
    without_members(walk)
}

/// 0, 10 and 11, and what follows: a plan that still holds is submitted, one that moved is refused with 5.
fn verdicts(walk: &mut Walk) -> Result<()> {
    let found = walk.plans("sapporo", "night.yaml --name planned", (0, ""))?;
    let next = text(&found, "next").to_owned();
    let guard = next.split_once("--if-plan ").context("no guard in the next command")?.1;
    let twin = format!("sekisho job submit night.yaml --name moved --if-plan {guard}");
    walk.does("sapporo", &next, "sapporo/jobs/planned queued")?;
    walk.job("sapporo/planned", "running")?;
    walk.refused("sapporo", &twin, (5, "PLAN_MOVED"))?;
    let jobs = walk.read("sapporo", "job list")?;
    ensure!(!jobs.to_string().contains("jobs/moved"), "it was submitted all the same: {jobs}");
    walk.plans("sapporo", "night.yaml --name later", (10, "CAPACITY_FULL"))?;
    walk.plans("sapporo", "rack.yaml --name nowhere", (11, "TOPOLOGY_NONE"))?;
    walk.cancels(&["sapporo/planned"])
}

/// 1 to 4 of a plan, 6 of a submission that would rather not wait.
fn refusals(walk: &mut Walk) -> Result<()> {
    walk.refused("sapporo", "sekisho job plan night.yaml > /dev/full", (1, "INTERNAL"))?;
    let wrong = "sed 's/gpus:/gpu:/' night.yaml | sekisho job plan -";
    walk.refused("sapporo", wrong, (2, "SPEC_UNKNOWN_FIELD"))?;
    walk.refused("minato", "sekisho job plan night.yaml", (3, "NOT_FOUND"))?;
    walk.refused("kanto", "sekisho job plan night.yaml", (4, "PERMISSION_DENIED"))?;
    let submit = "sed 's/gpus: 4/gpus: 16/' now-or-never.yaml | sekisho job submit -";
    walk.refused("minato", submit, (6, "QUOTA_NONE"))
}

/// 8 while all members stand still, 7 when they are gone. Nothing comes after it.
fn without_members(walk: &mut Walk) -> Result<()> {
    for member in MEMBERS {
        walk.federation.signal(member, Signal::SIGSTOP)?;
    }
    let plan = "sekisho job plan night.yaml --timeout 1s";
    walk.refused("sapporo", plan, (8, "DEADLINE"))?;
    for member in MEMBERS {
        walk.federation.signal(member, Signal::SIGKILL)?;
        walk.federation.gone(member)?;
    }
    walk.refused("sapporo", plan, (7, "NO_LEADER"))
}
