//! What a drain's rows say, one after the other, as steps that people follow.
//!
//! Must hold: a row that comes again, or comes newer with steps left out, tells each placement's end once and the end of the
//! drain once.

use super::super::super::instant;
use crate::exit::Exit;
use crate::language::pick;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::watch_response::{Deleted, Item};
use sekisho_types::error_code::Language;
use sekisho_types::id::NodeId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// It is being drained: seen for the first time, or with another deadline.
    Draining {
        /// Placements on it.
        left: usize,
        /// When they are moved.
        deadline_ms: Option<u64>,
    },
    /// A placement is confirmed dead.
    Ended {
        /// Which.
        placement: String,
        /// Placements that are left.
        left: usize,
    },
    /// So many placements are ordered to stop.
    Stopping {
        /// How many.
        stopping: u32,
    },
    /// Nothing is left.
    Drained,
    /// Somebody called it off, or it never was.
    CalledOff,
    /// The node was taken out of the federation.
    Gone,
}

/// A step of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Event {
    node: String,
    event: What,
}

#[derive(Debug, Default)]
struct Seen {
    drain: Option<(u64, Option<u64>)>,
    placements: BTreeSet<String>,
    stopping: u32,
    over: bool,
}

/// How far some nodes are.
#[derive(Debug)]
pub(super) struct Progress {
    nodes: BTreeMap<NodeId, Seen>,
    called_off: bool,
}

impl Progress {
    pub(super) fn of(nodes: &[NodeId]) -> Self {
        let nodes = nodes.iter().map(|node| (node.clone(), Seen::default())).collect();
        Self { nodes, called_off: false }
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.nodes.values().all(|seen| seen.over)
    }

    /// How it ended: a drain that somebody else called off did not do what was asked.
    pub(super) fn exit(&self) -> Exit {
        if self.called_off { Exit::Conflict } else { Exit::Ok }
    }

    /// Takes a row.
    pub(super) fn take(&mut self, item: Item) -> Vec<Event> {
        let (name, node) = match item {
            Item::Node(node) => (node.name.clone(), Some(node)),
            Item::Deleted(Deleted { name }) => (name, None),
            // Only nodes are watched.
            Item::Job(_) | Item::Bookmark(_) | Item::Site(_) | Item::Tenant(_) => {
                return Vec::new();
            }
            Item::Policy(_) | Item::Quota(_) | Item::Key(_) => return Vec::new(),
            Item::Budget(_) | Item::Offer(_) | Item::Veto(_) => return Vec::new(),
            Item::Reservation(_) => return Vec::new(),
            Item::Escrow(_) | Item::Landmark(_) | Item::Member(_) => return Vec::new(),
            Item::Approval(_) | Item::BreakGlass(_) => return Vec::new(),
        };
        let Some(id) = NodeId::from_name(&name) else { return Vec::new() };
        let Some(seen) = self.nodes.get_mut(&id).filter(|seen| !seen.over) else {
            return Vec::new();
        };
        let steps = match node {
            Some(node) => seen.steps(node),
            None => vec![What::Gone],
        };
        seen.over = steps.iter().any(|step| match step {
            What::Drained | What::CalledOff | What::Gone => true,
            What::Draining { .. } | What::Ended { .. } | What::Stopping { .. } => false,
        });
        self.called_off |= steps.contains(&What::CalledOff);
        let event = |event| Event { node: id.to_string(), event };
        steps.into_iter().map(event).collect()
    }
}

impl Seen {
    fn steps(&mut self, node: v1::Node) -> Vec<What> {
        let Some(drain) = node.drain else { return vec![What::CalledOff] };
        let now: BTreeSet<String> = node.placements.into_iter().collect();
        let mut steps = Vec::new();
        let told = (drain.revision, drain.deadline_ms);
        let left = now.len();
        let ended: Vec<String> = self.placements.difference(&now).cloned().collect();
        if self.drain != Some(told) && left > 0 {
            steps.push(What::Draining { left, deadline_ms: drain.deadline_ms });
        }
        for (placement, after) in ended.iter().zip((0..ended.len()).rev()) {
            let (placement, left) = (placement.clone(), left.saturating_add(after));
            steps.push(What::Ended { placement, left });
        }
        if drain.stopping > self.stopping {
            steps.push(What::Stopping { stopping: drain.stopping });
        }
        if left == 0 {
            steps.push(What::Drained);
        }
        (self.drain, self.placements, self.stopping) = (Some(told), now, drain.stopping);
        steps
    }
}

