//! Starting a controller: the order of steps, and why.
//!
//! 1. Whom to trust, by genesis, package or what was kept, before any socket: it says who may be talked to (D3).
//! 2. The data directory, which refuses to be another member's (R6).
//! 3. The listener, then consensus: peers may knock at once, and are answered when the service stands.
//! 4. Duties, then the API: an agent's first renewal finds a table of leases.
//! 5. Landmarks and metrics, where listeners for them are asked for.

use crate::begin::begin;
use crate::config::Config;
use crate::covered;
use crate::heads::Heads;
use crate::issuer::SiteIssuer;
use crate::landmark::ranging::Ranging;
use crate::landmark::{Applied, Directory, Others, server};
use crate::login::LoginPort;
use crate::metrics::serve::limits;
use crate::metrics::{self, Metrics};
use crate::ports::{HeadsPort, LeasePort};
use crate::trust;
use crate::vitals::MemberVitals;
use anyhow::{Context as _, Result, bail};
use sekisho_api::clock::FederationClock;
use sekisho_api::core::{Core, Ports};
use sekisho_api::login::Logins;
use sekisho_api::server::{Services, serve};
use sekisho_controllers::start::{Controllers, Options};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_raft::config::RaftConfig;
use sekisho_raft::consensus::{Consensus, MemberOptions};
use sekisho_raft::found::is_founded;
use sekisho_raft::network::grpc::GrpcLinks;
use sekisho_store::{MarkerError, Store, StoreError};
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::pki::{self, signing};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::principal::Workload;
use sekisho_types::time::Clock;
use std::path::Path;
use std::sync::Arc;

/// What a founder that was not set up is told.
const FOUND_FIRST: &str =
    "this member founds its incarnation: run `sekisho-controller found` first";

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    /// Its part in consensus.
    pub consensus: Consensus,
    /// Everything that it runs.
    pub tasks: TaskGroup,
}

/// Everything that stands before a socket is opened.
struct Ground {
    trust: trust::Ground,
    identity: Identity,
    bundles: Arc<TrustBundles>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// The clock above, with what the members agree on.
    agreed: Arc<FederationClock>,
}

/// Starts a controller; it serves until its task group is cancelled.
///
/// # Errors
/// What is missing or does not fit, in words.
pub async fn start(config: &Config, tasks: &TaskGroup) -> Result<Controller> {
    // Before anything counts: what is counted without a recorder is lost.
    let metrics = match &config.metrics {
        Some(wanted) => Some((wanted.listen, metrics::install(tasks)?)),
        None => None,
    };
    let ground = ground(config)?;
    let listener =
        Listener::bind(config.listen, &ground.identity, &ground.bundles, tasks, Limits::default())
            .await
            .with_context(|| format!("listening on {}", config.listen))?;
    let dialer = Dialer::new(Some(ground.identity.clone()), Arc::clone(&ground.bundles))
        .asking(config.names()?);
    let consensus = consensus(config, &ground, dialer.clone(), tasks).await?;
    let me = config.identity();
    if !ground.trust.joins {
        let (genesis, clock) = (Arc::clone(&ground.trust.genesis), Arc::clone(&ground.clock));
        let begin = begin(consensus.clone(), genesis, me.clone(), clock);
        tasks.spawn(TaskKind::Ordinary, "begin", begin);
    }
    let follower = trust::Follower {
        consensus: consensus.clone(),
        bundles: Arc::clone(&ground.bundles),
        store: Arc::clone(&ground.store),
        held: ground.trust.trust.clone(),
        beyond: None,
    };
    tasks.spawn(TaskKind::Critical, "follow-trust", follower.run());
    let controllers = Controllers::start(
        consensus.clone(),
        Options {
            identity: me,
            checkpoint_key: optional_key(config.checkpoint_key.as_deref(), "checkpoint key")?,
            heads: Arc::new(Heads(Arc::clone(&ground.store))),
            clock: Arc::clone(&ground.clock),
            agreed: Arc::clone(&ground.agreed) as Arc<dyn Clock>,
        },
        tasks,
    )
    .context("starting the duties")?;
    let (identity, bundles) = (ground.identity.clone(), Arc::clone(&ground.bundles));
    let store = Arc::clone(&ground.store);
    let core = api(config, ground, &consensus, &controllers, dialer, tasks)?;
    tasks.spawn(TaskKind::Ordinary, "keep-note", covered::keep(Arc::clone(&core), store));
    core.start_exchange();
    core.start_witness();
    core.start_countersignatures();
    core.start_journal(listener.refused);
    core.start_site_keys();
    core.start_holding();
    core.start_sessions();
    let services = Services::new(Arc::clone(&core));
    let routes = services.authenticated()?.add_service(consensus.service());
    serve(routes, listener.authenticated, tasks);
    serve(services.anonymous(), listener.anonymous, tasks);
    let applied = Applied { consensus: consensus.clone(), core: Arc::clone(&core) };
    landmarks(config, applied, (&identity, &bundles), tasks).await?;
    if let Some((listen, handle)) = metrics {
        let listener = Listener::bind(listen, &identity, &bundles, tasks, limits())
            .await
            .with_context(|| format!("listening on {listen} for metrics"))?;
        let source = Metrics { handle, core, consensus: consensus.clone() };
        metrics::serve::serve(listener.authenticated, Arc::new(source), tasks);
    }
    Ok(Controller { consensus, tasks: tasks.clone() })
}

