//! `--array`: which tasks there are, and how many of them at once.
//!
//! Must hold: a task here has a number from 0; what number it has in Slurm is told unless it is the same. A number that stands
//! twice is one task, as with `sbatch`.

use super::super::draft::{Told, Why, tasks};
use super::option::Set;
use crate::failure::Failure;
use sekisho_types::job::Kind;

/// Tasks of an array above which it is one that no cluster runs.
const TASKS_MAX: u64 = 4_000_001;

/// Numbers of an uneven list that are shown.
const SHOWN: usize = 12;

/// Numbers from the first to the last, with steps.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: u32,
    last: u32,
    step: u32,
}

impl Range {
    /// Reads `I`, `I-J` or `I-J:STEP`.
    fn read(text: &str) -> Option<Self> {
        let Some((first, rest)) = text.split_once('-') else {
            let first = number(text)?;
            return Some(Self { first, last: first, step: 1 });
        };
        let (last, step) = match rest.split_once(':') {
            Some((last, step)) => (last, number(step).filter(|step| *step > 0)?),
            None => (rest, 1),
        };
        let range = Self { first: number(first)?, last: number(last)?, step };
        (range.first <= range.last).then_some(range)
    }

    fn len(self) -> u64 {
        let span = u64::from(self.last.saturating_sub(self.first));
        span.checked_div(u64::from(self.step)).unwrap_or(0).saturating_add(1)
    }

    fn numbers(self) -> impl Iterator<Item = u32> {
        let step = usize::try_from(self.step).unwrap_or(usize::MAX);
        (self.first..=self.last).step_by(step.max(1))
    }
}

fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// The array that it comes to.
pub(super) fn read(set: &Set, told: &mut Vec<Told>) -> Result<Kind, Failure> {
    let bad = || {
        let value = &set.value;
        set.at.refuse(format!("`{value}` is no array like 0-9, 1,3,5, 0-15:4 or 0-9%2"))
    };
    let (list, at_once) = match set.value.split_once('%') {
        Some((list, at_once)) => (list, Some(number(at_once).filter(|n| *n > 0).ok_or_else(bad)?)),
        None => (set.value.as_str(), None),
    };
    let ranges: Option<Vec<Range>> = list.split(',').map(Range::read).collect();
    let ranges = ranges.ok_or_else(bad)?;
    let all = ranges.iter().fold(0u64, |sum, range| sum.saturating_add(range.len()));
    if all > TASKS_MAX {
        return Err(set.at.refuse(format!("an array of {all} tasks, at most {TASKS_MAX}")));
    }
    let mut numbers: Vec<u32> = ranges.iter().flat_map(|range| range.numbers()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let (tasks, fewer) = tasks(u64::try_from(numbers.len()).unwrap_or(u64::MAX));
    let remarks = fewer.into_iter().chain(numbering(&numbers));
    told.extend(remarks.map(|why| set.told(why)));
    Ok(Kind::Array { tasks, at_most: at_once.unwrap_or(tasks).min(tasks) })
}

/// How a task's number in Slurm comes from its number here; nothing if it is the same.
fn numbering(numbers: &[u32]) -> Option<Why> {
    let first = *numbers.first()?;
    let step = numbers.get(1).map_or(1, |second| second.saturating_sub(first));
    let follows = |pair: &[u32]| matches!(pair, [a, b] if b.saturating_sub(*a) == step);
    if !numbers.windows(2).all(follows) {
        let shown: Vec<String> = numbers.iter().take(SHOWN).map(u32::to_string).collect();
        let end = if numbers.len() > SHOWN { ", …" } else { "" };
        let shown = format!("{}{end}", shown.join(", "));
        return Some(Why::new(
            format!(
                "carried over, but a task has its number from 0 in SEKISHO_TASK: let the script take the one at that place of {shown}"
            ),
            format!(
                "移しましたが、タスク番号は 0 からで SEKISHO_TASK にあります。スクリプトで {shown} のその順番のものを使ってください"
            ),
        ));
    }
    let times =
        if step == 1 { "SEKISHO_TASK".to_owned() } else { format!("SEKISHO_TASK * {step}") };
    let sum = if first == 0 { times } else { format!("{times} + {first}") };
    (first != 0 || step != 1).then(|| {
        Why::new(
            format!(
                "carried over, but a task has its number from 0 in SEKISHO_TASK: Slurm's is $(({sum}))"
            ),
            format!(
                "移しましたが、タスク番号は 0 からで SEKISHO_TASK にあります。Slurm の番号は $(({sum})) です"
            ),
        )
    })
}
