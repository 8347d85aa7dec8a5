//! Kubernetes manifests as specs: each Job of `batch/v1` and each Pod becomes one, whatever else the file holds is told.
//!
//! Must hold: a field is taken, or it is told; what nobody takes is told by [`tree::Fields::rest`], so a field that is new to this
//! program cannot be dropped. Values of secrets are never quoted.
//! Does not know: what admission adds on a cluster, such as defaults of a namespace; defaults of the API itself are applied.

mod container;
mod pod;
mod quantity;
mod reason;
mod tree;

use super::draft::{Draft, Given, Part, Place, Told, Why, group};
use crate::failure::Failure;
use crate::spec::RESTART_DELAY_S;
use crate::spec::refuse::refuse_read;
use sekisho_types::payload::{JobPayload, RESTARTS_MAX, Restart};
use tree::{Fields, Node, Word};

/// Failures after which a Job gives up that names no number: the API's own.
const BACKOFF_LIMIT: u64 = 6;

/// Reads a file of one or more documents.
pub(super) fn read(text: &str, given: &Given) -> Result<Vec<Part>, Failure> {
    let documents: Vec<Node> =
        serde_saphyr::from_multiple(text).map_err(|error| refuse_read(&error))?;
    let mut parts = Vec::new();
    for document in documents {
        one(document, "", given, &mut parts)?;
    }
    if !parts.iter().any(|part| part.draft.is_some()) {
        let why = "there is no Job of batch/v1 and no Pod in the file";
        return Err(Place { line: 1, column: 1 }.refuse(why));
    }
    Ok(parts)
}

/// One object, or a list of them.
fn one(object: Node, path: &str, given: &Given, parts: &mut Vec<Part>) -> Result<(), Failure> {
    let mut object = Fields::of(object, path)?;
    let start = object.place;
    let must = |key: &str, found: Option<Word>| {
        found.ok_or_else(|| start.refuse(format!("{key}: is missing; is it a Kubernetes object?")))
    };
    let version = must("apiVersion", object.text("apiVersion")?)?;
    let kind = must("kind", object.text("kind")?)?;
    let mut told = Vec::new();
    let draft = match (version.text.as_str(), kind.text.as_str()) {
        ("batch/v1", "Job") => Some(job(&mut object, given, &mut told)?),
        ("v1", "Pod") => Some(bare_pod(&mut object, given, &mut told)?),
        ("v1", "List") => {
            for (index, item) in object.list("items")?.into_iter().enumerate() {
                one(item, &format!("items[{index}]"), given, parts)?;
            }
            None
        }
        _ => {
            let name = object.fields("metadata")?.text("name")?;
            let name = name.map(|name| format!(" {}", name.text)).unwrap_or_default();
            let quoted = format!("kind: {}{name}", kind.text);
            let why = reason::of_kind(&kind.text);
            parts.push(Part { told: vec![Told { place: kind.place, quoted, why }], draft: None });
            return Ok(());
        }
    };
    object.rest(&mut told);
    told.sort_by_key(|told| told.place);
    if draft.is_some() || !told.is_empty() {
        parts.push(Part { told, draft });
    }
    Ok(())
}

/// Takes an object's name; what else stands beside it is told.
fn name_in(object: &mut Fields, told: &mut Vec<Told>) -> Result<Option<Word>, Failure> {
    let mut metadata = object.fields("metadata")?;
    let name = metadata.text("name")?;
    for key in ["labels", "annotations"] {
        let mut labels = metadata.fields(key)?;
        for entry in &labels.take_all() {
            told.push(labels.tell(entry, reason::of_label(&entry.key)));
        }
    }
    metadata.rest(told);
    Ok(name)
}

