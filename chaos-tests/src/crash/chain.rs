//! One disk and the lives of a member on it, judged one after the other.

use super::campaign::Report;
use super::data::{self, Data};
use super::disk::Disk;
use super::history::History;
use super::line::{Found, Line, Refusal};
use super::log::{self, Log};
use super::member::Task;
use super::plan::{Cut, Plan};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Numbers of values that one life may use up.
const VALUES: u64 = 1_000_000;

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Killed.
    Cut,
    /// The store did not open.
    Refused(Refusal),
    /// The store stopped after a failure.
    Stopped(Refusal),
    /// Closed in order.
    Finished,
}

/// One disk and what is known of the store on it.
#[derive(Debug)]
pub struct Chain<'a> {
    program: &'a Path,
    disk: &'a Disk,
    log: History<Log>,
    data: History<Data>,
    committed: Option<u64>,
    /// The highest boot count reported, and the lives begun since.
    boot: (u64, u64),
    /// Disk calls that the last opening took.
    opening: u64,
    lives: u64,
    report: Report,
}

impl<'a> Chain<'a> {
    /// A fresh disk.
    #[must_use]
    pub fn new(program: &'a Path, disk: &'a Disk) -> Self {
        Self {
            program,
            disk,
            log: History::new(Log::default()),
            data: History::new(Data::default()),
            committed: None,
            boot: (0, 0),
            opening: 0,
            lives: 0,
            report: Report::default(),
        }
    }

    /// The next life's task.
    #[must_use]
    pub fn task(&self, seed: u64, steps: u32, big: bool) -> Task {
        Task {
            dir: self.disk.path().join("member"),
            // Once it was seen open, its absence is a loss and not a first start.
            create: self.boot.0 == 0,
            seed,
            first: self.lives.saturating_add(1).saturating_mul(VALUES),
            steps,
            big,
        }
    }

    /// Disk calls that the last opening took.
    #[must_use]
    pub fn opening(&self) -> u64 {
        self.opening
    }

    /// What happened so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What happened.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }

    /// One life from opening to its end, judged. After a cut the disk was off and on again.
    ///
    /// # Errors
    /// A violation, or the program or the machine failed.
    pub fn live(&mut self, task: &Task, plan: Plan) -> Result<End> {
        self.live_while(task, plan, |_, _| Ok(()))
    }

    /// The same; `meanwhile` is called with the member's process and the number of each line that it says.
    ///
    /// # Errors
    /// A violation, or the program or the machine failed.
    pub fn live_while(
        &mut self,
        task: &Task,
        plan: Plan,
        mut meanwhile: impl FnMut(Pid, u64) -> Result<()>,
    ) -> Result<End> {
        self.lives = self.lives.saturating_add(1);
        self.boot.1 = self.boot.1.saturating_add(1);
        let mut member = Command::new(self.program);
        member.arg("--dir").arg(&task.dir).arg("--disk").arg(self.disk.path());
        member.args(["--seed", &task.seed.to_string(), "--first", &task.first.to_string()]);
        member.args(["--steps", &task.steps.to_string()]).args(plan.options());
        member.args(task.create.then_some("--create")).args(task.big.then_some("--big"));
        let mut member = member.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = member.stdout.take().context("no pipe")?;
        let pid = Pid::from_raw(member.id().try_into()?);
        let mut end = None;
        let mut judged = Ok(());
        let mut opened = false;
        for (number, line) in (1..).zip(BufReader::new(lines).lines()) {
            meanwhile(pid, number)?;
            // A line cut off by the kill says nothing.
            let Ok(line) = serde_json::from_str::<Line>(&line?) else { continue };
            opened |= matches!(line, Line::Opened(..));
            if judged.is_ok() {
                judged = self.hear(line, &mut end);
            }
        }
        let status = member.wait()?;
        judged?;
        let killed = status.signal() == Some(nix::sys::signal::Signal::SIGKILL as i32);
        ensure!(killed || status.success(), "the member ended with {status}");
        if killed && plan.cut.is_power() {
            self.disk.restart()?;
        }
        let end = if killed { End::Cut } else { end.context("the member ended without a word")? };
        self.count(&end, plan.cut, opened)?;
        Ok(end)
    }

    fn count(&mut self, end: &End, cut: Cut, opened: bool) -> Result<()> {
        match end {
            End::Finished => {
                self.report.finished += 1;
                return Ok(());
            }
            End::Refused(why) | End::Stopped(why) => {
                ensure!(
                    !why.remedy.is_empty() && !why.text.is_empty(),
                    "a refusal without a word: {why:?}"
                );
                *self.report.stopped.entry(why.kind.clone()).or_default() += 1;
            }
            End::Cut => {}
        }
        *self.report.cuts.entry(cut).or_default() += 1;
        self.report.in_opening += u64::from(!opened);
        for (begun, durable) in [self.log.counts(), self.data.counts()] {
            self.report.acknowledged += u64::try_from(durable)?;
            self.report.undecided += u64::try_from(begun.saturating_sub(durable))?;
        }
        Ok(())
    }

    fn hear(&mut self, line: Line, end: &mut Option<End>) -> Result<()> {
        match line {
            Line::Opened(found, calls) => {
                self.opening = calls;
                self.judge(&found)?;
            }
            Line::Wrong(what) => bail!("not what was written: {what}"),
            Line::Refused(why) => *end = Some(End::Refused(why)),
            Line::Stopped(why) => *end = Some(End::Stopped(why)),
            Line::Finished => *end = Some(End::Finished),
            Line::LogBegun(operation) => self.log.begin(operation),
            Line::LogDone(number) => self.log.acknowledge(number, log::Operation::is_durable),
            Line::DataBegun(operation) => self.data.begin(operation),
            Line::DataDone(number) => {
                self.data.acknowledge(number, data::Operation::is_durable);
            }
        }
        Ok(())
    }

    /// Is `found` allowed? Then it is the new beginning.
    fn judge(&mut self, found: &Found) -> Result<()> {
        let (before, lives) = self.boot;
        ensure!(
            found.boot > before && found.boot <= before.saturating_add(lives),
            "boot count {} after {before} and {lives} openings",
            found.boot
        );
        self.log.check(&found.log).map_err(|e| anyhow!("log: {e}"))?;
        self.data.check(&found.data).map_err(|e| anyhow!("data: {e}"))?;
        let riders = self.log.riders(self.committed, |operation| match operation {
            log::Operation::Committed(mark) => Some(Some(*mark)),
            log::Operation::Append(_)
            | log::Operation::Vote(_)
            | log::Operation::Truncate(_)
            | log::Operation::Purge(..) => None,
        });
        ensure!(
            riders.contains(&found.committed),
            "committed mark {:?}, not of {riders:?}",
            found.committed
        );
        let covered = found.data.newest.map(|(index, _)| index);
        let purged = found.log.purged.map(|(index, _)| index);
        ensure!(
            purged <= covered,
            "the log is purged to {purged:?}, the snapshot covers {covered:?}"
        );
        self.log = History::new(found.log.clone());
        self.data = History::new(found.data.clone());
        self.committed = found.committed;
        self.boot = (found.boot, 0);
        self.report.last_index = self.report.last_index.max(found.log.peak);
        Ok(())
    }
}
