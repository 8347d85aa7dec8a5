//! `sekisho landmark`: hosts of known position that time how long nodes take to answer.

use super::etag;
use super::list::{ListArgs, beside, pages};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::landmark::{DeleteLandmark, Reached};
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{OperatorId, PublicKey};
use sekisho_types::position::Position;
use serde::Serialize;

/// Verbs of a landmark.
#[derive(Debug, clap::Subcommand)]
pub enum LandmarkCommand {
    /// List landmarks
    List {
        /// Only of this operator
        #[arg(long)]
        operator: Option<OperatorId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one landmark
    Get {
        /// OPERATOR/LANDMARK
        landmark: LandmarkId,
    },
    /// Register a landmark of one's own operator
    Create(CreateArgs),
    /// Take a landmark out: every proof that rests on it is over
    Delete {
        /// OPERATOR/LANDMARK
        landmark: LandmarkId,
        /// Do it: nodes that it helps to prove are tagged only until they are measured again
        #[arg(long)]
        yes: bool,
    },
}

/// A landmark to register.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// OPERATOR/LANDMARK
    landmark: LandmarkId,
    /// Where it stands, degrees north and east: 35.686,139.764
    #[arg(long, allow_hyphen_values = true)]
    position: Position,
    /// It stands within this of the position, metres; at most 10000
    #[arg(long, value_name = "METRES", default_value_t = 100)]
    survey: u32,
    /// The Ed25519 key that it signs with, hex; the landmark shows it when it starts
    #[arg(long)]
    key: PublicKey,
    /// Where nodes reach it by TLS
    #[arg(long, value_name = "HOST:PORT")]
    address: String,
    /// Where it takes datagrams
    #[arg(long, value_name = "HOST:PORT")]
    datagrams: String,
}

#[derive(Debug, Serialize)]
pub(super) struct LandmarkView {
    name: String,
    position: String,
    survey_m: u32,
    reach_m: u64,
    address: String,
    datagrams: String,
    key: String,
    etag: String,
    contradicts: Vec<String>,
    convicted: bool,
}

impl From<v1::Landmark> for LandmarkView {
    fn from(landmark: v1::Landmark) -> Self {
        let v1::Landmark {
            name,
            position,
            survey_m,
            key,
            address,
            datagrams,
            etag,
            reach_m,
            contradicts,
            convicted,
        } = landmark;
        Self {
            name,
            position,
            survey_m,
            reach_m,
            address,
            datagrams,
            key,
            etag,
            contradicts,
            convicted,
        }
    }
}

/// `OPERATOR/LANDMARK` of a resource name.
fn short(name: &str) -> String {
    LandmarkId::from_name(name).map_or_else(|| name.to_owned(), |id| id.to_string())
}

impl LandmarkView {
    /// Whether it counts.
    fn standing(&self) -> Text {
        match (self.convicted, self.contradicts.is_empty()) {
            (true, _) => Text::new("taken out", "除外"),
            (false, true) => Text::new("counts", "有効"),
            (false, false) => Text::new("contradicted", "矛盾あり"),
        }
    }
}

impl Shown for LandmarkView {
    const COLUMNS: &'static [Column] = &[
        column("landmark", "ランドマーク"),
        column("position", "位置"),
        column("reach", "到達距離"),
        column("address", "アドレス"),
        column("datagrams", "データグラム"),
        column("standing", "状態"),
        wide("survey", "測量誤差"),
        wide("key", "鍵"),
        wide("etag", "etag"),
        wide("contradicts", "矛盾相手"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            short(&self.name),
            self.position.clone(),
            format!("{} km", self.reach_m / 1000),
            self.address.clone(),
            self.datagrams.clone(),
            self.standing().of(language).to_owned(),
            format!("{} m", self.survey_m),
            self.key.clone(),
            self.etag.clone(),
            self.contradicts.iter().map(|name| short(name)).collect::<Vec<_>>().join(", "),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: LandmarkCommand) -> Result<Exit, Failure> {
    match command {
        LandmarkCommand::List { operator, args } => list(app, operator.as_ref(), &args).await?,
        LandmarkCommand::Get { landmark } => {
            let session = app.session()?;
            let found = get(app, &session, &landmark).await?;
            app.output.one(&LandmarkView::from(found))?;
        }
        LandmarkCommand::Create(args) => {
            let CreateArgs { landmark: id, position, survey, key, address, datagrams } = args;
            let landmark = Landmark { id, position, survey_m: survey, key };
            Box::pin(create(app, Reached { landmark, address, datagrams })).await?;
        }
        LandmarkCommand::Delete { landmark, yes } => delete(app, &landmark, yes).await?,
    }
    Ok(Exit::Ok)
}

/// Landmarks, and the hash of the table of all.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) landmarks: Vec<v1::Landmark>,
    table: String,
    beside: Listed,
}

