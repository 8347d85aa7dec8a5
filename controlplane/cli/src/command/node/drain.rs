//! `sekisho node drain` and `undrain`: nodes are emptied, and somebody may look on.
//!
//! Must hold: leaving the monitor, or losing a member, ends no drain; whoever comes back sees what is left. The monitor only
//! reads: what happens is decided where it is decided without it.

mod progress;

use crate::app::{App, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::watch::{Told, Watch, note_lost};
use progress::Progress;
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_types::id::NodeId;

/// What to drain, and how.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line, which exclude each other"
)]
#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// SITE/NODE
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<NodeId>,
    /// How long jobs may go on there; what is left then is stopped and placed elsewhere
    #[arg(long, value_name = "TIME", value_parser = crate::duration::seconds)]
    deadline: Option<u64>,
    /// Move everything at once
    #[arg(long, conflicts_with = "deadline")]
    now: bool,
    /// Let jobs go on as long as they take; so it is when nothing else is said
    #[arg(long, conflicts_with_all = ["deadline", "now"])]
    no_deadline: bool,
    /// Why; who watches, and the tenants whose jobs are moved, read it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    /// Do not wait until the nodes are empty
    #[arg(long)]
    detach: bool,
    /// Only look on at drains that were ordered before
    #[arg(long, conflicts_with_all = ["deadline", "now", "no_deadline", "message", "detach"])]
    monitor: bool,
}

/// Which drains to call off.
#[derive(Debug, clap::Args)]
pub struct UndrainArgs {
    /// SITE/NODE
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<NodeId>,
    /// Leave the nodes cordoned
    #[arg(long, alias = "keep-ineligible")]
    keep_cordoned: bool,
}

fn named(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(super) async fn drain(app: &mut App<'_>, args: DrainArgs) -> Result<Exit, Failure> {
    let session = if args.monitor { app.session()? } else { app.signing_session().await? };
    if !args.monitor {
        order(app, &session, &args).await?;
        if args.detach || app.global.dry_run {
            return Ok(Exit::Ok);
        }
    }
    let looked_on = tokio::select! {
        looked_on = monitor(app, &session, &args.nodes) => Some(looked_on),
        _ = tokio::signal::ctrl_c() => None,
    };
    if let Some(exit) = looked_on {
        return exit;
    }
    let note = app.output.pick("the drain goes on", "退避は継続しています");
    app.output.note(note)?;
    app.output.next(&format!("sekisho node drain {} --monitor", named(&args.nodes)))?;
    Ok(Exit::Interrupted)
}

async fn order(app: &mut App<'_>, session: &Session, args: &DrainArgs) -> Result<(), Failure> {
    let (nodes, message) = (&args.nodes, args.message.clone());
    let within_s = if args.now { Some(0) } else { args.deadline };
    let done = Text::new("is being drained", "の退避を開始しました");
    let next = format!("sekisho node drain {} --monitor", named(nodes));
    let next = Some(next).filter(|_| args.detach);
    if let [node] = nodes.as_slice() {
        let (name, message) = (node.name(), args.message.clone());
        let command = Command::DrainNode { node: node.clone(), within_s, message: message.clone() };
        let prepared = app.prepare(session, &command)?;
        let intent = Some(prepared.intent);
        let request = v1::DrainNodeRequest { name: name.clone(), within_s, message, intent };
        let written =
            ask!(session.client, node_service_client::NodeServiceClient, drain_node, request)
                .map_err(|failure| failure.of_request(prepared.request))?;
        return app.changed(&name, prepared.request, written.revision, done, next);
    }
    let item =
        |node: &NodeId| Item::DrainNode { node: node.clone(), within_s, message: message.clone() };
    let prepared = app.prepare(session, &Command::Batch(nodes.iter().map(item).collect()))?;
    let names: Vec<String> = nodes.iter().map(NodeId::name).collect();
    let request = v1::BatchDrainNodesRequest {
        parent: format!("sites/{ANY}"),
        names: names.clone(),
        within_s,
        message: args.message.clone(),
        intent: Some(prepared.intent),
    };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, batch_drain_nodes, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    app.changed_all(&names, prepared.request, written.revision, done, next)
}

pub(super) async fn undrain(app: &mut App<'_>, args: &UndrainArgs) -> Result<(), Failure> {
    let (nodes, keep_cordoned) = (&args.nodes, args.keep_cordoned);
    let session = app.signing_session().await?;
    let done = Text::new("is not drained any more", "の退避を取り消しました");
    if let [node] = nodes.as_slice() {
        let command = Command::UndrainNode { node: node.clone(), keep_cordoned };
        let prepared = app.prepare(&session, &command)?;
        let (name, intent) = (node.name(), Some(prepared.intent));
        let request = v1::UndrainNodeRequest { name: name.clone(), keep_cordoned, intent };
        let written =
            ask!(session.client, node_service_client::NodeServiceClient, undrain_node, request)
                .map_err(|failure| failure.of_request(prepared.request))?;
        let next = Some(format!("sekisho node get {node}"));
        return app.changed(&name, prepared.request, written.revision, done, next);
    }
    let item = |node: &NodeId| Item::UndrainNode { node: node.clone(), keep_cordoned };
    let prepared = app.prepare(&session, &Command::Batch(nodes.iter().map(item).collect()))?;
    let names: Vec<String> = nodes.iter().map(NodeId::name).collect();
    let request = v1::BatchUndrainNodesRequest {
        parent: format!("sites/{ANY}"),
        names: names.clone(),
        keep_cordoned,
        intent: Some(prepared.intent),
    };
    let written =
        ask!(session.client, node_service_client::NodeServiceClient, batch_undrain_nodes, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = Some("sekisho node list".to_owned());
    app.changed_all(&names, prepared.request, written.revision, done, next)
}

/// Tells what leaves until nothing is left.
async fn monitor(app: &mut App<'_>, session: &Session, nodes: &[NodeId]) -> Result<Exit, Failure> {
    // One that does not exist would be waited for in vain.
    for node in nodes {
        let (name, read) = (node.name(), None);
        let request = v1::GetNodeRequest { name, read };
        ask!(session.client, node_service_client::NodeServiceClient, get_node, request)?;
    }
    let site = nodes.first().map(|node| &node.site);
    let one = site.filter(|site| nodes.iter().all(|node| node.site == **site));
    let parent = one.map_or_else(|| format!("sites/{ANY}"), |site| site.name());
    let request =
        v1::WatchRequest { topics: vec![Topic::Nodes.into()], parent, ..Default::default() };
    let mut watch = Watch::new(&session.client, request);
    let mut progress = Progress::of(nodes);
    while !progress.is_over() {
        let events = match watch.next().await? {
            Told::Row(item) => progress.take(*item),
            Told::Lost(failure) => {
                note_lost(&mut app.output, &failure)?;
                continue;
            }
        };
        for event in events {
            if app.output.format.is_for_people() {
                let line = event.line(app.output.language);
                app.output.line(&line)?;
            } else {
                app.output.event(&event)?;
            }
        }
    }
    Ok(progress.exit())
}
