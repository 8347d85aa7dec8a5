//! What every service shares.

use crate::clock::FederationClock;
use crate::contact::Told;
use crate::countersign::Countersignatures;
use crate::diary::Diary;
use crate::duty::{LeaseRenewals, SignedHeads};
use crate::exchange::Links;
use crate::gate::Gate;
use crate::holding::{Holding, Index};
use crate::issuer::Issuer;
use crate::journal::Journal;
use crate::limit::CARRIED_IN_FLIGHT;
use crate::login::Logins;
use crate::notes::Notes;
use crate::peers::PeerTable;
use crate::replica::{Archive, Replica};
use crate::session::Sessions;
use crate::vitals::VitalsSource;
use crate::witness::Witness;
use parking_lot::Mutex;
use sekisho_fsm::State;
use sekisho_fsm::state::Federation;
use sekisho_proto::status::ApiError;
use sekisho_scheduler::Explainer;
use sekisho_transport::dial::Dialer;
use sekisho_transport::task::TaskGroup;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::MemberIdentity;
use sekisho_types::time::Clock;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the composition root provides.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Consensus.
    pub replica: Arc<dyn Replica>,
    /// Audit records and payloads.
    pub archive: Arc<dyn Archive>,
    /// Payloads that stay in their job's area.
    pub holding: Arc<dyn Holding>,
    /// What this member writes down by itself.
    pub diary: Arc<dyn Diary>,
    /// Leases.
    pub leases: Arc<dyn LeaseRenewals>,
    /// Signed checkpoints.
    pub heads: Arc<dyn SignedHeads>,
    /// The operator's issuer.
    pub issuer: Arc<dyn Issuer>,
    /// Who lets people in; `None` at a member that takes no logins.
    pub logins: Option<Arc<dyn Logins>>,
    /// What it knows of itself.
    pub vitals: Arc<dyn VitalsSource>,
    /// Time, and what the members agree that it is.
    pub clock: Arc<FederationClock>,
    /// Dials other members.
    pub dialer: Dialer,
    /// Where tasks live.
    pub tasks: TaskGroup,
}

/// Shared by every service of one member.
#[derive(Debug)]
pub struct Core {
    pub(crate) identity: MemberIdentity,
    pub(crate) replica: Arc<dyn Replica>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) holding: Arc<dyn Holding>,
    /// What is kept of them. Held over a write, so that no two count the same room.
    pub(crate) held: tokio::sync::Mutex<Index>,
    pub(crate) diary: Arc<dyn Diary>,
    pub(crate) leases: Arc<dyn LeaseRenewals>,
    pub(crate) heads: Arc<dyn SignedHeads>,
    pub(crate) issuer: Arc<dyn Issuer>,
    pub(crate) logins: Option<Arc<dyn Logins>>,
    pub(crate) vitals: Arc<dyn VitalsSource>,
    /// This member's own time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What entries are stamped with.
    pub(crate) agreed: Arc<FederationClock>,
    /// When it was put together, on `CLOCK_BOOTTIME`, nanoseconds.
    pub(crate) started_ns: u64,
    pub(crate) tasks: TaskGroup,
    pub(crate) links: Links,
    pub(crate) peers: PeerTable,
    pub(crate) notes: Notes,
    /// Agents' countersignatures that wait for the log.
    pub(crate) countersignatures: Countersignatures,
    /// What others signed, beside the own log.
    pub(crate) witness: Witness,
    /// Denials that are not written down yet.
    pub(crate) journal: Arc<Journal>,
    pub(crate) sessions: Sessions,
    /// What a leader told of its leases.
    pub(crate) told: Mutex<Option<Told>>,
    /// Room for renewals that are carried to the leader.
    pub(crate) carrying: Arc<Semaphore>,
    /// Where agents come in.
    pub(crate) gate: Arc<Gate>,
    /// Answers one question at a time.
    pub(crate) explainer: Arc<Mutex<Explainer>>,
}

impl Core {
    /// Puts the parts together; starts nothing.
    #[must_use]
    pub fn new(identity: MemberIdentity, ports: Ports) -> Arc<Self> {
        Arc::new(Self {
            identity,
            replica: ports.replica,
            archive: ports.archive,
            holding: ports.holding,
            held: tokio::sync::Mutex::default(),
            diary: ports.diary,
            leases: ports.leases,
            heads: ports.heads,
            issuer: ports.issuer,
            logins: ports.logins,
            vitals: ports.vitals,
            started_ns: ports.clock.boottime_ns(),
            clock: Arc::clone(ports.clock.own()),
            agreed: ports.clock,
            tasks: ports.tasks,
            links: Links::new(ports.dialer),
            peers: PeerTable::default(),
            notes: Notes::default(),
            countersignatures: Countersignatures::default(),
            witness: Witness::default(),
            journal: Arc::default(),
            sessions: Sessions::default(),
            told: Mutex::default(),
            carrying: Arc::new(Semaphore::new(CARRIED_IN_FLIGHT)),
            gate: Arc::default(),
            explainer: Arc::default(),
        })
    }
}

impl Core {
    /// The newest checkpoint that k operators signed: the records under it, and the signed note.
    #[must_use]
    pub fn newest_note(&self) -> Option<(u64, Vec<u8>)> {
        self.notes.newest().map(|note| (note.checkpoint.head.size, note.bytes.clone()))
    }
}

/// The federation of a state.
///
/// # Errors
/// `NO_LEADER` before its first entry: nobody can be known yet.
pub(crate) fn federation(state: &State) -> Result<&Federation, ApiError> {
    let none = || ApiError::new(ErrorCode::NoLeader, "the federation has not begun");
    state.federation().ok_or_else(none)
}
