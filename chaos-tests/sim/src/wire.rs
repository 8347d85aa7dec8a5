//! The persisted and sent forms of raft's own types, as `sekisho-raft`'s golden bytes pin them, for the oracle that
//! reads over the members' shoulders.

use sekisho_raft::PeerNode;
use sekisho_raft::snapshot::Origin;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Format byte of everything that `sekisho-raft` encodes.
pub(super) const FORMAT: u8 = 1;

/// Term and member of the leader, index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct LogId {
    pub(super) term: u64,
    pub(super) leader: u64,
    pub(super) index: u64,
}

/// Who has a member's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Vote {
    pub(super) term: u64,
    pub(super) leader: u64,
    pub(super) committed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Payload<'b> {
    Blank,
    #[serde(borrow)]
    Normal(&'b [u8]),
    Membership(Vec<BTreeSet<u64>>, BTreeMap<u64, PeerNode>),
}

/// An entry of the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry<'b> {
    pub(super) id: LogId,
    #[serde(borrow)]
    pub(super) payload: Payload<'b>,
}

/// An append request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Append<'b> {
    vote: Vote,
    before: Option<LogId>,
    #[serde(borrow)]
    entries: Vec<Entry<'b>>,
    committed: Option<LogId>,
}

/// Where the snapshot with this meta ends.
pub(super) fn snapshot_end(meta: &[u8]) -> Option<LogId> {
    let (_format, rest) = meta.split_first()?;
    let (head, _membership) = postcard::take_from_bytes::<(Origin, Option<LogId>)>(rest).ok()?;
    head.1
}

/// A value from its stored form.
pub(super) fn read<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<T> {
    let (format, rest) = bytes.split_first()?;
    let (value, left) = postcard::take_from_bytes(rest).ok()?;
    (*format == FORMAT && left.is_empty()).then_some(value)
}

/// An append request whose entries count as committed before a majority has them (planted bug). `None` if there is
/// nothing to break in it.
pub(super) fn committed_too_early(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut append: Append<'_> = read(bytes)?;
    let last = append.entries.last()?.id;
    append.committed = Some(last);
    postcard::to_stdvec(&(FORMAT, append)).ok()
}
