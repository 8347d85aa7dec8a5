//! `make walk`: quotas, budgets, offers, placement and what is explained of them, typed as their users type it on a
//! federation of `sekisho dev`.
//!
//! Must hold: what is printed is what was typed and all that it answered. Each step is judged by its exit and by what the
//! same read says as JSON; the first that did not come out right ends the walk. Conditions are awaited.
//! What stands before `$` is the context (`SEKISHO_CONTEXT`): kanto, naniwa and hokuto are companies' administrators,
//! sapporo and minato persons of tenants.

mod exits;
mod import;
mod partner;
mod places;
mod quota;
mod service;

use crate::federation::Federation;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::time::Instant;

/// Port of the first controller: outside the ephemeral range, unlikely to be taken.
pub const PORT_BASE: u16 = 27_120;

/// Different reasons to wait that have to be explained on the way.
const WAITS: usize = 6;

/// The files that are typed, as they lie in `docs/examples/walk`.
const FILES: [(&str, &str); 14] = [
    ("train.yaml", include_str!("../../docs/examples/walk/train.yaml")),
    ("loan.yaml", include_str!("../../docs/examples/walk/loan.yaml")),
    ("osaka.yaml", include_str!("../../docs/examples/walk/osaka.yaml")),
    ("now-or-never.yaml", include_str!("../../docs/examples/walk/now-or-never.yaml")),
    ("night.yaml", include_str!("../../docs/examples/walk/night.yaml")),
    ("gang.yaml", include_str!("../../docs/examples/walk/gang.yaml")),
    ("pair.yaml", include_str!("../../docs/examples/walk/pair.yaml")),
    ("rack.yaml", include_str!("../../docs/examples/walk/rack.yaml")),
    ("quick.yaml", include_str!("../../docs/examples/walk/quick.yaml")),
    ("slow.yaml", include_str!("../../docs/examples/walk/slow.yaml")),
    ("chat.yaml", include_str!("../../docs/examples/walk/chat.yaml")),
    ("chat-2.yaml", include_str!("../../docs/examples/walk/chat-2.yaml")),
    ("train.sbatch", include_str!("../../docs/examples/walk/train.sbatch")),
    ("finetune.yaml", include_str!("../../docs/examples/walk/finetune.yaml")),
];

/// What is typed under a heading.
type Chapter = fn(&mut Walk) -> Result<()>;

/// A federation, and somebody who types.
#[derive(Debug)]
struct Walk {
    federation: Federation,
    /// Where the files lie that are typed.
    desk: PathBuf,
    typed: u32,
    /// Reasons to wait that were explained.
    waits: BTreeSet<String>,
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").context("the terminal is gone")
}

