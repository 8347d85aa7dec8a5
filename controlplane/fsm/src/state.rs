//! The replicated state: ordered tables on persistent maps, cloned in constant time.
//!
//! Must hold: fields are changed only by `apply`; readers hold a version and see one moment. Everything here is in
//! the snapshot, in canonical order, so equal states have equal bytes (R4).

use crate::approval::Approval;
use crate::audit::{Contradicted, Countersigned, RecordedJournal};
use crate::break_glass::BreakGlass;
use crate::budget::{Budget, BudgetKey};
use crate::escrow::{Escrow, EscrowKey};
use crate::held::KeptJobs;
use crate::jobs::Jobs;
use crate::location::{Convicted, KeptFix, Landmarks, NodeProof};
use crate::offer::{Offer, OfferKey, Veto, VetoKey};
use crate::outcome::Outcome;
use crate::power::SitePower;
use crate::preemption::{Kept, Preemption};
use crate::purse::Charge;
use crate::quarantine::Quarantine;
use crate::quota::{Holding, HoldingKey};
use crate::reservation::{Reservation, ReservationKey, Stock, StockKey};
use crate::table::Table;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::{Grant, SessionId};
use sekisho_evidence::location::fix::proven;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::range::{Pair, Range};
use sekisho_evidence::merkle::Frontier;
use sekisho_evidence::sealed::{SignedSiteKey, SitePublicKey};
use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_evidence::voucher::Voucher;
use sekisho_types::device::Bucket;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{
    ApprovalId, Digest, JobId, MemberId, NodeId, OperatorId, PolicyId, PublicKey, RequestId,
    SiteId, TenantId,
};
use sekisho_types::job::{JobFacts, JobPhase, When};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::placement::Phase;
use sekisho_types::principal::{Principal, Role};
use sekisho_types::rare::Rare;
use sekisho_types::residency::{Place, Rules};
use sekisho_types::revision::{KeyEpoch, PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::federation::{Federation, Standing};

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Who runs it.
    pub operator: OperatorId,
    /// Where it stands.
    pub area: Area,
    /// Name for people.
    pub display_name: String,
    /// Taken out for good (P5).
    pub revoked: bool,
    /// Last change.
    pub revision: Revision,
}

/// The keys that payloads for a site are sealed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteKeys {
    /// The one in use, as its operator signed it.
    pub current: SignedSiteKey,
    /// Those before it, oldest first, at most [`EARLIER_KEYS_MAX`]: what was sealed to them still opens.
    pub earlier: Vec<SitePublicKey>,
    /// Who held the current one was taken out: a member of the operator makes the next.
    pub outdated: bool,
}

/// Earlier keys of a site that still open: a queued job outlives so many revocations there before it has to be sealed anew.
pub const EARLIER_KEYS_MAX: usize = 16;

impl SiteKeys {
    /// Whether the site's agents open what is sealed to this key.
    #[must_use]
    pub fn opens(&self, epoch: KeyEpoch) -> bool {
        self.keys().any(|key| key.epoch == epoch)
    }

    /// Every key that still opens, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = &SitePublicKey> {
        self.earlier.iter().chain([&self.current.record.key])
    }
}

/// A session of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The entry that opened it.
    pub opened: Revision,
    /// Its lease ended; nothing more is granted to it.
    pub expired: bool,
    /// Sessions of the node that were open before it, newest first, as far as an entry that asks for one may still be
    /// under way.
    pub before: Vec<SessionId>,
}

/// A node is being emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Who said so last.
    pub by: Principal,
    /// Since when, on the state clock. Another deadline does not change it.
    pub since: Timestamp,
    /// When what is left is moved, on the state clock; `None` = never.
    pub deadline: Option<Timestamp>,
    /// Why, for people.
    pub message: String,
    /// The entry that last said how.
    pub revision: Revision,
}

