//! A planted fork, over real members: one whose key signs another history (A1, ADR 21).
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sekisho_chaos::federation::{Federation, rows};
use sekisho_evidence::canonical::decode;
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine};
use sekisho_evidence::fork::{Contradiction, KeptFork};
use sekisho_evidence::genesis::{GenesisMember, SignedGenesis};
use sekisho_proto::internal::v1::peer_service_client::PeerServiceClient;
use sekisho_proto::internal::v1::{ExchangeRequest, SignedCheckpoint};
use sekisho_proto::v1::audit_service_client::AuditServiceClient;
use sekisho_proto::v1::{GetCheckpointRequest, ListForksRequest};
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::pki::signing;
use sekisho_transport::verify::Expect;
use sekisho_types::id::Digest;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tonic::transport::Channel;

const PORT_BASE: u16 = 27_460;

/// A federation, and its keys as somebody has them who got at one operator's.
struct Drill {
    federation: Federation,
    genesis: SignedGenesis,
}

impl Drill {
    fn operator(&self, name: &str) -> PathBuf {
        self.federation.dir().join("operators").join(name)
    }

    fn member(&self, operator: &str) -> &GenesisMember {
        let mut members = self.genesis.genesis.members.iter();
        members.find(|member| member.operator.as_str() == operator).unwrap()
    }

    /// Where the member of `to` is reached by who holds `identity`.
    fn channel(&self, identity: Identity, to: &str) -> Channel {
        let roots = self.genesis.genesis.bundle.operators.iter().map(|keys| {
            let pem = self.operator(keys.operator.as_str()).join("root.pem");
            let pem = std::fs::read_to_string(pem).unwrap();
            (keys.trust_domain.clone(), Bundle::from_pem(keys.operator.clone(), &pem).unwrap())
        });
        let trust = TrustBundles::new(Arc::new(SystemClock));
        trust.replace(&roots.collect::<BTreeMap<_, _>>()).unwrap();
        let address = self.member(to).address.parse().unwrap();
        let dialer = Dialer::new(Some(identity), trust);
        dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default()).unwrap().channel()
    }

    fn auditor(&self) -> AuditServiceClient<Channel> {
        let admin = Identity::load(&self.operator("kanto").join("users/admin")).unwrap();
        AuditServiceClient::new(self.channel(admin, "kanto"))
    }

    /// Findings of `status` as the member of kanto shows them.
    fn forks(&self) -> Result<Vec<serde_json::Value>> {
        let status = self.federation.read("kanto", &["status"])?;
        let found = rows(&status, "findings");
        Ok(found.into_iter().filter(|found| found["code"] == "AUDIT_FORK").collect())
    }

    fn until_red(&self) {
        let shown = || {
            let forks = self.forks()?;
            let first = forks.first().context("no finding")?;
            ensure!(first["severity"] == "bad", "{first}");
            Ok(())
        };
        self.federation.until("status to be red", shown).unwrap();
    }
}

async fn newest(drill: &Drill) -> Vec<u8> {
    let note = drill.auditor().get_checkpoint(GetCheckpointRequest {}).await.unwrap();
    note.into_inner().note.to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_signs_another_history_is_found_kept_and_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let genesis = std::fs::read(federation.dir().join("genesis.bin")).unwrap();
    let mut drill = Drill { federation, genesis: SignedGenesis::open(&genesis).unwrap() };
    let note = drill.auditor().get_checkpoint(GetCheckpointRequest {}).await.unwrap();
    assert_eq!(drill.forks().unwrap(), Vec::<serde_json::Value>::new());

    // naniwa's member tells kanto's, and nobody else, that the tree has another root.
    let mut lie = Checkpoint::read(&note.into_inner().note).unwrap();
    lie.head.root = Digest([9; 32]);
    let liar = drill.member("naniwa").clone();
    let own = drill.operator("naniwa").join("members").join(liar.member.to_string());
    let key = signing::read(&own.join("checkpoint.key")).unwrap();
    let SignatureLine(line) = lie.sign(&liar.operator, liar.member, &key).unwrap();
    let (text, revision) = (lie.text().unwrap(), lie.revision.0);
    let told = ExchangeRequest {
        applied_revision: revision,
        signed: vec![SignedCheckpoint { text, line, revision }],
        wall_ms: SystemClock.wall().0,
        ..ExchangeRequest::default()
    };
    let mut peer = PeerServiceClient::new(drill.channel(Identity::load(&own).unwrap(), "kanto"));
    peer.exchange(told).await.unwrap();
    drill.until_red();

    let listed = drill.auditor().list_forks(ListForksRequest {}).await.unwrap().into_inner();
    let kept: KeptFork = decode(&listed.forks[0]).unwrap();
    assert_eq!((listed.forks.len(), kept.accused), (1, liar.member));
    let judged = kept.fork.judge(&drill.genesis.genesis.bundle).unwrap();
    assert_ne!(judged.contradiction, Contradiction::Shrunk);
    assert_eq!((judged.second, judged.second_by), (lie, [liar.member].into()));

    // New work goes on: the others sign, and the lie has no second operator.
    let size = |note: &[u8]| Checkpoint::read(note).map(|note| note.head.size).unwrap_or_default();
    let before = size(&newest(&drill).await);
    drill.federation.run("kanto", &["node", "cordon", "tokyo-1/n-01"]).unwrap().ok().unwrap();
    drill
        .federation
        .until("another head", || {
            let status = drill.federation.read("kanto", &["status"])?;
            let revision = status["audit_size"].as_u64().context("no size")?;
            ensure!(revision > before && status["audit_uncovered"] == 0, "{status}");
            Ok(())
        })
        .unwrap();
    assert!(size(&newest(&drill).await) > before);

    // Neither a kill nor a start makes it forget.
    let accuser = drill.member("kanto").member.0;
    drill.federation.signal(&format!("controller-{accuser}"), Signal::SIGKILL).unwrap();
    drill.federation.revive(accuser).unwrap();
    drill.until_red();
}
