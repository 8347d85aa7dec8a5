//! `sekisho status`: one screen, worst first, each line with the command that helps.

use super::member::MemberView;
use crate::app::App;
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use sekisho_proto::v1;
use sekisho_proto::v1::status::Severity;
use serde::Serialize;

/// The federation's health.
#[derive(Debug, clap::Args)]
pub struct StatusCommand {}

#[derive(Debug, Serialize)]
struct FindingView {
    severity: &'static str,
    what: String,
    command: String,
}

#[derive(Debug, Serialize)]
struct StatusView {
    cluster: String,
    revision: u64,
    term: u64,
    leader: String,
    audit_size: u64,
    audit_uncovered: u64,
    k: u32,
    missing_signers: Vec<String>,
    findings: Vec<FindingView>,
    jobs_queued: u32,
    jobs_running: u32,
    nodes_ready: u32,
    nodes_total: u32,
    gpus_used: u64,
    gpus_total: u64,
    state_digest: String,
    members: Vec<MemberView>,
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Unspecified => "unknown",
        Severity::Ok => "ok",
        Severity::Warn => "warn",
        Severity::Bad => "bad",
    }
}

impl From<v1::Status> for StatusView {
    fn from(status: v1::Status) -> Self {
        let mut findings = status.findings;
        // Worst first; the server's order decides among equals.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let finding = |finding: v1::status::Finding| FindingView {
            severity: word(finding.severity()),
            what: finding.what,
            command: finding.command,
        };
        Self {
            cluster: status.cluster,
            revision: status.revision,
            term: status.term,
            leader: status.leader,
            audit_size: status.audit_size,
            audit_uncovered: status.audit_uncovered,
            k: status.k,
            missing_signers: status.missing_signers,
            findings: findings.into_iter().map(finding).collect(),
            jobs_queued: status.jobs_queued,
            jobs_running: status.jobs_running,
            nodes_ready: status.nodes_ready,
            nodes_total: status.nodes_total,
            gpus_used: status.gpus_used,
            gpus_total: status.gpus_total,
            state_digest: status.state_digest,
            members: status.members.into_iter().map(MemberView::from).collect(),
        }
    }
}

pub(super) async fn run(app: &mut App<'_>, _command: StatusCommand) -> Result<Exit, Failure> {
    let session = app.session()?;
    let request = v1::GetStatusRequest {};
    let found =
        ask!(session.client, member_service_client::MemberServiceClient, get_status, request)?;
    let view = StatusView::from(found);
    if app.output.format.is_for_people() {
        for line in lines(app, &view) {
            app.output.line(&line)?;
        }
    } else {
        app.output.data(&view)?;
    }
    Ok(Exit::Ok)
}

fn paint(app: &App<'_>, severity: &str) -> String {
    let mark = format!("{:<4}", severity.to_uppercase());
    let color = match severity {
        "bad" => "31",
        "warn" => "33",
        _ => return mark,
    };
    if app.output.color { format!("\u{1b}[{color}m{mark}\u{1b}[0m") } else { mark }
}

fn lines(app: &App<'_>, view: &StatusView) -> Vec<String> {
    let say = |en: String, ja: String| app.output.pick(en, ja);
    let mut lines = Vec::new();
    for finding in &view.findings {
        let mut line = format!("{}  {}", paint(app, finding.severity), finding.what);
        if !finding.command.is_empty() {
            line.push_str(&format!("  -> {}", finding.command));
        }
        lines.push(line);
    }
    if view.findings.is_empty() {
        lines.push(say(
            "OK    nothing needs attention".to_owned(),
            "OK    対応の必要はありません".to_owned(),
        ));
    }
    let StatusView { revision, term, leader, k, .. } = view;
    let leader = if leader.is_empty() { "-" } else { leader };
    lines.push(say(
        format!("leader {leader}, term {term}, revision {revision}, cluster {}", view.cluster),
        format!(
            "リーダー {leader}、任期 {term}、リビジョン {revision}、クラスター {}",
            view.cluster
        ),
    ));
    let missing = if view.missing_signers.is_empty() {
        "-".to_owned()
    } else {
        view.missing_signers.join(", ")
    };
    lines.push(say(
        format!(
            "audit {} records, {} not yet signed by {k} operators; missing signers: {missing}",
            view.audit_size, view.audit_uncovered
        ),
        format!(
            "監査記録 {} 件、{k} 事業者の署名待ち {} 件、署名なし: {missing}",
            view.audit_size, view.audit_uncovered
        ),
    ));
    lines.push(say(
        format!(
            "nodes {}/{} ready, GPUs {}/{} used, jobs {} running, {} queued",
            view.nodes_ready,
            view.nodes_total,
            view.gpus_used,
            view.gpus_total,
            view.jobs_running,
            view.jobs_queued
        ),
        format!(
            "ノード {}/{} 稼働、GPU {}/{} 使用、ジョブ 実行 {}、待機 {}",
            view.nodes_ready,
            view.nodes_total,
            view.gpus_used,
            view.gpus_total,
            view.jobs_running,
            view.jobs_queued
        ),
    ));
    lines
}
