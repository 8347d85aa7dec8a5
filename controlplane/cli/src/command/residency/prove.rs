//! `sekisho residency prove`: a node is measured now, and what that proves is judged here.
//!
//! Must hold: leaving it ends no measurement, which is the agent's, and changes nothing; the fix that is shown is of a later
//! revision than the one that was kept when the new one was asked for; it is judged from its signatures, not believed.

use super::fix::FixView;
use crate::app::{App, Session};
use crate::ask;
use crate::command::agreement::not_there;
use crate::duration;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::watch::{Told, Watch, note_lost};
use sekisho_evidence::location::evidence::Evidence;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::watch_request::Topic;
use sekisho_proto::v1::watch_response::Item;
use sekisho_transport::part::Part;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How often somebody who waits is told so.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Whom to prove, and for how long to wait.
#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    /// SITE/NODE
    node: NodeId,
    /// How long to wait for the measurement; with many landmarks it takes two minutes
    #[arg(long, value_name = "TIME", default_value = "150s", value_parser = duration::seconds)]
    deadline: u64,
    /// Write the fix with all that is needed to judge it again: `sekisho residency verify FILE`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// A fix as it was handed out, and as it is judged here.
#[derive(Debug)]
pub(super) struct Fetched {
    bytes: Vec<u8>,
    pub(super) view: FixView,
}

/// The last fix of a node, judged here.
pub(super) async fn fetch(session: &Session, node: &NodeId) -> Result<Fetched, Failure> {
    // Up to date, whatever was asked for: an older fix must not pass for the new one.
    let request = v1::GetFixRequest { name: node.name(), read: None };
    let found = ask!(session.client, node_service_client::NodeServiceClient, get_fix, request)?;
    let bad = |error: sekisho_evidence::location::evidence::EvidenceError| {
        Failure::new(error.code(), error.to_string())
    };
    let evidence = Evidence::parse(&found.evidence).map_err(bad)?;
    // Another node's fix would prove the wrong thing, however good it is.
    if evidence.cluster != session.context.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the fix is of another federation"));
    }
    if evidence.node != *node {
        let why = format!("the fix is of {}, not of {node}", evidence.node);
        return Err(Failure::new(ErrorCode::LocationInvalid, why));
    }
    let judged = evidence.judge().map_err(bad)?;
    let view = FixView::new(&evidence, &judged)?;
    Ok(Fetched { bytes: found.evidence.to_vec(), view })
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut part = Part::create(path)?;
    part.write_all(bytes).map_err(|error| of_file(part.path(), &error))?;
    Ok(part.sync()?.take_name()?)
}

/// Whether a row shows the fix that was asked for.
fn answers(item: &Item, name: &str, before: u64) -> Result<bool, Failure> {
    match item {
        Item::Node(node) if node.name == name => {
            Ok(node.location.as_ref().is_some_and(|seen| seen.revision > before))
        }
        Item::Deleted(gone) if gone.name == name => {
            Err(Failure::new(ErrorCode::NotFound, format!("{name} was taken out")))
        }
        Item::Node(_) | Item::Deleted(_) | Item::Job(_) | Item::Bookmark(_) => Ok(false),
        // Only nodes are watched.
        Item::Site(_) | Item::Tenant(_) | Item::Policy(_) | Item::Quota(_) => Ok(false),
        Item::Key(_) | Item::Landmark(_) | Item::Member(_) => Ok(false),
        Item::Approval(_) | Item::BreakGlass(_) => Ok(false),
        Item::Budget(_) | Item::Escrow(_) | Item::Offer(_) | Item::Veto(_) => Ok(false),
        Item::Reservation(_) => Ok(false),
    }
}

