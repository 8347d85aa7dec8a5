//! `make bench BENCH_ARGS="--parts planner"`: what the planner does in a second, on fleets of up to 10,000 nodes with queues of
//! up to a million jobs ([`crate::fleet`]), and how long an explanation takes.
//!
//! Must hold: what is planned is committed by apply, and a refusal ends the run: a plan that is not granted is worth
//! nothing. Each case has a process of its own, so that memory is its own. One round of each: a look at sizes, no ratio.
//! Measures no consensus, no disk and no network: those are the other parts.

mod drain;
mod full;
pub(super) mod instructions;
mod sample;
mod turnover;
mod waiting;

use super::figure::{Better, Figures, OURS, What, short};
use super::{meter, report, say};
use crate::fleet::SEED;
use anyhow::{Context as _, Result, ensure};
use sample::{Found, Told};
use sekisho_transport::clock::SystemClock;
use sekisho_types::time::Clock as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest time that one case plans.
const WITHIN: Duration = Duration::from_secs(60);
/// What the names of these figures begin with.
pub(super) const PREFIX: &str = "planner, ";

/// What is measured in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A queue, until nothing more of it has room
    Drain,
    /// Gangs, in a fleet that is 80 % full
    Gangs,
    /// Explanations, in the same
    Explain,
    /// A full fleet in which work ends and comes
    Turnover,
    /// Lanes of a queue that are all blocked, in a full fleet
    Lanes,
    /// Explanations of jobs that wait, in a full fleet
    Waiting,
}

/// One case, in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Case {
    /// What to measure
    #[arg(long)]
    kind: Kind,
    /// Nodes of the fleet
    #[arg(long)]
    nodes: u32,
    /// Jobs in the queue, gangs, explanations, steps, or lanes
    #[arg(long)]
    count: u32,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Drain, Self::Gangs, Self::Explain, Self::Turnover, Self::Lanes, Self::Waiting];

    fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Gangs => "gangs",
            Self::Explain => "explain",
            Self::Turnover => "turnover",
            Self::Lanes => "lanes",
            Self::Waiting => "waiting",
        }
    }
}

