//! Three members of three operators. Each has a runtime of its own, so that ending the runtime is its crash: tasks are
//! dropped where they stand, nothing is said goodbye to.

mod members;

use super::ways::Ways;
use super::{ORIGIN, open_store_of};
use crate::config::{RaftConfig, Timing};
use crate::consensus::{Committed, Consensus, Leadership, MemberOptions};
use crate::error::{ProposeError, StartError};
use crate::member::Known;
use crate::membership::{Membership, plan};
use crate::network::grpc::GrpcLinks;
use crate::snapshot::Origin;
use crate::type_config::{PeerNode, TypeConfig};
use crate::view::View;
use openraft::RaftMetrics;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::testing::{Federation, OPERATORS, admin, genesis_at, member, newcomer};
use sekisho_store::Store;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::connections::{AllowAll, Direction, LinkPolicy};
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::identity::Peer;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::principal::TrustDomain;
use sekisho_types::revision::Revision;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Fast enough for tests, slow enough for a machine that compiles meanwhile.
pub(super) const TIMING: Timing = Timing {
    heartbeat: Duration::from_millis(100),
    election_min: Duration::from_millis(400),
    election_max: Duration::from_millis(800),
};

pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Threads of one member's runtime.
const WORKERS: usize = 2;

/// Lets a frozen member go on.
pub(super) struct Thaw(Option<std::sync::mpsc::SyncSender<()>>);

impl Drop for Thaw {
    fn drop(&mut self) {
        self.0.take();
    }
}

/// Where what belongs to a member lies: each incarnation counts from one.
fn place(id: u64) -> usize {
    usize::try_from(id % 1000).unwrap() - 1
}

/// Closes every link of a member.
#[derive(Debug)]
struct Isolated;

impl LinkPolicy for Isolated {
    fn allow_dial(&self, _addr: SocketAddr) -> bool {
        false
    }
    fn allow(&self, _direction: Direction, _peer: &Peer) -> bool {
        false
    }
}

/// The operators' authorities.
pub(super) struct Authorities(Vec<OperatorCa>);

impl Authorities {
    fn new() -> Self {
        let now = SystemClock.wall();
        let ca = |(operator, ..): (&str, &str, &str)| {
            let domain = TrustDomain::parse(&format!("{operator}.example")).unwrap();
            OperatorCa::create(operator.parse().unwrap(), domain, now).unwrap()
        };
        Self(OPERATORS.map(ca).into_iter().collect())
    }

    /// A certificate of the `of`-th operator for member `id` at the operator's site.
    pub(super) fn identity(&self, of: usize, id: u64) -> Identity {
        let now = SystemClock.wall();
        let validity = Validity { now, lifetime: Duration::from_secs(3600) };
        let issuer = self.0[of].issuer(&[], now).unwrap();
        let site = OPERATORS[of].1.parse().unwrap();
        let (issued, key) = issuer.issue_member(&site, id, &[], None, validity).unwrap();
        Identity::from_pem(&issued.chain_pem, key.expose()).unwrap()
    }

    pub(super) fn bundles(&self) -> Arc<TrustBundles> {
        let bundles = TrustBundles::new(Arc::new(SystemClock));
        let all = self.0.iter().map(|ca| (ca.trust_domain().clone(), ca.bundle())).collect();
        bundles.replace(&all).unwrap();
        bundles
    }
}

/// A running member.
struct Running {
    consensus: Consensus,
    bundles: Arc<TrustBundles>,
    store: Arc<Store>,
    runtime: Runtime,
}

pub(super) struct Cluster {
    pub(super) authorities: Authorities,
    /// Whose life it is.
    origin: Origin,
    /// Where everybody is found; the first three are the genesis.
    nodes: BTreeMap<MemberId, PeerNode>,
    identities: Vec<Identity>,
    dirs: Vec<TempDir>,
    running: BTreeMap<u64, Running>,
    config: RaftConfig,
    entries: Federation,
    driver: Runtime,
    /// Between the members; free at first.
    pub(super) ways: Ways,
    /// Members whose program knows another feature level than that of this day.
    pub(super) levels: BTreeMap<u64, u32>,
}

