//! `sekisho policy status`: which version is in force, how many nodes enforce it, and what has to leave yet.

use super::plan::node;
use crate::app::{App, PAGE};
use crate::ask;
use crate::command::list::{ListArgs, beside, pages};
use crate::command::{instant, short};
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::lagging::Cause;
use sekisho_types::error_code::Language;
use sekisho_types::id::PolicyId;
use serde::Serialize;

/// A node that is not known to enforce the version in force.
#[derive(Debug, Serialize)]
struct LaggingView {
    node: String,
    cause: &'static str,
    accepted: Option<u64>,
    desired: u64,
}

impl From<v1::Lagging> for LaggingView {
    fn from(lagging: v1::Lagging) -> Self {
        let cause = match lagging.cause() {
            Cause::Unspecified => "unknown",
            Cause::Leaving => "leaving",
            Cause::Stopping => "stopping",
            Cause::Behind => "behind",
            Cause::Elsewhere => "elsewhere",
            Cause::OutOfContact => "out_of_contact",
        };
        let accepted = Some(lagging.accepted).filter(|revision| *revision > 0);
        Self { node: lagging.node, cause, accepted, desired: lagging.desired }
    }
}

impl LaggingView {
    fn words(&self, language: Language) -> &'static str {
        let (en, ja) = match self.cause {
            "leaving" => ("something on it has to leave", "退去すべき配置があります"),
            "stopping" => ("something on it is not confirmed dead", "停止確認待ちの配置があります"),
            "behind" => (
                "its agent has not accepted the newest set",
                "エージェントが最新の集合を未受理です",
            ),
            "elsewhere" => (
                "its agent is attached to another member",
                "エージェントは別のメンバーに接続中です",
            ),
            "out_of_contact" => ("its lease is over", "リースが終了しています"),
            _ => ("not known", "不明です"),
        };
        pick(language, en, ja)
    }
}

impl Shown for LaggingView {
    const COLUMNS: &'static [Column] = &[
        column("node", "ノード"),
        column("why", "理由"),
        wide("enforces", "適用中"),
        wide("in force", "有効"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            node(&self.node),
            self.words(language).to_owned(),
            self.accepted.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
            self.desired.to_string(),
        ]
    }
}

/// How far a version is enforced.
#[derive(Debug, Serialize)]
struct StatusView {
    name: String,
    etag: String,
    since_ms: u64,
    tenants: Vec<String>,
    placements: u32,
    leaving: u32,
    stopping: u32,
    stale: u32,
    nodes: u32,
    enforcing: u32,
    lagging: Vec<LaggingView>,
    left_ms: Option<u64>,
}

impl From<v1::PolicyStatus> for StatusView {
    fn from(status: v1::PolicyStatus) -> Self {
        Self {
            name: status.name,
            etag: status.etag,
            since_ms: status.since_ms,
            tenants: status.tenants,
            placements: status.placements,
            leaving: status.leaving,
            stopping: status.stopping,
            stale: status.stale,
            nodes: status.nodes,
            enforcing: status.enforcing,
            lagging: status.lagging.into_iter().map(LaggingView::from).collect(),
            left_ms: status.left_ms,
        }
    }
}

impl Shown for StatusView {
    const COLUMNS: &'static [Column] = &[
        column("policy", "ポリシー"),
        column("version", "版"),
        column("since", "適用開始"),
        column("enforcing", "適用済み"),
        column("leaving", "退去待ち"),
        column("within", "期限"),
        wide("placements", "配置"),
        wide("stopping", "停止中"),
        wide("stale", "証明切れ"),
        wide("tenants", "テナント"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let tenants: Vec<&str> = self.tenants.iter().map(|tenant| short(tenant)).collect();
        vec![
            short(&self.name).to_owned(),
            self.etag.clone(),
            instant(self.since_ms),
            format!("{}/{}", self.enforcing, self.nodes),
            self.leaving.saturating_add(self.stopping).to_string(),
            self.left_ms
                .map_or_else(|| "-".to_owned(), |left| format!("{} s", left.div_ceil(1000))),
            self.placements.to_string(),
            self.stopping.to_string(),
            self.stale.to_string(),
            tenants.join(", "),
        ]
    }
}

/// Asks and shows: one with the nodes that lag, or all of them.
pub(super) async fn run(
    app: &mut App<'_>,
    policy: Option<&PolicyId>,
    ListArgs { filter, sort }: ListArgs,
) -> Result<(), Failure> {
    let session = app.session()?;
    let name = policy.map(PolicyId::name).unwrap_or_default();
    let (statuses, page) = pages!(statuses, |page_token| {
        let request = v1::ListPolicyStatusesRequest {
            name: name.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(
            session.client,
            policy_service_client::PolicyServiceClient,
            list_policy_statuses,
            request
        )
    });
    let items: Vec<StatusView> = statuses.into_iter().map(StatusView::from).collect();
    show(&mut app.output, &items, &beside!(page), policy.is_some())
}

fn show(
    output: &mut Output<'_>,
    items: &[StatusView],
    beside: &Listed,
    one: bool,
) -> Result<(), Failure> {
    let Some(only) = items.first().filter(|_| one) else { return output.list(items, beside) };
    output.one(only)?;
    if output.format.is_for_people() && !only.lagging.is_empty() {
        output.line("")?;
        output.list(&only.lagging, &Listed::default())?;
        let shown = u32::try_from(only.lagging.len()).unwrap_or(u32::MAX);
        let more = only.nodes.saturating_sub(only.enforcing).saturating_sub(shown);
        if more > 0 {
            let note = output.pick(format!("and {more} more"), format!("ほか {more} 件"));
            output.note(&note)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn status() -> v1::PolicyStatus {
        let lagging = v1::Lagging {
            node: "sites/tokyo-1/nodes/n-01".into(),
            cause: Cause::Behind.into(),
            accepted: 17,
            desired: 21,
        };
        v1::PolicyStatus {
            name: "policies/gov".into(),
            etag: "20".into(),
            since_ms: 1_795_305_600_000,
            tenants: vec!["tenants/sapporo".into()],
            placements: 5,
            leaving: 1,
            stopping: 2,
            nodes: 4,
            enforcing: 1,
            lagging: vec![lagging],
            left_ms: Some(20_001),
            ..v1::PolicyStatus::default()
        }
    }

    fn shown(format: Format, language: Language, one: bool) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = (format, language);

        show(&mut output, &[status().into()], &Listed::default(), one).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn one_policy_names_who_lags_and_a_list_counts() {
        let (out, err) = shown(Format::Table, Language::En, true);
        for part in ["1/4", "21 s", "tokyo-1/n-01", "has not accepted the newest set"] {
            assert!(out.contains(part), "{part} in {out}");
        }
        assert!(err.contains("and 2 more"), "{err}");
        let (out, _) = shown(Format::Table, Language::Ja, true);
        assert!(out.contains("最新の集合を未受理"), "{out}");
        let (out, _) = shown(Format::Table, Language::En, false);
        assert!(out.contains("gov") && !out.contains("tokyo-1"), "{out}");
        let (out, _) = shown(Format::Json, Language::En, true);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (json["lagging"][0]["cause"].as_str(), json["left_ms"].as_u64()),
            (Some("behind"), Some(20_001))
        );
    }
}