impl Case {
    fn all(short: bool) -> Vec<Self> {
        let fleets: &[u32] = if short { &[100, 1_000] } else { &[100, 1_000, 10_000] };
        let queues: &[u32] =
            if short { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
        let (gangs, asks) = if short { (100, 50) } else { (2_000, 500) };
        let mut cases = Vec::new();
        for nodes in fleets.iter().copied() {
            let case = |count: &u32| Self { kind: Kind::Drain, nodes, count: *count };
            cases.extend(queues.iter().map(case));
        }
        let nodes = fleets.last().copied().unwrap_or(0);
        cases.push(Self { kind: Kind::Gangs, nodes, count: gangs });
        cases.push(Self { kind: Kind::Explain, nodes, count: asks });
        cases.push(Self { kind: Kind::Turnover, nodes, count: if short { 20 } else { 500 } });
        let lanes: &[u32] = if short { &[100] } else { &[100, 1_000, 10_000] };
        for (kind, counts) in [(Kind::Lanes, lanes), (Kind::Waiting, queues)] {
            cases.extend(counts.iter().map(|count| Self { kind, nodes, count: *count }));
        }
        cases
    }

    fn words(self) -> String {
        let Self { kind, nodes, count } = self;
        match kind {
            Kind::Drain => format!("{nodes} nodes, {count} queued"),
            Kind::Gangs => format!("{nodes} nodes 80 % full, {count} gangs"),
            Kind::Explain => format!("{nodes} nodes 80 % full, {count} explanations"),
            Kind::Turnover => format!("{nodes} nodes full, {count} steps"),
            Kind::Lanes => format!("{nodes} nodes full, {count} blocked lanes"),
            Kind::Waiting => format!("{nodes} nodes full, {count} waiting"),
        }
    }

    fn measure(self) -> Result<Told> {
        match self.kind {
            Kind::Drain => drain::measure(self.nodes, self.count, WITHIN),
            Kind::Gangs => full::gangs(self.nodes, self.count),
            Kind::Explain => full::explanations(self.nodes, self.count),
            Kind::Turnover => turnover::measure(self.nodes, self.count),
            Kind::Lanes => waiting::lanes(self.nodes, self.count),
            Kind::Waiting => waiting::explanations(self.nodes, self.count),
        }
    }

    /// Measures in a child of this program.
    fn ask(self) -> Result<Told> {
        let child = Command::new(std::env::current_exe()?)
            .args(["planner-case", "--kind", self.kind.word()])
            .args(["--nodes", &self.nodes.to_string(), "--count", &self.count.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("the case's process")?;
        ensure!(child.status.success(), "{}", child.status);
        Ok(serde_json::from_slice(&child.stdout)?)
    }
}

/// Measures one case and prints what was found as JSON.
///
/// # Errors
/// Apply refused something, or standard output is gone.
pub fn measure(case: &Case) -> Result<()> {
    let told = serde_json::to_string(&case.measure()?)?;
    writeln!(std::io::stdout().lock(), "{told}")?;
    Ok(())
}

/// Measures every case, prints a table of each kind, and puts the figures among the lines in `out`.
pub(super) fn run(short: bool, out: Option<&Path>) -> Result<()> {
    let mut figures = Figures::default();
    let mut told: Vec<(Case, Told)> = Vec::new();
    for case in Case::all(short) {
        say(&format!("{PREFIX}{}", case.words()));
        let found = case.ask().with_context(|| case.words())?;
        note(&mut figures, case, &found);
        told.push((case, found));
    }
    let mut text = std::io::stdout().lock();
    for line in head() {
        writeln!(text, "{line}")?;
    }
    for kind in Kind::ALL {
        let rows = told.iter().filter(|(case, _)| case.kind == kind);
        writeln!(text, "\n{}", report::text(&table(rows)).trim_end())?;
    }
    match out {
        Some(out) => report::keep(out, PREFIX, &figures.lines()),
        None => Ok(()),
    }
}

fn head() -> [String; 2] {
    let profile = if cfg!(debug_assertions) { "dev (not optimised: no claim)" } else { "release" };
    [
        format!("{}; {}", SystemClock.wall(), meter::machine_words()),
        format!("build profile {profile}; one round; one thread; the last column: others' cores"),
    ]
}

fn note(figures: &mut Figures, case: Case, told: &Told) {
    for Found { what, measure, value } in &told.found {
        let name = format!("{PREFIX}{}: {what}", case.words());
        if let Some(value) = value {
            let what = What::new(name, measure.unit(), measure.better());
            figures.add(&what, OURS, *value, told.others);
        }
    }
}

/// Cases of one kind: they have the same columns.
fn table<'t, I>(cases: I) -> Vec<Vec<String>>
where
    I: Iterator<Item = &'t (Case, Told)>,
{
    let mut table: Vec<Vec<String>> = Vec::new();
    for (case, told) in cases {
        if table.is_empty() {
            let columns = told.found.iter().map(|one| match one.measure.better() {
                Better::Neither if one.measure.unit() == "1" => one.what.clone(),
                Better::More | Better::Less | Better::Neither => {
                    format!("{}, {}", one.what, one.measure.unit())
                }
            });
            let first = std::iter::once("case".to_owned());
            table.push(first.chain(columns).chain(["others".to_owned()]).collect());
        }
        let cells = told.found.iter().map(|one| one.value.map_or_else(|| "-".to_owned(), short));
        let first = std::iter::once(case.words());
        table.push(first.chain(cells).chain([short(told.others)]).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_form_has_every_fleet_and_queue_and_the_short_one_is_small() {
        let full = Case::all(false);
        assert_eq!(full.len(), 22);
        assert!(full.contains(&Case { kind: Kind::Drain, nodes: 10_000, count: 1_000_000 }));
        assert!(full.contains(&Case { kind: Kind::Explain, nodes: 10_000, count: 500 }));
        assert!(Case::all(true).iter().all(|case| case.nodes <= 1_000 && case.count <= 10_000));
    }

    #[test]
    fn figures_replace_those_of_before_and_no_others() {
        let case = Case { kind: Kind::Drain, nodes: 100, count: 200 };
        let told = drain::measure(case.nodes, case.count, WITHIN).unwrap();
        let (mut figures, dir) = (Figures::default(), tempfile::tempdir().unwrap());
        note(&mut figures, case, &told);
        let path = dir.path().join(report::LINES);
        std::fs::write(&path, "{\"name\":\"write, 1 client\"}\n{\"name\":\"planner, old\"}\n")
            .unwrap();
        for _twice in 0..2 {
            report::keep(dir.path(), PREFIX, &figures.lines()).unwrap();
        }
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.matches("write, 1 client").count(), 1);
        assert_eq!(lines.matches(": first plan").count(), 1);
        assert!(!lines.contains("planner, old"));
        let table = table([(case, told)].iter());
        assert!(table.len() == 2 && table[0].len() == table[1].len(), "{table:?}");
    }
}
