//! Whom this member talks to: roots and members, first from what its operator configured and what it kept, then from
//! applied state; connections are cut when the state says so (P5).
//!
//! Must hold (D3, D4): what is configured is walked from the signed genesis, what is kept from an earlier run is walked
//! again; nothing that came over a wire counts before it is in applied state.

use crate::config::Config;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::{GenesisError, GenesisMember, SignedGenesis};
use sekisho_evidence::operator::BundleRoot;
use sekisho_evidence::package::{PackageError, Trust, TrustPackage};
use sekisho_fsm::state::{Federation, Standing};
use sekisho_raft::PeerNode;
use sekisho_raft::consensus::Consensus;
use sekisho_raft::snapshot::Origin;
use sekisho_raft::view::{View, Wake};
use sekisho_store::{OpenRequest, Store, StoreError};
use sekisho_transport::bundle::{Bundle, BundleError, TrustBundles};
use sekisho_transport::identity::Peer;
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Under which the newest package is kept, for a start after a time away: the roots of the genesis may be gone by then.
const NOTE: &str = "trust";

/// Why it is not known whom to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no genesis.
    #[error("{path}")]
    Genesis {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: GenesisError,
    },
    /// It does not lead on from the genesis.
    #[error("{path}")]
    Package {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: PackageError,
    },
    /// The roots cannot be used.
    #[error("the roots of the federation cannot be used")]
    Roots(#[source] BundleError),
}

/// What a member begins with.
#[derive(Debug)]
pub struct Ground {
    /// The signed beginning.
    pub genesis: Arc<SignedGenesis>,
    /// The way that was configured.
    pub package: TrustPackage,
    /// The furthest step that is known here.
    pub trust: Trust,
    /// Whether a package was configured: a member that joins a federation under way does not begin one.
    pub joins: bool,
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })
}

impl Ground {
    /// Reads genesis and package.
    ///
    /// # Errors
    /// [`TrustError`]: a member that does not know whom to trust may not start.
    pub fn read(config: &Config) -> Result<Self, TrustError> {
        let path = &config.genesis;
        let genesis = SignedGenesis::open(&read(path)?)
            .map_err(|source| TrustError::Genesis { path: path.clone(), source })?;
        let genesis = Arc::new(genesis);
        let first = TrustPackage {
            genesis: Arc::clone(&genesis),
            steps: Vec::new(),
            members: genesis.genesis.members.clone(),
        };
        let walk = |path: &Path, package: &TrustPackage| {
            let walked = package.walk(&genesis.genesis.bundle);
            walked.map_err(|source| TrustError::Package { path: path.to_owned(), source })
        };
        let (package, trust) = match &config.package {
            Some(path) => {
                let package = TrustPackage::open(&read(path)?)
                    .map_err(|source| TrustError::Package { path: path.clone(), source })?;
                let trust = walk(path, &package)?;
                (package, trust)
            }
            None => {
                let trust = walk(path, &first)?;
                (first, trust)
            }
        };
        Ok(Self { genesis, package, trust, joins: config.package.is_some() })
    }

    /// Which life of which federation.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let (bundle, begun) = (&self.trust.bundle, self.trust.begun(&self.genesis));
        Origin { cluster: bundle.cluster, incarnation: bundle.incarnation, begun }
    }

    /// Whether this member founds the incarnation: its directory is set up by `found` and by nothing else.
    #[must_use]
    pub fn founds(&self, member: MemberId) -> bool {
        let founders = self.trust.opening().map(|opening| &opening.founders);
        founders.is_some_and(|founders| founders.iter().any(|founder| founder.member == member))
    }

    /// How this member's data directory is opened. `create_at_ms` is the present wall time where an empty one may be set
    /// up, `None` where the member has to have data.
    #[must_use]
    pub fn open_request(
        &self,
        config: &Config,
        create_at_ms: Option<u64>,
        clock: Arc<dyn Clock>,
    ) -> OpenRequest {
        let member = self.origin().owner(config.member());
        OpenRequest { dir: config.data_dir.clone(), member, create_at_ms, clock }
    }

    /// Takes what an earlier run kept, if that is further on.
    pub fn resume(&mut self, store: &Store) {
        let kept = match store.notes().get(NOTE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the trust package that was kept cannot be read");
                return;
            }
        };
        let walked = TrustPackage::open(&kept).and_then(|p| p.walk(&self.genesis.genesis.bundle));
        match walked {
            Ok(trust) if trust.bundle.version > self.trust.bundle.version => self.trust = trust,
            Ok(_older) => {}
            Err(error) => tracing::warn!(%error, "the trust package that was kept leads nowhere"),
        }
    }

    /// Puts roots and members in force.
    ///
    /// # Errors
    /// [`TrustError::Roots`].
    pub fn install(&self, bundles: &TrustBundles) -> Result<(), TrustError> {
        let by_domain = domains(&self.trust.bundle, &self.trust.roots);
        bundles.replace(&by_domain).map_err(TrustError::Roots)?;
        bundles.connections().judge_by(enrolled(&self.peers()));
        Ok(())
    }

    /// The members that may be talked to before a state is applied.
    #[must_use]
    pub fn peers(&self) -> BTreeMap<MemberId, PeerNode> {
        self.trust.members.iter().map(|m: &GenesisMember| (m.member, PeerNode::from(m))).collect()
    }
}

