//! `sekisho status`: one screen, worst first, each line with the command that helps.

use super::member::MemberView;
use crate::app::App;
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::broken;
use sekisho_proto::convert::finding::shown;
use sekisho_proto::v1;
use sekisho_proto::v1::status::{Finding, Severity};
use sekisho_types::error_code::Language;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr as _;

/// Columns of a mark with the gap behind it.
const MARK: usize = 6;

/// The federation's health.
#[derive(Debug, clap::Args)]
pub struct StatusCommand {}

#[derive(Debug, Serialize)]
struct FindingView {
    severity: &'static str,
    /// English; empty code = the server does not name it.
    code: String,
    what: String,
    command: String,
    args: BTreeMap<String, String>,
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
        let finding = |finding: Finding| FindingView {
            severity: word(finding.severity()),
            code: finding.code,
            what: finding.what,
            command: finding.command,
            args: finding.args.into_iter().collect(),
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
            findings: status.findings.into_iter().map(finding).collect(),
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
    let mut found =
        ask!(session.client, member_service_client::MemberServiceClient, get_status, request)?;
    session.client.learn(&found.members);
    // Worst first; the server's order decides among equals.
    found.findings.sort_by_key(|finding| Reverse(finding.severity));
    if app.output.format.is_for_people() {
        let screen = Screen {
            language: app.output.language,
            width: usize::from(app.output.width),
            color: app.output.color,
        };
        for line in screen.lines(&found) {
            app.output.line(&line)?;
        }
    } else {
        app.output.data(&StatusView::from(found))?;
    }
    Ok(Exit::Ok)
}

/// How people see it.
#[derive(Debug, Clone, Copy)]
struct Screen {
    language: Language,
    width: usize,
    color: bool,
}

impl Screen {
    fn lines(self, status: &v1::Status) -> Vec<String> {
        let mut lines: Vec<String> =
            status.findings.iter().flat_map(|finding| self.finding(finding)).collect();
        if lines.is_empty() {
            lines.push(format!(
                "OK    {}",
                self.say("nothing needs attention", "対応の必要はありません")
            ));
        }
        lines.push(String::new());
        for summary in
            [self.consensus(status), self.members(status), self.audit(status), self.work(status)]
        {
            lines.extend(broken(&summary, self.width));
        }
        lines
    }

    fn say<T>(self, en: T, ja: T) -> T {
        pick(self.language, en, ja)
    }

    /// Its words behind its mark, then the command: on the same line where there is room.
    fn finding(self, finding: &Finding) -> Vec<String> {
        let (what, command) = shown(finding, self.language);
        let indent = " ".repeat(MARK);
        let room = self.width.saturating_sub(MARK);
        let mut parts = broken(&what, room);
        if !command.is_empty() {
            let command = format!("-> {command}");
            match parts.last_mut() {
                Some(last)
                    if last.width().saturating_add(2).saturating_add(command.width()) <= room =>
                {
                    last.push_str("  ");
                    last.push_str(&command);
                }
                Some(_) | None => parts.push(command),
            }
        }
        let mut head = self.mark(finding.severity());
        let line = |part: String| std::mem::replace(&mut head, indent.clone()) + &part;
        parts.into_iter().map(line).collect()
    }

    fn mark(self, severity: Severity) -> String {
        let word = word(severity).to_uppercase();
        let gap = " ".repeat(MARK.saturating_sub(word.len()));
        let color = match severity {
            Severity::Bad => "31",
            Severity::Warn => "33",
            Severity::Ok | Severity::Unspecified => return format!("{word}{gap}"),
        };
        if self.color {
            format!("\u{1b}[{color}m{word}\u{1b}[0m{gap}")
        } else {
            format!("{word}{gap}")
        }
    }

    fn consensus(self, status: &v1::Status) -> String {
        let v1::Status { revision, term, cluster, .. } = status;
        let leader = if status.leader.is_empty() { "-" } else { &status.leader };
        self.say(
            format!("leader {leader}, term {term}, revision {revision}, cluster {cluster}"),
            format!("リーダー {leader}、任期 {term}、リビジョン {revision}、クラスター {cluster}"),
        )
    }

    fn members(self, status: &v1::Status) -> String {
        let members = status.members.len();
        let reachable = status.members.iter().filter(|member| member.reachable).count();
        let lag = status.members.iter().filter_map(|member| member.lag).max();
        let lag = lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        self.say(
            format!("members {reachable}/{members} answer, largest lag {lag} entries"),
            format!("メンバー {reachable}/{members} 応答、最大の遅れ {lag} エントリー"),
        )
    }

    fn audit(self, status: &v1::Status) -> String {
        let v1::Status { audit_size, audit_uncovered, k, .. } = status;
        let missing = if status.missing_signers.is_empty() {
            "-".to_owned()
        } else {
            status.missing_signers.join(", ")
        };
        self.say(
            format!(
                "audit {audit_size} records, {audit_uncovered} not yet signed by {k} operators; \
                 missing signers: {missing}"
            ),
            format!(
                "監査記録 {audit_size} 件、{k} 事業者の署名待ち {audit_uncovered} 件、署名なし: {missing}"
            ),
        )
    }

