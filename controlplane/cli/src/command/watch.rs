//! `sekisho watch`: rows as they change, for people and for pipes.
//!
//! Must hold: what is printed up to a bookmark is all that happened up to it, wherever the stream was cut; a run that ended
//! is gone on with by `--resume` and the last bookmark that it printed.

use crate::app::{App, Session, quoted};
use crate::command::{
    approval, break_glass, budget, escrow, job, key, landmark, member, node, offer, policy, quota,
    reservation, site, tenant, veto,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Shown;
use crate::watch::{Heard, Watch, note_lost};
use sekisho_proto::v1::watch_request::Topic;
use sekisho_proto::v1::watch_response::Item;
use sekisho_proto::v1::{WatchRequest, WatchResponse};
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::TenantId;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// What to watch.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// jobs, nodes, sites, tenants, policies, quotas, budgets, offers, reservations, vetoes, escrows, keys, landmarks, members,
    /// approvals or break-glasses, each with `:NAME` for some of them, in which `*` stands for any text: `jobs:sapporo/train-*`, `nodes:tokyo-1/*`, `members:2`
    #[arg(required = true, value_name = "TOPIC[:NAME]")]
    what: Vec<Wanted>,
    /// Go on after this bookmark of an earlier watch of the same, and print only what changed since
    #[arg(long, value_name = "INCARNATION/REVISION")]
    resume: Option<Mark>,
}

/// A topic's words: as it is named, and its rows' names by `*` for each part.
const TOPICS: [(Topic, &str, &[&str]); 16] = [
    (Topic::Jobs, "jobs", &["tenants", "jobs"]),
    (Topic::Nodes, "nodes", &["sites", "nodes"]),
    (Topic::Sites, "sites", &["sites"]),
    (Topic::Tenants, "tenants", &["tenants"]),
    (Topic::Policies, "policies", &["policies"]),
    (Topic::Quotas, "quotas", &["tenants", "quotas"]),
    (Topic::Budgets, "budgets", &["tenants", "budgets"]),
    (Topic::Offers, "offers", &["sites", "offers"]),
    (Topic::Reservations, "reservations", &["tenants", "reservations"]),
    (Topic::Vetoes, "vetoes", &["operators", "vetoes"]),
    (Topic::Escrows, "escrows", &["sites", "escrows"]),
    (Topic::Keys, "keys", &["operators", "users", "keys"]),
    (Topic::Landmarks, "landmarks", &["operators", "landmarks"]),
    (Topic::Members, "members", &["members"]),
    (Topic::Approvals, "approvals", &["approvals"]),
    (Topic::BreakGlasses, "break-glasses", &["breakGlasses"]),
];

/// A topic, and the name of its rows that are wanted, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    topic: Topic,
    word: &'static str,
    /// No name was said.
    all: bool,
    name: String,
}

impl Wanted {
    /// Whether it may be of any tenant, which takes a right on all of them.
    fn is_of_all_tenants(&self) -> bool {
        let tenant = self.name.strip_prefix("tenants/").and_then(|rest| rest.split('/').next());
        tenant.is_some_and(|tenant| tenant.contains('*'))
    }
}

impl FromStr for Wanted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = text.split_once(':').unwrap_or((text, ""));
        let known = TOPICS.iter().find(|(_, known, _)| *known == word);
        let (topic, word, collections) = known.ok_or_else(|| {
            let words: Vec<&str> = TOPICS.iter().map(|(_, word, _)| *word).collect();
            format!("the topic must be one of {}", words.join(", "))
        })?;
        let mut ids = name.split('/').filter(|id| !id.is_empty());
        let part = |collection: &&str| format!("{collection}/{}", ids.next().unwrap_or("*"));
        let parts: Vec<String> = collections.iter().map(part).collect();
        if ids.next().is_some() {
            return Err(format!("the name of one of the {word} has {} parts", collections.len()));
        }
        Ok(Self { topic: *topic, word, all: name.is_empty(), name: parts.join("/") })
    }
}

/// Where a watch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    incarnation: u64,
    revision: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.incarnation, self.revision)
    }
}

impl FromStr for Mark {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(incarnation, revision)| {
            let (incarnation, revision) = (incarnation.parse().ok()?, revision.parse().ok()?);
            Some(Self { incarnation, revision })
        });
        numbers.ok_or("must be a bookmark, as 1/4711")
    }
}

