//! High-water mark: a small file beside a database that says how far the database had certainly come.
//!
//! Why: with recycled write-ahead files RocksDB takes the first unreadable record for the end of the log and opens
//! without it. A mark inside the database would be lost together with the records it vouches for; this one is a file
//! of its own, so that a database that opens *behind* its mark is refused (R1, R7).
//!
//! It also knows how long RocksDB's manifest was: RocksDB takes one that was cut off for one whose end was torn and
//! opens with the tables of long ago, while the newest writes, and with them the sequence number, are still there.
//!
//! Must hold: the mark never names a sequence number or a length that was not synced before. It may lag behind: by at most
//! [`crate::limit::MARK_EVERY`] synced writes, or [`crate::limit::MARK_IDLE_MS`] of quiet. Two slots are written in
//! turn, so that a torn write leaves the older one.

use crate::envelope;
use crate::error::{StoreError, StoreResult};
use crate::file::sync_dir;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Distance between the slots: no disk writes two of them in one sector or page.
const SLOT_BYTES: u64 = 4096;
/// Envelope (5), sequence number, number and length of the manifest (8 each).
const SLOT_LEN: usize = 29;
/// Longer than any name of a manifest.
const NAME_BYTES: u64 = 64;

/// An open mark file.
#[derive(Debug)]
pub(crate) struct HighWater {
    file: File,
    path: PathBuf,
    name: &'static str,
    /// The database's folder.
    database: PathBuf,
    slot: u8,
    value: Value,
}

/// What a slot says, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Value {
    sequence: u64,
    manifest: Manifest,
}

/// The manifest that the database uses: a later one has a higher number, and each only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Manifest {
    number: u64,
    length: u64,
}

impl Manifest {
    fn path(self, database: &Path) -> PathBuf {
        database.join(format!("MANIFEST-{:06}", self.number))
    }

    /// The one in use now; `None` if that cannot be told, which RocksDB will say better.
    fn of(database: &Path) -> StoreResult<Option<Self>> {
        let doing = "looking at a manifest";
        let current = database.join("CURRENT");
        let mut name = String::new();
        match File::open(&current).map(|file| file.take(NAME_BYTES).read_to_string(&mut name)) {
            Ok(Ok(_)) => {}
            Ok(Err(e)) if e.kind() == ErrorKind::InvalidData => return Ok(None),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(Err(e)) | Err(e) => return Err(StoreError::io(doing, &current, e)),
        }
        let number = name.trim_end().strip_prefix("MANIFEST-").and_then(|n| n.parse().ok());
        let Some(number) = number else { return Ok(None) };
        let path = Self { number, length: 0 }.path(database);
        match std::fs::metadata(&path) {
            Ok(file) => Ok(Some(Self { number, length: file.len() })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io(doing, &path, e)),
        }
    }

    /// Makes it, and that it is the one in use, durable up to its length.
    fn sync(self, database: &Path) -> StoreResult<()> {
        let path = self.path(database);
        File::open(&path)
            .and_then(|file| file.sync_data())
            .map_err(|e| StoreError::io("syncing a manifest", &path, e))?;
        sync_dir(database)
    }
}

