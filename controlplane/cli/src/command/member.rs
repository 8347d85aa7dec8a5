//! `sekisho member`: controllers, and who could stop the quorum alone.

use super::short;
use crate::app::App;
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use serde::Serialize;

/// Verbs of a member.
#[derive(Debug, clap::Subcommand)]
pub enum MemberCommand {
    /// List controllers
    List,
}

#[derive(Debug, Serialize)]
pub(super) struct MemberView {
    name: String,
    operator: String,
    site: String,
    address: String,
    leader: bool,
    role: String,
    lag: Option<u64>,
    reachable: bool,
    signed_revision: u64,
    signer_problem: Option<String>,
}

impl From<v1::Member> for MemberView {
    fn from(member: v1::Member) -> Self {
        Self {
            name: member.name,
            operator: member.operator,
            site: member.site,
            address: member.address,
            leader: member.leader,
            role: member.role,
            lag: member.lag,
            reachable: member.reachable,
            signed_revision: member.signed_revision,
            signer_problem: Some(member.signer_problem).filter(|problem| !problem.is_empty()),
        }
    }
}

impl Shown for MemberView {
    const COLUMNS: &'static [Column] = &[
        column("member", "メンバー"),
        column("operator", "事業者"),
        column("site", "拠点"),
        column("role", "役割"),
        column("state", "状態"),
        column("lag", "遅れ"),
        column("signs", "署名"),
        wide("address", "アドレス"),
        wide("signed revision", "署名リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let role = if self.leader { pick(language, "leader", "リーダー") } else { &self.role };
        let state = if self.reachable {
            pick(language, "reachable", "応答あり")
        } else {
            pick(language, "unreachable", "応答なし")
        };
        vec![
            short(&self.name).to_owned(),
            self.operator.clone(),
            self.site.clone(),
            role.to_owned(),
            state.to_owned(),
            self.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
            self.signer_problem.clone().unwrap_or_else(|| pick(language, "ok", "正常").to_owned()),
            self.address.clone(),
            self.signed_revision.to_string(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: MemberCommand) -> Result<Exit, Failure> {
    let MemberCommand::List = command;
    let session = app.session()?;
    let request = v1::ListMembersRequest { read: app.read() };
    let found =
        ask!(session.client, member_service_client::MemberServiceClient, list_members, request)?;
    if !app.output.format.is_for_people() {
        #[derive(Serialize)]
        struct Whole {
            items: Vec<MemberView>,
            term: u64,
            revision: u64,
            can_stop_quorum: Vec<String>,
        }
        app.output.data(&Whole {
            items: found.members.into_iter().map(MemberView::from).collect(),
            term: found.term,
            revision: found.revision,
            can_stop_quorum: found.can_stop_quorum,
        })?;
        return Ok(Exit::Ok);
    }
    let items: Vec<MemberView> = found.members.into_iter().map(MemberView::from).collect();
    app.output.list(&items, &Listed::default())?;
    let stoppers = found.can_stop_quorum.join(", ");
    let line = if stoppers.is_empty() {
        app.output.pick(
            "no operator can stop the quorum alone".to_owned(),
            "単独で定足数を止められる事業者はありません".to_owned(),
        )
    } else {
        app.output.pick(
            format!("can stop the quorum alone: {stoppers}"),
            format!("単独で定足数を止められる者: {stoppers}"),
        )
    };
    app.output.line(&line)?;
    Ok(Exit::Ok)
}
