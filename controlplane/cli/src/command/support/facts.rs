//! What is gathered, each file by itself: one that cannot be had is named with its reason and stops no other.

mod charge;

use super::pseudonym::Pseudonyms;
use super::{Missing, json};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::command::list::{ListArgs, pages};
use crate::context::Contexts;
use crate::failure::Failure;
use crate::language::pick;
use crate::verify::lost::command_name;
use sekisho_doctor::host::clock as clocks;
use sekisho_doctor::host::machine::{Needs, machine};
use sekisho_doctor::round::Round;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::entry::Entry;
use sekisho_proto::name::ANY;
use sekisho_proto::v1;
use sekisho_transport::clock::SystemClock;
use sekisho_types::time::Clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of one kind that a bundle holds: ten times what one looks through.
const ROWS_MAX: usize = 10_000;

/// Environment variables that decide how this program speaks. Of `SEKISHO_…` only whether they are set.
const SPOKEN: &[&str] = &["LC_ALL", "LC_MESSAGES", "LANG", "TERM", "NO_COLOR"];
const SET: &[&str] = &["SEKISHO_CONFIG", "SEKISHO_CONTEXT", "SEKISHO_HOME", "XDG_RUNTIME_DIR"];

/// Files by name with what they are, and what is not there.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) files: Vec<(&'static str, &'static str, Vec<u8>)>,
    pub(super) missing: Vec<Missing>,
}

impl Facts {
    /// Everything that this principal may see.
    pub(super) async fn gather(app: &mut App<'_>, records: u32, names: &mut Pseudonyms) -> Self {
        let mut facts = Self::default();
        facts.take("program.json", "this program and how it is set up", Ok(program(app)));
        facts.take(
            "host.json",
            "what doctor finds of this host: codes, no values",
            Ok(host().await),
        );
        let contexts = app.contexts().cloned();
        facts.take(
            "contexts.json",
            "shape of the contexts file",
            contexts.map(|all| shape(&all, names)),
        );
        let asked = match app.session() {
            Ok(session) => hello(&session, names).await.map(|hello| (session, hello)),
            Err(failure) => Err(failure),
        };
        match asked {
            Ok((session, hello)) => {
                facts.take("hello.json", "who asked whom", Ok(hello));
                facts.federation(app, &session, records, names).await;
            }
            // Whoever does not answer to this does not answer to the rest.
            Err(failure) => facts.take("hello.json", "everything of the federation", Err(failure)),
        }
        facts
    }

    async fn federation(
        &mut self,
        app: &App<'_>,
        session: &Session,
        records: u32,
        names: &mut Pseudonyms,
    ) {
        self.take("status.json", "health of the federation", status(session, names).await);
        self.take("sites.json", "sites", sites(app, session, names).await);
        self.take("nodes.json", "nodes", nodes(app, session, names).await);
        let quotas = charge::quotas(app, session, names).await;
        self.take("quotas.json", "quotas and their use", quotas);
        let budgets = charge::budgets(app, session, names).await;
        self.take("budgets.json", "budgets and what is left of them", budgets);
        let offers = charge::offers(app, session, names).await;
        self.take("offers.json", "what operators offer", offers);
        let reserved = charge::reservations(app, session, names).await;
        self.take("reservations.json", "what operators reserved for tenants", reserved);
        let vetoes = charge::vetoes(app, session, names).await;
        self.take("vetoes.json", "what operators do not take, without why", vetoes);
        let escrows = charge::escrows(app, session, names).await;
        self.take("escrows.json", "quota that sites hold", escrows);
        self.take("jobs.json", "how many jobs are in which phase", jobs(app, session).await);
        let what = "last rejections of the audit log: when, what kind, which code";
        self.take("denials.json", what, denials(session, u64::from(records)).await);
    }

    fn take(&mut self, file: &'static str, what: &'static str, value: Result<Value, Failure>) {
        match value.and_then(|value| json(&value)) {
            Ok(bytes) => self.files.push((file, what, bytes)),
            // The code alone: its sentence may name something.
            Err(failure) => self.missing.push(Missing { what, why: failure.code.to_string() }),
        }
    }
}

fn program(app: &App<'_>) -> Value {
    let said: BTreeMap<_, _> =
        SPOKEN.iter().filter_map(|name| Some((name, std::env::var(name).ok()?))).collect();
    let set: Vec<_> = SET.iter().filter(|name| std::env::var_os(name).is_some()).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "processor": std::env::consts::ARCH,
        "language": pick(app.output.language, "en", "ja"),
        "width": app.output.width,
        "color": app.output.color,
        "timeout_s": app.global.timeout,
        "environment": said,
        "set": set,
    })
}

