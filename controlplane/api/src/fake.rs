//! Test-only: consensus, storage, leases, signer and issuer in memory, over the fixture federation of `fsm`.

mod diary;
mod gauge;
mod heads;
mod holding;

pub(crate) use gauge::{FakeClock, FakeVitals};
pub(crate) use heads::FakeHeads;

use crate::call::Call;
use crate::clock::FederationClock;
use crate::core::{Core, Ports};
use crate::duty::{LeaseNews, LeaseRenewals, Renewal, SignedHead};
use crate::issuer::{IssueError, Issuer};
use crate::replica::{
    Archive, ArchiveError, HandedOver, Membership, Moment, Proposed, Replica, ReplicaError,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sekisho_evidence::acknowledgement::{Acknowledgement, Counted, Renewal as Asked, acknowledge};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::merkle::Head;
use sekisho_evidence::sealed::{
    NodeSealingRecord, SealedSiteKey, SignedSiteKey, SiteKeyRecord, SitePublicKey, SiteSecretKey,
};
use sekisho_evidence::snapshot_file::LastLog;
use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::image::Image;
use sekisho_fsm::outcome::{Applied, PayloadEffect};
use sekisho_fsm::testing;
use sekisho_raft::changes::Changes;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::{Peer, PeerIdentity};
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::{ClusterId, Digest, MemberId, NodeId, PublicKey, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{MemberIdentity, Principal, TrustDomain, Workload};
use sekisho_types::revision::{Incarnation, KeyEpoch, Revision};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A peer as the transport would hand it over.
pub(crate) fn peer(principal: &Principal) -> Peer {
    let key = match &principal.workload {
        Workload::Agent { site, node } => {
            testing::node_key(&NodeId { site: site.clone(), name: node.clone() })
        }
        Workload::Member { .. } | Workload::User { .. } | Workload::Landmark { .. } => {
            Digest([0; 32])
        }
    };
    let identity = PeerIdentity {
        principal: principal.clone(),
        trust_domain: TrustDomain::parse(&format!("{}.example", principal.operator)).unwrap(),
        spki_sha256: key,
        site: principal.site().cloned(),
        residency: None,
        not_after: Timestamp(u64::MAX),
    };
    let addr = "127.0.0.1:1".parse().unwrap();
    Peer { addr, identity: Some(Arc::new(identity)), exporter: [0; 32] }
}

pub(crate) fn call(principal: &Principal) -> Call {
    Call { peer: peer(principal).identity.unwrap(), wait: None }
}

/// A request as it comes in from `principal`.
pub(crate) fn request<T>(principal: &Principal, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(peer(principal));
    request
}

/// A signed checkpoint of member 2, kanto.
pub(crate) fn head(revision: u64, size: u64) -> SignedHead {
    sign(Checkpoint {
        cluster: testing::cluster(),
        incarnation: Incarnation(1),
        head: Head { size, root: Digest([1; 32]) },
        revision: Revision(revision),
        time: testing::BEGIN,
    })
}

fn sign(checkpoint: Checkpoint) -> SignedHead {
    let key = testing::checkpoint_key(MemberId(2));
    let line = checkpoint.sign(&"kanto".parse().unwrap(), MemberId(2), &key).unwrap();
    SignedHead { checkpoint, text: checkpoint.text().unwrap(), line }
}

/// When it came, of whom, and the bytes.
type HeldBytes = (u64, String, Vec<u8>);

/// Applies at once, keeps leaves and payloads, and signs each checkpoint as member 2.
#[derive(Debug)]
pub(crate) struct FakeReplica {
    pub(crate) federation: Mutex<testing::Federation>,
    pub(crate) failure: Mutex<Option<ReplicaError>>,
    pub(crate) proposed: AtomicU64,
    /// Reads that asked the leader.
    pub(crate) reads: AtomicU64,
    pub(crate) leader: Mutex<Option<MemberId>>,
    /// Who votes in the group, whatever the state says.
    pub(crate) voters: Mutex<BTreeSet<MemberId>>,
    /// The state that this member still shows, until a read asks the leader.
    behind: Mutex<Option<State>>,
    /// How long a proposal takes.
    pub(crate) takes: Mutex<Duration>,
    /// Proposals that are made now, and the most that were at once.
    pub(crate) inside: AtomicU64,
    pub(crate) most: AtomicU64,
    pub(crate) renewal: Mutex<Says>,
    /// Renewals that were carried to it, and what their agents had heard of.
    pub(crate) carried: Mutex<Vec<(Asked, Revision)>>,
    /// What it counts of leases; `None` if it does not lead.
    pub(crate) news: Mutex<Option<Arc<LeaseNews>>>,
    pub(crate) heads: Arc<FakeHeads>,
    nodes: watch::Sender<u64>,
    revisions: watch::Sender<Revision>,
    pub(crate) changes: Mutex<Changes>,
    records: Mutex<Vec<Vec<u8>>>,
    hashes: Mutex<BTreeMap<u64, Digest>>,
    payloads: Mutex<BTreeMap<Digest, Vec<u8>>>,
    /// Payloads that stay in their area.
    pub(crate) held: Mutex<BTreeMap<Digest, HeldBytes>>,
    /// Denials and evidence.
    pub(crate) diary: Mutex<diary::Written>,
}

impl FakeReplica {
    /// It leads and counts this.
    pub(crate) fn tell(&self, news: LeaseNews) {
        *self.news.lock() = Some(Arc::new(news));
    }

    fn keep(&self, applied: &Applied) {
        for leaf in &applied.leaves {
            self.records.lock().push(leaf.record.clone());
            self.hashes.lock().extend((leaf.first_hash..).zip(leaf.hashes.iter().copied()));
        }
        for effect in &applied.payloads {
            match effect {
                PayloadEffect::Put(digest, bytes) => {
                    self.payloads.lock().insert(*digest, bytes.clone());
                }
                PayloadEffect::Drop(digest) => {
                    self.payloads.lock().remove(digest);
                }
            }
        }
        if let Some(checkpoint) = applied.checkpoint {
            self.heads.push(sign(checkpoint));
        }
    }

    /// From now on this member hears of nothing, until a read asks the leader.
    pub(crate) fn fall_behind(&self) {
        let now = self.state();
        *self.behind.lock() = Some(now);
    }

    fn publish(&self) {
        self.nodes.send_modify(|n| *n += 1);
    }

    /// Runs something on the federation as if it came in through another member.
    pub(crate) fn elsewhere<R>(&self, change: impl FnOnce(&mut testing::Federation) -> R) -> R {
        let mut federation = self.federation.lock();
        let before = federation.applied.len();
        let result = change(&mut federation);
        let new: Vec<Applied> = federation.applied[before..].to_vec();
        // Before the state can be seen, as apply does.
        let entries = federation.log[before..].iter().zip(&new);
        let changed: Vec<_> = entries.map(|((at, _), new)| (*at, new.events.clone())).collect();
        self.changes.lock().push(&changed);
        let revision = federation.state.revision();
        drop(federation);
        new.iter().for_each(|applied| self.keep(applied));
        self.publish();
        self.revisions.send_replace(revision);
        result
    }
}

impl Replica for FakeReplica {
    fn state(&self) -> State {
        let behind = self.behind.lock().clone();
        behind.unwrap_or_else(|| self.federation.lock().state.clone())
    }
    fn applied(&self) -> Revision {
        self.state().revision()
    }
    fn revisions(&self) -> watch::Receiver<Revision> {
        self.revisions.subscribe()
    }
    fn changes(&self) -> Changes {
        self.changes.lock().clone()
    }
    fn desired_changes(&self) -> watch::Receiver<u64> {
        self.nodes.subscribe()
    }
    fn node_changes(&self) -> watch::Receiver<u64> {
        self.nodes.subscribe()
    }
    fn propose(
        &self,
        entry: Entry,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Proposed, ReplicaError>> {
        async move {
            if let Some(failure) = self.failure.lock().clone() {
                return Err(failure);
            }
            let inside = self.inside.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            self.most.fetch_max(inside, Ordering::Relaxed);
            let takes = *self.takes.lock();
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            self.inside.fetch_sub(1, Ordering::Relaxed);
            self.proposed.fetch_add(1, Ordering::Relaxed);
            let outcome = self.elsewhere(|federation| federation.apply(entry).outcome);
            Ok(Proposed { revision: self.applied(), outcome })
        }
        .boxed()
    }
    fn read_index(&self, _deadline: Deadline) -> BoxFuture<'_, Result<Revision, ReplicaError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let failure = self.failure.lock().clone();
        if failure.is_none() {
            *self.behind.lock() = None;
        }
        let applied = self.applied();
        std::future::ready(failure.map_or(Ok(applied), Err)).boxed()
    }
    fn membership(&self) -> Membership {
        let voters = self.voters.lock().clone();
        Membership { term: 3, leader: *self.leader.lock(), voters, ..Membership::default() }
    }
    fn hand_over(
        &self,
        to: MemberId,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<HandedOver, ReplicaError>> {
        let failure = self.failure.lock().clone();
        let handed = failure.map_or(Ok(HandedOver { leader: to, term: 4 }), Err);
        std::future::ready(handed.inspect(|_| *self.leader.lock() = Some(to))).boxed()
    }
    fn moment(&self, _deadline: Deadline) -> BoxFuture<'_, Result<Moment, ReplicaError>> {
        let state = self.state();
        let payloads: Vec<_> = self.payloads.lock().clone().into_iter().collect();
        let image = Image::encode(&state, &payloads).unwrap().into();
        let last_log = LastLog { term: 3, leader: MemberId(2), index: state.revision().0 };
        let moment = Moment { image, last_log, voters: self.voters.lock().clone() };
        std::future::ready(self.failure.lock().clone().map_or(Ok(moment), Err)).boxed()
    }
}

impl Archive for FakeReplica {
    fn first(&self) -> u64 {
        0
    }
    fn records(&self, range: Range<u64>, _max: usize) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let records = self.records.lock();
        let at = |n: u64| usize::try_from(n).unwrap().min(records.len());
        // In small pieces, as a byte bound would cut them.
        Ok(records[at(range.start)..at(range.end)].iter().take(50).cloned().collect())
    }
    fn hash(&self, index: u64) -> Result<Option<Digest>, ArchiveError> {
        Ok(self.hashes.lock().get(&index).copied())
    }
    fn payload(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>> {
        let payload = self.payloads.lock().get(&digest).cloned();
        std::future::ready(Ok(payload)).boxed()
    }
}

/// What the leader of the fixture says to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Acknowledged,
    Expiring,
    NotLeader,
}

/// The word of member 2, kanto.
pub(crate) fn word(renewal: &Asked) -> Acknowledgement {
    let counted = Counted {
        cluster: testing::cluster(),
        incarnation: Incarnation(1),
        member: MemberId(2),
        term: 3,
        revision: Revision(1),
    };
    let key = testing::checkpoint_key(MemberId(2));
    acknowledge(counted, std::slice::from_ref(renewal), &key).unwrap().remove(0)
}

impl LeaseRenewals for FakeReplica {
    fn renew<'a>(
        &'a self,
        renewal: &'a Asked,
        _received_ns: u64,
        carried: Option<Revision>,
    ) -> BoxFuture<'a, Renewal> {
        self.carried.lock().extend(carried.map(|heard| (renewal.clone(), heard)));
        let answer = match *self.renewal.lock() {
            Says::Acknowledged => Renewal::Acknowledged(Box::new(word(renewal))),
            Says::Expiring => Renewal::Expiring,
            Says::NotLeader => Renewal::NotLeader,
        };
        std::future::ready(answer).boxed()
    }
    fn news(&self) -> Option<Arc<LeaseNews>> {
        self.news.lock().clone()
    }
}