/// A GPU host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Who runs it.
    pub operator: OperatorId,
    /// SHA-256 of its certificate's SPKI.
    pub node_key: Digest,
    /// Verifies its refusal receipts.
    pub receipt_key: PublicKey,
    /// The tag as signed.
    pub signed_tag: SignedTag,
    /// The tag as verified in apply.
    pub tag: SiteTag,
    /// What it has, since its session opened.
    pub buckets: Vec<Bucket>,
    /// GPUs charged, by bucket index; no entry = 0.
    pub used: BTreeMap<u16, u32>,
    /// The newest session.
    pub session: Option<Session>,
    /// Not cordoned.
    pub schedulable: bool,
    /// Taken out for good (P5).
    pub revoked: bool,
    /// Placements that are not ended.
    pub placements: BTreeSet<PlacementId>,
    /// Audit index of its newest `Desired` record, and the revision of that record.
    pub desired: Option<(u64, Revision)>,
    /// Last change that a reader may care about.
    pub revision: Revision,
    /// Set while it is being emptied, and when it is empty until that is called off.
    pub drain: Option<Drain>,
    /// Its operator has compared its key, or made its token as one that needs no second look. Without it, no placement.
    pub approved: bool,
    /// When it was enrolled, on the state clock.
    pub joined: Timestamp,
    /// What its agent's own checks find wrong, by check.
    pub findings: Vec<Unfit>,
    /// There are two of it.
    pub quarantine: Option<Quarantine>,
    /// What its kept fix proves, until then.
    pub proof: Option<NodeProof>,
    /// The last proof that ended before its time or gave way to one of a lower f, and when.
    pub lapsed: Option<NodeProof>,
    /// The rack that it stands in, as its operator told its agent.
    pub rack: Option<Name>,
    /// GPUs that are kept for a job for which others make room, by bucket index.
    pub kept: BTreeMap<u16, Kept>,
}

/// The key of a node that was decommissioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Whose key it was.
    pub node: NodeId,
    /// When, on the state clock.
    pub at: Timestamp,
}

/// A join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The one node that may join with it.
    pub node: NodeId,
    /// Hash of the endorser bundle that it pins.
    pub bundle: Digest,
    /// Refused from this instant on.
    pub expires: Timestamp,
    /// Who used it, and when.
    pub used: Option<(Digest, Timestamp)>,
    /// Its node needs no approval.
    pub approved: bool,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Name for people.
    pub display_name: String,
    /// A policy that binds every job of it.
    pub policy: Option<PolicyId>,
    /// The tenant that it is a part of: what it uses beyond its own, it has of that one, and of the other parts.
    pub parent: Option<TenantId>,
    /// Jobs that are not final.
    pub open_jobs: u32,
    /// Last change by an administrator.
    pub revision: Revision,
}

/// A named policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its rules, shared with what is granted under them.
    pub rules: Rare<Rules>,
    /// Its version: the revision of its last change.
    pub revision: Revision,
    /// When that was, on the state clock.
    pub since: Timestamp,
}

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What its holder may do.
    pub role: Role,
    /// Refused from this instant on.
    pub expires: Timestamp,
    /// How the person's operator vouches for the key record. `None` for a key of the genesis: what bears the operators'
    /// signatures there is the genesis as a whole, which no agent holds.
    pub voucher: Option<Voucher>,
    /// SHA-256 of the SPKI of the certificate that came with it, of a login: with the key the certificate ends.
    pub certificate: Option<Digest>,
    /// Taken back. The row stays until the key has expired, or the same record would bring it in again (A3).
    pub revoked: bool,
}

/// Why the members of a job are being torn down, decided once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Goes back to the queue once all are dead.
    Requeue(String),
    /// Fails once all are dead.
    Fail(String),
    /// Is cancelled once all are dead.
    Cancel,
    /// Goes back to the queue once all are dead, through no fault of its own or of a host: the attempt does not count.
    Move(String),
}

/// What became of the tasks of an array or service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// The number of the next one. Each before it has a row of its own, or had.
    pub next: u32,
    /// Those that are not over.
    pub open: u32,
    /// Those of which every member runs.
    pub running: u32,
    /// Those that are being torn down.
    pub stopping: u32,
    /// Those that ended well.
    pub succeeded: u32,
    /// Those that did not.
    pub failed: u32,
    /// Replicas that are over and still have a row.
    pub kept: u32,
    /// Replicas in a row that ended by themselves and soon.
    pub early: u32,
    /// No replica is placed before, on the state clock.
    pub pause: Timestamp,
}

