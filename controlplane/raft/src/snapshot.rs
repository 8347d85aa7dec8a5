//! Snapshots: what they hold, saving, loading, and which one counts.
//!
//! A snapshot is the canonical state and the payloads that it refers to; its meta says whose it is and where in the
//! log it ends. Must hold: of two snapshots the one further in the log counts, whatever the order of saving; nothing
//! is covered (`Covered`) before it is durable; a snapshot of another cluster or incarnation is refused before
//! anything of it is used (R6).

use crate::codec::{CodecError, decode, encode};
use crate::disk::DataDisk;
use crate::error::LevelError;
use crate::log_store::Covered;
use crate::type_config::{LogId, SnapshotMeta, StoredMembership, index};
use bytes::Bytes;
use parking_lot::Mutex;
use sekisho_evidence::snapshot_file::LastLog;
use sekisho_fsm::State;
use sekisho_fsm::image::{self, ImageError};
use sekisho_fsm::snapshot::SnapshotError as StateError;
use sekisho_store::{Member, StoreError};
use sekisho_types::id::{ClusterId, Digest, MemberId};
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why a snapshot is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SnapshotError {
    /// Its meta or body is of a format that this program does not know, or not what that format says.
    #[error("snapshot is malformed: {0}")]
    Malformed(String),
    /// It is of another federation or of another life of this one.
    #[error("snapshot belongs to another cluster or incarnation")]
    OtherCluster,
    /// The state in it cannot be read.
    #[error("snapshot holds no state")]
    State(#[from] StateError),
    /// A payload in it is not what its digest says.
    #[error("payload {0} of the snapshot is damaged")]
    Payload(Digest),
    /// It is of newer programs than this one.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// A newer one has taken its place.
    #[error("the snapshot was replaced by a newer one")]
    Superseded,
    /// The disk failed.
    #[error("store failed")]
    Store(#[from] StoreError),
}

impl From<CodecError> for SnapshotError {
    fn from(error: CodecError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<ImageError> for SnapshotError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Malformed(why) => Self::Malformed(why),
            ImageError::State(error) => Self::State(error),
            ImageError::Payload(digest) => Self::Payload(digest),
        }
    }
}

/// Whose snapshots, logs and frames these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Digest of the first endorser bundle of that life: [`sekisho_evidence::package::begun`].
    pub begun: Digest,
}

impl Origin {
    /// A member of it, as the data directory knows it.
    #[must_use]
    pub fn owner(&self, member: MemberId) -> Member {
        Member {
            cluster_id: self.cluster.0,
            incarnation: self.incarnation.0,
            begun: self.begun.0,
            member_id: member.0,
        }
    }
}

/// What openraft passes around for a snapshot: no bytes until somebody needs them.
#[derive(Debug, Clone)]
pub(crate) enum SnapshotData {
    /// Saved on this member.
    Saved { shelf: Arc<Shelf>, number: u64 },
    /// Received, its checksum verified.
    Received(Bytes),
}

impl SnapshotData {
    /// The bytes, verified. Blocks.
    pub(crate) fn load(&self) -> Result<Bytes, SnapshotError> {
        match self {
            Self::Saved { shelf, number } => shelf.load(*number),
            Self::Received(data) => Ok(data.clone()),
        }
    }
}

/// Description of a snapshot, stored and sent beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) origin: Origin,
    pub(crate) last_log_id: Option<LogId>,
    pub(crate) membership: StoredMembership,
}

impl Meta {
    pub(crate) fn new(origin: Origin, meta: &SnapshotMeta) -> Self {
        Self { origin, last_log_id: meta.last_log_id, membership: meta.last_membership.clone() }
    }

    pub(crate) fn engine(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.last_log_id, last_membership: self.membership.clone() }
    }

    /// Reads a meta of `origin`.
    pub(crate) fn open(bytes: &[u8], origin: Origin) -> Result<Self, SnapshotError> {
        let meta: Self = decode(bytes)?;
        if meta.origin == origin { Ok(meta) } else { Err(SnapshotError::OtherCluster) }
    }
}

/// What a snapshot of this member holds.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) state: State,
    pub(crate) payloads: Vec<(Digest, Vec<u8>)>,
}

impl Image {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, SnapshotError> {
        image::Image::encode(&self.state, &self.payloads)
            .map_err(|error| SnapshotError::Malformed(error.to_string()))
    }

