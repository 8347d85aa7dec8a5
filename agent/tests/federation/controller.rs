//! Two members of two operators that share one state in memory: as much of a controller as an agent can see.

use crate::log::{Log, Told};
use crate::submission::submission;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sekisho_evidence::acknowledgement::{self, Counted, acknowledge};
use sekisho_evidence::bundle::{Endorser, EndorserBundle};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::{BoundRules, Grant, NodeDesired, SessionId, set_hash};
use sekisho_evidence::join_token::JoinToken;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::operator::{BackupKey, Keys, OperatorKeys};
use sekisho_evidence::receipt::Receipt;
use sekisho_evidence::record::Body;
use sekisho_evidence::tag::{SiteTag, TagArea};
use sekisho_proto::convert::agent::{FetchPayload, Join, OpenSession, Report};
use sekisho_proto::internal::v1::agent_service_server::{AgentService, AgentServiceServer};
use sekisho_proto::internal::v1::controller_message::{Acknowledged, Attached, Message, ReadLog};
use sekisho_proto::internal::v1::join_service_server::{JoinService, JoinServiceServer};
use sekisho_proto::internal::v1::{
    AdoptRequest, AdoptResponse, AgentMessage, ControllerMessage, FetchPayloadRequest,
    FetchPayloadResponse, FetchSiteKeysRequest, FetchSiteKeysResponse, FetchTrustRequest,
    FetchTrustResponse, JoinRequest, JoinResponse, ListLandmarksRequest, ListLandmarksResponse,
    MemberEndpoint, OpenSessionRequest, OpenSessionResponse, OperatorRoot, RefuseRequest,
    RefuseResponse, RenewRequest, ReportFitnessRequest, ReportFitnessResponse, ReportRequest,
    ReportResponse, SubmitFixRequest, SubmitFixResponse, agent_message,
};
use sekisho_proto::status::ApiError;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{Csr, Issuer, OperatorCa, Validity};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, MemberId, NodeId, OperatorId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::principal::TrustDomain;
use sekisho_types::rare::Rare;
use sekisho_types::revision::{Epoch, Incarnation, PlacementId, Revision};
use sekisho_types::time::{Clock as _, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

mod service;

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);
const SECRET: [u8; 32] = [5; 32];
const OPERATORS: [&str; 2] = ["hokuto", "kanto"];
const SITES: [&str; 2] = ["ishikari-1", "tokyo-1"];

#[derive(Debug)]
struct Shared {
    bundle: EndorserBundle,
    issuer: Issuer,
    roots: Vec<OperatorRoot>,
    addresses: Mutex<Vec<String>>,
    area: String,
    log: Mutex<Log>,
    changed: watch::Sender<u64>,
    renews: AtomicBool,
}

pub(crate) struct Federation {
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn operator(number: usize) -> OperatorId {
    OPERATORS[number].parse().unwrap()
}

fn domain(number: usize) -> TrustDomain {
    TrustDomain::parse(&format!("{}.example", OPERATORS[number])).unwrap()
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let done = change(&mut self.log());
        self.changed.send_modify(|version| *version += 1);
        done
    }
}

