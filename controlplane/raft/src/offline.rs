//! Reading a member that does not run: its snapshot, and every entry of its log after that, applied in memory.
//!
//! Must hold: nothing is written. Entries at the end that no majority may have are taken in, too: one that was
//! acknowledged must not be lost, and of the others nobody was told that they did not happen (R3).

use crate::codec::{CodecError, decode};
use crate::disk::DataDisk as _;
use crate::error::LevelError;
use crate::limit::APPEND_BYTES;
use crate::snapshot::{Image, Meta, Moment, Origin, SnapshotError};
use crate::type_config::{Entry, LogId, StoredMembership, index};
use openraft::EntryPayload;
use sekisho_fsm::State;
use sekisho_fsm::entry::FEATURE_LEVEL;
use sekisho_fsm::outcome::PayloadEffect;
use sekisho_store::{Store, StoreError};
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;

/// Why a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// An entry is not readable, or not the one that has to come next.
    #[error("entry {index} of the log: {why}")]
    Entry {
        /// Where.
        index: u64,
        /// What is wrong.
        why: String,
    },
    /// It holds no entry.
    #[error("the directory holds neither a snapshot nor a log")]
    Empty,
    /// Of newer programs than this one.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// Records were not fetched from another member yet.
    #[error("this member has audit records only from {first} on; save another member")]
    AuditIncomplete {
        /// First record that it has.
        first: u64,
    },
}

impl From<CodecError> for OfflineError {
    fn from(error: CodecError) -> Self {
        Self::Snapshot(error.into())
    }
}

/// What a stopped member has.
#[derive(Debug)]
pub struct Offline {
    /// The state after the last entry.
    pub state: State,
    /// The snapshot that a member would have made of it.
    pub moment: Moment,
    /// Records in the store that count; those after it are in [`Offline::tail`].
    pub stored: u64,
    /// The records that the entries after the snapshot leave.
    pub tail: Vec<Vec<u8>>,
}

struct Replay {
    state: State,
    payloads: BTreeMap<Digest, Vec<u8>>,
    last: Option<LogId>,
    membership: StoredMembership,
    stored: u64,
    tail: Vec<Vec<u8>>,
}

/// Reads the directory. Blocks.
///
/// # Errors
/// [`OfflineError`].
pub fn read(store: &Store, origin: Origin) -> Result<Offline, OfflineError> {
    let first = store.audit().first();
    if first > 0 {
        return Err(OfflineError::AuditIncomplete { first });
    }
    let mut replay = Replay::begin(store, origin)?;
    let log = store.log();
    let mut next = replay.last.map_or(0, |last| index(&last).saturating_add(1));
    let end = log.last_index().map_or(0, |last| last.saturating_add(1));
    while next < end {
        for (at, bytes) in log.read(next..end, APPEND_BYTES)? {
            if at != next {
                return Err(OfflineError::Entry { index: next, why: format!("{at} lies there") });
            }
            replay.entry(at, &decode(&bytes)?)?;
            next = next.saturating_add(1);
        }
    }
    replay.end()
}

impl Replay {
    fn begin(store: &Store, origin: Origin) -> Result<Self, OfflineError> {
        let (mut state, mut payloads) = (State::default(), BTreeMap::new());
        let (mut last, mut membership) = (None, StoredMembership::default());
        if let Some(saved) = store.snapshot_latest()? {
            let meta = Meta::open(&saved.meta, origin)?;
            let image = Image::decode(&saved.data, origin)?;
            (last, membership) = (meta.last_log_id, meta.membership);
            (state, payloads) = (image.state, image.payloads.into_iter().collect());
        }
        let stored = state.audit_size();
        Ok(Self { state, payloads, last, membership, stored, tail: Vec::new() })
    }

    fn entry(&mut self, at: u64, entry: &Entry) -> Result<(), OfflineError> {
        let bad = |why: String| OfflineError::Entry { index: at, why };
        if index(&entry.log_id) != at {
            return Err(bad(format!("it says that it is {}", index(&entry.log_id))));
        }
        self.last = Some(entry.log_id);
        match &entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            EntryPayload::Normal(proposal) => {
                let command = proposal.entry().map_err(|error| bad(error.to_string()))?;
                let applied = self.state.apply(Revision(at), command);
                let level =
                    LevelError { in_force: self.state.feature_level(), known: FEATURE_LEVEL };
                if level.in_force > level.known {
                    return Err(level.into());
                }
                self.tail.extend(applied.leaves.into_iter().map(|leaf| leaf.record));
                for effect in applied.payloads {
                    match effect {
                        PayloadEffect::Put(digest, bytes) => self.payloads.insert(digest, bytes),
                        PayloadEffect::Drop(digest) => self.payloads.remove(&digest),
                    };
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Offline, OfflineError> {
        let last = self.last.ok_or(OfflineError::Empty)?;
        let image = Image { state: self.state, payloads: self.payloads.into_iter().collect() };
        let moment = Moment::new(image.encode()?.into(), &last, &self.membership);
        Ok(Offline { state: image.state, moment, stored: self.stored, tail: self.tail })
    }
}
