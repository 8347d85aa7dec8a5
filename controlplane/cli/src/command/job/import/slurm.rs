//! A Slurm batch script as a spec: its `#SBATCH` lines as `sbatch` reads them, and its body as the command.
//!
//! Must hold: only lines before the first command count, as with `sbatch`; a later line that sets an option again counts, and the
//! earlier one is told. What an option means is in `option.rs`, one row for each.
//! Does not know: options of sbatch's own command line, `SBATCH_*` variables, and what a cluster's configuration adds.

mod array;
mod body;
mod dependency;
mod export;
mod option;
mod place;
mod shape;
mod time;
mod when;
mod words;

use super::draft::{Draft, Part, Place, Told, Why, memory, rounded};
use super::given::Given;
use crate::failure::Failure;
use option::{Field, Set, Use};
use sekisho_types::job::Kind;
use sekisho_types::payload::JobPayload;
use shape::Shape;
use std::collections::BTreeMap;

/// How a line begins that `sbatch` reads.
const PREFIX: &str = "#SBATCH";
/// How lines begin that it reads too, for those who come from elsewhere.
const FOREIGN: [&str; 2] = ["#PBS", "#BSUB"];

/// What the lines ask for: each option as it was set last.
type Asked = BTreeMap<Field, Set>;

/// Reads a script.
pub(super) fn read(text: &str, given: &Given) -> Result<Vec<Part>, Failure> {
    refuse_bytes(text)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut told = Vec::new();
    let (asked, header) = header(&lines, &mut told)?;
    let command = body::command(&lines, &header, &mut told)?;
    let shape = Shape::of(&asked, given, &mut told)?;
    let time = time(&asked, given, &mut told)?;
    let name = asked.get(&Field::JobName).map(|set| (set.value.as_str(), set.at));
    let env = match asked.get(&Field::Export) {
        Some(set) => export::read(set, &mut told)?,
        None => BTreeMap::new(),
    };
    let kind = match asked.get(&Field::Array) {
        Some(set) => array::read(set, &mut told)?,
        None => Kind::Batch,
    };
    let after = match asked.get(&Field::Dependency) {
        Some(set) => dependency::read(set, given, &mut told)?,
        None => Vec::new(),
    };
    let time_limit_s = given.time_limit(time)?;
    let (not_before, end_by) = when::read(&asked, time_limit_s, &mut told)?;
    let draft = Draft {
        name: given.name(name)?,
        tenant: given.tenant.clone(),
        kind,
        group: shape.group,
        class: shape.class.clone(),
        gpus: shape.gpus,
        gpu_memory_gib: None,
        topology: place::topology(&asked, shape.group, given, &mut told)?,
        reservation: place::reservation(&asked, &mut told),
        time_limit_s,
        after,
        not_before,
        end_by,
        run: JobPayload {
            command,
            env,
            working_dir: directory(&asked)?,
            memory_mib: main_memory(&asked, &shape, &mut told)?,
            cpu_milli: shape.cpu_milli,
            ..JobPayload::default()
        },
    };
    told.sort_by_key(|told| told.place);
    Ok(vec![Part { told, draft: Some(draft) }])
}

