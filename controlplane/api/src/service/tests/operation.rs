//! Operations are views: named by the answer that began them, over when the state says so, for whoever may read it.

use super::*;
use crate::service::node::NodeApi;
use crate::service::operation::OperationApi;
use crate::service::policy::PolicyApi;
use sekisho_evidence::command::Intention;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{admin, agent, cluster, job, user, user_key};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::google::longrunning::operations_server::Operations as _;
use sekisho_proto::google::longrunning::{self as lro, Operation};
use sekisho_proto::operation::{metadata, put_intent, unpack};
use sekisho_proto::v1;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_proto::v1::policy_service_server::PolicyService as _;
use sekisho_types::id::{NodeId, RequestId};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use sekisho_types::revision::Incarnation;
use std::sync::Arc;
use std::time::Duration;

const NODE: &str = "sites/tokyo-1/nodes/n-01";

fn api(fake: &Fake) -> OperationApi {
    OperationApi(Arc::clone(&fake.core))
}

fn node() -> NodeId {
    "tokyo-1/n-01".parse().unwrap()
}

/// Signed by `who`.
fn intent(who: &Principal, number: u8, command: &Command) -> v1::Intent {
    let request = RequestId([number; 16]);
    let (incarnation, command) = (Incarnation(1), command.digest().unwrap());
    let intention = Intention { cluster: cluster(), incarnation, request, command };
    let signatures = vec![intention.sign(who.clone(), &user_key(who))];
    let incarnation = Some(incarnation);
    (&Intent { request, validate_only: false, signatures, incarnation }).into()
}

/// Has the node drained; the operation that follows.
async fn drain(fake: &Fake, number: u8) -> String {
    let who = admin("kanto");
    let command = Command::DrainNode { node: node(), within_s: None, message: String::new() };
    let intent = Some(intent(&who, number, &command));
    let ask =
        v1::DrainNodeRequest { name: NODE.into(), within_s: None, message: String::new(), intent };
    let written = NodeApi(Arc::clone(&fake.core)).drain_node(request(&who, ask)).await.unwrap();
    let v1::Written { revision, operation } = written.into_inner();
    assert_eq!(operation, format!("operations/drain.tokyo-1.n-01.{revision}"));
    operation
}

async fn get(fake: &Fake, who: &Principal, name: &str) -> Result<Operation, ErrorCode> {
    let ask = lro::GetOperationRequest { name: name.to_owned() };
    let found = api(fake).get_operation(request(who, ask)).await;
    found.map(Response::into_inner).map_err(|status| ApiError::from_status(&status).code)
}

/// Everything that runs on the node ends.
fn end_all(fake: &Fake) {
    fake.replica.elsewhere(|federation| {
        let row = federation.state.node(&node()).unwrap().clone();
        let phases = row.placements.iter().map(|id| (*id, Phase::Ended(Ending::Exited(0))));
        let (phases, session) = (phases.collect(), row.session.unwrap().id);
        federation.accept(agent(&node()), Command::Report { node: node(), session, phases });
    });
}

