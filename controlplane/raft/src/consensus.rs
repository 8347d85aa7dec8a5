//! The handle that everyone uses: propose, read, watch.
//!
//! Must hold: every wait has a deadline (L3); what is in flight is bounded, internal proposals apart from users' (L4);
//! a write whose fate is not known is called unknown (R3); reads are linearizable unless the caller takes
//! [`Consensus::view`] as it is (R2); once the member has failed nothing is accepted any more (R7).

pub(crate) mod backfill;
pub(crate) mod confirm;
mod initialize;
mod journal;
mod leadership;
mod level;
mod membership;
mod propose;
mod prove;
mod read;
mod save;
mod start;

pub use crate::network::message::Priority;
pub use leadership::{LeaderInfo, Leadership};
use level::Levels;
pub use membership::MembershipError;
pub use propose::Committed;
use prove::Proof;
pub use start::MemberOptions;

use crate::audit::{AuditLog, Payloads};
use crate::changes::Changes;
use crate::checkpoint::Checkpoints;
use crate::error::{MemberFailure, ProposeError, ReadError, StartError};
use crate::held::Held;
use crate::limit::{IN_FLIGHT, IN_FLIGHT_PRIORITY, RETRY_PAUSE_MAX};
use crate::member::{AppliedMembers, Known, MemberStatus, statuses};
use crate::network::client::Outbound;
use crate::network::frame::MemberDirectory;
use crate::network::inbound::Inbound;
use crate::network::service::RaftRpc;
use crate::platform::{Native, Platform};
use crate::snapshot::Origin;
use crate::type_config::{PeerNode, Raft, TypeConfig};
use crate::view::{Publisher, View, Wake};
use confirm::Rounds;
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::Fatal;
use sekisho_fsm::entry::Entry;
use sekisho_proto::internal::v1::raft_service_server::RaftServiceServer;
use sekisho_store::Identity;
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// What a running member consists of.
pub(crate) struct Core<P: Platform> {
    raft: Raft<P>,
    out: Outbound,
    members: Arc<AppliedMembers>,
    /// Those that said that they have a later endorser bundle than is known here.
    ahead: watch::Sender<BTreeSet<MemberId>>,
    publisher: Arc<Publisher>,
    store: Arc<P::Disk>,
    proof: Proof,
    levels: Levels<P>,
    ordinary: Arc<Semaphore>,
    internal: Arc<Semaphore>,
    leadership: watch::Sender<Option<Leadership>>,
    closing: AtomicBool,
    shed: [AtomicU64; 2],
    rounds: Arc<Rounds>,
    tasks: TaskGroup,
}

impl<P: Platform> fmt::Debug for Core<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("member", &self.out.me).finish_non_exhaustive()
    }
}

impl<P: Platform> Core<P> {
    fn new(
        raft: Raft<P>,
        out: Outbound,
        members: Arc<AppliedMembers>,
        publisher: Arc<Publisher>,
        store: Arc<P::Disk>,
        tasks: TaskGroup,
    ) -> Self {
        let lane =
            |units: u32| Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX)));
        Self {
            raft,
            out,
            members,
            ahead: watch::Sender::default(),
            publisher,
            store,
            proof: Proof::new::<P>(),
            levels: Levels::default(),
            ordinary: lane(IN_FLIGHT),
            internal: lane(IN_FLIGHT_PRIORITY),
            leadership: watch::Sender::default(),
            closing: AtomicBool::new(false),
            shed: Default::default(),
            rounds: Arc::default(),
            tasks,
        }
    }

    pub(crate) fn me(&self) -> MemberId {
        self.out.me
    }

    pub(crate) fn origin(&self) -> Origin {
        self.out.origin
    }

    pub(crate) fn raft(&self) -> &Raft<P> {
        &self.raft
    }

    /// What the others' programs know.
    pub(crate) fn levels(&self) -> &Levels<P> {
        &self.levels
    }

    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.tasks
    }

    /// Whether applied state lists it.
    pub(crate) fn lists(&self, member: MemberId) -> bool {
        self.members.lists(member)
    }

    pub(crate) fn directory(&self) -> &dyn MemberDirectory {
        self.out.directory.as_ref()
    }

    fn metrics(&self) -> RaftMetrics<TypeConfig<P>> {
        self.raft.metrics().borrow_watched().clone()
    }

    fn closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The leader that this member knows of. Asked for each command: nothing is copied.
    fn leader(&self) -> Option<MemberId> {
        self.raft.metrics().borrow_watched().current_leader.map(MemberId)
    }

    /// Waits until this member hears of a change in who leads, or of its own end; bounded by the caller. Looks where
    /// [`Self::leader`] looks: a second source that disagrees would make callers ask without a pause.
    async fn leader_changed(&self, known: Option<MemberId>) {
        let mut metrics = self.raft.metrics();
        loop {
            let leader = metrics.borrow_watched().current_leader.map(MemberId);
            if leader != known || metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// The answer of a call to `leader`; `None` if another member leads meanwhile and none has come a moment later. Who was
    /// frozen or cut off takes no connection along, so the call alone would wait for its whole deadline.
    async fn while_leads<T: Send>(
        &self,
        leader: MemberId,
        call: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => return Some(answer),
            () = self.another_leads(leader) => {}
        }
        P::within(P::deadline(RETRY_PAUSE_MAX), call).await.ok()
    }

    /// Not by the metrics that each entry changes: every call under way would be woken by every entry.
    async fn another_leads(&self, leader: MemberId) {
        let mut server = self.raft.server_metrics();
        loop {
            let now = server.borrow_watched().current_leader.map(MemberId);
            if now.is_some_and(|now| now != leader) || server.changed().await.is_err() {
                return;
            }
        }
    }
}

