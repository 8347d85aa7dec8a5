//! A plan as it is shown: what would be placed where, and what waits.

use crate::app::App;
use crate::failure::Failure;
use crate::language::{Text, pick};
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_fsm::State;
use sekisho_fsm::command::Group;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_scheduler::{Plan, Waiting};
use sekisho_types::error_code::Language;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct PlaceView {
    node: String,
    bucket: u16,
}

/// A group that would be placed.
#[derive(Debug, Serialize)]
struct GroupView {
    job: String,
    device_class: String,
    gpus: u32,
    places: Vec<PlaceView>,
}

impl GroupView {
    fn of(state: &State, group: &Group) -> Self {
        let wanted = state.job(&group.job).map(|job| &job.facts.resources);
        let places = group.places.iter();
        Self {
            job: group.job.to_string(),
            device_class: wanted.map(|wanted| wanted.class.to_string()).unwrap_or_default(),
            gpus: wanted.map_or(0, |wanted| wanted.gpus),
            places: places
                .map(|slot| PlaceView { node: slot.node.to_string(), bucket: slot.bucket })
                .collect(),
        }
    }
}

impl Shown for GroupView {
    const COLUMNS: &'static [Column] = &[
        column("job", "ジョブ"),
        column("gpus", "GPU"),
        column("where", "場所"),
        wide("buckets", "バケット"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let nodes: Vec<&str> = self.places.iter().map(|place| place.node.as_str()).collect();
        let buckets: Vec<String> =
            self.places.iter().map(|place| place.bucket.to_string()).collect();
        vec![
            self.job.clone(),
            format!("{}x{} {}", nodes.len(), self.gpus, self.device_class),
            nodes.join(", "),
            buckets.join(", "),
        ]
    }
}

/// What jobs wait for first. Of jobs that the planner cannot tell apart one is looked at and counted.
#[derive(Debug, Serialize)]
struct WaitingView {
    waits_for: &'static str,
    kinds: u32,
    #[serde(skip)]
    words: Text,
}

impl Shown for WaitingView {
    const COLUMNS: &'static [Column] =
        &[column("waits for", "待つ理由"), column("kinds of jobs", "ジョブの種類数")];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![self.words.of(language).to_owned(), self.kinds.to_string()]
    }
}

fn waiting(found: Waiting) -> Vec<WaitingView> {
    let Waiting { rules, quota, budget, offer, room, payload } = found;
    let all = [
        (
            "rules",
            rules,
            Text::new("a policy or tenant that exists", "存在するポリシーまたはテナント"),
        ),
        ("quota", quota, Text::new("quota", "割当枠")),
        ("budget", budget, Text::new("a budget", "予算")),
        ("offer", offer, Text::new("offers of operators", "事業者の提供")),
        ("room", room, Text::new("room on suitable nodes", "条件に合うノードの空き")),
        (
            "payload",
            payload,
            Text::new("a member that keeps the payload", "ペイロードを保持するメンバー"),
        ),
    ];
    let view = |(waits_for, kinds, words)| WaitingView { waits_for, kinds, words };
    all.into_iter().map(view).collect()
}

#[derive(Debug, Serialize)]
struct PlanView {
    cluster: String,
    revision: u64,
    time_ms: u64,
    jobs_queued: usize,
    groups: Vec<GroupView>,
    /// Whose turn has come and that wait, the first first.
    called: Vec<String>,
    waiting: Vec<WaitingView>,
    more: bool,
}

/// Shows what the planner found on a snapshot.
pub(super) fn show(
    app: &mut App<'_>,
    snapshot: &SchedulerSnapshot,
    plan: &Plan,
) -> Result<(), Failure> {
    let state = &snapshot.state;
    let called = plan.calls.as_deref().unwrap_or_else(|| state.calls());
    let view = PlanView {
        cluster: snapshot.cluster.to_string(),
        revision: plan.basis.0,
        time_ms: state.clock().0,
        jobs_queued: state.queue_len(),
        groups: plan.groups.iter().map(|group| GroupView::of(state, group)).collect(),
        called: called.iter().map(ToString::to_string).collect(),
        waiting: waiting(plan.waiting),
        more: plan.more,
    };
    if !app.output.format.is_for_people() {
        return app.output.data(&view);
    }
    let PlanView { cluster, revision, jobs_queued, groups, called, waiting, more, .. } = view;
    let (time, placed) = (state.clock(), groups.len());
    let head = pick(
        app.output.language,
        format!(
            "federation {cluster}, revision {revision}, {time}: {jobs_queued} jobs queued, {placed} would be placed"
        ),
        format!(
            "連合 {cluster}、リビジョン {revision}、{time}: 待機中のジョブ {jobs_queued}、配置されるジョブ {placed}"
        ),
    );
    app.output.sentence(&head)?;
    if !groups.is_empty() {
        app.output.line("")?;
        app.output.list(&groups, &Listed::default())?;
    }
    if !called.is_empty() {
        let named = called.join(", ");
        app.output.line("")?;
        app.output.sentence(&pick(
            app.output.language,
            format!(
                "called, which is to say that something is kept for each until it starts: {named}"
            ),
            format!("順番が来て、開始まで資源が確保されるジョブ: {named}"),
        ))?;
    }
    let held: Vec<WaitingView> = waiting.into_iter().filter(|row| row.kinds > 0).collect();
    if !held.is_empty() {
        app.output.line("")?;
        app.output.list(&held, &Listed::default())?;
    }
    if more {
        let line = app.output.pick(
            "a bound ended the round: the next one may place more",
            "上限により打ち切りました。次の回でさらに配置される可能性があります",
        );
        app.output.sentence(line)?;
    }
    Ok(())
}
