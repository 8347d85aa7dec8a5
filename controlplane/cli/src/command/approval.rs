//! `sekisho approval`: changes that take two operators, proposed by one and signed by another.
//!
//! Must hold: A3. What is signed is built here from what is shown here; a member that shows one thing and would have another
//! signed is found out. `sign` names the digest that `get` showed, so that nobody signs what changed in between.

mod words;

use super::list::{ListArgs, beside, pages};
use super::{instant, short};
use crate::app::{App, PAGE, Prepared, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::{Text, pick};
use crate::output::{Column, Shown, column, wide};
use sekisho_evidence::canonical::encode;
use sekisho_fsm::approval::{WAIT_DEFAULT, command};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::approval::{NewApproval, RefuseApproval, SignApproval};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::approval::State;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{ApprovalId, Digest, RequestId};
use sekisho_types::joint::Joint;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Operators that sign where there are so many.
const SIGNERS: usize = 2;

/// Verbs of an approval.
#[derive(Debug, clap::Subcommand)]
pub enum ApprovalCommand {
    /// List approvals, what waits first
    List(ListArgs),
    /// Show one: what would change, and the digest that is signed
    Get {
        /// Its id
        approval: ApprovalId,
    },
    /// Sign one; with the last signature that it takes, the change is made
    Sign {
        /// Its id
        approval: ApprovalId,
        /// The digest that `sekisho approval get` showed
        #[arg(long)]
        digest: Digest,
    },
    /// Refuse one for good, or withdraw one's own
    Refuse {
        /// Its id
        approval: ApprovalId,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct ApprovalView {
    name: String,
    state: &'static str,
    change: String,
    details: Vec<String>,
    proposer: String,
    signed_by: Vec<String>,
    signatures_missing: u32,
    proposed_ms: u64,
    expires_ms: u64,
    closed_ms: Option<u64>,
    refused_by: String,
    reason: String,
    failed_code: String,
    failed_detail: String,
    /// What is signed.
    digest: String,
    etag: String,
}

/// What a member shows, read strictly: the change, and the command that is signed.
struct Read {
    id: ApprovalId,
    joint: Joint,
    digest: Digest,
}

impl Read {
    fn of(message: &v1::Approval) -> Result<Self, Failure> {
        let bad = |what: &dyn std::fmt::Display| {
            Failure::new(ErrorCode::SignatureInvalid, format!("{}: {what}", message.name))
                .remedy("ask another member; this one is not to be trusted with signatures")
        };
        let id = ApprovalId::from_field("name", &message.name).map_err(|error| bad(&error))?;
        let change = message.change.as_ref().ok_or_else(|| bad(&"shows no change"))?;
        let joint = Joint::try_from(change).map_err(|error| bad(&error))?;
        let expires = Timestamp(message.expires_ms);
        let proposal = Command::Propose { joint: Box::new(joint.clone()), expires };
        let bytes = encode(&proposal).map_err(|error| bad(&error))?;
        if bytes != message.proposal {
            return Err(bad(&"the change that is shown is not the one that would be signed"));
        }
        let digest = proposal.digest().map_err(|error| bad(&error))?;
        Ok(Self { id, joint, digest })
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Unspecified => "unknown",
        State::Pending => "pending",
        State::Done => "done",
        State::Failed => "failed",
        State::Refused => "refused",
        State::Expired => "expired",
    }
}

impl ApprovalView {
    fn of(message: v1::Approval) -> Result<Self, Failure> {
        let read = Read::of(&message)?;
        let (change, details) = words::of(&read.joint);
        Ok(Self { digest: read.digest.to_string(), ..Self::told(message, change, details) })
    }

    fn told(message: v1::Approval, change: String, details: Vec<String>) -> Self {
        Self {
            state: word(message.state()),
            change,
            details,
            digest: String::new(),
            name: message.name,
            proposer: message.proposer,
            signed_by: message.signed_by,
            signatures_missing: message.signatures_missing,
            proposed_ms: message.proposed_ms,
            expires_ms: message.expires_ms,
            closed_ms: message.closed_ms,
            refused_by: message.refused_by,
            reason: message.reason,
            failed_code: message.failed_code,
            failed_detail: message.failed_detail,
            etag: message.etag,
        }
    }

    /// A row of a list. A change of a kind that this program does not know hides no other row; it is shown, and never signed.
    pub(super) fn listed(message: v1::Approval) -> Result<Self, Failure> {
        if message.change.as_ref().is_some_and(|change| change.change.is_some()) {
            return Self::of(message);
        }
        let unknown = "a change of a kind that this program does not know";
        Ok(Self { digest: "-".to_owned(), ..Self::told(message, unknown.to_owned(), Vec::new()) })
    }

    /// Whether somebody of this operator has signed it.
    fn is_signed_by(&self, operator: &str) -> bool {
        self.signed_by.iter().any(|by| by.split('/').next() == Some(operator))
    }

    /// The command that signs it.
    fn signing(&self, id: ApprovalId) -> String {
        format!("sekisho approval sign {id} --digest {}", self.digest)
    }

    /// What became of it, in words.
    fn outcome(&self) -> String {
        let because = |head: &str, why: &str| match why {
            "" => head.to_owned(),
            why => format!("{head}: {}", why.escape_debug()),
        };
        if !self.failed_code.is_empty() {
            return because(&self.failed_code, &self.failed_detail);
        }
        if !self.refused_by.is_empty() {
            return because(&self.refused_by, &self.reason);
        }
        "-".to_owned()
    }
}

impl Shown for ApprovalView {
    const COLUMNS: &'static [Column] = &[
        column("approval", "承認"),
        column("state", "状態"),
        column("change", "変更"),
        column("proposed by", "提案者"),
        wide("missing", "不足"),
        wide("expires", "期限"),
        wide("details", "詳細"),
        wide("signed by", "署名済み"),
        wide("outcome", "結果"),
        wide("digest", "ダイジェスト"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let state = match (language, self.state) {
            (Language::Ja, "pending") => "待機中",
            (Language::Ja, "done") => "完了",
            (Language::Ja, "failed") => "失敗",
            (Language::Ja, "refused") => "拒否",
            (Language::Ja, "expired") => "期限切れ",
            (Language::En | Language::Ja, other) => other,
        };
        vec![
            short(&self.name).to_owned(),
            state.to_owned(),
            self.change.clone(),
            self.proposer.clone(),
            self.signatures_missing.to_string(),
            instant(self.expires_ms),
            self.details.join("; "),
            self.signed_by.join(", "),
            self.outcome(),
            self.digest.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: ApprovalCommand) -> Result<Exit, Failure> {
    match command {
        ApprovalCommand::List(args) => list(app, args).await?,
        ApprovalCommand::Get { approval } => {
            let session = app.session()?;
            let view = ApprovalView::of(get(app, &session, approval).await?)?;
            app.output.one(&view)?;
            if view.state == word(State::Pending) && app.output.format.is_for_people() {
                if view.is_signed_by(session.context.operator.as_str()) {
                    tell_others(app, &session, &view, approval).await?;
                } else {
                    app.output.next(&view.signing(approval))?;
                }
            }
        }
        ApprovalCommand::Sign { approval, digest } => sign(app, approval, digest).await?,
        ApprovalCommand::Refuse { approval, reason } => {
            let session = app.signing_session().await?;
            let refuse = Command::RefuseApproval { id: approval, reason: reason.clone() };
            let prepared = app.prepare(&session, &refuse)?;
            let request = RefuseApproval { id: approval, reason }.request(prepared.intent);
            let written = ask!(
                session.client,
                approval_service_client::ApprovalServiceClient,
                refuse_approval,
                request
            )
            .map_err(|failure| failure.of_request(prepared.request))?;
            let done = Text::new("refused", "を拒否しました");
            let (request, revision) = (prepared.request, written.revision);
            app.changed(&approval.name(), request, revision, done, None)?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, id: ApprovalId) -> Result<v1::Approval, Failure> {
    let request = v1::GetApprovalRequest { name: id.name(), read: app.read() };
    ask!(session.client, approval_service_client::ApprovalServiceClient, get_approval, request)
}

async fn list(app: &mut App<'_>, args: ListArgs) -> Result<(), Failure> {
    let ordered = !args.sort.is_empty();
    let ListArgs { filter, sort } = args;
    let session = app.session()?;
    let (approvals, page) = pages!(approvals, |page_token| {
        let request = v1::ListApprovalsRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(
            session.client,
            approval_service_client::ApprovalServiceClient,
            list_approvals,
            request
        )
    });
    let items = approvals.into_iter().map(ApprovalView::listed);
    let mut items = items.collect::<Result<Vec<_>, _>>()?;
    if !ordered {
        // The newest first: what waits stands on top.
        items.sort_by_key(|view| {
            std::cmp::Reverse((view.state == word(State::Pending), view.proposed_ms))
        });
    }
    app.output.list(&items, &beside!(page))
}

async fn sign(app: &mut App<'_>, id: ApprovalId, compared: Digest) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let shown = Read::of(&get(app, &session, id).await?)?;
    if shown.id != id || shown.digest != compared {
        let why = format!("the approval that is shown has digest {}", shown.digest);
        let remedy = format!("look at it again: sekisho approval get {id}");
        return Err(Failure::new(ErrorCode::SignatureInvalid, why).remedy(remedy));
    }
    let signature = session.join(RequestId(id.0), shown.digest)?;
    let command = Command::SignApproval { id, signature: signature.clone() };
    let prepared = app.prepare(&session, &command)?;
    let request = SignApproval { id, signature }.request(prepared.intent);
    let written = ask!(
        session.client,
        approval_service_client::ApprovalServiceClient,
        sign_approval,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    if app.global.dry_run {
        let done = Text::new("signed", "に署名しました");
        return app.changed(&id.name(), prepared.request, written.revision, done, None);
    }
    let (view, request) = (ApprovalView::of(get(app, &session, id).await?)?, prepared.request);
    if view.state == word(State::Failed) {
        let why = format!("{}: {}", view.change, view.outcome());
        return Err(Failure::new(ErrorCode::ApprovalClosed, why));
    }
    let done = if view.state == word(State::Done) {
        Text::new("signed and carried out", "に署名し、変更を実行しました")
    } else {
        Text::new("signed; waits for more", "に署名しました。さらに署名が必要です")
    };
    app.changed(&id.name(), request, written.revision, done, None)
}

/// The intent of a change that takes two operators, if they all sign here and now; `None`: it was proposed, and told so.
/// `of` is what it is about, for people.
pub(super) async fn prepare(
    app: &mut App<'_>,
    session: &Session,
    joint: Joint,
    of: &str,
) -> Result<Option<Prepared>, Failure> {
    if session.operators() >= SIGNERS {
        return app.prepare(session, &command(&joint)).map(Some);
    }
    Box::pin(propose(app, session, joint, of)).await.map(|()| None)
}

async fn propose(
    app: &mut App<'_>,
    session: &Session,
    joint: Joint,
    of: &str,
) -> Result<(), Failure> {
    let request = app.request()?;
    let id = ApprovalId(request.0);
    let expires = expires(app, session, &joint, id).await?;
    let proposal = Command::Propose { joint: Box::new(joint.clone()), expires };
    let prepared = app.prepare(session, &proposal)?;
    let message = NewApproval { joint, expires }.request(prepared.intent);
    let written = ask!(
        session.client,
        approval_service_client::ApprovalServiceClient,
        create_approval,
        message
    )
    .map_err(|failure| failure.of_request(request))?;
    let name = id.name();
    let waits = Text::new(
        "waits for the signature of another operator",
        "は別の事業者の署名を待っています",
    );
    if app.global.dry_run {
        return app.proposed((of, &name), request, written.revision, waits, None);
    }
    let view = ApprovalView::of(get(app, session, id).await?)?;
    if view.state == word(State::Done) {
        let done = Text::new("changed", "を変更しました");
        return app.proposed((of, &name), request, written.revision, done, None);
    }
    if app.output.format.is_for_people() {
        tell_others(app, session, &view, id).await?;
    }
    let next = format!("sekisho approval get {id}");
    app.proposed((of, &name), request, written.revision, waits, Some(next))
}

/// Tells whoever has signed who has to sign besides, until when, and by which commands.
async fn tell_others(
    app: &mut App<'_>,
    session: &Session,
    view: &ApprovalView,
    id: ApprovalId,
) -> Result<(), Failure> {
    let request = v1::ListOperatorsRequest { read: app.read(), ..Default::default() };
    let all = ask!(
        session.client,
        operator_service_client::OperatorServiceClient,
        list_operators,
        request
    );
    // Whoever may not list them is told without their names.
    let all = all.map(|answer| answer.operators).unwrap_or_default();
    let open = all.iter().map(|operator| short(&operator.name));
    let open: Vec<&str> = open.filter(|operator| !view.is_signed_by(operator)).collect();
    app.output.note(&others(app.output.language, view, &open, id))
}

/// Who has to sign, in words.
fn others(language: Language, view: &ApprovalView, open: &[&str], id: ApprovalId) -> String {
    let (missing, until, sign) =
        (view.signatures_missing, instant(view.expires_ms), view.signing(id));
    let (en, ja) = match open {
        [] => ("another operator".to_owned(), "別の事業者".to_owned()),
        open => (open.join(" or "), open.join(" か ")),
    };
    pick(
        language,
        format!(
            "{}: {missing} more operator(s) until {until}; a federation-admin of {en} looks at it with sekisho approval get {id}, then runs: {sign}",
            view.name
        ),
        format!(
            "{}: {until} までに、あと {missing} 事業者の署名が必要です。{ja} の連合管理者が sekisho approval get {id} で内容を確認し、次を実行します: {sign}",
            view.name
        ),
    )
}

/// Until when it waits. Of a proposal that is repeated with its request id, as it was: another end would be another
/// command (R3).
async fn expires(
    app: &App<'_>,
    session: &Session,
    joint: &Joint,
    id: ApprovalId,
) -> Result<Timestamp, Failure> {
    if app.global.request_id.is_some()
        && let Ok(message) = get(app, session, id).await
        && Read::of(&message)?.joint == *joint
    {
        return Ok(Timestamp(message.expires_ms));
    }
    let wait = app.global.approval_wait.unwrap_or(WAIT_DEFAULT.as_secs());
    Ok(app.now().plus_ms(wait.saturating_mul(1000)))
}

#[cfg(test)]
mod tests;
