//! Jobs as they are shown.

use super::topology::TopologyView;
use crate::app::App;
use crate::command::wait::{WaitView, tell};
use crate::command::{instant, short};
use crate::duration;
use crate::failure::Failure;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::after::When;
use sekisho_proto::v1::job::Phase;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::jurisdiction::Area;
use serde::Serialize;

/// The phase's word; stable.
pub(super) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Unspecified => "unknown",
        Phase::Queued => "queued",
        Phase::Placed => "placed",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
        Phase::Succeeded => "succeeded",
        Phase::Failed => "failed",
        Phase::Cancelled => "cancelled",
        Phase::Held => "held",
    }
}

/// The phase for people; `-o json` has the stable word.
fn shown(language: Language, phase: &'static str) -> &'static str {
    match (language, phase) {
        (Language::Ja, "queued") => "待機中",
        (Language::Ja, "placed") => "配置済み",
        (Language::Ja, "running") => "実行中",
        (Language::Ja, "stopping") => "停止中",
        (Language::Ja, "succeeded") => "成功",
        (Language::Ja, "failed") => "失敗",
        (Language::Ja, "cancelled") => "取消済み",
        (Language::Ja, "held") => "保留中",
        (Language::En | Language::Ja, other) => other,
    }
}

/// Whether nothing more happens to a job in this phase.
pub(super) fn is_final(phase: Phase) -> bool {
    matches!(phase, Phase::Succeeded | Phase::Failed | Phase::Cancelled)
}

/// Who can read what a job runs, in the word of its spec; stable.
fn payload_word(spec: &v1::JobSpec) -> &'static str {
    match (spec.area_only, spec.sealed_to.is_empty()) {
        (true, _) => "area-only",
        (false, false) => "sealed",
        (false, true) => "plain",
    }
}

/// Where a payload lies that stays in its area; that it lies nowhere is said with its code and what to do.
fn tell_kept(app: &mut App<'_>, view: &JobView, is_over: bool) -> Result<(), Failure> {
    if view.payload != "area-only" || is_over {
        return Ok(());
    }
    let line = if view.kept_by.is_empty() {
        let code = ErrorCode::PayloadNotHere;
        format!("{code}: {} {}", code.text(app.output.language), code.remedy(app.output.language))
    } else {
        let members = view.kept_by.join(", ");
        app.output.pick(
            format!("payload kept inside the area by members {members}"),
            format!("ペイロードは地域内のメンバー {members} が保持しています"),
        )
    };
    app.output.line(&line)
}

#[derive(Debug, Serialize)]
struct PlacementView {
    id: String,
    rank: u32,
    node: String,
    operator: String,
    area_label: String,
    gpus: u32,
    device_class: String,
    phase: String,
    changed_ms: u64,
    audit_index: u64,
}

impl From<v1::Placement> for PlacementView {
    fn from(placement: v1::Placement) -> Self {
        Self {
            id: placement.id,
            rank: placement.rank,
            node: placement.node,
            operator: placement.operator,
            area_label: placement.area_label,
            gpus: placement.gpus,
            device_class: placement.device_class,
            phase: placement.phase,
            changed_ms: placement.changed_ms,
            audit_index: placement.audit_index,
        }
    }
}

impl Shown for PlacementView {
    const COLUMNS: &'static [Column] = &[
        column("rank", "順位"),
        column("node", "ノード"),
        column("operator", "事業者"),
        column("area", "地域"),
        column("gpus", "GPU"),
        column("phase", "状態"),
        wide("placement", "配置"),
        wide("changed", "変更"),
        wide("audit", "監査番号"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let node =
            NodeId::from_name(&self.node).map_or_else(|| self.node.clone(), |id| id.to_string());
        vec![
            self.rank.to_string(),
            node,
            self.operator.clone(),
            self.area_label.clone(),
            format!("{} {}", self.gpus, self.device_class),
            self.phase.clone(),
            self.id.clone(),
            instant(self.changed_ms),
            self.audit_index.to_string(),
        ]
    }
}

/// What became of the tasks of an array or service.
#[derive(Debug, Serialize)]
struct TasksView {
    granted: u32,
    open: u32,
    running: u32,
    succeeded: u32,
    failed: u32,
    wanted: u32,
}