    /// Reads a body of `origin`.
    pub(crate) fn decode(bytes: &[u8], origin: Origin) -> Result<Self, SnapshotError> {
        let image::Image { state, payloads } = image::Image::decode(bytes)?;
        let of_here = |f: &sekisho_fsm::state::Federation| {
            f.cluster == origin.cluster && f.incarnation == origin.incarnation
        };
        if !state.federation().is_none_or(of_here) {
            return Err(SnapshotError::OtherCluster);
        }
        Ok(Self { state, payloads })
    }

    /// The state with the payloads that it refers to. Payloads must not be dropped meanwhile.
    pub(crate) fn gather(state: State, disk: &dyn DataDisk) -> Result<Self, SnapshotError> {
        let mut payloads = Vec::new();
        for digest in disk.payload_keys()? {
            if state.refers_to_payload(&Digest(digest))
                && let Some(bytes) = disk.payload(&digest)?
            {
                payloads.push((Digest(digest), bytes));
            }
        }
        Ok(Self { state, payloads })
    }
}

/// One moment of a member, as it leaves it in a backup.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The image: [`sekisho_fsm::image::Image`].
    pub image: Bytes,
    /// Where the log ends.
    pub last_log: LastLog,
    /// Who votes.
    pub voters: BTreeSet<MemberId>,
}

impl Moment {
    pub(crate) fn new(image: Bytes, last: &LogId, membership: &StoredMembership) -> Self {
        let leader = last.committed_leader_id();
        let (term, leader) = (leader.term, MemberId(leader.node_id));
        let last_log = LastLog { term, leader, index: index(last) };
        let voters = membership.membership().voter_ids().map(MemberId).collect();
        Self { image, last_log, voters }
    }
}

#[derive(Debug, Clone)]
struct Current {
    number: u64,
    meta: Meta,
}

/// The saved snapshots of this member.
#[derive(Debug)]
pub(crate) struct Shelf {
    disk: Arc<dyn DataDisk>,
    pub(crate) origin: Origin,
    /// Held over a save, so that a snapshot built long ago cannot take the place of a newer one.
    saving: Mutex<()>,
    current: Mutex<Option<Current>>,
    covered: Covered,
}

impl Shelf {
    /// Opens the shelf and reads the snapshot that counts. Blocks.
    pub(crate) fn open(
        disk: Arc<dyn DataDisk>,
        origin: Origin,
        covered: Covered,
    ) -> Result<(Self, Option<(Meta, Image)>), SnapshotError> {
        let latest = disk.snapshot_latest()?;
        let mut current = None;
        let mut loaded = None;
        if let Some(saved) = latest {
            let meta = Meta::open(&saved.meta, origin)?;
            let image = Image::decode(&saved.data, origin)?;
            current = Some(Current { number: saved.number, meta: meta.clone() });
            loaded = Some((meta, image));
        }
        let shelf =
            Self { disk, origin, saving: Mutex::new(()), current: Mutex::new(current), covered };
        shelf.cover();
        Ok((shelf, loaded))
    }

    fn cover(&self) {
        if let Some(last) = self.current().and_then(|(meta, _)| meta.last_log_id) {
            self.covered.raise(index(&last));
        }
    }

    /// The snapshot that counts, with its number.
    pub(crate) fn current(&self) -> Option<(Meta, u64)> {
        self.current.lock().clone().map(|current| (current.meta, current.number))
    }

    /// Saves a snapshot unless one at the same place or further is there; the number of the one that counts. Blocks.
    pub(crate) fn save(&self, meta: &Meta, data: &[u8]) -> Result<u64, SnapshotError> {
        let _one_at_a_time = self.saving.lock();
        if let Some((newer, number)) = self.current()
            && newer.last_log_id >= meta.last_log_id
        {
            return Ok(number);
        }
        let number = self.disk.snapshot_save(&encode(meta)?, data)?;
        *self.current.lock() = Some(Current { number, meta: meta.clone() });
        self.cover();
        let last = meta.last_log_id.map(|id| index(&id));
        tracing::info!(?last, number, bytes = data.len(), "snapshot saved");
        Ok(number)
    }

    /// Data of snapshot `number`, verified. Blocks.
    fn load(&self, number: u64) -> Result<Bytes, SnapshotError> {
        let saved = self.disk.snapshot_latest()?.filter(|saved| saved.number == number);
        Ok(saved.ok_or(SnapshotError::Superseded)?.data.into())
    }
}
