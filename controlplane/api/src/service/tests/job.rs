//! Jobs: what is refused at the edge, and what is explained.

use super::write::intent;
use super::*;
use crate::replica::ReplicaError;
use crate::service::job::JobApi;
use crate::service::member::MemberApi;
use sekisho_evidence::canonical::encode;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::testing::{admin, job, user};
use sekisho_proto::convert::job::{NewJob, batch_request};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::status::Severity;
use sekisho_proto::v1::{self, explanation::Verdict};
use sekisho_types::id::{Digest, JobId};
use sekisho_types::job::{After, JobFacts, Kind, When};
use sekisho_types::limit::PAYLOAD_MAX;
use sekisho_types::payload::JobPayload;
use sekisho_types::principal::Principal;
use std::sync::Arc;

pub(super) fn new_job(name: &str, env: &[(&str, &str)]) -> NewJob {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let payload = JobPayload { command: vec!["true".into()], env, ..JobPayload::default() };
    with_payload(name, encode(&payload).unwrap())
}

fn with_payload(name: &str, payload: Vec<u8>) -> NewJob {
    let mut facts = job(name, 1, 1, &["JP-13"]);
    facts.payload = Digest::of(&payload);
    facts.payload_len = payload.len().try_into().unwrap();
    NewJob { facts, payload: payload.into() }
}

fn create(number: u8, job: &NewJob) -> tonic::Request<v1::CreateJobRequest> {
    let submitter = user("kanto", "sapporo");
    let command = Command::SubmitJob { facts: Box::new(job.facts.clone()) };
    let intent = intent(number, &command, std::slice::from_ref(&submitter));
    request(&submitter, job.request(intent))
}

#[tokio::test]
async fn a_job_is_queued_as_it_was_signed_and_shown_to_its_tenant_only() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let job = new_job("train", &[("BATCH", "32")]);
    api.create_job(create(1, &job)).await.unwrap();
    let state = fake.core.replica.state();
    assert_eq!(state.job(&job.facts.id).unwrap().facts, job.facts);
    let kept = fake.core.archive.payload(job.facts.payload).await.unwrap();
    assert_eq!(kept.as_deref(), Some(job.payload.as_ref()));
    let get = |principal| {
        let ask = v1::GetJobRequest { name: "tenants/sapporo/jobs/train".into(), read: None };
        api.get_job(request(&principal, ask))
    };
    let shown = get(user("kanto", "sapporo")).await.unwrap().into_inner();
    assert_eq!((shown.phase(), shown.spec), (v1::job::Phase::Queued, Some((&job.facts).into())));
    assert_eq!(code(get(user("kanto", "stranger")).await), ErrorCode::NotFound);
    let list = |principal, parent: &str| {
        let ask = v1::ListJobsRequest { parent: parent.into(), ..Default::default() };
        api.list_jobs(request(&principal, ask))
    };
    let all = list(admin("hokuto"), "tenants/-").await.unwrap().into_inner();
    assert_eq!(all.jobs.len(), 1);
    let none = list(user("kanto", "stranger"), "tenants/-").await.unwrap().into_inner();
    assert_eq!(none.jobs, []);
    let hidden = list(user("kanto", "stranger"), "tenants/sapporo").await;
    assert_eq!(code(hidden), ErrorCode::NotFound);
    let cancel = |number| {
        let id = job.facts.id.clone();
        let submitter = user("kanto", "sapporo");
        let intent = intent(number, &Command::CancelJob { job: id }, &[]);
        let name = "tenants/sapporo/jobs/train".into();
        api.cancel_job(request(&submitter, v1::CancelJobRequest { name, intent: Some(intent) }))
    };
    cancel(2).await.unwrap();
    let shown = get(user("kanto", "sapporo")).await.unwrap().into_inner();
    assert_eq!(shown.phase(), v1::job::Phase::Cancelled);
}

