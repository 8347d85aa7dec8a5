//! All services of a member, and serving them on what the transport accepts.
//!
//! Must hold: peers without a certificate are given the services by which one is had, and nothing else (D3). Reflection and
//! health know what people and pipelines may know; a service is healthy while a leader is known, and whoever watches that hears
//! of the end.

use crate::call::Call;
use crate::core::Core;
use crate::layer::Measure;
use crate::limit::{
    AGENT_REQUEST_MAX, ANSWER_MAX, CALLS_PER_CONNECTION, LOGIN_REQUEST_MAX, REQUEST_MAX,
};
use crate::service::agent::AgentApi;
use crate::service::approval::ApprovalApi;
use crate::service::audit::AuditApi;
use crate::service::break_glass::BreakGlassApi;
use crate::service::budget::BudgetApi;
use crate::service::escrow::EscrowApi;
use crate::service::event::EventApi;
use crate::service::job::JobApi;
use crate::service::join::JoinApi;
use crate::service::key::KeyApi;
use crate::service::landmark::LandmarkApi;
use crate::service::landmark_host::LandmarkHostApi;
use crate::service::login::LoginApi;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use crate::service::offer::OfferApi;
use crate::service::operation::OperationApi;
use crate::service::operator::OperatorApi;
use crate::service::peer::PeerApi;
use crate::service::policy::PolicyApi;
use crate::service::quota::QuotaApi;
use crate::service::reservation::ReservationApi;
use crate::service::scheduler::SchedulerApi;
use crate::service::site::SiteApi;
use crate::service::snapshot::SnapshotApi;
use crate::service::tenant::TenantApi;
use crate::service::trust::TrustApi;
use crate::tiles::{CHECKPOINT, TILE, Tiles};
use sekisho_proto::PUBLIC;
use sekisho_proto::google::longrunning::operations_server::OperationsServer;
use sekisho_proto::internal::v1::agent_service_server::AgentServiceServer;
use sekisho_proto::internal::v1::join_service_server::JoinServiceServer;
use sekisho_proto::internal::v1::landmark_host_service_server::LandmarkHostServiceServer;
use sekisho_proto::internal::v1::peer_service_server::PeerServiceServer;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::approval_service_server::ApprovalServiceServer;
use sekisho_proto::v1::audit_service_server::AuditServiceServer;
use sekisho_proto::v1::break_glass_service_server::BreakGlassServiceServer;
use sekisho_proto::v1::budget_service_server::BudgetServiceServer;
use sekisho_proto::v1::escrow_service_server::EscrowServiceServer;
use sekisho_proto::v1::event_service_server::EventServiceServer;
use sekisho_proto::v1::job_service_server::JobServiceServer;
use sekisho_proto::v1::key_service_server::KeyServiceServer;
use sekisho_proto::v1::landmark_service_server::LandmarkServiceServer;
use sekisho_proto::v1::login_service_server::LoginServiceServer;
use sekisho_proto::v1::member_service_server::MemberServiceServer;
use sekisho_proto::v1::node_service_server::NodeServiceServer;
use sekisho_proto::v1::offer_service_server::OfferServiceServer;
use sekisho_proto::v1::operator_service_server::OperatorServiceServer;
use sekisho_proto::v1::policy_service_server::PolicyServiceServer;
use sekisho_proto::v1::quota_service_server::QuotaServiceServer;
use sekisho_proto::v1::reservation_service_server::ReservationServiceServer;
use sekisho_proto::v1::scheduler_service_server::SchedulerServiceServer;
use sekisho_proto::v1::site_service_server::SiteServiceServer;
use sekisho_proto::v1::snapshot_service_server::SnapshotServiceServer;
use sekisho_proto::v1::tenant_service_server::TenantServiceServer;
use sekisho_proto::v1::trust_service_server::TrustServiceServer;
use sekisho_transport::listen::ConnStream;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::Workload;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// HTTP/2 pings of an idle connection: an agent that is gone is noticed within a lease.
const PING_EVERY: Duration = Duration::from_secs(5);

/// How often health is looked at: once within two heartbeats of a load balancer.
const HEALTH_EVERY: Duration = Duration::from_millis(500);

/// Bytes of the headers of one request: a certificate's worth of metadata, no more.
pub(crate) const HEADERS_MAX: u32 = 16 * 1024;

macro_rules! bounded {
    ($server:ident, $service:expr, $request:expr) => {
        $server::new($service)
            .max_decoding_message_size($request)
            .max_encoding_message_size(ANSWER_MAX)
    };
}

