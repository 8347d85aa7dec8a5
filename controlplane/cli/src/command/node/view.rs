//! How a node is shown.

use super::super::wait::ContactView;
use super::super::{instant, yes_no};
use super::location::LocationView;
use super::quarantine::QuarantineView;
use crate::language::pick;
use crate::output::{Column, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::NodeId;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct BucketView {
    device_class: String,
    memory_mib: u64,
    island: u32,
    count: u32,
    used: u32,
    /// Compute slices of each, where they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u32>,
    kind: &'static str,
    /// Of MIG instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// Power that is taken for each.
    watts: u32,
}

impl From<v1::Bucket> for BucketView {
    fn from(bucket: v1::Bucket) -> Self {
        let kind = match bucket.kind() {
            v1::bucket::Kind::Unspecified => "unknown",
            v1::bucket::Kind::Whole => "whole",
            v1::bucket::Kind::Mig => "mig",
            v1::bucket::Kind::Shared => "shared",
        };
        Self {
            device_class: bucket.device_class,
            memory_mib: bucket.memory_mib,
            island: bucket.island,
            count: bucket.count,
            used: bucket.used,
            units: Some(bucket.units).filter(|units| *units > 0),
            kind,
            profile: Some(bucket.profile).filter(|profile| !profile.is_empty()),
            watts: bucket.watts,
        }
    }
}

impl BucketView {
    /// What it is made of, for people.
    fn text(&self, language: Language) -> String {
        let Self { device_class: class, memory_mib, count, units, kind, .. } = self;
        let of = match (language, *kind) {
            (Language::En, "shared") => {
                format!("{count} shares of one {class} of {memory_mib} MiB")
            }
            (Language::Ja, "shared") => format!("{class} 1台の共有枠{count} ({memory_mib} MiB)"),
            (Language::En, _) => format!("{count} {class} of {memory_mib} MiB"),
            (Language::Ja, _) => format!("{class} {count}台 ({memory_mib} MiB)"),
        };
        let profile = self.profile.as_ref().map(|profile| format!("MIG {profile}"));
        let units = units.map(|units| {
            pick(language, format!("{units} units each"), format!("演算スライス{units}"))
        });
        [Some(of), profile, units].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[derive(Debug, Serialize)]
pub(in crate::command) struct NodeView {
    name: String,
    operator: String,
    area: String,
    area_label: String,
    country_tier: String,
    area_tier: String,
    state: &'static str,
    schedulable: bool,
    buckets: Vec<BucketView>,
    tag_expires_ms: u64,
    placements: Vec<String>,
    node_key: String,
    etag: String,
    drain: Option<DrainView>,
    pending: bool,
    joined_ms: u64,
    findings: Vec<UnfitView>,
    rack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<LocationView>,
}

#[derive(Debug, Serialize)]
struct UnfitView {
    check: String,
    blocks: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct DrainView {
    state: &'static str,
    since_ms: u64,
    deadline_ms: Option<u64>,
    message: String,
    by: String,
    revision: u64,
    stopping: u32,
}

/// The word for how far a drain is; stable.
fn drained(state: v1::drain::State) -> &'static str {
    match state {
        v1::drain::State::Unspecified => "unknown",
        v1::drain::State::Draining => "draining",
        v1::drain::State::Drained => "drained",
    }
}

impl From<v1::Drain> for DrainView {
    fn from(drain: v1::Drain) -> Self {
        Self {
            state: drained(drain.state()),
            since_ms: drain.since_ms,
            deadline_ms: drain.deadline_ms,
            message: drain.message,
            by: drain.by,
            revision: drain.revision,
            stopping: drain.stopping,
        }
    }
}

impl DrainView {
    fn word(&self, language: Language) -> &'static str {
        match self.state {
            "drained" => pick(language, "drained", "退避済み"),
            _ => pick(language, "draining", "退避中"),
        }
    }

    fn text(&self, language: Language) -> String {
        let until = self.deadline_ms.map(instant);
        let until = until.unwrap_or_else(|| pick(language, "no deadline", "期限なし").to_owned());
        let head =
            format!("{} {} → {until}, {}", self.word(language), instant(self.since_ms), self.by);
        if self.message.is_empty() { head } else { format!("{head}: {}", self.message) }
    }
}

/// The state for people; `-o json` has the stable word.
fn shown(language: Language, state: &'static str) -> &'static str {
    match (language, state) {
        (Language::Ja, "enrolled") => "登録済み",
        (Language::Ja, "ready") => "稼働中",
        (Language::Ja, "unreachable") => "応答なし",
        (Language::Ja, "lost") => "喪失",
        (Language::Ja, "revoked") => "失効",
        (Language::Ja, "quarantined") => "隔離中",
        (Language::En | Language::Ja, other) => other,
    }
}

/// The state's word; stable.
pub(crate) fn state(state: v1::node::State) -> &'static str {
    match state {
        v1::node::State::Unspecified => "unknown",
        v1::node::State::Enrolled => "enrolled",
        v1::node::State::Ready => "ready",
        v1::node::State::Unreachable => "unreachable",
        v1::node::State::Lost => "lost",
        v1::node::State::Revoked => "revoked",
        v1::node::State::Quarantined => "quarantined",
    }
}

impl From<v1::Node> for NodeView {
    fn from(node: v1::Node) -> Self {
        let state = state(node.state());
        let unfit = |f: v1::Unfit| UnfitView { check: f.check, blocks: f.blocks, detail: f.detail };
        Self {
            name: node.name,
            operator: node.operator,
            area: node.area,
            area_label: node.area_label,
            country_tier: node.country_tier,
            area_tier: node.area_tier,
            state,
            schedulable: node.schedulable,
            buckets: node.buckets.into_iter().map(BucketView::from).collect(),
            tag_expires_ms: node.tag_expires_ms,
            placements: node.placements,
            node_key: node.node_key,
            etag: node.etag,
            drain: node.drain.map(DrainView::from),
            pending: node.pending,
            joined_ms: node.joined_ms,
            findings: node.findings.into_iter().map(unfit).collect(),
            rack: Some(node.rack).filter(|rack| !rack.is_empty()),
            quarantine: node.quarantine.map(QuarantineView::from),
            contact: node.contact.map(ContactView),
            location: node.location.map(LocationView::from),
        }
    }
}

impl Shown for NodeView {
    const COLUMNS: &'static [Column] = &[
        column("node", "ノード"),
        column("operator", "事業者"),
        column("area", "地域"),
        column("tiers", "証明"),
        column("state", "状態"),
        column("gpus", "GPU"),
        wide("schedulable", "配置可"),
        wide("tag until", "タグ期限"),
        wide("placements", "配置"),
        wide("key", "鍵"),
        wide("drain", "退避"),
        wide("joined", "参加"),
        wide("findings", "点検"),
        wide("quarantine", "隔離"),
        wide("contact", "応答"),
        wide("location", "位置証明"),
        wide("rack", "ラック"),
        wide("devices", "デバイス"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let beside = self.contact.as_ref().map(|seen| seen.beside(language)).unwrap_or_default();
        let pending = self.pending.then(|| pick(language, "pending", "承認待ち"));
        let blocks = self.findings.iter().any(|finding| finding.blocks);
        let unfit = blocks.then(|| pick(language, "unfit", "点検不合格"));
        let cordoned = (!self.schedulable).then(|| pick(language, "cordoned", "閉鎖中"));
        let drain = self.drain.as_ref().map(|drain| drain.word(language));
        let state: Vec<&str> = [Some(shown(language, self.state)), pending, unfit, drain, cordoned]
            .into_iter()
            .flatten()
            .collect();
        vec![
            self.id(),
            self.operator.clone(),
            self.area_label.clone(),
            format!("{}/{}", self.country_tier, self.area_tier),
            format!("{}{beside}", state.join(", ")),
            self.gpus(),
            yes_no(language, self.schedulable),
            instant(self.tag_expires_ms),
            self.placements.join(", "),
            self.node_key.clone(),
            self.drain.as_ref().map(|drain| drain.text(language)).unwrap_or_default(),
            instant(self.joined_ms),
            self.checks(language),
            self.quarantine.as_ref().map(|seen| seen.words(language)).unwrap_or_default(),
            self.contact.as_ref().map(|seen| seen.words(language)).unwrap_or_default(),
            self.location.as_ref().map(|seen| seen.words(language)).unwrap_or_default(),
            self.rack.clone().unwrap_or_default(),
            self.devices(language),
        ]
    }
}

impl NodeView {
    fn id(&self) -> String {
        NodeId::from_name(&self.name).map_or_else(|| self.name.clone(), |id| id.to_string())
    }

    fn gpus(&self) -> String {
        let bucket = |b: &BucketView| format!("{}/{} {}", b.used, b.count, b.device_class);
        self.buckets.iter().map(bucket).collect::<Vec<_>>().join(", ")
    }

    fn devices(&self, language: Language) -> String {
        self.buckets.iter().map(|b| b.text(language)).collect::<Vec<_>>().join("; ")
    }

    fn checks(&self, language: Language) -> String {
        if self.findings.is_empty() {
            return pick(language, "passed", "合格").to_owned();
        }
        let one = |f: &UnfitView| {
            let mark = if f.blocks { "" } else { pick(language, " (warning)", " (警告)") };
            format!("{}: {}{mark}", f.check, f.detail)
        };
        self.findings.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// A node that waits for approval: what somebody needs who decides.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct PendingView(NodeView);

/// Digits of a key in a table; all of them stand in wide ones and in JSON.
const KEY_SHOWN: usize = 16;

impl From<v1::Node> for PendingView {
    fn from(node: v1::Node) -> Self {
        Self(NodeView::from(node))
    }
}

impl Shown for PendingView {
    const COLUMNS: &'static [Column] = &[
        column("node", "ノード"),
        column("key", "鍵"),
        column("area", "地域"),
        column("gpus", "GPU"),
        column("joined", "参加"),
        column("findings", "点検"),
        wide("whole key", "鍵全体"),
        wide("operator", "事業者"),
        wide("state", "状態"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let node = &self.0;
        vec![
            node.id(),
            node.node_key.get(..KEY_SHOWN).unwrap_or(&node.node_key).to_owned(),
            node.area_label.clone(),
            if node.buckets.is_empty() { "-".to_owned() } else { node.gpus() },
            instant(node.joined_ms),
            node.checks(language),
            node.node_key.clone(),
            node.operator.clone(),
            node.state.to_owned(),
        ]
    }
}