/// How full one lane of proposals is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Units in use.
    pub used: u32,
    /// Units in all.
    pub limit: u32,
    /// Proposals refused for want of room, since start.
    pub shed: u64,
}

/// What made the engine stop.
fn failure_of<P: Platform>(fatal: &Fatal<TypeConfig<P>>) -> MemberFailure {
    let why = fatal.to_string().into();
    match fatal {
        Fatal::StorageError(_) => MemberFailure::Storage(why),
        Fatal::Panicked | Fatal::Stopped => MemberFailure::Engine(why),
    }
}

/// A running member. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Consensus<P: Platform = Native>(Arc<Core<P>>);

/// What only the shipped platform has.
impl Consensus {
    /// Opens the log and state of a member and takes part from now on. Replays the log; seconds after a crash.
    ///
    /// # Errors
    /// [`StartError`]; the member has not voted then.
    pub async fn start(options: MemberOptions) -> Result<Self, StartError> {
        Self::start_on(options).await
    }

    /// Numbers of its data directory that peers keep for it (R6).
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.store.identity()
    }

    /// The service that other members call; to be served on authenticated connections only.
    #[must_use]
    pub fn service(&self) -> RaftServiceServer<RaftRpc> {
        RaftRpc::server(self.inbound())
    }

    /// The audit log of this member.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(Arc::clone(&self.0.store))
    }

    /// Payloads that stay in their job's area, as far as this member keeps them.
    #[must_use]
    pub fn held(&self) -> Held {
        Held::new(Arc::clone(&self.0.store))
    }

    /// Payloads of open jobs.
    #[must_use]
    pub fn payloads(&self) -> Payloads {
        Payloads::new(Arc::clone(&self.0.store))
    }
}

impl<P: Platform> Consensus<P> {
    /// As [`Consensus::start`], on any platform.
    ///
    /// # Errors
    /// [`StartError`]; the member has not voted then.
    pub async fn start_on(options: MemberOptions<P>) -> Result<Self, StartError> {
        start::start(options).await.map(Self)
    }

