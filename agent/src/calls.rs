//! Unary calls to whichever member answers.
//!
//! Must hold: every call ends (L3); each can be repeated harmlessly: sessions, reports and receipts carry ids that
//! apply knows again. What the controller decided is returned as its code; all else is "try again later".

use crate::enrolment::Member;
use crate::failure::Failure;
use crate::limit::CALL_WITHIN;
use rand::SeedableRng as _;
use sekisho_agent_core::location::KnownTable;
use sekisho_agent_core::verify::Fetched;
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::location::landmark::{LANDMARKS_MAX, LandmarkTable};
use sekisho_evidence::location::verdict;
use sekisho_evidence::package::{PACKAGE_MAX, TrustPackage};
use sekisho_evidence::receipt::Receipt;
use sekisho_proto::convert::agent::{FetchPayload, OpenSession, Report};
use sekisho_proto::convert::fitness::ReportFitness;
use sekisho_proto::convert::landmark::{Reached, SubmitFix};
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1::agent_service_client::AgentServiceClient;
use sekisho_proto::internal::v1::{
    AdoptRequest, FetchPayloadRequest, FetchSiteKeysRequest, FetchTrustRequest, JoinResponse,
    ListLandmarksRequest, OpenSessionRequest, RefuseRequest, RenewRequest, ReportFitnessRequest,
    ReportRequest, SubmitFixRequest,
};
use sekisho_proto::status::ApiError;
use sekisho_transport::address::Address;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::leader::{CallOptions, Endpoints, Verdict};
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::revision::PlacementId;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Bytes of an answer with a trust package: the package and its frame.
const MESSAGE_MAX: usize = PACKAGE_MAX + 1024;

/// Bytes of an answer with every landmark: of each what its operator says, and two addresses.
const LANDMARKS_BYTES_MAX: usize = 1024 * 1024;

/// A key of a site under its operator's signature, and its secret half, sealed to this host: canonical bytes.
pub type GivenKey = (Vec<u8>, Vec<u8>);

/// A client over several members.
#[derive(Debug)]
pub struct Calls {
    endpoints: Endpoints,
    members: usize,
}

/// What to do about a refusal: another member may know better, or the controller has decided.
fn decide(status: &Status) -> Verdict {
    if ApiError::from_status(status).code.is_retryable() { Verdict::Next } else { Verdict::Return }
}

