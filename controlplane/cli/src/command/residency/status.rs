//! `sekisho residency status`: how well the place of each node is proven, worst first.

use super::standing::{Extent, Standing};
use crate::app::App;
use crate::ask;
use crate::command::instant;
use crate::command::list::ListArgs;
use crate::command::node::all;
use crate::command::node::location::{LocationView, ids, lacking};
use crate::duration;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::PROOF_F_DEFAULT;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Which nodes.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// SITE/NODE; without it all of them
    node: Option<NodeId>,
    /// Only of this site
    #[arg(long, conflicts_with = "node")]
    site: Option<SiteId>,
}

#[derive(Debug, Serialize)]
struct StatusView {
    node: String,
    operator: String,
    area: String,
    area_label: String,
    standing: &'static str,
    country_tier: String,
    /// How old what is kept is; absent: nothing is.
    age_s: Option<u64>,
    /// How long the proof still counts.
    left_s: Option<u64>,
    location: Option<LocationView>,
    #[serde(skip)]
    order: Standing,
}

impl StatusView {
    fn of(node: v1::Node, now: Timestamp) -> Self {
        let id = NodeId::from_name(&node.name);
        let location = node.location.map(LocationView::from);
        let order = Standing::of(&node.country_tier, location.as_ref());
        let age = |seen: &LocationView| now.since_ms(Timestamp(seen.measured_ms)) / 1000;
        let left = |seen: &LocationView| Timestamp(seen.expires_ms).since_ms(now) / 1000;
        let counts = order.extent().is_some();
        Self {
            node: id.map_or_else(|| node.name.clone(), |id| id.to_string()),
            operator: node.operator,
            area: node.area,
            area_label: node.area_label,
            standing: order.word(),
            country_tier: node.country_tier,
            age_s: location.as_ref().map(age),
            left_s: location.as_ref().filter(|_| counts).map(left),
            location,
            order,
        }
    }

    /// What is missing for the next tier.
    fn missing(&self, language: Language) -> String {
        let missing = self.location.as_ref().map_or(0, |seen| seen.missing_operators);
        let operators = |count: u32, f: u32| match (language, count) {
            (Language::En, 1) => format!("1 operator for f={f}"),
            (Language::En, _) => format!("{count} operators for f={f}"),
            (Language::Ja, _) => format!("f={f} に {count} 事業者"),
        };
        let text = match self.order {
            Standing::Inconsistent => {
                let who = self.location.as_ref().map(|seen| ids(&seen.inconsistent));
                let who = who.unwrap_or_default();
                return pick(language, format!("agreement: {who}"), format!("一致: {who}"));
            }
            Standing::Claimed => pick(language, "a tag in force", "有効なタグ"),
            Standing::Over | Standing::Unmeasured => pick(language, "a measurement", "測定"),
            Standing::Unproven => {
                return operators(missing.saturating_sub(PROOF_F_DEFAULT).max(1), 0);
            }
            Standing::Alone(Extent::Site) => return operators(missing.max(1), PROOF_F_DEFAULT),
            Standing::Alone(Extent::Country) => {
                let (f, site) =
                    (operators(missing.max(1), PROOF_F_DEFAULT), self.lacking(language));
                return pick(language, format!("{f}; {site}"), format!("{f}、{site}"));
            }
            Standing::Proven(_, Extent::Country) => return self.lacking(language),
            Standing::Proven(_, Extent::Site) => "-",
        };
        text.to_owned()
    }
}

impl StatusView {
    /// What is missing for T3.
    fn lacking(&self, language: Language) -> String {
        let site = self.node.split_once('/').map_or(self.node.as_str(), |(site, _)| site);
        let beacon = self.location.as_ref().and_then(|seen| seen.beacon.as_ref());
        lacking(site, Area::resolve(&self.area).ok(), beacon, language)
    }
}

fn span(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), duration::text)
}

impl Shown for StatusView {
    const COLUMNS: &'static [Column] = &[
        column("node", "ノード"),
        column("tier", "証明"),
        column("age", "経過"),
        column("left", "残り"),
        column("excluding", "除外する事業者"),
        column("missing", "不足"),
        wide("operator", "事業者"),
        wide("area", "地域"),
        wide("measured", "測定"),
        wide("ends", "期限"),
        wide("landmarks", "ランドマーク"),
        wide("revision", "リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let seen = self.location.as_ref();
        let operators = seen.map(|seen| seen.operators.join(", ")).filter(|all| !all.is_empty());
        vec![
            self.node.clone(),
            self.order.tier(language),
            span(self.age_s),
            span(self.left_s),
            operators.unwrap_or_else(|| "-".to_owned()),
            self.missing(language),
            self.operator.clone(),
            self.area_label.clone(),
            instant(seen.map_or(0, |seen| seen.measured_ms)),
            instant(seen.map_or(0, |seen| seen.expires_ms)),
            seen.map(|seen| ids(&seen.landmarks)).unwrap_or_default(),
            seen.map_or_else(|| "-".to_owned(), |seen| seen.revision.to_string()),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.order == Standing::Inconsistent
    }
}

/// So many of each.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Summary {
    nodes: usize,
    inconsistent: usize,
    claimed: usize,
    over: usize,
    unproven: usize,
    unmeasured: usize,
    /// Proven if nobody lies.
    f0: usize,
    /// Proven though one lies, or more.
    f1: usize,
    /// Of `f0`, with their prefecture.
    site_f0: usize,
    /// The same of `f1`.
    site_f1: usize,
}

