//! `--dependency`: what of it names jobs that have a name here becomes `after`; the rest is told with what to write.
//!
//! Must hold: a number stands for a job only if the command line says for which; a condition that would come true otherwise than
//! in Slurm is told. All of it is read, so that a wrong one is refused and not passed on.

use super::super::draft::{Told, Why};
use super::super::given::Given;
use super::option::Set;
use crate::failure::Failure;
use sekisho_types::job::{After, When};
use sekisho_types::limit::AFTER_MAX;
use sekisho_types::name::Name;

/// Jobs with what has to become of them.
struct Condition<'t> {
    kind: &'t str,
    jobs: Vec<Awaited<'t>>,
}

/// `123`, `123_4`, `123_*`, and with `after` also `123+5`.
struct Awaited<'t> {
    number: u32,
    task: Option<&'t str>,
    minutes: Option<u32>,
}

fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

impl<'t> Awaited<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let (job, minutes) = match text.split_once('+') {
            Some((job, minutes)) => (job, Some(number(minutes)?)),
            None => (text, None),
        };
        let (job, task) = match job.split_once('_') {
            Some((job, task)) => (job, Some(task)),
            None => (job, None),
        };
        let is_task = |task: &str| task == "*" || number(task).is_some();
        let awaited = Self { number: number(job)?, task, minutes };
        task.is_none_or(is_task).then_some(awaited)
    }

    /// The job's name here, if all of it is waited for and nothing else.
    fn name<'g>(&self, given: &'g Given) -> Option<&'g Name> {
        let is_whole = self.task.is_none_or(|task| task == "*") && self.minutes.is_none();
        given.job(self.number).filter(|_| is_whole)
    }
}

impl<'t> Condition<'t> {
    fn read(text: &'t str) -> Option<Self> {
        if text == "singleton" {
            return Some(Self { kind: text, jobs: Vec::new() });
        }
        let (kind, jobs) = text.split_once(':')?;
        let is_kind = matches!(
            kind,
            "after" | "afterok" | "afterany" | "afternotok" | "aftercorr" | "afterburstbuffer"
        );
        let jobs: Vec<Awaited<'t>> = jobs.split(':').map(Awaited::read).collect::<Option<_>>()?;
        let timed = jobs.iter().any(|job| job.minutes.is_some());
        (is_kind && (!timed || kind == "after")).then_some(Self { kind, jobs })
    }

    /// What has to become of the jobs, as a spec says it.
    fn when(&self) -> When {
        match self.kind {
            "after" => When::Started,
            "afternotok" => When::Failed,
            "afterany" | "afterburstbuffer" => When::Ended,
            _ => When::Succeeded,
        }
    }

    /// The same for each of the jobs, if a spec can say it of all.
    fn carried(&self, given: &Given) -> Option<Vec<After>> {
        if !matches!(self.kind, "after" | "afterok" | "afterany" | "afternotok") {
            return None;
        }
        let after =
            |job: &Awaited<'_>| Some(After { job: job.name(given)?.clone(), when: self.when() });
        self.jobs.iter().map(after).collect()
    }
}

/// The jobs that are waited for.
pub(super) fn read(set: &Set, given: &Given, told: &mut Vec<Told>) -> Result<Vec<After>, Failure> {
    let value = &set.value;
    let bad = || {
        let forms =
            "afterok:JOB[:JOB], afterany:, afternotok:, after:JOB[+MINUTES], aftercorr:, singleton";
        set.at
            .refuse(format!("`{value}` is no dependency: {forms}, with all `,` or all `?` between"))
    };
    let is_any = value.contains('?');
    if value.contains(',') && is_any {
        return Err(bad());
    }
    let conditions: Option<Vec<Condition<'_>>> =
        value.split([',', '?']).map(Condition::read).collect();
    let conditions = conditions.ok_or_else(bad)?;
    let mut after: Vec<After> = Vec::new();
    let mut left: Vec<&Condition<'_>> = Vec::new();
    for condition in &conditions {
        // A job stands once in a spec.
        let fresh = |found: &Vec<After>| {
            found.iter().all(|new| after.iter().all(|known| known.job != new.job))
        };
        let found = condition.carried(given).filter(|_| !is_any);
        match found.filter(fresh) {
            Some(found) => {
                for new in found {
                    if !after.contains(&new) {
                        after.push(new);
                    }
                }
            }
            None => left.push(condition),
        }
    }
    if after.len() > AFTER_MAX {
        let why = format!("waits for {} jobs, at most {AFTER_MAX}", after.len());
        return Err(set.at.refuse(why));
    }
    if left.is_empty() {
        told.extend(otherwise(&after).map(|why| set.told(why)));
    } else {
        told.push(set.told(not_carried(&left)));
    }
    Ok(after)
}

/// That a job which is cancelled is judged otherwise, where that matters.
fn otherwise(after: &[After]) -> Option<Why> {
    let matters = |after: &After| matches!(after.when, When::Started | When::Failed);
    after.iter().any(matters).then(|| {
        Why::new(
            "carried over, but a job that is cancelled has not failed, and one that is cancelled before it ran will never have started",
            "移しましたが、取り消されたジョブは failed ではなく、実行前に取り消されたジョブは started になりません",
        )
    })
}

fn not_carried(left: &[&Condition<'_>]) -> Why {
    if left.iter().any(|condition| condition.kind == "singleton") {
        return Why::new(
            "names are unique, so nothing waits for its own: name the job before it, `after: [{job: NAME, when: ended}]`",
            "名前は一意なので、同名ジョブの順番待ちはありません。前のジョブを `after: [{job: NAME, when: ended}]` と書いてください",
        );
    }
    let mut words: Vec<String> = Vec::new();
    for condition in left {
        let item = format!("{{job: NAME, when: {}}}", condition.when());
        if !words.contains(&item) {
            words.push(item);
        }
    }
    let after = format!("after: [{}]", words.join(", "));
    Why::new(
        format!(
            "a number names no job here: give `--job NUMBER=NAME` for each, or write `{after}`; all of it has to come true, once for each job, of an array as a whole"
        ),
        format!(
            "番号ではジョブを指定できません。`--job 番号=名前` を付けるか、`{after}` のように名前で書いてください。ジョブごとに1回、配列は全体として、すべての条件が必要です"
        ),
    )
}
