//! Jobs as the drills submit them.

use crate::federation::{Federation, rows};
use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;

/// A spec of a job of tenant `sapporo`.
#[must_use]
pub fn spec(name: &str, group: u32, gpus: u32, areas: &str, script: &str) -> String {
    format!(
        "name: {name}\ntenant: sapporo\ngroup: {group}\nresources: {{ class: sim-h100, gpus: {gpus} }}\n\
         residency: {{ areas: [{areas}] }}\ntime_limit: 10m\nrun: {{ command: [\"/bin/sh\", \"-c\", \"{script}\"] }}\n"
    )
}

/// Submits a spec and gives `TENANT/JOB`.
///
/// # Errors
/// It was refused.
pub fn submit(federation: &Federation, name: &str, spec: &str) -> Result<String> {
    let file = federation.file(&format!("{name}.yaml"), spec)?;
    federation.run("sapporo", &["job", "submit", &file])?.ok()?;
    Ok(format!("sapporo/{name}"))
}

/// Submits a job that nothing can place: a write that stays to be looked for.
///
/// # Errors
/// It was refused.
pub fn write(federation: &Federation, name: &str) -> Result<String> {
    submit(federation, name, &spec(name, 1, 1, "JP-47", "true"))
}

/// Nodes on which a job has placements.
#[must_use]
pub fn nodes(job: &Value) -> Vec<String> {
    let placements = rows(job, "placements");
    placements.iter().filter_map(|p| p["node"].as_str()).map(str::to_owned).collect()
}

/// Processes of this host whose command line holds `marker`.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn running(marker: &str) -> Result<Vec<Pid>> {
    let named = |dir: &Path| std::fs::read(dir.join("cmdline")).unwrap_or_default();
    let processes = std::fs::read_dir("/proc")?.flatten();
    let marked = processes.filter(|p| String::from_utf8_lossy(&named(&p.path())).contains(marker));
    let pid = |p: std::fs::DirEntry| Some(Pid::from_raw(p.file_name().to_str()?.parse().ok()?));
    Ok(marked.filter_map(pid).collect())
}

/// Lets a job of this host go on that waits in a `sleep` of `seconds`, which is no other one's number.
///
/// # Errors
/// None waits.
pub fn let_go(seconds: &str) -> Result<()> {
    // The shell that waits for it has the same words in its command line, and is not ended.
    let waiting = running(&format!("sleep\0{seconds}\0"))?;
    ensure!(!waiting.is_empty(), "nothing waits in `sleep {seconds}`");
    waiting.into_iter().try_for_each(|process| Ok(kill(process, Signal::SIGTERM)?))
}

/// Of `written`, the jobs that the federation does not know.
///
/// # Errors
/// It cannot be asked.
pub fn lost(federation: &Federation, written: &[String]) -> Result<Vec<String>> {
    let jobs = federation.read("sapporo", &["job", "list"])?;
    let known: Vec<String> =
        rows(&jobs, "items").iter().filter_map(|j| j["name"].as_str()).map(str::to_owned).collect();
    let is_known = |job: &String| {
        let name = job.trim_start_matches("sapporo/");
        known.iter().any(|k| k.ends_with(&format!("/{name}")))
    };
    Ok(written.iter().filter(|job| !is_known(job)).cloned().collect())
}

/// Says that this machine cannot try what the running test is about; the build turns the file into a failure.
///
/// # Errors
/// The file that asks for it cannot be written.
pub fn not_run(reason: &str) -> Result<()> {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        writeln!(file, "{test}: {reason}")?;
    }
    Ok(())
}
