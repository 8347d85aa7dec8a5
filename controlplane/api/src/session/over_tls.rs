//! Test-only: a host joins, its agent attaches and is served, over real mutual TLS on loopback.

use crate::fake::{Fake, FakeIssuer, Says, fake_with};
use crate::issuer::{IssueError, Issuer};
use crate::server::{Services, serve};
use sekisho_evidence::acknowledgement::{Acknowledgement, Renewal as Asked};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::{VerifiedCheckpoint, assemble, verify_note};
use sekisho_evidence::grant::{Instance, SessionId, set_hash};
use sekisho_evidence::merkle::{check_consistency, check_inclusion};
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::sealed::{
    NodeSealingRecord, SealedSiteKey, SignedSiteKey, SiteKeyRecord, SitePublicKey,
};
use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_fsm::command::Command;
use sekisho_fsm::quarantine::Twin;
use sekisho_fsm::testing::{self, BEGIN, CLASS};
use sekisho_proto::convert::agent::{Attach, Desired, OpenSession, Proved};
use sekisho_proto::internal::v1::agent_message::{
    Accepted, HeadMoved, LogChunk, Message as Up, Renewal as Beat,
};
use sekisho_proto::internal::v1::agent_service_client::AgentServiceClient;
use sekisho_proto::internal::v1::controller_message::{Acknowledged, Message as Down, Stop};
use sekisho_proto::internal::v1::join_service_client::JoinServiceClient;
use sekisho_proto::internal::v1::{self as internal, AgentMessage, JoinRequest};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::HelloRequest;
use sekisho_proto::v1::member_service_client::MemberServiceClient;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{self, Key, OperatorCa, Validity, root_hash};
use sekisho_transport::verify::Expect;
use sekisho_types::device::Bucket;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, JobId, NodeId, PublicKey, SiteId};
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::principal::TrustDomain;
use sekisho_types::revision::{Epoch, Incarnation, KeyEpoch, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

pub(crate) const LIFE: Duration = Duration::from_secs(3600);
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Real certificates; tags by the fixture's keys.
#[derive(Debug)]
struct RealIssuer(pki::Issuer);

impl Issuer for RealIssuer {
    fn key_of(&self, csr: &[u8]) -> Result<Digest, IssueError> {
        let csr = pki::Csr::verify(csr).map_err(|e| IssueError::Request(e.to_string()))?;
        Ok(csr.spki_sha256())
    }
    fn issue_agent(
        &self,
        csr: &[u8],
        node: &NodeId,
        area: Area,
    ) -> Result<Vec<Vec<u8>>, IssueError> {
        let validity = Validity { now: BEGIN, lifetime: LIFE };
        let issued = self.0.issue_agent_from_csr(csr, node, Some(area), validity).unwrap();
        // As PEM in one piece: the test has no use for DER.
        Ok(vec![issued.chain_pem.into_bytes()])
    }
    fn sign_tag(&self, tag: &SiteTag) -> Result<SignedTag, IssueError> {
        FakeIssuer.sign_tag(tag)
    }
    fn site_tag_key(&self) -> Option<PublicKey> {
        FakeIssuer.site_tag_key()
    }
    fn site_key(
        &self,
        cluster: &ClusterId,
        site: &SiteId,
        epoch: KeyEpoch,
    ) -> Result<SitePublicKey, IssueError> {
        FakeIssuer.site_key(cluster, site, epoch)
    }
    fn sign_site_key(&self, record: SiteKeyRecord) -> Result<SignedSiteKey, IssueError> {
        FakeIssuer.sign_site_key(record)
    }
    fn deliver_site_key(
        &self,
        epoch: KeyEpoch,
        to: &NodeSealingRecord,
    ) -> Result<SealedSiteKey, IssueError> {
        FakeIssuer.deliver_site_key(epoch, to)
    }
}

/// The member of kanto, listening.
pub(crate) struct Site {
    pub(crate) fake: Fake,
    pub(crate) ca: OperatorCa,
    pub(super) trust: Arc<TrustBundles>,
    pub(super) address: sekisho_transport::address::Address,
}

fn bundles(fake: &Fake, ca: &OperatorCa) -> Arc<TrustBundles> {
    let bundles = TrustBundles::new(fake.clock.clone());
    bundles.replace(&BTreeMap::from([(ca.trust_domain().clone(), ca.bundle())])).unwrap();
    bundles
}

pub(crate) async fn site() -> Site {
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let ca = OperatorCa::create("kanto".parse().unwrap(), domain, BEGIN).unwrap();
    let issuer = ca.issuer(&["tokyo-1".parse().unwrap()], BEGIN).unwrap();
    let validity = Validity { now: BEGIN, lifetime: LIFE };
    let tokyo = "tokyo-1".parse().unwrap();
    let (member, key) = issuer.issue_member(&tokyo, 2, &[], None, validity).unwrap();
    let identity = Identity::from_pem(&member.chain_pem, key.expose()).unwrap();
    let fake = fake_with(Arc::new(RealIssuer(issuer)));
    let any = "127.0.0.1:0".parse().unwrap();
    let trust = bundles(&fake, &ca);
    let listener =
        Listener::bind(any, &identity, &trust, &fake.tasks, Limits::default()).await.unwrap();
    let services = Services::new(Arc::clone(&fake.core));
    serve(services.authenticated().unwrap(), listener.authenticated, &fake.tasks);
    serve(services.anonymous(), listener.anonymous, &fake.tasks);
    fake.core.start_sessions();
    Site { address: listener.addr.into(), fake, ca, trust }
}

impl Site {
    pub(crate) fn channel(&self, identity: Option<Identity>, expect: &Expect) -> Channel {
        let dialer = Dialer::new(identity, bundles(&self.fake, &self.ca));
        dialer.channel(&self.address, expect, ChannelOptions::default()).unwrap().channel()
    }

    /// Joins as `tokyo-1/n-09` with nothing but a token.
    async fn join(&self) -> (NodeId, Channel) {
        let node: NodeId = "tokyo-1/n-09".parse().unwrap();
        let (token, expires) = (Digest::of(&[9; 32]), BEGIN.plus_ms(60_000));
        let command = Command::CreateToken { token, node: node.clone(), expires, approved: true };
        self.fake.replica.elsewhere(|f| f.accept(testing::admin("kanto"), command));
        let key = Key::generate().unwrap();
        let ask = JoinRequest {
            secret: vec![9; 32].into(),
            site: "tokyo-1".into(),
            node: "n-09".into(),
            area: "Tokyo".into(),
            csr: key.csr().unwrap().into(),
            receipt_key: vec![1; 32].into(),
        };
        let pinned = Expect::CaHash(root_hash(self.ca.root()));
        let anonymous = self.channel(None, &pinned);
        // The area of the whole prefecture does not lie in the site's ward.
        let wide = JoinServiceClient::new(anonymous.clone()).join(ask.clone()).await.unwrap_err();
        assert_eq!(ApiError::from_status(&wide).code, ErrorCode::TagInvalid);
        let ask = JoinRequest { area: "131016".into(), ..ask };
        let answer = JoinServiceClient::new(anonymous.clone()).join(ask).await.unwrap();
        let answer = answer.into_inner();
        // Nothing else is there for a peer without a certificate.
        let hello = MemberServiceClient::new(anonymous).hello(HelloRequest {}).await;
        assert_eq!(hello.unwrap_err().code(), tonic::Code::Unimplemented);
        let chain = String::from_utf8(answer.certificate_chain[0].to_vec()).unwrap();
        let identity = Identity::from_pem(&chain, key.pem().expose()).unwrap();
        (node, self.channel(Some(identity), &Expect::AnyMember))
    }
}

/// The agent's end of a stream.
struct Agent {
    up: mpsc::Sender<AgentMessage>,
    down: Streaming<sekisho_proto::internal::v1::ControllerMessage>,
}

impl Agent {
    async fn attach(
        channel: &Channel,
        session: SessionId,
        accepted: Revision,
    ) -> Result<Self, Status> {
        Self::attach_as(Instance([1; 16]), channel, session, accepted).await
    }

    async fn attach_as(
        instance: Instance,
        channel: &Channel,
        session: SessionId,
        accepted: Revision,
    ) -> Result<Self, Status> {
        let (up, queue) = mpsc::channel(8);
        let accepted = Epoch { incarnation: Incarnation(1), revision: accepted };
        let attach = Attach { session, head_size: 0, accepted, instance };
        let first = AgentMessage { message: Some(Up::Attach((&attach).into())) };
        up.send(first).await.unwrap();
        let mut client = AgentServiceClient::new(channel.clone());
        let down = client.attach(ReceiverStream::new(queue)).await?.into_inner();
        Ok(Self { up, down })
    }

    /// Attaches after the session was opened, and accepts the empty set that it begins with.
    async fn settle(channel: &Channel, session: SessionId) -> (Self, Revision) {
        let mut agent = Self::attach(channel, session, Revision(0)).await.unwrap();
        let Ok(Down::Attached(greeting)) = agent.hear().await else { panic!("no greeting") };
        assert_eq!((greeting.member, greeting.operator.as_str()), (2, "kanto"));
        let Ok(Down::Trust(trust)) = agent.hear().await else { panic!("no version") };
        assert_eq!(trust.version, 1);
        let empty = agent.desired().await;
        assert!(empty.grants.is_empty());
        agent.say(Up::Accepted(Accepted { revision: empty.revision.0 })).await;
        (agent, empty.revision)
    }

    async fn say(&self, message: Up) {
        self.up.send(AgentMessage { message: Some(message) }).await.unwrap();
    }

    async fn beat(&self, sequence: u64) {
        self.say(Up::Renewal(Beat { sequence, ..Beat::default() })).await;
    }

    async fn hear(&mut self) -> Result<Down, Status> {
        let message = tokio::time::timeout(GRACE, self.down.message()).await.expect("in time")?;
        Ok(message.expect("the stream goes on").message.unwrap())
    }

    async fn desired(&mut self) -> Desired {
        let Down::Desired(desired) = self.hear().await.unwrap() else { panic!("no set") };
        Desired::try_from(&desired).unwrap()
    }
}

/// Checks everything of a set that one member's word can prove, as the agent will with k of them.
fn verified(bundle: &EndorserBundle, set: &Desired) -> (Vec<JobId>, VerifiedCheckpoint) {
    let alone = EndorserBundle { k: 1, ..bundle.clone() };
    let note = assemble(&set.checkpoint, std::slice::from_ref(&set.line));
    let verified = verify_note(&alone, &note).unwrap();
    let head = verified.checkpoint.head;
    let included = |p: &Proved| {
        check_inclusion(head.size, &head.root, p.index, &p.record, &p.path).unwrap();
        Record::parse(&p.record).unwrap().body
    };
    let grants: Vec<_> = set.grants.iter().map(included).collect();
    let grant = |body: &Body| match body {
        Body::Grant(grant) => (**grant).clone(),
        Body::Entry { .. } | Body::Desired(_) | Body::Approval { .. } | Body::BreakGlass { .. } => {
            panic!("no grant")
        }
    };
    let grants: Vec<_> = grants.iter().map(grant).collect();
    let Body::Desired(desired) = included(&set.desired) else { panic!("no set") };
    assert_eq!(desired.hash, set_hash(grants.iter().map(|g| g.digest().unwrap())));
    (grants.into_iter().map(|grant| grant.job).collect(), verified)
}

async fn open(channel: &Channel, session: SessionId) {
    let devices = (0..4).map(|n| Digest([n; 32]));
    let bucket = Bucket::whole(CLASS.parse().unwrap(), 81_920, 0, devices);
    let open = OpenSession {
        session,
        previous: None,
        buckets: vec![bucket],
        live: vec![],
        table: table_hash(),
        incarnation: Incarnation(1),
        findings: vec![],
        rack: None,
    };
    AgentServiceClient::new(channel.clone())
        .open_session(internal::OpenSessionRequest::from(&open))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_host_joins_attaches_and_is_told_what_to_run_and_stop() {
    let site = site().await;
    let (node, channel) = site.join().await;
    let session = SessionId([7; 16]);
    open(&channel, session).await;
    let (mut agent, _) = Agent::settle(&channel, session).await;

    // A set under the checkpoint of its own entry; not accepted, so again under a newer one.
    let replica = &site.fake.replica;
    let job = replica.elsewhere(|f| {
        let job = f.submit(testing::job("train", 1, 1, &["JP-13"]));
        f.place(&job, &["tokyo-1/n-09"]);
        job
    });
    let state = site.fake.core.replica.state();
    let bundle = state.federation().unwrap().bundle.clone();
    let first = agent.desired().await;
    let (jobs, under) = verified(&bundle, &first);
    assert_eq!((jobs, under.checkpoint.revision), (vec![job.clone()], first.revision));
    replica.elsewhere(|f| f.accept(testing::member("kanto"), Command::Tick));
    let again = agent.desired().await;
    let (_, newer) = verified(&bundle, &again);
    assert_eq!(again.revision, first.revision);
    assert!(newer.checkpoint.revision > under.checkpoint.revision);
    agent.say(Up::Accepted(Accepted { revision: first.revision.0 })).await;

    // A cancelled job's placement is to stop until it is confirmed dead.
    let placement = state.job(&job).unwrap().placements[0];
    replica.elsewhere(|f| f.accept(testing::user("kanto", "sapporo"), Command::CancelJob { job }));
    let mut stops = 0;
    let mut empty = false;
    while stops < 2 || !empty {
        match agent.hear().await.unwrap() {
            Down::Stop(Stop { placements }) => {
                assert_eq!(placements, [placement.to_string()]);
                stops += 1;
            }
            Down::Desired(set) => empty = Desired::try_from(&set).unwrap().grants.is_empty(),
            Down::Attached(_)
            | Down::Acknowledged(_)
            | Down::Expiring(_)
            | Down::ReadLog(_)
            | Down::Prove(_)
            | Down::Trust(_) => panic!("not asked for"),
        }
    }
    let revoke = Command::RevokeNode { node };
    replica.elsewhere(|f| f.accept(testing::admin("kanto"), revoke));
    let end = loop {
        if let Err(end) = agent.hear().await {
            break end;
        }
    };
    assert_eq!(ApiError::from_status(&end).code, ErrorCode::NodeRevoked);
    agent.up.closed().await;
    let refused = Agent::attach(&channel, session, Revision(0)).await;
    let refused = refused.err().map(|status| ApiError::from_status(&status));
    assert_eq!(refused.map(|error| error.code), Some(ErrorCode::NodeRevoked));
    assert!(site.fake.tasks.shutdown(GRACE).await);
    assert_eq!((site.fake.tasks.panics(), site.fake.tasks.failed()), (0, None));
}

/// The agent's word that its head moved and the next set cross on their way: nothing is signed meanwhile, and still the
/// set comes again with a proof that the agent can use.
#[tokio::test]
async fn a_set_that_crossed_with_a_moved_head_comes_again() {
    let site = site().await;
    let (_node, channel) = site.join().await;
    let session = SessionId([7; 16]);
    open(&channel, session).await;
    let (mut agent, _) = Agent::settle(&channel, session).await;
    let replica = &site.fake.replica;
    let state = site.fake.core.replica.state();
    let bundle = state.federation().unwrap().bundle.clone();
    replica.elsewhere(|f| {
        let job = f.submit(testing::job("train", 1, 1, &["JP-13"]));
        f.place(&job, &["tokyo-1/n-09"]);
    });
    let first = agent.desired().await;
    let (_, under) = verified(&bundle, &first);
    assert_eq!(first.from_size, 0);
    let old = site.fake.core.heads.after(Revision(0), usize::MAX)[0].checkpoint.head;
    assert!(old.size > 0 && old.size < under.checkpoint.head.size, "{old:?}");
    agent.say(Up::Head(HeadMoved { size: old.size })).await;
    let again = agent.desired().await;
    assert_eq!((again.revision, again.from_size), (first.revision, old.size));
    assert_eq!(again.checkpoint, first.checkpoint, "the text under which all members sign");
    check_consistency(verified(&bundle, &again).1.checkpoint.head, old, &again.consistency)
        .unwrap();
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn renewals_are_acknowledged_only_by_those_who_may() {
    let site = site().await;
    let (node, channel) = site.join().await;
    let session = SessionId([7; 16]);
    open(&channel, session).await;
    let (mut agent, settled) = Agent::settle(&channel, session).await;
    let core = &site.fake.core;
    let bundle = core.replica.state().federation().unwrap().bundle.clone();
    let acknowledged = |down| {
        let Down::Acknowledged(Acknowledged { sequence, signed, .. }) = down else {
            panic!("{down:?}")
        };
        if signed.is_empty() {
            return (sequence, false);
        }
        let renewal = Asked { node: node.clone(), session, sequence };
        let signed = Acknowledgement::parse(&signed).unwrap();
        assert_eq!(signed.verify(&bundle, &renewal).unwrap().as_str(), "kanto");
        (sequence, true)
    };
    agent.beat(1).await;
    assert_eq!(acknowledged(agent.hear().await.unwrap()), (1, true));
    // Not the leader, and in contact with nobody: the second beat gets no answer. The stream takes messages in order,
    // so a read of output that comes back marks the place after it.
    *site.fake.replica.renewal.lock() = Says::NotLeader;
    agent.beat(2).await;
    let ask = internal::ReadNodeLogRequest::default();
    let soon = Deadline::after(GRACE);
    let output = async {
        let Down::ReadLog(read) = agent.hear().await.unwrap() else { panic!("no read") };
        let (request, data) = (read.request, "日本".into());
        agent.say(Up::Log(LogChunk { request, data, ..LogChunk::default() })).await;
    };
    let (read, ()) = tokio::join!(core.sessions.read_log(&node, &ask, soon), output);
    assert_eq!(read.unwrap().data.as_ref(), "日本".as_bytes());
    let state = core.replica.state();
    let federation = state.federation().unwrap();
    let hokuto = federation.members.values().next().unwrap();
    *site.fake.replica.renewal.lock() = Says::Expiring;
    agent.beat(3).await;
    assert_eq!(agent.hear().await.unwrap(), Down::Expiring(Default::default()));
    *site.fake.replica.renewal.lock() = Says::NotLeader;
    core.peers.hear(hokuto, Revision(1), Some(""), 0);
    agent.beat(4).await;
    assert_eq!(acknowledged(agent.hear().await.unwrap()), (4, false));
    // A session that is not the open one.
    let stale = Agent::attach(&channel, SessionId([8; 16]), settled);
    let stale = stale.await.err().map(|status| ApiError::from_status(&status).code);
    assert_eq!(stale, Some(ErrorCode::SessionStale));
    // A newer stream of the same session takes over.
    let mut newer = Agent::attach(&channel, session, settled).await.unwrap();
    for _greeting_and_version in 0..2 {
        newer.hear().await.unwrap();
    }
    let end = agent.hear().await.unwrap_err();
    assert_eq!(ApiError::from_status(&end).code, ErrorCode::SessionTwin);
    newer.beat(5).await;
    assert_eq!(acknowledged(newer.hear().await.unwrap()), (5, false));
    assert_eq!(core.sessions.count(), 1);
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn a_second_start_of_the_agent_in_one_session_puts_both_into_quarantine() {
    let site = site().await;
    let (node, channel) = site.join().await;
    let session = SessionId([7; 16]);
    open(&channel, session).await;
    let (mut agent, settled) = Agent::settle(&channel, session).await;
    let twin = Agent::attach_as(Instance([2; 16]), &channel, session, settled);
    let refused = twin.await.err().map(|status| ApiError::from_status(&status).code);
    assert_eq!(refused, Some(ErrorCode::NodeQuarantined));
    // The first one is no better: which of them is the copy, nobody knows.
    let end = agent.hear().await.unwrap_err();
    assert_eq!(ApiError::from_status(&end).code, ErrorCode::NodeQuarantined);
    let again = Agent::attach(&channel, session, settled).await;
    let refused = again.err().map(|status| ApiError::from_status(&status).code);
    assert_eq!(refused, Some(ErrorCode::NodeQuarantined));
    let state = site.fake.core.replica.state();
    let why = state.node(&node).unwrap().quarantine.as_ref().unwrap().why;
    let (first, second) = (Instance([1; 16]), Instance([2; 16]));
    assert_eq!(why, Twin::Instances { session, first, second });
    assert!(site.fake.tasks.shutdown(GRACE).await);
}
