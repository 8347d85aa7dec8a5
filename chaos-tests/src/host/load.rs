//! The jobs of the drill: more than there is room for, of every manner, submitted and cancelled through the command line.
//!
//! Must hold: what was acknowledged is remembered (R1); a device that is free is wanted at once, so that a release that
//! came too early is met by somebody.

use super::judge::UNBOUND;
use super::limit::{BATCH, OPEN_JOBS, SUBMIT_EVERY};
use crate::federation::{Federation, rows};
use anyhow::{Result, ensure};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How a job behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Ends when it is asked.
    Polite,
    /// Ignores every request to end.
    Deaf,
    /// Leaves a process in a session of its own, deaf, and ends.
    Daemon,
    /// Has many processes.
    Forks,
    /// Says and stores much.
    Loud,
    /// Holds memory.
    Eater,
    /// Ends at once.
    Short,
    /// Runs into its time limit.
    Limited,
    /// Is not bound by the lease.
    Unbound,
    /// Two members on two nodes.
    Gang,
}

impl Manner {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Polite,
        Self::Deaf,
        Self::Daemon,
        Self::Forks,
        Self::Loud,
        Self::Eater,
        Self::Short,
        Self::Limited,
        Self::Unbound,
        Self::Gang,
    ];

    /// In the job's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Polite => "-polite",
            Self::Deaf => "-deaf",
            Self::Daemon => "-daemon",
            Self::Forks => "-forks",
            Self::Loud => "-loud",
            Self::Eater => "-eater",
            Self::Short => "-short",
            Self::Limited => "-limited",
            Self::Unbound => UNBOUND,
            Self::Gang => "-gang",
        }
    }

    /// A script that lasts `seconds`, or until it is killed.
    fn script(self, seconds: u32) -> String {
        match self {
            Self::Polite | Self::Unbound | Self::Gang => format!("exec sleep {seconds}"),
            Self::Deaf => {
                format!(
                    "trap '' TERM INT HUP; n=0; while [ $n -lt {seconds} ]; do sleep 1; n=$((n+1)); done"
                )
            }
            Self::Daemon => {
                format!("setsid sh -c 'trap \"\" TERM; sleep 600' & trap '' TERM; sleep {seconds}")
            }
            Self::Forks => {
                format!("for n in 1 2 3 4 5 6 7 8 9 10; do sleep {seconds} & done; wait")
            }
            Self::Loud => {
                format!(
                    "head -c 200000 /dev/zero | tr '\\\\0' x; head -c 200000 /dev/zero > f; exec sleep {seconds}"
                )
            }
            Self::Eater => {
                format!("head -c 40000000 /dev/zero | tail -c 30000000 | sleep {seconds}")
            }
            Self::Short => "exec true".to_owned(),
            Self::Limited => "trap '' TERM; sleep 600 & wait; sleep 600".to_owned(),
        }
    }

    /// A spec, `gpus` to each member.
    #[must_use]
    pub fn spec(self, name: &str, gpus: u32, seconds: u32) -> String {
        let group = if self == Self::Gang { 2 } else { 1 };
        let limit = match self {
            Self::Limited => "9s",
            // It holds its devices whatever becomes of its host: not for long.
            Self::Unbound => "40s",
            Self::Polite
            | Self::Deaf
            | Self::Daemon
            | Self::Forks
            | Self::Loud
            | Self::Eater
            | Self::Short
            | Self::Gang => "10m",
        };
        let disconnect = if self == Self::Unbound { "run_to_completion" } else { "stop" };
        // A single quote is doubled within single quotes.
        let script = self.script(seconds).replace('\'', "''");
        format!(
            "name: {name}\ntenant: sapporo\ngroup: {group}\nresources: {{ class: sim-h100, gpus: {gpus} }}\n\
             on_disconnect: {disconnect}\ntime_limit: {limit}\nrun: {{ command: [\"/bin/sh\", \"-c\", '{script}'] }}\n"
        )
    }
}

/// What was asked for and answered.
#[derive(Debug, Default)]
pub struct Book {
    /// Jobs whose submission was acknowledged, `sapporo/NAME`.
    pub acknowledged: Vec<String>,
    /// Submissions whose outcome is unknown, or that were refused.
    pub unanswered: u64,
    /// Jobs that were cancelled while open.
    pub cancelled: u64,
    /// Phase by job, as listed last.
    pub phases: BTreeMap<String, String>,
}

impl Book {
    /// Those that may still do something.
    #[must_use]
    pub fn open(&self) -> Vec<String> {
        let over = |job: &String| {
            let phase = self.phases.get(job).map(String::as_str);
            matches!(phase, Some("succeeded" | "failed" | "cancelled"))
        };
        self.acknowledged.iter().filter(|job| !over(job)).cloned().collect()
    }
}

/// Submits until it is ended.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A command line of its own, for a thread.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    program: PathBuf,
    dir: PathBuf,
}

