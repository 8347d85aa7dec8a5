//! `sekisho node`: GPU hosts.

mod approve;
mod drain;
pub(super) mod location;
mod quarantine;
mod view;

use super::list::{ListArgs, beside, pages};
use crate::app::{App, PAGE, Session, random};
use crate::ask;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::Text;
use crate::output::Listed;
use quarantine::release;
use sekisho_evidence::join_token::JoinToken;
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_transport::pki::file;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, SiteId};
use std::path::{Path, PathBuf};
pub(super) use view::NodeView;
use view::PendingView;

/// Verbs of a node.
#[derive(Debug, clap::Subcommand)]
pub enum NodeCommand {
    /// List nodes
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<SiteId>,
        /// Only those that have joined and wait for approval
        #[arg(long)]
        pending: bool,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one node
    Get {
        /// SITE/NODE
        node: NodeId,
    },
    /// Join tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Let a node that has joined take placements, after its key was compared with what the host shows
    Approve {
        /// SITE/NODE
        node: NodeId,
        /// What the host shows: the fingerprint of its key, or at least its first 16 digits
        #[arg(long, value_name = "FINGERPRINT", value_parser = approve::fingerprint)]
        key: String,
    },
    /// Refuse a node that has joined: it is taken out for good, and its name with it until it is decommissioned
    Reject {
        /// SITE/NODE
        node: NodeId,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
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
    /// Empty nodes: nothing new comes, and what is left at the deadline is moved. Shows the progress until they are empty
    Drain(drain::DrainArgs),
    /// Call drains off, all of them or none; the nodes take placements again unless they are cordoned
    Undrain(drain::UndrainArgs),
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
    /// Take a node that is drained or revoked, and empty, off the lists: its name is free again, its key never
    Decommission {
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
        /// The node needs no approval after it has joined: whoever holds the token decides which host it is
        #[arg(long)]
        approved: bool,
    },
}

pub(super) async fn run(app: &mut App<'_>, command: NodeCommand) -> Result<Exit, Failure> {
    match command {
        NodeCommand::List { site, pending, args } => {
            let session = app.session()?;
            let (nodes, beside) = all(app, &session, site.as_ref(), &args).await?;
            if pending {
                let waits = nodes.into_iter().filter(|node| node.pending);
                let items: Vec<PendingView> = waits.map(PendingView::from).collect();
                app.output.list(&items, &beside)?;
            } else {
                let items: Vec<NodeView> = nodes.into_iter().map(NodeView::from).collect();
                app.output.list(&items, &beside)?;
            }
        }
        NodeCommand::Get { node } => {
            let session = app.session()?;
            let request = v1::GetNodeRequest { name: node.name(), read: app.read() };
            let found =
                ask!(session.client, node_service_client::NodeServiceClient, get_node, request)?;
            app.output.one(&NodeView::from(found))?;
        }
        NodeCommand::Token(TokenCommand::Create { node, lifetime, out, approved }) => {
            let new = Joining { node, lifetime, approved };
            create_token(app, new, &out).await?;
        }
        NodeCommand::Approve { node, key } => approve::approve(app, &node, &key).await?,
        NodeCommand::Reject { node, yes } => approve::reject(app, &node, yes).await?,
        NodeCommand::Decommission { node, yes } => decommission(app, &node, yes).await?,
        NodeCommand::Cordon { nodes } => schedulable(app, &nodes, false).await?,
        NodeCommand::Uncordon { nodes } => schedulable(app, &nodes, true).await?,
        NodeCommand::Drain(args) => return drain::drain(app, args).await,
        NodeCommand::Undrain(args) => drain::undrain(app, &args).await?,
        NodeCommand::Release { node, yes } => release(app, &node, yes).await?,
        NodeCommand::Revoke { node, yes } => {
            app.confirm(yes, &node.name())?;
            revoke(app, &node, Text::new("revoked", "を失効しました")).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn revoke(app: &mut App<'_>, node: &NodeId, done: Text) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &Command::RevokeNode { node: node.clone() })?;
    let request = v1::RevokeNodeRequest { name: node.name(), intent: Some(prepared.intent) };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, revoke_node, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = Some(format!("sekisho node list --site {}", node.site));
    app.changed(&node.name(), prepared.request, written.revision, done, next)
}

async fn decommission(app: &mut App<'_>, node: &NodeId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &node.name())?;
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &Command::DecommissionNode { node: node.clone() })?;
    let request = v1::DecommissionNodeRequest { name: node.name(), intent: Some(prepared.intent) };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, decommission_node, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("decommissioned", "を連合から外しました");
    let next = Some(format!("sekisho node list --site {}", node.site));
    app.changed(&node.name(), prepared.request, written.revision, done, next)
}

/// Every node of a site, or of all.
pub(crate) async fn all(
    app: &App<'_>,
    session: &Session,
    site: Option<&SiteId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Node>, Listed), Failure> {
    let parent = site.map_or_else(|| format!("sites/{ANY}"), sekisho_proto::name::Resource::name);
    let (nodes, page) = pages!(nodes, |page_token| {
        let request = v1::ListNodesRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, node_service_client::NodeServiceClient, list_nodes, request)
    });
    Ok((nodes, beside!(page)))
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

/// Who may join.
#[derive(Debug)]
pub(crate) struct Joining {
    /// The one node.
    pub(crate) node: NodeId,
    /// How long, seconds.
    pub(crate) lifetime: u64,
    /// It needs no approval afterwards.
    pub(crate) approved: bool,
}

/// Makes a join token and writes it to `out`.
pub(crate) async fn create_token(
    app: &mut App<'_>,
    joining: Joining,
    out: &Path,
) -> Result<(), Failure> {
    let Joining { node, lifetime, approved } = joining;
    let session = app.signing_session().await?;
    let secret: [u8; 32] = random()?;
    let expires = app.now().plus_ms(lifetime.saturating_mul(1000));
    let new = NewToken { token: Digest::of(&secret), node: node.clone(), expires, approved };
    let command = Command::CreateToken { token: new.token, node: node.clone(), expires, approved };
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