/// The tenant that all of it is of: only so may its own people watch.
fn tenant_of(what: &[Wanted]) -> Option<String> {
    let of = |wanted: &Wanted| {
        let mut parts = wanted.name.split('/');
        let tenant = (parts.next()? == "tenants").then(|| parts.next())??;
        (!tenant.contains('*')).then(|| tenant.to_owned())
    };
    let first = of(what.first()?)?;
    let same = what.iter().all(|wanted| of(wanted).as_ref() == Some(&first));
    same.then(|| format!("tenants/{first}"))
}

fn request(args: &WatchArgs) -> WatchRequest {
    // Without a name anywhere, the topics say it all.
    let named = args.what.iter().any(|wanted| !wanted.all);
    let names = args.what.iter().filter(|_| named).map(|wanted| wanted.name.clone());
    WatchRequest {
        topics: args.what.iter().map(|wanted| wanted.topic.into()).collect(),
        parent: tenant_of(&args.what).unwrap_or_default(),
        names: names.collect(),
        resume_revision: args.resume.map(|mark| mark.revision),
        resume_incarnation: args.resume.map_or(0, |mark| mark.incarnation),
        ..Default::default()
    }
}

/// A line of what happened.
#[derive(Debug, Serialize)]
struct Line {
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// As its list shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    /// Everything up to here was printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    bookmark: Option<String>,
    /// The member has not heard from a leader: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    #[serde(skip)]
    words: Vec<String>,
}

impl Line {
    fn row<V: Shown>(
        revision: u64,
        topic: &'static str,
        view: &V,
        language: Language,
    ) -> Result<Self, Failure> {
        let object = serde_json::to_value(view);
        let object =
            object.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let name = object.get("name").and_then(serde_json::Value::as_str).map(str::to_owned);
        let shown = V::COLUMNS.iter().zip(view.cells(language)).filter(|(column, _)| !column.wide);
        let words = shown.map(|(_, cell)| cell).filter(|cell| !cell.is_empty()).collect();
        let (deleted, stale, topic) = (false, false, Some(topic));
        Ok(Self {
            revision,
            topic,
            name,
            object: Some(object),
            deleted,
            bookmark: None,
            stale,
            words,
        })
    }

    /// `None` for a message of a newer server that tells nothing known.
    fn of(message: WatchResponse, language: Language) -> Result<Option<Self>, Failure> {
        let WatchResponse { revision, item } = message;
        let Some(item) = item else { return Ok(None) };
        let line = match item {
            Item::Job(row) => Self::row(revision, "jobs", &job::JobView::from(row), language)?,
            Item::Node(row) => Self::row(revision, "nodes", &node::NodeView::from(row), language)?,
            Item::Site(row) => Self::row(revision, "sites", &site::SiteView::from(row), language)?,
            Item::Tenant(row) => {
                Self::row(revision, "tenants", &tenant::TenantView::from(row), language)?
            }
            Item::Policy(row) => {
                Self::row(revision, "policies", &policy::PolicyView::from(row), language)?
            }
            Item::Quota(row) => {
                Self::row(revision, "quotas", &quota::QuotaView::from(row), language)?
            }
            Item::Budget(row) => {
                Self::row(revision, "budgets", &budget::BudgetView::from(row), language)?
            }
            Item::Offer(row) => {
                Self::row(revision, "offers", &offer::OfferView::from(row), language)?
            }
            Item::Reservation(row) => {
                let view = reservation::ReservationView::from(row);
                Self::row(revision, "reservations", &view, language)?
            }
            Item::Veto(row) => Self::row(revision, "vetoes", &veto::VetoView::from(row), language)?,
            Item::Escrow(row) => {
                Self::row(revision, "escrows", &escrow::EscrowView::from(row), language)?
            }
            Item::Key(row) => Self::row(revision, "keys", &key::KeyView::from(row), language)?,
            Item::Landmark(row) => {
                Self::row(revision, "landmarks", &landmark::LandmarkView::from(row), language)?
            }
            Item::Member(row) => {
                Self::row(revision, "members", &member::MemberView::from(row), language)?
            }
            Item::Approval(row) => {
                Self::row(revision, "approvals", &approval::ApprovalView::listed(row)?, language)?
            }
            Item::BreakGlass(row) => {
                let view = break_glass::BreakGlassView::from(row);
                Self::row(revision, "break-glasses", &view, language)?
            }
            Item::Deleted(gone) => {
                Self { name: Some(gone.name), deleted: true, ..Self::bare(revision) }
            }
            Item::Bookmark(mark) => {
                let incarnation = mark.incarnation;
                let bookmark = Some(Mark { incarnation, revision }.to_string());
                Self { bookmark, stale: mark.stale, ..Self::bare(revision) }
            }
        };
        Ok(Some(line))
    }

