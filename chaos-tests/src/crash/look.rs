//! Reading everything that a store holds.

use super::data::Data;
use super::line::Found;
use super::log::Log;
use super::value::{digest, tag_of};
use super::work::{HEAD, OTHER};
use sekisho_store::{Store, StoreError};

/// A store that cannot be read, or holds what was never written.
#[derive(Debug)]
pub enum Trouble {
    /// The store said so itself.
    Refused(StoreError),
    /// The store did not notice.
    Wrong(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

fn tag(what: &str, found: &[u8]) -> Result<u64, Trouble> {
    tag_of(found).ok_or_else(|| Trouble::Wrong(format!("{what}: bytes that nobody wrote")))
}

/// Reads everything.
///
/// # Errors
/// The store refuses, or gives bytes that were never written.
pub fn look(store: &Store) -> Result<Found, Trouble> {
    let log = store.log();
    let purged = log.purged();
    let first = purged.as_ref().map_or(0, |(index, _)| index.saturating_add(1));
    let read = log.read(first..u64::MAX, usize::MAX)?;
    let mut entries = Vec::new();
    for ((index, bytes), expected) in read.iter().zip(first..) {
        if *index != expected {
            return Err(Trouble::Wrong(format!("log: entry {index} where {expected} belongs")));
        }
        entries.push(tag("log entry", bytes)?);
    }
    let identity = store.identity();
    let peak = identity.durable_log_index.map_or(0, |index| index.saturating_add(1));
    let purged =
        purged.map(|(index, id)| tag("purged id", &id).map(|id| (index, id))).transpose()?;
    let vote = log.vote().map(|vote| tag("vote", &vote)).transpose()?;
    let committed = log.committed().map(|mark| tag("committed mark", &mark)).transpose()?;
    let log = Log { first, entries, purged, vote, peak };
    Ok(Found { boot: identity.boot_seq, log, committed, data: look_at_data(store)? })
}

fn look_at_data(store: &Store) -> Result<Data, Trouble> {
    let audit = store.audit();
    let mut data = Data { first_record: audit.first(), ..Data::default() };
    for record in audit.records(audit.first()..u64::MAX, usize::MAX)? {
        data.records.push(tag("audit record", &record)?);
    }
    // The drill keeps one hash for each record, and restarts both tables at like distance: see `Operation::Audit`.
    data.first_hash = audit.next_hash().saturating_sub(audit.size().saturating_sub(audit.first()));
    for index in data.first_hash..audit.next_hash() {
        let hash = audit.hash(index)?;
        let hash =
            hash.ok_or_else(|| Trouble::Wrong(format!("audit hash {index} is not there")))?;
        data.hashes.push(tag("audit hash", &hash)?);
    }
    if let Some(older) = data.first_hash.checked_sub(1)
        && let Some(hash) = audit.hash(older)?
    {
        data.frontier = Some((older, tag("frontier hash", &hash)?));
    }
    for key in store.payloads().keys()? {
        let payload = store.payloads().get(&key)?;
        let payload =
            payload.ok_or_else(|| Trouble::Wrong("a payload without its row".to_owned()))?;
        let payload = tag("payload", &payload)?;
        if digest(payload) != key {
            return Err(Trouble::Wrong(format!("payload {payload} under another key")));
        }
        data.payloads.insert(payload);
    }
    data.snapshots = store.snapshots().numbers()?;
    if let Some(newest) = store.snapshots().latest()? {
        let index =
            newest.meta.first_chunk::<8>().map_or(u64::MAX, |eight| u64::from_be_bytes(*eight));
        data.newest = Some((index, tag("snapshot", &newest.data)?));
    }
    for name in [HEAD, OTHER] {
        if let Some(note) = store.notes().get(name)? {
            data.notes.insert(name.to_owned(), tag("note", &note)?);
        }
    }
    Ok(data)
}