/// Waits for a fix of a later revision, and says on stderr that it does.
async fn measured(
    app: &mut App<'_>,
    session: &Session,
    node: &NodeId,
    before: u64,
) -> Result<(), Failure> {
    let request = v1::WatchRequest {
        topics: vec![Topic::Nodes.into()],
        parent: node.site.name(),
        ..Default::default()
    };
    let (mut watch, begun, name) =
        (Watch::new(&session.client, request), Instant::now(), node.name());
    let first = begun.checked_add(TELL_EVERY).unwrap_or(begun);
    let mut telling = interval_at(first, TELL_EVERY);
    telling.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // A tick waits for the row that is being read, so that none is lost.
        let heard = {
            let next = watch.next();
            tokio::pin!(next);
            loop {
                tokio::select! {
                    heard = &mut next => break heard?,
                    _ = telling.tick() => {
                        let passed = begun.elapsed().as_secs();
                        let note = app.output.pick(
                            format!("still being measured, {passed} s"),
                            format!("測定中です({passed} 秒経過)"),
                        );
                        app.output.note(&note)?;
                    }
                }
            }
        };
        match heard {
            Told::Row(item) if answers(&item, &name, before)? => return Ok(()),
            Told::Row(_) => {}
            Told::Lost(failure) => note_lost(&mut app.output, &failure)?,
        }
    }
}

fn late(app: &App<'_>, args: &ProveArgs) -> Failure {
    let (node, limit) = (&args.node, duration::text(args.deadline));
    let fix = app.output.pick(
        format!("See `sekisho landmark list`, and the agent's log of {node}: it names who refused."),
        format!("`sekisho landmark list` と、{node} のエージェントのログ(拒否したランドマーク名)を確認してください。"),
    );
    Failure::new(ErrorCode::Deadline, format!("no new fix within {limit}")).remedy(fix)
}

pub(super) async fn run(app: &mut App<'_>, args: ProveArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.save {
        not_there(path)?;
    }
    let session = app.session()?;
    let request = v1::ProveNodeRequest { name: args.node.name() };
    let asked = ask!(session.client, node_service_client::NodeServiceClient, prove_node, request)?;
    let note = if asked.running {
        app.output.pick("it is being measured already; waiting", "すでに測定中です。完了を待ちます")
    } else {
        app.output.pick("landmarks measure it; waiting", "ランドマークが測定します。完了を待ちます")
    };
    app.output.note(note)?;
    let limit = Duration::from_secs(args.deadline);
    let waited = tokio::select! {
        waited = timeout(limit, measured(app, &session, &args.node, asked.revision)) => Some(waited),
        _ = tokio::signal::ctrl_c() => None,
    };
    match waited {
        Some(Ok(done)) => done?,
        Some(Err(_elapsed)) => return Err(late(app, &args)),
        None => {
            let note = app.output.pick("the measurement goes on", "測定は継続しています");
            app.output.note(note)?;
            app.output.next(&format!("sekisho residency status {}", args.node))?;
            return Ok(Exit::Interrupted);
        }
    }
    let fetched = fetch(&session, &args.node).await?;
    if app.output.format.is_for_people() {
        fetched.view.tell(&mut app.output)?;
    } else {
        app.output.data(&fetched.view)?;
    }
    if let Some(path) = &args.save {
        save(path, &fetched.bytes)?;
        app.output.next(&format!("sekisho residency verify {}", path.display()))?;
    }
    Ok(fetched.view.code().map_or(Exit::Ok, Exit::of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1::watch_response::Deleted;

    #[test]
    fn only_a_later_fix_of_this_node_answers() {
        let row = |name: &str, revision| {
            let location = Some(v1::Location { revision, ..Default::default() });
            Item::Node(v1::Node { name: name.into(), location, ..Default::default() })
        };
        let ours = "sites/a/nodes/n";
        for (item, expected) in [
            (row(ours, 8), true),
            (row(ours, 7), false),
            (row("sites/a/nodes/m", 8), false),
            (Item::Node(v1::Node { name: ours.into(), ..Default::default() }), false),
            (Item::Deleted(Deleted { name: "sites/a/nodes/m".into() }), false),
        ] {
            assert_eq!(answers(&item, ours, 7), Ok(expected), "{item:?}");
        }
        let gone = Item::Deleted(Deleted { name: ours.into() });
        assert_eq!(answers(&gone, ours, 7).unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn a_saved_fix_is_the_file_that_verify_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fix");
        let evidence = super::super::fix::fixture::evidence(false);
        save(&path, &evidence.bytes().unwrap()).unwrap();
        assert_eq!(Evidence::parse(&std::fs::read(&path).unwrap()), Ok(evidence));
        not_there(&path).unwrap_err();
    }
}