impl Summary {
    fn of(views: &[StatusView]) -> Self {
        let count = |is: &dyn Fn(Standing) -> bool| views.iter().filter(|v| is(v.order)).count();
        Self {
            nodes: views.len(),
            inconsistent: count(&|order| order == Standing::Inconsistent),
            claimed: count(&|order| order == Standing::Claimed),
            over: count(&|order| order == Standing::Over),
            unproven: count(&|order| order == Standing::Unproven),
            unmeasured: count(&|order| order == Standing::Unmeasured),
            f0: count(&|order| matches!(order, Standing::Alone(_))),
            f1: count(&|order| matches!(order, Standing::Proven(..))),
            site_f0: count(&|order| order == Standing::Alone(Extent::Site)),
            site_f1: count(&|order| matches!(order, Standing::Proven(_, Extent::Site))),
        }
    }

    fn line(&self, language: Language) -> String {
        let parts = [
            (self.inconsistent, "inconsistent", "矛盾"),
            (self.claimed, "T0", "T0"),
            (self.over, "T1 with a proof that is over", "T1(証明切れ)"),
            (self.unproven, "T1", "T1"),
            (self.unmeasured, "T1 and not measured", "T1(未測定)"),
            (self.f0.saturating_sub(self.site_f0), "T2 f=0", "T2 f=0"),
            (self.site_f0, "T3 f=0", "T3 f=0"),
            (self.f1.saturating_sub(self.site_f1), "T2 f≥1", "T2 f≥1"),
            (self.site_f1, "T3 f≥1", "T3 f≥1"),
        ];
        let told = parts.into_iter().filter(|(count, ..)| *count > 0);
        let told = told.map(|(count, en, ja)| match language {
            Language::En => format!("{count} {en}"),
            Language::Ja => format!("{ja} {count}"),
        });
        let told: Vec<String> = told.collect();
        match (language, self.nodes) {
            (Language::En, 1) => format!("1 node: {}", told.join(", ")),
            (Language::En, all) => format!("{all} nodes: {}", told.join(", ")),
            (Language::Ja, all) => format!("ノード {all}: {}", told.join("、")),
        }
    }
}

/// Worst first; of equals, what ends first.
fn ordered(mut views: Vec<StatusView>) -> Vec<StatusView> {
    views.sort_by(|a, b| (a.order, a.left_s, &a.node).cmp(&(b.order, b.left_s, &b.node)));
    views
}

fn tell(output: &mut Output<'_>, views: &[StatusView], beside: &Listed) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Whole<'s> {
        items: &'s [StatusView],
        summary: &'s Summary,
        revision: u64,
        unreachable: &'s [String],
    }
    let summary = Summary::of(views);
    if !output.format.is_for_people() {
        let Listed { revision, unreachable } = beside;
        let (summary, revision) = (&summary, *revision);
        return output.data(&Whole { items: views, summary, revision, unreachable });
    }
    output.list(views, beside)?;
    if views.is_empty() {
        return Ok(());
    }
    let line = summary.line(output.language);
    output.line(&format!("\n{line}"))
}

/// Whether a node is still one: what was taken out is proven nowhere.
pub(super) fn is_in(node: &v1::Node) -> bool {
    node.state() != v1::node::State::Revoked
}

pub(super) async fn run(app: &mut App<'_>, args: StatusArgs) -> Result<Exit, Failure> {
    let session = app.session()?;
    if let Some(node) = args.node {
        let request = v1::GetNodeRequest { name: node.name(), read: app.read() };
        let found =
            ask!(session.client, node_service_client::NodeServiceClient, get_node, request)?;
        app.output.one(&StatusView::of(found, app.now()))?;
        return Ok(Exit::Ok);
    }
    let (nodes, beside) = all(app, &session, args.site.as_ref(), &ListArgs::default()).await?;
    let now = app.now();
    let views = nodes.into_iter().filter(is_in).map(|node| StatusView::of(node, now)).collect();
    tell(&mut app.output, &ordered(views), &beside)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
