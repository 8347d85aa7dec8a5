//! `sekisho audit show`: records of the log, filtered and, if so wished, as they come.
//!
//! Must hold: what is shown is what the asked member says; only `audit verify`, `prove` and `watch` prove anything.

use crate::app::{App, Session};
use crate::ask;
use crate::command::instant;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use crate::verify::lost::command_name;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::entry::Entry;
use sekisho_proto::v1;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::principal::Workload;
use serde::Serialize;
use std::time::Duration;

/// Records that one call asks for.
const PAGE: u64 = 1000;
/// Between two looks for new records.
const PAUSE: Duration = Duration::from_secs(1);

/// Which records.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// First record
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// How many
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Only this kind: entry, grant, desired, rejected, or a command's word such as `SubmitJob`
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only those whose actor has this in its name
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    /// Only those of the last TIME, e.g. 2h
    #[arg(long, value_name = "TIME", value_parser = crate::duration::seconds, conflicts_with = "start")]
    since: Option<u64>,
    /// Only those about TENANT/JOB
    #[arg(long, value_name = "JOB")]
    job: Option<JobId>,
    /// Only those about SITE/NODE
    #[arg(long, value_name = "NODE")]
    node: Option<NodeId>,
    /// Go on with new records until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// A record for people and programs.
#[derive(Debug, Serialize)]
pub(super) struct RecordView {
    index: u64,
    revision: u64,
    time_ms: u64,
    kind: &'static str,
    subject: String,
    actor: Option<String>,
    rejected: Option<&'static str>,
}

impl RecordView {
    pub(super) fn of(index: u64, record: Record, entry: Option<&Entry>) -> Self {
        let (kind, subject, actor, rejected) = match record.body {
            Body::Entry { rejected, .. } => {
                let subject = entry.map(|entry| command_name(&entry.command)).unwrap_or_default();
                let actor = entry.map(|entry| entry.actor.to_string());
                ("entry", subject, actor, rejected.map(ErrorCode::as_str))
            }
            Body::Grant(grant) => {
                let subject = format!("{} {} on {}", grant.placement, grant.job, grant.node);
                ("grant", subject, Some(grant.submitter.to_string()), None)
            }
            Body::Desired(desired) => {
                let subject = format!("{}: {} placements", desired.node, desired.count);
                ("desired", subject, None, None)
            }
            Body::Approval { id, failed } => {
                let done = if failed.is_some() { "failed" } else { "carried out" };
                let subject = format!("approval {id} {done}");
                ("approval", subject, None, failed.map(ErrorCode::as_str))
            }
            Body::BreakGlass { opened } => {
                let subject = format!("allowed by break-glass {opened} alone");
                ("break_glass", subject, None, None)
            }
        };
        let (revision, time_ms) = (record.revision.0, record.time.0);
        Self { index, revision, time_ms, kind, subject, actor, rejected }
    }
}

impl Shown for RecordView {
    const COLUMNS: &'static [Column] = &[
        column("index", "番号"),
        column("time", "時刻"),
        column("what", "内容"),
        column("by", "主体"),
        wide("kind", "種類"),
        wide("revision", "リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let refused = pick(language, "rejected", "拒否");
        let what = match self.rejected {
            Some(code) => format!("{}, {refused}: {code}", self.subject),
            None => self.subject.clone(),
        };
        vec![
            self.index.to_string(),
            instant(self.time_ms / 1000 * 1000).replace(".000Z", "Z"),
            what,
            self.actor.clone().unwrap_or_else(|| "-".to_owned()),
            self.kind.to_owned(),
            self.revision.to_string(),
        ]
    }
}

/// Reads a record as a member sent it.
pub(super) fn read(index: u64, bytes: &[u8]) -> Result<(Record, Option<Entry>), Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::Internal, format!("record {index}: {error}"))
    };
    let record = Record::parse(bytes).map_err(|error| bad(&error))?;
    let entry = match &record.body {
        Body::Entry { entry, .. } => Some(decode(entry).map_err(|error| bad(&error))?),
        Body::Grant(_) | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => None,
    };
    Ok((record, entry))
}

/// The entry of a record whose form was checked; none if this program cannot read it.
pub(super) fn entry(record: &Record) -> Option<Entry> {
    match &record.body {
        Body::Entry { entry, .. } => decode(entry).ok(),
        Body::Grant(_) | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => None,
    }
}

impl ShowArgs {
    fn wants(&self, record: &Record, entry: Option<&Entry>) -> bool {
        let of_job = |job: &JobId| jobs(record, entry).contains(&job);
        let of_node = |node: &NodeId| is_about(node, record, entry);
        self.kind.as_ref().is_none_or(|kind| is_of(kind, record, entry))
            && self.actor.as_ref().is_none_or(|part| actor(record, entry).contains(part.as_str()))
            && self.job.as_ref().is_none_or(of_job)
            && self.node.as_ref().is_none_or(of_node)
    }
}

