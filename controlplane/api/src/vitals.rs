//! What a member knows of itself that applied state cannot say: its certificate, its disk, its load, its traffic.

use sekisho_types::time::Timestamp;
use std::fmt;

/// The file system that holds a member's log and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
}

/// Proposals in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Units in flight.
    pub in_flight: u32,
    /// Units that may be.
    pub bound: u32,
    /// Whether something was refused for it in the last minute.
    pub shed_lately: bool,
}

impl Load {
    /// The part in use, percent; 0 while nobody looked.
    #[must_use]
    pub fn percent(self) -> u32 {
        self.in_flight.saturating_mul(100).checked_div(self.bound).unwrap_or(0)
    }
}

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vitals {
    /// End of its certificate.
    pub certificate_ends: Option<Timestamp>,
    /// Its disk; `None` while it could not be asked.
    pub disk: Option<Disk>,
    /// Users' proposals.
    pub ordinary: Load,
    /// Leases, ticks and other internal proposals.
    pub internal: Load,
    /// Bytes that it sent to dialled peers that were no members in its state. Reads 0 (D3).
    pub unproven_bytes: u64,
}

/// Where a member's vitals are looked up; must not block.
pub trait VitalsSource: Send + Sync + fmt::Debug {
    /// The newest look.
    fn vitals(&self) -> Vitals;
}
