//! Test-only: what a client may find out about the services, over real mutual TLS: reflection and health.

use super::over_tls::{GRACE, Site, site};
use sekisho_fsm::testing::BEGIN;
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::Validity;
use sekisho_transport::verify::Expect;
use sekisho_types::id::MemberId;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

/// As a person, or as another member.
fn connect(site: &Site, as_person: bool) -> Channel {
    let issuer = site.ca.issuer(&[], BEGIN).unwrap();
    let validity = Validity { now: BEGIN, lifetime: super::over_tls::LIFE };
    let tokyo = "tokyo-1".parse().unwrap();
    let (certified, key) = if as_person {
        issuer.issue_user(&"admin".parse().unwrap(), validity).unwrap()
    } else {
        issuer.issue_member(&tokyo, 7, &[], None, validity).unwrap()
    };
    let identity = Identity::from_pem(&certified.chain_pem, key.expose()).unwrap();
    site.channel(Some(identity), &Expect::AnyMember)
}

async fn reflect(channel: &Channel, ask: MessageRequest) -> Result<MessageResponse, Code> {
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let stream = client.server_reflection_info(tokio_stream::iter([ask])).await;
    let answer = stream.map_err(|status| status.code())?.into_inner().message().await;
    let answer: Option<ServerReflectionResponse> = answer.map_err(|status| status.code())?;
    Ok(answer.unwrap().message_response.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_shows_people_the_public_services_and_no_other() {
    let site = site().await;
    let person = connect(&site, true);
    let listed = reflect(&person, MessageRequest::ListServices(String::new())).await.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let names: Vec<&str> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for name in sekisho_proto::services::public() {
        assert!(names.contains(&name.as_str()), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("internal")), "{names:?}");
    let file = |symbol: &str| MessageRequest::FileContainingSymbol(symbol.to_owned());
    let known = reflect(&person, file("sekisho.v1.JobService")).await.unwrap();
    assert!(matches!(known, MessageResponse::FileDescriptorResponse(_)), "{known:?}");
    let hidden = reflect(&person, file("sekisho.internal.v1.RaftService")).await;
    assert!(!matches!(hidden, Ok(MessageResponse::FileDescriptorResponse(_))), "{hidden:?}");
    // Workloads know what they were built with.
    let workload = connect(&site, false);
    let refused = reflect(&workload, MessageRequest::ListServices(String::new())).await;
    assert_eq!(refused, Err(Code::PermissionDenied));
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_is_healthy_while_a_leader_is_known_and_a_watch_ends_with_the_member() {
    let site = site().await;
    let channel = connect(&site, true);
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let mut client = HealthClient::new(channel.clone());
    let unknown = client.check(ask("sekisho.internal.v1.RaftService")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut streams = Vec::new();
    for service in ["", "sekisho.v1.JobService", "google.longrunning.Operations"] {
        let mut stream = client.watch(ask(service)).await.unwrap().into_inner();
        // The first look may still be under way.
        while stream.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        streams.push(stream);
    }
    *site.fake.replica.leader.lock() = None;
    for stream in &mut streams {
        assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    }
    *site.fake.replica.leader.lock() = Some(MemberId(2));
    for stream in &mut streams {
        assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    }
    // The member ends: nobody is left to wait for.
    let begun = tokio::time::Instant::now();
    let tasks = site.fake.tasks.clone();
    let leaving = async {
        for stream in &mut streams {
            while let Ok(Some(last)) = stream.message().await {
                assert_eq!(last.status(), ServingStatus::NotServing);
            }
        }
    };
    let ((), ended) = tokio::join!(leaving, tasks.shutdown(GRACE));
    assert!(ended && begun.elapsed() < GRACE);
}
