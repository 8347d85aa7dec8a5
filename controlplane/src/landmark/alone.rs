//! A landmark apart from a controller: no log, no state, no vote. What it has to know it asks the controllers of its own
//! operator, over mutual TLS, when it has to know it.
//!
//! Must hold: whom no controller vouches for now is not measured; nothing that was heard is used a second time, so what
//! was revoked a moment ago is refused as soon as the controllers know it. It has no federation state to send (D3): it dials
//! members of its own operator, and landmarks by the operators that the table names.

use super::limit::{CALL_WITHIN, JUDGE_WITHIN};
use super::ranging::Ranging;
use super::trust::Follower;
use super::{Directory, Others, Standing, server};
use crate::config::LandmarkAlone;
use crate::trust::Ground;
use anyhow::{Context as _, Result, bail};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::transcript::{SignedTranscript, Subject};
use sekisho_evidence::location::wire::Refusal;
use sekisho_evidence::package::PACKAGE_MAX;
use sekisho_proto::convert::landmark::{Addresses, Judge, SubmitRange};
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::landmark_host_service_client::LandmarkHostServiceClient;
use sekisho_proto::status::ApiError;
use sekisho_transport::address::Address;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::PeerIdentity;
use sekisho_transport::leader::{CallOptions, Endpoints, EndpointsError, Verdict};
use sekisho_transport::pki::signing;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::OperatorId;
use sekisho_types::principal::Workload;
use sekisho_types::time::Clock;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Bytes of an answer: a trust package, or every landmark, and its frame.
const MESSAGE_MAX: usize = PACKAGE_MAX + 1024;

/// The controllers of the landmark's operator.
#[derive(Debug)]
pub struct Members {
    endpoints: Endpoints,
}

type Client = LandmarkHostServiceClient<Channel>;

/// Another controller may know better, or this one has decided.
fn decide(status: &Status) -> Verdict {
    if ApiError::from_status(status).code.is_retryable() { Verdict::Next } else { Verdict::Return }
}

impl Members {
    /// Those of an operator, at these addresses.
    ///
    /// # Errors
    /// [`EndpointsError`].
    pub fn new(
        operator: &OperatorId,
        addresses: &[Address],
        dialer: Dialer,
    ) -> Result<Self, EndpointsError> {
        let own = Expect::MemberOf(BTreeSet::from([operator.clone()]));
        let random = Box::new(StdRng::from_os_rng());
        let endpoints = Endpoints::new(dialer, addresses, own, CallOptions::default(), random)?;
        Ok(Self { endpoints })
    }

    async fn call<T, F, Fut>(&self, within: Duration, call: F) -> Result<T, ApiError>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let answer = |channel: Channel| {
            let client = LandmarkHostServiceClient::new(channel);
            let answer = call(client.max_decoding_message_size(MESSAGE_MAX));
            async { answer.await.map(Response::into_inner) }
        };
        let answered = self.endpoints.call(Deadline::after(within), answer, decide).await;
        answered.map_err(|error| {
            // The shared budget may have ended the attempts before a dead controller was left.
            self.endpoints.move_on(&error.address);
            ApiError::from_status(&error.status)
        })
    }

    /// The trust package of the federation.
    pub(super) async fn package(&self) -> Result<Vec<u8>, ApiError> {
        let ask = |mut client: Client| async move {
            client.fetch_package(internal::FetchPackageRequest {}).await
        };
        Ok(self.call(CALL_WITHIN, ask).await?.package.to_vec())
    }
}

#[tonic::async_trait]
impl Directory for Members {
    async fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        let judge = Judge {
            principal: peer.principal.clone(),
            key: peer.spki_sha256,
            subject: subject.clone(),
        };
        let request = internal::JudgeRequest::from(&judge);
        let ask = |mut client: Client| {
            let request = request.clone();
            async move { client.judge(request).await }
        };
        let answered = self.call(JUDGE_WITHIN, ask).await.map_err(|error| {
            tracing::warn!(%landmark, %error, "no controller says who may be measured");
            Refusal::Failed
        })?;
        let verdict: Result<Result<Standing, Refusal>, _> = decode(&answered.verdict);
        verdict.unwrap_or_else(|error| {
            tracing::error!(%landmark, %error, "what a controller said cannot be read");
            Err(Refusal::Failed)
        })
    }
}

#[tonic::async_trait]
impl Others for Members {
    async fn addresses(&self) -> Result<Addresses, ApiError> {
        let ask = |mut client: Client| async move {
            client.list_addresses(internal::ListAddressesRequest {}).await
        };
        let told = self.call(CALL_WITHIN, ask).await?;
        let unreadable = |error: FieldError| ApiError::new(ErrorCode::Internal, error.to_string());
        Addresses::try_from(&told).map_err(unreadable)
    }

    async fn submit(&self, transcripts: Vec<SignedTranscript>) -> Result<(), ApiError> {
        let request = internal::SubmitRangeRequest::from(&SubmitRange { transcripts });
        let ask = |mut client: Client| {
            let request = request.clone();
            async move { client.submit_range(request).await }
        };
        self.call(CALL_WITHIN, ask).await.map(drop)
    }
}

/// Starts a landmark; it serves until the group is cancelled.
///
/// # Errors
/// What is missing or does not fit, in words.
pub async fn start(config: &LandmarkAlone, tasks: &TaskGroup) -> Result<server::Running> {
    let (id, clock): (_, Arc<dyn Clock>) = (config.id(), Arc::new(SystemClock));
    let ground = Ground::of(&config.genesis, config.package.as_deref())?;
    let identity = Identity::load(&config.identity_dir)
        .with_context(|| format!("identity in {}", config.identity_dir.display()))?;
    let expected = Workload::Landmark { name: id.name.clone() };
    if identity.workload() != expected {
        let found = identity.workload();
        bail!("the certificate is for {found:?}, the configuration for {expected:?}");
    }
    let key = signing::read(&config.landmark.key)
        .with_context(|| format!("key of landmark {id}: {}", config.landmark.key.display()))?;
    let bundles = TrustBundles::new(Arc::clone(&clock));
    ground.install_roots(&bundles)?;
    let dialer = Dialer::new(Some(identity.clone()), Arc::clone(&bundles)).asking(config.names()?);
    let members = Arc::new(Members::new(&config.operator, &config.members, dialer.clone())?);
    let options = server::Options {
        id: id.clone(),
        key: key.clone(),
        listen: config.landmark.listen,
        datagrams: config.landmark.datagrams,
        directory: Arc::clone(&members) as Arc<dyn Directory>,
        clock: Arc::clone(&clock),
    };
    let running = server::start(options, &identity, &bundles, tasks).await?;
    let follower = Follower { members: Arc::clone(&members), bundles, ground };
    tasks.spawn(TaskKind::Critical, "follow-trust", follower.run());
    let others = members as Arc<dyn Others>;
    let via = config.landmark.via.clone();
    let ranging = Ranging { id, key, identity, dialer, others, clock, via };
    tasks.spawn(TaskKind::Ordinary, "ranging", ranging.run());
    Ok(running)
}
