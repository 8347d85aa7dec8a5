//! High-water mark: a small file beside a database that says how far the database had certainly come.
//!
//! Why: with recycled write-ahead files RocksDB takes the first unreadable record for the end of the log and opens
//! without it. A mark inside the database would be lost together with the records it vouches for; this one is a file
//! of its own, so that a database that opens *behind* its mark is refused (R1, R7).
//!
//! Must hold: the mark never names a sequence number that was not synced before. It may lag behind: by at most
//! [`crate::limit::MARK_EVERY`] synced writes, or [`crate::limit::MARK_IDLE_MS`] of quiet. Two slots are written in
//! turn, so that a torn write leaves the older one.

use crate::envelope;
use crate::error::{StoreError, StoreResult};
use crate::file::sync_dir;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Distance between the slots: no disk writes two of them in one sector or page.
const SLOT_BYTES: u64 = 4096;
/// Envelope (5) and sequence number (8).
const SLOT_LEN: usize = 13;

/// An open mark file.
#[derive(Debug)]
pub(crate) struct HighWater {
    file: File,
    name: &'static str,
    slot: u8,
    value: u64,
}

impl HighWater {
    /// Creates the file with mark 0, durably. An existing one (creation was interrupted) is overwritten.
    pub(crate) fn create(dir: &Path, name: &'static str) -> StoreResult<Self> {
        let doing = "creating a high-water mark";
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(dir.join(name))
            .map_err(|e| StoreError::io(doing, e))?;
        file.write_all_at(&[0; 2 * 4096], 0).map_err(|e| StoreError::io(doing, e))?;
        let mut mark = Self { file, name, slot: 1, value: 0 };
        mark.write(0)?;
        mark.file.sync_all().map_err(|e| StoreError::io(doing, e))?;
        sync_dir(dir)?;
        Ok(mark)
    }

    /// Opens an existing mark; a missing or unreadable one is damage, because it was once created.
    pub(crate) fn open(dir: &Path, name: &'static str) -> StoreResult<Self> {
        let file = match OpenOptions::new().read(true).write(true).open(dir.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(StoreError::damaged(format!("high-water mark {name} is missing")));
            }
            Err(e) => return Err(StoreError::io("opening a high-water mark", e)),
        };
        let slots = [read_slot(&file, name, 0)?, read_slot(&file, name, 1)?];
        let best = slots.into_iter().zip(0_u8..).filter_map(|(v, slot)| v.map(|v| (v, slot))).max();
        let (value, slot) = best
            .ok_or_else(|| StoreError::damaged(format!("high-water mark {name} is unreadable")))?;
        Ok(Self { file, name, slot, value })
    }

    /// Refuses a database that is behind the mark.
    pub(crate) fn check(&self, sequence: u64) -> StoreResult<()> {
        if sequence < self.value {
            return Err(StoreError::damaged(format!(
                "{}: the database ends at write {sequence}, but write {} had been synced; writes were lost or the files are an older copy",
                self.name, self.value
            )));
        }
        Ok(())
    }

    /// Raises the mark to `sequence`, durably. The caller has synced the database up to it.
    pub(crate) fn raise(&mut self, sequence: u64) -> StoreResult<()> {
        if sequence > self.value { self.write(sequence) } else { Ok(()) }
    }

    fn write(&mut self, value: u64) -> StoreResult<()> {
        let slot = 1 - self.slot.min(1);
        let sealed = envelope::seal(self.name, &[slot], &value.to_be_bytes());
        let doing = "writing a high-water mark";
        self.file
            .write_all_at(&sealed, u64::from(slot) * SLOT_BYTES)
            .map_err(|e| StoreError::io(doing, e))?;
        self.file.sync_data().map_err(|e| StoreError::io(doing, e))?;
        (self.slot, self.value) = (slot, value);
        Ok(())
    }
}

/// The value of one slot; `None` if it was never written or is torn.
fn read_slot(file: &File, name: &str, slot: u8) -> StoreResult<Option<u64>> {
    let mut stored = [0; SLOT_LEN];
    match file.read_exact_at(&mut stored, u64::from(slot) * SLOT_BYTES) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(StoreError::io("reading a high-water mark", e)),
    }
    let value =
        envelope::open(name, &[slot], &stored).and_then(|bytes| envelope::be_u64(name, bytes));
    Ok(value.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_torn_slot_but_not_two_and_refuses_what_is_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut mark = HighWater::create(dir.path(), "m").unwrap();
        mark.raise(7).unwrap();
        mark.raise(9).unwrap();
        mark.raise(8).unwrap();
        drop(mark);
        let mark = HighWater::open(dir.path(), "m").unwrap();
        mark.check(9).unwrap();
        assert!(matches!(mark.check(8), Err(StoreError::Damaged { .. })));
        let newest = u64::from(mark.slot) * SLOT_BYTES;
        mark.file.write_all_at(&[0xff; SLOT_LEN], newest).unwrap();
        let older = HighWater::open(dir.path(), "m").unwrap();
        assert_eq!(older.value, 7);
        older.file.write_all_at(&[0xff; SLOT_LEN], u64::from(older.slot) * SLOT_BYTES).unwrap();
        assert!(matches!(HighWater::open(dir.path(), "m"), Err(StoreError::Damaged { .. })));
        std::fs::remove_file(dir.path().join("m")).unwrap();
        assert!(matches!(HighWater::open(dir.path(), "m"), Err(StoreError::Damaged { .. })));
    }
}
