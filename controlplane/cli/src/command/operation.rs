//! `sekisho operation`: what goes on after a command was answered.

use crate::app::{App, PAGE, Session};
use crate::command::instant;
use crate::command::list::pages;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::google::longrunning::operations_client::OperationsClient;
use sekisho_proto::google::longrunning::{
    CancelOperationRequest, GetOperationRequest, ListOperationsRequest, Operation,
    WaitOperationRequest,
};
use sekisho_proto::name::Resource as _;
use sekisho_proto::operation::{OperationId, metadata, put_intent};
use sekisho_proto::v1::operation_metadata::Kind;
use sekisho_transport::leader::ATTEMPT;
use sekisho_types::error_code::Language;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait in one call. Less than an attempt, which is counted from before the connection is made: a call that is cut off
/// brings no answer, and after a few of them the command would end though the operation goes on.
const ROUND: Duration = Duration::from_secs(2);
const _: () = assert!(ROUND.as_millis() + 1000 <= ATTEMPT.as_millis());
/// Shortest wait in one call, however little time a call is given: a member must not be asked without end.
const ROUND_MIN: Duration = Duration::from_millis(200);

/// Verbs of an operation.
#[derive(Debug, clap::Subcommand)]
pub enum OperationCommand {
    /// List what goes on
    List {
        /// Those that are done, too
        #[arg(long)]
        all: bool,
    },
    /// Show one
    Get {
        /// As a command or the list names it
        #[arg(value_parser = operation)]
        operation: OperationId,
    },
    /// Wait until one is done
    Wait {
        /// As a command or the list names it
        #[arg(value_parser = operation)]
        operation: OperationId,
        /// Give up after this time, with exit code 8; else it is waited for as long as it takes
        #[arg(long = "for", value_name = "TIME", value_parser = crate::duration::seconds)]
        patience: Option<u64>,
    },
    /// Call one off: a drain; the others have no way back
    Cancel {
        /// As a command or the list names it
        #[arg(value_parser = operation)]
        operation: OperationId,
    },
}

fn operation(text: &str) -> Result<OperationId, String> {
    let name = text.strip_prefix("operations/").unwrap_or(text);
    let id = OperationId::from_name(&format!("operations/{name}"));
    id.ok_or_else(|| "must be an operation, as drain.tokyo-1.n-01.77".to_owned())
}

#[derive(Debug, Serialize)]
struct OperationView {
    name: String,
    kind: &'static str,
    target: String,
    done: bool,
    left: u32,
    stopping: u32,
    since_ms: u64,
    deadline_ms: Option<u64>,
    waits_for: Option<String>,
    revision: u64,
}

impl From<&Operation> for OperationView {
    fn from(operation: &Operation) -> Self {
        let told = metadata(operation).unwrap_or_default();
        let kind = match told.kind() {
            Kind::Unspecified => "unknown",
            Kind::Drain => "drain",
            Kind::Enforcement => "enforcement",
            Kind::Membership => "membership",
            Kind::WindDown => "wind-down",
        };
        Self {
            name: operation.name.clone(),
            kind,
            target: told.target,
            done: operation.done,
            left: told.left,
            stopping: told.stopping,
            since_ms: told.since_ms,
            deadline_ms: told.deadline_ms,
            waits_for: Some(told.waits_for).filter(|wait| !wait.is_empty()),
            revision: told.revision,
        }
    }
}

impl OperationView {
    /// How far it is, for people.
    fn progress(&self, language: Language) -> String {
        let (left, stopping) = (self.left, self.stopping);
        match (self.done, &self.waits_for) {
            (true, _) => pick(language, "done", "完了").to_owned(),
            (false, Some(wait)) => wait.clone(),
            (false, None) if left == 0 => pick(language, "under way", "進行中").to_owned(),
            (false, None) => pick(
                language,
                format!("{left} left, {stopping} stopping"),
                format!("残り {left}、停止中 {stopping}"),
            ),
        }
    }
}