fn run_one(fake: &Fake) {
    fake.replica.elsewhere(|federation| {
        let id = federation.submit(job("train", 1, 1, &[]));
        federation.place(&id, &["tokyo-1/n-01"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_followed_until_the_node_is_empty() {
    let fake = fake();
    run_one(&fake);
    let (name, who) = (drain(&fake, 1).await, user("kanto", "sapporo"));
    let found = get(&fake, &who, &name).await.unwrap();
    let told = metadata(&found).unwrap();
    assert_eq!((found.done, told.left, told.target.as_str()), (false, 1, NODE));
    // Waited for in vain, the answer says how far it is; once nothing is left, it comes at once.
    let wait = |s| lro::WaitOperationRequest {
        name: name.clone(),
        timeout: Some(Duration::from_secs(s).try_into().unwrap()),
    };
    let api = api(&fake);
    let begun = tokio::time::Instant::now();
    let late = api.wait_operation(request(&who, wait(2))).await.unwrap().into_inner();
    assert!(!late.done && begun.elapsed() >= Duration::from_secs(2));
    let mut waiting = std::pin::pin!(api.wait_operation(request(&who, wait(20))));
    assert!(futures::poll!(&mut waiting).is_pending());
    end_all(&fake);
    let done = waiting.await.unwrap().into_inner();
    assert!(done.done && begun.elapsed() < Duration::from_secs(10));
    let Some(lro::operation::Result::Response(answer)) = &done.result else { panic!("{done:?}") };
    let shown = unpack::<v1::Node>(answer).unwrap();
    assert_eq!((shown.name.as_str(), shown.drain.is_some()), (NODE, true));
    // A later word on the same drain is another operation, and the first is none any more.
    let later = drain(&fake, 2).await;
    assert_eq!(get(&fake, &who, &name).await, Err(ErrorCode::NotFound));
    assert!(get(&fake, &who, &later).await.unwrap().done);
}

#[tokio::test]
async fn only_a_drain_is_cancelled_and_only_with_the_signature_that_an_undrain_needs() {
    let fake = fake();
    run_one(&fake);
    let name = drain(&fake, 1).await;
    let undrain = Command::UndrainNode { node: node(), keep_cordoned: false };
    let cancel = async |who: &Principal, name: &str, intent: Option<&v1::Intent>| {
        let ask = lro::CancelOperationRequest { name: name.to_owned() };
        let mut request = request(who, ask);
        if let Some(intent) = intent {
            put_intent(request.metadata_mut(), intent);
        }
        let done = api(&fake).cancel_operation(request).await;
        done.map(|_| ()).map_err(|status| ApiError::from_status(&status).code)
    };
    let (own, other) = (admin("kanto"), admin("naniwa"));
    assert_eq!(cancel(&own, &name, None).await, Err(ErrorCode::SignaturesMissing));
    let signed = intent(&other, 2, &undrain);
    assert_eq!(cancel(&other, &name, Some(&signed)).await, Err(ErrorCode::PermissionDenied));
    let stranger = user("naniwa", "stranger");
    assert_eq!(cancel(&stranger, &name, Some(&signed)).await, Err(ErrorCode::NotFound));
    let voter = "operations/membership.2.voter";
    assert_eq!(cancel(&own, voter, None).await, Err(ErrorCode::WrongPhase));
    assert_eq!(
        cancel(&own, "operations/membership.2.removed", None).await,
        Err(ErrorCode::NotFound)
    );
    let delete = lro::DeleteOperationRequest { name: name.clone() };
    let refused = api(&fake).delete_operation(request(&own, delete)).await;
    assert_eq!(code(refused), ErrorCode::WrongPhase);
    let signed = intent(&own, 3, &undrain);
    assert_eq!(cancel(&own, &name, Some(&signed)).await, Ok(()));
    assert!(fake.core.replica.state().node(&node()).unwrap().drain.is_none());
    // R3: who lost the answer asks again, and the operation went with it.
    let revision = fake.core.replica.state().revision();
    assert_eq!(cancel(&own, &name, Some(&signed)).await, Ok(()));
    assert_eq!(fake.core.replica.state().revision(), revision);
    assert_eq!(cancel(&stranger, &name, Some(&signed)).await, Err(ErrorCode::NotFound));
    let anew = intent(&own, 4, &undrain);
    assert_eq!(cancel(&own, &name, Some(&anew)).await, Err(ErrorCode::NotFound));
    assert_eq!(get(&fake, &own, &name).await, Err(ErrorCode::NotFound));
}

#[tokio::test]
async fn a_list_has_every_kind_in_pages_for_whoever_may_know() {
    let fake = fake();
    run_one(&fake);
    drain(&fake, 1).await;
    fake.replica.elsewhere(|federation| {
        federation.policy("near", sekisho_types::residency::Rules::default());
        let site = "ishikari-1".parse().unwrap();
        federation.accept(admin("hokuto"), Command::RevokeSite { site });
    });
    let list = async |who: &Principal, filter: &str, size| {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let ask = lro::ListOperationsRequest {
                filter: filter.to_owned(),
                page_size: size,
                page_token,
                ..Default::default()
            };
            let page = api(&fake).list_operations(request(who, ask)).await;
            let page = page.map_err(|status| ApiError::from_status(&status).code)?.into_inner();
            names.extend(page.operations.into_iter().map(|operation| operation.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok::<_, ErrorCode>(names);
            }
        }
    };
    let who = admin("kanto");
    let all = list(&who, "", 0).await.unwrap();
    let kinds = ["drain.", "enforcement.near.", "membership.1.voter", "wind-down.ishikari-1."];
    for kind in kinds {
        let of = format!("operations/{kind}");
        assert!(all.iter().any(|name| name.starts_with(&of)), "{kind}: {all:?}");
    }
    assert_eq!(list(&who, "", 2).await.unwrap(), all);
    for name in &all {
        assert_eq!(get(&fake, &who, name).await.unwrap().name, *name);
    }
    let (done, going) = (list(&who, "done=true", 0).await, list(&who, "done=false", 0).await);
    let (done, going) = (done.unwrap(), going.unwrap());
    assert!(going.iter().any(|name| name.contains("drain")) && !done.is_empty());
    assert_eq!(done.len() + going.len(), all.len());
    assert_eq!(list(&who, "done", 0).await, Err(ErrorCode::InvalidArgument));
    assert_eq!(list(&who, "", -1).await, Err(ErrorCode::InvalidArgument));
    let stranger = user("kanto", "stranger");
    assert_eq!(list(&stranger, "", 0).await, Err(ErrorCode::PermissionDenied));
    assert_eq!(get(&fake, &stranger, &all[0]).await, Err(ErrorCode::NotFound));
}

/// A repeat of the request names the same operation, and a dry run none.
#[tokio::test]
async fn the_answer_names_what_follows() {
    let fake = fake();
    let (who, api) = (admin("kanto"), PolicyApi(Arc::clone(&fake.core)));
    let rules = sekisho_types::residency::Rules::default();
    let policy = "near".parse().unwrap();
    let command = Command::PutPolicy { policy, rules: rules.clone(), expected: None };
    let mut signed = intent(&who, 1, &command);
    signed.signatures.extend(intent(&admin("naniwa"), 1, &command).signatures);
    let ask = |validate_only| v1::CreatePolicyRequest {
        policy_id: "near".into(),
        policy: Some(v1::Policy { rules: Some((&rules).into()), ..Default::default() }),
        intent: Some(v1::Intent { validate_only, ..signed.clone() }),
    };
    let create = async |validate_only| {
        let written = api.create_policy(request(&who, ask(validate_only))).await;
        written.unwrap().into_inner()
    };
    assert_eq!(create(true).await.operation, "");
    let first = create(false).await;
    assert_eq!(first.operation, format!("operations/enforcement.near.{}", first.revision));
    assert_eq!(create(false).await, first);
    let found = get(&fake, &who, &first.operation).await.unwrap();
    assert!(found.done, "it is about nothing yet");
}
