//! Rows about the audit log itself: what agents countersigned of it, and how far members' journals of denials go.

use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::journal::JournalHead;
use sekisho_evidence::merkle::Head;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Countersignatures in one entry: 256 of at most 320 bytes are 80 KiB, a third of what an entry may have, and 15 ms of
/// verifying on each replica.
pub const COUNTERSIGNATURES_MAX: usize = 256;

/// The newest head that an agent countersigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersigned {
    /// What it saw.
    pub head: Head,
    /// The entry after which that checkpoint was taken.
    pub seen: Revision,
    /// When it was recorded, on the state clock.
    pub at: Timestamp,
}

/// An agent says that it saw a head which this log never had. The first word of each node is kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradicted {
    /// What it signed.
    pub countersignature: Countersignature,
    /// The log when that was recorded, before the record of it.
    pub ours: Head,
    /// The entry that recorded it.
    pub revision: Revision,
    /// When, on the state clock.
    pub at: Timestamp,
}

/// How far a member's journal of denials goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedJournal {
    /// Its head.
    pub head: JournalHead,
    /// The entry that recorded it.
    pub revision: Revision,
    /// When, on the state clock.
    pub at: Timestamp,
}
