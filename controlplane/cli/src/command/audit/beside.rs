//! `sekisho audit denials` and `sekisho audit forks`: what one member keeps beside the log.
//!
//! Must hold: evidence of a fork is judged here, under the keys that the asked member shows from the genesis on; what does not
//! verify is shown as that and proves nothing. A journal is shown as its member tells it: that it is the one whose heads the
//! log has, `audit export` and `audit verify` show.

use crate::app::{App, Session};
use crate::ask;
use crate::client::Client;
use crate::command::agreement::package;
use crate::command::instant;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::fork::{Contradiction, KeptFork};
use sekisho_evidence::journal::{Entry, Peer};
use sekisho_evidence::merkle::Head;
use sekisho_proto::v1;
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;
use std::time::Duration;

/// How long the named member may take: there is no other to ask.
const MEMBER: Duration = Duration::from_secs(10);
/// Entries that one call asks for; the server's most.
const PAGE: u64 = 1000;

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub struct OfMember {
    /// The member whose own it is, by its number; else whoever answers
    #[arg(long, value_name = "MEMBER")]
    member: Option<u64>,
}

/// Which entries.
#[derive(Debug, clap::Args)]
pub struct DenialsArgs {
    #[command(flatten)]
    of: OfMember,
    /// First entry; else the newest are shown
    #[arg(long)]
    start: Option<u64>,
    /// How many
    #[arg(long, default_value_t = 100)]
    count: u64,
}

impl OfMember {
    /// A client of that member alone: what it keeps, no other has. `None`: any will do.
    async fn client(&self, app: &App<'_>, session: &Session) -> Result<Option<Client>, Failure> {
        let Some(wanted) = self.member else { return Ok(None) };
        let package = package(app, session).await?;
        let mut members = package.members.iter();
        let Some(member) = members.find(|member| member.member.0 == wanted) else {
            return Err(Failure::new(ErrorCode::NotFound, format!("members/{wanted}"))
                .remedy("see who there is: sekisho member list"));
        };
        session.client.of_member(member, MEMBER).map(Some)
    }
}

/// An entry of a journal.
#[derive(Debug, Serialize)]
struct DenialView {
    index: u64,
    /// Whose journal.
    member: u64,
    /// When, or the first of several.
    from_ms: u64,
    to_ms: u64,
    /// Whoever had no certificate is named by address; nobody: of too many to tell apart.
    peer: Option<String>,
    method: Option<String>,
    target: Option<String>,
    code: Option<&'static str>,
    /// More than one: they were counted and not written down each.
    count: u64,
}

impl DenialView {
    fn of(member: u64, index: u64, entry: Entry) -> Self {
        let named = |peer: Peer| match peer {
            Peer::Principal(principal) => principal.to_string(),
            Peer::Address(address) => address,
        };
        match entry {
            Entry::Denied(one) => Self {
                index,
                member,
                from_ms: one.at.0,
                to_ms: one.at.0,
                peer: Some(named(one.peer)),
                method: Some(one.method),
                target: Some(one.target).filter(|target| !target.is_empty()),
                code: Some(one.code.as_str()),
                count: 1,
            },
            Entry::Summed(many) => Self {
                index,
                member,
                from_ms: many.from.0,
                to_ms: many.to.0,
                peer: many.peer.map(named),
                method: None,
                target: None,
                code: None,
                count: many.count,
            },
        }
    }
}

impl Shown for DenialView {
    const COLUMNS: &'static [Column] = &[
        column("index", "番号"),
        column("time", "時刻"),
        column("who", "主体"),
        column("what", "内容"),
        column("code", "コード"),
        wide("method", "メソッド"),
        wide("until", "最後"),
        wide("member", "メンバー"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        // The service's name says nothing that the method's does not.
        let method = self.method.as_deref().map(|path| path.rsplit('/').next().unwrap_or(path));
        let what = match (method, &self.target) {
            (Some(method), Some(target)) => format!("{method} {target}"),
            (Some(method), None) => method.to_owned(),
            (None, _) => {
                let count = self.count;
                pick(language, format!("{count} more, counted"), format!("ほか {count} 件"))
            }
        };
        let peer = self.peer.clone();
        vec![
            self.index.to_string(),
            instant(self.from_ms),
            peer.unwrap_or_else(|| pick(language, "many", "多数").to_owned()),
            what.escape_debug().to_string(),
            self.code.unwrap_or("-").to_owned(),
            self.method.as_deref().unwrap_or("-").escape_debug().to_string(),
            instant(self.to_ms),
            self.member.to_string(),
        ]
    }
}