fn job(object: &mut Fields, given: &Given, told: &mut Vec<Told>) -> Result<Draft, Failure> {
    let name = name_in(object, told)?;
    let mut spec = object.fields("spec")?;
    let (members, place) = members(&mut spec, told)?;
    indexed(&mut spec, told)?;
    let deadline = spec.count("activeDeadlineSeconds")?;
    let backoff = spec.count("backoffLimit")?;
    if spec.flag("suspend")?.is_some_and(|(is_set, _)| !is_set) {
        spec.drop_taken("suspend");
    }
    let mut template = spec.fields("template")?;
    if let Some(name) = name_in(&mut template, told)? {
        let why = Why::new("the job has the Job's name", "ジョブ名には Job の名前を使います");
        let quoted = format!("{}.metadata.name: {}", template.path, name.text);
        told.push(Told { place: name.place, quoted, why });
    }
    let pod = pod::read(template.fields("spec")?, given, told)?;
    template.rest(told);
    spec.rest(told);
    let restart = restart_of_job(pod.policy.as_ref(), backoff, pod.place, told)?;
    let limit = match (deadline, pod.deadline) {
        (Some(job), Some(pod)) => {
            let why = Why::new(
                "the Job has a time limit of its own, which counts",
                "Job 自身の時間制限を使います",
            );
            let quoted = format!("activeDeadlineSeconds: {}", pod.0);
            told.push(Told { place: pod.1, quoted, why });
            Some(job)
        }
        (job, pod) => job.or(pod),
    };
    Ok(Draft {
        name: given.name(name.as_ref().map(|name| (name.text.as_str(), name.place)))?,
        tenant: given.tenant.clone(),
        group: group(members, place)?,
        class: pod.class,
        gpus: pod.gpus,
        gpu_memory_gib: pod.gpu_memory_gib,
        time_limit_s: given.time_limit(limit)?,
        not_before: None,
        end_by: None,
        run: JobPayload { restart, ..pod.run },
    })
}

fn bare_pod(object: &mut Fields, given: &Given, told: &mut Vec<Told>) -> Result<Draft, Failure> {
    let name = name_in(object, told)?;
    let pod = pod::read(object.fields("spec")?, given, told)?;
    let restart = restart_of_pod(pod.policy.as_ref(), pod.place, told)?;
    Ok(Draft {
        name: given.name(name.as_ref().map(|name| (name.text.as_str(), name.place)))?,
        tenant: given.tenant.clone(),
        group: 1,
        class: pod.class,
        gpus: pod.gpus,
        gpu_memory_gib: pod.gpu_memory_gib,
        time_limit_s: given.time_limit(pod.deadline)?,
        not_before: None,
        end_by: None,
        run: JobPayload { restart, ..pod.run },
    })
}

/// Members of the group: how many Pods run at once.
fn members(spec: &mut Fields, told: &mut Vec<Told>) -> Result<(u64, Place), Failure> {
    let at_once = spec.count("parallelism")?;
    let all = spec.count("completions")?;
    let mut tell = |key: &str, (count, place): (u64, Place), why: Why| {
        told.push(Told { place, quoted: format!("{}: {count}", spec.path_of(key)), why });
    };
    let (most, place) = at_once.or(all).unwrap_or((1, spec.place));
    let most = if at_once.is_some() { most } else { 1 };
    let Some(all) = all else {
        if most > 1 {
            let why = Why::new(
                format!(
                    "carried over as group: {most}; without completions a Job ends with its first success, a group when every member has ended"
                ),
                format!(
                    "group: {most} として移しました。completions のない Job は最初の成功で終わりますが、グループは全メンバーの終了で終わります"
                ),
            );
            tell("parallelism", (most, place), why);
        }
        return Ok((most, place));
    };
    if most > all.0 {
        let why = Why::new(
            format!("no more than the completions run: carried over as group: {}", all.0),
            format!("completions より多くは動きません。group: {} として移しました", all.0),
        );
        tell("parallelism", (most, place), why);
        return Ok(all);
    }
    if most < all.0 && most > 0 {
        let times = all.0.div_ceil(most);
        let why = Why::new(
            format!(
                "a group runs once, all members together: this is {most} of them; submit it {times} times, `--name NAME-I`"
            ),
            format!(
                "グループは全メンバー同時に1回動きます。これは {most} 個分です。`--name NAME-I` で {times} 回投入してください"
            ),
        );
        tell("completions", all, why);
    }
    Ok((most, place))
}

