//! Where Pods stand to one another: what of it a spec's topology says in the same way.
//!
//! Must hold: only what is exactly the same is carried over. A label of nodes is a rack or a site only if the command line says so;
//! a wish (`preferred…`, `ScheduleAnyway`) never becomes a condition.

use super::super::draft::{Told, Why};
use super::super::given::Given;
use super::metadata::Metadata;
use super::tree::{Entry, Fields, Node, Value};
use super::{Runs, reason};
use crate::failure::Failure;
use sekisho_types::id::Mark;
use sekisho_types::job::Kind;
use sekisho_types::limit::MARKS_MAX;
use sekisho_types::topology::{Spread, Topology};

/// Label of a node: itself.
const HOST: &str = "kubernetes.io/hostname";
/// Labels of Pods that say which program they are: their values are marks.
const PROGRAM: [&str; 2] = ["app", "app.kubernetes.io/name"];
/// Conditions that bind when a Pod is placed.
const BINDING: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// The same as wishes.
const WISHED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Takes Kueue's required topology: all members in one rack or site.
pub(super) fn within(
    whose: &[&Metadata],
    runs: Runs,
    topology: &mut Topology,
    given: &Given,
    told: &mut Vec<Told>,
) {
    for metadata in whose {
        let Some((level, _)) = &metadata.required else { continue };
        let is_alone = runs.kind == Kind::Batch && runs.group == 1;
        match given.within(level) {
            Some(within) if runs.kind == Kind::Batch && !is_alone => {
                topology.within = topology.within.min(Some(within)).or(Some(within));
            }
            // A lone one is in one of whatever there is.
            _ if is_alone => {}
            _ => metadata.tell_required(told),
        }
    }
}

/// Takes required anti-affinities on nodes to Pods of named programs.
pub(super) fn apart(
    affinity: &mut Fields,
    own: &Metadata,
    topology: &mut Topology,
    told: &mut Vec<Told>,
) -> Result<(), Failure> {
    let mut anti = affinity.fields("podAntiAffinity")?;
    let list = anti.path_of(BINDING);
    for (index, term) in anti.list(BINDING)?.into_iter().enumerate() {
        let mut tell = |why: Why| {
            let quoted = format!("{list}[{index}]: {}", term.flow());
            told.push(Told { place: term.place, quoted, why });
        };
        let Some((key, marks)) = programs(&term) else {
            tell(reason::of_field("podAntiAffinity"));
            continue;
        };
        let (ours, others): (Vec<Mark>, Vec<Mark>) =
            marks.into_iter().partition(|mark| own.bears(&key, mark.as_str()));
        if topology.apart.len().saturating_add(ours.len()).saturating_add(others.len()) > MARKS_MAX
        {
            tell(reason::of_field("podAntiAffinity"));
            continue;
        }
        topology.apart.extend(ours.iter().chain(&others).cloned());
        topology.marks.extend(ours);
        if !others.is_empty() {
            let names: Vec<&str> = others.iter().map(Mark::as_str).collect();
            let names = names.join(", ");
            tell(Why::new(
                format!(
                    "carried over as apart: [{names}]: jobs of that program have to bear `topology.marks: [{names}]`"
                ),
                format!(
                    "apart: [{names}] として移しました。相手のジョブに `topology.marks: [{names}]` が必要です"
                ),
            ));
        }
    }
    if let Some(entry) = anti.take(WISHED) {
        told.push(anti.tell(&entry, reason::wished_apart()));
    }
    anti.rest(told);
    Ok(())
}

/// The programs that a term keeps off one's node, and the label that says so; none if it says anything else.
fn programs(term: &Node) -> Option<(String, Vec<Mark>)> {
    let known = |node: &Node, keys: &[&str]| match &node.value {
        Value::Map(entries) => entries.iter().all(|entry| keys.contains(&entry.key.as_str())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => false,
    };
    let selector = term.find(&["labelSelector"])?;
    let is_plain = known(term, &["labelSelector", "topologyKey"])
        && known(selector, &["matchLabels", "matchExpressions"]);
    let on_node = term.find(&["topologyKey"])?.scalar()? == HOST;
    if !is_plain || !on_node {
        return None;
    }
    let labels: &[Entry] = match selector.find(&["matchLabels"]).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_))
        | None => &[],
    };
    let expressions = selector.find(&["matchExpressions"]).map(Node::items).unwrap_or_default();
    let (key, values) = match (labels, expressions) {
        ([label], []) => (label.key.clone(), vec![label.node.scalar()?]),
        ([], [expression]) if expression.find(&["operator"])?.scalar()? == "In" => {
            let values = expression.find(&["values"])?.items().iter().map(Node::scalar);
            (expression.find(&["key"])?.scalar()?, values.collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    };
    let marks: Option<Vec<Mark>> = values.iter().map(|value| value.parse().ok()).collect();
    let marks = marks.filter(|marks| !marks.is_empty() && PROGRAM.contains(&key.as_str()))?;
    Some((key, marks))
}

/// Takes the spreads that a group has in any case, or that its topology says in the same way.
pub(super) fn spread(
    spec: &mut Fields,
    runs: Runs,
    topology: &mut Topology,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<(), Failure> {
    let list = spec.path_of("topologySpreadConstraints");
    for (index, node) in spec.list("topologySpreadConstraints")?.into_iter().enumerate() {
        let text = |key: &str| node.find(&[key]).and_then(Node::scalar).unwrap_or_default();
        let is_group = runs.kind == Kind::Batch && runs.group > 1;
        if is_group && text("topologyKey") == HOST {
            // Each member stands on a node of its own.
            continue;
        }
        let binds = matches!(text("whenUnsatisfiable").as_str(), "" | "DoNotSchedule");
        let one_each = text("maxSkew") == "1" && text("minDomains") == runs.group.to_string();
        let over = given.level(&text("topologyKey"));
        let over = over.filter(|_| is_group && binds && one_each && topology.spread.is_none());
        match over {
            Some(over) => topology.spread = Some(Spread { over, at_least: runs.group }),
            None => {
                let quoted = format!("{list}[{index}]: {}", node.flow());
                let why = reason::of_field("topologySpreadConstraints");
                told.push(Told { place: node.place, quoted, why });
            }
        }
    }
    Ok(())
}
