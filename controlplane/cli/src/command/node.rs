//! `sekisho node`: GPU hosts.

mod quarantine;

use super::wait::ContactView;
use super::{instant, yes_no};
use crate::app::{App, PAGE, Session, random};
use crate::ask;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::{Text, pick};
use crate::output::{Column, Listed, Shown, column, wide};
use quarantine::{QuarantineView, release};
use sekisho_evidence::join_token::JoinToken;
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_transport::pki::file;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{ClusterId, Digest, NodeId, SiteId};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Verbs of a node.
#[derive(Debug, clap::Subcommand)]
pub enum NodeCommand {
    /// List nodes
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<SiteId>,
    },
    /// Show one node
    Get {
        /// SITE/NODE
        node: NodeId,
    },
    /// Join tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keep new placements away from nodes, all of them or none; running ones stay
    Cordon {
        /// SITE/NODE
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<NodeId>,
    },
    /// Let placements come again
    Uncordon {
        /// SITE/NODE
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<NodeId>,
    },
    /// End the quarantine of a node of which there were two: one host of it is left
    Release {
        /// SITE/NODE
        node: NodeId,
        /// Do it: the first host that asks is the node from now on
        #[arg(long)]
        yes: bool,
    },
    /// Take a node out for good: its jobs stop within the lease
    Revoke {
        /// SITE/NODE
        node: NodeId,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
}

/// Verbs of a join token.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token for one node, once
    Create {
        /// SITE/NODE
        node: NodeId,
        /// How long it is good; at most 24h
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = crate::duration::seconds)]
        lifetime: u64,
        /// File to write it to, mode 0600; `-` = stdout
        #[arg(long, value_name = "FILE", default_value = "join-token")]
        out: PathBuf,
    },
}

#[derive(Debug, Serialize)]
struct BucketView {
    device_class: String,
    memory_mib: u64,
    island: u32,
    count: u32,
    used: u32,
}