/// Starts the landmarks that this program serves.
async fn landmarks(
    config: &Config,
    applied: Applied,
    (identity, bundles): (&Identity, &Arc<TrustBundles>),
    tasks: &TaskGroup,
) -> Result<()> {
    let applied = Arc::new(applied);
    for wanted in &config.landmark {
        let id = LandmarkId { operator: config.operator.clone(), name: wanted.name.clone() };
        let key = signing::read(&wanted.key)
            .with_context(|| format!("key of landmark {id}: {}", wanted.key.display()))?;
        let options = server::Options {
            key: key.clone(),
            listen: wanted.listen,
            datagrams: wanted.datagrams,
            directory: Arc::clone(&applied) as Arc<dyn Directory>,
            clock: Arc::new(SystemClock),
            id: id.clone(),
        };
        let started = server::start(options, identity, bundles, tasks).await;
        started.with_context(|| format!("starting landmark {id}"))?;
        let ranging = Ranging {
            id,
            key,
            identity: identity.clone(),
            dialer: Dialer::new(Some(identity.clone()), Arc::clone(bundles))
                .asking(config.names()?),
            others: Arc::clone(&applied) as Arc<dyn Others>,
            clock: Arc::new(SystemClock),
            via: wanted.via.clone(),
        };
        tasks.spawn(TaskKind::Ordinary, "ranging", ranging.run());
    }
    Ok(())
}

fn ground(config: &Config) -> Result<Ground> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut trust = trust::Ground::read(config)?;
    let identity = Identity::load(&config.identity_dir)
        .with_context(|| format!("identity in {}", config.identity_dir.display()))?;
    let expected = Workload::Member { site: config.site.clone(), member: config.member };
    if identity.workload() != expected {
        bail!(
            "the certificate is for {:?}, the configuration for {expected:?}",
            identity.workload()
        );
    }
    let founds = trust.founds(config.member());
    // A founder without its directory would vote with an empty one.
    let create_at = (!founds).then(|| clock.wall().0);
    let opened = Store::open(&trust.open_request(config, create_at, Arc::clone(&clock)));
    let missing = matches!(opened, Err(StoreError::Marker(MarkerError::Missing)));
    if founds && missing {
        bail!(FOUND_FIRST);
    }
    let store = opened.with_context(|| format!("data directory {}", config.data_dir.display()))?;
    if founds && !is_founded(&store)? {
        bail!(FOUND_FIRST);
    }
    let own = trust.origin();
    trust.resume(&store);
    if trust.origin() != own {
        let later = trust.origin().incarnation;
        bail!("this member was retired: its incarnation {} gave way to {later}", own.incarnation);
    }
    let bundles = TrustBundles::new(Arc::clone(&clock));
    trust.install(&bundles)?;
    let agreed = Arc::new(FederationClock::new(Arc::clone(&clock)));
    Ok(Ground { trust, identity, bundles, store: Arc::new(store), clock, agreed })
}

async fn consensus(
    config: &Config,
    ground: &Ground,
    dialer: Dialer,
    tasks: &TaskGroup,
) -> Result<Consensus> {
    let options = MemberOptions {
        origin: ground.trust.origin(),
        member: config.member(),
        known: ground.trust.known(),
        store: Arc::clone(&ground.store),
        links: GrpcLinks::new(dialer),
        config: RaftConfig { timing: config.timing.timing(), ..RaftConfig::default() },
        clock: Arc::clone(&ground.clock),
        tasks: tasks.clone(),
    };
    Consensus::start(options).await.context("starting consensus")
}

fn api(
    config: &Config,
    ground: Ground,
    consensus: &Consensus,
    controllers: &Controllers<Consensus>,
    dialer: Dialer,
    tasks: &TaskGroup,
) -> Result<Arc<Core>> {
    let issuer = match &config.issuer_dir {
        Some(dir) => {
            Some(pki::Issuer::load(dir).with_context(|| format!("issuer in {}", dir.display()))?)
        }
        None => None,
    };
    let tag_key = optional_key(config.site_tag_key.as_deref(), "site-tag key")?;
    let logins = LoginPort::open(config, Arc::clone(&ground.clock)).context("login settings")?;
    let issuer = SiteIssuer::new(issuer, tag_key, Arc::clone(&ground.clock));
    let (heads, follow_heads) = HeadsPort::new(controllers.signatures.clone());
    tasks.spawn(TaskKind::Critical, "follow-heads", follow_heads);
    let identity = config.identity();
    let vitals = MemberVitals::new(
        config.data_dir.clone(),
        ground.identity,
        consensus.clone(),
        Arc::clone(ground.bundles.connections()),
        Arc::clone(&ground.clock),
    );
    tasks.spawn(TaskKind::Critical, "vitals", Arc::clone(&vitals).follow());
    let ports = Ports {
        vitals,
        replica: Arc::new(consensus.clone()),
        archive: Arc::new(consensus.clone()),
        holding: Arc::new(consensus.clone()),
        diary: Arc::new(consensus.clone()),
        leases: Arc::new(LeasePort(controllers.leases.clone())),
        heads: Arc::new(heads),
        issuer: Arc::new(issuer),
        logins: logins.map(|logins| Arc::new(logins) as Arc<dyn Logins>),
        clock: ground.agreed,
        dialer,
        tasks: tasks.clone(),
    };
    Ok(Core::new(identity, ports))
}

/// A key whose file may be missing: the member then does without, and says so.
fn optional_key(path: Option<&Path>, what: &str) -> Result<Option<SigningKey>> {
    let Some(path) = path else { return Ok(None) };
    if !path.exists() {
        tracing::warn!(path = %path.display(), "{what} is missing: this member goes on without it");
        return Ok(None);
    }
    signing::read(path).map(Some).with_context(|| format!("{what} {}", path.display()))
}