/// Why the services cannot be put together.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors of the services are not usable")]
pub struct ServicesError(#[source] tonic_reflection::server::Error);

/// The services of one member.
#[derive(Debug, Clone)]
pub struct Services {
    core: Arc<Core>,
}

impl Services {
    /// Services over this core.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Everything for peers with a certificate. The raft service and what else the caller has is added to it.
    ///
    /// # Errors
    /// [`ServicesError`].
    pub fn authenticated(&self) -> Result<Routes, ServicesError> {
        let core = || Arc::clone(&self.core);
        let (reporter, health) = tonic_health::server::health_reporter();
        let tell = Arc::clone(&self.core);
        self.core.tasks.spawn_finishing(TaskKind::Critical, "health", async move {
            tell.report_health(reporter).await;
        });
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(PUBLIC)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(ServicesError)?;
        let routes = Routes::new(health)
            .add_service(InterceptedService::new(reflection, people_alone))
            .add_service(bounded!(SiteServiceServer, SiteApi(core()), REQUEST_MAX))
            .add_service(bounded!(NodeServiceServer, NodeApi(core()), REQUEST_MAX))
            .add_service(bounded!(TenantServiceServer, TenantApi(core()), REQUEST_MAX))
            .add_service(bounded!(PolicyServiceServer, PolicyApi(core()), REQUEST_MAX))
            .add_service(bounded!(QuotaServiceServer, QuotaApi(core()), REQUEST_MAX))
            .add_service(bounded!(BudgetServiceServer, BudgetApi(core()), REQUEST_MAX))
            .add_service(bounded!(EscrowServiceServer, EscrowApi(core()), REQUEST_MAX))
            .add_service(bounded!(OfferServiceServer, OfferApi(core()), REQUEST_MAX))
            .add_service(bounded!(ReservationServiceServer, ReservationApi(core()), REQUEST_MAX))
            .add_service(bounded!(JobServiceServer, JobApi(core()), REQUEST_MAX))
            .add_service(bounded!(MemberServiceServer, MemberApi(core()), REQUEST_MAX))
            .add_service(bounded!(OperatorServiceServer, OperatorApi(core()), REQUEST_MAX))
            .add_service(bounded!(TrustServiceServer, TrustApi(core()), REQUEST_MAX))
            .add_service(bounded!(KeyServiceServer, KeyApi(core()), REQUEST_MAX))
            .add_service(bounded!(ApprovalServiceServer, ApprovalApi(core()), REQUEST_MAX))
            .add_service(bounded!(BreakGlassServiceServer, BreakGlassApi(core()), REQUEST_MAX))
            .add_service(bounded!(LandmarkServiceServer, LandmarkApi(core()), REQUEST_MAX))
            .add_service(bounded!(AuditServiceServer, AuditApi::new(core()), REQUEST_MAX))
            .add_service(bounded!(SnapshotServiceServer, SnapshotApi::new(core()), REQUEST_MAX))
            .add_service(bounded!(SchedulerServiceServer, SchedulerApi::new(core()), REQUEST_MAX))
            .add_service(bounded!(EventServiceServer, EventApi::new(core()), REQUEST_MAX))
            .add_service(bounded!(OperationsServer, OperationApi(core()), REQUEST_MAX))
            .add_service(bounded!(AgentServiceServer, AgentApi(core()), AGENT_REQUEST_MAX))
            .add_service(bounded!(LandmarkHostServiceServer, LandmarkHostApi(core()), REQUEST_MAX))
            .add_service(bounded!(PeerServiceServer, PeerApi(core()), REQUEST_MAX));
        let tiles = Tiles::new(core());
        let router = routes.into_axum_router();
        let router = router.route_service(CHECKPOINT, tiles.clone()).route_service(TILE, tiles);
        Ok(router.layer(self.core.journaling()).into())
    }

    /// What a peer without a certificate reaches.
    #[must_use]
    pub fn anonymous(&self) -> Routes {
        let core = || Arc::clone(&self.core);
        let routes = Routes::new(bounded!(JoinServiceServer, JoinApi(core()), REQUEST_MAX))
            .add_service(bounded!(LoginServiceServer, LoginApi(core()), LOGIN_REQUEST_MAX));
        routes.into_axum_router().layer(self.core.journaling()).into()
    }
}

/// Workloads know what they were built with; what asks is a person's tool.
fn people_alone(request: Request<()>) -> Result<Request<()>, Status> {
    match &Call::of(&request)?.principal().workload {
        Workload::User { .. } => Ok(request),
        Workload::Member { .. } | Workload::Agent { .. } | Workload::Landmark { .. } => {
            Err(ApiError::new(ErrorCode::PermissionDenied, "reflection is for people").into())
        }
    }
}

impl Core {
    /// Serving as long as a leader is known; at the end whoever watches hears so, and its stream ends.
    async fn report_health(&self, mut reporter: HealthReporter) {
        // "" is the member as a whole.
        let services = [vec![String::new()], sekisho_proto::services::public()].concat();
        let mut ends = pin!(self.tasks.cancelled());
        loop {
            let known = self.replica.membership().leader.is_some();
            let status = if known { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in &services {
                reporter.set_service_status(service, status).await;
            }
            let pause = tokio::time::sleep(HEALTH_EVERY);
            if tokio::select! { () = &mut ends => true, () = pause => false } {
                break;
            }
        }
        for service in &services {
            reporter.set_service_status(service, ServingStatus::NotServing).await;
            reporter.clear_service_status(service).await;
        }
    }
}

/// Serves routes on a stream of connections until the group is cancelled.
pub fn serve(routes: Routes, connections: ConnStream, tasks: &TaskGroup) {
    let cancelled = tasks.cancelled();
    tasks.spawn_finishing(TaskKind::Critical, "serve", async move {
        let server = Server::builder()
            .layer(Measure::default())
            .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_EVERY))
            .http2_max_header_list_size(HEADERS_MAX)
            .add_routes(routes);
        if let Err(error) = server.serve_with_incoming_shutdown(connections, cancelled).await {
            tracing::error!(%error, "serving ended");
        }
    });
}