impl TasksView {
    /// In one line.
    fn told(&self, language: Language) -> String {
        let Self { open, running, succeeded, failed, wanted, .. } = self;
        let waiting = open.saturating_sub(*running);
        match language {
            Language::En => format!(
                "{running} run, {waiting} begin or end, {wanted} to come; {succeeded} succeeded, {failed} failed"
            ),
            Language::Ja => format!(
                "実行中 {running}、開始または終了中 {waiting}、これから {wanted}、成功 {succeeded}、失敗 {failed}"
            ),
        }
    }
}

/// Another job that one waits for.
#[derive(Debug, Serialize)]
struct AfterView {
    job: String,
    when: &'static str,
}

impl From<v1::After> for AfterView {
    fn from(after: v1::After) -> Self {
        let when = match after.when() {
            When::Unspecified => "unknown",
            When::Started => "started",
            When::Succeeded => "succeeded",
            When::Failed => "failed",
            When::Ended => "ended",
        };
        Self { job: after.job, when }
    }
}

impl AfterView {
    /// For people: `prep succeeded`.
    fn text(&self) -> String {
        format!("{} {}", short(&self.job), self.when)
    }
}

/// A job as shown.
#[derive(Debug, Serialize)]
pub(in crate::command) struct JobView {
    name: String,
    phase: &'static str,
    message: String,
    submitter: String,
    submitted_ms: u64,
    submitted_revision: u64,
    attempts: u32,
    group: u32,
    device_class: String,
    gpus: u32,
    memory_mib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sharing: Option<&'static str>,
    topology: Option<TopologyView>,
    priority: u32,
    policy: Option<String>,
    reservation: Option<String>,
    areas: Vec<String>,
    time_limit_s: u64,
    array: Option<ArrayView>,
    service: Option<ServiceView>,
    tasks: Option<TasksView>,
    started_ms: u64,
    ended_ms: u64,
    after: Vec<AfterView>,
    not_before_ms: Option<u64>,
    start_by_ms: Option<u64>,
    payload_sha256: String,
    payload_len: u32,
    sealed_to: Vec<String>,
    payload: &'static str,
    kept_by: Vec<String>,
    placements: Vec<PlacementView>,
    waits: Vec<WaitView>,
    etag: String,
}

impl From<v1::Job> for JobView {
    fn from(job: v1::Job) -> Self {
        let phase = word(job.phase());
        let spec = job.spec.unwrap_or_default();
        let payload = payload_word(&spec);
        let sharing = match spec.sharing() {
            v1::job_spec::Sharing::Unspecified | v1::job_spec::Sharing::Alone => None,
            v1::job_spec::Sharing::Tenant => Some("tenant"),
            v1::job_spec::Sharing::Any => Some("any"),
        };
        let tasks = job.tasks.map(|tasks| TasksView {
            granted: tasks.granted,
            open: tasks.open,
            running: tasks.running,
            succeeded: tasks.succeeded,
            failed: tasks.failed,
            wanted: tasks.wanted,
        });
        Self {
            name: job.name,
            phase,
            message: job.message,
            submitter: job.submitter,
            submitted_ms: job.submitted_ms,
            submitted_revision: job.submitted_revision,
            attempts: job.attempts,
            group: spec.group,
            device_class: spec.device_class,
            gpus: spec.gpus,
            memory_mib: spec.memory_mib,
            units: Some(spec.units).filter(|units| *units > 0),
            sharing,
            topology: spec.topology.map(TopologyView::from),
            priority: spec.priority,
            policy: Some(spec.policy).filter(|policy| !policy.is_empty()),
            reservation: Some(spec.reservation).filter(|name| !name.is_empty()),
            areas: spec.residency.map(|rules| rules.areas).unwrap_or_default(),
            time_limit_s: spec.time_limit_s,
            array: spec.array.map(|array| ArrayView { tasks: array.tasks, at_most: array.at_most }),
            service: spec.service.map(|of| ServiceView { replicas: of.replicas, surge: of.surge }),
            tasks,
            started_ms: job.started_ms,
            ended_ms: job.ended_ms,
            after: spec.after.into_iter().map(AfterView::from).collect(),
            not_before_ms: spec.not_before_ms,
            start_by_ms: spec.start_by_ms,
            payload_sha256: spec.payload_sha256,
            payload_len: spec.payload_len,
            sealed_to: spec.sealed_to.into_iter().map(|to| short(&to.site).to_owned()).collect(),
            payload,
            kept_by: job.kept_by.iter().map(|member| short(member).to_owned()).collect(),
            placements: job.placements.into_iter().map(PlacementView::from).collect(),
            waits: job.waits.into_iter().map(WaitView::from).collect(),
            etag: job.etag,
        }
    }
}