impl Shown for OperationView {
    const COLUMNS: &'static [Column] = &[
        column("operation", "操作"),
        column("progress", "進捗"),
        wide("target", "対象"),
        wide("since", "開始"),
        wide("deadline", "期限"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            self.name.strip_prefix("operations/").unwrap_or(&self.name).to_owned(),
            self.progress(language),
            self.target.clone(),
            instant(self.since_ms),
            instant(self.deadline_ms.unwrap_or_default()),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: OperationCommand) -> Result<Exit, Failure> {
    match command {
        OperationCommand::List { all } => list(app, all).await?,
        OperationCommand::Get { operation } => {
            let session = app.session()?;
            let found = get(&session, &operation.name()).await?;
            app.output.one(&OperationView::from(&found))?;
        }
        OperationCommand::Wait { operation, patience } => {
            return wait(app, &operation.name(), patience.map(Duration::from_secs)).await;
        }
        OperationCommand::Cancel { operation } => cancel(app, &operation).await?,
    }
    Ok(Exit::Ok)
}

async fn list(app: &mut App<'_>, all: bool) -> Result<(), Failure> {
    let session = app.session()?;
    let filter = if all { "" } else { "done=false" };
    let (operations, page) = pages!(operations, |page_token| {
        let request = ListOperationsRequest {
            name: "operations".to_owned(),
            filter: filter.to_owned(),
            page_size: i32::try_from(PAGE).unwrap_or(i32::MAX),
            page_token,
            ..Default::default()
        };
        let asked = session.client.call(|channel| {
            let request = request.clone();
            async move { OperationsClient::new(channel).list_operations(request).await }
        });
        asked.await
    });
    let items: Vec<OperationView> = operations.iter().map(OperationView::from).collect();
    let beside = Listed { unreachable: page.unreachable, ..Listed::default() };
    app.output.list(&items, &beside)
}

async fn get(session: &Session, name: &str) -> Result<Operation, Failure> {
    let asked = session.client.call(|channel| {
        let request = GetOperationRequest { name: name.to_owned() };
        async move { OperationsClient::new(channel).get_operation(request).await }
    });
    asked.await
}

/// How long a member is asked to wait: half of a call's time is left for its answer. With no patience left it is one last look.
fn round(timeout: Duration, left: Option<Duration>) -> Duration {
    let round = (timeout / 2).min(ROUND).max(ROUND_MIN);
    left.map_or(round, |left| left.min(round))
}

async fn wait(app: &mut App<'_>, name: &str, patience: Option<Duration>) -> Result<Exit, Failure> {
    let (session, begun) = (app.session()?, Instant::now());
    let mut told = String::new();
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        let round = round(session.client.timeout(), left);
        let timeout = prost_types::Duration::try_from(round).ok();
        let request = WaitOperationRequest { name: name.to_owned(), timeout };
        let found = session.client.call(|channel| {
            let request = request.clone();
            async move { OperationsClient::new(channel).wait_operation(request).await }
        });
        let view = OperationView::from(&found.await?);
        if view.done {
            app.output.one(&view)?;
            return Ok(Exit::Ok);
        }
        if left.is_some_and(|left| left.is_zero()) {
            app.output.one(&view)?;
            return Ok(Exit::Timeout);
        }
        let progress = view.progress(app.output.language);
        if progress != told {
            app.output.note(&format!("{name}: {progress}"))?;
            told = progress;
        }
    }
}

/// What was called off.
#[derive(Debug, Serialize)]
struct Cancelled {
    name: String,
    request_id: String,
    validate_only: bool,
}

async fn cancel(app: &mut App<'_>, id: &OperationId) -> Result<(), Failure> {
    let name = id.name();
    // What is signed is what the drain of its node is called off with; the others are refused, and told why.
    let (session, signed) = match id {
        OperationId::Drain(node, _) => {
            let session = app.signing_session().await?;
            let command = Command::UndrainNode { node: node.clone(), keep_cordoned: false };
            let prepared = app.prepare(&session, &command)?;
            (session, Some(prepared))
        }
        OperationId::Enforcement(..) | OperationId::Membership(..) | OperationId::WindDown(..) => {
            (app.session()?, None)
        }
    };
    let asked = session.client.call(|channel| {
        let mut request = tonic::Request::new(CancelOperationRequest { name: name.clone() });
        if let Some(prepared) = &signed {
            put_intent(request.metadata_mut(), &prepared.intent);
        }
        async move { OperationsClient::new(channel).cancel_operation(request).await }
    });
    let request_id = app.request()?;
    asked.await.map_err(|failure| failure.of_request(request_id))?;
    let validate_only = app.global.dry_run;
    if !app.output.format.is_for_people() {
        let request_id = request_id.to_string();
        return app.output.data(&Cancelled { name, request_id, validate_only });
    }
    let done = app.output.pick("was called off", "を取り消しました");
    let checked = app.output.pick("valid; nothing changed", "検証のみ、変更なし");
    app.output.line(&format!("{name} {}", if validate_only { checked } else { done }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::operation::pack;
    use sekisho_proto::v1::OperationMetadata;

    #[test]
    fn an_operation_is_named_with_and_without_its_collection() {
        for text in ["operations/drain.tokyo-1.n-01.77", "drain.tokyo-1.n-01.77"] {
            assert_eq!(operation(text).unwrap().name(), "operations/drain.tokyo-1.n-01.77");
        }
        operation("drain").unwrap_err();
    }

    #[test]
    fn a_round_ends_before_its_call_is_cut_off_and_is_never_nothing() {
        for seconds in [0, 1, 2, 15, 600] {
            let timeout = Duration::from_secs(seconds);
            let whole = round(timeout, None);
            assert!(whole >= ROUND_MIN && whole + Duration::from_secs(1) <= ATTEMPT, "{whole:?}");
            assert!(seconds == 0 || whole * 2 <= timeout, "{whole:?} of {timeout:?}");
            // Patience ends where it was said to end.
            let short = Duration::from_millis(50);
            assert_eq!(round(timeout, Some(short)), short);
            assert_eq!(round(timeout, Some(Duration::from_secs(600))), whole);
        }
    }

    #[test]
    fn how_far_it_is_stands_in_one_cell() {
        let of = |told: OperationMetadata, done| {
            let name = "operations/drain.tokyo-1.n-01.77".to_owned();
            let metadata = Some(pack(&told));
            let view = OperationView::from(&Operation { name, metadata, done, result: None });
            [Language::En, Language::Ja].map(|language| view.cells(language)[1].clone())
        };
        let some = OperationMetadata { left: 3, stopping: 1, ..Default::default() };
        assert_eq!(of(some.clone(), false), ["3 left, 1 stopping", "残り 3、停止中 1"]);
        assert_eq!(of(some, true), ["done", "完了"]);
        let waits = OperationMetadata { waits_for: "a snapshot".into(), ..Default::default() };
        assert_eq!(of(waits, false)[0], "a snapshot");
        assert_eq!(of(OperationMetadata::default(), false), ["under way", "進行中"]);
    }
}
