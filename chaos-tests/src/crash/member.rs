//! The member under test: opens the store, says what is in it, and works until it is cut, fails or has done enough.
//!
//! Must hold: an operation is announced before it is submitted and acknowledged only after the store did. The choice
//! of operations depends on the seed and on what was found, not on time.

use super::line::{Line, Refusal};
use super::look::{Trouble, look};
use super::value::{bytes, digest};
use super::work::{OTHER, Work};
use anyhow::Result;
use clap::Args;
use sekisho_store::{Done, Member, OpenRequest, Store, StoreError, StoreResult};
use sekisho_types::time::Clock;
use std::error::Error as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What to do, as options of the member program.
#[derive(Debug, Clone, Args)]
pub struct Task {
    /// The data directory
    #[arg(long)]
    pub dir: PathBuf,
    /// The directory may be created
    #[arg(long)]
    pub create: bool,
    /// Seed of the choice of operations
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// First number of the values written; never used before in this directory
    #[arg(long, default_value_t = 1)]
    pub first: u64,
    /// Operations before it closes by itself; 0 only looks
    #[arg(long, default_value_t = 0)]
    pub steps: u32,
    /// Entries of megabytes, so that write-ahead files are changed and reused
    #[arg(long)]
    pub big: bool,
}

/// The host's clock, which the store wants for its timings only.
#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn wall(&self) -> sekisho_types::time::Timestamp {
        sekisho_types::time::Timestamp(0)
    }

    fn boottime_ns(&self) -> u64 {
        0
    }
}

/// Opens the store in `dir`.
///
/// # Errors
/// As [`Store::open`].
pub fn open(dir: &Path, create: bool) -> StoreResult<Store> {
    Store::open(&OpenRequest {
        dir: dir.to_path_buf(),
        member: Member { cluster_id: [5; 16], incarnation: 1, begun: [6; 32], member_id: 4 },
        create_at_ms: create.then_some(1_800_000_000_000),
        clock: Arc::new(NoClock),
    })
}

/// What the store said, for people.
#[must_use]
pub fn refusal(error: &StoreError) -> Refusal {
    // What stopped the store is the news, not that it has stopped.
    if let StoreError::Failed { cause } = error {
        return refusal(cause);
    }
    let debug = format!("{error:?}");
    let kind = debug.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    Refusal { kind, text, remedy: error.remedy().to_owned() }
}

pub(super) fn say(line: &Line) -> Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    // One write for each line: a line is on the pipe whole or not at all when the process is killed.
    Ok(std::io::stdout().lock().write_all(&text)?)
}

/// Acknowledgements that came back, and the first failure.
#[derive(Debug, Default)]
pub(super) struct Told {
    state: Mutex<(usize, Option<StoreError>)>,
    changed: Condvar,
}

impl Told {
    pub(super) fn done(self: &Arc<Self>, number: usize) -> Done {
        let told = Arc::clone(self);
        Box::new(move |outcome| {
            let failed = match outcome {
                Ok(()) => say(&Line::LogDone(number)).err().map(|_gone| StoreError::Closed),
                Err(error) => Some(error),
            };
            let mut state = told.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = number.saturating_add(1);
            state.1 = state.1.take().or(failed);
            told.changed.notify_all();
        })
    }

    /// Waits until at most `open` of `begun` are under way.
    pub(super) fn wait(&self, begun: usize, open: usize) -> StoreResult<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .changed
            .wait_while(state, |(told, failed)| {
                failed.is_none() && begun.saturating_sub(*told) > open
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.1.clone().map_or(Ok(()), Err)
    }
}

/// Opens, looks, works; everything worth knowing goes to the pipe. `calls` counts disk calls.
///
/// # Errors
/// The pipe is gone.
pub fn run(task: &Task, calls: impl Fn() -> u64) -> Result<()> {
    let store = match open(&task.dir, task.create) {
        Ok(store) => store,
        Err(error) => return say(&Line::Refused(refusal(&error))),
    };
    match look(&store) {
        Ok(found) => say(&Line::Opened(Box::new(found), calls()))?,
        Err(Trouble::Refused(error)) => return say(&Line::Refused(refusal(&error))),
        Err(Trouble::Wrong(what)) => return say(&Line::Wrong(what)),
    }
    let mut work = Work::new(&store, task);
    for _ in 0..task.steps {
        match work.step()? {
            Ok(()) => {}
            Err(error) => return stopped(&store, &error),
        }
    }
    if let Err(error) = work.finish() {
        return stopped(&store, &error);
    }
    drop(store);
    say(&Line::Finished)
}

/// After the first failure everything fails (R7).
fn stopped(store: &Store, error: &StoreError) -> Result<()> {
    let value = || bytes(1, 8);
    let tries: [(&str, StoreResult<()>); 7] = [
        (
            "append",
            store.log().append(
                vec![(store.log().last_index().map_or(0, |i| i + 1), value())],
                Box::new(|_| ()),
            ),
        ),
        ("vote", store.log().save_vote(value(), Box::new(|_| ()))),
        ("read", store.log().read(0..u64::MAX, usize::MAX).map(drop)),
        ("payload", store.payloads().put(&digest(1), &value())),
        ("note", store.notes().put(OTHER, &value())),
        ("snapshot", store.snapshots().save(&value(), &value()).map(drop)),
        ("sync", store.audit().sync()),
    ];
    for (what, outcome) in tries {
        if !matches!(outcome, Err(StoreError::Failed { .. })) {
            return say(&Line::Wrong(format!(
                "{what} after a failure: {outcome:?} (it was {error:?})"
            )));
        }
    }
    say(&Line::Stopped(refusal(error)))
}
