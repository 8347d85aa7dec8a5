//! `google.longrunning.Operations`. What they are is in [`crate::operation`].

use crate::admission::Admitted;
use crate::call::Call;
use crate::core::Core;
use crate::limit::{OPERATION_LOOK, OPERATION_WAIT_MAX};
use crate::page::Page;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::field::{FieldError, FieldResult};
use sekisho_proto::google::longrunning::operations_server::Operations;
use sekisho_proto::google::longrunning::{
    CancelOperationRequest, DeleteOperationRequest, GetOperationRequest, ListOperationsRequest,
    ListOperationsResponse, Operation, WaitOperationRequest,
};
use sekisho_proto::name::Resource as _;
use sekisho_proto::operation::{OperationId, intent};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_transport::deadline::within;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct OperationApi(pub(crate) Arc<Core>);

/// Which operations a list is of: those that are done, or the others; `None` = all.
fn filter(text: &str) -> FieldResult<Option<bool>> {
    match text {
        "" => Ok(None),
        "done=true" => Ok(Some(true)),
        "done=false" => Ok(Some(false)),
        _ => Err(FieldError::new("filter", "must be `done=true`, `done=false` or empty")),
    }
}

fn timeout(asked: Option<&prost_types::Duration>) -> FieldResult<Duration> {
    let Some(asked) = asked else { return Ok(OPERATION_WAIT_MAX) };
    Duration::try_from(*asked)
        .map_err(|_negative| FieldError::new("timeout", "must not be negative"))
}

/// What has no way back, and why.
fn no_way_back(id: &OperationId) -> ApiError {
    let why = match id {
        OperationId::Drain(..) => {
            "the drain is over: `UndrainNode` lets the node take placements again"
        }
        OperationId::Enforcement(..) => "a policy in force is enforced: change the policy",
        OperationId::Membership(..) => "a member follows its standing: change that",
        OperationId::WindDown(..) => "a revoked site stays revoked",
    };
    ApiError::new(ErrorCode::WrongPhase, why)
}

/// What cancels a drain.
fn undrain(node: NodeId) -> Command {
    Command::UndrainNode { node, keep_cordoned: false }
}

impl OperationApi {
    /// Whether this very request has cancelled it before (R3): the operation went with that, and a repeat must not hear that
    /// there is none. Whoever may not hears nothing here.
    fn is_cancelled(
        &self,
        call: &Call,
        state: &State,
        id: &OperationId,
        intent: Option<&v1::Intent>,
    ) -> Result<bool, ApiError> {
        let (OperationId::Drain(node, _), Some(intent)) = (id, intent) else { return Ok(false) };
        let may = match state.node(node) {
            Some(row) => call.can(state, Verb::Undrain, Target::Operator(&row.operator)),
            None => call.can(state, Verb::ReadFederation, Target::Federation),
        };
        if !may {
            return Ok(false);
        }
        let admitted = Admitted::new(Intent::of(Some(intent))?, undrain(node.clone()));
        Ok(self.0.answered(state, call, &admitted)?.is_some())
    }
}

#[tonic::async_trait]
impl Operations for OperationApi {
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        if !matches!(ask.name.as_str(), "" | "operations") {
            return Err(FieldError::new("name", "must be `operations`, or empty").into());
        }
        let wanted = filter(&ask.filter)?;
        let negative = |_number| FieldError::new("page_size", "must not be negative");
        let size = u32::try_from(ask.page_size).map_err(negative)?;
        let page = Page::of(&format!("operations/{}", ask.filter), size, &ask.page_token)?;
        let state = self.0.read(&call, None).await?;
        let all = self.0.operations(&call, &state).await?;
        let rows = all.into_iter().filter(|(_, row)| wanted.is_none_or(|done| row.done == done));
        let (rows, next_page_token) = page.take(state.revision(), rows);
        Ok(Response::new(ListOperationsResponse {
            operations: rows.into_iter().map(|(_, row)| row).collect(),
            next_page_token,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let call = Call::of(&request)?;
        let id = OperationId::from_field("name", &request.get_ref().name)?;
        let state = self.0.read(&call, None).await?;
        Ok(Response::new(self.0.operation(&call, &state, &id).await?))
    }

    /// Nothing is stored that could be deleted.
    async fn delete_operation(
        &self,
        request: Request<DeleteOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let call = Call::of(&request)?;
        let id = OperationId::from_field("name", &request.get_ref().name)?;
        let state = self.0.read(&call, None).await?;
        self.0.operation(&call, &state, &id).await?;
        let why = "an operation is a view of the state, and goes with what it is about";
        Err(ApiError::new(ErrorCode::WrongPhase, why).into())
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<()>, Status> {
        let call = Call::of(&request)?;
        let intent = intent(request.metadata())?;
        let id = OperationId::from_field("name", &request.get_ref().name)?;
        let state = self.0.read(&call, None).await?;
        if self.is_cancelled(&call, &state, &id, intent.as_ref())? {
            return Ok(Response::new(()));
        }
        let found = self.0.operation(&call, &state, &id).await?;
        let node = match &id {
            OperationId::Drain(node, _) if !found.done => node.clone(),
            OperationId::Drain(..)
            | OperationId::Enforcement(..)
            | OperationId::Membership(..)
            | OperationId::WindDown(..) => return Err(no_way_back(&id).into()),
        };
        let operator = state.node(&node).map(|row| row.operator.clone());
        let operator = operator.ok_or_else(|| crate::call::not_found(&id.name()))?;
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::Undrain, Verb::ReadFederation, target, &id.name())?;
        let unsigned = || {
            let why = "to cancel a drain is to sign an UndrainNode: its intent goes into the metadata sekisho-intent-bin";
            ApiError::new(ErrorCode::SignaturesMissing, why)
        };
        let intent = Intent::of(Some(&intent.ok_or_else(unsigned)?))?;
        self.0.write(&call, Admitted::new(intent, undrain(node))).await?;
        Ok(Response::new(()))
    }

    /// Answers when it is done, or with how far it is when the time is over.
    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Result<Response<Operation>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = OperationId::from_field("name", &ask.name)?;
        let patience = timeout(ask.timeout.as_ref())?.min(OPERATION_WAIT_MAX);
        let deadline = call.deadline(patience);
        let mut state = self.0.read(&call, None).await?;
        let mut moved = self.0.replica.revisions();
        loop {
            // What comes from now on wakes again.
            moved.mark_unchanged();
            let found = self.0.operation(&call, &state, &id).await?;
            if found.done || deadline.passed() {
                return Ok(Response::new(found));
            }
            // What changes meanwhile is looked at together; the members' group changes without an entry.
            tokio::time::sleep(OPERATION_LOOK.min(deadline.remaining())).await;
            let again = deadline.at_most(OPERATION_LOOK.saturating_mul(4));
            if matches!(within(again, moved.changed()).await, Ok(Err(_closed))) {
                let why = "the member ends; ask another one";
                return Err(ApiError::new(ErrorCode::NoLeader, why).into());
            }
            state = self.0.replica.state();
        }
    }
}
