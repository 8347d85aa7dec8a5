//! The tables of a simulated disk: audit rows, payloads, snapshots. One file, one order of writes.

use super::{Open, eio};
use sekisho_raft::disk::{AuditDisk, AuditRows, DataDisk};
use sekisho_store::{Hash, SavedSnapshot, StoreError, StoreResult, hashes_of};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// One write.
#[derive(Debug, Clone)]
pub(super) enum DataOp {
    /// New records and hashes by index.
    Audit(Vec<(u64, Vec<u8>)>, Vec<(u64, Hash)>),
    /// Records and hashes begin here; older hashes that may be shown.
    Restart(u64, u64, Vec<(u64, Hash)>),
    /// Older records and hashes.
    Backfill(Vec<(u64, Vec<u8>)>, Vec<(u64, Hash)>),
    /// Forgets those.
    Forget,
    /// Shows those.
    Join,
    Put(Hash, Vec<u8>),
    Delete(Vec<Hash>),
    Snapshot(SavedSnapshot),
    Note(String, Vec<u8>),
}

/// Rows that begin somewhere and have no gap.
#[derive(Debug, Clone)]
struct Rows<T> {
    first: u64,
    rows: BTreeMap<u64, T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { first: 0, rows: BTreeMap::new() }
    }
}

impl<T: PartialEq + Clone> Rows<T> {
    fn next(&self) -> u64 {
        self.rows.keys().next_back().map_or(self.first, |last| last.saturating_add(1))
    }

    /// Those of `rows` that are new; the others have to be what is there.
    fn new_of(&self, table: &'static str, first: u64, rows: &[T]) -> StoreResult<Vec<(u64, T)>> {
        let expected = self.next();
        if first > expected || first < self.first {
            return Err(StoreError::NotContiguous { table, expected, got: first });
        }
        let mut new = Vec::new();
        for (index, row) in (first..).zip(rows) {
            match self.rows.get(&index) {
                None => new.push((index, row.clone())),
                Some(there) if there == row => {}
                Some(_) => {
                    let what = format!("{table}: row {index} is another than before").into();
                    return Err(StoreError::Damaged { what });
                }
            }
        }
        Ok(new)
    }
}

/// The tables, in memory or on the medium.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    records: Rows<Vec<u8>>,
    hashes: Rows<Hash>,
    payloads: BTreeMap<Hash, Vec<u8>>,
    snapshot: Option<SavedSnapshot>,
    notes: BTreeMap<String, Vec<u8>>,
    /// Rows below the beginning, shown to nobody, and the hashes there that came with it.
    low: (BTreeMap<u64, Vec<u8>>, BTreeMap<u64, Hash>),
    frontier: BTreeMap<u64, Hash>,
}

impl Tables {
    pub(super) fn apply(&mut self, op: DataOp) {
        match op {
            DataOp::Audit(records, hashes) => {
                self.records.rows.extend(records);
                self.hashes.rows.extend(hashes);
            }
            DataOp::Restart(record, hash, frontier) => {
                let records = Rows { first: record, rows: BTreeMap::new() };
                let records = std::mem::replace(&mut self.records, records);
                let hashes = Rows { first: hash, rows: BTreeMap::new() };
                let hashes = std::mem::replace(&mut self.hashes, hashes);
                if records.first == 0 {
                    self.low = (records.rows, hashes.rows);
                }
                self.frontier = frontier.into_iter().collect();
            }
            DataOp::Backfill(records, hashes) => {
                self.low.0.extend(records);
                self.low.1.extend(hashes);
            }
            DataOp::Forget => self.low = Default::default(),
            DataOp::Join => {
                let (records, hashes) = std::mem::take(&mut self.low);
                self.records.first = 0;
                self.records.rows.extend(records);
                self.hashes.first = 0;
                self.hashes.rows.extend(hashes);
                self.frontier.clear();
            }
            DataOp::Put(digest, bytes) => drop(self.payloads.insert(digest, bytes)),
            DataOp::Delete(digests) => {
                digests.iter().for_each(|digest| drop(self.payloads.remove(digest)));
            }
            DataOp::Snapshot(snapshot) => self.snapshot = Some(snapshot),
            DataOp::Note(name, bytes) => drop(self.notes.insert(name, bytes)),
        }
    }
}

/// The tables' face.
#[derive(Debug)]
pub(super) struct SimTables(pub(super) Arc<Open>);

impl SimTables {
    fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> StoreResult<T> {
        let memory = self.0.memory.lock();
        self.0.check(&memory)?;
        Ok(look(&memory.tables))
    }

    /// Writes what `op` makes of the tables; `synced`: it and all before it are durable on return.
    fn write(
        &self,
        synced: bool,
        op: impl FnOnce(&Tables) -> StoreResult<Option<DataOp>>,
    ) -> StoreResult<()> {
        let mut memory = self.0.memory.lock();
        self.0.check(&memory)?;
        let op = match op(&memory.tables) {
            Ok(op) => op,
            Err(error) if error.is_fatal() => return Err(self.0.fail(&mut memory, error)),
            Err(error) => return Err(error),
        };
        let mut platter = self.0.medium.platter.lock();
        if platter.fails.1 {
            drop(platter);
            return Err(self.0.fail(&mut memory, eio("writing the tables")));
        }
        if let Some(op) = op {
            memory.tables.apply(op.clone());
            platter.unsynced.push(op);
        }
        if synced {
            for op in std::mem::take(&mut platter.unsynced) {
                platter.tables.apply(op);
            }
        }
        Ok(())
    }
}

