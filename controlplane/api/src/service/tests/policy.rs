//! What a change of a policy would do, how far one is enforced, and who qualifies: as apply would say, and no more than the
//! caller may see.

use super::*;
use crate::service::member::MemberApi;
use crate::service::policy::PolicyApi;
use crate::service::tenant::TenantApi;
use sekisho_evidence::grant::Instance;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{Federation, admin, job, member, user};
use sekisho_proto::v1;
use sekisho_proto::v1::lagging::Cause;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::policy_service_server::PolicyService as _;
use sekisho_proto::v1::status::Severity;
use sekisho_proto::v1::tenant_service_server::TenantService as _;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::jurisdiction::Area;
use sekisho_types::patch::Patch;
use sekisho_types::quota::Limit;
use sekisho_types::residency::Rules;
use sekisho_types::revision::Epoch;
use std::sync::Arc;

const HERE: &str = "tokyo-1/n-01";
const NORTH: &str = "ishikari-1/n-01";

fn within(areas: &[&str]) -> Rules {
    let areas = areas.iter().map(|area| Area::resolve(area).unwrap()).collect();
    Rules { areas, ..Rules::default() }
}

fn put(federation: &mut Federation, rules: Rules) {
    let policy = "gov".parse().unwrap();
    let expected = federation.state.policy(&policy).map(|row| row.revision);
    federation.accept(admin("kanto"), Command::PutPolicy { policy, rules, expected });
}

/// A job of a tenant under `gov`; placed there if told so.
fn submit(federation: &mut Federation, tenant: &str, name: &str, node: Option<&str>) -> JobId {
    let mut facts = job(name, 1, 1, &[]);
    facts.id.tenant = tenant.parse().unwrap();
    facts.policy = Some("gov".parse().unwrap());
    if name.starts_with("completes") {
        facts.on_disconnect = OnDisconnect::RunToCompletion;
    }
    let id = federation.submit(facts);
    if let Some(node) = node {
        federation.place(&id, &[node]);
    }
    id
}

/// Under a policy of Tokyo and Hokkaido: three run here, one in the north, one waits.
fn furnished() -> Fake {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        put(federation, within(&["JP-13", "JP-01"]));
        submit(federation, "sapporo", "batch", Some(HERE));
        submit(federation, "sapporo", "completes", Some(HERE));
        submit(federation, "otaru", "other", Some(HERE));
        submit(federation, "sapporo", "north", Some(NORTH));
        let mut waits = job("waits", 1, 1, &["JP-13"]);
        waits.policy = Some("gov".parse().unwrap());
        federation.submit(waits);
    });
    fake
}