/// Whether the members know their number.
fn indexed(spec: &mut Fields, told: &mut Vec<Told>) -> Result<(), Failure> {
    let Some(mode) = spec.text("completionMode")? else { return Ok(()) };
    match mode.text.as_str() {
        "NonIndexed" => {}
        "Indexed" => {
            let why = Why::new(
                "JOB_COMPLETION_INDEX is not set: a member reads SEKISHO_RANK, and SEKISHO_GROUP_SIZE",
                "JOB_COMPLETION_INDEX は設定されません。SEKISHO_RANK と SEKISHO_GROUP_SIZE を読んでください",
            );
            let quoted = "spec.completionMode: Indexed".to_owned();
            told.push(Told { place: mode.place, quoted, why });
        }
        other => {
            let why = format!("spec.completionMode: `{other}` is neither Indexed nor NonIndexed");
            return Err(mode.place.refuse(why));
        }
    }
    Ok(())
}

/// Restarts of a Job's members.
fn restart_of_job(
    policy: Option<&Word>,
    backoff: Option<(u64, Place)>,
    place: Place,
    told: &mut Vec<Told>,
) -> Result<Restart, Failure> {
    let must = "restartPolicy: of a Job must be Never or OnFailure";
    let policy = policy.ok_or_else(|| place.refuse(must))?;
    let attempts = backoff.map_or(BACKOFF_LIMIT, |(count, _)| count);
    match policy.text.as_str() {
        "OnFailure" => {}
        "Never" if attempts == 0 => {}
        "Never" => {
            let why = Why::new(
                "a Job makes a new Pod for each attempt: here the command begins again in the same placement, where files of the attempt before still are",
                "Job は試行ごとに Pod を作り直しますが、ここでは同じ配置の中で再開し、前回のファイルが残ります",
            );
            let quoted = "restartPolicy: Never".to_owned();
            told.push(Told { place: policy.place, quoted, why });
        }
        _ => return Err(policy.place.refuse(must)),
    }
    if attempts == 0 {
        return Ok(Restart::Never);
    }
    let fits = u32::try_from(attempts).ok().filter(|attempts| *attempts <= RESTARTS_MAX);
    if let (None, Some((count, place))) = (fits, backoff) {
        let quoted = format!("spec.backoffLimit: {count}");
        told.push(Told { place, quoted, why: most_restarts() });
    }
    let attempts = fits.unwrap_or(RESTARTS_MAX);
    Ok(Restart::OnFailure { attempts, delay_s: RESTART_DELAY_S })
}

fn most_restarts() -> Why {
    Why::new(
        format!(
            "carried over as {RESTARTS_MAX} restarts after failures, the most that a spec says"
        ),
        format!("失敗時の再開 {RESTARTS_MAX} 回として移しました。仕様に書ける最大です"),
    )
}

/// Restarts of a Pod that stands alone: the API's default is Always.
fn restart_of_pod(
    policy: Option<&Word>,
    place: Place,
    told: &mut Vec<Told>,
) -> Result<Restart, Failure> {
    let place = policy.map_or(place, |policy| policy.place);
    let why = match policy.map_or("Always", |policy| policy.text.as_str()) {
        "Never" => return Ok(Restart::Never),
        "OnFailure" => most_restarts(),
        "Always" => Why::new(
            format!(
                "a job ends with exit code 0: carried over as {RESTARTS_MAX} restarts after failures"
            ),
            format!(
                "ジョブは終了コード 0 で終わります。失敗時の再開 {RESTARTS_MAX} 回として移しました"
            ),
        ),
        other => {
            let why = format!("restartPolicy: `{other}` is none of Always, OnFailure, Never");
            return Err(place.refuse(why));
        }
    };
    let written = policy.map_or("Always, as it is not written", |policy| policy.text.as_str());
    told.push(Told { place, quoted: format!("spec.restartPolicy: {written}"), why });
    Ok(Restart::OnFailure { attempts: RESTARTS_MAX, delay_s: RESTART_DELAY_S })
}

#[cfg(test)]
mod tests;
