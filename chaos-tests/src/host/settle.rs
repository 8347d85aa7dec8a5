//! After the trouble: everything converges, and nothing is left over (L1, P6, Q2, R1).

use super::census::Seen;
use super::fleet::Fleet;
use super::limit::SETTLE;
use super::load::{Book, Shell, refresh, told};
use crate::federation::rows;
use crate::work::{self, lost};
use anyhow::{Context as _, Result, ensure};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Jobs that one call cancels.
const AT_ONCE: usize = 64;
/// GPUs of the development federation.
const GPUS: usize = 14;

/// Waits until all is well, ends every job, and looks for what is left. The drill has ended all trouble and all load.
///
/// # Errors
/// The first promise that does not hold.
pub fn settle(fleet: &Fleet, book: &Mutex<Book>) -> Result<()> {
    let federation = &fleet.federation;
    let shell = Shell::of(federation);
    fleet.ready().context("L1")?;
    let acknowledged = book.lock().acknowledged.clone();
    let gone = lost(federation, &acknowledged)?;
    ensure!(gone.is_empty(), "R1: acknowledged and lost: {gone:?}");
    let patient = |what: &str, look: &mut dyn FnMut() -> Result<()>| {
        federation.until_within(SETTLE, what, look)
    };
    patient("P6: what runs and what is placed to be the same", &mut || same(fleet, &shell, book))?;
    patient("Q2: every job to end", &mut || {
        refresh(&shell, book)?;
        let open = book.lock().open();
        for some in open.chunks(AT_ONCE) {
            let mut args = vec!["job", "cancel"];
            args.extend(some.iter().map(String::as_str));
            // One that ended meanwhile refuses the whole call; those that are left are cancelled at the next look.
            if shell.run("sapporo", &args).is_err() {
                for job in some {
                    drop(shell.run("sapporo", &["job", "cancel", job]));
                }
            }
        }
        ensure!(open.is_empty(), "open: {open:?}");
        Ok(())
    })?;
    patient("Q2: nothing to be charged and nothing to run", &mut || idle(fleet))?;
    whole(fleet)
}

/// P6, both ways.
fn same(fleet: &Fleet, shell: &Shell, book: &Mutex<Book>) -> Result<()> {
    refresh(shell, book)?;
    let mut placed = BTreeSet::new();
    let running: Vec<String> = {
        let book = book.lock();
        let phases = book.phases.iter();
        phases.filter(|(_, phase)| *phase == "running").map(|(job, _)| job.clone()).collect()
    };
    for job in running {
        let found = shell.run("sapporo", &["job", "status", &job, "-o", "json"])?;
        let found: Value = serde_json::from_str(&found)?;
        for placement in rows(&found, "placements") {
            if told(&placement, "phase") == "running" {
                let node = told(&placement, "node");
                let node = node.trim_start_matches("sites/").replace("/nodes/", "/");
                placed.insert((node, told(&placement, "id").to_owned()));
            }
        }
    }
    let seen = fleet.board.seen.lock().clone();
    let runs: BTreeSet<(String, String)> = seen
        .iter()
        .filter(|seen| seen.is_job())
        .filter_map(|seen| Some((fleet.hosts.get(seen.host)?.node.clone(), seen.key.clone())))
        .collect();
    let orphans: Vec<_> = runs.difference(&placed).collect();
    let ghosts: Vec<_> = placed.difference(&runs).collect();
    ensure!(orphans.is_empty() && ghosts.is_empty(), "orphans {orphans:?}, ghosts {ghosts:?}");
    Ok(())
}

/// Nothing runs, and nothing is charged (Q2).
///
/// # Errors
/// What does, or is.
pub fn idle(fleet: &Fleet) -> Result<()> {
    let left: Vec<Seen> = fleet.board.seen.lock().clone();
    ensure!(left.is_empty(), "processes: {left:?}");
    let quotas = fleet.federation.read("kanto", &["quota", "list"])?;
    let charged: Vec<Value> =
        rows(&quotas, "items").into_iter().filter(|quota| quota["used"] != 0).collect();
    ensure!(charged.is_empty(), "charged: {charged:?}");
    Ok(())
}

/// Every device can be had again: one job on each, all at once.
fn whole(fleet: &Fleet) -> Result<()> {
    let federation = &fleet.federation;
    let names: Vec<String> = (0..GPUS).map(|n| format!("last-{n}")).collect();
    let jobs: Vec<String> = names
        .iter()
        .map(|name| work::submit(federation, name, &work::spec(name, 1, 1, "", "exec sleep 600")))
        .collect::<Result<_>>()?;
    federation.until_within(SETTLE, "every device to be had again", || {
        for job in &jobs {
            let found = federation.read("sapporo", &["job", "status", job])?;
            ensure!(
                told(&found, "phase") == "running",
                "{job} is {}: {}",
                told(&found, "phase"),
                told(&found, "message")
            );
        }
        Ok(())
    })?;
    let mut args = vec!["job", "cancel"];
    args.extend(jobs.iter().map(String::as_str));
    federation.run("sapporo", &args)?.ok()?;
    federation.until_within(SETTLE, "the last jobs to end", || idle(fleet))
}
