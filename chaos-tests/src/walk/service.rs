//! A service that runs something else from now on, and at no time fewer replicas than it has.

use super::{Walk, number, say, text};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::Child;

const REPLICAS: usize = 2;
const TASKS: &str = "job list --tasks-of minato/chat";
const WATCH: &str = "sekisho watch 'jobs:minato/chat*'";

/// Somebody looks on in another terminal.
struct Looking {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Looking {
    fn begin(walk: &Walk) -> Result<Self> {
        let said = tempfile::NamedTempFile::new()?;
        let mut command = walk.shell("minato", WATCH);
        // One file for both, as on a terminal.
        let out = said.reopen()?;
        command.stdout(out.try_clone()?).stderr(out);
        Ok(Self { child: command.spawn().context("bash")?, said })
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.said.path())?)
    }

    fn shows(&self, words: &str) -> Result<()> {
        let said = self.said()?;
        ensure!(said.contains(words), "{said}");
        Ok(())
    }

    /// Ctrl-C; gives what was printed.
    fn end(mut self) -> Result<String> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGINT)?;
        self.child.wait()?;
        self.said()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Replicas with when they began to run and when they ended; one that runs has no end.
fn lives(walk: &Walk) -> Result<Vec<(String, u64, Option<u64>)>> {
    let list = walk.read("minato", TASKS)?;
    let tasks = list.get("items").and_then(Value::as_array).context("no list")?;
    let at = |task: &Value, field: &str| number(task, field).filter(|at| *at > 0);
    let life = |task: &Value| {
        let began = at(task, "started_ms")?;
        Some((text(task, "name").to_owned(), began, at(task, "ended_ms")))
    };
    Ok(tasks.iter().filter_map(life).collect())
}

/// How many replicas ran in each row of the service that was watched, once all of them did.
fn ran(watched: &str) -> Vec<usize> {
    let rows = watched.lines().filter(|line| line.contains(" minato/chat "));
    let count =
        |line: &str| line.split_once(" run, ")?.0.split(' ').next_back()?.parse::<usize>().ok();
    rows.filter_map(count).skip_while(|count| *count < REPLICAS).collect()
}

pub(super) fn replaced(walk: &mut Walk) -> Result<()> {
    walk.does("minato", "sekisho job submit chat.yaml --wait running", "minato/chat: running")?;
    walk.does("minato", &format!("sekisho {TASKS}"), "minato/chat/1")?;
    let looking = Looking::begin(walk)?;
    walk.federation.until("the watch to begin", || looking.shows("minato/chat/1"))?;
    walk.does("minato", "sekisho job replace chat-2.yaml", "replaced")?;
    let lives = walk.federation.until("both replicas to be replaced", || {
        let lives = lives(walk)?;
        let over = lives.iter().filter(|(_, _, ended)| ended.is_some()).count();
        ensure!(lives.len() == 2 * REPLICAS && over == REPLICAS, "{lives:?}");
        Ok(lives)
    })?;
    let last = format!("minato/chat/{}  cancelled", REPLICAS - 1);
    walk.federation.until("the watch to tell it", || looking.shows(&last))?;
    say(&format!("\n# Meanwhile, in another terminal:\nminato$ {WATCH}"))?;
    let watched = looking.end()?;
    say(&format!("{}\n^C", watched.trim_end()))?;
    let ran = ran(&watched);
    ensure!(ran.len() > REPLICAS && ran.iter().all(|count| *count >= REPLICAS), "{ran:?}");
    // Whenever one ended, enough others ran, by the log's own clock.
    for (name, _, ended) in &lives {
        let Some(end) = ended else { continue };
        let runs =
            |began: u64, ended: Option<u64>| began <= *end && ended.is_none_or(|at| at > *end);
        let others = lives.iter().filter(|(_, began, ended)| runs(*began, *ended)).count();
        ensure!(others >= REPLICAS, "when {name} ended, {others} ran: {lives:?}");
    }
    walk.does("minato", "sekisho job status minato/chat", "2 run, ")?;
    walk.federation.until("the output of the new one", || {
        let logs = walk.federation.run("minato", &["job", "logs", "minato/chat/3"])?.ok()?;
        ensure!(logs.stdout.contains("version 2"), "{}", logs.stdout);
        Ok(())
    })?;
    walk.does("minato", "sekisho job logs minato/chat/3", "version 2")?;
    walk.cancels(&["minato/chat"])
}