    fn bare(revision: u64) -> Self {
        let (deleted, stale, words) = (false, false, Vec::new());
        let (topic, name, object, bookmark) = (None, None, None, None);
        Self { revision, topic, name, object, deleted, bookmark, stale, words }
    }
}

fn show(app: &mut App<'_>, line: &Line) -> Result<(), Failure> {
    if !app.output.format.is_for_people() {
        return app.output.event(line);
    }
    if line.bookmark.is_some() {
        if line.stale {
            let note = app.output.pick(
                "the member hears from no leader: there may be more",
                "メンバーがリーダーと通信できていません。続きがあるかもしれません",
            );
            app.output.note(note)?;
        }
        return Ok(());
    }
    let gone = app.output.pick("is gone", "は無くなりました");
    let text = match (&line.name, line.deleted) {
        (Some(name), true) => format!("{:>8}  {name} {gone}", line.revision),
        _ => {
            let topic = line.topic.unwrap_or_default();
            format!("{:>8}  {topic:<13} {}", line.revision, line.words.join("  "))
        }
    };
    app.output.line(&text)
}

pub(super) async fn run(app: &mut App<'_>, args: WatchArgs) -> Result<Exit, Failure> {
    let session = app.session()?;
    let mut watch = Watch::new(&session.client, request(&args));
    let (mut marked, language) = (args.resume, app.output.language);
    loop {
        let heard = tokio::select! {
            heard = watch.message() => match heard {
                Ok(heard) => heard,
                Err(refusal) => return Err(of_one(app, &session, &args.what, refusal).await),
            },
            _ = tokio::signal::ctrl_c() => break,
        };
        match heard {
            Heard::Lost(failure) => note_lost(&mut app.output, &failure)?,
            Heard::Message(message) => {
                let Some(line) = Line::of(*message, language)? else { continue };
                marked = line.bookmark.as_deref().and_then(|mark| mark.parse().ok()).or(marked);
                show(app, &line)?;
            }
        }
    }
    if let Some(mark) = marked {
        let what = args.what.iter().map(|wanted| {
            let all = if wanted.all { String::new() } else { format!(":{}", ids(&wanted.name)) };
            format!("{}{all}", wanted.word)
        });
        let what: Vec<String> = what.collect();
        app.output.next(&format!("sekisho watch '{}' --resume {mark}", what.join("' '")))?;
    }
    Ok(Exit::Interrupted)
}

/// A refusal to show what all tenants have, with the command that shows what one of the caller's own has.
async fn of_one(app: &App<'_>, session: &Session, what: &[Wanted], refusal: Failure) -> Failure {
    let of_all = what.iter().any(Wanted::is_of_all_tenants);
    if refusal.code != ErrorCode::PermissionDenied || !of_all {
        return refusal;
    }
    let tenants = tenant::readable(app, session).await.unwrap_or_default();
    let Some((first, more)) = tenants.split_first() else { return refusal };
    let again = narrowed(what, first);
    let more: Vec<&str> = more.iter().map(TenantId::as_str).collect();
    let (also, mata) = match more.as_slice() {
        [] => (String::new(), String::new()),
        more => (
            format!("; you may also read {}", more.join(", ")),
            format!("。ほかに閲覧できるテナント: {}", more.join(", ")),
        ),
    };
    refusal.remedy(app.output.pick(
        format!("watch the tenants that you may read, one by one: {again}{also}"),
        format!("閲覧できるテナントを1つずつ監視してください: {again}{mata}"),
    ))
}

