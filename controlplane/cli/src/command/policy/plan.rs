//! `sekisho policy plan` and `sekisho tenant plan`: what other rules, or another policy of a tenant, would do now.

use crate::app::App;
use crate::ask;
use crate::command::{short, yes_no};
use crate::failure::Failure;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{JobId, NodeId, PolicyId, TenantId};
use sekisho_types::residency::Rules;
use serde::Serialize;

/// Something that would leave.
#[derive(Debug, Serialize)]
struct DepartureView {
    job: String,
    placement: String,
    node: String,
    reason: String,
    detail: String,
    run_to_completion: bool,
    out_of_contact: bool,
}

/// A job's name as commands take it.
fn job(name: &str) -> String {
    JobId::from_name(name).map_or_else(|| name.to_owned(), |id| id.to_string())
}

/// A node's name as commands take it.
pub(in crate::command) fn node(name: &str) -> String {
    NodeId::from_name(name).map_or_else(|| name.to_owned(), |id| id.to_string())
}

impl Shown for DepartureView {
    const COLUMNS: &'static [Column] = &[
        column("job", "ジョブ"),
        column("node", "ノード"),
        column("code", "コード"),
        column("to completion", "完走指定"),
        wide("out of contact", "応答なし"),
        wide("placement", "配置"),
        wide("why", "理由"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            job(&self.job),
            node(&self.node),
            self.reason.clone(),
            yes_no(language, self.run_to_completion),
            yes_no(language, self.out_of_contact),
            self.placement.clone(),
            self.detail.clone(),
        ]
    }
}

/// A queued job that could be placed nowhere any more.
#[derive(Debug, Serialize)]
struct StrandedView {
    job: String,
    reason: String,
    detail: String,
}

impl Shown for StrandedView {
    const COLUMNS: &'static [Column] =
        &[column("job", "ジョブ"), column("code", "コード"), column("condition", "条件")];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![job(&self.job), self.reason.clone(), self.detail.clone()]
    }
}

/// What rules say of a node.
#[derive(Debug, Serialize)]
pub(in crate::command) struct NodeVerdictView {
    node: String,
    qualifies: bool,
    area: String,
    country_tier: String,
    reason: String,
    detail: String,
}

impl From<v1::NodeVerdict> for NodeVerdictView {
    fn from(verdict: v1::NodeVerdict) -> Self {
        let v1::NodeVerdict { node, area_label: area, country_tier, reason, detail } = verdict;
        Self { node, qualifies: reason.is_empty(), area, country_tier, reason, detail }
    }
}

