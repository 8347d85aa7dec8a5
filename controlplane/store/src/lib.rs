//! Storage of one controller: the only crate that knows RocksDB. It deals in bytes and indexes; `raft` gives them meaning.
//!
//! # What do we store, and what do we not?
//!
//! ```text
//! DATA_DIR/
//!   lock         held (flock) while a process has the directory open
//!   identity     marker {format, cluster, incarnation, member, created}; written once, first of all       R6
//!   boot         boot count, raised at each open; absent = creation was not finished                     R6
//!   log.mark     high-water mark of log/: the database must not end before it                            R1 R7
//!   data.mark    the same for the synced part of data/
//!   log/         RocksDB: raft log, vote, committed mark, purge mark; every write synced                 R1
//!   data/        RocksDB: audit_records, audit_hashes, payloads, snapshots, notes, held,
//!                journal, evidence                                                                     A1 A2
//! ```
//! Stored: the raft log; snapshots of the replicated state; audit records and their tree hashes; what jobs run, by
//! digest, apart from the others if it stays in its area (no snapshot has it); small signed notes; the journal of denials; evidence of forks. Not stored here: the replicated state itself (it lives in memory, snapshot plus log give
//! it again), private keys, certificates, configuration, leases, metrics.
//!
//! What must hold: an acknowledged write survives a power cut (R1); a directory that is not this member's, or that came
//! back older than it was, is refused before it can vote (R6, together with the peers' answers); the first storage
//! error stops everything (R7); every stored value has a format version and a checksum and is verified at each read.
//! All calls may block on the disk: keep them off async workers.

mod audit;
mod data;
mod db;
mod envelope;
mod error;
mod evidence;
mod file;
mod held;
mod journal;
pub mod limit;
mod log;
mod look;
mod mark;
mod marker;
mod note;
mod payload;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

pub use audit::{AuditTable, Hash, hashes_of};
pub use error::{Cause, StoreError, StoreResult};
pub use evidence::EvidenceTable;
pub use held::{HeldRow, HeldTable};
pub use journal::{JournalRow, JournalTable};
pub use log::{Done, LogStore};
pub use look::{Look, look};
pub use marker::{Marker, MarkerError, Member};
pub use note::NoteTable;
pub use payload::{Digest, PayloadTable};
pub use snapshot::{SavedSnapshot, SnapshotTable};
pub use store::{Identity, OpenRequest, Store};
