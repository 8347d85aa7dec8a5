//! Every change that the log can carry. Append-only: variants keep their number for ever, new ones come last and
//! behind a feature level.

mod batch;
mod group;
mod login;
mod reservation;
mod signed;

pub use batch::Item;
pub(crate) use batch::tree;
pub use group::{Group, Preempt, Slot};
pub use login::Login;
pub use reservation::{DeleteReservation, PutReservation};

use crate::quarantine::Twin;
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::command::CommandSignature;
use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::journal::JournalHead;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_evidence::receipt::Receipt;
use sekisho_evidence::sealed::SignedSiteKey;
use sekisho_evidence::tag::SignedTag;
use sekisho_evidence::terms::Agreement;
use sekisho_types::budget::BudgetSpec;
use sekisho_types::device::Bucket;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::{
    ApprovalId, DeviceClass, Digest, JobId, MemberId, NodeId, OperatorId, PolicyId, PublicKey,
    Signature, SiteId, TenantId,
};
use sekisho_types::job::JobFacts;
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::patch::Patch;
use sekisho_types::placement::Phase;
use sekisho_types::principal::{KeyRecord, Principal};
use sekisho_types::quota::Allotment;
use sekisho_types::residency::Rules;
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A command. Each has a file under `apply/`, named for its noun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// First entry of a federation.
    Bootstrap(Box<SignedGenesis>),
    /// Moves the state clock and asks every voter for a checkpoint.
    Tick,
    /// Binds a signing key and role to a principal.
    RegisterKey {
        /// The binding.
        record: KeyRecord,
        /// By the issuer key of the principal's operator.
        issuer: Signature,
    },
    /// Takes a key back.
    RevokeKey {
        /// Whose.
        principal: Principal,
        /// Which.
        key: PublicKey,
    },
    /// Registers a site.
    CreateSite {
        /// Its id.
        site: SiteId,
        /// Who runs it.
        operator: OperatorId,
        /// Where it stands.
        area: Area,
        /// Name for people.
        display_name: String,
    },
    /// Takes a site out for good (P5).
    RevokeSite {
        /// Which.
        site: SiteId,
    },
    /// Makes a join token.
    CreateToken {
        /// SHA-256 of its secret; the secret itself never enters the log.
        token: Digest,
        /// The one node that may join with it.
        node: NodeId,
        /// Refused from this instant of the state clock on.
        expires: Timestamp,
        /// Its node needs no approval after it has joined.
        approved: bool,
    },
    /// Enrols a node; proposed by the controller that received the join.
    EnrollNode {
        /// SHA-256 of the presented secret.
        token: Digest,
        /// The node.
        node: NodeId,
        /// SHA-256 of its certificate's SPKI.
        node_key: Digest,
        /// Verifies its refusal receipts.
        receipt_key: PublicKey,
        /// The operator's word on where it stands.
        tag: SignedTag,
    },
    /// Replaces a node's site tag before it expires.
    RenewTag {
        /// The node.
        node: NodeId,
        /// The new tag.
        tag: SignedTag,
    },
    /// An agent began to run. Everything of its last session that is not `live` is dead: it has swept its host.
    OpenSession {
        /// The node.
        node: NodeId,
        /// The new session.
        session: SessionId,
        /// The session in its ledger, if it has one: a copied host cannot know the newest.
        previous: Option<SessionId>,
        /// What it has.
        buckets: Vec<Bucket>,
        /// Placements that its ledger holds and whose processes live.
        live: Vec<PlacementId>,
        /// Jurisdiction table of its program.
        table: Digest,
        /// What its own checks found wrong.
        findings: Vec<Unfit>,
        /// The rack that it stands in, if it was told.
        rack: Option<Name>,
    },
    /// An agent tells how its placements fare.
    Report {
        /// The node.
        node: NodeId,
        /// Its session.
        session: SessionId,
        /// New phases.
        phases: Vec<(PlacementId, Phase)>,
    },
    /// An agent refused a grant.
    Refuse {
        /// The node.
        node: NodeId,
        /// Its signed word.
        receipt: Receipt,
    },
    /// A lease ended for certain: W has passed since its last renewal (P3).
    ExpireLease {
        /// The node.
        node: NodeId,
        /// The session that it belonged to; no effect if another is open.
        session: SessionId,
    },
    /// Cordons or uncordons a node.
    SetSchedulable {
        /// The node.
        node: NodeId,
        /// Whether new placements may come.
        schedulable: bool,
    },
    /// Takes a node out for good (P5).
    RevokeNode {
        /// The node.
        node: NodeId,
    },
    /// Creates or changes a tenant. What is kept of a new one is empty.
    PutTenant {
        /// Its id.
        tenant: TenantId,
        /// Name for people.
        display_name: Patch<String>,
        /// A policy that binds every job of it.
        policy: Patch<Option<PolicyId>>,
        /// The tenant that it is a part of.
        parent: Patch<Option<TenantId>>,
        /// Revision at which the caller read it; `None` = must not exist.
        expected: Option<Revision>,
    },
    /// Creates or changes a policy.
    PutPolicy {
        /// Its id.
        policy: PolicyId,
        /// Its rules.
        rules: Rules,
        /// Revision at which the caller read it; `None` = must not exist.
        expected: Option<Revision>,
    },
    /// Sets how many GPUs of a class a tenant may hold at once in an area.
    SetQuota {
        /// The tenant.
        tenant: TenantId,
        /// The class.
        class: DeviceClass,
        /// Where.
        area: Area,
        /// Its own, and what it borrows and lends.
        allotment: Allotment,
        /// Revision at which the caller read it; 0 = it was none.
        expected: Revision,
    },
    /// Queues a job.
    SubmitJob {
        /// Its facts. The payload is in the entry.
        facts: Box<JobFacts>,
    },
    /// Ends a job.
    CancelJob {
        /// Which.
        job: JobId,
    },
    /// Grants places to whole groups.
    CommitPlacement {
        /// Revision of the state that was planned on.
        basis: Revision,
        /// Applied in order; each sees the charges of those before it.
        groups: Vec<Group>,
        /// Who is called from now on ([`State::calls`](crate::State::calls)); `None` = as before.
        calls: Option<Vec<JobId>>,
    },
    /// Changes who takes part, as the operators agreed: a controller comes or goes, a company comes, goes or replaces its keys.
    ChangeBundle(Box<Agreement>),
    /// Gives a member its vote, or takes it.
    SetVoter {
        /// Which.
        member: MemberId,
        /// Whether it shall vote.
        voter: bool,
        /// With fewer than three operators: one of them may hold a quorum alone (R5).
        accept_quorum_in_one_hand: bool,
    },
    /// Says where a member is found from now on.
    SetMemberAddress {
        /// Which.
        member: MemberId,
        /// `host:port`.
        address: String,
    },
    /// Puts a feature level in force that every member's program knows.
    RaiseFeatureLevel {
        /// Above the one in force.
        level: u32,
    },
    /// The federation begins anew from a backup. In no log: each founder applies it before there is one.
    OpenIncarnation {
        /// Steps of the endorser bundle that the restored state has forgotten, in order.
        base: Vec<Agreement>,
        /// What was agreed: [`sekisho_evidence::terms::Terms::Open`].
        agreement: Box<Agreement>,
    },
    /// An agent that comes over still runs something to completion that the restored state may not know.
    Adopt {
        /// The node.
        node: NodeId,
        /// The grant, proven, and what its submitter signed.
        adoption: Box<Adoption>,
        /// The job's program runs; otherwise it is being started.
        running: bool,
    },
    /// Several commands of one caller: all take effect, or none. The payloads of its jobs are in the entry one after the other.
    Batch(Vec<Item>),
    /// Takes nothing new on a node and, from the deadline on, moves what is left; of one being drained, changes how.
    DrainNode {
        /// The node.
        node: NodeId,
        /// How long its jobs may go on, seconds of the state clock from this entry; `None` = as long as they take.
        within_s: Option<u64>,
        /// Why, for people.
        message: String,
    },
    /// Calls a drain off. What it has moved stays moved.
    UndrainNode {
        /// The node.
        node: NodeId,
        /// Leave the node cordoned.
        keep_cordoned: bool,
    },
    /// Lets a node that has joined take placements, because its operator has compared its key.
    ApproveNode {
        /// The node.
        node: NodeId,
        /// SHA-256 of the SPKI that was compared.
        node_key: Digest,
    },
    /// Takes the name of a node that is empty out of the federation, and its key for ever (P5).
    DecommissionNode {
        /// The node.
        node: NodeId,
    },
    /// An agent's own checks came out differently.
    ReportFitness {
        /// The node.
        node: NodeId,
        /// Its session.
        session: SessionId,
        /// What they find wrong now; none = fit.
        findings: Vec<Unfit>,
    },
    /// Moves what is left on a node whose drain is past its deadline. Proposed by the leader, judged by the state clock.
    EvictDrained {
        /// The node.
        node: NodeId,
        /// The entry that last said how it is drained; of another drain there is no effect.
        drain: Revision,
    },
    /// There are two hosts of one node, a member saw: nothing is granted to it and nobody renews its lease.
    QuarantineNode {
        /// The node.
        node: NodeId,
        /// What it saw: [`Twin::Instances`].
        why: Twin,
    },
    /// The node's operator says that one host of it is left.
    ReleaseNode {
        /// The node.
        node: NodeId,
    },
    /// Lets a landmark of one's own measure hosts.
    RegisterLandmark {
        /// Where it stands, and its key.
        landmark: Box<Landmark>,
        /// Of its exchange: `host:port`.
        address: String,
        /// Where it takes datagrams: `host:port`.
        datagrams: String,
    },
    /// Takes a landmark out. Every proof that rests on it is over.
    RemoveLandmark {
        /// Which.
        id: LandmarkId,
        /// Revision at which the caller read it.
        expected: Revision,
    },
    /// What landmarks measured of a node in one attempt.
    SubmitFix {
        /// The node.
        node: NodeId,
        /// Its session.
        session: SessionId,
        /// The attempt.
        fix: FixId,
        /// Signed by both sides, at most
        /// [`FIX_LANDMARKS_MAX`](sekisho_evidence::location::verdict::FIX_LANDMARKS_MAX).
        transcripts: Vec<SignedTranscript>,
    },
    /// Moves jobs that the rules in force no longer allow where they are: all of them, or none if one may stay by now.
    EvictDenied {
        /// At most [`EVICTIONS_MAX`](sekisho_types::limit::EVICTIONS_MAX); of one that does not go on there is no effect.
        jobs: Vec<JobId>,
    },
    /// Gives a site the key that payloads are sealed to from now on. Proposed by a member of the site's operator.
    /// It is of the next epoch, signed by the operator's site-tag key.
    PutSiteKey(Box<SignedSiteKey>),
    /// Replaces the payload of a queued job, in the entry, by one that is sealed to other sites or keys; nothing else of it.
    ResealJob {
        /// The job's facts, as they are from now on.
        facts: Box<JobFacts>,
    },
    /// What landmarks measured of one another.
    SubmitRange {
        /// Signed by both landmarks, at most [`RANGES_MAX`](sekisho_evidence::location::range::RANGES_MAX).
        transcripts: Vec<SignedTranscript>,
    },
    /// A member inside a job's area keeps what that job runs, which a host had found nowhere.
    FoundPayload(Digest),
    /// Audit heads that agents were shown. Proposed by the members that heard them.
    Countersign {
        /// At most [`COUNTERSIGNATURES_MAX`](crate::audit::COUNTERSIGNATURES_MAX).
        heads: Vec<Countersignature>,
    },
    /// How far a member's journal of denials goes, by its head. Proposed by that member.
    RecordJournal(JournalHead),
    /// Asks other operators to sign a command that takes two. Its request id names the approval; all sign this very command.
    Propose {
        /// What is asked for.
        joint: Box<Joint>,
        /// Not carried out from this instant of the state clock on.
        expires: Timestamp,
    },
    /// Signs an approval. With the last signature that it takes, the command is carried out in this entry.
    SignApproval {
        /// Which.
        id: ApprovalId,
        /// By the actor, under what its proposer signed.
        signature: CommandSignature,
    },
    /// Refuses an approval, or withdraws one's own.
    RefuseApproval {
        /// Which.
        id: ApprovalId,
        /// Why, for people; may be empty.
        reason: String,
    },
    /// Takes the emergency right: to stop and narrow beyond one's own borders, for a time.
    BreakGlass {
        /// Why, for people.
        reason: String,
        /// Over from this instant of the state clock on.
        until: Timestamp,
    },
    /// Ends a break-glass before its time.
    EndBreakGlass {
        /// The entry that opened it.
        opened: Revision,
    },
    /// Registers the key of a person who logged in, for half a day; by a member of the person's operator, or the person.
    Login(Box<Login>),
    /// Changes a site's name for people.
    UpdateSite {
        /// Which.
        site: SiteId,
        /// Name for people.
        display_name: String,
        /// Revision at which the caller read it.
        expected: Revision,
    },
    /// Takes out a policy that nothing refers to.
    DeletePolicy {
        /// Which.
        policy: PolicyId,
        /// Revision at which the caller read it.
        expected: Revision,
    },
    /// Takes out a tenant without open jobs, with its quotas.
    DeleteTenant {
        /// Which.
        tenant: TenantId,
        /// Revision at which the caller read it.
        expected: Revision,
    },
    /// Sets what a tenant may use over time.
    SetBudget {
        /// The tenant.
        tenant: TenantId,
        /// Its name.
        name: Name,
        /// What it is; `None` = it goes.
        budget: Option<BudgetSpec>,
        /// Revision at which the caller read it; 0 = there was none.
        expected: Revision,
    },
    /// Has a site hold a slice of a tenant's quota, or a smaller or larger one, or none.
    SetEscrow {
        /// The site.
        site: SiteId,
        /// The tenant.
        tenant: TenantId,
        /// The class.
        class: DeviceClass,
        /// All that the site holds from now on.
        gpus: u64,
        /// Revision at which the caller read it; 0 = it held none.
        expected: Revision,
    },
    /// Offers devices of a site, or changes an offer.
    PutOffer {
        /// The site.
        site: SiteId,
        /// Its name.
        name: Name,
        /// What it is.
        offer: Box<OfferSpec>,
        /// Revision at which the caller read it; `None` = must not exist.
        expected: Option<Revision>,
    },
    /// Withdraws an offer. What is charged to it goes on, or is moved, as the offer says.
    WithdrawOffer {
        /// The site.
        site: SiteId,
        /// Its name.
        name: Name,
        /// Revision at which the caller read it.
        expected: Revision,
    },
    /// An operator takes no work of a tenant, or not this job. What runs of it there is moved.
    Veto {
        /// Whose devices.
        operator: OperatorId,
        /// What it does not take.
        of: Vetoed,
        /// Why, for people.
        reason: String,
    },
    /// Takes a veto back.
    LiftVeto {
        /// Whose devices.
        operator: OperatorId,
        /// What it takes again.
        of: Vetoed,
    },
    /// Moves jobs for one that may; all of them, or none if one may stay by now. Proposed by the leader, judged in apply.
    Preempt(Box<Preempt>),
    /// Has a service run something else, or more or fewer of it, from now on. The payload is in the entry.
    ReplaceJob {
        /// Its facts from now on.
        facts: Box<JobFacts>,
    },
    /// Stops replicas that their services can do without; all of them, or none. Proposed by the leader, judged in apply.
    StopReplicas {
        /// At most [`EVICTIONS_MAX`](sekisho_types::limit::EVICTIONS_MAX).
        replicas: Vec<JobId>,
    },
    /// Reserves devices of a site for a tenant, or fewer of them than before.
    PutReservation(Box<PutReservation>),
    /// Takes a reservation out.
    DeleteReservation(Box<DeleteReservation>),
    /// Caps what the granted devices of a site may draw together, or lifts that.
    SetPowerCap {
        /// The site.
        site: SiteId,
        /// Watts; `None` = it is not capped.
        watts: Option<u64>,
        /// Revision at which the caller read the site.
        expected: Revision,
    },
}
