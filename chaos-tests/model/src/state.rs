//! One moment of the modelled world.
//!
//! Must hold: no field that cannot change what follows, because each one multiplies the states. Ages are in ticks and end
//! where more would change nothing.

/// Where something is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// On the host whose lease is modelled.
    Host,
    /// On another host, whose own lease is taken for good.
    Other,
}

/// A placement in applied state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Placed {
    pub(super) epoch: u8,
    pub(super) at: At,
    pub(super) stopping: bool,
}

/// A desired set of the host, with the revision of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Set {
    pub(super) revision: u8,
    pub(super) session: u8,
    /// The grant in it.
    pub(super) epoch: Option<u8>,
}

/// The host's lease in a leader's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) session: u8,
    /// Age of the receipt of the last counted renewal, or of the beginning.
    pub(super) since: u8,
    pub(super) expiring: bool,
}

/// A member that takes itself for the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lead {
    pub(super) term: u8,
    pub(super) lease: Option<Lease>,
}

/// What a leader made of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// It has not come to one yet.
    Out,
    /// No round has confirmed the leader since.
    Received {
        /// Who received it.
        by: u8,
        /// Since then.
        age: u8,
    },
    /// The leader acknowledges it.
    Counted,
    /// The leader takes the lease back.
    Expiring,
}

/// A renewal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Renewal {
    pub(super) session: u8,
    /// Since it was sent.
    pub(super) age: u8,
    pub(super) leader: Answer,
    /// A member of another operator acknowledged it.
    pub(super) witnessed: bool,
}

/// The agent's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// It runs.
    Up,
    /// SIGSTOP.
    Stopped,
    /// Gone.
    Dead,
}

/// How the agent's process stands to the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Seat {
    /// It has opened no session yet.
    None,
    /// Opened; no renewal of it has counted.
    Open,
    /// A renewal has counted.
    Leased,
    /// It is being taken back.
    Expiring,
}

/// The host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Host {
    pub(super) mode: Mode,
    pub(super) watchdog: bool,
    /// Nothing on it goes on, the job neither.
    pub(super) frozen: bool,
    /// In the ledger.
    pub(super) session: u8,
    pub(super) seat: Seat,
    /// Age of the last counted renewal, by its send time: the watchdog's deadline.
    pub(super) held: Option<u8>,
    /// In the ledger.
    pub(super) floor: u8,
    /// In the ledger: accepted and not started.
    pub(super) pending: Option<u8>,
    /// The job's process.
    pub(super) run: Option<u8>,
    /// Newest epoch that the host told to be dead.
    pub(super) given_up: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    // Applied state.
    pub(super) term: u8,
    pub(super) leader: u8,
    pub(super) session: u8,
    pub(super) expired: bool,
    pub(super) revision: u8,
    pub(super) placed: Option<Placed>,
    pub(super) sets: Vec<Set>,
    /// Since the host was revoked, or put into quarantine.
    pub(super) revoked: Option<u8>,
    /// It was in quarantine.
    pub(super) released: bool,
    /// A grant to the host came after that.
    pub(super) granted_revoked: bool,
    // Members.
    pub(super) leads: [Option<Lead>; 2],
    // On the way.
    pub(super) renewals: Vec<Renewal>,
    // Hosts.
    pub(super) host: Host,
    /// What runs on the other host.
    pub(super) other: Option<u8>,
}

impl State {
    /// The host's first session is open, and nothing was granted.
    pub(super) fn new() -> Self {
        let lease = Lease { session: 1, since: 0, expiring: false };
        let host = Host {
            mode: Mode::Up,
            watchdog: true,
            frozen: false,
            session: 1,
            seat: Seat::Open,
            held: None,
            floor: 0,
            pending: None,
            run: None,
            given_up: 0,
        };
        Self {
            term: 1,
            leader: 0,
            session: 1,
            expired: false,
            revision: 0,
            placed: None,
            sets: Vec::new(),
            revoked: None,
            released: false,
            granted_revoked: false,
            leads: [Some(Lead { term: 1, lease: Some(lease) }), None],
            renewals: Vec::new(),
            host,
            other: None,
        }
    }

    /// What is executing on the host.
    pub(super) fn live(&self) -> Option<u8> {
        self.host.run.filter(|_| !self.host.frozen)
    }

    pub(super) fn lead(&self, member: u8) -> Option<Lead> {
        self.leads.get(usize::from(member)).copied().flatten()
    }

    pub(super) fn lead_mut(&mut self, member: u8) -> Option<&mut Lead> {
        self.leads.get_mut(usize::from(member)).and_then(Option::as_mut)
    }

    /// Whether the member leads in the newest term.
    pub(super) fn leads(&self, member: u8) -> bool {
        self.leader == member && self.lead(member).is_some_and(|lead| lead.term == self.term)
    }

    /// Whether the host has a session that may be renewed and granted to.
    pub(super) fn is_open(&self) -> bool {
        !self.expired && self.revoked.is_none()
    }

    /// What is placed on the host.
    pub(super) fn placed_here(&self) -> Option<Placed> {
        self.placed.filter(|placed| placed.at == At::Host)
    }

    /// What was placed on the host is free.
    pub(super) fn free_host(&mut self) {
        if self.placed_here().is_some() {
            self.placed = None;
        }
    }
}