impl Event {
    /// For people.
    pub(super) fn line(&self, language: Language) -> String {
        let said = match &self.event {
            What::Draining { left, deadline_ms: None } => pick(
                language,
                format!("draining, {left} placements left, no deadline"),
                format!("退避中、残りの配置 {left} 件、期限なし"),
            ),
            What::Draining { left, deadline_ms: Some(at) } => {
                let at = instant(*at);
                pick(
                    language,
                    format!("draining, {left} placements left, they are moved at {at}"),
                    format!("退避中、残りの配置 {left} 件、{at} に移動します"),
                )
            }
            What::Ended { placement, left } => pick(
                language,
                format!("{placement} has ended, {left} left"),
                format!("{placement} は終了しました。残り {left} 件"),
            ),
            What::Stopping { stopping } => pick(
                language,
                format!("{stopping} placements are ordered to stop"),
                format!("配置 {stopping} 件に停止を指示しました"),
            ),
            What::Drained => {
                pick(language, "drained: nothing is left", "退避済み、残りはありません").to_owned()
            }
            What::CalledOff => {
                pick(language, "not being drained (any more)", "退避中ではありません").to_owned()
            }
            What::Gone => {
                pick(language, "not in the federation any more", "連合から外されました").to_owned()
            }
        };
        format!("{}: {said}", self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(placements: &[&str], stopping: u32, deadline_ms: Option<u64>) -> Item {
        let drain = v1::Drain { deadline_ms, stopping, revision: 5, ..Default::default() };
        Item::Node(v1::Node {
            name: "sites/tokyo-1/nodes/n-01".into(),
            placements: placements.iter().map(ToString::to_string).collect(),
            drain: Some(drain),
            ..Default::default()
        })
    }

    fn progress() -> Progress {
        Progress::of(&["tokyo-1/n-01".parse().unwrap()])
    }

    fn lines(progress: &mut Progress, item: Item) -> Vec<String> {
        progress.take(item).iter().map(|event| event.line(Language::En)).collect()
    }

    #[test]
    fn each_end_is_told_once_whatever_rows_come_again_or_are_left_out() {
        let mut progress = progress();
        let first = lines(&mut progress, row(&["p-1-7-0", "p-1-8-0", "p-1-9-0"], 0, None));
        assert_eq!(first, ["tokyo-1/n-01: draining, 3 placements left, no deadline"]);
        // A resumed stream says it again.
        assert!(lines(&mut progress, row(&["p-1-7-0", "p-1-8-0", "p-1-9-0"], 0, None)).is_empty());
        let changed = lines(&mut progress, row(&["p-1-8-0", "p-1-9-0"], 2, Some(1000)));
        assert_eq!(
            changed,
            [
                "tokyo-1/n-01: draining, 2 placements left, they are moved at 1970-01-01T00:00:01.000Z",
                "tokyo-1/n-01: p-1-7-0 has ended, 2 left",
                "tokyo-1/n-01: 2 placements are ordered to stop",
            ]
        );
        assert!(!progress.is_over());
        let last = lines(&mut progress, row(&[], 0, Some(1000)));
        assert_eq!(
            last,
            [
                "tokyo-1/n-01: p-1-8-0 has ended, 1 left",
                "tokyo-1/n-01: p-1-9-0 has ended, 0 left",
                "tokyo-1/n-01: drained: nothing is left",
            ]
        );
        assert!(progress.is_over() && progress.exit() == Exit::Ok);
        assert!(lines(&mut progress, row(&[], 0, Some(1000))).is_empty());
    }

    #[test]
    fn who_looks_on_learns_that_it_was_called_off_or_that_the_node_is_gone() {
        let mut off = progress();
        let Item::Node(node) = row(&["p-1-7-0"], 0, None) else { panic!("made above") };
        off.take(Item::Node(node.clone()));
        let other = v1::Node { name: "sites/tokyo-1/nodes/n-02".into(), ..Default::default() };
        assert!(off.take(Item::Node(other)).is_empty());
        let steps = off.take(Item::Node(v1::Node { drain: None, ..node.clone() }));
        assert_eq!(steps[0].event, What::CalledOff);
        assert!(off.is_over() && off.exit() == Exit::Conflict);
        let mut gone = progress();
        let steps = gone.take(Item::Deleted(Deleted { name: node.name }));
        assert_eq!(steps[0].event, What::Gone);
        assert!(gone.is_over() && gone.exit() == Exit::Ok);
    }
}
