//! Looks for damage in the middle of the write-ahead files of the log database before RocksDB opens it.
//!
//! Each write to the log database is one synced record and the next is not begun before the sync returned. So an
//! unreadable record is the torn end of the log only if no later record *begins* in the same file; one that does
//! proves that the unreadable one had been synced, perhaps acknowledged, and RocksDB would drop it and all after it
//! without a word. Fragments of the torn write itself may be readable behind a hole: they begin nothing.
//!
//! Format (RocksDB `db/log_format.h`, stable): blocks of 32 KiB; record = `masked CRC-32C (4) ‖ length (2) ‖ type (1) ‖
//! file number (4) ‖ bytes`, little endian, the checksum from `type` on; a block's last bytes that hold no header are
//! zero. A reused file still has records of older numbers behind its end. A record's bytes begin with the number of its
//! first write (8) and how many it holds (4).
//!
//! Damage at the end of a file that another one follows looks like a torn end from within the file: for that, the
//! highest write that can be read in any of them is given back, and the caller raises the high-water mark to it before
//! RocksDB opens; whatever RocksDB then leaves out is missed. What nothing here can see, damage in the very last record
//! of all before the mark was raised, is left to the peers' answers (R6).

use crate::error::{StoreError, StoreResult};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 11;

/// Checks each write-ahead file in `dir`; the highest write in them, durable on return. A directory that is not there has none.
pub(crate) fn check_dir(dir: &Path) -> StoreResult<Option<u64>> {
    let failed = |e| StoreError::io("listing write-ahead files", dir, e);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut last = None;
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let number = wal_number(&path);
        if let Some(number) = number {
            // The record header holds the low half of the number.
            let number = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
            last = last.max(check_file(&path, number)?);
        }
    }
    // After a kill some of it may be in the page cache only, and the caller is going to vouch for it.
    crate::file::sync_dir(dir)?;
    Ok(last)
}

/// The number in the name `NUMBER.log`; `None` for any other file.
fn wal_number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}

fn check_file(path: &Path, number: u32) -> StoreResult<Option<u64>> {
    let failed = |e| StoreError::io("reading a write-ahead file", path, e);
    let file = File::open(path).map_err(failed)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut scan = Scan::new(number);
    let mut block = Vec::with_capacity(BLOCK);
    let mut offset = 0_u64;
    loop {
        block.clear();
        let limit = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        let got = reader.by_ref().take(limit).read_to_end(&mut block).map_err(failed)?;
        if got == 0 {
            if let Some(at) = scan.torn {
                tracing::warn!(file = %path.display(), at, "a write that was never acknowledged ends in the middle and is dropped");
            }
            reader.get_ref().sync_data().map_err(failed)?;
            return Ok(scan.last);
        }
        match scan.block(&block, offset) {
            Verdict::GoOn => {}
            Verdict::Reused => return Ok(None),
            Verdict::Damaged { at } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Err(StoreError::damaged(format!(
                    "write-ahead file {name}: unreadable at byte {at}, but synced records follow it"
                )));
            }
        }
        offset = offset.saturating_add(limit);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// The file already belongs to a newer number (a rename that a power cut undid): it holds nothing live.
    Reused,
    Damaged {
        at: u64,
    },
}

struct Scan {
    number: u32,
    /// First byte that is not a record of this file.
    broken: Option<u64>,
    /// The last record seen has begun and not ended.
    open_record: bool,
    /// First byte of a record of this file that is not whole.
    torn: Option<u64>,
    /// The last write of the record that has begun, while all of it could be read.
    begun: Option<u64>,
    /// The last write of the last whole record.
    last: Option<u64>,
}

impl Scan {
    fn new(number: u32) -> Self {
        Self { number, broken: None, open_record: false, torn: None, begun: None, last: None }
    }

