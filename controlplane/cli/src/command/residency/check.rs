//! `sekisho residency check`: which sites and nodes satisfy a policy, or rules that are none yet, and why the others do not.

use crate::app::{App, PAGE};
use crate::ask;
use crate::command::list::pages;
use crate::command::policy::{NodeVerdictView, RuleArgs};
use crate::command::short;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Listed, Output, Shown, column};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::PolicyId;
use serde::Serialize;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A policy; or give rules
    policy: Option<PolicyId>,
    /// Rules in place of a policy
    #[command(flatten)]
    rules: RuleArgs,
    /// Only nodes that qualify, or only those that do not
    #[arg(long, value_name = "YES|NO", value_parser = clap::builder::BoolishValueParser::new())]
    qualifies: Option<bool>,
}

/// A site.
#[derive(Debug, Serialize)]
struct SiteView {
    site: String,
    nodes: u32,
    qualifying: u32,
}

impl Shown for SiteView {
    const COLUMNS: &'static [Column] =
        &[column("site", "拠点"), column("qualifying", "適合"), column("nodes", "ノード数")];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![short(&self.site).to_owned(), self.qualifying.to_string(), self.nodes.to_string()]
    }
}

#[derive(Debug, Serialize)]
struct CheckView {
    revision: u64,
    node_count: u32,
    qualifying_count: u32,
    sites: Vec<SiteView>,
    nodes: Vec<NodeVerdictView>,
}

/// Asks for all pages and shows them.
pub(super) async fn run(app: &mut App<'_>, args: &CheckArgs) -> Result<Exit, Failure> {
    let (name, rules) = match (&args.policy, args.rules.is_given()) {
        (Some(policy), false) => (policy.name(), None),
        (None, true) => (String::new(), Some(v1::Rules::from(&args.rules.rules(app.today())?))),
        (Some(_), true) | (None, false) => {
            let why = app.output.pick(
                "name a policy, or give rules: one of the two",
                "ポリシー名またはルールのどちらか一方を指定してください",
            );
            return Err(Failure::invalid(why));
        }
    };
    let session = app.session()?;
    let (nodes, page) = pages!(nodes, |page_token| {
        let (name, rules, read) = (name.clone(), rules.clone(), app.read());
        let request = v1::CheckPolicyRequest { name, rules, page_size: PAGE, page_token, read };
        ask!(session.client, policy_service_client::PolicyServiceClient, check_policy, request)
    });
    let wanted =
        |row: &v1::NodeVerdict| args.qualifies.is_none_or(|wanted| wanted == row.reason.is_empty());
    let nodes = nodes.into_iter().filter(wanted).map(NodeVerdictView::from).collect();
    let site = |site: v1::SiteVerdict| {
        let v1::SiteVerdict { site, nodes, qualifying } = site;
        SiteView { site, nodes, qualifying }
    };
    let sites = page.sites.into_iter().map(site).collect();
    let (node_count, qualifying_count) = (page.node_count, page.qualifying_count);
    let revision = page.revision;
    let view = CheckView { revision, node_count, qualifying_count, sites, nodes };
    show(&mut app.output, &view)?;
    Ok(Exit::Ok)
}

fn show(output: &mut Output<'_>, view: &CheckView) -> Result<(), Failure> {
    if !output.format.is_for_people() {
        return output.data(view);
    }
    let (some, all) = (view.qualifying_count, view.node_count);
    let line = output.pick(
        format!("{some} of {all} nodes qualify now"),
        format!("現在 {all} ノード中 {some} ノードが適合"),
    );
    output.line(&line)?;
    output.list(&view.sites, &Listed::default())?;
    output.line("")?;
    output.list(&view.nodes, &Listed::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn view() -> CheckView {
        let node = |name: &str, reason: &str| {
            NodeVerdictView::from(v1::NodeVerdict {
                node: format!("sites/tokyo-1/nodes/{name}"),
                country_tier: "T1".into(),
                reason: reason.into(),
                ..v1::NodeVerdict::default()
            })
        };
        CheckView {
            revision: 9,
            node_count: 2,
            qualifying_count: 1,
            sites: vec![SiteView { site: "sites/tokyo-1".into(), nodes: 2, qualifying: 1 }],
            nodes: vec![node("n-01", ""), node("n-02", "RESIDENCY_TIER")],
        }
    }

    fn shown(format: Format, language: Language) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = (format, language);

        show(&mut output, &view()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn who_qualifies_is_counted_and_the_others_say_why() {
        let out = shown(Format::Table, Language::En);
        assert!(out.starts_with("1 of 2 nodes qualify now\n"), "{out}");
        let of = |name: &str| out.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(of("n-01").contains("yes") && of("n-02").contains("RESIDENCY_TIER"), "{out}");
        assert!(shown(Format::Table, Language::Ja).starts_with("現在 2 ノード中 1 ノードが適合\n"));
        let json: serde_json::Value =
            serde_json::from_str(&shown(Format::Json, Language::En)).unwrap();
        assert_eq!(json["nodes"][0]["qualifies"], true);
    }
}
