//! `sekisho member list`: what each controller is and shall be, how far behind it is, and who could stop the quorum alone.

use super::super::short;
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::command::list::ListArgs;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::MemberId;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct MemberView {
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
    standing: String,
    matched: Option<u64>,
    silent_for_ms: Option<u64>,
    waits_for: Option<String>,
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
            standing: member.standing,
            matched: member.matched,
            silent_for_ms: member.silent_for_ms,
            waits_for: Some(member.waits_for).filter(|wait| !wait.is_empty()),
        }
    }
}

/// A role for people; `-o json` has the server's word.
fn role_word(language: Language, role: &str) -> &str {
    match (language, role) {
        (Language::Ja, "voter") => "投票者",
        (Language::Ja, "learner") => "学習者",
        (Language::Ja, "none") => "なし",
        (Language::En | Language::Ja, other) => other,
    }
}

impl MemberView {
    /// Whether it is not yet what it shall be. A server that does not say what it shall be knows of no changes.
    fn changes(&self) -> bool {
        !self.standing.is_empty() && self.standing != self.role
    }

    /// What is waited for, in a line.
    fn waiting(&self, language: Language) -> Option<String> {
        let (id, role, standing) = (short(&self.name), &self.role, &self.standing);
        let wait = self.waits_for.as_deref();
        let wait =
            wait.unwrap_or_else(|| pick(language, "the leader knows why", "理由はリーダーに"));
        let (en, ja) = (
            format!("member {id} is {role}, shall be {standing}: {wait}"),
            format!("メンバー {id} は {role}、目標 {standing}: {wait}"),
        );
        self.changes().then(|| pick(language, en, ja))
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
        wide("matched", "複製済み"),
        wide("silent for", "無応答"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let role = match (self.leader, self.changes()) {
            (_, true) => {
                let is = role_word(language, &self.role);
                format!("{is}>{}", role_word(language, &self.standing))
            }
            (true, false) => pick(language, "leader", "リーダー").to_owned(),
            (false, false) => role_word(language, &self.role).to_owned(),
        };
        let state = if self.reachable {
            pick(language, "reachable", "応答あり")
        } else {
            pick(language, "unreachable", "応答なし")
        };
        vec![
            short(&self.name).to_owned(),
            self.operator.clone(),
            self.site.clone(),
            role,
            state.to_owned(),
            self.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
            self.signer_problem.clone().unwrap_or_else(|| pick(language, "ok", "正常").to_owned()),
            self.address.clone(),
            self.signed_revision.to_string(),
            self.matched.map_or_else(|| "-".to_owned(), |matched| matched.to_string()),
            self.silent_for_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
        ]
    }
}

#[derive(Serialize)]
struct Whole {
    items: Vec<MemberView>,
    term: u64,
    revision: u64,
    can_stop_quorum: Vec<String>,
    unreachable: Vec<String>,
}

/// What the leader knows, if something changes and another member was asked: it alone knows what it waits for.
async fn ask_leader(
    app: &App<'_>,
    session: &Session,
    found: v1::ListMembersResponse,
) -> Result<v1::ListMembersResponse, Failure> {
    let open = found.members.iter().any(|m| m.role != m.standing && !m.standing.is_empty());
    let told = found.members.iter().any(|m| m.matched.is_some() && !m.leader);
    let leader = found.members.iter().find(|m| m.leader);
    let address = leader.and_then(|leader| leader.address.parse().ok());
    let Some(address) = address.filter(|_| open && !told && !app.global.local) else {
        return Ok(found);
    };
    session.client.go_to(&address)?;
    Ok(ask_list(app, session, &ListArgs::default()).await.unwrap_or(found))
}

/// How many voters may be lost.
fn tolerance(app: &App<'_>, items: &[MemberView]) -> String {
    let voters = items.iter().filter(|member| member.role == "voter").count();
    let decide = (voters / 2).saturating_add(1);
    let spare = voters.saturating_sub(decide);
    app.output.pick(
        format!("{voters} voters, {decide} decide: {spare} may be lost"),
        format!("投票者 {voters}、決定に必要 {decide}: {spare} まで失えます"),
    )
}

async fn ask_list(
    app: &App<'_>,
    session: &Session,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<v1::ListMembersResponse, Failure> {
    let request = v1::ListMembersRequest {
        page_size: PAGE,
        filter: filter.clone(),
        order_by: sort.clone(),
        read: app.read(),
        ..v1::ListMembersRequest::default()
    };
    ask!(session.client, member_service_client::MemberServiceClient, list_members, request)
}

pub(super) async fn get(app: &mut App<'_>, member: MemberId) -> Result<(), Failure> {
    let session = app.session()?;
    let request = v1::GetMemberRequest { name: member.name(), read: app.read() };
    let found =
        ask!(session.client, member_service_client::MemberServiceClient, get_member, request)?;
    app.output.one(&MemberView::from(found))
}

pub(super) async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let found = ask_list(app, &session, &ListArgs::default()).await?;
    let mut found = ask_leader(app, &session, found).await?;
    session.client.learn(&found.members);
    if args.is_given() {
        found = ask_list(app, &session, args).await?;
    }
    let beside = Listed { revision: found.revision, unreachable: found.unreachable };
    let items: Vec<MemberView> = found.members.into_iter().map(MemberView::from).collect();
    let (term, can_stop_quorum) = (found.term, found.can_stop_quorum);
    if !app.output.format.is_for_people() {
        let Listed { revision, unreachable } = beside;
        return app.output.data(&Whole { items, term, revision, can_stop_quorum, unreachable });
    }
    app.output.list(&items, &beside)?;
    if args.is_given() {
        // What follows is of all of them.
        return Ok(());
    }
    let language = app.output.language;
    for line in items.iter().filter_map(|member| member.waiting(language)) {
        app.output.line(&line)?;
    }
    let line = tolerance(app, &items);
    app.output.line(&line)?;
    let stoppers = can_stop_quorum.join(", ");
    let line = if stoppers.is_empty() {
        app.output.pick(
            "no member, site or operator can stop the quorum alone".to_owned(),
            "単独で定足数を止められるメンバー、拠点、事業者はありません".to_owned(),
        )
    } else {
        app.output.pick(
            format!("can stop the quorum alone: {stoppers}"),
            format!("単独で定足数を止められる者: {stoppers}"),
        )
    };
    app.output.line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: &str, standing: &str, waits_for: &str) -> MemberView {
        MemberView::from(v1::Member {
            name: "members/4".to_owned(),
            role: role.to_owned(),
            standing: standing.to_owned(),
            waits_for: waits_for.to_owned(),
            ..v1::Member::default()
        })
    }

    #[test]
    fn a_change_under_way_says_what_it_waits_for() {
        let behind = member("learner", "voter", "812 entries behind");
        assert_eq!(behind.cells(Language::En)[3], "learner>voter");
        assert_eq!(
            behind.waiting(Language::En).unwrap(),
            "member 4 is learner, shall be voter: 812 entries behind"
        );
        assert!(behind.waiting(Language::Ja).unwrap().starts_with("メンバー 4"));
        assert_eq!(member("voter", "voter", "").waiting(Language::En), None);
        // From a server of before.
        assert_eq!(member("voter", "", "").waiting(Language::En), None);
        let unsaid = member("none", "learner", "").waiting(Language::En).unwrap();
        assert!(unsaid.ends_with("the leader knows why"), "{unsaid}");
    }
}