impl SimTables {
    pub(super) fn note_put(&self, name: &str, bytes: &[u8]) -> StoreResult<()> {
        self.write(true, |_| Ok(Some(DataOp::Note(name.to_owned(), bytes.to_vec()))))
    }

    pub(super) fn note(&self, name: &str) -> StoreResult<Option<Vec<u8>>> {
        self.read(|tables| tables.notes.get(name).cloned())
    }
}

impl AuditDisk for SimTables {
    fn first(&self) -> u64 {
        self.0.memory.lock().tables.records.first
    }

    fn records(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<Vec<u8>>> {
        self.read(|tables| {
            let mut bytes = 0_usize;
            let rows = tables.records.rows.range(range).map(|(_, row)| row.clone());
            rows.take_while(|row| {
                let begun = bytes > 0;
                bytes = bytes.saturating_add(row.len());
                !begun || bytes <= max_bytes
            })
            .collect()
        })
    }

    fn low(&self) -> u64 {
        let next = |tables: &Tables| tables.low.0.keys().next_back().map(|last| last + 1);
        self.read(next).ok().flatten().unwrap_or_default()
    }

    fn low_hash(&self, index: u64) -> StoreResult<Option<Hash>> {
        let of = |tables: &Tables| {
            tables.frontier.get(&index).or_else(|| tables.low.1.get(&index)).copied()
        };
        self.read(of)
    }

    fn backfill(&self, first: u64, records: &[Vec<u8>], hashes: &[Hash]) -> StoreResult<()> {
        let medium = &self.0.medium;
        for (index, record) in (first..).zip(records) {
            medium.oracle.recorded(medium.member, index, record);
        }
        let records = (first..).zip(records.iter().cloned()).collect();
        let hashes = (hashes_of(first)..).zip(hashes.iter().copied()).collect();
        self.write(false, |_| Ok(Some(DataOp::Backfill(records, hashes))))
    }

    fn forget(&self) -> StoreResult<()> {
        self.write(true, |_| Ok(Some(DataOp::Forget)))
    }

    fn join(&self) -> StoreResult<()> {
        self.0.medium.world.count(|totals| totals.backfilled += 1);
        self.write(true, |_| Ok(Some(DataOp::Join)))
    }
}

impl DataDisk for SimTables {
    fn audit_extent(&self) -> (u64, u64) {
        let memory = self.0.memory.lock();
        (memory.tables.records.first, memory.tables.records.next())
    }

    /// In several writes, which a crash may part: the store promises more, and nobody relies on that.
    fn apply(&self, rows: &AuditRows, keep: &[(Hash, &[u8])], forget: &[Hash]) -> StoreResult<()> {
        let medium = &self.0.medium;
        self.write(false, |tables| {
            if rows.records.is_empty() {
                return Ok(None);
            }
            for (index, record) in (rows.first_record..).zip(&rows.records) {
                medium.oracle.recorded(medium.member, index, record);
            }
            let records =
                tables.records.new_of("audit_records", rows.first_record, &rows.records)?;
            let hashes = tables.hashes.new_of("audit_hashes", rows.first_hash, &rows.hashes)?;
            Ok(Some(DataOp::Audit(records, hashes)))
        })?;
        for (digest, bytes) in keep {
            self.write(false, |_| Ok(Some(DataOp::Put(*digest, bytes.to_vec()))))?;
        }
        self.write(false, |_| Ok((!forget.is_empty()).then(|| DataOp::Delete(forget.to_vec()))))
    }

    fn audit_sync(&self) -> StoreResult<()> {
        self.write(true, |_| Ok(None))
    }

    fn audit_restart(&self, record: u64, hash: u64, frontier: &[(u64, Hash)]) -> StoreResult<()> {
        self.0.medium.world.count(|totals| totals.installed += 1);
        let frontier = frontier.to_vec();
        self.write(true, |_| Ok(Some(DataOp::Restart(record, hash, frontier))))
    }

    fn would_wait(&self) -> bool {
        false
    }

    fn payload(&self, digest: &Hash) -> StoreResult<Option<Vec<u8>>> {
        self.read(|tables| tables.payloads.get(digest).cloned())
    }

    fn payload_keys(&self) -> StoreResult<Vec<Hash>> {
        self.read(|tables| tables.payloads.keys().copied().collect())
    }

    fn snapshot_save(&self, meta: &[u8], data: &[u8]) -> StoreResult<u64> {
        self.0.medium.oracle.saved(self.0.medium.member, meta);
        let (meta, data) = (meta.to_vec(), data.to_vec());
        let mut number = 0;
        self.write(true, |tables| {
            number = tables.snapshot.as_ref().map_or(1, |saved| saved.number.saturating_add(1));
            Ok(Some(DataOp::Snapshot(SavedSnapshot { number, meta, data })))
        })?;
        self.0.medium.world.count(|totals| totals.snapshots += 1);
        self.0.medium.world.note(&format!("disk {} saved snapshot {number}", self.0.medium.member));
        Ok(number)
    }

    fn snapshot_latest(&self) -> StoreResult<Option<SavedSnapshot>> {
        self.read(|tables| tables.snapshot.clone())
    }
}
