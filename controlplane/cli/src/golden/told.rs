//! Test-only: what a run says about a refusal or a state that takes a member's answers in turn.

use super::Fixed;
use super::answers::job;
use super::server::Answers;
use crate::exit::Exit;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_types::error_code::{ErrorCode, Language};

fn denied() -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, "hokuto/user/sapporo may not ReadTenant here")
}

fn tenants(ids: &[&str]) -> v1::ListTenantsResponse {
    let tenant = |id: &&str| v1::Tenant { name: format!("tenants/{id}"), ..Default::default() };
    v1::ListTenantsResponse { tenants: ids.iter().map(tenant).collect(), ..Default::default() }
}

#[test]
fn who_may_not_watch_every_tenants_jobs_is_woken_by_those_of_its_own() {
    let jobs = |phase| v1::ListJobsResponse {
        jobs: vec![job("sapporo/train", phase, "")],
        ..Default::default()
    };
    let event = v1::watch_response::Item::Job(job("sapporo/x", v1::job::Phase::Queued, ""));
    let event = v1::WatchResponse { revision: 4712, item: Some(event) };
    let answers = Answers::default()
        .with("JobService/ListJobs", &jobs(v1::job::Phase::Queued))
        .with("JobService/ListJobs", &jobs(v1::job::Phase::Queued))
        .with("JobService/ListJobs", &jobs(v1::job::Phase::Running))
        .refusing("JobService/ListJobs", denied())
        .refusing("EventService/Watch", denied())
        .with("EventService/Watch", &event)
        .with("TenantService/ListTenants", &tenants(&["sapporo"]));
    let federation = Fixed::new(answers.clone());
    let said = federation.run("job list --watch -o json", Language::En, 80);
    assert_eq!((said.exit, said.out.lines().count()), (Exit::Auth, 2), "{}{}", said.out, said.err);
    let asked = answers.sent::<v1::WatchRequest>("EventService/Watch");
    let parents: Vec<&str> = asked.iter().take(2).map(|ask| ask.parent.as_str()).collect();
    assert_eq!(parents, ["", "tenants/sapporo"]);
    // What is of one tenant is asked for at once.
    let answers = Answers::default()
        .with("JobService/ListJobs", &jobs(v1::job::Phase::Queued))
        .refusing("JobService/ListJobs", denied())
        .with("EventService/Watch", &event);
    let federation = Fixed::new(answers.clone());
    federation.run("job list --tenant sapporo --watch -o json", Language::En, 80);
    assert_eq!(answers.sent::<v1::WatchRequest>("EventService/Watch")[0].parent, "tenants/sapporo");
}

#[test]
fn a_watch_of_everybodys_jobs_that_is_refused_names_the_one_that_is_not() {
    let answers = |ids: &[&str]| {
        Answers::default()
            .refusing("EventService/Watch", denied())
            .with("TenantService/ListTenants", &tenants(ids))
    };
    let one = Fixed::new(answers(&["sapporo"])).run("watch jobs", Language::En, 80);
    let remedy =
        "remedy: watch the tenants that you may read, one by one: sekisho watch 'jobs:sapporo/*'\n";
    assert!(one.exit == Exit::Auth && one.err.contains(remedy), "{}", one.err);
    let two = Fixed::new(answers(&["minato", "sapporo"])).run("watch jobs", Language::Ja, 80);
    assert!(two.err.contains("sekisho watch 'jobs:minato/*'"), "{}", two.err);
    assert!(two.err.contains("ほかに閲覧できるテナント: sapporo"), "{}", two.err);
    let nodes = Fixed::new(answers(&["sapporo"])).run("watch nodes", Language::En, 80);
    assert!(!nodes.err.contains("sekisho watch"), "{}", nodes.err);
}

#[test]
fn a_plan_under_a_name_that_is_taken_says_how_to_plan_it_under_another() {
    let exists = ApiError::new(ErrorCode::AlreadyExists, "job sapporo/train exists");
    let federation = Fixed::new(Answers::default().refusing("JobService/PlanJob", exists));
    let file = federation.contexts().with_file_name("job.yaml").display().to_string();
    let line = format!("job plan {file} --name train");
    for language in [Language::En, Language::Ja] {
        let said = federation.run(&line, language, 80);
        assert_eq!(said.exit, Exit::Conflict, "{}", said.err);
        let again = format!("sekisho job plan {file} --name train-2");
        assert!(said.err.contains("ALREADY_EXISTS") && said.err.contains(&again), "{}", said.err);
        assert!(said.err.contains("sekisho job explain ") && !said.err.contains("next"));
    }
}

#[test]
fn a_job_that_has_its_places_is_not_said_to_be_placed_now() {
    let summary = "has its places on tokyo-1/n-01 since 2026-11-22T01:02:03.000Z; all its members run since 2026-11-22T01:03:00.000Z; tokyo-1/n-01 is being drained";
    let answer = v1::Explanation {
        revision: 4711,
        verdict: v1::explanation::Verdict::PlacedNow.into(),
        summary: summary.into(),
        has_places: true,
        ..Default::default()
    };
    let federation = Fixed::new(Answers::default().with("JobService/ExplainJob", &answer));
    let said = |language, more: &str| {
        federation.run(&format!("job explain sapporo/train{more}"), language, 200).out
    };
    assert_eq!(said(Language::En, ""), format!("placed: {summary}\n"));
    assert_eq!(
        said(Language::Ja, ""),
        "配置済み: tokyo-1/n-01 に 2026-11-22T01:02:03.000Z から配置済み。全メンバーが 2026-11-22T01:03:00.000Z から実行中。tokyo-1/n-01 は退避中です\n"
    );
    assert!(said(Language::En, " -o json").contains("\"has_places\": true"));
}

#[test]
fn of_a_job_that_was_called_it_is_said_that_its_turn_came() {
    let answer = v1::Explanation {
        verdict: v1::explanation::Verdict::WouldWait.into(),
        queue_position: Some(40),
        called_before: Some(1),
        ..Default::default()
    };
    let federation = Fixed::new(Answers::default().with("JobService/ExplainJob", &answer));
    let said = federation.run("job explain sapporo/train", Language::En, 200).out;
    assert!(said.contains("called before it: 1") && !said.contains("40"), "{said}");
}
