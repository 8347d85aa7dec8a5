//! A node of which there are two: what was seen of it, in the state and in the log.
//!
//! Must hold: P1. While a node is in quarantine nothing is granted to it, nobody renews its lease, and no session of it
//! opens; only its operator's word or its revocation ends that. How the evidence is judged stands in
//! `apply/quarantine.rs`.

use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// By what a second host showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Twin {
    /// Somebody with the node's key wanted a session and named another one before it than the open one, whose lease was
    /// live: a copied host, or one that was set back.
    Sessions {
        /// Open at that time.
        open: SessionId,
        /// Wanted.
        wanted: SessionId,
        /// Named as the one before.
        named: SessionId,
    },
    /// Two starts of an agent used one session.
    Instances {
        /// The session.
        session: SessionId,
        /// The one that was there first.
        first: Instance,
        /// The one that came.
        second: Instance,
    },
}

/// A node's quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Why.
    pub why: Twin,
    /// The entry that began it.
    pub revision: Revision,
    /// When, on the state clock.
    pub since: Timestamp,
}

impl Twin {
    /// The session whose lease is not renewed any more.
    #[must_use]
    pub fn session(&self) -> SessionId {
        match self {
            Self::Sessions { open, .. } => *open,
            Self::Instances { session, .. } => *session,
        }
    }
}
