//! `sekisho break-glass`: the emergency right.

use super::list::{ListArgs, beside, pages};
use super::{instant, short, yes_no};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::name::{BreakGlassId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Verbs of a break-glass.
#[derive(Debug, clap::Subcommand)]
pub enum BreakGlassCommand {
    /// Take the emergency right: cancel any job, cordon, drain or revoke any node, revoke any site. Everybody sees it, for ever
    Open {
        /// Why, in one line
        #[arg(long)]
        reason: String,
        /// For how long, at most 4h
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = crate::duration::seconds)]
        within: u64,
        /// Do it: it cannot be taken back
        #[arg(long)]
        yes: bool,
    },
    /// End one before its time
    End {
        /// Its number, as `sekisho break-glass list` shows it
        number: u64,
    },
    /// Show one
    Get {
        /// Its number, as `sekisho break-glass list` shows it
        number: u64,
    },
    /// List every one, the newest first; older ones than are kept here stand in the audit log
    List(ListArgs),
}

#[derive(Debug, Serialize)]
pub(super) struct BreakGlassView {
    name: String,
    open: bool,
    by: String,
    reason: String,
    since_ms: u64,
    until_ms: u64,
    ended_by: String,
    ended_ms: Option<u64>,
    uses: u64,
    revisions: Vec<u64>,
    etag: String,
}

impl From<v1::BreakGlass> for BreakGlassView {
    fn from(row: v1::BreakGlass) -> Self {
        let v1::BreakGlass { name, by, reason, since_ms, until_ms, open, .. } = row;
        let (ended_by, ended_ms, uses) = (row.ended_by, row.ended_ms, row.uses);
        let (revisions, etag) = (row.revisions, row.etag);
        Self {
            name,
            open,
            by,
            reason,
            since_ms,
            until_ms,
            ended_by,
            ended_ms,
            uses,
            revisions,
            etag,
        }
    }
}

impl Shown for BreakGlassView {
    const COLUMNS: &'static [Column] = &[
        column("number", "番号"),
        column("open", "使用中"),
        column("by", "主体"),
        wide("since", "開始"),
        column("until", "終了"),
        column("uses", "実行"),
        column("reason", "理由"),
        wide("ended by", "終了者"),
        wide("revisions", "リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let revisions: Vec<String> = self.revisions.iter().map(u64::to_string).collect();
        let ended = if self.ended_by.is_empty() { "-" } else { &self.ended_by };
        vec![
            short(&self.name).to_owned(),
            yes_no(language, self.open),
            self.by.clone(),
            instant(self.since_ms),
            instant(self.ended_ms.unwrap_or(self.until_ms)),
            self.uses.to_string(),
            self.reason.clone(),
            ended.to_owned(),
            revisions.join(", "),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.open
    }
}

pub(super) async fn run(app: &mut App<'_>, command: BreakGlassCommand) -> Result<Exit, Failure> {
    match command {
        BreakGlassCommand::Open { reason, within, yes } => {
            app.confirm(yes, "sekisho break-glass open")?;
            open(app, reason, within).await?;
        }
        BreakGlassCommand::End { number } => end(app, Revision(number)).await?,
        BreakGlassCommand::Get { number } => get(app, Revision(number)).await?,
        BreakGlassCommand::List(args) => list(app, args).await?,
    }
    Ok(Exit::Ok)
}

async fn open(app: &mut App<'_>, reason: String, within: u64) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let until = until(app, &session, &reason, within).await?;
    let prepared = app.prepare(&session, &Command::BreakGlass { reason: reason.clone(), until })?;
    let (intent, until_ms) = (Some(prepared.intent), until.0);
    let request = v1::CreateBreakGlassRequest { reason, until_ms, intent };
    let written = ask!(
        session.client,
        break_glass_service_client::BreakGlassServiceClient,
        create_break_glass,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let name = BreakGlassId(Revision(written.revision)).name();
    let done = Text::new("opened; everybody sees it", "を開始しました。全員に表示されます");
    let next = Some(format!("sekisho break-glass end {}", written.revision));
    app.changed(&name, prepared.request, written.revision, done, next)
}

/// Until when. Of one that is opened again with its request id, as it was: another end would be another command (R3).
async fn until(
    app: &App<'_>,
    session: &Session,
    reason: &str,
    within: u64,
) -> Result<Timestamp, Failure> {
    let until = app.now().plus_ms(within.saturating_mul(1000));
    let (Some(_again), Some(own)) = (app.global.request_id, session.principal()) else {
        return Ok(until);
    };
    let request = v1::ListBreakGlassesRequest {
        filter: "open = true".to_owned(),
        page_size: PAGE,
        read: app.read(),
        ..Default::default()
    };
    let open = ask!(
        session.client,
        break_glass_service_client::BreakGlassServiceClient,
        list_break_glasses,
        request
    )?;
    let own = own.to_string();
    let mut open = open.break_glasses.iter();
    let row = open.find(|row| row.by == own && row.reason == reason);
    Ok(row.map_or(until, |row| Timestamp(row.until_ms)))
}

async fn end(app: &mut App<'_>, opened: Revision) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &Command::EndBreakGlass { opened })?;
    let name = BreakGlassId(opened).name();
    let request = v1::EndBreakGlassRequest { name: name.clone(), intent: Some(prepared.intent) };
    let written = ask!(
        session.client,
        break_glass_service_client::BreakGlassServiceClient,
        end_break_glass,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("ended", "を終了しました");
    app.changed(&name, prepared.request, written.revision, done, None)
}

async fn get(app: &mut App<'_>, opened: Revision) -> Result<(), Failure> {
    let session = app.session()?;
    let request = v1::GetBreakGlassRequest { name: BreakGlassId(opened).name(), read: app.read() };
    let row = ask!(
        session.client,
        break_glass_service_client::BreakGlassServiceClient,
        get_break_glass,
        request
    )?;
    app.output.one(&BreakGlassView::from(row))
}

async fn list(app: &mut App<'_>, args: ListArgs) -> Result<(), Failure> {
    let ListArgs { filter, sort } = args;
    let session = app.session()?;
    let (rows, page) = pages!(break_glasses, |page_token| {
        let request = v1::ListBreakGlassesRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(
            session.client,
            break_glass_service_client::BreakGlassServiceClient,
            list_break_glasses,
            request
        )
    });
    let mut items: Vec<BreakGlassView> = rows.into_iter().map(BreakGlassView::from).collect();
    if sort.is_empty() {
        items.reverse();
    }
    app.output.list(&items, &beside!(page))
}
