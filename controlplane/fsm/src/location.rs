//! Where nodes are proven to be, as the state keeps it: landmarks, and the last fix of each node (ADR 13).
//!
//! Must hold: transcripts lie apart from the nodes' rows, because a row is hashed at each change of a node; what a node's
//! row says of its proof is what the kept fix says.

use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::location::fix::Fix;
use sekisho_evidence::location::landmark::{Landmark, LandmarkError, LandmarkId, LandmarkTable};
use sekisho_evidence::location::verdict::Proof;
use sekisho_types::id::Digest;
use sekisho_types::residency::PlaceProof;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a landmark is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Of its exchange, by TLS: `host:port`.
    pub address: String,
    /// Where it takes datagrams: `host:port`.
    pub datagrams: String,
    /// The entry that registered it.
    pub revision: Revision,
}

/// The landmarks of the federation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Landmarks {
    table: LandmarkTable,
    reaches: BTreeMap<LandmarkId, Reach>,
    /// Computed once: it is in every grant. `None` before the first landmark.
    basis: Option<Digest>,
}

/// Why a landmark is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It makes no table with the others.
    #[error(transparent)]
    Table(#[from] LandmarkError),
    /// Never for this type.
    #[error(transparent)]
    Form(#[from] CanonicalError),
}

impl Landmarks {
    /// What proofs are judged by.
    #[must_use]
    pub fn table(&self) -> &LandmarkTable {
        &self.table
    }

    /// What a grant says of it: [`LandmarkTable::basis`]; zeros while no landmark was ever registered.
    #[must_use]
    pub fn basis(&self) -> Digest {
        self.basis.unwrap_or(Digest([0; 32]))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &LandmarkId) -> Option<(&Landmark, &Reach)> {
        Some((self.table.get(id)?, self.reaches.get(id)?))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&LandmarkId, (&Landmark, &Reach))> {
        self.reaches.iter().filter_map(|(id, reach)| Some((id, (self.table.get(id)?, reach))))
    }

    pub(crate) fn with(&self, landmark: Landmark, reach: Reach) -> Result<Self, RegisterError> {
        let id = landmark.id.clone();
        let table = self.table.with(landmark)?;
        let mut reaches = self.reaches.clone();
        reaches.insert(id, reach);
        Ok(Self { basis: Some(table.basis()?), table, reaches })
    }

    pub(crate) fn without(
        &self,
        gone: impl Fn(&LandmarkId) -> bool,
    ) -> Result<Self, CanonicalError> {
        let table = self.table.without(&gone);
        let mut reaches = self.reaches.clone();
        reaches.retain(|id, _| !gone(id));
        Ok(Self { basis: Some(table.basis()?), table, reaches })
    }
}

/// A landmark that was taken out: landmarks of more operators stand against it than may lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convicted {
    /// As it was registered.
    pub landmark: Landmark,
    /// How it was reached.
    pub reach: Reach,
    /// When, on the state clock.
    pub at: Timestamp,
    /// The entry that did it.
    pub revision: Revision,
}

/// The last fix of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFix {
    /// What was submitted, as far as it counts, and its verdict.
    pub fix: Fix,
    /// The entry that submitted it.
    pub revision: Revision,
}

impl KeptFix {
    /// Whether it rests on a landmark.
    #[must_use]
    pub fn rests_on(&self, landmark: &LandmarkId) -> bool {
        self.fix.transcripts.iter().any(|signed| signed.transcript.landmark == *landmark)
    }
}

/// What a node's row says of its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProof {
    /// How good it is.
    pub proof: PlaceProof,
    /// Over from this instant of the state clock on.
    pub expires: Timestamp,
}

impl NodeProof {
    /// Whether it bears all that `other` does, of whatever age both are.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        let (own, its) = (&self.proof, &other.proof);
        own.f >= its.f && (its.prefecture.is_none() || own.prefecture == its.prefecture)
    }
}

impl From<&Proof> for NodeProof {
    fn from(proof: &Proof) -> Self {
        Self { proof: PlaceProof::from(proof), expires: proof.expires }
    }
}
