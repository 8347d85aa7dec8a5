//! Operators with real certificates, hosts of one, and landmarks of all.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up for tests and measurements: a broken one should fail loudly"
)]
#![expect(missing_docs, reason = "for the tests of this crate")]

use parking_lot::Mutex;
use sekisho_agent::location::{Host, LandmarkAt, Via};
use sekisho_api::server::serve;
use sekisho_controlplane::landmark::alone::Members;
use sekisho_controlplane::landmark::server::{self, Running};
use sekisho_controlplane::landmark::{Directory, Standing};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::location::wire::Refusal;
use sekisho_proto::convert::landmark::Judge;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::landmark_host_service_server::{
    LandmarkHostService, LandmarkHostServiceServer,
};
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::{Peer, PeerIdentity};
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{Issuer, Key, OperatorCa, Validity};
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub const CLUSTER: ClusterId = ClusterId([7; 16]);
pub const LIFE: Incarnation = Incarnation(1);
const TOKYO: &str = "35.686,139.764";
/// For whatever has to happen.
pub const SOON: Duration = Duration::from_secs(20);

#[must_use]
pub fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Nodes that are enrolled: certificate's key, receipt key.
type Enrolled = Mutex<BTreeMap<NodeId, (Digest, PublicKey)>>;

/// Certificates of three operators.
#[derive(Debug)]
pub struct World {
    cas: Vec<(OperatorCa, Issuer)>,
    enrolled: Arc<Enrolled>,
    pub tasks: TaskGroup,
}

/// What a state would say.
#[derive(Debug)]
struct Known {
    landmark: Landmark,
    enrolled: Arc<Enrolled>,
}

#[tonic::async_trait]
impl Directory for Known {
    async fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        if *landmark != self.landmark.id {
            return Err(Refusal::NotRegistered);
        }
        let peer = (&peer.principal, &peer.spki_sha256);
        let signing_key = known(&self.enrolled, peer, subject).ok_or(Refusal::NotEnrolled)?;
        let landmark = self.landmark.clone();
        Ok(Standing { cluster: CLUSTER, incarnation: LIFE, landmark, signing_key })
    }
}

fn known(
    enrolled: &Enrolled,
    (peer, key): (&Principal, &Digest),
    subject: &Subject,
) -> Option<PublicKey> {
    match (subject, &peer.workload) {
        (Subject::Node(id), Workload::Agent { site, node }) => {
            let (known, signing_key) = enrolled.lock().get(id).copied()?;
            ((site, node, key) == (&id.site, &id.name, &known)).then_some(signing_key)
        }
        (Subject::Node(_) | Subject::Landmark(_), _) => None,
    }
}

/// A controller that answers landmarks.
#[derive(Debug, Clone)]
pub struct Told {
    pub listen: SocketAddr,
    enrolled: Arc<Enrolled>,
}

impl Told {
    pub fn forget(&self, name: &str) {
        self.enrolled.lock().remove(&format!("tokyo-1/{name}").parse().unwrap());
    }
}

