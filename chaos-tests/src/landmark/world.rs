//! Two operators with real certificates, hosts of one, and landmarks of both.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up for tests and measurements: a broken one should fail loudly"
)]
#![expect(missing_docs, reason = "for the tests of this crate")]

use parking_lot::Mutex;
use sekisho_agent::location::{Host, LandmarkAt, Via};
use sekisho_controlplane::landmark::server::{self, Running};
use sekisho_controlplane::landmark::{Directory, Standing};
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::location::wire::Refusal;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::PeerIdentity;
use sekisho_transport::pki::{Issuer, Key, OperatorCa, Validity};
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::principal::{TrustDomain, Workload};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub const CLUSTER: ClusterId = ClusterId([7; 16]);
pub const LIFE: Incarnation = Incarnation(1);
const TOKYO: &str = "35.686,139.764";
/// For whatever has to happen.
pub const SOON: Duration = Duration::from_secs(20);

#[must_use]
pub fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Certificates of two operators.
#[derive(Debug)]
pub struct World {
    cas: Vec<(OperatorCa, Issuer)>,
    /// Enrolled nodes: certificate's key, receipt key.
    enrolled: Arc<Mutex<BTreeMap<NodeId, (Digest, PublicKey)>>>,
    pub tasks: TaskGroup,
}

/// What a state would say.
#[derive(Debug)]
struct Known {
    landmark: Landmark,
    enrolled: Arc<Mutex<BTreeMap<NodeId, (Digest, PublicKey)>>>,
}

impl Directory for Known {
    fn judge(
        &self,
        landmark: &LandmarkId,
        peer: &PeerIdentity,
        subject: &Subject,
    ) -> Result<Standing, Refusal> {
        if *landmark != self.landmark.id {
            return Err(Refusal::NotEnrolled);
        }
        let (Subject::Node(id), Workload::Agent { site, node }) =
            (subject, &peer.principal.workload)
        else {
            return Err(Refusal::NotEnrolled);
        };
        let known = self.enrolled.lock().get(id).copied();
        let (key, signing_key) = known.ok_or(Refusal::NotEnrolled)?;
        if (site, node, peer.spki_sha256) != (&id.site, &id.name, key) {
            return Err(Refusal::NotEnrolled);
        }
        let landmark = self.landmark.clone();
        Ok(Standing { cluster: CLUSTER, incarnation: LIFE, landmark, signing_key })
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
            cas: vec![ca("kanto"), ca("naniwa")],
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
        let (landmark, key) = named(id);
        let options = server::Options {
            id: landmark.id.clone(),
            key,
            listen: anywhere(),
            datagrams: anywhere(),
            directory: Arc::new(Known {
                landmark: landmark.clone(),
                enrolled: Arc::clone(&self.enrolled),
            }),
            clock: Arc::new(SystemClock),
        };
        let identity = self.member(landmark.id.operator.as_str());
        let Running { listen, datagrams } =
            server::start(options, &identity, &self.trust(), &self.tasks).await.unwrap();
        LandmarkAt { landmark, address: listen.into(), datagrams: Some(datagrams.into()) }
    }
}

#[must_use]
pub fn named(id: &str) -> (Landmark, SigningKey) {
    let key = SigningKey::from_seed(&Digest::of(id.as_bytes()).0);
    let (id, position) = (id.parse().unwrap(), TOKYO.parse().unwrap());
    (Landmark { id, position, survey_m: 10, key: key.public() }, key)
}