impl Federation {
    /// Two members on loopback; the node's operator tags it in `area`, wherever that is.
    pub(crate) async fn start(area: &str) -> Self {
        let (now, clock) = (SystemClock.wall(), Arc::new(SystemClock));
        let cas: Vec<OperatorCa> =
            (0..2).map(|n| OperatorCa::create(operator(n), domain(n), now).unwrap()).collect();
        let root = |n: usize| OperatorRoot {
            operator: OPERATORS[n].to_owned(),
            trust_domain: domain(n).to_string(),
            root: cas[n].root().to_vec().into(),
        };
        let shared = Arc::new(Shared {
            bundle: bundle(&cas),
            issuer: cas[0].issuer(&[], now).unwrap(),
            roots: vec![root(0), root(1)],
            addresses: Mutex::default(),
            area: area.to_owned(),
            log: Mutex::default(),
            changed: watch::Sender::new(0),
            renews: AtomicBool::new(true),
        });
        let (tasks, trust) = (TaskGroup::new(), TrustBundles::new(clock));
        trust
            .replace(&cas.iter().map(|ca| (ca.trust_domain().clone(), ca.bundle())).collect())
            .unwrap();
        for (n, ca) in cas.iter().enumerate() {
            let validity = Validity { now, lifetime: Duration::from_secs(3600) };
            let id = u64::try_from(n).unwrap() + 1;
            let issuer = ca.issuer(&[], now).unwrap();
            let site = SITES[n].parse().unwrap();
            let (issued, secret) = issuer.issue_member(&site, id, &[], None, validity).unwrap();
            let identity = Identity::from_pem(&issued.chain_pem, secret.expose()).unwrap();
            let at = "127.0.0.1:0".parse().unwrap();
            let listener =
                Listener::bind(at, &identity, &trust, &tasks, Limits::default()).await.unwrap();
            shared.addresses.lock().unwrap().push(listener.addr.to_string());
            let member = Member { number: n, shared: Arc::clone(&shared), tasks: tasks.clone() };
            let agents = tonic::transport::Server::builder()
                .add_service(AgentServiceServer::new(member.clone()));
            let joins =
                tonic::transport::Server::builder().add_service(JoinServiceServer::new(member));
            tasks.spawn(TaskKind::Ordinary, "agents", async move {
                agents.serve_with_incoming(listener.authenticated).await.unwrap();
            });
            tasks.spawn(TaskKind::Ordinary, "joins", async move {
                joins.serve_with_incoming(listener.anonymous).await.unwrap();
            });
        }
        Self { shared, tasks }
    }

    /// Whether certificates and tags are renewed.
    pub(crate) fn renew(&self, renews: bool) {
        self.shared.renews.store(renews, Ordering::Relaxed);
    }

    pub(crate) async fn stop(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(5)).await);
        assert_eq!(self.tasks.panics(), 0);
    }

    pub(crate) fn token(&self) -> JoinToken {
        JoinToken {
            cluster: CLUSTER,
            endpoints: vec![self.shared.addresses.lock().unwrap()[0].clone()],
            bundle_hash: self.shared.bundle.hash().unwrap(),
            root_hash: self.shared.bundle.operators[0].roots.current,
            node: "ishikari-1/n-01".parse().unwrap(),
            secret: SECRET,
            expires: SystemClock.wall().plus_ms(60_000),
        }
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.shared.log().told)
    }

    /// A grant of the next entry, not yet in any set, for a job that its submitter signed.
    pub(crate) fn grant(&self, payload: &[u8], change: impl Fn(&mut Grant)) -> Grant {
        self.grant_by(&key(11), payload, change)
    }

    /// As [`Federation::grant`], for a job that nobody submitted: the quorum has made a submitter of its own, for
    /// whom no operator's issuer signs.
    pub(crate) fn grant_unsubmitted(&self, payload: &[u8]) -> Grant {
        self.grant_by(&key(99), payload, |_| {})
    }

    fn grant_by(&self, issuer: &SigningKey, payload: &[u8], change: impl Fn(&mut Grant)) -> Grant {
        let mut log = self.shared.log();
        log.revision += 1;
        let epoch = Epoch { incarnation: Incarnation(1), revision: Revision(log.revision) };
        let mut grant = Grant {
            cluster: CLUSTER,
            placement: PlacementId { epoch, ordinal: 0 },
            job: "city/train".parse().unwrap(),
            rank: 0,
            group: 1,
            node: "ishikari-1/n-01".parse().unwrap(),
            node_key: log.node_key.unwrap(),
            session: log.told.sessions.last().unwrap().session,
            class: "h100-80g".parse().unwrap(),
            memory_mib: 81_920,
            units: 0,
            island: 1,
            gpus: 1,
            share: None,
            rules: vec![BoundRules { policy: None, rules: Rare::default() }],
            table: table_hash(),
            landmarks: Digest([0; 32]),
            submitter: "hokuto/user/alice".parse().unwrap(),
            payload: Digest::of(payload),
            submission: Digest([0; 32]),
            on_disconnect: OnDisconnect::Stop,
            time_limit_s: 600,
        };
        change(&mut grant);
        let submission = submission(&grant, issuer, payload.len());
        grant.submission = submission.digest().unwrap();
        let fetched = (payload.to_vec(), submission.bytes().unwrap());
        log.fetched.insert(grant.placement, fetched);
        grant
    }

    /// Makes these new grants the node's whole set.
    pub(crate) fn desire(&self, grants: &[Grant]) {
        self.shared.change(|log| {
            let records =
                grants.iter().map(|grant| log.append(Body::Grant(Box::new(grant.clone()))));
            let records = records.collect();
            let epoch = Epoch { incarnation: Incarnation(1), revision: Revision(log.revision) };
            let desired = log.append(Body::Desired(NodeDesired {
                cluster: CLUSTER,
                node: "ishikari-1/n-01".parse().unwrap(),
                epoch,
                count: u32::try_from(grants.len()).unwrap(),
                hash: set_hash(grants.iter().map(|grant| grant.digest().unwrap())),
            }));
            log.desired = Some((desired, records, epoch.revision));
        });
    }

    /// From now on each new stream loses the first head that the agent tells on it.
    pub(crate) fn lose_heads(&self) {
        self.shared.log().loses_heads = true;
    }

    pub(crate) fn read_log(&self, placement: &PlacementId) {
        self.shared.change(|log| log.read = Some(*placement));
    }
}

