//! A Deployment or a StatefulSet: a service of so many replicas.
//!
//! Must hold: the new one always runs before the old one is stopped; what asks for less is told. How many run beyond the replicas
//! while they are replaced is `maxSurge` of a Deployment, by the API's own default where nothing is written.

use super::super::draft::{Draft, Told, Why, within};
use super::super::given::Given;
use super::metadata::Metadata;
use super::tree::{Entry, Fields, Value, Word};
use super::{Runs, affinity, draft, pod, shortest};
use crate::failure::Failure;
use sekisho_types::job::Kind;
use sekisho_types::limit::REPLICAS_MAX;
use sekisho_types::payload::Restart;
use sekisho_types::topology::Topology;

/// Replicas beyond the others while they are replaced, hundredths of them, where nothing is written: the API's own.
const SURGE_PERCENT: u64 = 25;

/// Reads a Deployment.
pub(super) fn deployment(
    object: &mut Fields,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Draft, Failure> {
    let meta = Metadata::read(object, told)?;
    let mut spec = object.fields("spec")?;
    let replicas = replicas(&mut spec)?;
    let surge = surge(&mut spec, replicas, told)?;
    read(&meta, spec, Kind::Service { replicas, surge }, given, told)
}

/// Reads a StatefulSet.
pub(super) fn stateful_set(
    object: &mut Fields,
    kind: &Word,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Draft, Failure> {
    let meta = Metadata::read(object, told)?;
    let mut spec = object.fields("spec")?;
    let replicas = replicas(&mut spec)?;
    let quoted = "kind: StatefulSet".to_owned();
    told.push(Told { place: kind.place, quoted, why: nameless() });
    let mut update = spec.fields("updateStrategy")?;
    if let Some(word) = update.text("type")? {
        match word.text.as_str() {
            "RollingUpdate" => {}
            "OnDelete" => {
                let quoted = "spec.updateStrategy.type: OnDelete".to_owned();
                told.push(Told { place: word.place, quoted, why: by_itself() });
            }
            other => {
                let why = format!(
                    "spec.updateStrategy.type: `{other}` is neither RollingUpdate nor OnDelete"
                );
                return Err(word.place.refuse(why));
            }
        }
    }
    let mut rolling = update.fields("rollingUpdate")?;
    rolling.rest(told);
    update.rest(told);
    read(&meta, spec, Kind::Service { replicas, surge: 1 }, given, told)
}

/// What both have in common.
fn read(
    meta: &Metadata,
    mut spec: Fields,
    kind: Kind,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Draft, Failure> {
    let runs = Runs { kind, group: 1 };
    let mut template = spec.fields("template")?;
    let own = Metadata::of_template(&mut template, told)?;
    let mut topology = Topology::default();
    affinity::within(&[&own, meta], runs, &mut topology, given, told);
    let pod = pod::read(template.fields("spec")?, (&own, runs, &mut topology), given, told)?;
    template.rest(told);
    spec.rest(told);
    if let Some(policy) = pod.policy.as_ref().filter(|policy| policy.text != "Always") {
        return Err(policy
            .place
            .refuse("restartPolicy: of a Deployment or StatefulSet must be Always"));
    }
    let limit =
        shortest([pod.limit("spec.template.spec.activeDeadlineSeconds"), meta.max_exec()], told);
    // A replica that ends is followed by another one.
    draft(meta, runs, (pod, topology, Restart::Never), limit, given)
}

fn replicas(spec: &mut Fields) -> Result<u32, Failure> {
    match spec.count("replicas")? {
        Some((count, place)) => within("replicas of a service", count, REPLICAS_MAX, place),
        None => Ok(1),
    }
}

/// How many more may run while a Deployment is replaced.
fn surge(spec: &mut Fields, replicas: u32, told: &mut Vec<Told>) -> Result<u32, Failure> {
    let mut strategy = spec.fields("strategy")?;
    let kind = strategy.text("type")?;
    let mut rolling = strategy.fields("rollingUpdate")?;
    let (more, fewer) = (rolling.take("maxSurge"), rolling.take("maxUnavailable"));
    let share = |entry: &Entry, up: bool| -> Result<u64, Failure> {
        let why = || {
            let path = rolling.path_of(&entry.key);
            entry.node.place.refuse(format!("{path}: must be a whole number, or one with %"))
        };
        share(&entry.node.value, replicas, up).ok_or_else(why)
    };
    let asked = match &more {
        Some(entry) => share(entry, true)?,
        None => percent(SURGE_PERCENT, replicas, true),
    };
    if let Some(entry) = more.as_ref().filter(|_| asked == 0) {
        told.push(rolling.tell(entry, never_fewer()));
    }
    if let Some(entry) = &fewer
        && share(entry, false)? > 0
    {
        told.push(rolling.tell(entry, never_fewer()));
    }
    rolling.rest(told);
    strategy.rest(told);
    match kind {
        Some(word) if word.text == "Recreate" => {
            let quoted = "spec.strategy.type: Recreate".to_owned();
            told.push(Told { place: word.place, quoted, why: never_fewer() });
            return Ok(1);
        }
        Some(word) if word.text != "RollingUpdate" => {
            let why = format!(
                "spec.strategy.type: `{}` is neither RollingUpdate nor Recreate",
                word.text
            );
            return Err(word.place.refuse(why));
        }
        Some(_) | None => {}
    }
    Ok(u32::try_from(asked).unwrap_or(u32::MAX).clamp(1, replicas))
}

/// A number of replicas, or hundredths of all of them.
fn share(value: &Value, replicas: u32, up: bool) -> Option<u64> {
    match value {
        Value::Number(text) => text.parse().ok(),
        Value::Text(text) => {
            let of_hundred = text.strip_suffix('%')?.parse().ok()?;
            Some(percent(of_hundred, replicas, up))
        }
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn percent(of_hundred: u64, replicas: u32, up: bool) -> u64 {
    let all = of_hundred.saturating_mul(u64::from(replicas));
    if up { all.div_ceil(100) } else { all.div_euclid(100) }
}

fn never_fewer() -> Why {
    Why::new(
        "a replica is stopped once its replacement runs, so there is room for one more at least: see service.surge",
        "置き換え先が動いてから元を停止するため、少なくとも1つ分の空きが必要です。service.surge を確認してください",
    )
}

fn by_itself() -> Why {
    Why::new(
        "what runs is replaced when the service changes, one by one: `sekisho job replace` when it shall be so",
        "サービスを変更すると順に置き換わります。置き換えたい時に `sekisho job replace` を実行してください",
    )
}

fn nameless() -> Why {
    Why::new(
        "carried over as a service: a replacement has a number of its own in SEKISHO_TASK, runs before the old one is stopped, and finds no files of it",
        "サービスとして移しました。置き換え先は新しい番号(SEKISHO_TASK)で、元の停止前に動き始め、元のファイルはありません",
    )
}