impl Cluster {
    /// Three members, running and initialized.
    pub(super) fn new() -> Self {
        let mut cluster = Self::stopped(RaftConfig { timing: TIMING, ..RaftConfig::default() });
        cluster.boot();
        cluster
    }

    /// As [`Self::new`], with snapshots every few entries.
    pub(super) fn with_snapshots(after: u64, kept: u64) -> Self {
        let timing = TIMING;
        let rest = RaftConfig::default();
        let config = RaftConfig { timing, snapshot_after: after, entries_kept: kept, ..rest };
        let mut cluster = Self::stopped(config);
        cluster.boot();
        cluster
    }

    pub(super) fn stopped(config: RaftConfig) -> Self {
        let authorities = Authorities::new();
        let identities = (0..3).map(|at| authorities.identity(at, at as u64 + 1)).collect();
        // An address of this test process alone: a member that restarts must find its port free.
        let [_, b, c, _] = std::process::id().to_be_bytes();
        let d = std::process::id().to_be_bytes()[3];
        let base = 20_000 + 8 * (u16::from(b) % 32);
        let ip = Ipv4Addr::new(127, 1 + c % 250, d, 1);
        let nodes = (1_u16..)
            .zip(OPERATORS)
            .map(|(id, (operator, site, _))| {
                let address = format!("{ip}:{}", base + id);
                let (operator, site) = (operator.parse().unwrap(), site.parse().unwrap());
                (MemberId(id.into()), PeerNode { address, operator, site })
            })
            .collect();
        let dirs = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let driver = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (running, levels) = (BTreeMap::new(), BTreeMap::new());
        let (entries, ways) = (Federation::new(), Ways::default());
        Self {
            authorities,
            origin: ORIGIN,
            nodes,
            identities,
            dirs,
            running,
            config,
            entries,
            driver,
            ways,
            levels,
        }
    }

    /// The same operators, with these founders, none of which runs.
    pub(super) fn begun_anew(mut self, origin: Origin, founders: &[GenesisMember]) -> Self {
        assert!(self.running.is_empty());
        self.origin = origin;
        self.identities.clear();
        self.nodes.clear();
        self.dirs.clear();
        for founder in founders {
            let of = OPERATORS.iter().position(|(name, ..)| *name == founder.operator.as_str());
            self.identities.push(self.authorities.identity(of.unwrap(), founder.member.0));
            self.nodes.insert(founder.member, PeerNode::from(founder));
            self.dirs.push(tempfile::tempdir().unwrap());
        }
        self
    }

    /// Starts three members and makes them a group.
    pub(super) fn boot(&mut self) {
        (1..=3).for_each(|id| self.start(id));
        self.initialize(1);
    }

    pub(super) fn initialize(&self, by: u64) {
        let consensus = self.consensus(by);
        let first = self.nodes.iter().take(3).map(|(id, node)| (*id, node.clone())).collect();
        self.driver.block_on(consensus.initialize(&first, soon())).unwrap();
    }

    pub(super) fn start(&mut self, id: u64) {
        let at = place(id);
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(WORKERS).enable_all().build().unwrap();
        let (identity, bundles) = (self.identities[at].clone(), self.authorities.bundles());
        let store = open_store_of(self.dirs[at].path(), self.origin, id);
        let address = self.nodes[&MemberId(id)].address.parse().unwrap();
        let tasks = TaskGroup::new();
        let options = self.options(id, &store, &bundles, &tasks);
        let consensus = runtime.block_on(async {
            let consensus = Consensus::start(options).await.unwrap();
            let limits = Limits::default();
            let bound = Listener::bind(address, &identity, &bundles, &tasks, limits).await;
            let server = tonic::transport::Server::builder().add_service(consensus.service());
            tasks.spawn(TaskKind::Ordinary, "serve", async move {
                server.serve_with_incoming(bound.unwrap().authenticated).await.unwrap();
            });
            consensus
        });
        self.running.insert(id, Running { consensus, bundles, store, runtime });
    }