fn actor(record: &Record, entry: Option<&Entry>) -> String {
    match &record.body {
        Body::Entry { .. } => entry.map(|entry| entry.actor.to_string()).unwrap_or_default(),
        Body::Grant(grant) => grant.submitter.to_string(),
        Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => String::new(),
    }
}

fn is_of(kind: &str, record: &Record, entry: Option<&Entry>) -> bool {
    match &record.body {
        Body::Grant(_) => kind == "grant",
        Body::Desired(_) => kind == "desired",
        Body::Approval { .. } => kind == "approval",
        Body::BreakGlass { .. } => kind == "break_glass",
        Body::Entry { rejected, .. } => {
            let word = entry.map(|entry| command_name(&entry.command)).unwrap_or_default();
            kind == "entry" || (kind == "rejected" && rejected.is_some()) || word == kind
        }
    }
}

/// The jobs that a record names.
fn jobs<'r>(record: &'r Record, entry: Option<&'r Entry>) -> Vec<&'r JobId> {
    if let Body::Grant(grant) = &record.body {
        return vec![&grant.job];
    }
    let Some(entry) = entry else { return Vec::new() };
    if let Command::SubmitJob { facts }
    | Command::ResealJob { facts }
    | Command::ReplaceJob { facts } = &entry.command
    {
        vec![&facts.id]
    } else if let Command::CancelJob { job } = &entry.command {
        vec![job]
    } else if let Command::CommitPlacement { groups, calls, .. } = &entry.command {
        groups.iter().map(|group| &group.job).chain(calls.iter().flatten()).collect()
    } else if let Command::EvictDenied { jobs } = &entry.command {
        jobs.iter().collect()
    } else if let Command::Preempt(of) = &entry.command {
        of.victims.iter().chain([&of.beneficiary]).collect()
    } else if let Command::Batch(items) = &entry.command {
        items.iter().filter_map(job_of).collect()
    } else {
        Vec::new()
    }
}

fn job_of(item: &Item) -> Option<&JobId> {
    match item {
        Item::SubmitJob { facts } => Some(&facts.id),
        Item::CancelJob { job } => Some(job),
        Item::SetSchedulable { .. } | Item::DrainNode { .. } | Item::UndrainNode { .. } => None,
    }
}

fn node_of(item: &Item) -> Option<&NodeId> {
    match item {
        Item::SetSchedulable { node, .. }
        | Item::DrainNode { node, .. }
        | Item::UndrainNode { node, .. } => Some(node),
        Item::SubmitJob { .. } | Item::CancelJob { .. } => None,
    }
}

fn is_about(node: &NodeId, record: &Record, entry: Option<&Entry>) -> bool {
    match &record.body {
        Body::Grant(grant) => grant.node == *node,
        Body::Desired(desired) => desired.node == *node,
        Body::Approval { .. } | Body::BreakGlass { .. } => false,
        Body::Entry { .. } => entry.is_some_and(|entry| {
            let own = matches!(&entry.actor.workload, Workload::Agent { site, node: name }
                if *site == node.site && *name == node.name);
            own || names(&entry.command, node)
        }),
    }
}

fn names(command: &Command, wanted: &NodeId) -> bool {
    if let Command::CreateToken { node, .. }
    | Command::EnrollNode { node, .. }
    | Command::RenewTag { node, .. }
    | Command::OpenSession { node, .. }
    | Command::Report { node, .. }
    | Command::Refuse { node, .. }
    | Command::ExpireLease { node, .. }
    | Command::SetSchedulable { node, .. }
    | Command::RevokeNode { node }
    | Command::Adopt { node, .. }
    | Command::DrainNode { node, .. }
    | Command::UndrainNode { node, .. }
    | Command::ApproveNode { node, .. }
    | Command::DecommissionNode { node }
    | Command::ReportFitness { node, .. }
    | Command::EvictDrained { node, .. }
    | Command::QuarantineNode { node, .. }
    | Command::ReleaseNode { node }
    | Command::SubmitFix { node, .. } = command
    {
        return node == wanted;
    }
    if let Command::CommitPlacement { groups, .. } = command {
        return groups.iter().flat_map(|group| &group.places).any(|slot| slot.node == *wanted);
    }
    if let Command::Batch(items) = command {
        return items.iter().filter_map(node_of).any(|node| node == wanted);
    }
    false
}

