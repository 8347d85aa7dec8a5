//! `sekisho audit watch`: a witness of one's own.
//!
//! The file keeps the newest head that was believed, as the signed note itself; `audit verify --seen FILE` takes it.
//!
//! Must hold (A1): no head is told before it is durable in the file, and none takes the place of another without the proof that
//! it goes on from it; what contradicts is kept beside the file before the program ends, and the kept head stays. Every shorter
//! head is proven to be a beginning of the newest. Several members are asked, so that one alone cannot show an old or another
//! log in silence.

mod evidence;
mod judge;

use super::show::{RecordView, read, tell};
use super::tiles::Fetch;
use crate::app::{App, Session};
use crate::ask;
use crate::client::Client;
use crate::command::agreement::package;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::verify::trusted_genesis;
use evidence::keep;
use judge::{Against, Shown, Told, against, beginnings, compare};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::{Checkpoint, verify_note};
use sekisho_evidence::fork::{Extended, Fork};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::package::Trust;
use sekisho_proto::v1;
use sekisho_transport::part;
use sekisho_types::error_code::ErrorCode;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one member may take: the others are asked all the same.
const MEMBER: Duration = Duration::from_secs(5);
/// Records that are shown of one step, at most; `audit show` has the others.
const RECORDS_MAX: u32 = 1000;

/// What to keep, and how to look.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// File that keeps the last head; made at the first one
    #[arg(long, value_name = "FILE")]
    head: PathBuf,
    /// Genesis file that you trust; without it the first answer is believed
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Show the new records, too, as the member says them
    #[arg(long)]
    records: bool,
    /// Look once, then end
    #[arg(long)]
    once: bool,
    /// Between two looks, e.g. 10s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = crate::duration::seconds)]
    interval: u64,
}

/// A head that was believed.
#[derive(Debug, Serialize)]
struct HeadView {
    size: u64,
    new: u64,
    root: String,
    time: String,
    signed_by: Vec<String>,
    members: usize,
    silent: Vec<String>,
}

pub(super) async fn watch(app: &mut App<'_>, args: WatchArgs) -> Result<Exit, Failure> {
    let trusted = args.genesis.as_deref().map(trusted_genesis).transpose()?;
    let session = app.session()?;
    loop {
        look(app, &session, &args, trusted.as_ref()).await?;
        if args.once {
            return Ok(Exit::Ok);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
            () = tokio::time::sleep(Duration::from_secs(args.interval)) => {}
        }
    }
}

/// The head in the file, if there is one.
fn kept(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    std::fs::read(path).map(Some).map_err(|error| of_file(path, &error))
}

async fn look(
    app: &mut App<'_>,
    session: &Session,
    args: &WatchArgs,
    trusted: Option<&SignedGenesis>,
) -> Result<(), Failure> {
    let trust = trust(app, session, trusted).await?;
    let before = kept(&args.head)?;
    let (told, silent) = ask_all(session, &trust).await;
    if let Some((first, second)) = compare(&trust.bundle, &told) {
        return Err(forked(args, &trust.bundle, Fork { first, second, extended: None }));
    }
    let newest = told.iter().max_by_key(|told| told.checkpoint.head.size);
    let Some(newest) = newest else {
        let why = format!("no member shows a signed head: {}", silent.join("; "));
        return Err(Failure::new(ErrorCode::NoLeader, why));
    };
    agree(args, &trust, &told, newest).await?;
    let old = before.as_deref().map(|note| checkpoint(note, args)).transpose()?;
    let new = &newest.checkpoint;
    if let (Some(note), Some(old)) = (before, old.as_ref()) {
        match against(old, new) {
            Some(Against::Apart(failure)) => return Err(failure),
            Some(Against::Fork) => {
                let fork = Fork { first: note, second: newest.note.clone(), extended: None };
                return Err(forked(args, &trust.bundle, fork));
            }
            None => {}
        }
        grows(args, &trust, (note, old), newest).await?;
    }
    let size = old.map_or(0, |old| old.head.size);
    if new.head.size <= size {
        return Ok(());
    }
    part::replace(&args.head, &newest.note)?;
    let view = HeadView {
        size: new.head.size,
        new: new.head.size.saturating_sub(size),
        root: new.head.root.to_string(),
        time: new.time.to_string(),
        signed_by: newest.operators.iter().map(ToString::to_string).collect(),
        members: told.len(),
        silent,
    };
    tell_head(app, &view)?;
    if args.records && size > 0 { records(app, &newest.client, size).await } else { Ok(()) }
}

/// From the trusted genesis to the endorsers in force.
async fn trust(
    app: &App<'_>,
    session: &Session,
    trusted: Option<&SignedGenesis>,
) -> Result<Trust, Failure> {
    let package = package(app, session).await?;
    let first = trusted.map_or(&package.genesis.genesis.bundle, |first| &first.genesis.bundle);
    package.walk(first).map_err(|error| Failure::new(ErrorCode::BundleMismatch, error.to_string()))
}