#[derive(Debug, Serialize)]
struct NodeView {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactView>,
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
        let bucket = |b: v1::Bucket| BucketView {
            device_class: b.device_class,
            memory_mib: b.memory_mib,
            island: b.island,
            count: b.count,
            used: b.used,
        };
        Self {
            name: node.name,
            operator: node.operator,
            area: node.area,
            area_label: node.area_label,
            country_tier: node.country_tier,
            area_tier: node.area_tier,
            state,
            schedulable: node.schedulable,
            buckets: node.buckets.into_iter().map(bucket).collect(),
            tag_expires_ms: node.tag_expires_ms,
            placements: node.placements,
            node_key: node.node_key,
            etag: node.etag,
            quarantine: node.quarantine.map(QuarantineView::from),
            contact: node.contact.map(ContactView),
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
        wide("quarantine", "隔離"),
        wide("contact", "応答"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let id =
            NodeId::from_name(&self.name).map_or_else(|| self.name.clone(), |id| id.to_string());
        let bucket = |b: &BucketView| format!("{}/{} {}", b.used, b.count, b.device_class);
        let cordoned = pick(language, "cordoned", "閉鎖中");
        let beside = self.contact.as_ref().map(|seen| seen.beside(language)).unwrap_or_default();
        let state = if self.schedulable {
            format!("{}{beside}", self.state)
        } else {
            format!("{}, {cordoned}{beside}", self.state)
        };
        vec![
            id,
            self.operator.clone(),
            self.area_label.clone(),
            format!("{}/{}", self.country_tier, self.area_tier),
            state,
            self.buckets.iter().map(bucket).collect::<Vec<_>>().join(", "),
            yes_no(language, self.schedulable),
            instant(self.tag_expires_ms),
            self.placements.join(", "),
            self.node_key.clone(),
            self.quarantine.as_ref().map(|seen| seen.words(language)).unwrap_or_default(),
            self.contact.as_ref().map(|seen| seen.words(language)).unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: NodeCommand) -> Result<Exit, Failure> {
    match command {
        NodeCommand::List { site } => {
            let session = app.session()?;
            let (nodes, beside) = all(app, &session, site.as_ref()).await?;
            let items: Vec<NodeView> = nodes.into_iter().map(NodeView::from).collect();
            app.output.list(&items, &beside)?;
        }
        NodeCommand::Get { node } => {
            let session = app.session()?;
            let request = v1::GetNodeRequest { name: node.name(), read: app.read() };
            let found =
                ask!(session.client, node_service_client::NodeServiceClient, get_node, request)?;
            app.output.one(&NodeView::from(found))?;
        }
        NodeCommand::Token(TokenCommand::Create { node, lifetime, out }) => {
            create_token(app, node, lifetime, &out).await?;
        }
        NodeCommand::Cordon { nodes } => schedulable(app, &nodes, false).await?,
        NodeCommand::Uncordon { nodes } => schedulable(app, &nodes, true).await?,
        NodeCommand::Release { node, yes } => release(app, &node, yes).await?,
        NodeCommand::Revoke { node, yes } => {
            app.confirm(yes, &node.name())?;
            let session = app.signing_session().await?;
            let prepared = app.prepare(&session, &Command::RevokeNode { node: node.clone() })?;
            let request =
                v1::RevokeNodeRequest { name: node.name(), intent: Some(prepared.intent) };
            let written =
                ask!(session.client, node_service_client::NodeServiceClient, revoke_node, request)
                    .map_err(|failure| failure.of_request(prepared.request))?;
            let next = format!("sekisho node list --site {}", node.site);
            app.changed(
                &node.name(),
                prepared.request,
                written.revision,
                Text::new("revoked", "を失効しました"),
                Some(next),
            )?;
        }
    }
    Ok(Exit::Ok)
}

/// Every node of a site, or of all.
pub(crate) async fn all(
    app: &App<'_>,
    session: &Session,
    site: Option<&SiteId>,
) -> Result<(Vec<v1::Node>, Listed), Failure> {
    let parent = site.map_or_else(|| format!("sites/{ANY}"), sekisho_proto::name::Resource::name);
    let (mut items, mut page_token) = (Vec::new(), String::new());
    loop {
        let read = app.read();
        let request =
            v1::ListNodesRequest { parent: parent.clone(), page_size: PAGE, page_token, read };
        let page =
            ask!(session.client, node_service_client::NodeServiceClient, list_nodes, request)?;
        items.extend(page.nodes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok((items, Listed { revision: page.revision, unreachable: page.unreachable }));
        }
    }
}

async fn schedulable(
    app: &mut App<'_>,
    nodes: &[NodeId],
    schedulable: bool,
) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let done = if schedulable {
        Text::new("uncordoned", "の閉鎖を解除しました")
    } else {
        Text::new("cordoned", "を閉鎖しました")
    };
    if let [node] = nodes {
        let command = Command::SetSchedulable { node: node.clone(), schedulable };
        let prepared = app.prepare(&session, &command)?;
        let (name, intent) = (node.name(), Some(prepared.intent));
        let written = if schedulable {
            let request = v1::UncordonNodeRequest { name, intent };
            ask!(session.client, node_service_client::NodeServiceClient, uncordon_node, request)
        } else {
            let request = v1::CordonNodeRequest { name, intent };
            ask!(session.client, node_service_client::NodeServiceClient, cordon_node, request)
        };
        let written = written.map_err(|failure| failure.of_request(prepared.request))?;
        let next = Some(format!("sekisho node get {node}"));
        return app.changed(&node.name(), prepared.request, written.revision, done, next);
    }
    let item = |node: &NodeId| Item::SetSchedulable { node: node.clone(), schedulable };
    let prepared = app.prepare(&session, &Command::Batch(nodes.iter().map(item).collect()))?;
    let (parent, intent) = (format!("sites/{ANY}"), Some(prepared.intent));
    let all: Vec<String> = nodes.iter().map(NodeId::name).collect();
    let names = all.clone();
    let written = if schedulable {
        let request = v1::BatchUncordonNodesRequest { parent, names, intent };
        ask!(session.client, node_service_client::NodeServiceClient, batch_uncordon_nodes, request)
    } else {
        let request = v1::BatchCordonNodesRequest { parent, names, intent };
        ask!(session.client, node_service_client::NodeServiceClient, batch_cordon_nodes, request)
    };
    let written = written.map_err(|failure| failure.of_request(prepared.request))?;
    let next = Some("sekisho node list".to_owned());
    app.changed_all(&all, prepared.request, written.revision, done, next)
}

/// Makes a join token and writes it to `out`.
pub(crate) async fn create_token(
    app: &mut App<'_>,
    node: NodeId,
    lifetime: u64,
    out: &Path,
) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let secret: [u8; 32] = random()?;
    let expires = app.now().plus_ms(lifetime.saturating_mul(1000));
    let new = NewToken { token: Digest::of(&secret), node: node.clone(), expires };
    let command = Command::CreateToken { token: new.token, node: node.clone(), expires };
    let prepared = app.prepare(&session, &command)?;
    let request = new.request(prepared.intent);
    let answer =
        ask!(session.client, node_service_client::NodeServiceClient, create_join_token, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let revision = answer.written.map_or(0, |written| written.revision);
    if app.global.dry_run {
        return app.changed(&node.name(), prepared.request, revision, Text::new("", ""), None);
    }
    let bad =
        |what: &str| Failure::new(ErrorCode::Internal, format!("the answer has no usable {what}"));
    let token = JoinToken {
        cluster: ClusterId::try_from(&answer.cluster[..]).map_err(|_form| bad("cluster"))?,
        node: node.clone(),
        endpoints: answer.endpoints,
        bundle_hash: Digest::try_from(&answer.bundle_sha256[..])
            .map_err(|_form| bad("bundle hash"))?,
        root_hash: Digest::try_from(&answer.root_sha256[..]).map_err(|_form| bad("root hash"))?,
        expires,
        secret,
    };
    // The answer must be about the federation that was asked: the token would lead a host into another one.
    if token.cluster != session.context.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the answer is of another federation"));
    }
    let text = token.encode().map_err(|_form| bad("endpoints"))?;
    if out == Path::new("-") {
        return app.output.line(&text);
    }
    file::write(out, &text).map_err(|error| of_file(out, &error))?;
    let done = Text::new("may join once", "が1回参加できます");
    let next = format!("sekisho-agent join --token-file {} --config agent.toml", out.display());
    app.changed(&node.name(), prepared.request, revision, done, Some(next))
}