    fn options(
        &self,
        id: u64,
        store: &Arc<Store>,
        bundles: &Arc<TrustBundles>,
        tasks: &TaskGroup,
    ) -> MemberOptions {
        let identity = self.identities[place(id)].clone();
        let links = GrpcLinks::new(Dialer::new(Some(identity), Arc::clone(bundles)));
        let feature_level = self.levels.get(&id).copied().unwrap_or(self.config.feature_level);
        let config = RaftConfig { feature_level, ..self.config };
        MemberOptions {
            origin: self.origin,
            member: MemberId(id),
            known: Known { bundle: 0, members: self.nodes.clone().into_iter().take(3).collect() },
            store: Arc::clone(store),
            links: self.ways.over(id, links),
            config,
            clock: Arc::new(SystemClock),
            tasks: tasks.clone(),
        }
    }

    /// Starts a member that is expected not to start.
    pub(super) fn try_start(&self, id: u64) -> Result<(), StartError> {
        let store = open_store_of(&self.dir(id), self.origin, id);
        let bundles = self.authorities.bundles();
        let options = self.options(id, &store, &bundles, &TaskGroup::new());
        self.driver.block_on(Consensus::start(options)).map(drop)
    }

    /// Another process of a member that runs, with the directory `dir`, where nobody looks for it.
    pub(super) fn twin(&self, id: u64, dir: &Path) -> Consensus {
        let store = open_store_of(dir, self.origin, id);
        let bundles = self.authorities.bundles();
        let options = self.options(id, &store, &bundles, &TaskGroup::new());
        self.driver.block_on(Consensus::start(options)).unwrap()
    }

    pub(super) fn dir(&self, id: u64) -> PathBuf {
        self.dirs[place(id)].path().to_owned()
    }