fn bundle(cas: &[OperatorCa]) -> EndorserBundle {
    let number = |n: usize| u8::try_from(n).unwrap() + 1;
    let endorser = |n: usize| Endorser {
        operator: operator(n),
        member: MemberId(number(n).into()),
        public_key: key(number(n)).public(),
    };
    let keys = |n: usize| OperatorKeys {
        operator: operator(n),
        trust_domain: domain(n),
        issuers: Keys::one(key(10 + number(n)).public()),
        site_tags: Keys::one(key(20 + number(n)).public()),
        roots: Keys::one(Digest::of(cas[n].root())),
        backups: Keys::one(BackupKey([number(n); 32])),
    };
    let bundle = EndorserBundle {
        cluster: CLUSTER,
        incarnation: Incarnation(1),
        version: 1,
        terms: Digest([0; 32]),
        k: 2,
        endorsers: (0..2).map(endorser).collect(),
        operators: (0..2).map(keys).collect(),
    };
    bundle.check().unwrap();
    bundle
}

#[derive(Debug, Clone)]
struct Member {
    number: usize,
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Member {
    fn enrol(&self, node: &NodeId, csr: &[u8]) -> JoinResponse {
        let now = SystemClock.wall();
        let validity = Validity { now, lifetime: Duration::from_secs(3600) };
        let issued = self.shared.issuer.issue_agent_from_csr(csr, node, None, validity).unwrap();
        let tag = SiteTag {
            cluster: CLUSTER,
            operator: operator(0),
            node: node.clone(),
            area: TagArea::resolve(&self.shared.area).unwrap(),
            node_key: Csr::verify(csr).unwrap().spki_sha256(),
            issued: Timestamp(now.0 - 60_000),
            expires: Timestamp(now.0 + 3_600_000),
            serial: 1,
        };
        let pem = issued.chain_pem.as_bytes();
        let chain = CertificateDer::pem_slice_iter(pem).map(|der| der.unwrap().to_vec().into());
        let addresses = self.shared.addresses.lock().unwrap();
        let members = addresses.iter().enumerate().map(|(n, address)| MemberEndpoint {
            member: u64::try_from(n).unwrap() + 1,
            operator: OPERATORS[n].to_owned(),
            site: SITES[n].to_owned(),
            address: address.clone(),
        });
        JoinResponse {
            certificate_chain: chain.collect(),
            site_tag: tag.sign(&key(21)).unwrap().0.into(),
            bundle: encode(&self.shared.bundle).unwrap().into(),
            members: members.collect(),
            roots: self.shared.roots.clone(),
        }
    }

    /// What the leader, who is the first, signs; the other says nothing in its name.
    fn word(&self, session: SessionId, sequence: u64) -> Vec<u8> {
        if self.number != 0 {
            return Vec::new();
        }
        let counted = Counted {
            cluster: CLUSTER,
            incarnation: Incarnation(1),
            member: MemberId(1),
            term: 1,
            revision: Revision(1),
        };
        let node = "ishikari-1/n-01".parse().unwrap();
        let renewal = acknowledgement::Renewal { node, session, sequence };
        acknowledge(counted, &[renewal], &key(1)).unwrap()[0].bytes().unwrap()
    }

    /// Answers what the agent says, and says what is new, until it is gone.
    async fn serve(
        self,
        mut inbound: Streaming<AgentMessage>,
        out: mpsc::Sender<Result<ControllerMessage, Status>>,
    ) {
        let mut changed = self.shared.changed.subscribe();
        let (mut head, mut accepted, mut sent, mut read) = (0, 0, None, None);
        let mut session = SessionId([0; 16]);
        let mut loses_head = self.shared.log().loses_heads;
        let say = async |message| {
            drop(out.send(Ok(ControllerMessage { message: Some(message) })).await);
        };
        let member = u64::try_from(self.number).unwrap() + 1;
        say(Message::Attached(Attached { member, operator: OPERATORS[self.number].into() })).await;
        loop {
            let (news, ask) = {
                let log = self.shared.log();
                (log.message(self.number, head), log.read)
            };
            // As a controller does: again when the head is not the one from which the proof began.
            let is_new = |revision: u64| revision > accepted && sent != Some((revision, head));
            if let Some((revision, message)) = news.filter(|(revision, _)| is_new(*revision)) {
                sent = Some((revision, head));
                say(message).await;
            }
            if let Some(placement) = ask.filter(|_| read != ask && self.number == 0) {
                read = ask;
                let placement = placement.to_string();
                say(Message::ReadLog(ReadLog {
                    request: 1,
                    placement,
                    stderr: false,
                    offset: 0,
                    max_bytes: 99,
                    wait_ms: 2_000,
                    tail_lines: None,
                }))
                .await;
            }
            tokio::select! {
                done = changed.changed() => if done.is_err() { return },
                message = inbound.message() => {
                    let Ok(Some(AgentMessage { message: Some(message) })) = message else { return };
                    match message {
                        agent_message::Message::Attach(attach) => {
                            session = SessionId(attach.session.as_ref().try_into().unwrap());
                            head = attach.head_size;
                            accepted = attach.accepted_revision;
                        }
                        agent_message::Message::Renewal(renewal) => {
                            let sequence = renewal.sequence;
                            let signed = self.word(session, sequence).into();
                            say(Message::Acknowledged(Acknowledged { sequence, revision: 0, signed, wall_ms: 0 })).await;
                        }
                        agent_message::Message::Head(_) if std::mem::take(&mut loses_head) => {}
                        agent_message::Message::Head(moved) => head = moved.size,
                        agent_message::Message::Accepted(set) => accepted = set.revision,
                        agent_message::Message::Proving(_) | agent_message::Message::Countersigned(_) => {}
                        agent_message::Message::Log(chunk) => {
                            // Asked again until the job has written.
                            if chunk.data.is_empty() { read = None; }
                            self.shared.change(|log| log.told.output = Some(chunk.data.to_vec()));
                        }
                    }
                }
            }
        }
    }
}