/// The time limit that is asked for, seconds.
fn time(
    asked: &Asked,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Option<(u64, Place)>, Failure> {
    let Some(set) = asked.get(&Field::Time) else { return Ok(None) };
    if let Some(seconds) = time::limit(set)? {
        return Ok(Some((seconds, set.at)));
    }
    if given.time_limit_s.is_none() {
        let fix = "Give one: `--time-limit TIME`, at most 30d.";
        return Err(set.at.refuse("asks for no time limit, and every job has one").remedy(fix));
    }
    told.push(set.told(Why::new(
        "asks for no time limit, and every job has one: --time-limit takes its place",
        "無制限の指定ですが、ジョブには必ず時間制限があります。--time-limit の値を使いました",
    )));
    Ok(None)
}

/// What `sbatch` refuses at once.
fn refuse_bytes(text: &str) -> Result<(), Failure> {
    let first = Place { line: 1, column: 1 };
    if text.trim().is_empty() {
        return Err(first.syntax("the script is empty"));
    }
    for (number, line) in (1..).zip(text.split('\n')) {
        let found = line.chars().position(|c| c == '\r' || c == '\0');
        if let Some(column) = found.and_then(|at| u64::try_from(at).ok()) {
            let place = Place { line: number, column: column.saturating_add(1) };
            let fix = "Convert it, e.g. with `dos2unix`.";
            return Err(place.syntax("a carriage return or NUL, which sbatch refuses").remedy(fix));
        }
    }
    Ok(())
}

/// Which lines are the header's, and which of them were read.
#[derive(Debug, Default)]
struct Header {
    /// Lines from the top that come before the first command.
    lines: usize,
    /// Numbers, from 0, of those that are options and not part of the body.
    read: Vec<usize>,
}

/// Reads the lines before the first command.
fn header(lines: &[&str], told: &mut Vec<Told>) -> Result<(Asked, Header), Failure> {
    let mut asked = Asked::new();
    let mut header = Header::default();
    let is_comment = |line: &str| line.trim().is_empty() || line.starts_with('#');
    header.lines = lines.iter().take_while(|line| is_comment(line.trim_start())).count();
    for (index, line) in lines.iter().take(header.lines).enumerate() {
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        let place = Place { line: number, column: 1 };
        if FOREIGN.iter().any(|prefix| line.starts_with(prefix)) {
            header.read.push(index);
            let why = Why::new(
                "an option of another batch system; write it as #SBATCH and import again",
                "他のバッチシステムの指定です。#SBATCH に書き換えてから再度移してください",
            );
            told.push(Told { place, quoted: (*line).to_owned(), why });
        }
        if !line.starts_with(PREFIX) {
            continue;
        }
        header.read.push(index);
        for set in option::read(line, number)? {
            take(&mut asked, set, told);
        }
    }
    for (index, line) in lines.iter().enumerate().skip(header.lines) {
        if line.starts_with(PREFIX) {
            let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
            let why = Why::new(
                "stands after the first command, where sbatch ignores it; move it up if it is meant",
                "最初のコマンドより後にあるため sbatch も無視します。必要なら上へ移してください",
            );
            let place = Place { line: number, column: 1 };
            told.push(Told { place, quoted: (*line).to_owned(), why });
        }
    }
    Ok((asked, header))
}

/// One option: kept for later, or told at once.
fn take(asked: &mut Asked, set: Set, told: &mut Vec<Told>) {
    match set.option.meaning {
        Use::Same => {}
        Use::Tell(why) => told.push(set.told(why.into())),
        Use::Carry(field) => {
            let line = set.place.line;
            if let Some(earlier) = asked.insert(field, set) {
                let why = Why::new(
                    format!("line {line} sets it again, which counts"),
                    format!("{line} 行で再度指定されており、そちらが有効です"),
                );
                told.push(earlier.told(why));
            }
        }
    }
}

/// Where the command begins.
fn directory(asked: &Asked) -> Result<Option<String>, Failure> {
    let Some(set) = asked.get(&Field::Chdir) else { return Ok(None) };
    let payload = JobPayload {
        command: vec!["true".to_owned()],
        working_dir: Some(set.value.clone()),
        ..JobPayload::default()
    };
    payload.check().map_err(|error| set.at.refuse(format!("--chdir: {}", error.must)))?;
    Ok(payload.working_dir)
}

/// Main memory of a member, MiB.
fn main_memory(asked: &Asked, shape: &Shape, told: &mut Vec<Told>) -> Result<Option<u64>, Failure> {
    let each = [
        (Field::Mem, 1),
        (Field::MemPerCpu, shape.cpus_counted),
        (Field::MemPerGpu, u64::from(shape.gpus)),
    ];
    let mut all = each.iter().filter_map(|(field, times)| Some((asked.get(field)?, *times)));
    let Some((set, times)) = all.next() else { return Ok(None) };
    if let Some((other, _)) = all.next() {
        let why = format!("--{} and --{} exclude each other", set.option.name, other.option.name);
        return Err(other.at.refuse(why));
    }
    let mib = mebibytes(set)?;
    if mib == 0 {
        let why = Why::new(
            "all memory of a node: a member without run.memory_gib is not limited; write it if another job shares the node",
            "ノードの全メモリーの指定です。run.memory_gib がなければ制限されません。共有するノードでは指定してください",
        );
        told.push(set.told(why));
        return Ok(None);
    }
    let total = mib.checked_mul(times).ok_or_else(|| set.at.refuse("is too much"))?;
    let (whole, is_more) = memory(total, set.at)?;
    if is_more {
        told.push(set.told(rounded(whole)));
    }
    Ok(Some(whole))
}

/// Memory as Slurm counts it, MiB, rounded up: a number with K, M, G or T; without, M.
fn mebibytes(set: &Set) -> Result<u64, Failure> {
    let bad = || {
        let why = format!("`{}` is no amount of memory like 64G or 4000M", set.value);
        set.at.refuse(why)
    };
    let upper = set.value.to_ascii_uppercase();
    let end = upper.find(|c: char| !c.is_ascii_digit()).unwrap_or(upper.len());
    let (digits, unit) = upper.split_at(end);
    let count: u64 = digits.parse().map_err(|_digits| bad())?;
    let scaled = match unit {
        "K" | "KB" => Some(count.div_ceil(1024)),
        "" | "M" | "MB" => Some(count),
        "G" | "GB" => count.checked_mul(1024),
        "T" | "TB" => count.checked_mul(1024 * 1024),
        _ => None,
    };
    scaled.ok_or_else(bad)
}

#[cfg(test)]
mod tests;