/// Checks and what came out of them, without the values: those are paths, names and numbers of this host.
async fn host() -> Value {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut round = Round::new();
    let needs = Needs { pid: None, files: 0, memory: 0 };
    machine(&mut round, &clock, needs, vec![clocks::oldest()]).await;
    let found = round.findings();
    let told = |finding: &sekisho_doctor::check::Finding| json!({ "check": finding.check.id, "result": finding.level(), "code": finding.outcome.code });
    json!(found.iter().map(told).collect::<Vec<_>>())
}

fn shape(contexts: &Contexts, names: &mut Pseudonyms) -> Value {
    let mut all = Vec::new();
    for (name, context) in &contexts.context {
        let endpoints: Vec<_> = context
            .endpoints
            .iter()
            .map(|endpoint| {
                json!({
                    "operator": names.of("operator", endpoint.operator.as_str()),
                    "site": names.of("site", endpoint.site.as_str()),
                    "address": names.of("address", &endpoint.address),
                })
            })
            .collect();
        all.push(json!({
            "context": names.of("context", name),
            "in_use": contexts.current.as_deref() == Some(name),
            "cluster": names.of("cluster", &context.cluster.to_string()),
            "incarnation": context.incarnation.0,
            "bundle_version": context.bundle_version,
            "bundle_pinned": context.bundle.is_some(),
            "operator": names.of("operator", context.operator.as_str()),
            "signs": context.signing_key.is_some(),
            "dev": context.dev,
            "resolvers": context.resolvers.len(),
            "roots": context.roots.len(),
            "endpoints": endpoints,
        }));
    }
    json!(all)
}

async fn hello(session: &Session, names: &mut Pseudonyms) -> Result<Value, Failure> {
    let hello = session.client.hello().await?;
    // A role may name a tenant or a site behind a colon.
    let roles: Vec<_> = hello
        .roles
        .iter()
        .map(|role| match role.split_once(':') {
            Some((role, of)) => format!("{role}:{}", names.of("tenant", of)),
            None => role.clone(),
        })
        .collect();
    Ok(json!({
        "principal": names.of("principal", &hello.principal),
        "roles": roles,
        "member": names.resource(&hello.member),
        "cluster": names.of("cluster", &hello.cluster),
        "incarnation": hello.incarnation,
        "revision": hello.revision,
        "feature_level": hello.feature_level,
        "dev": hello.dev,
    }))
}

async fn status(session: &Session, names: &mut Pseudonyms) -> Result<Value, Failure> {
    let request = v1::GetStatusRequest {};
    let status =
        ask!(session.client, member_service_client::MemberServiceClient, get_status, request)?;
    let mut findings = Vec::new();
    for finding in &status.findings {
        // Numbers stay; what is not one is a name.
        let args: BTreeMap<_, _> = finding
            .args
            .iter()
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .map(|(name, value)| match value.parse::<u64>() {
                Ok(_) => (name, value.clone()),
                Err(_) => (name, names.of("value", value)),
            })
            .collect();
        // Not its sentence, whatever was asked for: code and values say the same, and free text may name anything.
        findings.push(json!({ "severity": finding.severity, "code": finding.code, "args": args }));
    }
    let members: Vec<_> = status.members.iter().map(|member| about(member, names)).collect();
    let missing: Vec<_> =
        status.missing_signers.iter().map(|of| names.of("operator", of)).collect();
    Ok(json!({
        "revision": status.revision, "term": status.term, "leader": names.resource(&status.leader),
        "audit_size": status.audit_size, "audit_uncovered": status.audit_uncovered,
        "k": status.k, "missing_signers": missing, "state_digest": status.state_digest,
        "jobs_queued": status.jobs_queued, "jobs_running": status.jobs_running,
        "nodes_ready": status.nodes_ready, "nodes_total": status.nodes_total,
        "gpus_used": status.gpus_used, "gpus_total": status.gpus_total,
        "findings": findings, "members": members,
    }))
}

fn about(member: &v1::Member, names: &mut Pseudonyms) -> Value {
    json!({
        "member": names.resource(&member.name),
        "operator": names.of("operator", &member.operator),
        "site": names.of("site", &member.site),
        "address": names.of("address", &member.address),
        "leader": member.leader, "role": member.role, "standing": member.standing,
        "lag": member.lag, "matched": member.matched, "reachable": member.reachable,
        "silent_for_ms": member.silent_for_ms, "signed_revision": member.signed_revision,
        "signs": member.signer_problem.is_empty(),
    })
}