#[tonic::async_trait]
impl LandmarkHostService for Told {
    async fn judge(
        &self,
        request: Request<internal::JudgeRequest>,
    ) -> Result<Response<internal::JudgeResponse>, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.clone());
        let caller = peer.unwrap().principal.clone();
        let Workload::Landmark { name } = caller.workload else {
            return Err(Status::permission_denied("no landmark"));
        };
        let Judge { principal, key, subject } = Judge::try_from(request.get_ref())?;
        let landmark = named(&format!("{}/{name}", caller.operator)).0;
        let signing_key = known(&self.enrolled, (&principal, &key), &subject);
        let standing = signing_key.ok_or(Refusal::NotEnrolled).map(|signing_key| Standing {
            cluster: CLUSTER,
            incarnation: LIFE,
            landmark,
            signing_key,
        });
        let verdict = encode(&standing).unwrap().into();
        Ok(Response::new(internal::JudgeResponse { verdict }))
    }

    async fn list_addresses(
        &self,
        _request: Request<internal::ListAddressesRequest>,
    ) -> Result<Response<internal::ListAddressesResponse>, Status> {
        let cluster = CLUSTER.0.to_vec().into();
        Ok(Response::new(internal::ListAddressesResponse {
            cluster,
            ..internal::ListAddressesResponse::default()
        }))
    }

    async fn submit_range(
        &self,
        _request: Request<internal::SubmitRangeRequest>,
    ) -> Result<Response<internal::SubmitRangeResponse>, Status> {
        Err(Status::unimplemented("it has no log"))
    }

    async fn fetch_package(
        &self,
        _request: Request<internal::FetchPackageRequest>,
    ) -> Result<Response<internal::FetchPackageResponse>, Status> {
        Err(Status::unimplemented("it has no bundle"))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    #[must_use]
    pub fn new() -> Self {
        let ca = |operator: &str| {
            let domain = TrustDomain::parse(&format!("{operator}.example")).unwrap();
            let now = SystemClock.wall();
            let ca = OperatorCa::create(operator.parse().unwrap(), domain, now).unwrap();
            let issuer = ca.issuer(&["tokyo-1".parse().unwrap()], now).unwrap();
            (ca, issuer)
        };
        Self {
            cas: ["hokuto", "kanto", "naniwa"].map(ca).into(),
            enrolled: Arc::default(),
            tasks: TaskGroup::new(),
        }
    }

    #[must_use]
    pub fn trust(&self) -> Arc<TrustBundles> {
        let bundles = TrustBundles::new(Arc::new(SystemClock));
        let all = self.cas.iter().map(|(ca, _)| (ca.trust_domain().clone(), ca.bundle()));
        bundles.replace(&all.collect()).unwrap();
        bundles
    }

    fn issuer(&self, operator: &str) -> (&Issuer, Validity) {
        let (_, issuer) =
            self.cas.iter().find(|(_, issuer)| issuer.operator().as_str() == operator).unwrap();
        let lifetime = Duration::from_secs(3600);
        (issuer, Validity { now: SystemClock.wall(), lifetime })
    }

    #[must_use]
    pub fn member(&self, operator: &str) -> Identity {
        let (issuer, validity) = self.issuer(operator);
        let site = "tokyo-1".parse().unwrap();
        let (issued, key) = issuer.issue_member(&site, 1, &[], None, validity).unwrap();
        Identity::from_pem(&issued.chain_pem, key.expose()).unwrap()
    }

    /// A host with a certificate of kanto; enrolled or not.
    #[must_use]
    pub fn host(&self, name: &str, enrolled: bool) -> Host {
        let (issuer, validity) = self.issuer("kanto");
        let node: NodeId = format!("tokyo-1/{name}").parse().unwrap();
        let key = Key::generate().unwrap();
        let issued =
            issuer.issue_agent_from_csr(&key.csr().unwrap(), &node, None, validity).unwrap();
        let identity = Identity::from_pem(&issued.chain_pem, key.pem().expose()).unwrap();
        let receipt_key = SigningKey::from_seed(&rand::random());
        if enrolled {
            let row = (issued.spki_sha256, receipt_key.public());
            self.enrolled.lock().insert(node.clone(), row);
        }
        Host {
            subject: Subject::Node(node),
            subject_key: issued.spki_sha256,
            instance: Instance([3; 16]),
            receipt_key,
            dialer: Dialer::new(Some(identity), self.trust()),
            clock: Arc::new(SystemClock),
            via: Via::new(),
        }
    }

    /// A landmark of its operator's controller, in Tokyo.
    pub async fn landmark(&self, id: &str) -> LandmarkAt {
        let (landmark, _key) = named(id);
        let identity = self.member(landmark.id.operator.as_str());
        let enrolled = Arc::clone(&self.enrolled);
        let directory = Arc::new(Known { landmark, enrolled });
        self.serve(id, &identity, directory, Arc::new(SystemClock)).await
    }

    /// A landmark under its own certificate, which asks this controller.
    pub async fn alone(&self, id: &str, told: &Told) -> (LandmarkAt, Arc<Members>) {
        let identity = self.landmark_identity(id);
        let dialer = Dialer::new(Some(identity.clone()), self.trust());
        let operator = named(id).0.id.operator;
        let members = Members::new(&operator, &[told.listen.into()], dialer).unwrap();
        let members = Arc::new(members);
        let directory = Arc::clone(&members) as Arc<dyn Directory>;
        let at = self.serve(id, &identity, directory, Arc::new(SystemClock)).await;
        (at, members)
    }

    /// The certificate of a landmark that runs apart from a controller.
    #[must_use]
    pub fn landmark_identity(&self, id: &str) -> Identity {
        let LandmarkId { operator, name } = id.parse().unwrap();
        let (ca, _) = self.cas.iter().find(|(_, of)| *of.operator() == operator).unwrap();
        let issuer = ca.issuer(&[], SystemClock.wall()).unwrap();
        let (_, validity) = self.issuer(operator.as_str());
        let (issued, key) = issuer.issue_landmark(&name, &[], validity).unwrap();
        Identity::from_pem(&issued.chain_pem, key.expose()).unwrap()
    }

    /// A controller of this operator, as landmarks know it.
    pub async fn controller(&self, operator: &str) -> Told {
        let (identity, trust) = (self.member(operator), self.trust());
        let listener =
            Listener::bind(anywhere(), &identity, &trust, &self.tasks, Limits::default());
        let listener = listener.await.unwrap();
        let told = Told { listen: listener.addr, enrolled: Arc::clone(&self.enrolled) };
        let routes = Routes::new(LandmarkHostServiceServer::new(told.clone()));
        serve(routes, listener.authenticated, &self.tasks);
        told
    }

    /// A landmark with this certificate, which asks this directory who may be measured.
    pub async fn serve(
        &self,
        id: &str,
        identity: &Identity,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
    ) -> LandmarkAt {
        let (landmark, key) = named(id);
        let options = server::Options {
            id: landmark.id.clone(),
            key,
            listen: anywhere(),
            datagrams: anywhere(),
            directory,
            clock,
        };
        let Running { listen, datagrams } =
            server::start(options, identity, &self.trust(), &self.tasks).await.unwrap();
        LandmarkAt { landmark, address: listen.into(), datagrams: Some(datagrams.into()) }
    }
}

#[must_use]
pub fn named(id: &str) -> (Landmark, SigningKey) {
    let key = SigningKey::from_seed(&Digest::of(id.as_bytes()).0);
    let (id, position) = (id.parse().unwrap(), TOKYO.parse().unwrap());
    (Landmark { id, position, survey_m: 10, key: key.public() }, key)
}
