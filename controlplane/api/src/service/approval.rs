//! Approvals: what takes two operators, proposed by one and signed by others.
//!
//! Must hold: whoever may neither read approvals nor make the change learns nothing of one. What a signer is shown is what
//! the state has, as the request that would make the change and as the bytes that are signed.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_evidence::canonical::encode;
use sekisho_fsm::State;
use sekisho_fsm::approval::{Approval, Ruling, Stage, on};
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::approval::{NewApproval, RefuseApproval, SignApproval};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, approval_service_server::ApprovalService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::ApprovalId;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct ApprovalApi(pub(crate) Arc<Core>);

type Row<'s> = (ApprovalId, &'s Approval, Stage);

fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |(id, ..)| id.name().into()),
        Field::new("proposer", Kind::Text, |(_, row, _)| row.proposer.to_string().into()),
        Field::new("state", Kind::Word(STATES), |(.., stage)| shown(*stage).as_str_name().into()),
        Field::new("proposed_ms", Kind::Number, |(_, row, _)| row.proposed.0.into()),
        Field::new("expires_ms", Kind::Number, |(_, row, _)| row.expires.0.into()),
    ]
}

const STATES: &[&str] = &["PENDING", "DONE", "FAILED", "REFUSED", "EXPIRED"];

fn shown(stage: Stage) -> v1::approval::State {
    match stage {
        Stage::Pending => v1::approval::State::Pending,
        Stage::Done => v1::approval::State::Done,
        Stage::Failed => v1::approval::State::Failed,
        Stage::Refused => v1::approval::State::Refused,
        Stage::Expired => v1::approval::State::Expired,
    }
}

pub(crate) fn message(
    state: &State,
    id: ApprovalId,
    row: &Approval,
) -> Result<v1::Approval, ApiError> {
    let expires = row.expires;
    let proposal = Command::Propose { joint: Box::new(row.joint.clone()), expires };
    let proposal = encode(&proposal);
    let proposal =
        proposal.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    let stage = shown(row.stage(state.clock()));
    let missing =
        if stage == v1::approval::State::Pending { state.signatures_missing(row) } else { 0 };
    let mut message = v1::Approval {
        name: id.name(),
        proposer: row.proposer.to_string(),
        change: Some((&row.joint).into()),
        proposal: proposal.into(),
        signed_by: row.signatures.iter().map(|one| one.principal.to_string()).collect(),
        signatures_missing: missing,
        state: stage.into(),
        proposed_ms: row.proposed.0,
        expires_ms: expires.0,
        closed_ms: row.closed.map(|closed| closed.0),
        etag: row.revision.to_string(),
        ..v1::Approval::default()
    };
    match &row.ruling {
        Ruling::Pending | Ruling::Done | Ruling::Lapsed => {}
        Ruling::Failed { code, detail } => {
            code.as_str().clone_into(&mut message.failed_code);
            message.failed_detail.clone_from(detail);
        }
        Ruling::Refused { by, reason } => {
            message.refused_by = by.to_string();
            message.reason.clone_from(reason);
        }
    }
    Ok(message)
}

/// One approval, for somebody who may make its change; who may not even read it does not learn that there is one.
fn row<'s>(call: &Call, state: &'s State, id: ApprovalId) -> Result<&'s Approval, ApiError> {
    let name = id.name();
    let Some(row) = state.approval(&id) else {
        call.may_on(state, Verb::ReadApprovals, Verb::ReadApprovals, Target::Federation, &name)?;
        return Err(not_found(&name));
    };
    let (verb, target) = on(&row.joint);
    call.may_on(state, verb, Verb::ReadApprovals, target, &name)?;
    Ok(row)
}

#[tonic::async_trait]
impl ApprovalService for ApprovalApi {
    async fn list_approvals(
        &self,
        request: Request<v1::ListApprovalsRequest>,
    ) -> Result<Response<v1::ListApprovalsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("approvals", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadApprovals, Target::Federation)?;
        let now = state.clock();
        let rows = state.approvals().map(|(id, row)| (id, (*id, row, row.stage(now))));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let approvals = rows.into_iter().map(|(id, row, _)| message(&state, id, row));
        Ok(Response::new(v1::ListApprovalsResponse {
            approvals: approvals.collect::<Result<_, _>>()?,
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_approval(
        &self,
        request: Request<v1::GetApprovalRequest>,
    ) -> Result<Response<v1::Approval>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = ApprovalId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadApprovals;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let row = state.approval(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, id, row)?))
    }

    async fn create_approval(
        &self,
        request: Request<v1::CreateApprovalRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let NewApproval { joint, expires } = NewApproval::try_from(&ask)?;
        let (verb, target) = on(&joint);
        call.may(&self.0.replica.state(), verb, target)?;
        let command = Command::Propose { joint: Box::new(joint), expires };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn sign_approval(
        &self,
        request: Request<v1::SignApprovalRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SignApproval { id, signature } = SignApproval::try_from(&ask)?;
        // Up to date: what was proposed a moment ago at another member is there.
        row(&call, &self.0.read(&call, None).await?, id)?;
        let admitted = Admitted::new(intent, Command::SignApproval { id, signature });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn refuse_approval(
        &self,
        request: Request<v1::RefuseApprovalRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let RefuseApproval { id, reason } = RefuseApproval::try_from(&ask)?;
        row(&call, &self.0.read(&call, None).await?, id)?;
        let admitted = Admitted::new(intent, Command::RefuseApproval { id, reason });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
