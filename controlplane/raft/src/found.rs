//! Setting up the data directory of a founder: a federation begins anew from a backup.
//!
//! What is written is what a member would hold that had been led by the first founder for one entry, the one that opens
//! the incarnation, and had made a snapshot of it. So it starts like any other member, and nothing else has to know.
//!
//! ```text
//! audit records of the backup ─> the record of the opening ─> vote ─> snapshot, last: without it no start
//! ```
//! Must hold (R4, R6): every founder gets the same state, because all of it follows from the backup and the agreement; log
//! ids and votes lie above everything of the incarnation before; a directory that holds anything else is not touched; cut
//! off anywhere, it can be done again.
//! Does not check who signed the records of the backup: whoever signed the agreement did, and the agreement names them.

use crate::codec::{CodecError, encode};
use crate::disk::{AuditRows, DataDisk};
use crate::snapshot::{Image, Meta, Origin, SnapshotError};
use crate::type_config::{LogId, Membership, PeerNode, StoredMembership, Vote};
use openraft::impls::leader_id_adv;
use openraft::vote::RaftLeaderId as _;
use sekisho_evidence::merkle::{Frontier, Head, MerkleError};
use sekisho_evidence::opening::Opening;
use sekisho_evidence::package::opening;
use sekisho_evidence::snapshot_file::{
    RecordReader, SnapshotFileError, SnapshotHead, SnapshotReader,
};
use sekisho_evidence::terms::Agreement;
use sekisho_fsm::outcome::{Applied, PayloadEffect, Rejection};
use sekisho_store::{Store, StoreError};
use sekisho_types::id::MemberId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::mpsc;

/// Audit records that are written at once, bytes.
const ROWS_BYTES: usize = 4 * 1024 * 1024;

