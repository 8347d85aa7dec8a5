//! Rules for `.rs` files: length, head, names, and what must not be left behind.

use super::scan::{code, has_word, inline_tests, numbered};
use crate::files::TextFile;
use crate::report::Violation;

const LENGTH: &str = "length";
const HEAD: &str = "head";
const NAME: &str = "name";
const UNFINISHED: &str = "unfinished";
const WAIT: &str = "wait";

/// Aim at 400; past 500 a file has a second subject that deserves a file of its own.
const MAX_LINES: usize = 500;
/// The one enum of all commands cannot be split, only grows, and has a line of documentation for each of its fields.
const LONG: [&str; 1] = ["controlplane/fsm/src/command.rs"];
/// Shorter than this a head is a placeholder.
const MIN_HEAD: usize = 20;
/// Names of places, not of things: everything belongs there, so everything ends there.
const NAMELESS: [&str; 9] =
    ["common", "helper", "helpers", "manager", "managers", "misc", "util", "utilities", "utils"];
/// Marks of work left behind. In two parts, so that this file does not carry them.
const MARKS: [[&str; 2]; 4] = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]];

pub(super) fn check(file: &TextFile) -> Vec<Violation> {
    let mut found = Vec::new();
    names(file, &mut found);
    if file.text.lines().take(5).any(|line| line.contains(&["@gene", "rated"].concat())) {
        return found;
    }
    length(file, &mut found);
    head(file, &mut found);
    unfinished(file, &mut found);
    waits(file, &mut found);
    found
}

fn length(file: &TextFile, found: &mut Vec<Violation>) {
    let lines = file.text.lines().count();
    if lines > MAX_LINES && !LONG.contains(&file.path.as_str()) {
        found.push(Violation::new(
            LENGTH,
            &file.path,
            format!("{lines} lines, at most {MAX_LINES}"),
            "split it at its second subject, or move its tests to a file of their own",
        ));
    }
}

/// The first thing a reader meets says what the module is. A `main.rs` may be too small to need it.
fn head(file: &TextFile, found: &mut Vec<Violation>) {
    if file.name() == "main.rs" {
        return;
    }
    let is_preamble = |line: &&str| line.is_empty() || line.starts_with("#!");
    let lines: Vec<_> = file.text.lines().map(str::trim).skip_while(is_preamble).collect();
    let words: usize = lines
        .iter()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.trim().chars().count())
        .sum();
    if words < MIN_HEAD {
        found.push(Violation::new(
            HEAD,
            &file.path,
            "does not begin with a module head",
            "open it with `//!`: what it is, what must hold, what it does not do",
        ));
    }
}

fn names(file: &TextFile, found: &mut Vec<Violation>) {
    let mut bad: Vec<(usize, String)> = Vec::new();
    for part in file.path.split('/') {
        let part = part.strip_suffix(".rs").unwrap_or(part);
        if NAMELESS.contains(&part) {
            bad.push((1, part.to_owned()));
        }
    }
    for (number, line) in numbered(&file.text) {
        let line = code(line);
        for name in NAMELESS.iter().filter(|name| has_word(&line, &format!("mod {name}"))) {
            bad.push((number, (*name).to_owned()));
        }
    }
    for (number, name) in bad {
        found.push(Violation::new(
            NAME,
            format!("{}:{number}", file.path),
            format!("is named {name}"),
            "name the idea (backoff, deadline, fixture of what), or keep it private to its user",
        ));
    }
}

fn unfinished(file: &TextFile, found: &mut Vec<Violation>) {
    let ignored = ["#[ig", "nore"].concat();
    let cfg_ignored = [", ig", "nore)]"].concat();
    for (number, line) in numbered(&file.text) {
        let place = format!("{}:{number}", file.path);
        for mark in MARKS.iter().map(|m| m.concat()).filter(|m| has_word(line, m)) {
            found.push(Violation::new(
                UNFINISHED,
                &place,
                format!("carries a {mark}"),
                "do it, or file an issue and say in a comment what does not hold and why that is safe",
            ));
        }
        if line.contains(&ignored) || (line.contains("cfg_attr") && line.contains(&cfg_ignored)) {
            found.push(Violation::new(
                UNFINISHED,
                &place,
                "switches a test off",
                "make it pass or delete it; a test that this machine cannot run reports NOT RUN at run time",
            ));
        }
    }
}

/// A test that sleeps is slow on a fast machine and red on a slow one.
fn waits(file: &TextFile, found: &mut Vec<Violation>) {
    let is_test_file = file.path.contains("/tests/") || file.name() == "tests.rs";
    let from = if is_test_file { Some(1) } else { inline_tests(&file.text) };
    let Some(from) = from else { return };
    let reason = ["// wai", "ts:"].concat();
    let calls = ["sleep(", "sleep_until("];
    let mut previous = "";
    for (number, line) in numbered(&file.text) {
        let code = code(line);
        let is_call = calls
            .iter()
            .any(|call| has_word(&code, call.trim_end_matches('(')) && code.contains(call));
        let has_reason = line.contains(&reason) || previous.contains(&reason);
        if number >= from && is_call && !has_reason {
            found.push(Violation::new(
                WAIT,
                format!("{}:{number}", file.path),
                "sleeps in a test",
                format!("await the condition; where time itself is the matter, say so: `{reason} REASON`"),
            ));
        }
        previous = line;
    }
}

#[cfg(test)]
mod tests;