/// What it asks of all tenants, of one.
fn narrowed(what: &[Wanted], tenant: &TenantId) -> String {
    let one = |wanted: &Wanted| {
        let name = ids(&wanted.name);
        let name = match name.split_once('/') {
            Some((_, rest)) => format!("{tenant}/{rest}"),
            None => tenant.to_string(),
        };
        quoted(&format!("{}:{name}", wanted.word))
    };
    let what = what.iter().filter(|wanted| wanted.is_of_all_tenants());
    let what: Vec<String> = what.map(one).collect();
    format!("sekisho watch {}", what.join(" "))
}

/// The ids of a name, as they are typed.
fn ids(name: &str) -> String {
    name.split('/').skip(1).step_by(2).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1;
    use sekisho_proto::v1::watch_response::{Bookmark, Deleted};

    fn asked(what: &[&str], resume: Option<&str>) -> WatchRequest {
        let what = what.iter().map(|text| text.parse().unwrap()).collect();
        request(&WatchArgs { what, resume: resume.map(|text| text.parse().unwrap()) })
    }

    #[test]
    fn what_is_typed_becomes_topics_names_and_a_parent() {
        let all = asked(&["jobs", "nodes"], None);
        assert_eq!((all.topics, all.names.len(), all.parent.as_str()), (vec![1, 2], 0, ""));
        let some = asked(&["jobs:sapporo/train-*", "nodes"], Some("2/77"));
        assert_eq!(some.names, ["tenants/sapporo/jobs/train-*", "sites/*/nodes/*"]);
        assert_eq!((some.parent.as_str(), some.resume_revision), ("", Some(77)));
        assert_eq!(some.resume_incarnation, 2);
        let own = asked(&["jobs:sapporo", "quotas:sapporo/h100"], None);
        assert_eq!(own.names, ["tenants/sapporo/jobs/*", "tenants/sapporo/quotas/h100"]);
        assert_eq!(own.parent, "tenants/sapporo", "so that its own people may");
        assert_eq!(asked(&["jobs:sap*"], None).parent, "");
        let keys = asked(&["keys:kanto/ops", "members:2"], None);
        assert_eq!(keys.names, ["operators/kanto/users/ops/keys/*", "members/2"]);
        assert_eq!(ids(&keys.names[0]), "kanto/ops/*");
        for bad in ["", "job", "sites:a/b", "members:1/2"] {
            bad.parse::<Wanted>().unwrap_err();
        }
        for bad in ["7", "1/", "a/b", "1/2/3"] {
            bad.parse::<Mark>().unwrap_err();
        }
    }

    #[test]
    fn what_all_tenants_have_is_asked_of_one() {
        let of = |what: &[&str]| {
            let what: Vec<Wanted> = what.iter().map(|text| text.parse().unwrap()).collect();
            narrowed(&what, &"sapporo".parse().unwrap())
        };
        assert_eq!(of(&["jobs"]), "sekisho watch 'jobs:sapporo/*'");
        let several = of(&["jobs:*/train-*", "quotas", "tenants", "nodes", "jobs:otaru"]);
        assert_eq!(
            several,
            "sekisho watch 'jobs:sapporo/train-*' 'quotas:sapporo/*' tenants:sapporo"
        );
    }

    #[test]
    fn lines_are_stable() {
        let line = |revision, item| {
            let message = WatchResponse { revision, item: Some(item) };
            let line = Line::of(message, Language::En).unwrap().unwrap();
            serde_json::to_string(&line).unwrap()
        };
        let quota = v1::Quota {
            name: "tenants/a/quotas/h100".into(),
            limit: "8".into(),
            ..Default::default()
        };
        let told = line(7, Item::Quota(quota));
        let head = r#"{"revision":7,"topic":"quotas","name":"tenants/a/quotas/h100","object":{"#;
        assert!(told.starts_with(head), "{told}");
        let gone = Item::Deleted(Deleted { name: "sites/a".into() });
        assert_eq!(line(8, gone), r#"{"revision":8,"name":"sites/a","deleted":true}"#);
        let mark = Item::Bookmark(Bookmark { incarnation: 1, stale: true });
        assert_eq!(line(9, mark), r#"{"revision":9,"bookmark":"1/9","stale":true}"#);
    }
}
