//! Where this host is proven to be, by what it holds itself (D4): its own signed transcripts, and the table of landmarks
//! that k operators' checkpoint names in each grant.
//!
//! Must hold: who hands a table or transcripts over is not believed. A table counts for the grants that name its hash
//! alone; transcripts are judged by the function that apply uses, and count only if they are of this start of the agent.
//! Nothing here is asked where no rule wants a proof.

use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::location::fix::{Fix, Host, judge};
use sekisho_evidence::location::landmark::LandmarkTable;
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey};
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::PlaceProof;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use std::sync::Arc;

/// One attempt of this start of the agent, with all its transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFix {
    /// Which attempt.
    pub fix: FixId,
    /// Signed by landmark and agent.
    pub transcripts: Vec<SignedTranscript>,
}

/// Landmarks, and the hash by which grants name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTable {
    table: Arc<LandmarkTable>,
    basis: Digest,
}

impl KnownTable {
    /// A table that somebody gave.
    ///
    /// # Errors
    /// Never for this type.
    pub fn new(table: LandmarkTable) -> Result<Self, CanonicalError> {
        Ok(Self { basis: table.basis()?, table: Arc::new(table) })
    }

    /// The hash in grants.
    #[must_use]
    pub fn basis(&self) -> &Digest {
        &self.basis
    }

    /// The landmarks.
    #[must_use]
    pub fn table(&self) -> &LandmarkTable {
        &self.table
    }
}

/// Whose location it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'w> {
    pub(crate) cluster: &'w ClusterId,
    pub(crate) incarnation: Incarnation,
    pub(crate) node: &'w NodeId,
    pub(crate) node_key: &'w Digest,
    pub(crate) area: Option<Area>,
}

/// What this start of the agent holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    instance: Instance,
    receipt_key: PublicKey,
    table: Option<KnownTable>,
    fix: Option<OwnFix>,
}

/// Why a grant that wants a proof has none here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The grant names landmarks that this agent does not know.
    #[error("the grant was judged by landmarks {0}, which this agent does not hold")]
    Table(Digest),
    /// Nothing was measured by this start of the agent.
    #[error("this agent holds no fix of its own")]
    NoFix,
    /// What was measured proves nothing now.
    #[error("this agent's own fix proves nothing: {0}")]
    Fix(String),
}

impl Location {
    /// Nothing yet, of this start of the agent, which signs with that key.
    #[must_use]
    pub fn new(instance: Instance, receipt_key: PublicKey) -> Self {
        Self { instance, receipt_key, table: None, fix: None }
    }

    /// A newer table. One that no grant names is of no use, and of no harm.
    pub fn know(&mut self, table: KnownTable) {
        self.table = Some(table);
    }

    /// A newer fix.
    pub fn measured(&mut self, fix: OwnFix) {
        self.fix = Some(fix);
    }

    /// The newest fix.
    #[must_use]
    pub fn fix(&self) -> Option<&OwnFix> {
        self.fix.as_ref()
    }

    /// Whether it holds the landmarks that a grant names.
    #[must_use]
    pub fn knows(&self, landmarks: &Digest) -> bool {
        self.table.as_ref().is_some_and(|known| known.basis == *landmarks)
    }

    /// What proves this host now, by the landmarks that a grant names.
    pub(crate) fn proof(
        &self,
        whose: Whose<'_>,
        landmarks: &Digest,
        now: Timestamp,
    ) -> Result<PlaceProof, Unproven> {
        let known = self.table.as_ref().filter(|known| known.basis == *landmarks);
        let known = known.ok_or(Unproven::Table(*landmarks))?;
        let own = self.fix.as_ref().ok_or(Unproven::NoFix)?;
        let host = Host {
            cluster: whose.cluster,
            incarnation: whose.incarnation,
            landmarks: &known.table,
            node: whose.node,
            node_key: whose.node_key,
            receipt_key: &self.receipt_key,
            area: whose.area,
        };
        let of_this_start =
            own.transcripts.iter().filter(|signed| signed.transcript.instance == self.instance);
        let of_this_start: Vec<SignedTranscript> = of_this_start.cloned().collect();
        let fix = judge(host, own.fix, &of_this_start, now);
        let fix: Fix = fix.map_err(|error| Unproven::Fix(error.to_string()))?;
        let proof = fix.proof(now).ok_or_else(|| {
            let code = fix.verdict.code();
            Unproven::Fix(code.map_or("it is over", |code| code.as_str()).to_owned())
        })?;
        Ok(PlaceProof::from(proof))
    }
}
