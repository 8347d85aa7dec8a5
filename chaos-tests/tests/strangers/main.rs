//! Who is not let in: without a certificate, of another authority, of an operator but without a role.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

mod crowd;

use sekisho_chaos::federation::Federation;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_proto::v1::member_service_client::MemberServiceClient;
use sekisho_proto::v1::{GetStatusRequest, ListJobsRequest};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::{Issuer, OperatorCa, Validity};
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::OperatorId;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};

const PORT_BASE: u16 = 27_240;
const HOUR: Duration = Duration::from_secs(3600);

/// What whoever asks member 1 believes: kanto's root.
fn trust(federation: &Federation) -> Arc<TrustBundles> {
    let kanto: OperatorId = "kanto".parse().unwrap();
    let pem = std::fs::read_to_string(federation.dir().join("operators/kanto/root.pem")).unwrap();
    let trust = TrustBundles::new(Arc::new(SystemClock));
    let domain = TrustDomain::parse("kanto.example").unwrap();
    trust.replace(&BTreeMap::from([(domain, Bundle::from_pem(kanto, &pem).unwrap())])).unwrap();
    trust
}

/// Asks member 1 for jobs and status, as whoever holds `identity`; what both answered.
async fn ask(federation: &Federation, identity: Option<Identity>) -> [Result<(), Status>; 2] {
    let address: Address = format!("127.0.0.1:{PORT_BASE}").parse().unwrap();
    let dialer = Dialer::new(identity, trust(federation));
    let route = dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default()).unwrap();
    let list = ListJobsRequest { parent: "tenants/sapporo".into(), ..ListJobsRequest::default() };
    let jobs = JobServiceClient::new(route.channel()).list_jobs(list).await.map(drop);
    let status =
        MemberServiceClient::new(route.channel()).get_status(GetStatusRequest {}).await.map(drop);
    [jobs, status]
}

/// A user's certificate of an issuer.
fn user(issuer: &Issuer, name: &str) -> Identity {
    let validity = Validity { now: SystemClock.wall(), lifetime: HOUR };
    let (issued, key) = issuer.issue_user(&name.parse().unwrap(), validity).unwrap();
    Identity::from_pem(&issued.chain_pem, key.expose()).unwrap()
}

/// An administrator's certificate of another authority that claims kanto's domain.
fn impostor() -> Identity {
    let now = SystemClock.wall();
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let false_ca = OperatorCa::create("kanto".parse().unwrap(), domain, now).unwrap();
    user(&false_ca.issuer(&[], now).unwrap(), "admin")
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    // Without a certificate: only the join service is there.
    for answer in ask(&federation, None).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
    // Another authority that claims kanto's domain: no connection at all.
    for answer in ask(&federation, Some(impostor())).await {
        let refused = answer.unwrap_err();
        assert!(!ApiError::from_status(&refused).explained, "a member answered: {refused:?}");
    }
    // An operator's own certificate for somebody whom no key binds to a role.
    let issuer = Issuer::load(&federation.dir().join("operators/hokuto")).unwrap();
    for answer in ask(&federation, Some(user(&issuer, "mallory"))).await {
        let refused = ApiError::from_status(&answer.unwrap_err());
        assert!(
            matches!(refused.code, ErrorCode::PermissionDenied | ErrorCode::NotFound),
            "{refused:?}"
        );
    }
    // The control: the same question by one who may.
    let admin = Identity::load(&federation.dir().join("operators/kanto/users/admin")).unwrap();
    for answer in ask(&federation, Some(admin)).await {
        answer.unwrap();
    }
    crowd::slows_nobody(&federation).await;
}