impl Shown for NodeVerdictView {
    const COLUMNS: &'static [Column] = &[
        column("node", "ノード"),
        column("qualifies", "適合"),
        column("area", "地域"),
        column("tier", "証明段階"),
        column("code", "コード"),
        wide("why", "理由"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            node(&self.node),
            yes_no(language, self.qualifies),
            self.area.clone(),
            self.country_tier.clone(),
            self.reason.clone(),
            self.detail.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct PlanView {
    revision: u64,
    etag: String,
    departures: Vec<DepartureView>,
    departure_count: u32,
    completing_count: u32,
    job_count: u32,
    stranded: Vec<StrandedView>,
    stranded_count: u32,
    queue_cut: bool,
    lost: Vec<NodeVerdictView>,
    lost_count: u32,
    gained: Vec<NodeVerdictView>,
    gained_count: u32,
    lost_sites: Vec<String>,
    gained_sites: Vec<String>,
    within_ms: u64,
    partial: bool,
}

fn views<T, V: From<T>>(rows: Vec<T>) -> Vec<V> {
    rows.into_iter().map(V::from).collect()
}

impl From<v1::Departure> for DepartureView {
    fn from(row: v1::Departure) -> Self {
        let v1::Departure {
            job,
            placement,
            node,
            reason,
            detail,
            run_to_completion,
            out_of_contact,
        } = row;
        Self { job, placement, node, reason, detail, run_to_completion, out_of_contact }
    }
}

impl From<v1::Stranded> for StrandedView {
    fn from(row: v1::Stranded) -> Self {
        let v1::Stranded { job, reason, detail } = row;
        Self { job, reason, detail }
    }
}

impl From<v1::PlanPolicyResponse> for PlanView {
    fn from(answer: v1::PlanPolicyResponse) -> Self {
        Self {
            revision: answer.revision,
            etag: answer.etag,
            departures: views(answer.departures),
            departure_count: answer.departure_count,
            completing_count: answer.completing_count,
            job_count: answer.job_count,
            stranded: views(answer.stranded),
            stranded_count: answer.stranded_count,
            queue_cut: answer.queue_cut,
            lost: views(answer.lost),
            lost_count: answer.lost_count,
            gained: views(answer.gained),
            gained_count: answer.gained_count,
            lost_sites: answer.lost_sites,
            gained_sites: answer.gained_sites,
            within_ms: answer.within_ms,
            partial: answer.partial,
        }
    }
}

/// Asks and shows.
pub(super) async fn run(
    app: &mut App<'_>,
    policy: &PolicyId,
    rules: &Rules,
) -> Result<(), Failure> {
    let session = app.session()?;
    let request =
        v1::PlanPolicyRequest { name: policy.name(), rules: Some(rules.into()), read: app.read() };
    let answer =
        ask!(session.client, policy_service_client::PolicyServiceClient, plan_policy, request)?;
    show(&mut app.output, &PlanView::from(answer))
}

/// The same of a tenant's bound.
pub(in crate::command) async fn bound(
    app: &mut App<'_>,
    tenant: &TenantId,
    policy: Option<&PolicyId>,
) -> Result<(), Failure> {
    let session = app.session()?;
    let policy = policy.map(|policy| policy.name()).unwrap_or_default();
    let request = v1::PlanTenantRequest { name: tenant.name(), policy, read: app.read() };
    let answer =
        ask!(session.client, tenant_service_client::TenantServiceClient, plan_tenant, request)?;
    show(&mut app.output, &PlanView::from(answer))
}

fn show(output: &mut Output<'_>, plan: &PlanView) -> Result<(), Failure> {
    if !output.format.is_for_people() {
        return output.data(plan);
    }
    let within = plan.within_ms.div_ceil(1000);
    let (placements, jobs) = (plan.departure_count, plan.job_count);
    let leaves = output.pick(
        format!("would leave: {placements} placements of {jobs} jobs, within {within} s"),
        format!("退去: {jobs} ジョブの {placements} 配置({within} 秒以内)"),
    );
    output.line(&leaves)?;
    if plan.completing_count > 0 {
        let completing = plan.completing_count;
        let line = output.pick(
            format!("of them granted to run to completion: {completing}"),
            format!("うち完走指定: {completing}"),
        );
        output.line(&line)?;
    }
    table(output, &plan.departures, plan.departure_count)?;
    let stranded = plan.stranded_count;
    let never = output.pick(
        format!("queued jobs that could be placed nowhere any more: {stranded}"),
        format!("配置先がなくなる待機中のジョブ: {stranded}"),
    );
    output.line(&never)?;
    table(output, &plan.stranded, plan.stranded_count)?;
    change(output, ("lost", "対象外になる"), &plan.lost, (plan.lost_count, &plan.lost_sites))?;
    change(
        output,
        ("gained", "対象になる"),
        &plan.gained,
        (plan.gained_count, &plan.gained_sites),
    )?;
    if plan.queue_cut {
        let note =
            output.pick("the queue is longer than is looked at", "待機列の一部のみ確認しました");
        output.note(note)?;
    }
    if plan.partial {
        let note = output.pick(
            "jobs of tenants that you may not read are left out",
            "閲覧権限のないテナントのジョブは含まれません",
        );
        output.note(note)?;
    }
    Ok(())
}

/// Rows, and how many more there are.
fn table<T: Shown>(output: &mut Output<'_>, rows: &[T], count: u32) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    output.list(rows, &Listed::default())?;
    let shown = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let more = count.saturating_sub(shown);
    if more > 0 {
        let note = output.pick(format!("and {more} more"), format!("ほか {more} 件"));
        output.note(&note)?;
    }
    Ok(())
}

/// Nodes and whole sites.
fn change(
    output: &mut Output<'_>,
    (en, ja): (&str, &str),
    nodes: &[NodeVerdictView],
    (count, sites): (u32, &[String]),
) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    let named: Vec<&str> = sites.iter().map(|site| short(site)).collect();
    let of = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    let line = output.pick(format!("nodes {en}: {count}{of}"), format!("{ja}ノード: {count}{of}"));
    output.line(&line)?;
    table(output, nodes, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn answer() -> v1::PlanPolicyResponse {
        let departure = v1::Departure {
            job: "tenants/sapporo/jobs/train".into(),
            placement: "p-1-9-0".into(),
            node: "sites/tokyo-1/nodes/n-01".into(),
            reason: "RESIDENCY_AREA".into(),
            detail: "131016 is in none of the allowed areas".into(),
            run_to_completion: true,
            out_of_contact: false,
        };
        let lost = v1::NodeVerdict {
            node: "sites/tokyo-1/nodes/n-01".into(),
            area_label: "東京都千代田区".into(),
            country_tier: "T1".into(),
            reason: "RESIDENCY_AREA".into(),
            detail: String::new(),
        };
        v1::PlanPolicyResponse {
            revision: 9,
            departures: vec![departure],
            departure_count: 3,
            completing_count: 1,
            job_count: 2,
            lost: vec![lost],
            lost_count: 1,
            lost_sites: vec!["sites/tokyo-1".into()],
            within_ms: 21_000,
            partial: true,
            ..v1::PlanPolicyResponse::default()
        }
    }

    fn shown(format: Format, language: Language) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = (format, language);

        show(&mut output, &PlanView::from(answer())).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn people_read_what_leaves_first_and_programs_all_of_it() {
        let (out, err) = shown(Format::Table, Language::En);
        assert!(out.starts_with("would leave: 3 placements of 2 jobs, within 21 s\n"), "{out}");
        for part in ["sapporo/train", "tokyo-1/n-01", "RESIDENCY_AREA", "nodes lost: 1 (tokyo-1)"] {
            assert!(out.contains(part), "{part} in {out}");
        }
        assert!(err.contains("and 2 more") && err.contains("may not read"), "{err}");
        let (out, _) = shown(Format::Table, Language::Ja);
        assert!(out.starts_with("退去: 2 ジョブの 3 配置(21 秒以内)\n"), "{out}");
        let (out, _) = shown(Format::Json, Language::Ja);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["departures"][0]["run_to_completion"], true);
        assert_eq!(
            (json["within_ms"].as_u64(), json["lost"][0]["qualifies"].as_bool()),
            (Some(21_000), Some(false))
        );
    }
}