    fn block(&mut self, block: &[u8], offset: u64) -> Verdict {
        let mut at = 0;
        let mut searching = false;
        while at + HEADER <= block.len() {
            let position = offset.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
            let rest = block.get(at..).unwrap_or_default();
            // While searching byte by byte only records of this file matter; the number is a cheap first test.
            let only = searching.then_some(self.number);
            let Some(record) = Physical::parse(rest, only) else {
                if self.broken.is_none() {
                    let head = number_of(rest);
                    // A file that was to be reused when power went: its old records say nothing any more.
                    if position == 0 && head.is_some_and(|number| number > self.number) {
                        return Verdict::Reused;
                    }
                    if self.open_record || head == Some(self.number) {
                        self.torn = Some(position);
                    }
                    (self.broken, self.begun) = (Some(position), None);
                }
                searching = true;
                at += 1;
                continue;
            };
            searching = false;
            at += record.length;
            if record.number > self.number {
                return Verdict::Reused;
            }
            if record.number < self.number {
                if self.open_record {
                    self.torn.get_or_insert(position);
                }
                self.broken.get_or_insert(position);
                self.begun = None;
                continue;
            }
            if record.begins {
                if let Some(at) = self.broken {
                    return Verdict::Damaged { at };
                }
                if self.open_record {
                    return Verdict::Damaged { at: position };
                }
                self.begun = record.last;
            }
            self.open_record = !record.ends;
            if record.ends {
                self.last = self.last.max(self.begun.take());
            }
        }
        Verdict::GoOn
    }
}

/// The file number in the header of what may be a record of any kind and is not whole.
fn number_of(bytes: &[u8]) -> Option<u32> {
    let [.., kind, n0, n1, n2, n3] = *bytes.first_chunk::<HEADER>()?;
    (5..=8).contains(&kind).then_some(u32::from_le_bytes([n0, n1, n2, n3]))
}

/// One physical record with a right checksum.
struct Physical {
    number: u32,
    begins: bool,
    ends: bool,
    /// Header and bytes.
    length: usize,
    /// The last of its writes, if it begins and its first fragment says so.
    last: Option<u64>,
}

impl Physical {
    fn parse(bytes: &[u8], only: Option<u32>) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER>()?;
        let [c0, c1, c2, c3, l0, l1, kind, n0, n1, n2, n3] = *head;
        let (begins, ends) = match kind {
            5 => (true, true),
            6 => (true, false),
            7 => (false, false),
            8 => (false, true),
            _ => return None,
        };
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        if only.is_some_and(|only| only != number) {
            return None;
        }
        let length = HEADER + usize::from(u16::from_le_bytes([l0, l1]));
        let covered = bytes.get(6..length)?;
        let masked = crc32c::crc32c(covered).rotate_right(15).wrapping_add(0xa282_ead8);
        let last = bytes.get(HEADER..length).filter(|_| begins).and_then(last_write);
        (masked == u32::from_le_bytes([c0, c1, c2, c3])).then_some(Self {
            number,
            begins,
            ends,
            length,
            last,
        })
    }
}