/// Issues "certificates" that are the request; a request is the node's name.
#[derive(Debug)]
pub(crate) struct FakeIssuer;

impl Issuer for FakeIssuer {
    fn key_of(&self, csr: &[u8]) -> Result<Digest, IssueError> {
        if csr.is_empty() {
            return Err(IssueError::Request("empty".into()));
        }
        Ok(Digest::of(csr))
    }
    fn issue_agent(&self, csr: &[u8], _: &NodeId, _: Area) -> Result<Vec<Vec<u8>>, IssueError> {
        Ok(vec![csr.to_vec()])
    }
    fn sign_tag(&self, tag: &SiteTag) -> Result<SignedTag, IssueError> {
        let seed = Digest::of(format!("site-tag/{}", tag.operator).as_bytes()).0;
        Ok(tag.sign(&SigningKey::from_seed(&seed)).unwrap())
    }
    fn site_tag_key(&self) -> Option<PublicKey> {
        Some(testing::key("site-tag", "kanto").public())
    }
    fn site_key(
        &self,
        cluster: &ClusterId,
        site: &SiteId,
        epoch: KeyEpoch,
    ) -> Result<SitePublicKey, IssueError> {
        let key = testing::key("site-tag", "kanto");
        Ok(SiteSecretKey::derive(&key, cluster, site.clone(), epoch).unwrap().public().clone())
    }
    fn sign_site_key(&self, record: SiteKeyRecord) -> Result<SignedSiteKey, IssueError> {
        Ok(record.sign(&testing::key("site-tag", "kanto")).unwrap())
    }
    fn deliver_site_key(
        &self,
        epoch: KeyEpoch,
        to: &NodeSealingRecord,
    ) -> Result<SealedSiteKey, IssueError> {
        let (key, site) = (testing::key("site-tag", "kanto"), to.node.site.clone());
        let secret = SiteSecretKey::derive(&key, &to.cluster, site, epoch).unwrap();
        SealedSiteKey::seal(&secret, to, &[8; 32])
            .map_err(|error| IssueError::Request(error.to_string()))
    }
}

