//! Tiles of the audit log (c2sp.org/tlog-tiles): what a path names, and its bytes.
//!
//! Must hold: one path for each tile; a tile that a log of some size has is whole and never changes. Tiles have 256 hashes
//! or records, or fewer where the path says so. The tree is that of [`crate::merkle`].

use crate::merkle::{Hashes, MerkleError, Reader};
use std::ops::Range;
use tlog_tiles::tile::Tile;

/// Hashes of a tile are those of 2^8 subtrees.
const HEIGHT: u8 = 8;
/// Hashes or records of a whole tile.
pub const WIDTH: u64 = 1 << HEIGHT;
/// Highest level of a tree of 2^64 records.
const LEVEL_MAX: u8 = 7;
/// Longest path, bytes: what the library reads, with its `/8` and without our first `/`.
const PATH_MAX: usize = 50;

/// A tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePath(Tile);

/// Why there are no bytes of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// The format has two bytes for the length of a record.
    #[error("a record of {0} bytes has no place in a tile of entries")]
    TooLong(usize),
    /// Ends inside a record.
    #[error("the tile of entries ends inside a record")]
    Short,
}

impl TilePath {
    /// Reads `/tile/L/N`, `/tile/L/N.p/W`, `/tile/entries/N` and `/tile/entries/N.p/W`, in their one spelling.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/tile/").filter(|_| path.len() <= PATH_MAX)?;
        let (level, number) = rest.split_once('/')?;
        // The library panics on levels that no tree has, and on a width of zero.
        let level = match level {
            "entries" => "data",
            level if (0..=LEVEL_MAX).any(|known| known.to_string() == level) => level,
            _ => return None,
        };
        if number.ends_with(".p/0") {
            return None;
        }
        Tile::from_path(&format!("tile/{HEIGHT}/{level}/{number}")).ok().map(Self)
    }

    /// The path of what the library calls by its own.
    #[must_use]
    pub fn of(tile: Tile) -> String {
        let path = tile.path();
        let rest = path.strip_prefix("tile/8/").unwrap_or(&path);
        rest.strip_prefix("data/")
            .map_or_else(|| format!("/tile/{rest}"), |number| format!("/tile/entries/{number}"))
    }

    /// Where its hashes or records lie in their level.
    fn range(&self) -> Option<Range<u64>> {
        let first = self.0.level_index().checked_mul(WIDTH)?;
        Some(first..first.checked_add(self.0.width().into())?)
    }

    /// Whether a log of `size` records has it.
    #[must_use]
    pub fn is_in(&self, size: u64) -> bool {
        let records = WIDTH.checked_pow(self.0.level().into());
        let end = self.range().zip(records).and_then(|(range, of)| range.end.checked_mul(of));
        end.is_some_and(|end| end <= size)
    }

    /// The records of a tile of entries; `None` for one of hashes.
    #[must_use]
    pub fn entries(&self) -> Option<Range<u64>> {
        self.range().filter(|_| self.0.is_data())
    }

    /// The bytes of a tile of hashes that the log has.
    ///
    /// # Errors
    /// [`MerkleError::Missing`].
    pub fn hashes<H: Hashes + ?Sized>(&self, hashes: &H) -> Result<Vec<u8>, MerkleError> {
        self.range().ok_or(MerkleError::Missing)?;
        self.0.read_data(&Reader(hashes)).map_err(|_read| MerkleError::Missing)
    }
}

/// The bytes of a tile of entries: each record behind its length, two bytes, big-endian.
///
/// # Errors
/// [`EntriesError::TooLong`].
pub fn pack(records: &[Vec<u8>]) -> Result<Vec<u8>, EntriesError> {
    let mut bytes = Vec::new();
    for record in records {
        let len =
            u16::try_from(record.len()).map_err(|_long| EntriesError::TooLong(record.len()))?;
        bytes.extend(len.to_be_bytes());
        bytes.extend(record);
    }
    Ok(bytes)
}

/// The records of a tile of entries.
///
/// # Errors
/// [`EntriesError::Short`].
pub fn unpack(mut bytes: &[u8]) -> Result<Vec<&[u8]>, EntriesError> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>().ok_or(EntriesError::Short)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (record, rest) = rest.split_at_checked(len).ok_or(EntriesError::Short)?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Frontier, leaf};
    use sekisho_types::id::Digest;
    use std::collections::BTreeMap;

    #[test]
    fn each_tile_has_one_path() {
        for path in
            ["/tile/0/000", "/tile/0/x123/456.p/7", "/tile/entries/012", "/tile/entries/000.p/255"]
        {
            let tile = TilePath::parse(path).unwrap();
            assert_eq!(TilePath::of(tile.0), path);
        }
        let long = format!("/tile/0/{}000", "x000/".repeat(9));
        for bad in [
            "/tile/0/0",
            "/tile/0/000.p/0",
            "/tile/0/000.p/256",
            "/tile/0/000.p/01",
            "/tile/00/000",
            "/tile/8/000",
            "/tile/64/000",
            "/tile/255/000",
            "/tile/data/000",
            "/tile/-1/000",
            "/tile/0/",
            "/tile/0",
            "/tile//000",
            "tile/0/000",
            "/checkpoint",
            &long,
            "/tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_log_has_the_tiles_that_are_whole() {
        let has = |path: &str, size| TilePath::parse(path).unwrap().is_in(size);
        assert!(has("/tile/0/000", 256) && !has("/tile/0/000", 255));
        assert!(has("/tile/0/000.p/7", 7) && !has("/tile/0/001.p/7", 262));
        assert!(has("/tile/entries/001.p/7", 263) && !has("/tile/entries/001.p/7", 262));
        assert!(has("/tile/1/000.p/1", 256) && !has("/tile/1/000.p/2", 511));
        assert!(!has("/tile/7/x018/x446/x744/x073/709", u64::MAX));
    }

    #[test]
    fn bytes_are_the_hashes_and_records_of_the_tree() {
        let (mut frontier, mut stored) = (Frontier::default(), BTreeMap::new());
        for n in 0..300_u16 {
            let appended = frontier.append(&n.to_le_bytes()).unwrap();
            stored.extend((appended.first_hash..).zip(appended.hashes));
        }
        let tile = TilePath::parse("/tile/0/001.p/44").unwrap();
        let bytes = tile.hashes(&stored).unwrap();
        let leaves: Vec<u8> = (256..300_u16).flat_map(|n| leaf(&n.to_le_bytes()).0).collect();
        assert_eq!((bytes, tile.entries()), (leaves, None));
        let missing = |_: u64| None::<Digest>;
        assert_eq!(tile.hashes(&missing), Err(MerkleError::Missing));
        let entries = TilePath::parse("/tile/entries/001.p/44").unwrap();
        assert_eq!(entries.entries(), Some(256..300));
    }

    #[test]
    fn entries_are_framed_and_bounded() {
        let records = vec![b"one".to_vec(), Vec::new(), vec![7; 0xffff]];
        let bytes = pack(&records).unwrap();
        assert_eq!(bytes[..5], *b"\0\x03one");
        assert_eq!(unpack(&bytes).unwrap(), records);
        assert_eq!(unpack(&bytes[..bytes.len() - 1]), Err(EntriesError::Short));
        assert_eq!(unpack(&[0]), Err(EntriesError::Short));
        assert_eq!(pack(&[vec![0; 0x1_0000]]), Err(EntriesError::TooLong(0x1_0000)));
    }
}