/// What the programs wrote into a file.
fn whole(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In one line: what people read is broken where the width asks for it.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A field of JSON that holds text, empty if it does not.
fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field of JSON that holds a number.
fn number(value: &Value, field: &str) -> Option<u64> {
    value.get(field).and_then(Value::as_u64)
}

/// The item of a listing whose name is `name`.
fn item(list: &Value, name: &str) -> Result<Value> {
    let items = list["items"].as_array().context("no list")?;
    let found = items.iter().find(|item| text(item, "name") == name);
    found.cloned().with_context(|| format!("no {name} in {list}"))
}

impl Walk {
    fn new(dir: &Path, port_base: u16) -> Result<Self> {
        let federation = Federation::start(dir, port_base).context("starting the federation")?;
        let desk = federation.dir().join("walk");
        std::fs::create_dir_all(&desk)?;
        for (name, content) in FILES {
            std::fs::write(desk.join(name), content)?;
        }
        Ok(Self { federation, desk, typed: 0, waits: BTreeSet::new() })
    }

    /// A line of a shell in which `sekisho` is found and acts as `who`.
    fn shell(&self, who: &str, line: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut path: Vec<PathBuf> = std::env::split_paths(&path).collect();
        path.insert(0, self.federation.program(""));
        let path = std::env::join_paths(path).unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .env("PATH", path)
            .env("SEKISHO_CONFIG", self.federation.dir().join("contexts.toml"))
            .env("SEKISHO_CONTEXT", who)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&self.desk)
            .stdin(Stdio::null());
        command
    }

    /// Types a line as `who`, prints it with all that it answers, and gives that.
    ///
    /// # Errors
    /// It did not end with `exit`.
    fn types(&mut self, who: &str, line: &str, exit: i32) -> Result<String> {
        self.typed = self.typed.saturating_add(1);
        say(&format!("\n{who}$ {line}"))?;
        // One file for both, as on a terminal.
        let mut file = tempfile::tempfile()?;
        let mut command = self.shell(who, line);
        command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        let code = command.status().context("bash")?.code().unwrap_or(-1);
        let said = whole(&mut file)?;
        say(said.trim_end())?;
        if code != 0 {
            say(&format!("[exit {code}]"))?;
        }
        ensure!(code == exit, "`{line}` as {who} ended with {code}, not {exit}: {said}");
        Ok(said)
    }

    /// As [`Self::types`] of what is done, ends with 0, and says `words`.
    fn does(&mut self, who: &str, line: &str, words: &str) -> Result<()> {
        let said = self.types(who, line, 0)?;
        ensure!(joined(&said).contains(words), "`{line}` does not say `{words}`: {said}");
        Ok(())
    }

    /// As [`Self::types`] of what is refused with `exit` and `code`.
    fn refused(&mut self, who: &str, line: &str, (exit, code): (i32, &str)) -> Result<()> {
        let said = self.types(who, line, exit)?;
        ensure!(said.contains(&format!("error {code}: ")), "`{line}`: no {code}: {said}");
        Ok(())
    }

    /// What a read says as JSON; prints nothing.
    fn read(&self, who: &str, line: &str) -> Result<Value> {
        let words: Vec<&str> = line.split(' ').collect();
        self.federation.read(who, &words)
    }

    /// Types `job explain` of a job that waits, and holds the answer to the reason: in words, and as JSON.
    fn explains(&mut self, job: &str, reason: &str) -> Result<Value> {
        let who = job.split_once('/').map_or(job, |(tenant, _)| tenant);
        let line = format!("job explain {job}");
        let found = self.federation.until(&format!("{reason} of {job}"), || {
            let found = self.read(who, &line)?;
            ensure!(text(&found, "binding") == reason, "{found}");
            Ok(found)
        })?;
        self.does(who, &format!("sekisho {line}"), &format!("binding constraint: {reason} "))?;
        if text(&found, "verdict") == "would_wait" {
            self.waits.insert(reason.to_owned());
        }
        Ok(found)
    }

    /// Types `job plan` and holds exit, verdict and reason to each other: in words, and as JSON.
    fn plans(&mut self, who: &str, spec: &str, (exit, reason): (i32, &str)) -> Result<Value> {
        let line = format!("sekisho job plan {spec}");
        let said = self.types(who, &line, exit)?;
        let (verdict, words) = match exit {
            0 => ("placed_now", "placed now: "),
            10 => ("would_wait", "not yet: would wait: "),
            _ => ("never", "never, as asked: "),
        };
        ensure!(said.starts_with(words), "`{line}` does not begin with `{words}`: {said}");
        let next = format!("next: sekisho job submit {spec} --if-plan ");
        ensure!(said.contains(&next) == (exit != 11), "`{line}`, the next command: {said}");
        let output = self.shell(who, &format!("{line} -o json")).output().context("bash")?;
        ensure!(output.status.code() == Some(exit), "`{line} -o json`: {output:?}");
        let found: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(text(&found, "verdict") == verdict && text(&found, "binding") == reason, "{found}");
        Ok(found)
    }

    /// Waits for a job; prints nothing.
    fn job(&self, job: &str, phase: &str) -> Result<Value> {
        self.federation.await_job(job, &[phase])
    }

    /// Cancels jobs of a tenant and waits until nothing of them runs.
    fn cancels(&mut self, jobs: &[&str]) -> Result<()> {
        let who = jobs.first().and_then(|job| job.split_once('/')).map_or("", |(who, _)| who);
        self.does(who, &format!("sekisho job cancel {}", jobs.join(" ")), "cancelled")?;
        jobs.iter().try_for_each(|job| self.job(job, "cancelled").map(drop))
    }
}

/// Walks through it all in `dir`.
///
/// # Errors
/// The first step that did not come out right.
pub fn run(dir: &Path, port_base: u16) -> Result<()> {
    let begun = Instant::now();
    say("# Three companies, three controllers, four hosts with 14 simulated GPUs: `sekisho dev`.")?;
    let mut walk = Walk::new(dir, port_base)?;
    let chapters: [(&str, Chapter); 11] = [
        ("What there is", quota::stands),
        ("A tenant borrows what another one lends", quota::borrow),
        ("What was lent comes back: jobs are moved for it", quota::reclaim),
        ("A budget stops what it does not cover", quota::budget),
        ("A gang stands as it asks, or not at all", places::gang),
        ("Shorter jobs pass a larger one, longer ones do not", places::backfill),
        ("A partner lowers its offer", partner::lowered),
        ("A partner takes no work of a tenant", partner::veto),
        ("A service is replaced without a gap", service::replaced),
        ("Moving in from Slurm and Kubernetes", import::both),
        ("How a plan ends", exits::each),
    ];
    for (title, chapter) in chapters {
        say(&format!("\n## {title}"))?;
        chapter(&mut walk).with_context(|| format!("chapter `{title}`"))?;
    }
    let waits: Vec<&str> = walk.waits.iter().map(String::as_str).collect();
    ensure!(waits.len() >= WAITS, "only these waits were explained: {waits:?}");
    say(&format!(
        "\n# {} commands, all as promised, in {:.0} s. Waits that were explained: {}.",
        walk.typed,
        begun.elapsed().as_secs_f32(),
        waits.join(", ")
    ))
}