fn create_all(number: u8, jobs: &[NewJob]) -> tonic::Request<v1::BatchCreateJobsRequest> {
    let submitter = user("kanto", "sapporo");
    let item = |job: &NewJob| Item::SubmitJob { facts: Box::new(job.facts.clone()) };
    let command = Command::Batch(jobs.iter().map(item).collect());
    let intent = intent(number, &command, std::slice::from_ref(&submitter));
    request(&submitter, batch_request(&"sapporo".parse().unwrap(), jobs, intent))
}

#[tokio::test]
async fn a_batch_is_queued_whole_and_ended_whole_or_names_the_one_that_was_not() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let jobs = [new_job("a", &[]), new_job("b", &[("B", "2")]), new_job("c", &[])];
    let written = api.batch_create_jobs(create_all(1, &jobs)).await.unwrap().into_inner();
    let state = fake.core.replica.state();
    for job in &jobs {
        assert_eq!(state.job(&job.facts.id).unwrap().facts, job.facts);
        let kept = fake.core.archive.payload(job.facts.payload).await.unwrap();
        assert_eq!(kept.as_deref(), Some(job.payload.as_ref()));
    }
    let again = api.batch_create_jobs(create_all(1, &jobs)).await.unwrap().into_inner();
    assert_eq!(again, written, "same request, same answer");
    let more = [new_job("d", &[]), new_job("b", &[])];
    let refused = api.batch_create_jobs(create_all(2, &more)).await.unwrap_err();
    let refused = ApiError::from_status(&refused);
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert_eq!(refused.metadata.get("item").map(String::as_str), Some("1"));
    assert!(refused.message.starts_with("item 1 of the batch: job sapporo/b"), "{refused:?}");
    assert!(fake.core.replica.state().job(&more[0].facts.id).is_none());
    let secret = [new_job("e", &[]), new_job("f", &[("HF_TOKEN", "x")])];
    let refused = api.batch_create_jobs(create_all(3, &secret)).await.unwrap_err();
    let refused = ApiError::from_status(&refused);
    assert_eq!(refused.code, ErrorCode::SecretRefused);
    assert_eq!(refused.fields[0].field, "requests[1].run.env.HF_TOKEN");
    let cancel = |number, who: Principal, names: &[&str]| {
        let of = |name: &&str| format!("sapporo/{name}").parse().unwrap();
        let ids: Vec<JobId> = names.iter().map(of).collect();
        let item = |job: &JobId| Item::CancelJob { job: job.clone() };
        let intent = intent(number, &Command::Batch(ids.iter().map(item).collect()), &[]);
        let names = ids.iter().map(JobId::name).collect();
        let parent = "tenants/sapporo".into();
        let ask = v1::BatchCancelJobsRequest { parent, names, intent: Some(intent) };
        api.batch_cancel_jobs(request(&who, ask))
    };
    let own = || user("kanto", "sapporo");
    assert_eq!(code(cancel(4, own(), &["a", "gone"]).await), ErrorCode::NotFound);
    assert_eq!(code(cancel(5, own(), &[]).await), ErrorCode::InvalidArgument);
    assert_eq!(code(cancel(6, user("kanto", "stranger"), &["a"]).await), ErrorCode::NotFound);
    assert_eq!(code(cancel(7, admin("hokuto"), &["a"]).await), ErrorCode::PermissionDenied);
    assert_eq!(fake.core.replica.state().queue_len(), 3);
    cancel(8, own(), &["a", "b", "c"]).await.unwrap();
    assert_eq!(fake.core.replica.state().queue_len(), 0);
}