    fn work(self, status: &v1::Status) -> String {
        let v1::Status { nodes_ready, nodes_total, gpus_used, gpus_total, .. } = status;
        let v1::Status { jobs_running, jobs_queued, .. } = status;
        self.say(
            format!(
                "nodes {nodes_ready}/{nodes_total} ready, GPUs {gpus_used}/{gpus_total} used, \
                 jobs {jobs_running} running, {jobs_queued} queued"
            ),
            format!(
                "ノード {nodes_ready}/{nodes_total} 稼働、GPU {gpus_used}/{gpus_total} 使用、\
                 ジョブ 実行 {jobs_running}、待機 {jobs_queued}"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser as _;
    use sekisho_proto::convert::finding::{Condition, Finding as Found};

    /// Every finding there is, with values of a likely length.
    fn all() -> Vec<Finding> {
        let found = Condition::ALL.iter().enumerate().map(|(at, condition)| {
            let severity = if at % 2 == 0 { Severity::Bad } else { Severity::Warn };
            let found = Found::new(severity, *condition)
                .with("member", "members/3")
                .with("operator", "hokuto")
                .with("site", "ishikari-1")
                .with("node", "ishikari-1/n-01")
                .with("at", "2026-11-22T01:02:03.000Z")
                .with("checks", "data-dir, devices")
                .with("landmarks", "kanto/otemachi, hokuto/ishikari")
                .with("landmark", "hokuto/fukuoka")
                .with("other", "kanto/otemachi")
                .with("problem", "its key is not in the endorser bundle")
                .with("by", "kanto/user/admin")
                .with("until", "2026-11-22T02:02:03.000Z")
                .with("reason", "a miner on ishikari-1/n-01");
            let numbers =
                ["left", "voters", "entries", "count", "seconds", "records", "k", "operators"];
            numbers
                .into_iter()
                .chain(["free", "percent", "load", "bytes", "uses", "revision"])
                .fold(found, |found, name| found.with(name, 42))
        });
        found.map(|found| Finding::from(&found)).collect()
    }

    fn screen(language: Language) -> Screen {
        Screen { language, width: 80, color: false }
    }

    #[test]
    fn the_screen_stands_in_eighty_columns_in_both_languages() {
        let status = v1::Status {
            leader: "members/2".into(),
            cluster: "0123456789abcdef".repeat(2),
            revision: 123_456_789,
            audit_size: 1_234_567,
            missing_signers: vec!["hokuto".into(), "kanto".into(), "naniwa".into()],
            members: vec![v1::Member { lag: Some(7), reachable: true, ..Default::default() }],
            findings: all(),
            ..Default::default()
        };
        for language in [Language::En, Language::Ja] {
            let lines = screen(language).lines(&status);
            let wide: Vec<&String> = lines.iter().filter(|line| line.width() > 80).collect();
            assert!(wide.is_empty(), "{wide:#?}");
            let text = lines.join("\n");
            assert!(!text.contains(['{', '}', '?']), "{text}");
            assert_eq!(
                text.matches("-> ").count(),
                all().iter().filter(|f| !f.command.is_empty()).count()
            );
        }
        let ja = screen(Language::Ja).lines(&status).join("\n");
        assert!(ja.contains("リーダーが不明です") && ja.contains("メンバー 1/1 応答"), "{ja}");
    }

    #[test]
    fn a_line_says_how_bad_what_and_which_command_helps() {
        let silent = Found::new(Severity::Bad, Condition::MemberSilent).with("member", "members/3");
        let silent = Finding::from(&silent.with("left", 2).with("voters", 3));
        assert_eq!(
            screen(Language::En).finding(&silent),
            ["BAD   members/3 does not answer; 2 of 3 voters do  -> sekisho member list"]
        );
        let narrow = Screen { width: 34, ..screen(Language::En) }.finding(&silent);
        assert_eq!(
            narrow,
            [
                "BAD   members/3 does not answer; 2",
                "      of 3 voters do",
                "      -> sekisho member list"
            ]
        );
        let red = Screen { color: true, ..screen(Language::En) }.finding(&silent);
        assert!(red[0].starts_with("\u{1b}[31mBAD\u{1b}[0m   members/3"), "{red:?}");
        // A server that is newer says it in its own words.
        let newer = Finding { code: "NEWER".into(), ..silent };
        let lines = screen(Language::Ja).finding(&newer);
        assert!(lines[0].starts_with("BAD   members/3 does not answer"), "{lines:?}");
    }

    /// As a shell takes a command apart: what stands between quotes is one word.
    fn words(command: &str) -> Vec<&str> {
        let mut words = Vec::new();
        for (n, part) in command.split('\'').enumerate() {
            if n % 2 == 1 {
                words.push(part);
            } else {
                words.extend(part.split_whitespace());
            }
        }
        words
    }

    /// Help that cannot be typed is none.
    #[test]
    fn every_command_that_helps_is_one() {
        for command in all().into_iter().map(|finding| finding.command) {
            if command.starts_with("sekisho ") {
                let parsed = Cli::try_parse_from(words(&command));
                assert!(parsed.is_ok(), "{command}: {parsed:?}");
            }
        }
    }
}