/// Keeps a package for the next start.
///
/// # Errors
/// As the store.
pub fn keep(store: &Store, package: &[u8]) -> Result<(), StoreError> {
    store.notes().put(NOTE, package)
}

/// The roots of each trust domain.
fn domains(bundle: &EndorserBundle, roots: &[BundleRoot]) -> BTreeMap<TrustDomain, Bundle> {
    let mut domains = BTreeMap::<TrustDomain, Bundle>::new();
    for root in roots {
        let Some(keys) = bundle.keys(&root.operator) else { continue };
        let bundle = || Bundle { operator: root.operator.clone(), roots: Vec::new() };
        let entry = domains.entry(keys.trust_domain.clone()).or_insert_with(bundle);
        entry.roots.push(root.der.clone().into());
    }
    domains
}

/// Whether the state no longer wants to hear from this peer.
fn is_out(view: &View, peer: &Peer) -> bool {
    let state = &view.state;
    let Some(identity) = &peer.identity else { return false };
    match &identity.principal.workload {
        Workload::Agent { site, node } => {
            let id = NodeId { site: site.clone(), name: node.clone() };
            state.node(&id).is_some_and(|row| row.revoked || row.node_key != identity.spki_sha256)
        }
        Workload::Member { member, .. } => state.federation().is_some_and(|federation| {
            let id = MemberId(*member);
            federation.standing(id) == Some(Standing::Removed) && !view.group.contains_key(&id)
        }),
        Workload::User { .. } => false,
    }
}

/// Whom a member may send federation state to (D3).
fn enrolled(members: &BTreeMap<MemberId, PeerNode>) -> BTreeSet<Principal> {
    members.iter().map(|(id, node)| node.principal(*id)).collect()
}

/// Follows the trust of applied state: roots, members, and whose connections have to go.
#[derive(Debug)]
pub struct Follower {
    /// Where applied state is seen.
    pub consensus: Consensus,
    /// What is in force.
    pub bundles: Arc<TrustBundles>,
    /// Keeps the package.
    pub store: Arc<Store>,
    /// Version in force.
    pub version: u64,
}

impl Follower {
    /// Until consensus ends.
    pub async fn run(mut self) {
        let mut changed = self.consensus.wakes(Wake::Trust);
        // What was replayed before this task began counts as news.
        changed.mark_changed();
        while changed.changed().await.is_ok() {
            let view = self.consensus.view();
            if let Some(federation) = view.state.federation() {
                self.follow(federation).await;
            }
            if let Some(members) = view.members() {
                self.bundles.connections().judge_by(enrolled(&members));
            }
            let cut = self.bundles.connections().cut(|peer| is_out(&view, peer));
            if cut > 0 {
                tracing::info!(cut, "connections of revoked nodes and removed members were cut");
            }
        }
    }

    /// The package is kept before its roots count: who starts again with the roots of before might be heard by nobody.
    async fn follow(&mut self, federation: &Federation) {
        let version = federation.bundle.version;
        if version <= self.version {
            return;
        }
        let (package, store) = (federation.package(), Arc::clone(&self.store));
        let kept = tokio::task::spawn_blocking(move || {
            let bytes = package.bytes().map_err(|error| error.to_string())?;
            keep(&store, &bytes).map_err(|error| error.to_string())
        });
        if let Err(error) = kept.await.unwrap_or_else(|error| Err(error.to_string())) {
            tracing::error!(%error, "the trust package cannot be kept");
        }
        self.version = version;
        self.put(federation);
    }

    /// A root that cannot be used leaves out its own domain, never the others.
    fn put(&self, federation: &Federation) {
        let usable = |root: &&BundleRoot| match Bundle::check_root(&root.der) {
            Ok(()) => true,
            Err(error) => {
                let operator = &root.operator;
                tracing::error!(%operator, %error, "a root of the endorser bundle cannot be used");
                false
            }
        };
        let roots: Vec<_> = federation.roots.iter().filter(usable).cloned().collect();
        if let Err(error) = self.bundles.replace(&domains(&federation.bundle, &roots)) {
            tracing::error!(%error, "the roots of the endorser bundle cannot be used together");
        }
    }
}
