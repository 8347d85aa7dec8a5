//! Why a job is where it is, or what would happen to it: a funnel, the rule that binds, and what would help.

use super::{Planned, SpecArgs};
use crate::app::App;
use crate::ask;
use crate::command::wait::{WaitView, tell};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Listed, Shown, column};
use crate::spec::JobSpec;
use sekisho_proto::name::Resource as _;
use sekisho_proto::phrase::say;
use sekisho_proto::v1;
use sekisho_proto::v1::explanation::Verdict;
use sekisho_scheduler as scheduler;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::JobId;
use sekisho_types::time::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct StepView {
    reason: String,
    condition: String,
    nodes_left: u32,
}

impl Shown for StepView {
    const COLUMNS: &'static [Column] = &[
        column("nodes left", "残りノード"),
        column("condition", "条件"),
        column("code", "コード"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![self.nodes_left.to_string(), say(&self.condition, language), self.reason.clone()]
    }
}

#[derive(Debug, Serialize)]
struct RelaxationView {
    change: String,
    effect: String,
}

#[derive(Debug, Serialize)]
struct ExplanationView {
    revision: u64,
    verdict: &'static str,
    summary: String,
    binding: Option<String>,
    steps: Vec<StepView>,
    relaxations: Vec<RelaxationView>,
    queue_position: Option<u32>,
    more_before: bool,
    /// Its turn came; so many were called before it.
    called_before: Option<u32>,
    estimate: Option<EstimateView>,
    /// Nothing of it is to be placed: the summary says where it is.
    has_places: bool,
    /// The command that submits what was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    waits: Vec<WaitView>,
}

/// When at the latest, and what that rests on.
#[derive(Debug, Serialize)]
struct EstimateView {
    at: String,
    basis: String,
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unspecified => "unknown",
        Verdict::PlacedNow => "placed_now",
        Verdict::WouldWait => "would_wait",
        Verdict::Never => "never",
    }
}

/// The exit of `job plan`.
fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::PlacedNow => Exit::Ok,
        Verdict::WouldWait => Exit::WouldWait,
        Verdict::Never => Exit::Never,
        Verdict::Unspecified => Exit::Error,
    }
}

impl From<v1::Explanation> for ExplanationView {
    fn from(answer: v1::Explanation) -> Self {
        let verdict = word(answer.verdict());
        let step = |step: v1::explanation::Step| StepView {
            reason: step.reason,
            condition: step.condition,
            nodes_left: step.nodes_left,
        };
        let relaxation =
            |r: v1::explanation::Relaxation| RelaxationView { change: r.change, effect: r.effect };
        Self {
            revision: answer.revision,
            verdict,
            summary: answer.summary,
            binding: Some(answer.binding).filter(|binding| !binding.is_empty()),
            steps: answer.steps.into_iter().map(step).collect(),
            relaxations: answer.relaxations.into_iter().map(relaxation).collect(),
            queue_position: answer.queue_position,
            more_before: answer.more_before,
            called_before: answer.called_before,
            estimate: answer.estimate_ms.map(|ms| EstimateView {
                at: Timestamp(ms).to_string(),
                basis: answer.estimate_basis,
            }),
            has_places: answer.has_places,
            next: None,
            waits: answer.waits.into_iter().map(WaitView::from).collect(),
        }
    }
}

/// What a planner at hand says, as a member would say it. What a job waits for at hosts is known to leaders alone.
impl From<&scheduler::Explanation> for ExplanationView {
    fn from(found: &scheduler::Explanation) -> Self {
        let verdict = match found.verdict {
            scheduler::Verdict::PlacedNow => Verdict::PlacedNow,
            scheduler::Verdict::WouldWait => Verdict::WouldWait,
            scheduler::Verdict::Never => Verdict::Never,
        };
        let step = |step: &scheduler::Step| StepView {
            reason: step.token.to_owned(),
            condition: step.condition.clone(),
            nodes_left: step.nodes_left,
        };
        let relaxation = |relaxation: &scheduler::Relaxation| RelaxationView {
            change: relaxation.change.clone(),
            effect: relaxation.effect.to_string(),
        };
        Self {
            revision: found.basis.0,
            verdict: word(verdict),
            summary: found.summary(),
            binding: found.binding.map(|code| code.to_string()),
            steps: found.steps.iter().map(step).collect(),
            relaxations: found.relaxations.iter().map(relaxation).collect(),
            queue_position: found.before(),
            more_before: found.more_before,
            called_before: found.called_before,
            estimate: found.estimate.map(|(at, basis)| EstimateView {
                at: at.to_string(),
                basis: basis.as_str().to_owned(),
            }),
            has_places: found.has_places,
            next: None,
            waits: Vec::new(),
        }
    }
}

