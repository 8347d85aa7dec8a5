//! What landmarks that run apart from a controller call.
//!
//! Must hold (D3): one that is not registered, was taken out, or whose operator has no place in Japan hears that and nothing
//! else; of hosts a landmark hears of whoever dials it and of nobody else. It hands in what both sides signed.

use crate::call::Call;
use crate::core::{Core, federation};
use crate::journal::refuses;
use crate::landmark::{is_told, judge};
use crate::service::landmark::addresses;
use crate::service::trust::package;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::wire::Refusal;
use sekisho_proto::convert::landmark::{Judge, SubmitRange};
use sekisho_proto::internal::v1::landmark_host_service_server::LandmarkHostService;
use sekisho_proto::internal::v1::{self as internal};
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct LandmarkHostApi(pub(crate) Arc<Core>);

impl LandmarkHostApi {
    fn caller<T>(&self, request: &Request<T>) -> Result<LandmarkId, ApiError> {
        Call::of(request)?.landmark(&self.0.replica.state())
    }

    /// As [`Self::caller`], and it may be told.
    fn registered<T>(&self, request: &Request<T>) -> Result<LandmarkId, ApiError> {
        let id = self.caller(request)?;
        if is_told(&self.0.replica.state(), &id) {
            return Ok(id);
        }
        let why = format!(
            "landmark {id} is not registered, or was taken out, or {} has no site in Japan that stands",
            id.operator
        );
        Err(refuses(ApiError::new(ErrorCode::PermissionDenied, why), id))
    }
}

#[tonic::async_trait]
impl LandmarkHostService for LandmarkHostApi {
    async fn judge(
        &self,
        request: Request<internal::JudgeRequest>,
    ) -> Result<Response<internal::JudgeResponse>, Status> {
        let id = self.caller(&request)?;
        let Judge { principal, key, subject } = Judge::try_from(request.get_ref())?;
        let state = self.0.replica.state();
        let verdict = if is_told(&state, &id) {
            judge(&state, &id, (&principal, &key), &subject)
        } else {
            Err(Refusal::NotRegistered)
        };
        let verdict = encode(&verdict)
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(Response::new(internal::JudgeResponse { verdict: verdict.into() }))
    }

    async fn list_addresses(
        &self,
        request: Request<internal::ListAddressesRequest>,
    ) -> Result<Response<internal::ListAddressesResponse>, Status> {
        self.registered(&request)?;
        let state = self.0.replica.state();
        let federation = federation(&state)?;
        Ok(Response::new(internal::ListAddressesResponse {
            cluster: federation.cluster.0.to_vec().into(),
            incarnation: federation.incarnation.0,
            landmarks: addresses(&state).landmarks,
        }))
    }

    async fn submit_range(
        &self,
        request: Request<internal::SubmitRangeRequest>,
    ) -> Result<Response<internal::SubmitRangeResponse>, Status> {
        let id = self.registered(&request)?;
        let SubmitRange { transcripts } = SubmitRange::try_from(request.get_ref())?;
        let count = transcripts.len();
        let revision = self.0.submit_range(transcripts).await?.0;
        tracing::info!(landmark = %id, count, revision, "ranges were taken");
        Ok(Response::new(internal::SubmitRangeResponse { revision }))
    }

    async fn fetch_package(
        &self,
        request: Request<internal::FetchPackageRequest>,
    ) -> Result<Response<internal::FetchPackageResponse>, Status> {
        self.registered(&request)?;
        let (package, _) = package(&self.0.replica.state())?;
        Ok(Response::new(internal::FetchPackageResponse { package: package.into() }))
    }
}