impl Shell {
    pub(super) fn of(federation: &Federation) -> Self {
        Self { program: federation.program("sekisho"), dir: federation.dir().to_owned() }
    }

    /// As [`Federation::run`]; what it printed if it went well.
    pub(super) fn run(&self, context: &str, args: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .env("SEKISHO_CONFIG", self.dir.join("contexts.toml"))
            .env("LC_ALL", "C.UTF-8")
            .args(["--context", context, "--timeout", "20s"])
            .args(args)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Load {
    /// Begins.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn begin(federation: &Federation, seed: u64, book: &Arc<Mutex<Book>>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shell, stopped, book) = (Shell::of(federation), Arc::clone(&stop), Arc::clone(book));
        let work = move || {
            let mut worker =
                Worker { shell, chance: StdRng::seed_from_u64(seed), seed, made: 0, book };
            while !stopped.load(Ordering::Relaxed) {
                // While nobody leads nothing is acknowledged; it is tried again.
                drop(worker.turn());
                // waits: jobs come one after another, as from people
                std::thread::sleep(SUBMIT_EVERY);
            }
        };
        let thread = Some(std::thread::Builder::new().name("load".to_owned()).spawn(work)?);
        Ok(Self { stop, thread })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it did stands in the book.
            drop(thread.join());
        }
    }
}

/// A field that is text.
pub(super) fn told<'v>(value: &'v serde_json::Value, field: &str) -> &'v str {
    value.get(field).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Reads how all jobs are.
pub(super) fn refresh(shell: &Shell, book: &Mutex<Book>) -> Result<()> {
    let listed = shell.run("sapporo", &["job", "list", "-o", "json"])?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let mut book = book.lock();
    for job in rows(&listed, "items") {
        let name = told(&job, "name").trim_start_matches("tenants/").replace("/jobs/", "/");
        book.phases.insert(name, told(&job, "phase").to_owned());
    }
    Ok(())
}

struct Worker {
    shell: Shell,
    chance: StdRng,
    seed: u64,
    made: u64,
    book: Arc<Mutex<Book>>,
}

impl Worker {
    fn turn(&mut self) -> Result<()> {
        refresh(&self.shell, &self.book)?;
        let open = self.book.lock().open();
        if let Some(job) = open.choose(&mut self.chance)
            && self.chance.random_bool(0.15)
        {
            self.shell.run("sapporo", &["job", "cancel", job])?;
            let mut book = self.book.lock();
            book.cancelled = book.cancelled.saturating_add(1);
        }
        let room = OPEN_JOBS.saturating_sub(open.len()).min(BATCH);
        if room > 0 { self.submit(room) } else { Ok(()) }
    }

    fn submit(&mut self, count: usize) -> Result<()> {
        let (mut files, mut names) = (Vec::new(), Vec::new());
        for _ in 0..count {
            self.made = self.made.saturating_add(1);
            let manner = Manner::ALL.choose(&mut self.chance).copied().unwrap_or(Manner::Polite);
            let name = format!("d{}-{}{}", self.seed, self.made, manner.name());
            let gpus = if self.chance.random_bool(0.7) { 1 } else { 2 };
            let seconds = if self.chance.random_bool(0.5) {
                self.chance.random_range(3..15)
            } else {
                self.chance.random_range(15..90)
            };
            let file = self.shell.dir.join(format!("{name}.yaml"));
            std::fs::write(&file, manner.spec(&name, gpus, seconds))?;
            files.push(file.to_string_lossy().into_owned());
            names.push(format!("sapporo/{name}"));
        }
        let args: Vec<&str> =
            ["job", "submit"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let answer = self.shell.run("sapporo", &args);
        let mut book = self.book.lock();
        match answer {
            Ok(_printed) => book.acknowledged.extend(names),
            Err(_unknown) => book.unanswered = book.unanswered.saturating_add(1),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::job::OnDisconnect;

    #[test]
    fn every_manner_is_a_job_and_only_the_unbound_one_is_said_to_be_so() {
        let today = sekisho_types::time::Date { year: 2026, month: 11, day: 1 };
        for manner in Manner::ALL {
            let name = format!("d1-2{}", manner.name());
            let text = manner.spec(&name, 2, 30);
            let over = sekisho_cli::spec::Override { tenant: None, name: None };
            let spec = sekisho_cli::spec::parse(&text, &over, today).unwrap();
            let bound = spec.facts.on_disconnect == OnDisconnect::Stop;
            assert_eq!(bound, !name.contains(UNBOUND), "{text}");
        }
    }

    #[test]
    fn a_job_is_open_until_it_is_listed_as_over() {
        let acknowledged = ["a", "b", "c"].map(str::to_owned).to_vec();
        let phases =
            [("b".to_owned(), "failed".to_owned()), ("c".to_owned(), "queued".to_owned())].into();
        let book = Book { acknowledged, phases, ..Book::default() };
        assert_eq!(book.open(), ["a", "c"]);
    }
}