/// A dry run says what the log would say: that no entry has room for it.
#[tokio::test]
async fn a_dry_run_of_a_batch_that_fits_no_entry_is_refused() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let fill = "x".repeat(PAYLOAD_MAX - 100);
    let jobs: Vec<NewJob> =
        (0..4).map(|n| new_job(&format!("large-{n}"), &[("FILL", &fill[n..])])).collect();
    let dry = |jobs: &[NewJob]| {
        let mut ask = create_all(1, jobs);
        if let Some(intent) = &mut ask.get_mut().intent {
            intent.validate_only = true;
        }
        api.batch_create_jobs(ask)
    };
    dry(&jobs[1..]).await.unwrap();
    assert_eq!(code(dry(&jobs).await), ErrorCode::TooLarge);
    assert_eq!(fake.replica.proposed.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn secrets_and_unreadable_payloads_are_refused_before_the_log() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let refused = |job: NewJob| api.create_job(create(1, &job));
    assert_eq!(code(refused(new_job("a", &[("HF_TOKEN", "x")])).await), ErrorCode::SecretRefused);
    let reserved = refused(new_job("a", &[("SEKISHO_EPOCH", "1")])).await;
    assert_eq!(code(reserved), ErrorCode::InvalidArgument);
    assert_eq!(
        code(refused(with_payload("a", b"true".to_vec())).await),
        ErrorCode::InvalidArgument
    );
    // The signature stands under the facts; another payload does not fit them.
    let good = new_job("a", &[]);
    let other = NewJob { payload: new_job("a", &[("B", "2")]).payload, ..good };
    assert_eq!(code(refused(other).await), ErrorCode::InvalidArgument);
    assert_eq!(fake.replica.proposed.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_plan_says_what_would_happen_and_why() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let plan = |areas: &[&str]| {
        let mut spec = v1::JobSpec::from(&job("x", 1, 1, areas));
        spec.payload_sha256.clear();
        let (parent, job_id) = ("tenants/sapporo".into(), "x".into());
        let ask = v1::PlanJobRequest { parent, job_id, spec: Some(spec) };
        let answer = api.plan_job(request(&user("kanto", "sapporo"), ask));
        async { answer.await.unwrap().into_inner() }
    };
    let now = plan(&["JP-13"]).await;
    assert_eq!(now.verdict(), Verdict::PlacedNow);
    assert_eq!(
        now.summary, "2 of 6 nodes pass, 1 needed",
        "the verdict is said once, by its field"
    );
    let never = plan(&["JP-47"]).await;
    assert_eq!(never.verdict(), Verdict::Never);
    assert_eq!(never.binding, "RESIDENCY_AREA");
    assert!(never.summary.contains("RESIDENCY_AREA"), "{}", never.summary);
    let id = fake.replica.elsewhere(|federation| federation.submit(job("y", 1, 1, &["JP-47"])));
    let ask = v1::ExplainJobRequest { name: format!("tenants/sapporo/jobs/{}", id.name) };
    let answer = api.explain_job(request(&user("kanto", "sapporo"), ask)).await.unwrap();
    assert_eq!(answer.into_inner().queue_position, Some(0));
    // A name that is taken is said first: the job would be refused whatever room there is.
    let spec = Some(v1::JobSpec::from(&job("y", 1, 1, &[])));
    let ask = v1::PlanJobRequest { parent: "tenants/sapporo".into(), job_id: "y".into(), spec };
    let taken = api.plan_job(request(&user("kanto", "sapporo"), ask)).await;
    assert_eq!(code(taken), ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn what_fares_worse_than_it_was_planned_is_not_queued() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let revision = fake.core.replica.state().revision().0;
    let planned = |number, job: &NewJob, revision, verdict: Verdict| {
        let mut ask = create(number, job);
        let verdict = verdict.into();
        ask.get_mut().if_plan = Some(v1::PlanGuard { revision, verdict });
        api.create_job(ask)
    };
    let queued = || fake.core.replica.state().queue_len();
    let (first, second) = (new_job("first", &[]), new_job("second", &[("N", "2")]));
    // Something that it does not know, or has not come to.
    let none = planned(1, &first, revision, Verdict::Unspecified).await;
    assert_eq!(code(none), ErrorCode::InvalidArgument);
    let ahead = planned(2, &first, revision + 1000, Verdict::PlacedNow).await;
    assert_eq!((code(ahead), queued()), (ErrorCode::StaleRead, 0));
    let written = planned(3, &first, revision, Verdict::PlacedNow).await.unwrap().into_inner();
    assert_eq!(queued(), 1);
    for node in ["tokyo-1/n-01", "tokyo-1/n-02"] {
        let node = node.parse().unwrap();
        let cordon = Command::SetSchedulable { node, schedulable: false };
        fake.replica.elsewhere(|federation| drop(federation.accept(admin("kanto"), cordon)));
    }
    let refused = planned(4, &second, revision, Verdict::PlacedNow).await.unwrap_err();
    let refused = ApiError::from_status(&refused);
    assert_eq!((refused.code, queued()), (ErrorCode::PlanMoved, 1));
    assert!(refused.message.ends_with(": would wait, NODE_UNAVAILABLE"), "{}", refused.message);
    // A repeat hears what the first run heard; and who planned to wait may.
    let again = planned(3, &first, revision, Verdict::PlacedNow).await.unwrap().into_inner();
    assert_eq!(again, written);
    planned(5, &second, revision, Verdict::WouldWait).await.unwrap();
    assert_eq!(queued(), 2);
    let mut batch = create_all(6, &[new_job("third", &[])]);
    let guard = v1::PlanGuard { revision, verdict: Verdict::Never.into() };
    batch.get_mut().requests[0].if_plan = Some(guard);
    let refused = ApiError::from_status(&api.batch_create_jobs(batch).await.unwrap_err());
    assert_eq!(refused.fields[0].field, "requests[0].if_plan");
}

#[tokio::test]
async fn output_outside_the_area_is_elsewhere() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let place = |name: &str, areas: &[&str], node: &str| {
        fake.replica.elsewhere(|federation| {
            let id = federation.submit(job(name, 1, 1, areas));
            federation.place(&id, &[node]);
        });
    };
    place("north", &["JP-01"], "ishikari-1/n-01");
    place("here", &["JP-13"], "tokyo-1/n-01");
    let read = |name: &str, rank| {
        let name = format!("tenants/sapporo/jobs/{name}");
        let ask = v1::ReadJobLogsRequest { name, rank, ..Default::default() };
        api.read_job_logs(request(&user("kanto", "sapporo"), ask))
    };
    let error = ApiError::from_status(&read("north", 0).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::LogsElsewhere);
    assert_eq!(error.metadata.get("endpoint").map(String::as_str), Some("127.0.0.1:7001"));
    // Here, but the node is attached to nobody; and no such member of the group.
    assert_eq!(code(read("here", 0).await), ErrorCode::NodeUnavailable);
    assert_eq!(code(read("here", 1).await), ErrorCode::InvalidArgument);
}

/// R2: the member that a caller is sent to for output may be behind the one that acknowledged the job.
#[tokio::test]
async fn output_of_a_job_that_this_member_has_not_heard_of_yet_is_read_once_it_has() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let read = || {
        let name = "tenants/sapporo/jobs/here".to_owned();
        let ask = v1::ReadJobLogsRequest { name, ..Default::default() };
        api.read_job_logs(request(&user("kanto", "sapporo"), ask))
    };
    fake.replica.fall_behind();
    fake.replica.elsewhere(|federation| {
        federation.submit(job("here", 1, 1, &["JP-13"]));
    });
    // Whether there is such a job cannot be said alone.
    *fake.replica.failure.lock() = Some(ReplicaError::NoLeader);
    assert_eq!(code(read().await), ErrorCode::NoLeader);
    *fake.replica.failure.lock() = None;
    // Known, and without a place.
    assert_eq!(code(read().await), ErrorCode::InvalidArgument);
    fake.replica.fall_behind();
    fake.replica.elsewhere(|federation| {
        federation.place(&"sapporo/here".parse().unwrap(), &["tokyo-1/n-01"]);
    });
    // Placed on a node that is attached to nobody.
    assert_eq!(code(read().await), ErrorCode::NodeUnavailable);
    // What this member knows it tells alone.
    *fake.replica.failure.lock() = Some(ReplicaError::NoLeader);
    assert_eq!(code(read().await), ErrorCode::NodeUnavailable);
}