async fn page(client: &Client, start: u64, count: u64) -> Result<v1::ListDenialsResponse, Failure> {
    let page_size = u32::try_from(count.clamp(1, PAGE)).unwrap_or(u32::MAX);
    let request = v1::ListDenialsRequest { start, page_size };
    ask!(client, audit_service_client::AuditServiceClient, list_denials, request)
}

pub(super) async fn denials(app: &mut App<'_>, args: DenialsArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let named = args.of.client(app, &session).await?;
    let client = named.as_ref().unwrap_or(&session.client);
    let mut next = match args.start {
        Some(start) => start,
        None => page(client, 0, 1).await?.count.saturating_sub(args.count),
    };
    let (mut items, mut left) = (Vec::new(), args.count);
    while left > 0 {
        let told = page(client, next, left).await?;
        if told.entries.is_empty() {
            break;
        }
        next = told.start;
        for bytes in &told.entries {
            let entry = Entry::parse(bytes).map_err(|error| {
                Failure::new(ErrorCode::Internal, format!("entry {next}: {error}"))
            })?;
            items.push(DenialView::of(told.member, next, entry));
            (next, left) = (next.saturating_add(1), left.saturating_sub(1));
        }
    }
    app.output.list(&items, &Listed::default())
}

/// Evidence, judged.
#[derive(Debug, Serialize)]
struct ForkView {
    /// `heads`: two signed checkpoints; `countersignature`: an agent's word against the log.
    kind: &'static str,
    accused: String,
    /// It verifies under today's keys.
    verified: bool,
    shows: String,
    at_ms: Option<u64>,
    first_size: u64,
    second_size: u64,
    #[serde(skip)]
    words: (&'static str, &'static str),
}

/// What a kind of contradiction is, for people.
fn words(contradiction: Contradiction) -> (&'static str, &'static str) {
    match contradiction {
        Contradiction::Revision => ("two texts for one entry", "1つのエントリーに2つの内容"),
        Contradiction::Root => ("two roots for one size", "同じ件数に2つのルート"),
        Contradiction::Shrunk => {
            ("later, and yet smaller or older", "後のものなのに小さい、または古い")
        }
        Contradiction::Beginning => {
            ("the longer does not begin with the shorter", "長いログが短いログの続きではない")
        }
    }
}

/// For programs.
fn word(contradiction: Contradiction) -> &'static str {
    match contradiction {
        Contradiction::Revision => "revision",
        Contradiction::Root => "root",
        Contradiction::Shrunk => "shrunk",
        Contradiction::Beginning => "beginning",
    }
}

impl ForkView {
    fn of(kept: &KeptFork, bundle: &EndorserBundle) -> Self {
        let (kind, accused) = ("heads", format!("members/{}", kept.accused));
        let at_ms = Some(kept.at.0);
        match kept.fork.judge(bundle) {
            Ok(judged) => Self {
                kind,
                accused,
                verified: true,
                shows: word(judged.contradiction).to_owned(),
                at_ms,
                first_size: judged.first.head.size,
                second_size: judged.second.head.size,
                words: words(judged.contradiction),
            },
            Err(_error) => Self {
                kind,
                accused,
                verified: false,
                shows: "unverified".to_owned(),
                at_ms,
                first_size: 0,
                second_size: 0,
                words: ("does not verify under today's keys", "現在の鍵では検証できない"),
            },
        }
    }

    /// An agent's word. Its signature is the state's to check: the key is the node's of then.
    fn of_agent(said: &v1::ContradictedCountersignature) -> Result<Self, Failure> {
        let bad = |why: String| Failure::new(ErrorCode::Internal, format!("{}: {why}", said.node));
        let word = Countersignature::parse(&said.countersignature);
        let seen: Head = word.map_err(|error| bad(error.to_string()))?.seen.head;
        Ok(Self {
            kind: "countersignature",
            accused: said.node.clone(),
            verified: true,
            shows: "countersignature".to_owned(),
            at_ms: None,
            first_size: seen.size,
            second_size: said.size,
            words: ("saw a head that the log never had", "ログに存在しないヘッドを見たと署名"),
        })
    }
}

