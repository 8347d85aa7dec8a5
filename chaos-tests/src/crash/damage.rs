//! Damage at rest: a flipped bit, a cut-off, zeroed or missing file, anywhere in a member's data directory.
//!
//! Must hold (R7): the member either has everything, or says what is damaged and what to do. It never opens with less
//! than it acknowledged, and never with bytes that nobody wrote.

use super::disk::scratch;
use super::line::{Found, Line, Refusal};
use anyhow::{Context as _, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Operations of each of the two lives that fill the directory: the first ends up in sorted tables when the second
/// begins, the second in write-ahead files.
const STEPS: u32 = 220;
/// Cases that share one directory before the damage.
const SHARED: u64 = 50;
/// Bytes zeroed at once: a sector.
const SECTOR: usize = 512;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// One bit is flipped in the written part.
    Flip,
    /// A sector reads as zeros.
    Zero,
    /// The file ends early.
    Cut,
    /// The file is gone.
    Gone,
}

const HARMS: [Harm; 8] =
    [Harm::Flip, Harm::Flip, Harm::Flip, Harm::Flip, Harm::Zero, Harm::Zero, Harm::Cut, Harm::Gone];

/// Outcomes by kind of file, harm and kind of refusal (or `unharmed`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How often.
    pub outcomes: BTreeMap<(String, Harm, String), u64>,
    /// Cases in which the store did not notice, or did not say what to do.
    pub violations: Vec<String>,
}

impl Report {
    /// How often the store refused, for files whose kind begins like this.
    #[must_use]
    pub fn refused(&self, file: &str) -> u64 {
        let of_file =
            self.outcomes.iter().filter(|((f, _, end), _)| f.starts_with(file) && end != UNHARMED);
        of_file.map(|(_, count)| count).sum()
    }

    /// Cases in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cases of damage", self.total())?;
        let mut rows = self.outcomes.iter();
        rows.try_for_each(|((file, harm, end), count)| {
            writeln!(f, "  {file:<16} {harm:?}: {end} {count}")
        })?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "{violation}"))
    }
}

const UNHARMED: &str = "unharmed";
const VIOLATION: &str = "VIOLATION";

/// Damages one place at a time, `cases` times.
///
/// # Errors
/// The drill itself failed.
pub fn sweep(program: &Path, seed: u64, cases: u64) -> Result<Report> {
    let mut report = Report::default();
    let mut case = seed;
    while case < seed.saturating_add(cases) {
        // Some cases to a directory: seeds with the same beginning have the same one.
        let end = seed
            .saturating_add(cases)
            .min((case / SHARED).saturating_add(1).saturating_mul(SHARED));
        sweep_one(program, case..end, &mut report)?;
        case = end;
    }
    Ok(report)
}

/// The cases of one directory.
fn sweep_one(program: &Path, cases: Range<u64>, report: &mut Report) -> Result<()> {
    let scratch = scratch()?;
    let whole = scratch.path().join("whole");
    let directory = cases.start / SHARED;
    for life in 1..=2_u64 {
        let seed = directory.saturating_mul(2).saturating_add(life).to_string();
        let (first, steps) = (life.saturating_mul(1_000_000).to_string(), STEPS.to_string());
        let options = ["--seed", &seed, "--first", &first, "--steps", &steps, "--create"];
        let (lines, _) = live(program, &whole, &options)?;
        ensure!(lines.last() == Some(&Line::Finished), "filling the directory: {:?}", lines.last());
    }
    let expected = scratch.path().join("expected");
    copy(&whole, &expected)?;
    let (lines, _) = live(program, &expected, &[])?;
    let Some(Line::Opened(expected, _)) = lines.into_iter().next() else {
        bail!("the undamaged directory does not open")
    };
    let files = files(&whole)?;
    for case in cases {
        let mut random = StdRng::seed_from_u64(case);
        // Kinds in turn, so that the one small file is hit as often as the many large ones.
        let kinds: Vec<&String> = files.keys().collect();
        let kind = *kinds.get(random.random_range(0..kinds.len())).context("an empty directory")?;
        let of_kind = files.get(kind).map(Vec::as_slice).unwrap_or_default();
        let file = of_kind.get(random.random_range(0..of_kind.len())).context("no file")?;
        let harm = HARMS.get(random.random_range(0..HARMS.len())).copied().unwrap_or(Harm::Flip);
        let hurt = scratch.path().join("hurt");
        copy(&whole, &hurt)?;
        let place = damage(&hurt.join(file), harm, &mut random)?;
        let end = judge(program, &hurt, &expected).unwrap_or_else(|violation| {
            report.violations.push(format!(
                "{harm:?} at byte {place} of {}: {violation:#}; again with: sekisho-drill crash damage --seed {case} --cases 1",
                file.display()
            ));
            VIOLATION.to_owned()
        });
        std::fs::remove_dir_all(&hurt)?;
        *report.outcomes.entry((kind.clone(), harm, end)).or_default() += 1;
    }
    Ok(())
}