#[tokio::test]
async fn a_job_that_waits_for_another_one_is_held_and_says_so() {
    let fake = fake();
    let api = JobApi(Arc::clone(&fake.core));
    let by = user("kanto", "sapporo");
    let prep = new_job("prep", &[]);
    api.create_job(create(1, &prep)).await.unwrap();
    let waiting = |name: &str, on: &str| {
        let mut job = new_job(name, &[]);
        job.facts.after = vec![After { job: on.parse().unwrap(), when: When::Succeeded }].into();
        job
    };
    let train = waiting("train", "prep");
    api.create_job(create(2, &train)).await.unwrap();
    let (parent, filter) = ("tenants/sapporo".to_owned(), "phase = HELD".to_owned());
    let ask = v1::ListJobsRequest { parent, filter, ..Default::default() };
    let held = api.list_jobs(request(&by, ask)).await.unwrap().into_inner().jobs;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].spec, Some((&train.facts).into()));
    let ask = v1::ExplainJobRequest { name: "tenants/sapporo/jobs/train".into() };
    let found = api.explain_job(request(&by, ask)).await.unwrap().into_inner();
    let verdict = (found.verdict(), found.binding.as_str());
    assert_eq!(verdict, (Verdict::WouldWait, "DEPENDENCY_WAITS"));
    let lost = api.create_job(create(3, &waiting("lost", "nobody"))).await;
    assert_eq!(code(lost), ErrorCode::DependencyUnknown);
}