/// A job, or one task of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What it asks for.
    pub facts: JobFacts,
    /// SHA-256 of its submission, which lies beside its payload.
    pub submission: Digest,
    /// Who submitted it.
    pub submitter: Arc<Principal>,
    /// The entry that submitted it.
    pub submitted: Revision,
    /// Its place in the batch of that entry; zero if it came alone.
    pub ordinal: u32,
    /// When, on the state clock.
    pub submitted_at: Timestamp,
    /// When every member of its group had begun to run for the first time.
    pub started_at: Option<Timestamp>,
    /// Since when it is over.
    pub ended_at: Option<Timestamp>,
    /// Where it is in its life.
    pub phase: JobPhase,
    /// Of an array or service: its tasks. They are granted, stopped and ended as jobs of their own; the whole is queued as long as
    /// more of them may come.
    pub tasks: Option<Box<Tasks>>,
    /// Its placements of the current attempt, by rank.
    pub placements: Vec<PlacementId>,
    /// How often its group was granted.
    pub attempts: u32,
    /// Set once something ended it; acted on when the last member is dead.
    pub fate: Option<Fate>,
    /// Nodes that refused it, each with the instant of the state clock from which it may be tried again.
    pub avoid: Rare<BTreeMap<NodeId, Timestamp>>,
    /// Last sentence about it, for people.
    pub message: String,
    /// Last change.
    pub revision: Revision,
}

/// A placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// What was granted.
    pub grant: Grant,
    /// Index of the bucket on its node.
    pub bucket: u16,
    /// SHA-256 of the grant.
    pub digest: Digest,
    /// Audit index of the grant's record.
    pub record: u64,
    /// Where it is in its life.
    pub phase: Phase,
    /// When the phase last changed, on the state clock.
    pub changed: Timestamp,
    /// What it is charged for.
    pub charge: Charge,
}

/// The kept answer to a request id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReply {
    /// What a signature binds of the command: another one under the same id is `REQUEST_ID_REUSED`.
    pub command: Digest,
    /// The answer.
    pub outcome: Outcome,
    /// The entry that gave it.
    pub revision: Revision,
    /// When, on the state clock.
    pub at: Timestamp,
}

/// Who asked, and the request id, as one SHA-256. A row of names would be copied some sixty times by each insertion into
/// a table that keeps its old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReplyKey(pub Digest);

impl ReplyKey {
    /// The key of a request.
    #[must_use]
    pub fn of(principal: &Principal, request: &RequestId) -> Self {
        // Length first, so that no name runs into the id behind it. Types of the state always encode.
        Self(Digest::of(&encode(&(principal, request)).unwrap_or_default()))
    }
}

/// Order of the queue: priority (as `100 - priority`), then age: the entry, and the place in its batch; then a task that goes back
/// to the queue by its number, before the rest of its array.
pub type QueueKey = (u8, Revision, u32, u32);

/// A payload or submission that some open job refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadUse {
    /// Bytes.
    pub len: u32,
    /// Open jobs.
    pub jobs: u32,
}

/// A payload that lies with members inside its job's area alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaOnly {
    /// The one open job that it is of: no two have the same.
    pub job: JobId,
    /// A host asked every member, and none had it. Nothing is placed until one says that it has, or it is sealed anew.
    pub missing: bool,
}

