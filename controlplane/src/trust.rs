//! Whom this member talks to: roots and members, first from what its operator configured and what it kept, then from
//! applied state; connections are cut when the state says so (P5).
//!
//! Must hold (D3, D4): what is configured is walked from the signed genesis, what is kept from an earlier run is walked
//! again; nothing that came over a wire counts before it is in applied state, but that whom signed steps name, from the bundle
//! that is held, is listened to as well. A member that was away needs that where a newcomer leads.

use crate::config::Config;
use futures::future::{BoxFuture, FutureExt as _};
use sekisho_api::landmark::is_told;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::{GenesisError, SignedGenesis};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::operator::BundleRoot;
use sekisho_evidence::package::{PackageError, Trust, TrustPackage};
use sekisho_fsm::State;
use sekisho_fsm::state::{Federation, Standing};
use sekisho_raft::PeerNode;
use sekisho_raft::consensus::Consensus;
use sekisho_raft::member::Known;
use sekisho_raft::snapshot::Origin;
use sekisho_raft::view::{View, Wake};
use sekisho_store::{OpenRequest, Store, StoreError};
use sekisho_transport::bundle::{Bundle, BundleError, TrustBundles};
use sekisho_transport::identity::Peer;
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
        Self::of(&config.genesis, config.package.as_deref())
    }

    /// Reads genesis and package of these names.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(path: &Path, package: Option<&Path>) -> Result<Self, TrustError> {
        let genesis = SignedGenesis::open(&read(path)?)
            .map_err(|source| TrustError::Genesis { path: path.to_owned(), source })?;
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
        let joins = package.is_some();
        let (package, trust) = match package {
            Some(path) => {
                let package = TrustPackage::open(&read(path)?)
                    .map_err(|source| TrustError::Package { path: path.to_owned(), source })?;
                let trust = walk(path, &package)?;
                (package, trust)
            }
            None => {
                let trust = walk(path, &first)?;
                (first, trust)
            }
        };
        Ok(Self { genesis, package, trust, joins })
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
        self.install_roots(bundles)?;
        bundles.connections().judge_by(enrolled(&self.known().members, None));
        Ok(())
    }

    /// Puts roots in force, for a program that sends no federation state.
    ///
    /// # Errors
    /// [`TrustError::Roots`].
    pub fn install_roots(&self, bundles: &TrustBundles) -> Result<(), TrustError> {
        let by_domain = domains(&self.trust.bundle, &self.trust.roots);
        bundles.replace(&by_domain).map_err(TrustError::Roots)?;
        Ok(())
    }

    /// The members that may be talked to before a state is applied that has them.
    #[must_use]
    pub fn known(&self) -> Known {
        Known::from(&self.trust)
    }
}

/// Keeps a package for the next start.
///
/// # Errors
/// As the store.
pub fn keep(store: &Store, package: &[u8]) -> Result<(), StoreError> {
    store.notes().put(NOTE, package)
}

/// The roots of each trust domain as trust has them. One that cannot be used leaves out its own domain, never the others.
pub(crate) fn roots(trust: &Trust) -> BTreeMap<TrustDomain, Bundle> {
    let usable = |root: &&BundleRoot| match Bundle::check_root(&root.der) {
        Ok(()) => true,
        Err(error) => {
            let operator = &root.operator;
            tracing::error!(%operator, %error, "a root of the endorser bundle cannot be used");
            false
        }
    };
    let all: Vec<_> = trust.roots.iter().filter(usable).cloned().collect();
    domains(&trust.bundle, &all)
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
            let key = &identity.spki_sha256;
            // One that is not there may be enrolled by an entry that this member has not applied yet.
            state.retired(key).is_some()
                || state.node(&id).is_some_and(|row| row.revoked || row.node_key != *key)
        }
        Workload::Member { member, .. } => state.federation().is_some_and(|federation| {
            let id = MemberId(*member);
            federation.standing(id) == Some(Standing::Removed) && !view.group.contains_key(&id)
        }),
        Workload::User { .. } => false,
        // One that was taken out has nothing to ask until it is registered anew.
        Workload::Landmark { name } => {
            let (operator, name) = (identity.principal.operator.clone(), name.clone());
            !is_told(state, &LandmarkId { operator, name })
        }
    }
}