async fn get(
    app: &App<'_>,
    session: &Session,
    landmark: &LandmarkId,
) -> Result<v1::Landmark, Failure> {
    let request = v1::GetLandmarkRequest { name: landmark.name(), read: app.read() };
    let client = &session.client;
    ask!(client, landmark_service_client::LandmarkServiceClient, get_landmark, request)
}

/// Every landmark of an operator, or of all.
pub(super) async fn all(
    app: &App<'_>,
    session: &Session,
    operator: Option<&OperatorId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<Known, Failure> {
    let parent = operator.map_or(ANY, OperatorId::as_str);
    let parent = format!("operators/{parent}");
    let (landmarks, page) = pages!(landmarks, |page_token| {
        let request = v1::ListLandmarksRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(
            session.client,
            landmark_service_client::LandmarkServiceClient,
            list_landmarks,
            request
        )
    });
    Ok(Known { landmarks, table: page.table, beside: beside!(page) })
}

async fn list(
    app: &mut App<'_>,
    operator: Option<&OperatorId>,
    args: &ListArgs,
) -> Result<(), Failure> {
    let session = app.session()?;
    let Known { landmarks, table, beside } = all(app, &session, operator, args).await?;
    let items: Vec<LandmarkView> = landmarks.into_iter().map(LandmarkView::from).collect();
    tell(&mut app.output, &items, &beside, &table)
}

/// A list, and beside it the hash that `residency verify --landmarks` takes.
fn tell(
    output: &mut Output<'_>,
    items: &[LandmarkView],
    beside: &Listed,
    table: &str,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Whole<'l> {
        items: &'l [LandmarkView],
        revision: u64,
        unreachable: &'l [String],
        table: &'l str,
    }
    if !output.format.is_for_people() {
        let Listed { revision, unreachable } = beside;
        return output.data(&Whole { items, revision: *revision, unreachable, table });
    }
    output.list(items, beside)?;
    let note = output.pick(format!("table of all: {table}"), format!("全体の表: {table}"));
    output.note(&note)
}

pub(crate) async fn create(app: &mut App<'_>, new: Reached) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let command = Command::RegisterLandmark {
        landmark: Box::new(new.landmark.clone()),
        address: new.address.clone(),
        datagrams: new.datagrams.clone(),
    };
    let prepared = app.prepare(&session, &command)?;
    let request = new.request(prepared.intent);
    let written = ask!(
        session.client,
        landmark_service_client::LandmarkServiceClient,
        create_landmark,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let id = &new.landmark.id;
    let next = format!("sekisho landmark get {id}");
    let done = Text::new("registered", "を登録しました");
    app.changed(&id.name(), prepared.request, written.revision, done, Some(next))
}

async fn delete(app: &mut App<'_>, id: &LandmarkId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &id.name())?;
    let session = app.signing_session().await?;
    let read = get(app, &session, id).await?;
    let delete = DeleteLandmark { id: id.clone(), expected: etag(&read.etag)? };
    let command = Command::RemoveLandmark { id: id.clone(), expected: delete.expected };
    let prepared = app.prepare(&session, &command)?;
    let request = delete.request(prepared.intent);
    let written = ask!(
        session.client,
        landmark_service_client::LandmarkServiceClient,
        delete_landmark,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("taken out", "を外しました");
    let next = Some("sekisho node list".to_owned());
    app.changed(&id.name(), prepared.request, written.revision, done, next)
}