/// Member 2 (kanto, Tokyo) of the furnished fixture.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) core: Arc<Core>,
    pub(crate) replica: Arc<FakeReplica>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) vitals: Arc<FakeVitals>,
    pub(crate) tasks: TaskGroup,
}

pub(crate) fn fake() -> Fake {
    fake_with(Arc::new(FakeIssuer))
}

pub(crate) fn fake_with(issuer: Arc<dyn Issuer>) -> Fake {
    let identity = MemberIdentity {
        member: MemberId(2),
        operator: "kanto".parse().unwrap(),
        site: "tokyo-1".parse().unwrap(),
    };
    fake_as(identity, issuer, None)
}

/// Another member of the same fixture, which dials with this dialer.
pub(crate) fn fake_as(
    identity: MemberIdentity,
    issuer: Arc<dyn Issuer>,
    dialer: Option<Dialer>,
) -> Fake {
    let federation = testing::Federation::furnished();
    let heads = Arc::new(FakeHeads::default());
    let replica = Arc::new(FakeReplica {
        federation: Mutex::new(federation.clone()),
        failure: Mutex::default(),
        proposed: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        leader: Mutex::new(Some(MemberId(2))),
        voters: Mutex::new([1, 2, 3].map(MemberId).into()),
        behind: Mutex::default(),
        takes: Mutex::default(),
        inside: AtomicU64::new(0),
        most: AtomicU64::new(0),
        renewal: Mutex::new(Says::Acknowledged),
        carried: Mutex::default(),
        news: Mutex::new(Some(Arc::new(LeaseNews { whole: true, ..LeaseNews::default() }))),
        heads: Arc::clone(&heads),
        nodes: watch::Sender::default(),
        revisions: watch::Sender::new(federation.state.revision()),
        changes: Mutex::default(),
        records: Mutex::default(),
        hashes: Mutex::default(),
        payloads: Mutex::default(),
        held: Mutex::default(),
        diary: Mutex::default(),
    });
    federation.applied.iter().for_each(|applied| replica.keep(applied));
    // As after a start from a snapshot.
    replica.changes.lock().restart(federation.state.revision());
    let clock = Arc::new(FakeClock(AtomicU64::new(0)));
    let vitals = Arc::new(FakeVitals::default());
    let tasks = TaskGroup::new();
    let ports = Ports {
        replica: replica.clone(),
        archive: replica.clone(),
        holding: replica.clone(),
        diary: replica.clone(),
        leases: replica.clone(),
        heads,
        issuer,
        logins: None,
        vitals: vitals.clone(),
        clock: Arc::new(FederationClock::new(clock.clone())),
        dialer: dialer.unwrap_or_else(|| Dialer::new(None, TrustBundles::new(clock.clone()))),
        tasks: tasks.clone(),
    };
    Fake { core: Core::new(identity, ports), replica, clock, vitals, tasks }
}