/// One page from `start` on, and the number of records in the log.
async fn page(
    session: &Session,
    start: u64,
    count: u64,
) -> Result<(Vec<v1::AuditRecord>, u64), Failure> {
    let page_size = u32::try_from(count.min(PAGE)).unwrap_or(u32::MAX);
    let request = v1::ListRecordsRequest { start, page_size };
    let page =
        ask!(session.client, audit_service_client::AuditServiceClient, list_records, request)?;
    Ok((page.records, page.size))
}

/// The first record that is not older than `time`: they are in the order of time.
async fn first_since(session: &Session, time_ms: u64) -> Result<u64, Failure> {
    let (_, size) = page(session, 0, 1).await?;
    let (mut low, mut high) = (0u64, size);
    while low < high {
        let middle = low.midpoint(high);
        let (records, _) = page(session, middle, 1).await?;
        let Some(found) = records.first() else { break };
        if read(found.index, &found.record)?.0.time.0 < time_ms {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

pub(super) async fn show(app: &mut App<'_>, args: ShowArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let mut next = args.start;
    if let Some(seconds) = args.since {
        let since = app.now().0.saturating_sub(seconds.saturating_mul(1000));
        next = first_since(&session, since).await?;
    }
    let filtered =
        args.kind.is_some() || args.actor.is_some() || args.job.is_some() || args.node.is_some();
    let mut items: Vec<RecordView> = Vec::new();
    let mut left = args.count;
    while left > 0 {
        let (records, _) = page(&session, next, if filtered { PAGE } else { left }).await?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            next = record.index.saturating_add(1);
            let (read, entry) = read(record.index, &record.record)?;
            if left > 0 && args.wants(&read, entry.as_ref()) {
                items.push(RecordView::of(record.index, read, entry.as_ref()));
                left = left.saturating_sub(1);
            }
        }
    }
    if !args.watch {
        return app.output.list(&items, &Listed::default());
    }
    for item in &items {
        tell(app, item)?;
    }
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        ended = go_on(app, &session, &args, next) => ended,
    }
}

async fn go_on(
    app: &mut App<'_>,
    session: &Session,
    args: &ShowArgs,
    mut next: u64,
) -> Result<(), Failure> {
    loop {
        let (records, _) = page(session, next, PAGE).await?;
        for record in &records {
            next = record.index.saturating_add(1);
            let (read, entry) = read(record.index, &record.record)?;
            if args.wants(&read, entry.as_ref()) {
                tell(app, &RecordView::of(record.index, read, entry.as_ref()))?;
            }
        }
        if records.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One record as it comes.
pub(super) fn tell(app: &mut App<'_>, item: &RecordView) -> Result<(), Failure> {
    if !app.output.format.is_for_people() {
        return app.output.event(item);
    }
    let cells = item.cells(app.output.language);
    let shown = cells.get(..4).unwrap_or_default().join("  ");
    app.output.line(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing::{Federation, job};

    fn shown(args: &[&str]) -> Vec<String> {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            show: ShowArgs,
        }
        let line = [&["show"], args].concat();
        let args = <Line as clap::Parser>::try_parse_from(line).unwrap().show;
        let mut federation = Federation::furnished();
        let a = federation.submit(job("a", 1, 1, &[]));
        federation.submit(job("b", 1, 1, &[]));
        federation.place(&a, &["tokyo-1/n-01"]);
        let leaves = federation.applied.iter().flat_map(|applied| &applied.leaves);
        let mut shown = Vec::new();
        for leaf in leaves {
            let (record, entry) = read(leaf.index, &leaf.record).unwrap();
            if args.wants(&record, entry.as_ref()) {
                shown.push(RecordView::of(leaf.index, record, entry.as_ref()).subject);
            }
        }
        shown
    }

    #[test]
    fn records_are_filtered_by_kind_actor_job_and_node() {
        assert_eq!(shown(&["--kind", "SubmitJob"]), ["SubmitJob", "SubmitJob"]);
        assert_eq!(shown(&["--kind", "grant"]).len(), 1);
        assert_eq!(shown(&["--kind", "rejected"]), [""; 0]);
        let of_a = shown(&["--job", "sapporo/a"]);
        assert_eq!(of_a.len(), 3, "{of_a:?}");
        let of_user = shown(&["--actor", "user/sapporo", "--kind", "entry"]);
        assert_eq!(of_user, ["SubmitJob", "SubmitJob"]);
        let of_node = shown(&["--node", "tokyo-1/n-01"]);
        assert!(of_node.contains(&"EnrollNode".to_owned()), "{of_node:?}");
        assert_eq!(shown(&["--node", "tokyo-1/n-99"]), [""; 0]);
        assert!(shown(&[]).len() > 20);
    }
}
