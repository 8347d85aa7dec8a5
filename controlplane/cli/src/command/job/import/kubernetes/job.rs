//! A Job of `batch/v1`: an array of its Pods, or a group where they have to be there together.
//!
//! Must hold: Pods of a Job are placed one by one, and so are the tasks of an array; they are a group only where Kueue admits them
//! together, or where they reach one another by name.

use super::super::draft::{Draft, Place, Told, Why, group, tasks};
use super::super::given::Given;
use super::metadata::Metadata;
use super::tree::Fields;
use super::{Limit, Runs, affinity, draft, pod, restart, shortest};
use crate::failure::Failure;
use sekisho_types::job::Kind;
use sekisho_types::topology::Topology;

/// Reads a Job.
pub(super) fn read(
    object: &mut Fields,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Draft, Failure> {
    let meta = Metadata::read(object, told)?;
    let mut spec = object.fields("spec")?;
    let mut template = spec.fields("template")?;
    let own = Metadata::of_template(&mut template, told)?;
    let fields = template.fields("spec")?;
    let together = meta.queued || fields.has("subdomain");
    let runs = runs(&mut spec, together, told)?;
    let indexed = indexed(&mut spec, runs, told)?;
    let deadline = spec.count("activeDeadlineSeconds")?;
    let backoff = restart::Backoff::read(&mut spec, indexed)?;
    if spec.flag("suspend")?.is_some_and(|(is_set, _)| !is_set) {
        spec.drop_taken("suspend");
    }
    let mut topology = Topology::default();
    affinity::within(&[&own, &meta], runs, &mut topology, given, told);
    let pod = pod::read(fields, (&own, runs, &mut topology), given, told)?;
    template.rest(told);
    spec.rest(told);
    let restart = restart::of_job(pod.policy.as_ref(), &backoff, pod.place, told)?;
    let of_job = deadline.map(|(seconds, place)| {
        let quoted = format!("spec.activeDeadlineSeconds: {seconds}");
        Limit { seconds, place, quoted }
    });
    let of_pod = pod.limit("spec.template.spec.activeDeadlineSeconds");
    let limit = shortest([of_job, of_pod, meta.max_exec()], told);
    draft(&meta, runs, (pod, topology, restart), limit, given)
}

/// How many Pods run, and how many at once.
fn runs(spec: &mut Fields, together: bool, told: &mut Vec<Told>) -> Result<Runs, Failure> {
    let (at_once, all) = (spec.count("parallelism")?, spec.count("completions")?);
    let (most, place) = at_once.unwrap_or((1, spec.place));
    let mut tell = |key: &str, (count, place): (u64, Place), why: Why| {
        told.push(Told { place, quoted: format!("{}: {count}", spec.path_of(key)), why });
    };
    if most == 0 {
        return Err(place.refuse(format!("{}: 0: none would run", spec.path_of("parallelism"))));
    }
    if let (None, true) = (all, most > 1) {
        tell("parallelism", (most, place), first_success());
    }
    let total = all.unwrap_or((most, place));
    if total.0 == 0 {
        return Err(total.1.refuse(format!("{}: 0: none would run", spec.path_of("completions"))));
    }
    if together && most >= total.0 {
        return Ok(Runs { kind: Kind::Batch, group: group(total.0, total.1)? });
    }
    if total.0 == 1 {
        return Ok(Runs { kind: Kind::Batch, group: 1 });
    }
    let (tasks, fewer) = tasks(total.0);
    if let Some(why) = fewer {
        tell("completions", total, why);
    }
    let at_most = u32::try_from(most).unwrap_or(u32::MAX).min(tasks);
    Ok(Runs { kind: Kind::Array { tasks, at_most }, group: 1 })
}

fn first_success() -> Why {
    Why::new(
        "without completions a Job succeeds with its first success: here all have to succeed",
        "completions のない Job は最初の成功で成功となりますが、ここではすべての成功が必要です",
    )
}

/// Whether the members know their number; what they read instead is told.
fn indexed(spec: &mut Fields, runs: Runs, told: &mut Vec<Told>) -> Result<bool, Failure> {
    let Some(mode) = spec.text("completionMode")? else { return Ok(false) };
    let why = match mode.text.as_str() {
        "NonIndexed" => return Ok(false),
        "Indexed" => match runs.kind {
            Kind::Array { .. } | Kind::Service { .. } => Why::new(
                "JOB_COMPLETION_INDEX is not set: a task reads its number, from 0, in SEKISHO_TASK",
                "JOB_COMPLETION_INDEX は設定されません。タスクの番号は SEKISHO_TASK(0 から)で得てください",
            ),
            Kind::Batch => Why::new(
                "JOB_COMPLETION_INDEX is not set: a member reads SEKISHO_RANK, and SEKISHO_GROUP_SIZE",
                "JOB_COMPLETION_INDEX は設定されません。SEKISHO_RANK と SEKISHO_GROUP_SIZE を読んでください",
            ),
        },
        other => {
            let why = format!("spec.completionMode: `{other}` is neither Indexed nor NonIndexed");
            return Err(mode.place.refuse(why));
        }
    };
    let quoted = "spec.completionMode: Indexed".to_owned();
    told.push(Told { place: mode.place, quoted, why });
    Ok(true)
}