/// Whom a member may send to (D3). Federation state goes to those of the members that it may talk to whose site, as applied
/// state has it, is one of their own operator's and lies in Japan. A site that the state does not have yet is one of the genesis,
/// or of a package of which every step was judged by a state that had it (`fsm::apply::member`). Landmarks that run apart from a
/// controller get frames of timed exchanges alone; they are in Japan, or were not registered.
fn enrolled(members: &BTreeMap<MemberId, PeerNode>, state: Option<&State>) -> BTreeSet<Principal> {
    let at_home = |principal: &Principal| {
        let site = principal.site().and_then(|site| state?.site(site));
        site.is_none_or(|site| {
            site.operator == principal.operator && Area::Japan.contains(site.area)
        })
    };
    let apart = |id: &LandmarkId| Principal {
        operator: id.operator.clone(),
        workload: Workload::Landmark { name: id.name.clone() },
    };
    let members = members.iter().map(|(id, node)| node.principal(*id)).filter(at_home);
    let landmarks = state.into_iter().flat_map(|state| {
        let told = state.landmarks().iter().map(|(id, _)| id);
        told.filter(|id| is_told(state, id)).map(apart)
    });
    members.chain(landmarks).collect()
}

/// Time for a member to hand over its package, and between two that led nowhere.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Follows the trust of applied state, and of members that are further on: roots, members, and whose connections have to go.
#[derive(Debug)]
pub struct Follower {
    /// Where applied state is seen.
    pub consensus: Consensus,
    /// What is in force.
    pub bundles: Arc<TrustBundles>,
    /// Keeps the package.
    pub store: Arc<Store>,
    /// The way to the bundle in force: that of applied state, or of before there was one.
    pub held: Trust,
    /// The way on from there, as another member showed it. Signed steps may have been refused by every state: so it only adds
    /// to whom this member listens, it is kept in memory alone, and it goes when the state contradicts it.
    pub beyond: Option<Beyond>,
}

/// A package that was walked, and where it led.
#[derive(Debug)]
pub struct Beyond {
    package: TrustPackage,
    trust: Trust,
}

type Asking = BoxFuture<'static, Option<Beyond>>;

impl Follower {
    /// Until consensus ends.
    pub async fn run(mut self) {
        let mut changed = self.consensus.wakes(Wake::Trust);
        let mut ahead = self.consensus.ahead();
        // What was replayed, and said, before this task began counts as news.
        changed.mark_changed();
        ahead.mark_changed();
        let (mut asking, mut last): (Option<Asking>, Option<MemberId>) = (None, None);
        loop {
            tokio::select! {
                news = changed.changed() => {
                    if news.is_err() { return }
                    let view = self.consensus.view();
                    if let Some(federation) = view.state.federation() {
                        self.follow(federation).await;
                    }
                }
                // Beside all else: one that holds its answer back delays nobody's removal.
                news = ahead.changed(), if asking.is_none() => {
                    if news.is_err() { return }
                    last = next(&ahead.borrow_and_update(), last);
                    asking = last.map(|member| {
                        ask(self.consensus.clone(), member, self.held.bundle.clone()).boxed()
                    });
                }
                beyond = answer(&mut asking) => {
                    asking = None;
                    match beyond {
                        Some(beyond) => self.walk_on(beyond),
                        // The next of those that say so.
                        None => ahead.mark_changed(),
                    }
                }
            }
            let view = self.consensus.view();
            let enrolled = enrolled(&self.consensus.peers(), Some(&view.state));
            self.bundles.connections().judge_by(enrolled);
            let cut = self.bundles.connections().cut(|peer| is_out(&view, peer));
            if cut > 0 {
                tracing::info!(cut, "connections of revoked nodes and removed members were cut");
            }
        }
    }

