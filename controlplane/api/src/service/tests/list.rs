//! Filters, orders and pages as callers use them; what is deleted and changed by its etag.

use super::write::intent;
use super::*;
use crate::list::Field;
use crate::service::job::JobApi;
use crate::service::key::KeyApi;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use crate::service::policy::PolicyApi;
use crate::service::reservation;
use crate::service::site::SiteApi;
use crate::service::tenant::TenantApi;
use crate::service::{budget, escrow, job, key, landmark, member, node, offer, operator, policy};
use crate::service::{quota, site, tenant};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{admin, job as facts, user};
use sekisho_proto::DESCRIPTORS;
use sekisho_proto::convert::policy::DeletePolicy;
use sekisho_proto::convert::site::UpdateSite;
use sekisho_proto::convert::tenant::DeleteTenant;
use sekisho_proto::v1;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::key_service_server::KeyService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_proto::v1::policy_service_server::PolicyService as _;
use sekisho_proto::v1::site_service_server::SiteService as _;
use sekisho_proto::v1::tenant_service_server::TenantService as _;
use sekisho_types::quota::Limit;
use sekisho_types::residency::Rules;
use sekisho_types::revision::Revision;
use std::sync::Arc;

fn named<R>(fields: &[Field<R>]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    format!("Over {}", names.join(", "))
}

/// Whoever reads the descriptors must know what to filter by.
#[test]
fn the_fields_are_those_that_the_comments_name() {
    let text = String::from_utf8_lossy(DESCRIPTORS).replace("\n ", " ");
    for fields in [
        named(&site::fields()),
        named(&tenant::fields()),
        named(&quota::fields()),
        named(&budget::fields()),
        named(&escrow::fields()),
        named(&offer::fields()),
        named(&offer::veto_fields()),
        named(&reservation::fields()),
        named(&key::fields()),
        named(&landmark::fields()),
        named(&policy::fields()),
        named(&member::fields()),
        named(&operator::fields()),
        named(&node::fields::fields()),
        named(&job::fields::fields()),
    ] {
        assert!(text.contains(&fields), "{fields}");
    }
}

fn ask(filter: &str, order_by: &str) -> v1::ListNodesRequest {
    let (filter, order_by) = (filter.into(), order_by.into());
    v1::ListNodesRequest { parent: "sites/-".into(), filter, order_by, ..Default::default() }
}