    /// This member.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.0.me()
    }

    /// Whose life of which federation it lives in.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// Where a network of another kind delivers.
    #[must_use]
    pub fn inbound(&self) -> Inbound<P> {
        Inbound::new(Arc::clone(&self.0))
    }

    /// Commits an entry, wherever the leader is, and returns what apply answered.
    ///
    /// Transient refusals are retried until the deadline; a try that may be in the log only where the request id
    /// makes the second time answer as the first (R3).
    ///
    /// # Errors
    /// [`ProposeError`].
    pub async fn propose(
        &self,
        entry: Entry,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        self.0.propose(Priority::Ordinary, entry, deadline).await
    }

    /// Commits an entry as the leader of `term`, or not at all: it is neither forwarded nor tried again. For what
    /// only that leader may conclude from its own memory, as the end of a lease.
    ///
    /// # Errors
    /// [`ProposeError::NoLeader`] if this member does not lead that term; else as [`Self::propose`].
    pub async fn propose_led(
        &self,
        term: u64,
        entry: Entry,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        self.0.propose_led(term, entry, deadline).await
    }

    /// As [`Self::propose`], with a choice of the in-flight bound.
    ///
    /// # Errors
    /// [`ProposeError`].
    pub async fn propose_as(
        &self,
        priority: Priority,
        entry: Entry,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        self.0.propose(priority, entry, deadline).await
    }

    /// The newest state of this member, which may be behind the leader's: a local read.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.publisher.view()
    }

    /// A state that holds every write acknowledged before this call, anywhere in the cluster (R2).
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_index(&self, deadline: P::Deadline) -> Result<Arc<View>, ReadError> {
        self.0.read_index(deadline).await
    }

    /// The term that this member leads, confirmed by a majority after this call began, once it has applied everything that
    /// was acknowledged before.
    ///
    /// # Errors
    /// [`ReadError::NoLeader`] if it does not lead, or nobody says in time that it does; else as [`Self::read_index`].
    pub async fn confirm_leadership(&self, deadline: P::Deadline) -> Result<u64, ReadError> {
        self.0.confirm_leadership(deadline).await
    }

    /// The state once it holds `revision`.
    ///
    /// # Errors
    /// [`ReadError::Behind`] at the deadline; [`ReadError::Failed`].
    pub async fn wait_for(
        &self,
        revision: Revision,
        deadline: P::Deadline,
    ) -> Result<Arc<View>, ReadError> {
        self.0.wait_for(revision, deadline).await
    }

    /// The last applied log entry as it moves.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.0.publisher.revisions()
    }

    /// A counter that moves when something of the kind may have changed.
    #[must_use]
    pub fn wakes(&self, wake: Wake) -> watch::Receiver<u64> {
        self.0.publisher.wakes(wake)
    }

    /// Which rows changed lately: what a watch goes on from.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.0.publisher.changes
    }

    /// Points at which this voter signs a checkpoint.
    #[must_use]
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.0.publisher.checkpoints
    }

    /// Who leads, as far as this member knows.
    #[must_use]
    pub fn leader(&self) -> Option<LeaderInfo> {
        let metrics = self.0.metrics();
        let member = MemberId(metrics.current_leader?);
        Some(LeaderInfo { member, term: metrics.current_term })
    }

    /// Whether this member leads and since which entry. A hint to begin and end duties, no proof: what has to be
    /// true at an instant needs [`Self::read_index`] or [`Self::propose`].
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.0.leadership.subscribe()
    }

    /// How full a lane of proposals is.
    #[must_use]
    pub fn in_flight(&self, priority: Priority) -> InFlight {
        let [ordinary, internal] = &self.0.shed;
        let (lane, limit, shed) = match priority {
            Priority::Ordinary => (&self.0.ordinary, IN_FLIGHT, ordinary),
            Priority::Internal => (&self.0.internal, IN_FLIGHT_PRIORITY, internal),
        };
        let free = u32::try_from(lane.available_permits()).unwrap_or(u32::MAX);
        let used = limit.saturating_sub(free);
        InFlight { used, limit, shed: shed.load(Ordering::Relaxed) }
    }

    /// Whom this member may talk to (D3): the members of its state, whoever still votes, and those of a later bundle that
    /// it walked to.
    #[must_use]
    pub fn peers(&self) -> BTreeMap<MemberId, PeerNode> {
        self.0.directory().members()
    }

    /// Members that say that they have a later endorser bundle in their state than is known here. Soon the log brings it; but
    /// not if a newcomer leads, whom this member does not know before.
    #[must_use]
    pub fn ahead(&self) -> watch::Receiver<BTreeSet<MemberId>> {
        self.0.ahead.subscribe()
    }

    /// Asks a member for the way to its endorser bundle: bytes of a trust package, of which nothing is checked. `None` if it
    /// does not answer in time or has none.
    pub async fn ask_way(&self, member: MemberId, within: Duration) -> Option<Vec<u8>> {
        self.0.ask_way(member, within).await
    }

    /// Takes members that were walked to, in place of those of before.
    pub fn learn(&self, known: Known) {
        self.0.members.learn(known);
        self.0.ahead.send_modify(BTreeSet::clear);
    }

    /// The members, by id.
    #[must_use]
    pub fn members(&self) -> Vec<MemberStatus> {
        statuses(&self.0.metrics())
    }

    /// The highest feature level that the programs of all members know; `None` while one of them was not heard lately.
    #[must_use]
    pub fn common_level(&self) -> Option<u32> {
        let out = &self.0.out;
        let others = out.directory.members().into_keys().filter(|member| *member != out.me);
        self.0.levels.common(out.feature_level, others)
    }

    /// Asks the leader, if this member is it, to hand over to `to`. Whether it did shows in [`Self::leader`].
    pub async fn transfer_leader(&self, to: MemberId) {
        if let Err(error) = self.0.raft.trigger().transfer_leader(to.0).await {
            tracing::warn!(%to, %error, "leadership is not handed over");
        }
    }

    /// Asks for a snapshot now; it is built in the background.
    pub async fn trigger_snapshot(&self) {
        if let Err(error) = self.0.raft.trigger().snapshot().await {
            tracing::warn!(%error, "no snapshot is built");
        }
    }

    /// Resolves when this member has failed (R7); never on a shutdown that was asked for.
    pub async fn failed(&self) -> MemberFailure {
        let mut failures = self.0.publisher.failures();
        let failed = failures.wait_for(Option::is_some).await.map(|failure| failure.clone());
        match failed {
            Ok(Some(failure)) => failure,
            // The publisher lives as long as this handle.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Resolves when a majority of the voters has accepted this member's data directory (R6): it takes part from then on.
    pub async fn accepted(&self) {
        self.0.accepted().await;
    }

    /// Stops taking part. The data directory stays locked until every handle is dropped.
    pub async fn shutdown(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.leadership.send_replace(None);
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop in order");
        }
        self.0.tasks.cancel();
        self.0.rounds.end();
    }
}