async fn plan(fake: &Fake, who: &str, rules: &Rules) -> v1::PlanPolicyResponse {
    let api = PolicyApi(Arc::clone(&fake.core));
    let ask = v1::PlanPolicyRequest {
        name: "policies/gov".into(),
        rules: Some(rules.into()),
        read: None,
    };
    let who = if who == "sapporo" { user("kanto", who) } else { admin(who) };
    api.plan_policy(request(&who, ask)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_plan_lists_what_apply_would_move_and_moves_nothing() {
    let fake = furnished();
    let before = fake.core.replica.applied();
    let north = within(&["JP-01"]);
    let planned = plan(&fake, "kanto", &north).await;
    let rows = |planned: &v1::PlanPolicyResponse| {
        planned.departures.iter().map(|row| row.job.clone()).collect::<Vec<_>>()
    };
    let due = [
        "tenants/sapporo/jobs/completes",
        "tenants/otaru/jobs/other",
        "tenants/sapporo/jobs/batch",
    ];
    assert_eq!(rows(&planned), due, "what runs to completion comes first");
    assert_eq!((planned.departure_count, planned.completing_count, planned.job_count), (3, 1, 3));
    let row = &planned.departures[0];
    assert_eq!(
        (row.node.as_str(), row.reason.as_str()),
        ("sites/tokyo-1/nodes/n-01", "RESIDENCY_AREA")
    );
    let stranded: Vec<_> =
        planned.stranded.iter().map(|row| (row.job.as_str(), row.reason.as_str())).collect();
    assert_eq!(stranded, [("tenants/sapporo/jobs/waits", "RESIDENCY_AREA")]);
    assert_eq!((planned.lost_count, planned.gained_count), (2, 0));
    assert_eq!(
        (planned.lost_sites.as_slice(), planned.within_ms),
        (&["sites/tokyo-1".to_owned()][..], 21_000)
    );
    // A tenant's user reads of its own work, and hears that there is more.
    let own = plan(&fake, "sapporo", &north).await;
    assert_eq!((own.departure_count, own.partial, planned.partial), (2, true, false));
    // Nothing changed, and what apply moves is what was planned.
    assert_eq!(fake.core.replica.applied(), before);
    fake.replica.elsewhere(|federation| put(federation, north.clone()));
    let mut moved: Vec<String> =
        fake.core.replica.state().denied().into_keys().map(|id| id.to_string()).collect();
    moved.sort();
    assert_eq!(moved, ["otaru/other", "sapporo/batch", "sapporo/completes"]);
    assert_eq!(plan(&fake, "kanto", &north).await.departure_count, 0, "they leave in any case");
    let wider = plan(&fake, "kanto", &within(&["JP-01", "JP-27"])).await;
    assert_eq!(
        (wider.gained_count, wider.gained_sites.as_slice()),
        (2, &["sites/sakai-1".to_owned()][..])
    );
}

#[tokio::test]
async fn a_plan_is_refused_as_the_change_would_be() {
    let fake = furnished();
    let api = PolicyApi(Arc::clone(&fake.core));
    let ask = |name: &str, rules: Option<v1::Rules>| {
        let ask = v1::PlanPolicyRequest { name: name.into(), rules, read: None };
        api.plan_policy(request(&admin("kanto"), ask))
    };
    let rules = || Some(v1::Rules::from(&Rules::default()));
    assert_eq!(code(ask("policies/nowhere", rules()).await), ErrorCode::NotFound);
    assert_eq!(code(ask("policies/gov", None).await), ErrorCode::InvalidArgument);
    let unknown = Rules { operators: ["nobody".parse().unwrap()].into(), ..Rules::default() };
    let unknown = ask("policies/gov", Some((&unknown).into())).await;
    assert_eq!(code(unknown), ErrorCode::OperatorUnknown);
    let ask = v1::PlanPolicyRequest { name: "policies/gov".into(), rules: rules(), read: None };
    let stranger = api.plan_policy(request(&user("kanto", "stranger"), ask)).await;
    assert_eq!(code(stranger), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_tenants_bound_is_planned_as_a_policy_is() {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        put(federation, within(&["JP-01"]));
        for tenant in ["sapporo", "otaru"] {
            let mut facts = job("batch", 1, 1, &[]);
            facts.id.tenant = tenant.parse().unwrap();
            let id = federation.submit(facts);
            federation.place(&id, &[HERE]);
        }
        federation.submit(job("waits", 1, 1, &["JP-13"]));
    });
    let api = TenantApi(Arc::clone(&fake.core));
    let plan = |who: &str, tenant: &str, policy: &str| {
        let (name, policy) = (format!("tenants/{tenant}"), policy.to_owned());
        let who = if who == "stranger" { user("kanto", who) } else { admin(who) };
        api.plan_tenant(request(&who, v1::PlanTenantRequest { name, policy, read: None }))
    };
    let before = fake.core.replica.applied();
    let planned = plan("naniwa", "sapporo", "policies/gov").await.unwrap().into_inner();
    let leaves: Vec<&str> = planned.departures.iter().map(|row| row.job.as_str()).collect();
    assert_eq!(leaves, ["tenants/sapporo/jobs/batch"]);
    let stranded: Vec<&str> = planned.stranded.iter().map(|row| row.job.as_str()).collect();
    assert_eq!(stranded, ["tenants/sapporo/jobs/waits"]);
    assert_eq!((planned.lost_count, planned.lost_sites.len(), planned.gained_count), (4, 2, 0));
    assert_eq!(fake.core.replica.applied(), before);
    fake.replica.elsewhere(|federation| {
        let tenant = "sapporo".parse().unwrap();
        let row = federation.state.tenant(&tenant).unwrap();
        assert_eq!(planned.etag, row.revision.to_string());
        let (display_name, expected) = (Patch::Keep, Some(row.revision));
        let policy = Patch::Set(Some("gov".parse().unwrap()));
        let parent = Patch::Keep;
        let put = Command::PutTenant { tenant, display_name, policy, parent, expected };
        federation.accept(admin("kanto"), put);
    });
    let moved: Vec<String> =
        fake.core.replica.state().denied().into_keys().map(|id| id.to_string()).collect();
    assert_eq!(moved, ["sapporo/batch"], "what was planned");
    let freed = plan("kanto", "sapporo", "").await.unwrap().into_inner();
    assert_eq!((freed.departure_count, freed.gained_count), (0, 4));
    for (who, tenant, policy) in [
        ("kanto", "sapporo", "policies/nowhere"),
        ("kanto", "nobody", "policies/gov"),
        ("stranger", "sapporo", "policies/gov"),
    ] {
        assert_eq!(code(plan(who, tenant, policy).await), ErrorCode::NotFound, "{who} {tenant}");
    }
    assert_eq!(code(plan("kanto", "sapporo", "gov").await), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn what_does_not_leave_in_time_is_shown_with_its_node() {
    let fake = furnished();
    let overdue = async || {
        let api = MemberApi(Arc::clone(&fake.core));
        let status = api.get_status(request(&admin("kanto"), v1::GetStatusRequest {})).await;
        let found = status.unwrap().into_inner().findings.into_iter();
        found.filter(|found| found.code.starts_with("EVICTION")).collect::<Vec<_>>()
    };
    fake.replica.elsewhere(|federation| put(federation, within(&["JP-01"])));
    assert_eq!(overdue().await, []);
    fake.replica.elsewhere(|federation| {
        for _ in 0..3 {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
        }
    });
    let found = overdue().await;
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((found.code.as_str(), found.severity()), ("EVICTION_OVERDUE", Severity::Bad));
    let args = ["node", "count", "seconds"].map(|name| found.args[name].as_str());
    assert_eq!(args, [HERE, "3", "9"]);
}

async fn status(fake: &Fake) -> v1::PolicyStatus {
    let api = PolicyApi(Arc::clone(&fake.core));
    let ask = v1::ListPolicyStatusesRequest { name: "policies/gov".into(), ..Default::default() };
    let page = api.list_policy_statuses(request(&admin("kanto"), ask)).await.unwrap();
    page.into_inner().statuses.remove(0)
}

fn causes(status: &v1::PolicyStatus) -> Vec<(&str, Cause)> {
    status.lagging.iter().map(|row| (row.node.as_str(), row.cause())).collect()
}

#[tokio::test]
async fn a_node_enforces_a_version_once_its_agent_says_so_and_nothing_on_it_has_to_leave() {
    let fake = furnished();
    let (here, north) = ("sites/tokyo-1/nodes/n-01", "sites/ishikari-1/nodes/n-01");
    let found = status(&fake).await;
    assert_eq!((found.placements, found.nodes, found.enforcing), (4, 2, 0));
    assert_eq!(causes(&found), [(north, Cause::Elsewhere), (here, Cause::Elsewhere)]);
    let mut streams = Vec::new();
    for name in [HERE, NORTH] {
        let node: NodeId = name.parse().unwrap();
        let state = fake.core.replica.state();
        let session = state.node(&node).unwrap().session.as_ref().unwrap().id;
        let run = (session, Instance([1; 16]));
        streams.push((node.clone(), fake.core.sessions.attach(&node, run, 0).unwrap()));
    }
    assert_eq!(causes(&status(&fake).await), [(north, Cause::Behind), (here, Cause::Behind)]);
    let accept = |fake: &Fake| {
        let state = fake.core.replica.state();
        for (node, (stream, _)) in &streams {
            let incarnation = state.federation().unwrap().incarnation;
            let (_, revision) = state.node(node).unwrap().desired.unwrap();
            stream.enforces(Epoch { incarnation, revision });
        }
    };
    accept(&fake);
    let found = status(&fake).await;
    assert_eq!((found.enforcing, found.left_ms), (2, None));
    // Tightened: due, told, dead.
    fake.replica.elsewhere(|federation| put(federation, within(&["JP-01"])));
    let found = status(&fake).await;
    assert_eq!((found.leaving, found.enforcing, found.left_ms), (3, 1, Some(21_000)));
    assert_eq!(causes(&found), [(here, Cause::Leaving)]);
    let jobs: Vec<JobId> = fake.core.replica.state().denied().into_keys().collect();
    let evict = Command::EvictDenied { jobs };
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), evict));
    accept(&fake);
    let found = status(&fake).await;
    assert_eq!((found.leaving, found.stopping, found.left_ms), (0, 3, Some(20_000)));
    assert_eq!(causes(&found), [(here, Cause::Stopping)]);
    // Of each policy, with the tenants that it bounds.
    let api = PolicyApi(Arc::clone(&fake.core));
    let ask = v1::ListPolicyStatusesRequest::default();
    let all = api.list_policy_statuses(request(&admin("kanto"), ask)).await.unwrap().into_inner();
    assert_eq!((all.statuses.len(), all.statuses[0].since_ms > 0), (1, true));
    let ask = v1::ListPolicyStatusesRequest { name: "policies/x".into(), ..Default::default() };
    let none = api.list_policy_statuses(request(&admin("kanto"), ask)).await;
    assert_eq!(code(none), ErrorCode::NotFound);
}

#[tokio::test]
async fn who_qualifies_is_told_in_pages_and_the_others_with_why() {
    let fake = furnished();
    let api = PolicyApi(Arc::clone(&fake.core));
    fake.replica.elsewhere(|federation| {
        let node = "tokyo-1/n-02".parse().unwrap();
        federation.accept(admin("kanto"), Command::RevokeNode { node })
    });
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let ask = v1::CheckPolicyRequest {
            name: "policies/gov".into(),
            page_size: 2,
            page_token: token,
            ..Default::default()
        };
        let page = api.check_policy(request(&admin("naniwa"), ask)).await.unwrap().into_inner();
        assert_eq!((page.node_count, page.qualifying_count, page.sites.len()), (5, 3, 3));
        rows.extend(page.nodes.into_iter().map(|row| (row.node, row.reason)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let out: Vec<&str> =
        rows.iter().filter(|(_, why)| !why.is_empty()).map(|(node, _)| node.as_str()).collect();
    assert_eq!(
        (rows.len(), out),
        (5, vec!["sites/sakai-1/nodes/n-01", "sites/sakai-1/nodes/n-02"])
    );
    // Rules that are none yet.
    let ask = |name: &str, rules: Option<&Rules>| {
        let rules = rules.map(v1::Rules::from);
        let ask = v1::CheckPolicyRequest { name: name.into(), rules, ..Default::default() };
        api.check_policy(request(&admin("naniwa"), ask))
    };
    let osaka = within(&["JP-27"]);
    let page = ask("", Some(&osaka)).await.unwrap().into_inner();
    assert_eq!(page.qualifying_count, 2);
    for (name, rules) in [("policies/gov", Some(&osaka)), ("", None)] {
        assert_eq!(code(ask(name, rules).await), ErrorCode::InvalidArgument);
    }
}