/// One life of the member; all that it said, and whether it ended in order.
fn live(program: &Path, dir: &Path, more: &[&str]) -> Result<(Vec<Line>, bool)> {
    let output = Command::new(program).arg("--dir").arg(dir).args(more).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((lines, output.status.success()))
}

fn judge(program: &Path, dir: &Path, expected: &Found) -> Result<String> {
    let (lines, in_order) = live(program, dir, &[])?;
    ensure!(in_order, "the member crashed");
    match lines.into_iter().next() {
        Some(Line::Opened(found, _)) => {
            ensure!(
                found.data == expected.data,
                "lost without a word: {:?} instead of {:?}",
                found.data,
                expected.data
            );
            ensure!(
                found.log == expected.log,
                "lost without a word: {:?} instead of {:?}",
                found.log,
                expected.log
            );
            ensure!(found.committed == expected.committed, "an older committed mark");
            ensure!(found.boot == expected.boot, "an older boot count");
            Ok(UNHARMED.to_owned())
        }
        Some(Line::Refused(Refusal { kind, text, remedy })) => {
            ensure!(
                kind == "Damaged" || kind == "Marker",
                "not called damage: {kind}: {text} ({remedy})"
            );
            // A second start must not take what the first one refused.
            let (again, _) = live(program, dir, &[])?;
            ensure!(
                matches!(again.first(), Some(Line::Refused(_))),
                "refused ({text}), but the next start opened it: {:?}",
                again.first()
            );
            Ok(kind)
        }
        other => bail!("{other:?}"),
    }
}

/// Files below `dir`, by kind.
fn files(dir: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut out: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut walk = vec![PathBuf::new()];
    while let Some(below) = walk.pop() {
        for entry in std::fs::read_dir(dir.join(&below))? {
            let (entry, path) = entry.map(|e| (e.file_type(), below.join(e.file_name())))?;
            if entry?.is_dir() {
                walk.push(path);
            } else if let Some(kind) = kind(&path) {
                out.entry(kind).or_default().push(path);
            }
        }
    }
    out.values_mut().for_each(|files| files.sort());
    Ok(out)
}

/// The kind of a file of the store; `None` for those that hold nothing: locks and RocksDB's own journal.
fn kind(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let database =
        path.parent().and_then(Path::file_name).and_then(|p| p.to_str()).unwrap_or_default();
    let stem: &str = match path.extension().and_then(|e| e.to_str()) {
        Some(extension @ ("log" | "sst")) => extension,
        Some(_) | None => name.split('-').next()?,
    };
    let is_ours = stem != "LOCK" && stem != "lock" && !stem.starts_with("LOG");
    is_ours
        .then(|| if database.is_empty() { stem.to_owned() } else { format!("{database}/{stem}") })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Does it; where.
fn damage(file: &Path, harm: Harm, random: &mut StdRng) -> Result<usize> {
    if harm == Harm::Gone {
        std::fs::remove_file(file)?;
        return Ok(0);
    }
    let mut bytes = std::fs::read(file)?;
    let written =
        bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last.saturating_add(1));
    if written == 0 {
        return Ok(0);
    }
    let at = random.random_range(0..written);
    match harm {
        Harm::Flip => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte ^= 1 << random.random_range(0..8_u32)),
        Harm::Zero => {
            let from = at.saturating_sub(at % SECTOR);
            bytes.iter_mut().skip(from).take(SECTOR).for_each(|byte| *byte = 0);
        }
        Harm::Cut => bytes.truncate(at),
        Harm::Gone => {}
    }
    std::fs::write(file, bytes)?;
    Ok(at)
}
