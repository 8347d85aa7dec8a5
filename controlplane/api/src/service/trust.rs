//! Whose signatures count: the way to the endorser bundle in force, and the next step on it.

use crate::admission::Admitted;
use crate::call::Call;
use crate::core::{Core, federation};
use sekisho_evidence::terms::Terms;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::trust::ChangeBundle;
use sekisho_proto::field::FieldError;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, trust_service_server::TrustService};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::Bundle;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use std::collections::BTreeSet;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct TrustApi(pub(crate) Arc<Core>);

/// The package file of a state.
pub(crate) fn package(state: &State) -> Result<(Vec<u8>, u64), ApiError> {
    let federation = federation(state)?;
    let bytes = federation.package().bytes();
    let bytes = bytes.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    Ok((bytes, federation.bundle.version))
}

impl TrustApi {
    /// Refuses a removal that could not be ended: a change is under way, or of those who vote now too few answer without
    /// the one that leaves, who need not stay for it.
    fn can_lose(&self, leaver: MemberId, voters: &BTreeSet<MemberId>) -> Result<(), ApiError> {
        let risk = |why: String| Err(ApiError::new(ErrorCode::MemberQuorumAtRisk, why));
        let group = self.0.replica.membership().voters;
        if group != *voters {
            return risk("another change of the voters is under way".to_owned());
        }
        let left = group.iter().filter(|id| **id != leaver);
        let heard = left.filter(|id| self.0.hears_now(**id)).count();
        if heard > group.len() / 2 {
            return Ok(());
        }
        risk(format!("{heard} of the {} voters answer without member {leaver}", group.len()))
    }

    /// What only this moment, or a parser that apply must not have, can tell. Everything else is judged in the log.
    async fn look(&self, call: &Call, terms: &Terms) -> Result<(), ApiError> {
        match terms {
            Terms::AddMember(member) => {
                let dialled: Result<Address, _> = member.address.parse();
                dialled.map_err(|error| FieldError::new("address", error.to_string()))?;
            }
            Terms::RemoveMember(member) => {
                let voters = self.0.voters_now(call).await?;
                if voters.contains(member) && voters.len() > 1 {
                    self.can_lose(*member, &voters)?;
                }
            }
            Terms::AddOperator(_)
            | Terms::RemoveOperator(_)
            | Terms::RotateOperator { .. }
            | Terms::Open(_) => {}
        }
        if let Some(root) = terms.root() {
            let usable = Bundle::check_root(&root.der);
            usable.map_err(|error| FieldError::new("agreement", format!("root: {error}")))?;
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl TrustService for TrustApi {
    async fn get_trust_package(
        &self,
        request: Request<v1::GetTrustPackageRequest>,
    ) -> Result<Response<v1::GetTrustPackageResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.read(&call, request.get_ref().read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let (package, bundle_version) = package(&state)?;
        let package = package.into();
        Ok(Response::new(v1::GetTrustPackageResponse { package, bundle_version }))
    }

    async fn change_bundle(
        &self,
        request: Request<v1::ChangeBundleRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let ChangeBundle { agreement } = ChangeBundle::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::ChangeBundle, Target::Federation)?;
        self.look(&call, &agreement.terms).await?;
        let command = Command::ChangeBundle(agreement);
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
