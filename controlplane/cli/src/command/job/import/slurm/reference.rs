//! `--array` and `--dependency`: a script says no more of them than numbers, which no spec has; they are read all the same, so
//! that a wrong one is refused and not passed on.

use super::super::draft::Why;
use super::option::Set;
use crate::failure::Failure;

/// Tasks of an array above which a person is told a number that no cluster runs.
const TASKS_MAX: u64 = 4_000_001;

/// What becomes of an array: ranges, lists, steps, and how many at once.
pub(super) fn array(set: &Set) -> Result<Why, Failure> {
    let bad = || {
        let value = &set.value;
        set.at.refuse(format!("`{value}` is no array like 0-9, 1,3,5, 0-15:4 or 0-9%2"))
    };
    let (list, at_once) = match set.value.split_once('%') {
        Some((list, at_once)) => (list, Some(number(at_once).filter(|n| *n > 0).ok_or_else(bad)?)),
        None => (set.value.as_str(), None),
    };
    let mut tasks = 0u64;
    for item in list.split(',') {
        let count = range(item).ok_or_else(bad)?;
        tasks = tasks.saturating_add(count);
    }
    if tasks > TASKS_MAX {
        return Err(set.at.refuse(format!("an array of {tasks} tasks, at most {TASKS_MAX}")));
    }
    let en = at_once.map(|n| format!(", at most {n} at once")).unwrap_or_default();
    let ja = at_once.map(|n| format!("(同時に {n} 件まで)")).unwrap_or_default();
    Ok(Why::new(
        format!(
            "{tasks} tasks{en}, and this is one of them: submit it for each, `--name NAME-I`, with I in run.env"
        ),
        format!(
            "{tasks} 件のうちの1件です{ja}。番号を run.env に書き、`--name NAME-I` で1件ずつ投入してください"
        ),
    ))
}

/// Tasks of `I`, `I-J` or `I-J:STEP`.
fn range(text: &str) -> Option<u64> {
    let Some((first, rest)) = text.split_once('-') else {
        return number(text).map(|_| 1);
    };
    let (last, step) = match rest.split_once(':') {
        Some((last, step)) => (last, number(step).filter(|step| *step > 0)?),
        None => (rest, 1),
    };
    let span = number(last)?.checked_sub(number(first)?)?;
    span.checked_div(step)?.checked_add(1)
}

fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse::<u32>().ok().map(u64::from) } else { None }
}

/// What becomes of a dependency.
pub(super) fn dependency(set: &Set) -> Result<Why, Failure> {
    let value = &set.value;
    let bad = || {
        let forms =
            "afterok:JOB[:JOB], afterany:, afternotok:, after:JOB[+MINUTES], aftercorr:, singleton";
        set.at
            .refuse(format!("`{value}` is no dependency: {forms}, with all `,` or all `?` between"))
    };
    if value.contains(',') && value.contains('?') {
        return Err(bad());
    }
    let mut is_single = false;
    for item in value.split([',', '?']) {
        is_single |= item == "singleton";
        if !is_condition(item) {
            return Err(bad());
        }
    }
    Ok(if is_single {
        Why::new(
            "names are unique, so nothing waits for its own: name the job before it, `after: [{job: NAME, when: ended}]`",
            "名前は一意なので、同名ジョブの順番待ちはありません。前のジョブを `after: [{job: NAME, when: ended}]` と書いてください",
        )
    } else {
        let after = after(value);
        Why::new(
            format!(
                "a number names no job here: write the names of those jobs, `{after}`; all of it has to come true"
            ),
            format!(
                "番号ではジョブを指定できません。`{after}` のように名前で書いてください。すべての条件が必要です"
            ),
        )
    })
}

/// What a spec says in place of conditions, each kind of them once.
fn after(value: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for item in value.split([',', '?']) {
        let word = match item.split(':').next() {
            Some("after") => "started",
            Some("afternotok") => "failed",
            Some("afterany" | "afterburstbuffer") => "ended",
            Some(_) | None => "succeeded",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let items: Vec<String> =
        words.iter().map(|word| format!("{{job: NAME, when: {word}}}")).collect();
    format!("after: [{}]", items.join(", "))
}

fn is_condition(text: &str) -> bool {
    let Some((kind, jobs)) = text.split_once(':') else { return text == "singleton" };
    let takes_time = kind == "after";
    let is_kind = takes_time
        || matches!(kind, "afterok" | "afterany" | "afternotok" | "aftercorr" | "afterburstbuffer");
    is_kind && jobs.split(':').all(|job| is_job(job, takes_time))
}

/// `123`, `123_4`, `123_*`, and with `after` also `123+5`.
fn is_job(text: &str, takes_time: bool) -> bool {
    let (job, minutes) = match text.split_once('+') {
        Some((job, minutes)) => (job, Some(minutes)),
        None => (text, None),
    };
    let (job, task) = match job.split_once('_') {
        Some((job, task)) => (job, Some(task)),
        None => (job, None),
    };
    number(job).is_some()
        && task.is_none_or(|task| task == "*" || number(task).is_some())
        && minutes.is_none_or(|minutes| takes_time && number(minutes).is_some())
}