#[tokio::test]
async fn nodes_are_found_by_what_they_are() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let names = |filter: &'static str, order: &'static str| {
        let api = &api;
        async move {
            let page = api.list_nodes(request(&admin("kanto"), ask(filter, order))).await.unwrap();
            let names = page.into_inner().nodes.into_iter();
            names
                .map(|node| node.name.replace("sites/", "").replace("/nodes/", "/"))
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(names("operator = kanto", "name desc").await, ["tokyo-1/n-02", "tokyo-1/n-01"]);
    let tokyo = "site = \"sites/tokyo-1\" AND device_class:sim-h100 AND state != QUARANTINED";
    assert_eq!(names(tokyo, "").await, ["tokyo-1/n-01", "tokyo-1/n-02"]);
    assert_eq!(
        names("name:sites/sakai-1/ AND NOT name:sites/sakai-1/nodes/n-02", "").await,
        ["sakai-1/n-01"]
    );
    assert_eq!(
        names("pending = true OR draining = true OR schedulable = false", "").await,
        [""; 0]
    );
    for (filter, order, field) in [
        ("state = AWAY", "", "filter"),
        ("colour = red", "", "filter"),
        ("", "device_class", "order_by"),
    ] {
        let refused = api.list_nodes(request(&admin("kanto"), ask(filter, order))).await;
        let error = ApiError::from_status(&refused.unwrap_err());
        assert_eq!(
            (error.code, error.fields[0].field.as_str()),
            (ErrorCode::InvalidArgument, field)
        );
    }
}

#[tokio::test]
async fn a_filter_finds_no_more_than_the_caller_may_read() {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        federation.submit(facts("first", 1, 1, &[]));
        federation.submit(facts("second", 1, 2, &[]));
    });
    let api = JobApi(Arc::clone(&fake.core));
    let names = |who, filter: &'static str, order_by: &'static str| {
        let api = &api;
        async move {
            let ask = v1::ListJobsRequest {
                parent: "tenants/-".into(),
                filter: filter.into(),
                order_by: order_by.into(),
                ..Default::default()
            };
            let page = api.list_jobs(request(&who, ask)).await.unwrap().into_inner();
            page.jobs
                .into_iter()
                .map(|job| job.name.rsplit('/').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    let (own, other) = (user("kanto", "sapporo"), user("kanto", "otaru"));
    assert_eq!(names(own.clone(), "phase = QUEUED", "gpus desc").await, ["second", "first"]);
    assert_eq!(
        names(own.clone(), "gpus = 1 AND tenant = \"tenants/sapporo\"", "").await,
        ["first"]
    );
    assert_eq!(names(own, "node:*", "").await, [""; 0]);
    assert_eq!(names(other, "phase = QUEUED", "").await, [""; 0]);
}

#[tokio::test]
async fn members_keys_and_policies_are_listed_the_same_way() {
    let fake = fake();
    let who = admin("kanto");
    let members = MemberApi(Arc::clone(&fake.core));
    let ask = v1::ListMembersRequest {
        filter: "role = voter".into(),
        order_by: "operator".into(),
        page_size: 2,
        ..Default::default()
    };
    let page = members.list_members(request(&who, ask.clone())).await.unwrap().into_inner();
    assert_eq!((page.members.len(), page.members[0].operator.as_str()), (2, "hokuto"));
    let next = v1::ListMembersRequest { page_token: page.next_page_token, ..ask };
    let page = members.list_members(request(&who, next)).await.unwrap().into_inner();
    assert_eq!((page.members.len(), page.next_page_token.as_str()), (1, ""));
    let get = |name: &str| v1::GetMemberRequest { name: name.into(), read: None };
    let one = members.get_member(request(&who, get("members/2"))).await.unwrap().into_inner();
    assert_eq!(one.operator, "kanto");
    assert_eq!(
        code(members.get_member(request(&who, get("members/9"))).await),
        ErrorCode::NotFound
    );
    let keys = KeyApi(Arc::clone(&fake.core));
    let filter = "operator = kanto AND role = \"tenant-user:sapporo\"".into();
    let ask = v1::ListKeysRequest { filter, ..Default::default() };
    let page = keys.list_keys(request(&who, ask)).await.unwrap().into_inner();
    assert_eq!(page.keys[0].principal, "kanto/user/sapporo");
    assert!(page.keys[0].name.starts_with("operators/kanto/users/sapporo/keys/"));
    fake.replica.elsewhere(|f| {
        f.policy("loose", Rules::default());
        f.policy("tight", Rules { allow_run_to_completion: false, ..Rules::default() });
    });
    let policies = PolicyApi(Arc::clone(&fake.core));
    let ask = v1::ListPolicyStatusesRequest { order_by: "name desc".into(), ..Default::default() };
    let page = policies.list_policy_statuses(request(&who, ask)).await.unwrap().into_inner();
    let names: Vec<&str> = page.statuses.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["policies/tight", "policies/loose"]);
}

#[tokio::test]
async fn what_is_deleted_was_read_before() {
    let fake = fake();
    let core = || Arc::clone(&fake.core);
    let (gov, otaru) = fake
        .replica
        .elsewhere(|f| (f.policy("gov", Rules::default()), f.tenant("otaru", Limit::Unlimited)));
    let who = [admin("kanto")];
    let state = fake.core.replica.state();
    let expected = state.policy(&gov).unwrap().revision;
    let policies = PolicyApi(core());
    let delete = |number, expected| {
        let command = Command::DeletePolicy { policy: gov.clone(), expected };
        DeletePolicy { policy: gov.clone(), expected }.request(intent(number, &command, &who))
    };
    let stale = policies.delete_policy(request(&who[0], delete(1, Revision(1)))).await;
    assert_eq!(code(stale), ErrorCode::RevisionMismatch);
    let mut blind = delete(2, expected);
    blind.etag.clear();
    let blind = policies.delete_policy(request(&who[0], blind)).await;
    assert_eq!(code(blind), ErrorCode::InvalidArgument);
    let mut dry = delete(3, expected);
    dry.intent.as_mut().unwrap().validate_only = true;
    policies.delete_policy(request(&who[0], dry)).await.unwrap();
    assert!(fake.core.replica.state().policy(&gov).is_some());
    let first = policies.delete_policy(request(&who[0], delete(4, expected))).await.unwrap();
    let again = policies.delete_policy(request(&who[0], delete(4, expected))).await.unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    assert!(fake.core.replica.state().policy(&gov).is_none());
    let tenants = TenantApi(core());
    let expected = state.tenant(&otaru).unwrap().revision;
    let command = Command::DeleteTenant { tenant: otaru.clone(), expected };
    let delete = |signer| {
        DeleteTenant { tenant: otaru.clone(), expected }.request(intent(5, &command, &[signer]))
    };
    let hidden = tenants
        .delete_tenant(request(&user("kanto", "sapporo"), delete(user("kanto", "sapporo"))))
        .await;
    assert_eq!(code(hidden), ErrorCode::NotFound);
    let own = tenants
        .delete_tenant(request(&user("kanto", "otaru"), delete(user("kanto", "otaru"))))
        .await;
    assert_eq!(code(own), ErrorCode::PermissionDenied);
    let used = tenants.delete_tenant(request(&who[0], delete(admin("kanto")))).await;
    assert_eq!(code(used), ErrorCode::ResourceInUse);
}

#[tokio::test]
async fn a_site_is_renamed() {
    let fake = fake();
    let api = SiteApi(Arc::clone(&fake.core));
    let get = || v1::GetSiteRequest { name: "sites/tokyo-1".into(), read: None };
    let read = api.get_site(request(&admin("kanto"), get())).await.unwrap().into_inner();
    let update = UpdateSite {
        site: "tokyo-1".parse().unwrap(),
        display_name: "東京".into(),
        expected: Revision(read.etag.parse().unwrap()),
    };
    let UpdateSite { site, display_name, expected } = update.clone();
    let command = Command::UpdateSite { site, display_name, expected };
    let message = update.request(intent(1, &command, &[admin("kanto")]));
    let written = api.update_site(request(&admin("kanto"), message)).await.unwrap().into_inner();
    let read = api.get_site(request(&admin("kanto"), get())).await.unwrap().into_inner();
    assert_eq!((read.display_name.as_str(), read.etag), ("東京", written.revision.to_string()));
}
