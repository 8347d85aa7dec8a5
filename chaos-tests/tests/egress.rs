//! D3 with real processes: what a federation dials, and what a stranger abroad is sent.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use sekisho_chaos::egress::abroad::{Abroad, Gate, shout};
use sekisho_chaos::egress::drill::{OPERATORS, Watched};
use sekisho_chaos::egress::trace;
use sekisho_chaos::work::not_run;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::ListJobsRequest;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_transport::task::TaskGroup;
use sekisho_transport::verify::Expect;
use sekisho_types::limit::UNPROVEN_MAX;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tonic::Code;

const PORT_BASE: u16 = 27_600;
/// A handshake with three certificates of the server's, and a fixed answer.
const REFUSAL_MAX: u64 = 8 * 1024;
/// Calls of somebody who wants all that there is to be had: each is answered with some tens of bytes.
const GREEDY: usize = 20_000;

/// Nobody dials an address that no settings name, through start, work, a host abroad that wants in, backup, audit and
/// metrics; and nobody abroad is sent more than a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dialled_that_no_settings_name_and_nobody_abroad_is_told_anything() {
    if let Some(reason) = trace::missing() {
        not_run(&reason).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut watched = Watched::start(dir.path(), PORT_BASE).unwrap();
    watched.work().unwrap();
    watched.measured().await.unwrap();
    watched.ranged().await.unwrap();
    match Abroad::new() {
        Ok(abroad) => from_abroad(&watched, &abroad).await,
        Err(error) => not_run(&format!("no place abroad: {error:#}")).unwrap(),
    }
    watched.measured().await.unwrap();
    let seen = watched.judged().unwrap();
    assert!(seen.violations.is_empty(), "{}", seen.violations.join("\n"));
    // It was not blind: every controller was dialled, and so were landmarks, over both of their ways.
    for member in PORT_BASE..PORT_BASE + 3 {
        let addr = SocketAddr::from(([127, 0, 0, 1], member));
        assert!(seen.dials.contains_key(&addr), "{addr}: {:?}", seen.dials);
    }
    let landmarks = seen.dials.keys().filter(|addr| addr.ip().to_string() != "127.0.0.1");
    assert!(landmarks.count() > 0 && seen.replies > 0, "{seen:?}");
}

/// Four strangers: one that speaks no protocol, one with a question, one that asks for ever, one with a certificate of its
/// own making that names a member.
async fn from_abroad(watched: &Watched, abroad: &Abroad) {
    let tasks = TaskGroup::new();
    let member = SocketAddr::from(([127, 0, 0, 1], PORT_BASE));
    let gate = Gate::open(member, &tasks).await.unwrap();
    let (to, trust) = (gate.addr, watched.trust().unwrap());
    let before = abroad.received().unwrap();
    let told = abroad.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(strangers(to, &trust)))
    });
    let told = told.unwrap();
    // What a stranger has read was counted at the gate before it was passed on.
    let sent: [u64; 4] = gate.sent().try_into().unwrap();
    let bound = u64::try_from(UNPROVEN_MAX).unwrap();
    let [noise, question, greedy, forged] = sent;
    assert!(noise <= REFUSAL_MAX && forged <= REFUSAL_MAX, "{sent:?}");
    assert!(question <= REFUSAL_MAX && question > 0, "{sent:?}");
    assert!(greedy > REFUSAL_MAX && greedy <= bound, "{sent:?}");
    // The wire says the same, with the heads of some thousand packets.
    let over_the_wire = abroad.received().unwrap() - before;
    let all: u64 = sent.iter().sum();
    assert!(over_the_wire >= all && over_the_wire <= 16 * bound, "{over_the_wire} {sent:?}");
    for word in ["sapporo", "hokkaido", "n-01", "admin", OPERATORS[1]] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    assert!(tasks.shutdown(Duration::from_secs(10)).await);
}

/// What they were told, in all.
async fn strangers(to: SocketAddr, trust: &Arc<TrustBundles>) -> String {
    let mut told = String::new();
    shout(to, b"GET /metrics HTTP/1.1\r\nHost: member\r\n\r\n").unwrap();
    for calls in [1, GREEDY] {
        let dialer = Dialer::new(None, Arc::clone(trust));
        let route =
            dialer.channel(&to.into(), &Expect::AnyMember, ChannelOptions::default()).unwrap();
        let mut client = JobServiceClient::new(route.channel());
        for call in 0..calls {
            let ask = ListJobsRequest { parent: "tenants/sapporo".into(), ..Default::default() };
            let refused = client.list_jobs(ask).await.unwrap_err();
            told.push_str(&format!("{refused:?}").replace("tenants/sapporo", ""));
            if refused.code() != Code::Unimplemented {
                assert!(call > 0 && !ApiError::from_status(&refused).explained, "{refused:?}");
                break;
            }
            assert!(call + 1 < GREEDY, "a stranger is answered for ever");
        }
    }
    let now = SystemClock.wall();
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let forger = OperatorCa::create("kanto".parse().unwrap(), domain, now).unwrap();
    let site = "tokyo-1".parse().unwrap();
    let issuer = forger.issuer(std::slice::from_ref(&site), now).unwrap();
    let validity = Validity { now, lifetime: Duration::from_secs(3600) };
    let (issued, key) = issuer.issue_member(&site, 1, &[], None, validity).unwrap();
    let forged = Identity::from_pem(&issued.chain_pem, key.expose()).unwrap();
    let dialer = Dialer::new(Some(forged), Arc::clone(trust));
    // In TLS 1.3 the refusal comes when the dialler is through.
    if let Ok(mut conn) = dialer.connect(&to.into(), &Expect::AnyMember).await {
        conn.read_u8().await.unwrap_err();
    }
    told
}