#[tokio::test]
async fn a_service_that_lacks_replicas_is_counted_for_all_and_named_to_its_tenant() {
    let fake = fake();
    let short = async || {
        let api = MemberApi(Arc::clone(&fake.core));
        let status = api.get_status(request(&admin("kanto"), v1::GetStatusRequest {})).await;
        let found = status.unwrap().into_inner().findings.into_iter();
        found.filter(|found| found.code == "SERVICE_SHORT").collect::<Vec<_>>()
    };
    let listed = async |filter: &str| {
        let (parent, filter) = ("tenants/sapporo".to_owned(), filter.to_owned());
        let ask = v1::ListJobsRequest { parent, filter, ..Default::default() };
        let api = JobApi(Arc::clone(&fake.core));
        let jobs = api.list_jobs(request(&user("kanto", "sapporo"), ask)).await.unwrap();
        let names = jobs.into_inner().jobs.into_iter().map(|job| job.name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(short().await, []);
    let web = fake.replica.elsewhere(|federation| {
        federation.submit(job("train", 1, 1, &[]));
        let kind = Kind::Service { replicas: 1, surge: 1 };
        federation.submit(JobFacts { kind, ..job("web", 1, 1, &[]) })
    });
    let found = short().await;
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.severity(), found.args["count"].as_str()), (Severity::Warn, "1"));
    assert!(!found.what.contains("web"), "whoever reads it may not know the tenant");
    assert_eq!(listed("short = true").await, "tenants/sapporo/jobs/web");
    assert_eq!(listed("kind = SERVICE").await, "tenants/sapporo/jobs/web");
    assert_eq!(listed("kind = BATCH").await, "tenants/sapporo/jobs/train");
    let by = user("kanto", "sapporo");
    fake.replica.elsewhere(|federation| {
        federation.accept(by, Command::CancelJob { job: web });
    });
    assert_eq!((short().await, listed("short = true").await), (vec![], String::new()));
}