/// Every member's newest head, as far as it verifies; and who has none to show.
async fn ask_all(session: &Session, trust: &Trust) -> (Vec<Told>, Vec<String>) {
    let (mut told, mut silent) = (Vec::new(), Vec::new());
    for member in &trust.members {
        match ask_one(session, trust, member).await {
            Ok(one) => told.push(one),
            Err(failure) => {
                let GenesisMember { member, operator, .. } = member;
                silent.push(format!("member {member} ({operator}): {}", failure.code));
            }
        }
    }
    (told, silent)
}

async fn ask_one(
    session: &Session,
    trust: &Trust,
    member: &GenesisMember,
) -> Result<Told, Failure> {
    let client = session.client.of_member(member, MEMBER)?;
    let request = v1::GetCheckpointRequest {};
    let answer = ask!(client, audit_service_client::AuditServiceClient, get_checkpoint, request)?;
    let note = answer.note.to_vec();
    let verified = verify_note(&trust.bundle, &note);
    let verified =
        verified.map_err(|error| Failure::new(ErrorCode::GrantSigners, error.to_string()))?;
    let (checkpoint, operators) = (verified.checkpoint, verified.operators);
    Ok(Told { client, note, checkpoint, operators })
}

fn checkpoint(note: &[u8], args: &WatchArgs) -> Result<Checkpoint, Failure> {
    Checkpoint::read(note).map_err(|error| of_file(&args.head, &error))
}

/// Each shorter head goes on to the newest one. What sizes and revisions do not show, the newest one's tree does.
async fn agree(
    args: &WatchArgs,
    trust: &Trust,
    told: &[Told],
    newest: &Told,
) -> Result<(), Failure> {
    let head = newest.checkpoint.head;
    let shown: Vec<Shown<'_>> =
        told.iter().map(|told| (told.note.as_slice(), told.checkpoint.head)).collect();
    let at = async |size: u64| Fetch::new(&newest.client).at(head, size).await;
    match beginnings(&shown, (newest.note.as_slice(), head), at).await? {
        Some(fork) => Err(forked(args, &trust.bundle, fork)),
        None => Ok(()),
    }
}

/// The newer head goes on from the kept one, or, of a member that lags, the other way round.
async fn grows(
    args: &WatchArgs,
    trust: &Trust,
    (note, old): (Vec<u8>, &Checkpoint),
    newest: &Told,
) -> Result<(), Failure> {
    let new = &newest.checkpoint;
    let (long, short) =
        if old.head.size <= new.head.size { (new.head, old.head) } else { (old.head, new.head) };
    let (own, proof) = Fetch::new(&newest.client).at(long, short.size).await?;
    if own == short {
        return Ok(());
    }
    let extended = Some(Extended { root: own.root, proof });
    let fork = Fork { first: note, second: newest.note.clone(), extended };
    Err(forked(args, &trust.bundle, fork))
}

/// Keeps the evidence; the failure names where.
fn forked(args: &WatchArgs, bundle: &EndorserBundle, fork: Fork) -> Failure {
    let judged = fork.judge(bundle);
    let why = match &judged {
        Ok(judged) => format!(
            "{} records with root {}, and {} with root {}",
            judged.first.head.size,
            judged.first.head.root,
            judged.second.head.size,
            judged.second.head.root
        ),
        Err(error) => error.to_string(),
    };
    let kept = fork.bytes().map_err(|error| of_file(&args.head, &error));
    match kept.and_then(|bytes| keep(&args.head, &bytes)) {
        Ok(path) => {
            let why = format!("{why}; evidence: {}", path.display());
            Failure::new(ErrorCode::AuditFork, why).exit_as(Exit::Error)
        }
        Err(failure) => failure,
    }
}

fn tell_head(app: &mut App<'_>, view: &HeadView) -> Result<(), Failure> {
    if !app.output.format.is_for_people() {
        return app.output.event(view);
    }
    let HeadView { size, new, root, time, signed_by, members, silent } = view;
    let by = signed_by.join(", ");
    let line = app.output.pick(
        format!("{time}  {size} records (+{new})  {root}  signed by {by}; {members} members agree"),
        format!("{time}  記録 {size} 件 (+{new})  {root}  署名者 {by}、{members} メンバーが一致"),
    );
    app.output.line(&line)?;
    for one in silent {
        let line = app.output.pick(
            format!("shows no signed head: {one}"),
            format!("署名済みヘッドを示しません: {one}"),
        );
        app.output.note(&line)?;
    }
    Ok(())
}

async fn records(app: &mut App<'_>, client: &Client, start: u64) -> Result<(), Failure> {
    let request = v1::ListRecordsRequest { start, page_size: RECORDS_MAX };
    let page = ask!(client, audit_service_client::AuditServiceClient, list_records, request)?;
    for record in &page.records {
        let (content, entry) = read(record.index, &record.record)?;
        tell(app, &RecordView::of(record.index, content, entry.as_ref()))?;
    }
    Ok(())
}
