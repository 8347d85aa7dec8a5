//! Many runs, on as many threads as there are cores.

use super::plan::Plan;
use super::report::{Report, Sweep};
use super::run::run;
use anyhow::Context as _;
use parking_lot::Mutex;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Failed runs that are kept whole.
const FAILURES_KEPT: usize = 16;

/// Runs seeds from `first` on, until there are no more or `each` has enough.
fn runs(
    (first, seeds): (u64, u64),
    plan: Plan,
    each: impl Fn(Report) -> ControlFlow<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= seeds {
                return;
            }
            if each(run(first.wrapping_add(at), plan)).is_break() {
                next.store(seeds, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for core in 0..cores {
            let name = format!("simulation-{core}");
            let thread = std::thread::Builder::new().name(name);
            thread.spawn_scoped(scope, work).context("starting a thread")?;
        }
        Ok(())
    })
}

/// Runs `seeds` seeds from `first` on.
///
/// # Errors
/// There are no threads left.
pub fn sweep(first: u64, seeds: u64, plan: Plan) -> anyhow::Result<Sweep> {
    let sum = Mutex::new(Sweep::default());
    runs((first, seeds), plan, |report| {
        let mut sum = sum.lock();
        sum.runs += 1;
        sum.totals += report.totals;
        sum.lasted += report.lasted;
        if !report.passed() {
            sum.failed.push(report);
            sum.failed.sort_by_key(|report| report.seed.wrapping_sub(first));
            sum.failed.truncate(FAILURES_KEPT);
        }
        ControlFlow::Continue(())
    })?;
    Ok(sum.into_inner())
}

/// The first run found among `seeds` seeds from `first` on in which something broke that `what` is in the name of.
///
/// # Errors
/// There are no threads left.
pub fn find(first: u64, seeds: u64, plan: Plan, what: &str) -> anyhow::Result<Option<Report>> {
    let found = Mutex::new(None);
    runs((first, seeds), plan, |report| {
        if report.violations.iter().any(|violation| violation.contains(what)) {
            found.lock().get_or_insert(report);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found.into_inner())
}