/// The last write of a batch: first write (8) ‖ count (4) ‖ ….
fn last_write(batch: &[u8]) -> Option<u64> {
    let (first, rest) = batch.split_first_chunk::<8>()?;
    let count = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    u64::from_le_bytes(*first).saturating_add(u64::from(count)).checked_sub(1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(kind: u8, number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut tail = vec![kind];
        tail.extend(number.to_le_bytes());
        tail.extend(bytes);
        let masked = crc32c::crc32c(&tail).rotate_right(15).wrapping_add(0xa282_ead8);
        let mut out = masked.to_le_bytes().to_vec();
        out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        out.extend(tail);
        out
    }

    fn scan(parts: &[&[u8]]) -> Verdict {
        let all = parts.concat();
        let mut scan = Scan::new(7);
        for (i, block) in all.chunks(BLOCK).enumerate() {
            match scan.block(block, u64::try_from(i * BLOCK).unwrap()) {
                Verdict::GoOn => {}
                verdict @ (Verdict::Reused | Verdict::Damaged { .. }) => return verdict,
            }
        }
        Verdict::GoOn
    }

    #[test]
    fn a_torn_end_is_legal_and_damage_before_a_record_is_not() {
        let (a, b) = (record(5, 7, b"first"), record(5, 7, b"second"));
        let zeros = vec![0; 100];
        assert_eq!(scan(&[&a, &b, &zeros]), Verdict::GoOn);
        let torn = &b[..b.len() - 2];
        assert_eq!(scan(&[&a, torn, &zeros]), Verdict::GoOn);
        let mut flipped = a.clone();
        flipped[12] ^= 4;
        assert_eq!(scan(&[&flipped, &b]), Verdict::Damaged { at: 0 });
        // A length that points beyond the next record hides it from a chained walk, not from the search.
        let mut long = a;
        long[4] ^= 64;
        assert_eq!(scan(&[&long, &b, &zeros]), Verdict::Damaged { at: 0 });
    }

    #[test]
    fn leftovers_of_an_older_file_are_the_end() {
        let (mine, old, newer) = (record(5, 7, b"x"), record(5, 6, b"old"), record(5, 8, b"new"));
        assert_eq!(scan(&[&mine, &old, &old]), Verdict::GoOn);
        assert_eq!(scan(&[&mine, &old, &mine]), Verdict::Damaged { at: 12 });
        assert_eq!(scan(&[&newer, &old, &mine]), Verdict::Reused);
    }

    /// So many times: put the value `v` under the key `z`.
    pub(crate) fn batch(first: u64, count: u32) -> Vec<u8> {
        let rows = b"\x01\x01z\x01v".repeat(usize::try_from(count).unwrap());
        [first.to_le_bytes().as_slice(), &count.to_le_bytes(), &rows].concat()
    }

    #[test]
    fn the_highest_whole_write_of_all_files_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |number: u32, parts: &[Vec<u8>]| {
            let bytes = parts.concat();
            std::fs::write(dir.path().join(format!("{number:06}.log")), bytes).unwrap();
        };
        assert_eq!(check_dir(dir.path()).unwrap(), None);
        // The end of the first file is unreadable, and the second goes on behind it.
        let mut torn = record(5, 7, &batch(14, 6));
        torn.truncate(20);
        write(7, &[record(5, 7, &batch(10, 4)), torn.clone()]);
        assert_eq!(check_dir(dir.path()).unwrap(), Some(13));
        write(8, &[record(6, 8, &batch(20, 3)), record(8, 8, b"rest")]);
        assert_eq!(check_dir(dir.path()).unwrap(), Some(22));
        // A write that is not whole was never acknowledged.
        write(9, &[record(6, 9, &batch(23, 3)), vec![0; 15], record(8, 9, b"rest")]);
        assert_eq!(check_dir(dir.path()).unwrap(), Some(22));
    }

    #[test]
    fn a_file_that_was_just_being_reused_is_no_damage() {
        let mut newer = record(5, 8, b"the first record under the new number");
        newer[20] ^= 1;
        assert_eq!(scan(&[&newer, &record(5, 7, b"old"), &record(5, 7, b"old")]), Verdict::Reused);
    }

    #[test]
    fn a_torn_write_of_many_fragments_may_have_holes() {
        let (first, middle, last) = (record(6, 7, b"f"), record(7, 7, b"m"), record(8, 7, b"l"));
        let hole = vec![0; middle.len()];
        let next = record(5, 7, b"next");
        assert_eq!(scan(&[&first, &hole, &last]), Verdict::GoOn);
        assert_eq!(scan(&[&first, &middle, &last, &next]), Verdict::GoOn);
        assert_eq!(scan(&[&first, &hole, &last, &next]), Verdict::Damaged { at: 12 });
        assert_eq!(scan(&[&first, &middle, &next]), Verdict::Damaged { at: 24 });
    }
}
