//! What a run is to be like, apart from its seed.

/// A defect that is put in on purpose, to see that the simulation finds it. Each is in the simulated surroundings,
/// none in the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The disk says that log entries are durable before they are.
    AckBeforeSync,
    /// The network raises the commit position in what leaders send, so that followers apply before a majority has it.
    ApplyBeforeCommit,
    /// Clients are answered by whoever believes to lead, from its own state.
    StaleReads,
    /// Restarted leaders go on without an election (openraft's default).
    LeaderRestore,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::AckBeforeSync, Self::ApplyBeforeCommit, Self::StaleReads, Self::LeaderRestore];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeSync => "ack-before-sync",
            Self::ApplyBeforeCommit => "apply-before-commit",
            Self::StaleReads => "stale-reads",
            Self::LeaderRestore => "leader-restore",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name)
    }
}

/// What a run is to be like, apart from its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Members, 3 or 5; by seed if not given.
    pub members: Option<u64>,
    /// A defect to put in.
    pub bug: Option<Bug>,
    /// Keep the whole trace in the report, and not only its end.
    pub whole_trace: bool,
}