/// How an array runs.
#[derive(Debug, Serialize)]
struct ArrayView {
    tasks: u32,
    at_most: u32,
}

/// How a service runs.
#[derive(Debug, Serialize)]
struct ServiceView {
    replicas: u32,
    surge: u32,
}

impl JobView {
    /// GPUs of one task, and how many tasks: `4*(2x8 h100)`.
    fn asked(&self) -> String {
        let one = format!("{}x{} {}", self.group, self.gpus, self.device_class);
        let array = self.array.as_ref().map(|array| array.tasks);
        let times = array.or_else(|| self.service.as_ref().map(|service| service.replicas));
        // One of its tasks is told by itself.
        match times.filter(|_| self.tasks.is_some()) {
            None => one,
            Some(times) => format!("{times}*({one})"),
        }
    }
}

impl Shown for JobView {
    const COLUMNS: &'static [Column] = &[
        column("job", "ジョブ"),
        column("phase", "状態"),
        column("gpus", "GPU"),
        column("where", "場所"),
        column("message", "説明"),
        wide("areas", "許可地域"),
        wide("topology", "配置条件"),
        wide("policy", "ポリシー"),
        wide("reservation", "予約"),
        wide("time limit", "制限時間"),
        wide("after", "先行ジョブ"),
        wide("not before", "最早開始"),
        wide("start by", "最遅開始"),
        wide("priority", "優先度"),
        wide("attempts", "試行"),
        wide("submitter", "投入者"),
        wide("submitted", "投入"),
        wide("sealed to", "封緘先"),
        wide("payload", "ペイロード"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let id =
            JobId::from_name(&self.name).map_or_else(|| self.name.clone(), |id| id.to_string());
        let mut places: Vec<&str> = self.placements.iter().map(|p| p.area_label.as_str()).collect();
        places.dedup();
        let label = |text: &String| Area::resolve(text).map_or_else(|_e| text.clone(), Area::label);
        let areas: Vec<String> = self.areas.iter().map(label).collect();
        let after: Vec<String> = self.after.iter().map(AfterView::text).collect();
        vec![
            id,
            shown(language, self.phase).to_owned(),
            self.asked(),
            if places.is_empty() { "-".to_owned() } else { places.join(", ") },
            self.tasks.as_ref().map_or_else(|| self.message.clone(), |tasks| tasks.told(language)),
            if areas.is_empty() { Area::Japan.label() } else { areas.join(", ") },
            self.topology.as_ref().map_or_else(|| "-".to_owned(), |asked| asked.cell(language)),
            self.policy.as_deref().map_or("-", short).to_owned(),
            self.reservation.clone().unwrap_or_else(|| "-".to_owned()),
            duration::text(self.time_limit_s),
            if after.is_empty() { "-".to_owned() } else { after.join(", ") },
            self.not_before_ms.map_or_else(|| "-".to_owned(), instant),
            self.start_by_ms.map_or_else(|| "-".to_owned(), instant),
            self.priority.to_string(),
            self.attempts.to_string(),
            self.submitter.clone(),
            instant(self.submitted_ms),
            if self.sealed_to.is_empty() { "-".to_owned() } else { self.sealed_to.join(", ") },
            self.payload.to_owned(),
        ]
    }
}

/// One job; for people with a table of its placements.
pub(super) fn show(app: &mut App<'_>, job: v1::Job) -> Result<(), Failure> {
    let is_over = is_final(job.phase());
    let view = JobView::from(job);
    app.output.one(&view)?;
    if app.output.format.is_for_people() {
        tell_kept(app, &view, is_over)?;
    }
    if app.output.format.is_for_people() && !view.placements.is_empty() {
        app.output.line("")?;
        app.output.list(&view.placements, &Listed::default())?;
    }
    if app.output.format.is_for_people() {
        tell(app, &view.waits)?;
    }
    Ok(())
}
