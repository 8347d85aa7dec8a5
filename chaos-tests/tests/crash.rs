//! A member's storage under power cuts, failing disks and damage (R1, R6, R7). The long form is `make crash`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what goes wrong should fail loudly")]
#![expect(clippy::print_stdout, reason = "what a drill did, for the record of the run")]

use sekisho_chaos::crash::campaign::Report;
use sekisho_chaos::crash::line::Refusal;
use sekisho_chaos::crash::plan::{Cut, Planted};
use sekisho_chaos::crash::suite::{CLEAN, PLANTED_CUTS, campaign};
use sekisho_chaos::crash::{damage, disk, fault};
use std::io::Write as _;
use std::path::Path;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sekisho-crash");

/// Says that this machine cannot try it; the build turns the file into a failure.
fn can_run() -> bool {
    let Some(reason) = disk::missing() else { return true };
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
    false
}

fn run(seed: u64, cuts: u64, ways: &[Cut], planted: Option<Planted>) -> anyhow::Result<Report> {
    campaign(Path::new(PROGRAM), seed, cuts, ways, planted).run()
}

#[test]
fn after_every_cut_all_that_was_acknowledged_is_there() {
    if !can_run() {
        return;
    }
    let report = run(1, 200, &Cut::ENDS, None).unwrap();
    println!("{report}");
    // Not by doing nothing: every way, in opening and at work, with work decided and undecided.
    assert!(
        report.total() >= 200 && Cut::ENDS.iter().all(|cut| report.cuts.contains_key(cut)),
        "{report}"
    );
    assert!(report.in_opening >= 10 && report.in_opening <= 100, "{report}");
    assert!(report.acknowledged > 5_000 && report.undecided > 100, "{report}");
}

#[test]
fn a_failing_disk_stops_the_member_and_costs_nothing_acknowledged() {
    if !can_run() {
        return;
    }
    let report = run(1, 50, &Cut::FAILURES, None).unwrap();
    println!("{report}");
    let kinds: Vec<&str> = report.stopped.keys().map(String::as_str).collect();
    assert!(
        kinds.contains(&"Full") && (kinds.contains(&"Io") || kinds.contains(&"Engine")),
        "{report}"
    );
    // A failing disk is no damage: another word, another remedy.
    assert!(!kinds.contains(&"Damaged"), "{report}");
}

/// `why` is of this kind, and names these.
fn names(why: &Refusal, kind: &str, words: &[&str]) {
    assert_eq!(why.kind, kind, "{why:?}");
    let text = format!("{} {}", why.text, why.remedy);
    assert!(words.iter().all(|word| text.contains(word)), "{why:?}");
}

#[test]
fn a_full_disk_a_read_only_one_and_one_that_gives_up_are_told_apart() {
    if !can_run() {
        return;
    }
    let program = Path::new(PROGRAM);
    names(&fault::full(program).unwrap(), "Full", &["member/", "free space"]);
    names(
        &fault::read_only(program).unwrap(),
        "Io",
        &["member/lock", "Read-only", "check the disk"],
    );
    // A write or a sync, RocksDB's or our own: whichever meets it first.
    let why = fault::aborted(program).unwrap();
    let kind = if why.kind == "Io" { "Io" } else { "Engine" };
    names(&why, kind, &["member/", "check the disk"]);
}

#[test]
fn no_damage_goes_unnoticed() {
    let report = damage::sweep(Path::new(PROGRAM), 0, 150).unwrap();
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    // Whatever holds acknowledged data is guarded.
    for file in ["log/log", "log/sst", "data/log", "data/sst", "identity", "boot"] {
        assert!(report.refused(file) > 0, "{file}: {report}");
    }
}

#[test]
fn a_log_that_is_not_synced_is_found() {
    found(Planted::SyncOff);
}

#[test]
fn a_vote_that_is_not_synced_is_found() {
    found(Planted::VoteNotSynced);
}

#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    found(Planted::SyncLate);
}

/// The suite can fail: this fault turns it red.
fn found(planted: Planted) {
    if !can_run() {
        return;
    }
    let found = run(1, PLANTED_CUTS, &CLEAN, Some(planted)).unwrap_err();
    let found = format!("{found:#}");
    println!("{found}");
    assert!(found.contains("are lost") || found.contains("had been synced"), "{found}");
}
