//! The kinds of trouble that the drill makes, and to whom.
//!
//! Must hold: at one time at most one fault at each of at most two hosts and one at the members; of a placement's guards
//! (its init, the watchdog, the agent) one that acts is left, or the host stands still as a whole, its jobs too.

use super::clock::faketime;
use super::fleet::Fleet;
use super::freezer::Freezer;

/// One kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9 of the agent; it is started again.
    KillAgent,
    /// The same, of an agent that comes back only after its lease.
    LoseAgent,
    /// kill -9 of the watchdog.
    KillWatchdog,
    /// kill -9 of the outer shim of one placement.
    KillOuter,
    /// kill -9 of the init of one placement.
    KillInit,
    /// kill -9 of one process of a job.
    KillJob,
    /// Several of these, in an order and at distances by chance.
    KillSeveral,
    /// The agent stands still for less than its lease.
    PauseAgent,
    /// The agent stands still for longer.
    StopAgent,
    /// Agent and watchdog stand still for longer.
    StopBoth,
    /// The watchdog stands still, and the agent is killed and stays away.
    StopWatchdog,
    /// An init stands still, and so does the agent, for longer than the lease: the watchdog is left.
    StopInit,
    /// All processes of a host stand still for less than the lease.
    PauseHost,
    /// The same for longer.
    StopHost,
    /// All processes of a host are frozen by a cgroup for longer than the lease.
    FreezeHost,
    /// All processes of a host are killed at once, its files stay; it comes back after a while.
    Reboot,
    /// A job cannot be killed for a while: it stands in a frozen group, and its init is killed.
    Unkillable,
    /// The agent's wall clock steps and comes back.
    StepAgent,
    /// The disk of the agent is full for a while.
    FillDisk,
    /// The ledger is damaged while the agent is down, and is put back.
    DamageLedger,
    /// kill -9 of the leader.
    KillLeader,
    /// The leader stands still.
    StopLeader,
    /// Another member is asked to lead.
    Transfer,
    /// The leader is cut off from the others, and agents reach all.
    CutLeader,
    /// The leader hears and says nothing, and agents reach all.
    HushLeader,
    /// Agents reach the leader only, and it is cut off from the others.
    OldLeaderOnly,
    /// All but the leader stand still.
    StopOthers,
    /// What one member answers to agents and people does not arrive.
    LoseAnswers,
    /// One member's wall clock steps and comes back: to the past, or a little to the future.
    StepMember,
    /// The leader's wall clock is an hour ahead for some seconds. Known not to heal within the hour: the state's clock follows
    /// it by ten seconds an entry, and nobody signs a checkpoint that is ahead of its own clock. So only when asked for.
    LeapLeader,
    /// One member's clocks run as wrong as the arithmetic allows.
    DriftMember,
}

/// Whom it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One host.
    Host,
    /// The members.
    Members,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 31] = [
        Self::KillAgent,
        Self::LoseAgent,
        Self::KillWatchdog,
        Self::KillOuter,
        Self::KillInit,
        Self::KillJob,
        Self::KillSeveral,
        Self::PauseAgent,
        Self::StopAgent,
        Self::StopBoth,
        Self::StopWatchdog,
        Self::StopInit,
        Self::PauseHost,
        Self::StopHost,
        Self::FreezeHost,
        Self::Reboot,
        Self::Unkillable,
        Self::StepAgent,
        Self::FillDisk,
        Self::DamageLedger,
        Self::KillLeader,
        Self::StopLeader,
        Self::Transfer,
        Self::CutLeader,
        Self::HushLeader,
        Self::OldLeaderOnly,
        Self::StopOthers,
        Self::LoseAnswers,
        Self::StepMember,
        Self::LeapLeader,
        Self::DriftMember,
    ];

    /// Whom it meets.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::KillAgent
            | Self::LoseAgent
            | Self::KillWatchdog
            | Self::KillOuter
            | Self::KillInit
            | Self::KillJob
            | Self::KillSeveral
            | Self::PauseAgent
            | Self::StopAgent
            | Self::StopBoth
            | Self::StopWatchdog
            | Self::StopInit
            | Self::PauseHost
            | Self::StopHost
            | Self::FreezeHost
            | Self::Reboot
            | Self::Unkillable
            | Self::StepAgent
            | Self::FillDisk
            | Self::DamageLedger => Target::Host,
            Self::KillLeader
            | Self::StopLeader
            | Self::Transfer
            | Self::CutLeader
            | Self::HushLeader
            | Self::OldLeaderOnly
            | Self::StopOthers
            | Self::LoseAnswers
            | Self::StepMember
            | Self::LeapLeader
            | Self::DriftMember => Target::Members,
        }
    }

    /// Why this machine cannot do it, if so.
    #[must_use]
    pub fn missing(self, fleet: &Fleet) -> Option<&'static str> {
        match self {
            Self::FreezeHost => Freezer::possible().err(),
            Self::Unkillable => Freezer::keeps_alive().err(),
            Self::StepAgent | Self::StepMember | Self::LeapLeader => {
                faketime().is_none().then_some("libfaketime is not installed")
            }
            Self::FillDisk => {
                let without = (0..fleet.hosts.len()).any(|host| fleet.disk(host).is_none());
                without.then_some("this user may not mount")
            }
            Self::KillAgent
            | Self::LoseAgent
            | Self::KillWatchdog
            | Self::KillOuter
            | Self::KillInit
            | Self::KillJob
            | Self::KillSeveral
            | Self::PauseAgent
            | Self::StopAgent
            | Self::StopBoth
            | Self::StopWatchdog
            | Self::StopInit
            | Self::PauseHost
            | Self::StopHost
            | Self::Reboot
            | Self::DamageLedger
            | Self::KillLeader
            | Self::StopLeader
            | Self::Transfer
            | Self::CutLeader
            | Self::HushLeader
            | Self::OldLeaderOnly
            | Self::StopOthers
            | Self::LoseAnswers
            | Self::DriftMember => None,
        }
    }
}
