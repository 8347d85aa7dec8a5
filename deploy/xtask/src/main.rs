//! `xtask floors | tidy | deny | all`, and `xtask tally` for the test scripts.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use xtask::report::Violation;
use xtask::tally::{self, Tally};
use xtask::workspace::Workspace;
use xtask::{deny, floors, tidy};

const USAGE: &str = "usage: xtask floors|tidy|deny|all
       xtask tally [--junit FILE] [--libtest LOG]... [--not-run FILE]
Checks of the house rules (docs/STYLE.md) in the workspace around the current folder;
exit status 1 when one is broken.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // With stderr gone there is nobody left to tell; the status still says it.
            writeln!(io::stderr(), "xtask: {error:#}").unwrap_or_default();
            ExitCode::from(2)
        }
    }
}

/// Whether everything that was asked for holds.
fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let Some((command, rest)) = arguments.split_first() else { bail!("{USAGE}") };
    if command == "tally" {
        return tally(rest);
    }
    let workspace = Workspace::load(&env::current_dir()?)?;
    let mut found = Vec::new();
    let is_asked = |name| command == name || command == "all";
    if is_asked("floors") {
        found.extend(floors::check(&workspace));
    }
    if is_asked("tidy") {
        found.extend(tidy::check(&workspace)?);
    }
    if is_asked("deny") {
        found.extend(deny::check(&workspace));
        note_duplicates(&workspace)?;
    }
    if !["floors", "tidy", "deny", "all"].contains(&command.as_str()) {
        bail!("{USAGE}");
    }
    show(command, &found)
}

fn show(command: &str, found: &[Violation]) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    for violation in found {
        writeln!(out, "{violation}")?;
    }
    match found.len() {
        0 => writeln!(out, "{command}: ok")?,
        n => writeln!(out, "{command}: {n} broken")?,
    }
    Ok(found.is_empty())
}

fn note_duplicates(workspace: &Workspace) -> anyhow::Result<()> {
    let list = deny::duplicates(workspace);
    let names: Vec<_> = list.iter().map(|(name, v)| format!("{name} {}", v.join("/"))).collect();
    writeln!(io::stderr(), "note: more than one version of: {}", names.join(", "))?;
    Ok(())
}

fn tally(arguments: &[String]) -> anyhow::Result<bool> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let mut sum = Tally::default();
    let mut absent = String::new();
    let mut rest = arguments;
    while let [option, path, more @ ..] = rest {
        match option.as_str() {
            "--junit" => sum = sum.and(Tally::from_junit(&read(path)?).context(path.clone())?),
            "--libtest" => sum = sum.and(Tally::from_libtest(&read(path)?)?),
            "--not-run" => absent.push_str(&read(path)?),
            _ => bail!("{USAGE}"),
        }
        rest = more;
    }
    if !rest.is_empty() {
        bail!("{USAGE}");
    }
    let lines = tally::not_run(&absent);
    let sum = sum.without(lines.len(), env::var("CI").is_ok_and(|v| v == "true"))?;
    let mut out = io::stdout().lock();
    for line in &lines {
        writeln!(out, "NOT RUN: {line}")?;
    }
    writeln!(out, "{}", sum.line())?;
    Ok(sum.is_good())
}
