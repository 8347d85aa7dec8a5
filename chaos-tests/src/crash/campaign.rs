//! Many cuts: lives of a member on disks that lose power, and the judgement after each.
//!
//! A *chain* is one disk and the lives on it, one after the other; each life opens what the one before left behind,
//! also while it still recovers. Must hold: a chain is made from its seed alone (but for the timing of threads), and
//! every violation names the line that repeats it.

use super::chain::{Chain, End};
use super::disk::{Disk, own_mounts, scratch};
use super::plan::{Cut, Plan, Planted};
use anyhow::{Context as _, Result, anyhow, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cuts of one chain. More would only age the disk; fewer would leave compaction and reuse of files unseen.
pub const CHAIN: u64 = 25;
/// Each so many-th chain writes entries of megabytes.
const BIG_EVERY: u64 = 8;
/// Size of a disk: the store's data at its largest several times over.
const DISK_MIB: u64 = 1024;
/// Disk calls after opening among which the cut falls.
const SPAN: Range<u64> = 1..260;
/// The same where entries are large: write-ahead files are full and reused within it.
const SPAN_BIG: Range<u64> = 120..340;
/// Operations after which a life ends by itself; a cut comes sooner almost always.
const STEPS: u32 = 900;
/// Lives of one chain that may pass without a cut.
const SPARE: u64 = 50;

/// What to do.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The member program, `sekisho-crash`.
    pub program: PathBuf,
    /// Seed of the first chain; the next has the next number.
    pub seed: u64,
    /// Cuts in all.
    pub cuts: u64,
    /// Ways to cut, equally often.
    pub ways: Vec<Cut>,
    /// A fault that should be found.
    pub planted: Option<Planted>,
    /// Chains at a time.
    pub threads: usize,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lives cut, by way.
    pub cuts: BTreeMap<Cut, u64>,
    /// Of these, cut before the store was open.
    pub in_opening: u64,
    /// Lives that ended because the store stopped by itself, by the kind of its error.
    pub stopped: BTreeMap<String, u64>,
    /// Lives that ended by themselves.
    pub finished: u64,
    /// Operations that had been acknowledged when a cut came, in all.
    pub acknowledged: u64,
    /// Operations that had not.
    pub undecided: u64,
    /// Largest log index ever found.
    pub last_index: u64,
}

impl Report {
    /// Cuts in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cuts.values().sum()
    }

    fn add(&mut self, other: Self) {
        for (cut, count) in other.cuts {
            *self.cuts.entry(cut).or_default() += count;
        }
        for (kind, count) in other.stopped {
            *self.stopped.entry(kind).or_default() += count;
        }
        self.in_opening += other.in_opening;
        self.finished += other.finished;
        self.acknowledged += other.acknowledged;
        self.undecided += other.undecided;
        self.last_index = self.last_index.max(other.last_index);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &dyn fmt::Display, count| {
            write!(f, " {name} {count}")
        };
        write!(f, "{} cuts (", self.total())?;
        self.cuts.iter().try_for_each(|(cut, count)| list(f, cut, count))?;
        write!(f, " ), {} while opening; stopped (", self.in_opening)?;
        self.stopped.iter().try_for_each(|(kind, count)| list(f, kind, count))?;
        write!(
            f,
            " ), {} finished; {} operations acknowledged, {} undecided; last log index {}",
            self.finished, self.acknowledged, self.undecided, self.last_index
        )
    }
}

impl Campaign {
    /// Cuts until enough were made.
    ///
    /// # Errors
    /// The first violation, with the line that repeats it; or the machine lacks what it takes.
    pub fn run(&self) -> Result<Report> {
        let chains = self.cuts.div_ceil(CHAIN);
        let next = AtomicU64::new(0);
        let total = Mutex::new(Ok(Report::default()));
        std::thread::scope(|scope| {
            for number in 0..self.threads {
                let work = || {
                    if let Err(error) = own_mounts() {
                        return fail(&total, error);
                    }
                    loop {
                        let chain = next.fetch_add(1, Ordering::SeqCst);
                        if chain >= chains || total.lock().is_ok_and(|t| t.is_err()) {
                            return;
                        }
                        let cuts = CHAIN.min(self.cuts.saturating_sub(chain.saturating_mul(CHAIN)));
                        let seed = self.seed.saturating_add(chain);
                        match self.chain(seed, cuts) {
                            Ok(report) => {
                                if let Ok(Ok(total)) = total.lock().as_deref_mut() {
                                    total.add(report);
                                }
                            }
                            Err(error) => fail(&total, error.context(self.again(seed, cuts))),
                        }
                    }
                };
                let thread = std::thread::Builder::new().name(format!("chain-{number}"));
                if let Err(error) = thread.spawn_scoped(scope, work) {
                    fail(&total, error.into());
                }
            }
        });
        total.into_inner().map_err(|_poisoned| anyhow!("a chain panicked"))?
    }

    fn again(&self, seed: u64, cuts: u64) -> String {
        let planted =
            self.planted.map_or_else(String::new, |planted| format!(" --planted {planted}"));
        let ways: Vec<String> = self.ways.iter().map(ToString::to_string).collect();
        format!(
            "seed {seed}; again with: sekisho-drill crash cuts --seed {seed} --cuts {cuts} --ways {}{planted}",
            ways.join(",")
        )
    }

    fn chain(&self, seed: u64, cuts: u64) -> Result<Report> {
        let scratch = scratch()?;
        let disk = Disk::create(scratch.path(), DISK_MIB)?;
        let mut chain = Chain::new(&self.program, &disk);
        let mut random = StdRng::seed_from_u64(seed);
        let big = seed % BIG_EVERY == BIG_EVERY - 1;
        for life in 0..cuts.saturating_add(SPARE) {
            if chain.report().total() >= cuts {
                break;
            }
            let cut = *self
                .ways
                .get(random.random_range(0..self.ways.len().max(1)))
                .context("no way to cut was given")?;
            let opening = chain.opening().max(1);
            // A fifth of the cuts hits recovery.
            let at = if random.random_range(0..5) == 0 {
                random.random_range(1..=opening)
            } else {
                opening.saturating_add(random.random_range(if big { SPAN_BIG } else { SPAN }))
            };
            let plan = Plan { at: Some(at), cut, planted: self.planted };
            let task = chain.task(random.random(), STEPS, big);
            let place = || format!("life {life}, {cut} at disk call {at}");
            let end = chain.live(&task, plan).with_context(place)?;
            // Only a failing disk may stop the store; after a cut it has to open.
            if let End::Refused(why) | End::Stopped(why) = end
                && !Cut::FAILURES.contains(&cut)
            {
                return Err(anyhow!("the store refused to go on: {why:?}")).with_context(place);
            }
        }
        // The last word: everything is still there when nobody cuts.
        let task = chain.task(0, 0, false);
        let end = chain.live(&task, Plan::NOTHING).context("at the end")?;
        ensure!(end == End::Finished, "at the end: {end:?}");
        ensure!(
            chain.report().total() >= cuts,
            "only {} of {cuts} cuts took effect",
            chain.report().total()
        );
        Ok(chain.into_report())
    }
}

fn fail(total: &Mutex<Result<Report>>, error: anyhow::Error) {
    if let Ok(mut total) = total.lock()
        && total.is_ok()
    {
        *total = Err(error);
    }
}