    /// Waits until a member has every audit record.
    pub(super) fn complete(&self, id: u64) {
        let audit = self.consensus(id).audit();
        self.wait(async {
            while !audit.complete() {
                // waits: for rows that its own task fetches, of which nobody is told
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// Waits until a majority has accepted the directory of a member.
    pub(super) fn accepted(&self, id: u64) {
        let consensus = self.consensus(id);
        self.wait(consensus.accepted());
    }

    /// Ends a member without a word. Its runtime is gone when this returns.
    pub(super) fn crash(&mut self, id: u64) {
        let Running { consensus, store, runtime, .. } = self.running.remove(&id).unwrap();
        drop((consensus, store));
        runtime.shutdown_timeout(Duration::from_secs(20));
    }

    pub(super) fn stop(&mut self, id: u64) {
        let consensus = self.consensus(id);
        self.driver.block_on(consensus.shutdown());
        drop(consensus);
        self.crash(id);
    }

    /// The disk of a member's log goes away under it.
    pub(super) fn close_log(&self, id: u64) {
        self.running[&id].store.log().close();
    }

    pub(super) fn isolate(&self, id: u64) {
        self.running[&id].bundles.connections().set_policy(Arc::new(Isolated));
    }

    pub(super) fn heal(&self, id: u64) {
        self.running[&id].bundles.connections().set_policy(Arc::new(AllowAll));
    }

    pub(super) fn consensus(&self, id: u64) -> Consensus {
        self.running[&id].consensus.clone()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }

    pub(super) fn node(&self, id: u64) -> PeerNode {
        self.nodes[&MemberId(id)].clone()
    }

    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.driver.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), future).await.expect("no end in sight")
        })
    }

    /// Waits until a member's engine shows it.
    pub(super) fn shows(
        &self,
        id: u64,
        what: &str,
        shown: impl Fn(&RaftMetrics<TypeConfig>) -> bool + Send,
    ) -> RaftMetrics<TypeConfig> {
        let wait = self.consensus(id).engine().wait(Some(Duration::from_secs(20)));
        self.wait(wait.metrics(shown, what)).unwrap()
    }

    /// The one of `among` that leads first.
    pub(super) fn leader(&self, among: &[u64]) -> (u64, Leadership) {
        let waits = among.iter().map(|id| {
            let mut leadership = self.consensus(*id).leadership();
            Box::pin(async move {
                let found = leadership.wait_for(Option::is_some).await.unwrap();
                (*id, found.unwrap())
            })
        });
        self.wait(async { futures::future::select_all(waits).await.0 })
    }

    pub(super) fn bootstrap(&mut self) -> Entry {
        let genesis = genesis_at(|id| self.nodes[&MemberId(id)].address.clone());
        self.entries.entry(member("kanto"), &[], Command::Bootstrap(Box::new(genesis)))
    }

    /// An entry that every replica accepts once, and whose repeat is answered as its first.
    pub(super) fn site(&mut self, name: &str) -> Entry {
        let command = Command::CreateSite {
            site: name.parse().unwrap(),
            operator: "kanto".parse().unwrap(),
            area: sekisho_types::jurisdiction::Area::resolve("131016").unwrap(),
            display_name: name.to_owned(),
        };
        let cosigners = [admin("hokuto"), admin("naniwa")];
        self.entries.entry(admin("kanto"), &cosigners, command)
    }

    /// What a leader's own duty proposes.
    pub(super) fn by_member(&mut self, command: Command) -> Entry {
        self.entries.entry(member("kanto"), &[], command)
    }

    /// Runs it beside the test; what it comes to.
    pub(super) fn beside<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        let _in_this_runtime = self.driver.enter();
        TaskGroup::new().spawn(TaskKind::Ordinary, "beside", async move {
            // A test that does not care drops the receiver.
            drop(tell.send(future.await));
        });
        told
    }

    /// A process that stands still, as one that was sent SIGSTOP: until the guard is dropped no task of it runs.
    pub(super) fn freeze(&self, id: u64) -> Thaw {
        let (guard, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let wait = Arc::new(parking_lot::Mutex::new(wait));
        let tasks = TaskGroup::new();
        let _in_its_runtime = self.running[&id].runtime.enter();
        for _ in 0..WORKERS {
            let wait = Arc::clone(&wait);
            tasks.spawn(TaskKind::Ordinary, "frozen", async move {
                // Ends with an error when the guard is gone.
                wait.lock().recv().unwrap_err();
            });
        }
        Thaw(Some(guard))
    }

    pub(super) fn try_propose(
        &self,
        by: u64,
        entry: Entry,
        within: Duration,
    ) -> Result<Committed, ProposeError> {
        let consensus = self.consensus(by);
        self.wait(async { consensus.propose(entry, Deadline::after(within)).await })
    }

    pub(super) fn propose(&self, by: u64, entry: Entry) -> Committed {
        let committed = self.try_propose(by, entry, Duration::from_secs(30)).unwrap();
        assert!(committed.outcome.is_ok(), "{:?}", committed.outcome);
        committed
    }

    pub(super) fn read(&self, by: u64) -> Arc<View> {
        let consensus = self.consensus(by);
        self.wait(async { consensus.read_index(soon()).await.unwrap() })
    }

    /// All running members hold `revision`, and the same state. Its digest.
    pub(super) fn converge(&self, revision: Revision) -> Digest {
        let views: Vec<Arc<View>> = self
            .ids()
            .into_iter()
            .map(|id| self.wait(self.consensus(id).wait_for(revision, soon())).unwrap())
            .collect();
        let last = views.iter().filter_map(|view| view.applied).max().unwrap();
        let digests: Vec<Digest> = self
            .ids()
            .into_iter()
            .map(|id| self.wait(self.consensus(id).wait_for(last, soon())).unwrap())
            .map(|view| view.state.digest().unwrap())
            .collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        digests[0]
    }
}