async fn sites(app: &App<'_>, session: &Session, names: &mut Pseudonyms) -> Result<Value, Failure> {
    let (sites, beside) = crate::command::site::all(app, session, &ListArgs::default()).await?;
    let told: Vec<_> = sites
        .iter()
        .take(ROWS_MAX)
        .map(|site| {
            json!({
                "site": names.resource(&site.name),
                "operator": names.of("operator", &site.operator),
                "area": names.of("area", &site.area),
                "nodes": site.nodes, "revoked": site.revoked, "has_key": !site.sealing_key.is_empty(),
                "watts": site.power_used_watts, "watts_cap": site.power_cap_watts,
            })
        })
        .collect();
    let silent: Vec<_> = beside.unreachable.iter().map(|name| names.resource(name)).collect();
    Ok(json!({ "revision": beside.revision, "sites": told, "unreachable": silent }))
}

async fn nodes(app: &App<'_>, session: &Session, names: &mut Pseudonyms) -> Result<Value, Failure> {
    let (nodes, page) = pages!(nodes, ROWS_MAX, |page_token| {
        let request = v1::ListNodesRequest {
            parent: format!("sites/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, node_service_client::NodeServiceClient, list_nodes, request)
    });
    let told: Vec<_> = nodes.iter().map(|node| node_facts(node, names)).collect();
    Ok(json!({ "revision": page.revision, "nodes": told }))
}

fn node_facts(node: &v1::Node, names: &mut Pseudonyms) -> Value {
    let buckets: Vec<_> = node
        .buckets
        .iter()
        .map(|b| json!({ "class": b.device_class, "count": b.count, "used": b.used }))
        .collect();
    let findings: Vec<_> = node
        .findings
        .iter()
        .map(|unfit| json!({ "check": unfit.check, "blocks": unfit.blocks }))
        .collect();
    json!({
        "node": names.resource(&node.name),
        "operator": names.of("operator", &node.operator),
        "area": names.of("area", &node.area),
        "tiers": [node.country_tier, node.area_tier],
        "state": node.state().as_str_name(),
        "schedulable": node.schedulable, "pending": node.pending, "drains": node.drain.is_some(),
        "quarantined": node.quarantine.is_some(), "placements": node.placements.len(),
        "buckets": buckets, "findings": findings,
    })
}

/// Counts alone: a job's name, image and sentence are its tenant's.
async fn jobs(app: &App<'_>, session: &Session) -> Result<Value, Failure> {
    let (jobs, page) = pages!(jobs, ROWS_MAX, |page_token| {
        let request = v1::ListJobsRequest {
            parent: format!("tenants/{ANY}"),
            page_size: PAGE,
            page_token,
            read: app.read(),
            ..Default::default()
        };
        ask!(session.client, job_service_client::JobServiceClient, list_jobs, request)
    });
    let mut phases = BTreeMap::<&str, u64>::new();
    for job in &jobs {
        let count = phases.entry(job.phase().as_str_name()).or_default();
        *count = count.saturating_add(1);
    }
    Ok(json!({ "revision": page.revision, "counted": jobs.len(), "phases": phases }))
}

async fn denials(session: &Session, count: u64) -> Result<Value, Failure> {
    let size = records(session, 0, 1).await?.size;
    let (mut told, mut start) = (Vec::new(), size.saturating_sub(count));
    while start < size {
        let page = records(session, start, PAGE).await?;
        if page.records.is_empty() {
            break;
        }
        for record in &page.records {
            start = record.index.saturating_add(1);
            told.extend(denied(record));
        }
    }
    Ok(json!({ "audit_size": size, "denials": told }))
}

async fn records(
    session: &Session,
    start: u64,
    page_size: u32,
) -> Result<v1::ListRecordsResponse, Failure> {
    let request = v1::ListRecordsRequest { start, page_size };
    ask!(session.client, audit_service_client::AuditServiceClient, list_records, request)
}

/// A rejection without whose it was.
fn denied(record: &v1::AuditRecord) -> Option<Value> {
    let parsed = Record::parse(&record.record).ok()?;
    let Body::Entry { entry, rejected: Some(code) } = parsed.body else { return None };
    let entry: Entry = decode(&entry).ok()?;
    // Its first word is the kind of command; what follows names what it was about.
    let kind = command_name(&entry.command);
    let kind = kind.split([' ', '/']).next().unwrap_or_default().to_owned();
    Some(
        json!({ "index": record.index, "time_ms": parsed.time.0, "kind": kind, "code": code.as_str() }),
    )
}
