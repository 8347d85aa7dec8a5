//! The simulation: whole federations by seed. `make sim SEEDS=…` for more of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: what goes wrong should fail loudly"
)]

use sekisho_sim::plan::{Bug, Plan};
use sekisho_sim::report::Sweep;
use sekisho_sim::{find, run, sweep};
use std::process::Command;

/// Seeds of one `make test`: twenty seconds of two cores.
const SEEDS: u64 = 100;

/// Seeds within which a planted defect has to be found. Each shows in one of five to ten.
const HUNT: u64 = 150;

fn explain(sweep: &Sweep) -> String {
    let lines = sweep.failed.iter().map(|report| {
        format!("sekisho-drill sim --seed {}: {:#?}", report.seed, report.violations)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// R1, R2, R3, R4, R7, R8, A1, L1 and the state's invariants.
#[test]
fn every_promise_holds_through_a_hundred_seeds() {
    let sweep = sweep(1, SEEDS, Plan::default()).unwrap();
    assert!(sweep.failed.is_empty(), "{}", explain(&sweep));
    // A simulation in which nothing happens finds nothing: each of these is a blind spot at zero.
    let totals = sweep.totals;
    assert_eq!(sweep.runs, SEEDS);
    assert!(totals.acknowledged > 100 * SEEDS && totals.reads > 50 * SEEDS, "{totals:?}");
    assert!(totals.leaders > 2 * SEEDS && totals.unknown > SEEDS, "{totals:?}");
    assert!(totals.crashes > 2 * SEEDS && totals.blackouts > SEEDS / 4, "{totals:?}");
    assert!(totals.lost_groups > SEEDS / 10 && totals.failed_disks > SEEDS / 10, "{totals:?}");
    assert!(totals.failed_reads > SEEDS / 25, "{totals:?}");
    assert!(totals.cuts > SEEDS && totals.late > SEEDS, "{totals:?}");
    assert!(totals.snapshots > SEEDS && totals.installed > SEEDS / 10, "{totals:?}");
    assert!(totals.backfilled > SEEDS / 10, "{totals:?}");
}

/// Otherwise a failure could not be looked at again.
#[test]
fn one_seed_is_one_run_in_any_process() {
    for seed in [7, 8] {
        let here = run(seed, Plan::default());
        assert_eq!(
            run(seed, Plan { whole_trace: true, ..Plan::default() }).trace_hash,
            here.trace_hash
        );
        let there = Command::new(env!("CARGO_BIN_EXE_sekisho-drill"))
            .args(["sim", "--seeds", "1", "--seed", &seed.to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8(there.stdout).unwrap();
        assert!(said.contains(&format!("trace {:016x}", here.trace_hash)), "{said} {here:?}");
    }
    assert_ne!(run(7, Plan::default()).trace_hash, run(8, Plan::default()).trace_hash);
}

fn hunt(bug: Bug, what: &str) -> u64 {
    let plan = Plan { bug: Some(bug), ..Plan::default() };
    let found = find(1, HUNT, plan, what).unwrap();
    found.unwrap_or_else(|| panic!("{bug:?} is not found within {HUNT} seeds")).seed
}

/// What the simulation is for: these three are put in on purpose, in the disk, the network and the client.
#[test]
fn planted_defects_are_found() {
    hunt(Bug::AckBeforeSync, "R8 state machine safety");
    hunt(Bug::ApplyBeforeCommit, "R8");
    hunt(Bug::StaleReads, "R2");
}

/// Why `enable_leader_restore` is off. A leader sends an entry on before its own disk has it; its followers make a
/// majority without it; it crashes. Restarted it finds its vote, committed, and its log without that entry. With the
/// setting on it leads the same term again and gives the next entry the same log id: one id, two contents, and whoever
/// has the first one never learns. With an election it gets a new term, and a log that lacks the entry does not win.
#[test]
fn a_leader_that_goes_on_after_a_restart_writes_one_log_id_twice() {
    let seed = hunt(Bug::LeaderRestore, "R8 log matching");
    let off = run(seed, Plan::default());
    assert!(off.passed(), "{:?}", off.violations);
}