impl Shown for ForkView {
    const COLUMNS: &'static [Column] = &[
        column("accused", "対象"),
        column("shows", "内容"),
        column("sizes", "件数"),
        column("found", "発見"),
        wide("kind", "種類"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let sizes = if self.verified {
            format!("{} / {}", self.first_size, self.second_size)
        } else {
            "-".to_owned()
        };
        vec![
            self.accused.clone(),
            pick(language, self.words.0, self.words.1).to_owned(),
            sizes,
            self.at_ms.map_or_else(|| "-".to_owned(), instant),
            self.kind.to_owned(),
        ]
    }
    fn is_alarming(&self) -> bool {
        true
    }
}

async fn judged(
    app: &App<'_>,
    session: &Session,
    told: &v1::ListForksResponse,
) -> Result<Vec<ForkView>, Failure> {
    if told.forks.is_empty() {
        return Ok(Vec::new());
    }
    let package = package(app, session).await?;
    let trust = package.walk(&package.genesis.genesis.bundle);
    let trust = trust.map_err(|e| Failure::new(ErrorCode::BundleMismatch, e.to_string()))?;
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::Internal, format!("evidence of a fork: {error}"))
    };
    let read = told.forks.iter().map(|bytes| {
        let kept: KeptFork = decode(bytes).map_err(|error| bad(&error))?;
        Ok(ForkView::of(&kept, &trust.bundle))
    });
    read.collect()
}

pub(super) async fn forks(app: &mut App<'_>, of: &OfMember) -> Result<(), Failure> {
    let session = app.session()?;
    let named = of.client(app, &session).await?;
    let client = named.as_ref().unwrap_or(&session.client);
    let request = v1::ListForksRequest {};
    let told = ask!(client, audit_service_client::AuditServiceClient, list_forks, request)?;
    let mut items = judged(app, &session, &told).await?;
    for said in &told.countersignatures {
        items.push(ForkView::of_agent(said)?);
    }
    app.output.list(&items, &Listed::default())?;
    if !items.is_empty() && app.output.format.is_for_people() {
        let note = app.output.pick(
            "keep an export of every member before anything is restarted; see the runbook `fork`",
            "再起動などの前に、全メンバーの監査バンドルを保全してください。手順書 `fork` を参照",
        );
        app.output.note(note)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::export::evidence::tests::lie;
    use super::*;
    use sekisho_evidence::journal::{Denial, Summed};
    use sekisho_types::time::Timestamp;

    #[test]
    fn evidence_is_judged_before_it_is_believed() {
        let bundle = sekisho_fsm::testing::genesis().genesis.bundle;
        let kept: KeptFork = decode(&lie()).unwrap();
        let view = ForkView::of(&kept, &bundle);
        assert!(view.verified, "{view:?}");
        assert_eq!((view.shows.as_str(), view.accused.as_str()), ("revision", "members/2"));
        assert_eq!(view.cells(Language::En)[1..3], ["two texts for one entry", "5 / 5"]);
        let mut junk = kept;
        junk.fork.second = b"junk".to_vec();
        let view = ForkView::of(&junk, &bundle);
        assert!(!view.verified && view.shows == "unverified", "{view:?}");
        assert_eq!(view.cells(Language::En)[2], "-");
    }

    #[test]
    fn a_refusal_and_many_are_told_apart() {
        let at = Timestamp(1_790_000_000_000);
        let denied = Entry::Denied(Denial {
            at,
            peer: Peer::Address("203.0.113.9".into()),
            method: "tls".into(),
            target: String::new(),
            code: ErrorCode::Unauthenticated,
            request: None,
        });
        let one = DenialView::of(2, 7, denied);
        let cells = one.cells(Language::En);
        assert_eq!(cells[2..5], ["203.0.113.9", "tls", "UNAUTHENTICATED"]);
        let summed = Summed { from: at, to: at.plus_ms(5), peer: None, count: 41 };
        let many = DenialView::of(2, 8, Entry::Summed(summed));
        assert_eq!(many.cells(Language::En)[2..5], ["many", "41 more, counted", "-"]);
        assert_eq!(many.cells(Language::Ja)[2..5], ["多数", "ほか 41 件", "-"]);
    }
}
