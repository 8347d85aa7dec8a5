//! `sekisho audit export`: the whole log, and what each member tells beside it.
//!
//! Must hold: the file takes its name when it is whole and durable, and never another one's; a member that does not tell its
//! journal is named in the file, with the reason; no answer of one member keeps the others' out of the file.

pub(super) mod evidence;
mod pages;

use crate::app::{App, Session};
use crate::ask;
use crate::client::{Client, of_status};
use crate::command::agreement::{not_there, package};
use crate::failure::{Failure, of_file};
use evidence::choose;
use pages::{PAGE, Pages};
use sekisho_evidence::audit_bundle::{BundleExtender, BundleRest, FORKS_MAX, Journal, Kept};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::package::Trust;
use sekisho_proto::v1;
use sekisho_transport::part::Part;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::ClusterId;
use sekisho_types::limit::TEXT_MAX;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long a member may take for a page of its journal: one that is cut off must not hold the others up.
const MEMBER: Duration = Duration::from_secs(5);
/// How long a member may take for all of its journal: the fullest one of usual entries, 100 MB, comes in it at 14 Mbit/s. One that
/// answers each page late would otherwise take hours.
const JOURNAL: Duration = Duration::from_secs(60);
/// Between two words of how far it is, and before the first one.
const PROGRESS: Duration = Duration::from_secs(1);

pub(super) async fn export(app: &mut App<'_>, path: &Path) -> Result<(), Failure> {
    // An earlier bundle may be all that shows what was lost.
    not_there(path)?;
    let session = app.session()?;
    let mut part = Part::create(path)?;
    let (mut extender, mut size) = (start()?, 0usize);
    let mut put = |part: &mut Part, bytes: &[u8]| {
        size = size.saturating_add(bytes.len());
        let written = part.write_all(bytes).map(|()| size);
        written.map_err(|error| of_file(part.path(), &error))
    };
    let request = v1::ExportBundleRequest {};
    let mut chunks =
        ask!(session.client, audit_service_client::AuditServiceClient, export_bundle, request)?;
    let mut told = Instant::now();
    while let Some(chunk) = chunks.message().await.map_err(|status| of_status(&status))? {
        let size = put(&mut part, &extender.push(&chunk.chunk))?;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let mib = size / (1024 * 1024);
            let line = app.output.pick(format!("{mib} MiB ..."), format!("{mib} MiB 受信 ..."));
            app.output.note(&line)?;
        }
    }
    let rest = rest(app, &session).await?;
    let last = extender.finish(&rest).map_err(|error| not_whole(&error))?;
    let size = put(&mut part, &last)?;
    part.sync()?.take_name()?;
    let next = format!("sekisho audit verify {}", path.display());
    app.output.written(path, size, &next)
}

fn not_whole(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::NoLeader, error.to_string())
}

fn start() -> Result<BundleExtender, Failure> {
    BundleExtender::start().map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
}

/// What each member tells of itself.
async fn rest(app: &mut App<'_>, session: &Session) -> Result<BundleRest<Vec<u8>>, Failure> {
    let package = package(app, session).await?;
    let walked = package.walk(&package.genesis.genesis.bundle);
    let trust = walked.map_err(|e| Failure::new(ErrorCode::BundleMismatch, e.to_string()))?;
    let mut rest = BundleRest::default();
    for member in &trust.members {
        let (journal, left_out) = of_member(session, &trust, member, &mut rest.forks).await;
        let (id, operator) = (member.member, &member.operator);
        if let Kept::Missing(why) = &journal.kept {
            let line = app.output.pick(
                format!("member {id} ({operator}) does not tell what it keeps: {why}"),
                format!("メンバー {id} ({operator}) の保管内容を取得できません: {why}"),
            );
            app.output.note(&line)?;
        }
        if left_out > 0 {
            let line = app.output.pick(
                format!(
                    "member {id} ({operator}): {left_out} pieces of evidence of a fork are not in the \
                     file; see: sekisho audit forks --member {id}"
                ),
                format!(
                    "メンバー {id} ({operator}): 分岐の証拠 {left_out} 件はファイルに含まれません。\
                     確認: sekisho audit forks --member {id}"
                ),
            );
            app.output.note(&line)?;
        }
        rest.journals.push(journal);
    }
    rest.journals.sort_by_key(|journal| journal.member);
    Ok(rest)
}

/// What one member keeps, and how many pieces of evidence were left out. The evidence comes first, whatever becomes of the
/// journal. A file has no other word for a member that does not tell its evidence than that it is missing.
async fn of_member(
    session: &Session,
    trust: &Trust,
    member: &GenesisMember,
    forks: &mut Vec<Vec<u8>>,
) -> (Journal<Vec<u8>>, usize) {
    let mut left_out = 0usize;
    let told = async {
        let client = session.client.of_member(member, MEMBER)?;
        let evidence = take_forks(&client, trust, forks).await.map(|left| left_out = left);
        let read = journal(&client, &trust.bundle.cluster, member);
        let slow = |_elapsed| {
            let why = format!("its journal did not come within {} s", JOURNAL.as_secs());
            Failure::new(ErrorCode::Deadline, why)
        };
        let journal = tokio::time::timeout(JOURNAL, read).await.map_err(slow)??;
        evidence.map(|()| journal)
    };
    let (kept, entries) = told.await.unwrap_or_else(|failure: Failure| {
        let why = format!("{}: {}", failure.code, failure.detail);
        let why = why.get(..why.floor_char_boundary(TEXT_MAX)).unwrap_or_default().to_owned();
        (Kept::Missing(why), Vec::new())
    });
    let journal =
        Journal { member: member.member, operator: member.operator.clone(), kept, entries };
    (journal, left_out)
}

/// Every entry that the member has kept up to now.
async fn journal(
    client: &Client,
    cluster: &ClusterId,
    member: &GenesisMember,
) -> Result<(Kept, Vec<Vec<u8>>), Failure> {
    let wrong = |why: &str| Failure::new(ErrorCode::Internal, why);
    let mut pages = Pages::new(cluster, member.member);
    while let Some(start) = pages.wanted() {
        let request = v1::ListDenialsRequest { start, page_size: PAGE };
        let page = ask!(client, audit_service_client::AuditServiceClient, list_denials, request)?;
        pages.take(&page).map_err(wrong)?;
    }
    pages.finish().map_err(wrong)
}

/// Takes what evidence there is room for: each member has its own share of a file. Returns how much was left out.
async fn take_forks(
    client: &Client,
    trust: &Trust,
    forks: &mut Vec<Vec<u8>>,
) -> Result<usize, Failure> {
    let request = v1::ListForksRequest {};
    let told = ask!(client, audit_service_client::AuditServiceClient, list_forks, request)?;
    let share = FORKS_MAX.checked_div(trust.members.len()).unwrap_or(FORKS_MAX).max(1);
    let room = share.min(FORKS_MAX.saturating_sub(forks.len()));
    let mut chosen = choose(&trust.bundle, &told.forks, forks, room);
    forks.append(&mut chosen.pieces);
    match chosen.unreadable {
        None => Ok(chosen.left_out),
        Some(why) => Err(Failure::new(ErrorCode::Internal, format!("evidence of a fork: {why}"))),
    }
}
