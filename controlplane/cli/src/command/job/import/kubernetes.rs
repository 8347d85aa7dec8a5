//! Kubernetes manifests as specs: each Job, Deployment, StatefulSet and Pod becomes one, whatever else the file holds is told.
//!
//! Must hold: a field is taken, or it is told; what nobody takes is told by [`tree::Fields::rest`], so a field that is new to this
//! program cannot be dropped. Values of secrets are never quoted.
//! Does not know: what admission adds on a cluster, such as defaults of a namespace; defaults of the API itself are applied.

mod affinity;
mod container;
mod job;
mod metadata;
mod pod;
mod quantity;
mod reason;
mod restart;
mod service;
mod tree;

use super::draft::{Draft, Part, Place, Told};
use super::given::Given;
use crate::failure::Failure;
use crate::spec::refuse::refuse_read;
use metadata::Metadata;
use pod::Pod;
use sekisho_types::job::Kind;
use sekisho_types::payload::{JobPayload, Restart};
use sekisho_types::topology::Topology;
use tree::{Fields, Node, Word};

/// Reads a file of one or more documents.
pub(super) fn read(text: &str, given: &Given) -> Result<Vec<Part>, Failure> {
    let documents: Vec<Node> =
        serde_saphyr::from_multiple(text).map_err(|error| refuse_read(&error))?;
    let mut parts = Vec::new();
    for document in documents {
        one(document, "", given, &mut parts)?;
    }
    if !parts.iter().any(|part| part.draft.is_some()) {
        let why = "there is no Job, Deployment, StatefulSet or Pod in the file";
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
        ("batch/v1", "Job") => Some(job::read(&mut object, given, &mut told)?),
        ("apps/v1", "Deployment") => Some(service::deployment(&mut object, given, &mut told)?),
        ("apps/v1", "StatefulSet") => {
            Some(service::stateful_set(&mut object, &kind, given, &mut told)?)
        }
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

/// How often a Pod runs, with how many beside it.
#[derive(Debug, Clone, Copy)]
struct Runs {
    kind: Kind,
    group: u32,
}

/// A lone Pod.
fn bare_pod(object: &mut Fields, given: &Given, told: &mut Vec<Told>) -> Result<Draft, Failure> {
    let meta = Metadata::read(object, told)?;
    let runs = Runs { kind: Kind::Batch, group: 1 };
    let mut topology = Topology::default();
    let pod = pod::read(object.fields("spec")?, (&meta, runs, &mut topology), given, told)?;
    let restart = restart::of_pod(pod.policy.as_ref(), pod.place, told)?;
    let limit = shortest([meta.max_exec(), pod.limit("spec.activeDeadlineSeconds")], told);
    draft(&meta, runs, (pod, topology, restart), limit, given)
}

/// All of it together.
fn draft(
    meta: &Metadata,
    runs: Runs,
    (pod, topology, restart): (Pod, Topology, Restart),
    limit: Option<(u64, Place)>,
    given: &Given,
) -> Result<Draft, Failure> {
    let written = meta.name.as_ref().map(|name| (name.text.as_str(), name.place));
    Ok(Draft {
        name: given.name(written)?,
        tenant: given.tenant.clone(),
        kind: runs.kind,
        group: runs.group,
        class: pod.class,
        gpus: pod.gpus,
        gpu_memory_gib: pod.gpu_memory_gib,
        topology,
        reservation: None,
        time_limit_s: given.time_limit(limit)?,
        after: Vec::new(),
        not_before: None,
        end_by: None,
        run: JobPayload { restart, ..pod.run },
    })
}

/// A time limit, with where and how it is written.
#[derive(Debug, Clone)]
struct Limit {
    seconds: u64,
    place: Place,
    quoted: String,
}

/// The shortest of several time limits; the others are told.
fn shortest<const N: usize>(
    limits: [Option<Limit>; N],
    told: &mut Vec<Told>,
) -> Option<(u64, Place)> {
    let mut limits: Vec<Limit> = limits.into_iter().flatten().collect();
    limits.sort_by_key(|limit| limit.seconds);
    let mut limits = limits.into_iter();
    let first = limits.next()?;
    told.extend(limits.map(|Limit { place, quoted, .. }| Told {
        place,
        quoted,
        why: reason::longer_limit(),
    }));
    Some((first.seconds, first.place))
}

#[cfg(test)]
mod tests;
