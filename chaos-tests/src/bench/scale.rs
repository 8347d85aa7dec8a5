//! The page of scale: what design section 12 aims at beside what was measured, plots of how costs grow, and every figure of the
//! planner, of placements and of instructions.
//!
//! Must hold: it is made of the lines in `latest.jsonl` and of nothing else, so that it is whole whichever part ran last; what
//! was not measured says so, and what was measured on a smaller fleet names it.

use super::curve::{Curve, Words, plot};
use super::figure::short;
use super::{placement, planner, report};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const PAGE: &str = "scale.md";
const TITLE: &str = "Scale";

/// A line, as far as the page shows it.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    name: String,
    unit: String,
    value: f64,
    spread: Option<(f64, f64)>,
    /// Of the peer, if there is one.
    peer: Option<f64>,
    ratio: Option<f64>,
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| line.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| line.get(field).and_then(Value::as_f64);
        let ends = line.get("spread").and_then(Value::as_array);
        let ends = ends.and_then(|ends| Some((ends.first()?.as_f64()?, ends.get(1)?.as_f64()?)));
        Some(Self {
            name: text("name")?,
            unit: text("unit")?,
            value: number("value")?,
            spread: ends.filter(|(least, most)| least < most),
            peer: number("peer_value"),
            ratio: number("ratio"),
        })
    }

    fn is_ours(&self) -> bool {
        let ours = [planner::PREFIX, placement::PREFIX, planner::instructions::PREFIX];
        ours.into_iter().any(|prefix| self.name.starts_with(prefix))
    }

    fn cells(&self) -> Vec<String> {
        let value = match self.spread {
            Some((least, most)) => {
                format!("{} ({}-{})", short(self.value), short(least), short(most))
            }
            None => short(self.value),
        };
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
        vec![self.name.clone(), self.unit.clone(), value, cell(self.peer), cell(self.ratio)]
    }
}

