//! The rules hold in this checkout, and the binary says so by its exit status.
#![expect(
    clippy::expect_used,
    reason = "what these tests stand on; without it there is nothing to test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use xtask::report::Violation;
use xtask::workspace::Workspace;
use xtask::{deny, floors, tidy};

fn workspace() -> Workspace {
    // A test runs in the folder of its package.
    Workspace::load(Path::new(".")).expect("cargo metadata")
}

fn assert_none(found: &[Violation]) {
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} broken:\n{}", found.len(), lines.join("\n"));
}

#[test]
fn floors_hold() {
    let workspace = workspace();
    assert!(workspace.tables.floors.len() > 10, "the table of floors was not read");
    assert!(!workspace.reach("sekisho-fsm").is_empty(), "the graph was not read");
    assert_none(&floors::check(&workspace));
}

#[test]
fn tidy_holds() {
    assert_none(&tidy::check(&workspace()).expect("read the checkout"));
}

#[test]
fn deny_holds() {
    let workspace = workspace();
    assert!(workspace.packages.len() > 100, "the graph was not read");
    assert_none(&deny::check(&workspace));
}

/// Runs `xtask tally` on files with these texts; gives status and standard output.
fn tally(ci: bool, files: &[(&str, &str)]) -> (bool, String) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("tally").env("CI", if ci { "true" } else { "" });
    for (option, text) in files {
        let path: PathBuf = dir.path().join(option.trim_start_matches('-'));
        fs::write(&path, text).expect("write");
        command.arg(option).arg(path);
    }
    let output: io::Result<_> = command.output();
    let output = output.expect("run xtask");
    (output.status.success(), String::from_utf8(output.stdout).expect("UTF-8"))
}

const JUNIT: &str = r#"<testsuites name="nextest-run" tests="4" failures="0" errors="0">"#;

#[test]
fn the_closing_line_stands_alone_and_last() {
    let doc = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
    let (is_good, text) = tally(false, &[("--junit", JUNIT), ("--libtest", doc)]);
    assert!(is_good);
    assert_eq!(text, "6 passed, 0 failed\n");
}

#[test]
fn a_test_that_cannot_run_is_named_and_fails_in_ci() {
    let files = [("--junit", JUNIT), ("--not-run", "netns: needs root\n")];
    let (is_good, text) = tally(false, &files);
    assert_eq!(
        (is_good, text.as_str()),
        (true, "NOT RUN: netns: needs root\n3 passed, 0 failed, 1 skipped\n")
    );
    let (is_good, text) = tally(true, &files);
    assert_eq!(
        (is_good, text.as_str()),
        (false, "NOT RUN: netns: needs root\n3 passed, 1 failed\n")
    );
}

#[test]
fn a_failure_and_an_empty_run_are_bad() {
    let failed = JUNIT.replace("failures=\"0\"", "failures=\"1\"");
    assert_eq!(tally(false, &[("--junit", &failed)]), (false, "3 passed, 1 failed\n".to_owned()));
    let empty = JUNIT.replace("tests=\"4\"", "tests=\"0\"");
    assert!(!tally(false, &[("--junit", &empty)]).0);
}