/// The whole replicated state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Shared: the state is cloned for every reader, and this changes with the members only.
    pub(crate) federation: Option<Arc<Federation>>,
    pub(crate) revision: Revision,
    pub(crate) clock: Timestamp,
    pub(crate) feature_level: u32,
    pub(crate) frontier: Frontier,
    pub(crate) sites: Table<SiteId, Site>,
    pub(crate) nodes: Table<NodeId, Node>,
    pub(crate) tokens: Table<Digest, Token>,
    pub(crate) keys: Table<(Principal, PublicKey), Key>,
    pub(crate) tenants: Table<TenantId, Tenant>,
    pub(crate) policies: Table<PolicyId, Policy>,
    pub(crate) quotas: Table<HoldingKey, Holding>,
    pub(crate) budgets: Table<BudgetKey, Budget>,
    pub(crate) escrows: Table<EscrowKey, Escrow>,
    pub(crate) offers: Table<OfferKey, Offer>,
    pub(crate) vetoes: Table<VetoKey, Veto>,
    pub(crate) reservations: Table<ReservationKey, Reservation>,
    /// Of each class at each site where something is reserved.
    pub(crate) stocks: Table<StockKey, Stock>,
    /// Of each site that is capped or where something runs.
    pub(crate) powers: Table<SiteId, SitePower>,
    /// By the job that room is made for.
    pub(crate) preemptions: Table<JobId, Preemption>,
    /// What tenants have used lately, each itself, by weights that begin at the time beside it.
    pub(crate) fair: Table<TenantId, u128>,
    pub(crate) fair_base: Timestamp,
    pub(crate) jobs: Jobs,
    pub(crate) queue: Table<QueueKey, JobId>,
    /// Shared, as the state is cloned for every reader.
    pub(crate) calls: Arc<[JobId]>,
    /// What held jobs wait for and has not come true: for whom, and who.
    pub(crate) dependents: Table<(JobId, JobId), When>,
    /// Jobs that started or ended and whose dependents the next ticks judge.
    pub(crate) unjudged: Table<JobId, ()>,
    /// When jobs that wait have to be looked at.
    pub(crate) timers: Table<(Timestamp, JobId), ()>,
    /// Jobs that are over, by tenant and since when.
    pub(crate) ended: Table<(TenantId, Timestamp, Name), ()>,
    /// Of each tenant that has any.
    pub(crate) kept_jobs: Table<TenantId, KeptJobs>,
    pub(crate) placements: Table<PlacementId, Placement>,
    pub(crate) payloads: Table<Digest, PayloadUse>,
    pub(crate) replies: Table<ReplyKey, KeptReply>,
    /// By the entry that gave them: the clock never goes back, so this is also their order in time.
    pub(crate) reply_order: Table<Revision, ReplyKey>,
    /// Keys of decommissioned nodes (P5). Never forgotten: each is a host that once was.
    pub(crate) retired: Table<Digest, Retired>,
    /// Shared, as the federation is.
    pub(crate) landmarks: Arc<Landmarks>,
    /// The last fix of each node that has one.
    pub(crate) fixes: Table<NodeId, KeptFix>,
    /// Of each site that has any.
    pub(crate) site_keys: Table<SiteId, SiteKeys>,
    /// The last that each landmark measured of each other one, or that it measured what cannot be.
    pub(crate) ranges: Table<Pair, Range>,
    /// Landmarks that were taken out for that, until their operators register or remove them.
    pub(crate) convicted: Table<LandmarkId, Convicted>,
    /// Those of [`Self::payloads`] whose bytes are in no entry, snapshot or backup.
    pub(crate) area_only: Table<Digest, AreaOnly>,
    /// The newest audit head that each agent countersigned.
    pub(crate) countersigned: Table<NodeId, Countersigned>,
    /// Agents' words that this log contradicts. Never forgotten.
    pub(crate) contradicted: Table<NodeId, Contradicted>,
    /// How far members' journals of denials go. Never forgotten, as a member's id is never used again.
    pub(crate) journals: Table<MemberId, RecordedJournal>,
    /// What waits for another operator's signature, or did a while ago.
    pub(crate) approvals: Table<ApprovalId, Approval>,
    /// By the entry that opened them.
    pub(crate) break_glasses: Table<Revision, BreakGlass>,
}

impl Node {
    /// The place that its tag establishes, and at `now` on the state clock its proof. The tag's own time is checked
    /// apart: [`SiteTag::check_time`].
    #[must_use]
    pub fn place(&self, now: Timestamp) -> Place {
        let proof = self.proof.filter(|proof| now < proof.expires);
        proven(self.tag.place(), proof.map(|proof| proof.proof))
    }

    /// The session that grants are made out to, if its lease has not ended.
    #[must_use]
    pub fn live_session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| !session.expired)
    }

    /// Whether its agent's own checks let new work come.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        !self.findings.iter().any(|finding| finding.blocks)
    }

    /// The drain that is past its deadline at `now` on the state clock.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<&Drain> {
        self.drain.as_ref().filter(|drain| drain.deadline.is_some_and(|deadline| deadline <= now))
    }

    /// GPUs of a bucket that nothing is charged on and nothing kept of.
    #[must_use]
    pub fn free(&self, bucket: u16) -> u32 {
        let count = self.buckets.get(usize::from(bucket)).map_or(0, |b| b.count);
        let kept = self.kept.get(&bucket).map_or(0, |kept| kept.gpus);
        let used = self.used.get(&bucket).copied().unwrap_or(0);
        count.saturating_sub(used).saturating_sub(kept)
    }

    /// The same for a job, with what is kept for it. Nothing of a bucket is kept for two.
    #[must_use]
    pub fn free_for(&self, bucket: u16, job: &JobId) -> u32 {
        let own = self.kept.get(&bucket).filter(|kept| kept.job == *job);
        self.free(bucket).saturating_add(own.map_or(0, |kept| kept.gpus))
    }
}
