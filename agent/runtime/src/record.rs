//! How the small files of a runtime directory are written, so that a later agent, an earlier shim and the watchdog read
//! each other's (ADR 11).
//!
//! ```text
//! version (1 byte) | CRC-32C of the body (4 bytes, little-endian) | body (postcard)
//! ```
//! Must hold: a file is whole or not there; another version, a flipped bit and a cut are refused and never misread.
//! Does not know what a record means, nor whether it is of this boot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{limit, spare};

const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// The record.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are no record of this version.
    #[error("{0} is not a record of this version")]
    Malformed(PathBuf),
}

/// Whether a record has to survive the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Synced, and so is its directory.
    Durable,
    /// Not: what a crash of the host loses speaks of processes that the crash has ended.
    WhileUp,
}

/// The bytes of a record.
///
/// # Errors
/// When the value does not encode.
pub(crate) fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let body = postcard::to_allocvec(value).map_err(io::Error::other)?;
    let mut bytes = vec![VERSION];
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}

/// The value of a record; `None` for anything but its very bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
        return None;
    };
    let (crc, body) = rest.split_first_chunk::<CRC_BYTES>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
        return None;
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Some(value),
        Ok(_) | Err(_) => None,
    }
}

/// Puts a record in the place of the one of before.
///
/// # Errors
/// What the file system says; the one of before stands then.
pub(crate) fn write<T: Serialize>(dir: &Path, name: &str, value: &T, keep: Keep) -> io::Result<()> {
    let (spare, sync) = (spare_of(dir, name), keep == Keep::Durable);
    spare::fill(&spare, &encode(value)?, sync)?;
    spare::exchange(&spare, &dir.join(name), sync)
}

/// Keeps room for a record that has to be written on a full disk, too. One that is written again keeps its own.
///
/// # Errors
/// What the file system says: no room, mostly.
pub(crate) fn reserve(dir: &Path, name: &str) -> io::Result<()> {
    spare::keep(&spare_of(dir, name), limit::RECORD_BYTES_MAX)
}

fn spare_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.new"))
}

/// Reads a record; `None` if there is none.
///
/// # Errors
/// [`RecordError`] when one is there and cannot be read or understood.
pub(crate) fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<Option<T>, RecordError> {
    let path = dir.join(name);
    let io = |source| RecordError::Io { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit::RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
    decode(&bytes).map(Some).ok_or(RecordError::Malformed(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_very_bytes_are_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let value = ("日本".to_owned(), 7_u64);
        assert_eq!(read::<(String, u64)>(dir.path(), "r").unwrap(), None);
        fs::write(dir.path().join("r.new"), "leftover").unwrap();
        for keep in [Keep::Durable, Keep::WhileUp] {
            write(dir.path(), "r", &value, keep).unwrap();
            assert_eq!(read(dir.path(), "r").unwrap(), Some(value.clone()));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "it and room for the next");
        let good = encode(&value).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode::<(String, u64)>(&bytes), None, "bit {bit}");
        }
        for length in 0..good.len() {
            fs::write(dir.path().join("r"), &good[..length]).unwrap();
            let read = read::<(String, u64)>(dir.path(), "r");
            assert!(matches!(read, Err(RecordError::Malformed(_))), "cut at {length}");
        }
        let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
        assert_eq!(decode::<(String, u64)>(&longer), None);
    }
}