/// What a row of design section 12 wants: a figure whose name begins, holds and ends so.
#[derive(Debug)]
struct Aim {
    row: &'static str,
    what: &'static str,
    aim: &'static str,
    figure: [&'static str; 3],
    /// The ratio to the peer, not the figure itself.
    is_ratio: bool,
}

const fn aim(
    row: &'static str,
    what: &'static str,
    aim: &'static str,
    figure: [&'static str; 3],
) -> Aim {
    Aim { row, what, aim, figure, is_ratio: false }
}

const fn ratio(
    row: &'static str,
    what: &'static str,
    aim: &'static str,
    figure: [&'static str; 3],
) -> Aim {
    Aim { row, what, aim, figure, is_ratio: true }
}

const MANY: [&str; 3] = ["placement, ", " 256 clients: ", "jobs placed"];
const BATCH: [&str; 3] = ["placement, ", " 64 a call, ", "jobs placed"];
const ARRAYS: [&str; 3] = ["placement, ", " arrays of ", "jobs placed"];

/// In the order of the rows.
const AIMS: [Aim; 20] = [
    aim("5", "submitted, placed, durable; unary calls", "10,000/s or more", MANY),
    ratio("5", "the same beside Slurm", "10 times or more", MANY),
    aim("6", "the same by arrays", "60,000/s or more", ARRAYS),
    ratio("6", "the same beside Slurm", "50 times or more", ARRAYS),
    aim("6", "the same, 64 a call", "60,000/s or more", BATCH),
    ratio("6", "the same beside Slurm", "50 times or more", BATCH),
    aim(
        "7",
        "gangs, fleet 80 % full",
        "3,000/s or more",
        ["planner, ", " 80 % full", "gangs, 32 together"],
    ),
    aim(
        "7",
        "one gang's plan, p99",
        "3 ms or less",
        ["planner, ", " 80 % full", "plan p99, one by one"],
    ),
    aim(
        "7",
        "a plan in a full fleet with turnover, p99",
        "-",
        ["planner, ", " steps: ", "plan p99"],
    ),
    aim(
        "15",
        "a queued job in the state",
        "1,024 B or less",
        ["planner, ", " queued: ", "memory a queued job"],
    ),
    aim(
        "15",
        "the same in the planner's index",
        "with it",
        ["planner, ", " queued: ", "index, a queued job"],
    ),
    aim(
        "15",
        "the same in the leader's memory",
        "-",
        ["placement, ", " queued: ", "leader's memory for each"],
    ),
    aim(
        "16",
        "`job submit`, start of the process to its end",
        "8 ms or less",
        ["placement, ", "", "process: p50"],
    ),
    ratio("16", "the same beside `sbatch`", "-", ["placement, ", "", "process: p50"]),
    aim(
        "19",
        "explained in the planner, p99",
        "20 ms or less",
        ["planner, ", " waiting: ", "explained, p99"],
    ),
    aim(
        "19",
        "explained by a member, p99",
        "20 ms or less",
        ["placement, ", " queued: ", "by a member, p99"],
    ),
    aim(
        "21",
        "CPU of all members a job, unary calls",
        "100 us or less",
        ["placement, ", " 256 clients: ", "all members"],
    ),
    aim(
        "21",
        "the same, 64 a call",
        "8 us or less",
        ["placement, ", " 64 a call, ", "all members"],
    ),
    aim(
        "21",
        "instructions of planning a placement",
        "6,000 or less with apply",
        ["instructions, ", "", "planning, a placement"],
    ),
    aim(
        "21",
        "instructions of applying it",
        "see planning",
        ["instructions, ", "", "apply, a placement"],
    ),
];

/// Kind of the names, what is shown of them, name of the file, title.
const PLOTS: [([&str; 2], &str, &str, &str); 6] = [
    ([" nodes, ", " queued"], "planning, a placement", "growth-planning", "Planning a placement"),
    ([" nodes, ", " queued"], "apply, a placement", "growth-apply", "Applying a placement"),
    ([" nodes, ", " queued"], "plan p99", "growth-plan", "A plan of 256 groups at most, p99"),
    ([" nodes, ", " queued"], "memory a queued job", "growth-memory", "A queued job in the state"),
    (
        [" nodes full, ", " waiting"],
        "explained, p99",
        "growth-explain",
        "Explaining a queued job, p99",
    ),
    (
        [" nodes full, ", " blocked lanes"],
        "plan that places nothing, p50",
        "growth-lanes",
        "A plan among blocked lanes, p50",
    ),
];

/// The last figure that is meant: of the largest fleet and queue.
fn meant<'l>(lines: &'l [Line], [begin, within, end]: [&str; 3]) -> Option<&'l Line> {
    let is_meant = |line: &&Line| {
        let name = line.name.as_str();
        name.starts_with(begin) && name.contains(within) && name.ends_with(end)
    };
    lines.iter().rfind(is_meant)
}

fn aims(lines: &[Line]) -> Vec<Vec<String>> {
    let head = ["row", "what", "aim", "measured", "unit", "in"].map(str::to_owned).to_vec();
    let rows = AIMS.iter().map(|Aim { row, what, aim, figure, is_ratio }| {
        let line = meant(lines, *figure);
        let value =
            if *is_ratio { line.and_then(|line| line.ratio) } else { line.map(|line| line.value) };
        let measured = value.map_or_else(|| "not measured".to_owned(), short);
        let unit = match line {
            Some(_) if *is_ratio => "times".to_owned(),
            Some(line) => line.unit.clone(),
            None => "-".to_owned(),
        };
        let place = line.and_then(|line| line.name.rsplit_once(": "));
        let place = place.map_or_else(|| "-".to_owned(), |(place, _)| place.to_owned());
        let words = [*row, *what, *aim].map(str::to_owned);
        words.into_iter().chain([measured, unit, place]).collect()
    });
    std::iter::once(head).chain(rows).collect()
}

/// Nodes and jobs in a name such as `planner, 100 nodes, 1000 queued: plan p50`, if it ends so.
fn sizes(name: &str, [nodes, jobs]: [&str; 2], what: &str) -> Option<(u32, u32)> {
    let (of, shown) = name.strip_prefix(planner::PREFIX)?.split_once(": ")?;
    let (first, rest) = of.split_once(nodes)?;
    let second = rest.strip_suffix(jobs)?;
    (shown == what).then_some(())?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

fn curves(lines: &[Line], of: [&str; 2], what: &str) -> (Vec<Curve>, String) {
    let (mut fleets, mut unit) = (BTreeMap::<u32, Vec<(u32, f64)>>::new(), String::new());
    for line in lines {
        if let Some((nodes, jobs)) = sizes(&line.name, of, what) {
            fleets.entry(nodes).or_default().push((jobs, line.value));
            unit.clone_from(&line.unit);
        }
    }
    let curve = |(nodes, mut points): (u32, Vec<(u32, f64)>)| {
        points.sort_by_key(|(jobs, _)| *jobs);
        let points = points.into_iter().map(|(jobs, value)| (f64::from(jobs), value)).collect();
        Curve { name: format!("{nodes} nodes"), points }
    };
    (fleets.into_iter().map(curve).collect(), unit)
}

/// Writes the page and its plots into `out`, of the lines that lie there.
///
/// # Errors
/// The folder cannot be read or written, or the page has no place for figures.
pub(super) fn save(out: &Path) -> Result<()> {
    let path = out.join(report::LINES);
    let text = if path.exists() { std::fs::read_to_string(&path) } else { Ok(String::new()) };
    let text = text.with_context(|| path.display().to_string())?;
    let lines: Vec<Line> = text.lines().filter_map(Line::read).filter(Line::is_ours).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let mut page = format!("## Aims and what was measured\n\n{}", report::markdown(&aims(&lines)));
    page += "\n## How costs grow\n";
    for (of, what, name, title) in PLOTS {
        let (curves, unit) = curves(&lines, of, what);
        let x = of.last().map_or("", |x| x.trim());
        if let Some(svg) = plot(Words { title, x, y: &unit }, &curves) {
            std::fs::write(out.join(format!("{name}.svg")), svg)?;
            page += &format!("\n![{title}, {unit}]({name}.svg)\n");
        }
    }
    let head = ["what", "unit", "sekisho", "slurm", "ratio to slurm"].map(str::to_owned).to_vec();
    let table: Vec<Vec<String>> =
        std::iter::once(head).chain(lines.iter().map(Line::cells)).collect();
    page += &format!("\n## Every figure\n\n{}", report::markdown(&table));
    report::put(&out.join(PAGE), TITLE, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, unit: &str, value: f64) -> String {
        serde_json::json!({ "name": name, "unit": unit, "value": value, "ratio": 12.5, "peer_value": 80.0 })
            .to_string()
    }

    #[test]
    fn the_page_shows_aims_plots_and_figures_of_the_largest_fleet() {
        let dir = tempfile::tempdir().unwrap();
        let lines = [
            line("write, 1 client", "1/s", 7.0),
            line("placement, 10000 nodes, 256 clients: jobs placed", "1/s", 1_000.0),
            line("planner, 100 nodes, 1000 queued: planning, a placement", "us", 3.0),
            line("planner, 100 nodes, 10000 queued: planning, a placement", "us", 4.0),
            line("planner, 1000 nodes, 1000 queued: memory a queued job", "B", 900.0),
            line("planner, 10000 nodes, 1000 queued: memory a queued job", "B", 800.0),
        ];
        std::fs::write(dir.path().join(report::LINES), lines.join("\n")).unwrap();
        for _twice in 0..2 {
            save(dir.path()).unwrap();
        }
        let page = std::fs::read_to_string(dir.path().join(PAGE)).unwrap();
        assert!(page.contains(
            "| 5 | submitted, placed, durable; unary calls | 10,000/s or more | 1000 | 1/s |"
        ));
        assert!(page.contains("| 5 | the same beside Slurm | 10 times or more | 12.5 | times |"));
        assert!(page.contains("| 1,024 B or less | 800 | B | planner, 10000 nodes, 1000 queued |"));
        assert!(page.contains("| not measured | - | - |") && !page.contains("write, 1 client"));
        assert!(page.contains("](growth-planning.svg)") && !page.contains("growth-lanes"));
        let svg = std::fs::read_to_string(dir.path().join("growth-planning.svg")).unwrap();
        assert_eq!(svg.matches("r=\"2.5\"").count(), 2);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let of = [" nodes, ", " queued"];
        let name = "planner, 100 nodes, 1000 queued: plan p99";
        assert_eq!(sizes(name, of, "plan p99"), Some((100, 1000)));
        assert_eq!(sizes(name, of, "plan p50"), None);
        assert_eq!(sizes("planner, 100 nodes full, 9 waiting: x", of, "x"), None);
    }

    #[test]
    fn a_folder_without_figures_gets_no_page() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path()).unwrap();
        assert!(!dir.path().join(PAGE).exists());
    }
}