    fn walk_on(&mut self, beyond: Beyond) {
        let held = self.beyond.as_ref().map_or(&self.held, |beyond| &beyond.trust);
        let bundle = &beyond.trust.bundle;
        let same_life = bundle.incarnation == held.bundle.incarnation;
        if !same_life || bundle.version <= held.bundle.version {
            return;
        }
        tracing::info!(version = bundle.version, "walked on with another member");
        self.consensus.learn(Known::from(&beyond.trust));
        self.beyond = Some(beyond);
        self.put();
    }

    /// The package is kept before its roots count: who starts again with the roots of before might be heard by nobody.
    async fn follow(&mut self, federation: &Federation) {
        let bundle = &federation.bundle;
        // A state that is behind what was configured says nothing new.
        if bundle.version < self.held.bundle.version || *bundle == self.held.bundle {
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
        self.held.bundle.clone_from(bundle);
        self.held.roots.clone_from(&federation.roots);
        let on = |beyond: &Beyond| {
            beyond.trust.bundle.version > bundle.version && beyond.package.walk(bundle).is_ok()
        };
        if self.beyond.take_if(|beyond| !on(beyond)).is_some() {
            self.consensus.learn(Known::default());
        }
        self.put();
    }

    fn put(&self) {
        let mut all = roots(&self.held);
        for (domain, more) in self.beyond.iter().flat_map(|beyond| roots(&beyond.trust)) {
            let known = all.entry(domain).or_insert_with(|| more.clone());
            let new = more.roots.into_iter().filter(|root| !known.roots.contains(root));
            let new: Vec<_> = new.collect();
            known.roots.extend(new);
        }
        if let Err(error) = self.bundles.replace(&all) {
            tracing::error!(%error, "the roots of the endorser bundle cannot be used together");
        }
    }
}

/// The one after `last`, around.
fn next(ahead: &BTreeSet<MemberId>, last: Option<MemberId>) -> Option<MemberId> {
    let after = ahead.iter().find(|member| Some(**member) > last);
    after.or_else(|| ahead.first()).copied()
}

/// What the one that is asked comes to; never while nobody is.
async fn answer(asking: &mut Option<Asking>) -> Option<Beyond> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Walks on from `held` with a member that has a later bundle in its state. One that leads nowhere costs a pause.
async fn ask(consensus: Consensus, member: MemberId, held: EndorserBundle) -> Option<Beyond> {
    if let Some(bytes) = consensus.ask_way(member, ASK_TIMEOUT).await {
        let walking = tokio::task::spawn_blocking(move || {
            let package = TrustPackage::open(&bytes)?;
            let trust = package.walk(&held)?;
            Ok::<_, PackageError>(Beyond { package, trust })
        });
        match walking.await {
            Ok(Ok(beyond)) => return Some(beyond),
            Ok(Err(error)) => {
                tracing::warn!(%member, %error, "the trust package of a member leads nowhere");
            }
            Err(error) => tracing::warn!(%member, %error, "a trust package cannot be walked"),
        }
    }
    tokio::time::sleep(ASK_TIMEOUT).await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing;

    #[test]
    fn a_member_is_enrolled_where_the_state_has_its_site_as_its_operators_own() {
        let state = testing::Federation::new().state;
        let node = |operator: &str, site: &str| PeerNode {
            address: "127.0.0.1:1".to_owned(),
            operator: operator.parse().unwrap(),
            site: site.parse().unwrap(),
        };
        let members = BTreeMap::from([
            (MemberId(1), node("kanto", "tokyo-1")),
            (MemberId(2), node("naniwa", "tokyo-1")),
            (MemberId(3), node("naniwa", "not-yet")),
        ]);
        let ids = |state| {
            let all = enrolled(&members, state).into_iter();
            all.map(|principal| principal.to_string()).collect::<Vec<_>>()
        };
        let (own, new) = ("kanto/site/tokyo-1/member/1", "naniwa/site/not-yet/member/3");
        assert_eq!(ids(Some(&state)), [own, new], "the second stands at another operator's site");
        assert_eq!(ids(None), [own, new, "naniwa/site/tokyo-1/member/2"]);
    }
}
