//! Puts the duties together.

use crate::checkpoint::{HeadStore, HeadStoreError, Signatures, Signer, SignerStatus};
use crate::drain::DrainDuty;
use crate::driver::{Duty, drive};
use crate::eviction::EvictionDuty;
use crate::lease::keyless::KeylessDuty;
use crate::lease::{LeaseDuty, Leases};
use crate::level::LevelDuty;
use crate::membership::MembershipDuty;
use crate::placement::Placement;
use crate::replica::Replica;
use crate::stamp::Stamp;
use crate::status::{DutyHealth, DutyStatus};
use crate::tick::Tick;
use sekisho_evidence::key::SigningKey;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::principal::MemberIdentity;
use sekisho_types::time::Clock;
use std::sync::Arc;

/// What a member brings.
pub struct Options {
    /// Which member it is.
    pub identity: MemberIdentity,
    /// Its checkpoint key, if it has one.
    pub checkpoint_key: Option<SigningKey>,
    /// Where the last signed head is kept.
    pub heads: Arc<dyn HeadStore>,
    /// Its own clocks: what it vouches for, and leases.
    pub clock: Arc<dyn Clock>,
    /// The wall clock that the members agree on: what its entries are stamped with.
    pub agreed: Arc<dyn Clock>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The running duties of a member.
#[derive(Debug)]
pub struct Controllers<R> {
    /// Leases of agents, for the service that receives renewals.
    pub leases: Leases<R>,
    /// This member's checkpoint signatures, for the service that hands them to agents.
    pub signatures: Signatures,
    duties: Vec<DutyHealth>,
}

/// How the duties and the signer fare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllersStatus {
    /// Each duty.
    pub duties: Vec<DutyStatus>,
    /// The signer.
    pub signer: SignerStatus,
}

impl<R: Replica> Controllers<R> {
    /// Starts every duty and the signer in `tasks`. A duty that panics ends the group: leases that nobody watches
    /// would look like a calm federation.
    ///
    /// # Errors
    /// The last signed head cannot be read.
    pub fn start(replica: R, options: Options, tasks: &TaskGroup) -> Result<Self, HeadStoreError> {
        let Options { identity, checkpoint_key, heads, clock, agreed } = options;
        let stamp = Stamp::new(&identity, agreed);
        let (member, key) = (identity.member, checkpoint_key.clone());
        let leases = Leases::new(replica.clone(), Arc::clone(&clock), member, key);
        let signer = Signer::open(identity, checkpoint_key, heads, Arc::clone(&clock))?;
        let signatures = signer.signatures();
        tasks.spawn(TaskKind::Critical, "checkpoint-signer", signer.run(replica.clone()));
        tasks.spawn(TaskKind::Critical, "lease-confirmation", leases.clone().confirm_rounds());
        let acknowledging = leases.clone().sign_acknowledgements();
        tasks.spawn(TaskKind::Critical, "lease-acknowledgements", acknowledging);
        let duties = vec![
            spawn(&replica, Tick::new(replica.clone(), stamp.clone()), &clock, tasks),
            spawn(&replica, LeaseDuty::new(leases.clone(), stamp.clone()), &clock, tasks),
            spawn(&replica, KeylessDuty::new(leases.clone()), &clock, tasks),
            spawn(&replica, Placement::new(replica.clone(), stamp.clone()), &clock, tasks),
            spawn(&replica, DrainDuty::new(replica.clone(), stamp.clone()), &clock, tasks),
            spawn(&replica, EvictionDuty::new(replica.clone(), stamp.clone()), &clock, tasks),
            spawn(&replica, LevelDuty::new(replica.clone(), stamp), &clock, tasks),
            spawn(&replica, MembershipDuty::new(replica.clone()), &clock, tasks),
        ];
        Ok(Self { leases, signatures, duties })
    }

    /// For `sekisho status`.
    #[must_use]
    pub fn status(&self) -> ControllersStatus {
        let duties = self.duties.iter().map(DutyHealth::get).collect();
        ControllersStatus { duties, signer: self.signatures.status() }
    }
}

fn spawn<R: Replica, D: Duty + 'static>(
    replica: &R,
    duty: D,
    clock: &Arc<dyn Clock>,
    tasks: &TaskGroup,
) -> DutyHealth {
    let health = DutyHealth::new(D::NAME);
    let driven = drive(replica.clone(), duty, health.clone(), Arc::clone(clock));
    tasks.spawn(TaskKind::Critical, D::NAME, driven);
    health
}