/// Why a founder is not set up.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The directory is in use.
    #[error("the data directory holds a log or a snapshot already")]
    NotEmpty,
    /// The agreement opens nothing, or does not name this member.
    #[error("{0}")]
    Agreement(&'static str),
    /// The file is not the backup that was agreed on.
    #[error("the snapshot file is not the one that was agreed on: its {0} differs")]
    OtherFile(&'static str),
    /// The file.
    #[error(transparent)]
    File(#[from] SnapshotFileError),
    /// What is in it.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The records make no tree.
    #[error(transparent)]
    Records(#[from] MerkleError),
    /// The state does not take the agreement.
    #[error("the state of the snapshot refuses the opening: {} ({})", .0.detail, .0.code)]
    Refused(Rejection),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CodecError> for FoundError {
    fn from(error: CodecError) -> Self {
        Self::Snapshot(error.into())
    }
}

/// Whether nothing but an unfinished founding can be in this directory.
fn is_free(store: &Store) -> Result<bool, StoreError> {
    let log = store.log();
    let unused = log.last_index().is_none() && log.purged().is_none();
    Ok(unused && store.snapshot_latest()?.is_none())
}

/// Whether a directory holds what a founder starts with.
///
/// # Errors
/// As the store.
pub fn is_founded(store: &Store) -> Result<bool, StoreError> {
    Ok(store.snapshot_latest()?.is_some())
}

/// Sets up the directory of a founder. `base` are the steps of the endorser bundle between the backup's and the opening.
/// Blocks.
///
/// # Errors
/// [`FoundError`]; the directory is then as unfinished as before.
pub fn found<R: Read>(
    store: &Store,
    origin: Origin,
    from: SnapshotReader<R>,
    base: &[Agreement],
    agreement: &Agreement,
) -> Result<Head, FoundError> {
    if !is_free(store)? {
        return Err(FoundError::NotEmpty);
    }
    let opening = opening(agreement).ok_or(FoundError::Agreement("the step opens nothing"))?;
    let me = MemberId(store.marker().member.member_id);
    if !opening.founders.iter().any(|founder| founder.member == me) {
        return Err(FoundError::Agreement("this member is no founder of the incarnation"));
    }
    agreed_on(from.head(), opening)?;
    let (image, records) = from.image()?;
    let image = sekisho_fsm::image::Image::decode(&image).map_err(SnapshotError::from)?;
    if image.lacks().is_some() {
        return Err(FoundError::OtherFile("image"));
    }
    let mut state = image.state;
    let applied = state.open_incarnation(base, agreement).map_err(FoundError::Refused)?;
    let mut payloads: BTreeMap<_, _> = image.payloads.into_iter().collect();
    for effect in &applied.payloads {
        match effect {
            PayloadEffect::Put(digest, bytes) => payloads.insert(*digest, bytes.clone()),
            PayloadEffect::Drop(digest) => payloads.remove(digest),
        };
    }
    let head = write_records(store, records, opening, &applied)?;
    save_vote(store, opening)?;
    let image = Image { state, payloads: payloads.into_iter().collect() };
    let meta = meta(origin, opening)?;
    DataDisk::snapshot_save(store, &encode(&meta)?, &image.encode()?)?;
    Ok(head)
}

fn agreed_on(head: &SnapshotHead, opening: &Opening) -> Result<(), FoundError> {
    let restored = &opening.restored;
    let differs = [
        ("revision", head.revision != restored.revision),
        ("last entry", head.last_log != restored.last),
        ("audit log", head.head != restored.head),
        ("image", head.image != restored.image),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(FoundError::OtherFile(what)),
        None => Ok(()),
    }
}

/// The records of the backup, then those of the opening; all of them durable.
fn write_records<R: Read>(
    store: &Store,
    mut records: RecordReader<R>,
    opening: &Opening,
    applied: &Applied,
) -> Result<Head, FoundError> {
    let mut writer = RowWriter::new(store);
    while let Some(record) = records.next_record()? {
        writer.add(record)?;
    }
    if writer.head()? != opening.restored.head {
        return Err(FoundError::OtherFile("audit log"));
    }
    for leaf in &applied.leaves {
        writer.add(leaf.record.clone())?;
    }
    writer.write()?;
    DataDisk::audit_sync(store)?;
    writer.head()
}

struct RowWriter<'s> {
    store: &'s Store,
    frontier: Frontier,
    rows: AuditRows,
    bytes: usize,
}

impl<'s> RowWriter<'s> {
    fn new(store: &'s Store) -> Self {
        Self { store, frontier: Frontier::default(), rows: AuditRows::default(), bytes: 0 }
    }

    fn add(&mut self, record: Vec<u8>) -> Result<(), FoundError> {
        let appended = self.frontier.append(&record)?;
        self.bytes = self.bytes.saturating_add(record.len());
        // Each follows the one before it: there is no other order to add them in.
        if !self.rows.push(appended, record) {
            return Err(FoundError::OtherFile("audit log"));
        }
        if self.bytes >= ROWS_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), FoundError> {
        if !self.rows.records.is_empty() {
            DataDisk::apply(self.store, &self.rows, &[], &[])?;
        }
        (self.rows, self.bytes) = (AuditRows::default(), 0);
        Ok(())
    }

    fn head(&self) -> Result<Head, FoundError> {
        Ok(Head { size: self.frontier.size(), root: self.frontier.root()? })
    }
}

/// Term of the entry that opens the incarnation: above every term in which the backup's log was written.
fn term(opening: &Opening) -> u64 {
    opening.restored.last.term.saturating_add(1)
}

fn leader(opening: &Opening) -> Result<u64, FoundError> {
    let first = opening.founders.first();
    first.map(|founder| founder.member.0).ok_or(FoundError::Agreement("it has no founder"))
}

/// As if the first founder had been elected: whoever is elected next has a later term, so its entries have later ids.
fn save_vote(store: &Store, opening: &Opening) -> Result<(), FoundError> {
    let vote = Vote::new(term(opening), leader(opening)?);
    let (done, wait) = mpsc::sync_channel(1);
    let told = Box::new(move |result| drop(done.send(result)));
    store.log().save_vote(encode(&vote)?, told)?;
    // The store calls back once for each write, whatever becomes of it.
    wait.recv().map_err(|_closed| FoundError::Agreement("the store has ended"))??;
    Ok(())
}

fn meta(origin: Origin, opening: &Opening) -> Result<Meta, FoundError> {
    let leader = leader_id_adv::LeaderId::new(term(opening), leader(opening)?).to_committed();
    let id = LogId::new(leader, opening.restored.last.index.saturating_add(1));
    let voters: BTreeSet<u64> = opening.founders.iter().map(|f| f.member.0).collect();
    let nodes: BTreeMap<u64, PeerNode> =
        opening.founders.iter().map(|f| (f.member.0, PeerNode::from(f))).collect();
    let membership = Membership::new(vec![voters], nodes)
        .map_err(|_empty| FoundError::Agreement("it has no founder"))?;
    let membership = StoredMembership::new(Some(id), membership);
    Ok(Meta { origin, last_log_id: Some(id), membership })
}