impl HighWater {
    /// Creates the file `dir/name` with mark 0, durably, for the database in `dir/database`. An existing one (creation
    /// was interrupted) is overwritten.
    pub(crate) fn create(dir: &Path, name: &'static str, database: &str) -> StoreResult<Self> {
        let path = dir.join(name);
        let failed = |e| StoreError::io("creating a high-water mark", &path, e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(failed)?;
        file.write_all_at(&[0; 2 * 4096], 0).map_err(failed)?;
        let database = dir.join(database);
        let value = Value::default();
        let mut mark = Self { file, path: path.clone(), name, database, slot: 1, value };
        mark.write(value)?;
        mark.file.sync_all().map_err(failed)?;
        sync_dir(dir)?;
        Ok(mark)
    }

    /// Opens an existing mark; a missing or unreadable one is damage, because it was once created.
    pub(crate) fn open(dir: &Path, name: &'static str, database: &str) -> StoreResult<Self> {
        let path = dir.join(name);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(StoreError::damaged(format!("high-water mark {name} is missing")));
            }
            Err(e) => return Err(StoreError::io("opening a high-water mark", &path, e)),
        };
        let read = |slot| {
            read_slot(&file, name, slot)
                .map_err(|e| StoreError::io("reading a high-water mark", &path, e))
        };
        let slots = [read(0)?, read(1)?];
        let best = slots.into_iter().zip(0_u8..).filter_map(|(v, slot)| v.map(|v| (v, slot))).max();
        let (value, slot) = best
            .ok_or_else(|| StoreError::damaged(format!("high-water mark {name} is unreadable")))?;
        let database = dir.join(database);
        let mark = Self { file, path, name, database, slot, value };
        mark.check_manifest()?;
        Ok(mark)
    }

    /// Refuses a manifest that is shorter or older than it was.
    fn check_manifest(&self) -> StoreResult<()> {
        let known = self.value.manifest;
        match Manifest::of(&self.database)? {
            Some(found) if found < known => Err(StoreError::damaged(format!(
                "{}: {} bytes of {} are in use, but {} bytes of {} had been synced; it was cut off or the files are an older copy",
                self.name,
                found.length,
                found.path(&self.database).display(),
                known.length,
                known.path(&self.database).display(),
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a database that is behind the mark.
    pub(crate) fn check(&self, sequence: u64) -> StoreResult<()> {
        if sequence < self.value.sequence {
            return Err(StoreError::damaged(format!(
                "{}: the database ends at write {sequence}, but write {} had been synced; writes were lost or the files are an older copy",
                self.name, self.value.sequence
            )));
        }
        Ok(())
    }

    /// Raises the mark to `sequence`, durably. The caller has synced the database up to it.
    pub(crate) fn raise(&mut self, sequence: u64) -> StoreResult<()> {
        let Value { sequence: known, manifest } = self.value;
        let now = Manifest::of(&self.database)?.unwrap_or(manifest).max(manifest);
        if now != manifest {
            // RocksDB may be about to sync it: the mark must not be first.
            now.sync(&self.database)?;
        }
        let value = Value { sequence: sequence.max(known), manifest: now };
        if value == self.value { Ok(()) } else { self.write(value) }
    }

    fn write(&mut self, value: Value) -> StoreResult<()> {
        let slot = 1 - self.slot.min(1);
        let Value { sequence, manifest } = value;
        let numbers = [sequence, manifest.number, manifest.length].map(u64::to_be_bytes);
        let sealed = envelope::seal(self.name, &[slot], &numbers.concat());
        self.file
            .write_all_at(&sealed, u64::from(slot) * SLOT_BYTES)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| StoreError::io("writing a high-water mark", &self.path, e))?;
        (self.slot, self.value) = (slot, value);
        Ok(())
    }
}

/// The value of one slot; `None` if it was never written or is torn.
fn read_slot(file: &File, name: &str, slot: u8) -> std::io::Result<Option<Value>> {
    let mut stored = [0; SLOT_LEN];
    match file.read_exact_at(&mut stored, u64::from(slot) * SLOT_BYTES) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let Ok(bytes) = envelope::open(name, &[slot], &stored) else { return Ok(None) };
    let number = |at: usize| {
        bytes.get(at..at + 8).and_then(|eight| Some(u64::from_be_bytes(eight.try_into().ok()?)))
    };
    let value =
        |sequence, number, length| Value { sequence, manifest: Manifest { number, length } };
    Ok(number(0).zip(number(8)).zip(number(16)).map(|((s, n), l)| value(s, n, l)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_manifest_that_is_shorter_or_older() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("db");
        std::fs::create_dir(&database).unwrap();
        let used = |number: u64, length: usize| {
            let manifest = Manifest { number, length: 0 }.path(&database);
            std::fs::write(manifest, vec![1; length]).unwrap();
            std::fs::write(database.join("CURRENT"), format!("MANIFEST-{number:06}\n")).unwrap();
        };
        let mut mark = HighWater::create(dir.path(), "m", "db").unwrap();
        used(5, 100);
        mark.raise(0).unwrap();
        for (number, length, refused) in
            [(5, 100, false), (5, 101, false), (6, 3, false), (5, 99, true), (4, 500, true)]
        {
            used(number, length);
            let outcome = HighWater::open(dir.path(), "m", "db");
            assert_eq!(matches!(outcome, Err(StoreError::Damaged { .. })), refused, "{outcome:?}");
        }
        // What it cannot read it leaves to RocksDB.
        for current in [b"MANIFEST-x\n".as_slice(), &[0xff; 90], b""] {
            std::fs::write(database.join("CURRENT"), current).unwrap();
            HighWater::open(dir.path(), "m", "db").unwrap();
        }
    }

    #[test]
    fn survives_a_torn_slot_but_not_two_and_refuses_what_is_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut mark = HighWater::create(dir.path(), "m", "db").unwrap();
        mark.raise(7).unwrap();
        mark.raise(9).unwrap();
        mark.raise(8).unwrap();
        drop(mark);
        let mark = HighWater::open(dir.path(), "m", "db").unwrap();
        mark.check(9).unwrap();
        assert!(matches!(mark.check(8), Err(StoreError::Damaged { .. })));
        let newest = u64::from(mark.slot) * SLOT_BYTES;
        mark.file.write_all_at(&[0xff; SLOT_LEN], newest).unwrap();
        let older = HighWater::open(dir.path(), "m", "db").unwrap();
        assert_eq!(older.value.sequence, 7);
        older.file.write_all_at(&[0xff; SLOT_LEN], u64::from(older.slot) * SLOT_BYTES).unwrap();
        assert!(matches!(HighWater::open(dir.path(), "m", "db"), Err(StoreError::Damaged { .. })));
        std::fs::remove_file(dir.path().join("m")).unwrap();
        assert!(matches!(HighWater::open(dir.path(), "m", "db"), Err(StoreError::Damaged { .. })));
    }
}