/// A client that begins with the first address.
pub(crate) fn endpoints(
    dialer: Dialer,
    addresses: &[String],
    expect: Expect,
) -> Result<Endpoints, Failure> {
    let unusable = |cause: String| Failure::new(ErrorCode::InvalidArgument, cause);
    let parsed = addresses
        .iter()
        .map(|text| text.parse::<Address>().map_err(|error| unusable(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let random = Box::new(rand::rngs::StdRng::from_os_rng());
    Endpoints::new(dialer, &parsed, expect, CallOptions::default(), random)
        .map_err(|error| unusable(sekisho_types::cause::explain(&error)))
}

/// One call through `endpoints`, at most `within`.
pub(crate) async fn call<T, F, Fut>(
    endpoints: &Endpoints,
    within: Duration,
    call: F,
) -> Result<T, ApiError>
where
    F: Fn(Channel) -> Fut,
    Fut: Future<Output = Result<Response<T>, Status>>,
{
    let answer = |channel: Channel| {
        let answer = call(channel);
        async { answer.await.map(Response::into_inner) }
    };
    endpoints.call(Deadline::after(within), answer, decide).await.map_err(|error| {
        // The shared budget may have ended the attempts before a dead member was left.
        endpoints.move_on(&error.address);
        ApiError::from_status(&error.status)
    })
}

impl Calls {
    /// A client of these members, with the dialler's identity.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for unusable addresses.
    pub fn new(dialer: Dialer, members: &[Member]) -> Result<Self, Failure> {
        let addresses: Vec<String> = members.iter().map(|member| member.address.clone()).collect();
        let endpoints = endpoints(dialer, &addresses, Expect::AnyMember)?;
        Ok(Self { endpoints, members: addresses.len() })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// The controller's, or that none answered.
    pub async fn open_session(&self, open: &OpenSession) -> Result<(), ApiError> {
        let request = OpenSessionRequest::from(open);
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).open_session(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await.map(|_written| ())
    }

    /// Reports phases.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn report(&self, report: &Report) -> Result<(), ApiError> {
        let request = ReportRequest::from(report);
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).report(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await.map(|_written| ())
    }

    /// Tells how the host's own checks came out.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn report_fitness(&self, report: &ReportFitness) -> Result<(), ApiError> {
        let request = ReportFitnessRequest::from(report);
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).report_fitness(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await.map(|_written| ())
    }

    /// Brings a placement over.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn adopt(
        &self,
        adoption: &Adoption,
        payload: Vec<u8>,
        running: bool,
    ) -> Result<(), ApiError> {
        let bytes = adoption.bytes();
        let bytes = bytes.map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
        let request = AdoptRequest { adoption: bytes.into(), payload: payload.into(), running };
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).adopt(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await.map(|_written| ())
    }

    /// Hands in a refusal receipt.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn refuse(&self, receipt: Receipt) -> Result<(), ApiError> {
        let request = RefuseRequest { receipt: receipt.0.into() };
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).refuse(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await.map(|_written| ())
    }

    /// Fetches payload and submission of a placement. A member that gives other bytes than those granted is left for
    /// the next; if all do, the last answer is returned, and the check list refuses it. So is one that does not keep what
    /// stays in its area.
    ///
    /// # Errors
    /// As [`Calls::open_session`]; `PAYLOAD_NOT_HERE` if that is all that members say.
    pub async fn payload(
        &self,
        placement: PlacementId,
        payload: &Digest,
        submission: &Digest,
    ) -> Result<Fetched, ApiError> {
        let request = FetchPayloadRequest::from(&FetchPayload { placement });
        let (mut last, mut nowhere) = (None, None);
        for _ in 0..self.members {
            let (address, _) = self.endpoints.current();
            let ask = |channel| {
                let request = request.clone();
                async move { AgentServiceClient::new(channel).fetch_payload(request).await }
            };
            let given = match call(&self.endpoints, CALL_WITHIN, ask).await {
                Ok(given) => given,
                Err(error) if error.code == ErrorCode::PayloadNotHere => {
                    // The call has moved on to the next.
                    nowhere = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let fetched = Fetched {
                payload: given.payload.into(),
                submission: given.submission.into(),
                keys: Vec::new(),
            };
            let granted = Digest::of(&fetched.payload) == *payload
                && Digest::of(&fetched.submission) == *submission;
            if granted {
                return Ok(fetched);
            }
            last = Some(fetched);
            tracing::warn!(%address, %placement, "a member gave other bytes than were granted");
            self.endpoints.move_on(&address);
        }
        match (last, nowhere) {
            (None, Some(error)) => Err(error),
            (last, _) => Ok(last.unwrap_or_default()),
        }
    }

    /// The way from `held` to a later bundle. A member that gives none is left for the next.
    ///
    /// # Errors
    /// As [`Calls::open_session`]; `BUNDLE_MISMATCH` if nobody gives one that leads on.
    pub async fn trust(&self, held: &EndorserBundle) -> Result<TrustPackage, ApiError> {
        let mut last = None;
        for _ in 0..self.members {
            let (address, _) = self.endpoints.current();
            let ask = |channel| async move {
                let client = AgentServiceClient::new(channel);
                client
                    .max_decoding_message_size(MESSAGE_MAX)
                    .fetch_trust(FetchTrustRequest {})
                    .await
            };
            let given = call(&self.endpoints, CALL_WITHIN, ask).await?;
            let read = TrustPackage::open(&given.package);
            match read.and_then(|package| package.walk(held).map(|_trust| package)) {
                Ok(package) => return Ok(package),
                Err(error) => {
                    tracing::warn!(%address, %error, "a member gave a trust package that leads nowhere");
                    last = Some(error.to_string());
                }
            }
            self.endpoints.move_on(&address);
        }
        let why = last.unwrap_or_else(|| "no member to ask".to_owned());
        Err(ApiError::new(ErrorCode::BundleMismatch, why))
    }

    /// The landmarks, and how they are reached, as some member says.
    ///
    /// # Errors
    /// As [`Calls::open_session`]; `INTERNAL` for an answer that cannot be read.
    pub async fn landmarks(&self) -> Result<Vec<Reached>, ApiError> {
        let ask = |channel| async move {
            let client = AgentServiceClient::new(channel);
            client
                .max_decoding_message_size(LANDMARKS_BYTES_MAX)
                .list_landmarks(ListLandmarksRequest {})
                .await
        };
        let given = call(&self.endpoints, CALL_WITHIN, ask).await?;
        let unreadable = |error: FieldError| ApiError::new(ErrorCode::Internal, error.to_string());
        if given.landmarks.len() > LANDMARKS_MAX {
            return Err(ApiError::new(ErrorCode::TooLarge, "more landmarks than there can be"));
        }
        given.landmarks.iter().map(|one| Reached::try_from(one).map_err(unreadable)).collect()
    }

    /// The landmarks that grants name by this hash. A member that gives others is left for the next.
    ///
    /// # Errors
    /// As [`Calls::landmarks`]; `TABLE_MISMATCH` if nobody gives them.
    pub async fn landmarks_named(&self, basis: &Digest) -> Result<KnownTable, ApiError> {
        for _ in 0..self.members {
            let (address, _) = self.endpoints.current();
            let given = self.landmarks().await?.into_iter().map(|reached| reached.landmark);
            let table = LandmarkTable::new(given.collect()).map(KnownTable::new);
            if let Ok(Ok(table)) = table
                && table.basis() == basis
            {
                return Ok(table);
            }
            tracing::warn!(%address, %basis, "a member gave other landmarks than a grant names");
            self.endpoints.move_on(&address);
        }
        let why = format!("no member gave the landmarks {basis}");
        Err(ApiError::new(ErrorCode::TableMismatch, why))
    }

    /// Hands a fix in; the verdict as it is kept, if the member that answered knows it already.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn submit_fix(
        &self,
        submit: &SubmitFix,
    ) -> Result<Option<verdict::Verdict>, ApiError> {
        let request = SubmitFixRequest::from(submit);
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).submit_fix(request).await }
        };
        let taken = call(&self.endpoints, CALL_WITHIN, ask).await?;
        Ok(decode(&taken.verdict).ok())
    }

    /// The keys of this host's site, sealed to it, as some member of its operator gives them; not yet believed.
    ///
    /// # Errors
    /// As [`Calls::open_session`]: the last, if no member gives any.
    pub async fn site_keys(&self, record: Vec<u8>) -> Result<Vec<GivenKey>, ApiError> {
        let request = FetchSiteKeysRequest { record: record.into() };
        let mut last = ApiError::new(ErrorCode::Internal, "no member to ask");
        for _ in 0..self.members {
            let ask = |channel| {
                let request = request.clone();
                async move { AgentServiceClient::new(channel).fetch_site_keys(request).await }
            };
            // A member of another operator refuses, and is left for the next.
            match call(&self.endpoints, CALL_WITHIN, ask).await {
                Ok(given) => {
                    let keys = given.keys.into_iter();
                    return Ok(keys.map(|key| (key.signed.into(), key.sealed.into())).collect());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Renews certificate and tag.
    ///
    /// # Errors
    /// As [`Calls::open_session`].
    pub async fn renew(&self, csr: Vec<u8>) -> Result<JoinResponse, ApiError> {
        let request = RenewRequest { csr: csr.into() };
        let ask = |channel| {
            let request = request.clone();
            async move { AgentServiceClient::new(channel).renew(request).await }
        };
        call(&self.endpoints, CALL_WITHIN, ask).await
    }
}
