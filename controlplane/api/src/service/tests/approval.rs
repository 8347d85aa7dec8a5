//! Approvals and break-glasses as requests: what is shown is what is signed, and who may not learns nothing.

use super::write::intent;
use super::*;
use crate::service::approval::ApprovalApi;
use crate::service::break_glass::BreakGlassApi;
use crate::service::job::JobApi;
use crate::service::member::MemberApi;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, BEGIN, CLASS, admin, job, user, user_key};
use sekisho_proto::convert::approval::{NewApproval, RefuseApproval, SignApproval};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::approval::State;
use sekisho_proto::v1::approval_service_server::ApprovalService as _;
use sekisho_proto::v1::break_glass_service_server::BreakGlassService as _;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::status::Severity;
use sekisho_types::id::{ApprovalId, RequestId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::Principal;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Incarnation;
use std::sync::Arc;

fn new() -> NewApproval {
    let joint = Joint::SetQuota {
        tenant: "sapporo".parse().unwrap(),
        class: CLASS.parse().unwrap(),
        area: Area::Japan,
        allotment: Allotment::own(Limit::Gpus(20)),
        expected: testing::first_quota(),
    };
    NewApproval { joint, expires: BEGIN.plus_ms(3_600_000) }
}

fn proposal(new: &NewApproval) -> Command {
    Command::Propose { joint: Box::new(new.joint.clone()), expires: new.expires }
}

async fn propose(fake: &Fake, number: u8) -> ApprovalId {
    let ask = new().request(intent(number, &proposal(&new()), &[admin("kanto")]));
    let api = ApprovalApi(Arc::clone(&fake.core));
    api.create_approval(request(&admin("kanto"), ask)).await.unwrap();
    ApprovalId([number; 16])
}

async fn get(
    fake: &Fake,
    who: &Principal,
    id: ApprovalId,
) -> Result<Response<v1::Approval>, Status> {
    let ask = v1::GetApprovalRequest { name: id.name(), read: None };
    ApprovalApi(Arc::clone(&fake.core)).get_approval(request(who, ask)).await
}

fn sign(number: u8, id: ApprovalId, by: &Principal) -> v1::SignApprovalRequest {
    let proposed = Intention {
        cluster: testing::cluster(),
        incarnation: Incarnation(1),
        request: RequestId(id.0),
        command: proposal(&new()).digest().unwrap(),
    };
    let signature = proposed.sign(by.clone(), &user_key(by));
    let command = Command::SignApproval { id, signature: signature.clone() };
    SignApproval { id, signature }.request(intent(number, &command, &[]))
}

#[tokio::test]
async fn what_is_shown_is_what_is_signed_and_the_last_signature_carries_it_out() {
    let fake = fake();
    let api = ApprovalApi(Arc::clone(&fake.core));
    let id = propose(&fake, 1).await;
    let shown = get(&fake, &admin("naniwa"), id).await.unwrap().into_inner();
    assert_eq!((shown.state(), shown.signatures_missing), (State::Pending, 1));
    assert_eq!(shown.signed_by, ["kanto/user/admin"]);
    let joint = Joint::try_from(shown.change.as_ref().unwrap()).unwrap();
    assert_eq!(joint, new().joint);
    assert_eq!(shown.proposal, encode(&proposal(&new())).unwrap());
    // A dry run asks apply, and leaves it as it is.
    let mut dry = sign(2, id, &admin("naniwa"));
    dry.intent.as_mut().unwrap().validate_only = true;
    api.sign_approval(request(&admin("naniwa"), dry)).await.unwrap();
    let ask =
        || v1::ListApprovalsRequest { filter: "state = PENDING".to_owned(), ..Default::default() };
    let listed = api.list_approvals(request(&admin("hokuto"), ask())).await.unwrap();
    assert_eq!(listed.into_inner().approvals, [shown]);
    api.sign_approval(request(&admin("naniwa"), sign(2, id, &admin("naniwa")))).await.unwrap();
    let shown = get(&fake, &admin("kanto"), id).await.unwrap().into_inner();
    assert_eq!((shown.state(), shown.signatures_missing), (State::Done, 0));
    assert_eq!(fake.replica.federation.lock().limit("sapporo"), Limit::Gpus(20));
    let listed = api.list_approvals(request(&admin("hokuto"), ask())).await.unwrap();
    assert!(listed.into_inner().approvals.is_empty());
    // R3: the same request, the same answer; another one is too late.
    api.sign_approval(request(&admin("naniwa"), sign(2, id, &admin("naniwa")))).await.unwrap();
    let late = api.sign_approval(request(&admin("hokuto"), sign(3, id, &admin("hokuto")))).await;
    assert_eq!(code(late), ErrorCode::ApprovalClosed);
}

#[tokio::test]
async fn who_may_not_learns_nothing_of_it() {
    let fake = fake();
    let api = ApprovalApi(Arc::clone(&fake.core));
    let id = propose(&fake, 1).await;
    let stranger = user("kanto", "sapporo");
    assert_eq!(code(get(&fake, &stranger, id).await), ErrorCode::NotFound);
    let signed = api.sign_approval(request(&stranger, sign(2, id, &stranger))).await;
    assert_eq!(code(signed), ErrorCode::NotFound);
    let refuse = |id| RefuseApproval { id, reason: String::new() };
    let ask = |id| refuse(id).request(intent(3, &Command::Tick, &[]));
    assert_eq!(code(api.refuse_approval(request(&stranger, ask(id))).await), ErrorCode::NotFound);
    let none = ApprovalId([9; 16]);
    assert_eq!(code(api.refuse_approval(request(&stranger, ask(none))).await), ErrorCode::NotFound);
    let list = api.list_approvals(request(&stranger, v1::ListApprovalsRequest::default())).await;
    assert_eq!(code(list), ErrorCode::PermissionDenied);
    let create = new().request(intent(4, &proposal(&new()), std::slice::from_ref(&stranger)));
    let created = api.create_approval(request(&stranger, create)).await;
    assert_eq!(code(created), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn a_break_glass_is_shown_red_to_everybody_and_lets_its_holder_stop_a_job() {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.submit(job("train", 1, 1, &[])));
    let (glass, jobs) = (BreakGlassApi(Arc::clone(&fake.core)), JobApi(Arc::clone(&fake.core)));
    let holder = admin("naniwa");
    let cancel = |number| {
        let name = "tenants/sapporo/jobs/train".to_owned();
        let command = Command::CancelJob { job: "sapporo/train".parse().unwrap() };
        let intent = Some(intent(number, &command, &[]));
        jobs.cancel_job(request(&holder, v1::CancelJobRequest { name, intent }))
    };
    assert_eq!(code(cancel(1).await), ErrorCode::PermissionDenied);
    let (reason, until) = ("miners in sapporo's jobs".to_owned(), BEGIN.plus_ms(3_600_000));
    let command = Command::BreakGlass { reason: reason.clone(), until };
    let intended = intent(2, &command, std::slice::from_ref(&holder));
    let ask = v1::CreateBreakGlassRequest { reason, until_ms: until.0, intent: Some(intended) };
    let opened = glass.create_break_glass(request(&holder, ask)).await.unwrap().into_inner();
    let status = || async {
        let api = MemberApi(Arc::clone(&fake.core));
        let ask = request(&user("kanto", "sapporo"), v1::GetStatusRequest {});
        api.get_status(ask).await.unwrap().into_inner().findings
    };
    let red = status().await.into_iter().find(|finding| finding.code == "BREAK_GLASS_OPEN");
    let red = red.expect("everybody sees it");
    assert_eq!(red.severity(), Severity::Bad);
    assert!(red.what.contains("naniwa/user/admin") && red.what.contains("miners"), "{red:?}");
    cancel(3).await.unwrap();
    let list = || async {
        let ask = request(&user("kanto", "sapporo"), v1::ListBreakGlassesRequest::default());
        glass.list_break_glasses(ask).await.unwrap().into_inner().break_glasses
    };
    let row = list().await.remove(0);
    assert_eq!((row.uses, row.revisions.len(), row.open), (1, 1, true));
    let end = |number, who: Principal| {
        let name = format!("breakGlasses/{}", opened.revision);
        let command = Command::EndBreakGlass { opened: Revision(opened.revision) };
        let intent = Some(intent(number, &command, &[]));
        glass.end_break_glass(request(&who, v1::EndBreakGlassRequest { name, intent }))
    };
    assert_eq!(code(end(4, user("kanto", "sapporo")).await), ErrorCode::PermissionDenied);
    end(5, holder.clone()).await.unwrap();
    let row = list().await.remove(0);
    assert_eq!((row.open, row.ended_by.as_str()), (false, "naniwa/user/admin"));
    assert!(!status().await.iter().any(|finding| finding.code == "BREAK_GLASS_OPEN"));
}