/// What would happen to a spec now, and the command that submits it if that still holds.
pub(super) async fn plan(
    app: &mut App<'_>,
    spec: &JobSpec,
    file: &SpecArgs,
) -> Result<Exit, Failure> {
    let session = app.session()?;
    let request = v1::PlanJobRequest {
        parent: spec.facts.id.tenant.name(),
        job_id: spec.facts.id.name.to_string(),
        spec: Some((&spec.facts).into()),
    };
    let answer = ask!(session.client, job_service_client::JobServiceClient, plan_job, request)
        .map_err(|failure| taken(app, spec, file, failure))?;
    let exit = exit(answer.verdict());
    // What never comes is not submitted.
    let next = Planned::of(&answer)
        .filter(|_| exit != Exit::Never)
        .map(|planned| format!("sekisho job submit {} --if-plan {planned}", file.words()));
    show(app, &ExplanationView { next, ..answer.into() })?;
    Ok(exit)
}

/// A name that is taken: how to plan the same under another one, and how to see what is there.
fn taken(app: &App<'_>, spec: &JobSpec, file: &SpecArgs, failure: Failure) -> Failure {
    if failure.code != ErrorCode::AlreadyExists {
        return failure;
    }
    let id = &spec.facts.id;
    let again = file.named(Some(&format!("{}-2", id.name)));
    let fix = app.output.pick(
        format!(
            "under another name: sekisho job plan {again}; what is there: sekisho job explain {id}"
        ),
        format!("別の名前で: sekisho job plan {again}。既存のジョブ: sekisho job explain {id}"),
    );
    failure.remedy(fix)
}

/// Why a job is where it is.
pub(super) async fn explain(app: &mut App<'_>, job: &JobId) -> Result<Exit, Failure> {
    let session = app.session()?;
    let request = v1::ExplainJobRequest { name: job.name() };
    let answer = ask!(session.client, job_service_client::JobServiceClient, explain_job, request)?;
    show(app, &answer.into())?;
    Ok(Exit::Ok)
}

/// What a planner at hand found.
pub(in crate::command) fn show_found(
    app: &mut App<'_>,
    found: &scheduler::Explanation,
) -> Result<(), Failure> {
    show(app, &found.into())
}

fn show(app: &mut App<'_>, view: &ExplanationView) -> Result<(), Failure> {
    if !app.output.format.is_for_people() {
        return app.output.data(view);
    }
    let verdict = match view.verdict {
        "placed_now" if view.has_places => app.output.pick("placed", "配置済み"),
        "placed_now" => app.output.pick("placed now", "今すぐ配置"),
        "would_wait" => app.output.pick("not yet: would wait", "まだ: 待機"),
        "never" => app.output.pick("never, as asked", "この要求では配置不可"),
        _ => "?",
    };
    let language = app.output.language;
    app.output.sentence(&format!("{verdict}: {}", say(&view.summary, language)))?;
    if let Some(binding) = &view.binding {
        let text = ErrorCode::parse(binding).map_or("", |code| code.text(language));
        let head = app.output.pick("binding constraint", "決め手の制約");
        app.output.sentence(&format!("{head}: {binding} {text}"))?;
    }
    if let Some(called) = view.called_before {
        let line = app.output.pick(
            format!("called: its turn came, and what it needs is kept for it; called before it: {called}"),
            format!("順番が来て、必要な資源が確保されています。先に呼ばれたジョブ: {called}"),
        );
        app.output.line(&line)?;
    } else if let Some(position) = view.queue_position {
        let (more, over) = if view.more_before { ("more than ", "超") } else { ("", "") };
        let line = app.output.pick(
            format!("jobs before it: {more}{position}"),
            format!("先行するジョブ: {position}{over}"),
        );
        app.output.line(&line)?;
    }
    tell(app, &view.waits)?;
    if !view.steps.is_empty() {
        app.output.line("")?;
        app.output.list(&view.steps, &Listed::default())?;
    }
    for relaxation in &view.relaxations {
        let head = app.output.pick("would help", "緩和案");
        let change = say(&relaxation.change, language);
        let line = format!("{head}: {change} -> {}", say(&relaxation.effect, language));
        app.output.sentence(&line)?;
    }
    if let Some(next) = &view.next {
        let head = app.output.pick("next", "次の操作");
        app.output.note(&format!("{head}: {next}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_exits_by_its_verdict() {
        for (verdict, code) in [
            (Verdict::PlacedNow, 0),
            (Verdict::WouldWait, 10),
            (Verdict::Never, 11),
            (Verdict::Unspecified, 1),
        ] {
            assert_eq!(exit(verdict) as u8, code);
        }
    }
}
