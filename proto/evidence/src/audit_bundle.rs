//! The file that `audit export` writes: everything that an auditor needs, with no cluster at hand (A1).
//!
//! Layout: [`MAGIC`], the [`AuditBundleHead`], each record, the tail, each entry of the members' journals of denials, each
//! evidence of a fork, then the SHA-256 of all that precedes it. Parts stand as length (four bytes, big-endian) and bytes;
//! head and tail are canonical. Written and read in one pass, so that an export of a million records needs no memory of
//! its size. A controller writes a bundle without journals; whoever exports adds them, one member's after the other
//! ([`BundleExtender`]).
//!
//! Must hold: one spelling; a changed, missing or added byte is noticed before anything is believed. The trailer only
//! finds damage: what may be *believed* follows from the checkpoint's signatures, which the verifier checks against
//! operators' keys that it knows, not against those in the file.

mod rest;

pub use rest::{BundleRest, ENTRIES_MAX, FORKS_MAX, JOURNALS_MAX, Journal, Kept};

use crate::canonical::{CanonicalError, decode, encode};
use crate::frame::{FrameError, frame, unframe};
use crate::genesis::SignedGenesis;
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// First bytes of a bundle.
pub const MAGIC: &[u8; 16] = b"sekisho-audit-2\n";
/// The format that this program writes.
pub const FORMAT: u32 = 2;
/// Largest head, bytes: genesis, note and the roots of 16 operators stay below 256 KiB.
pub const HEAD_MAX: usize = 1024 * 1024;
/// Largest record, bytes: an entry without its payload has at most 256 KiB, its record a few bytes more.
pub const RECORD_MAX: usize = 512 * 1024;

/// What stands before the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBundleHead {
    /// [`FORMAT`].
    pub format: u32,
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The signed beginning: operators, keys, first members. The first record repeats it.
    pub genesis: SignedGenesis,
    /// SHA-256 of the jurisdiction table that everything was judged by.
    pub table: Digest,
    /// Signed note over exactly [`AuditBundleHead::count`] records, by at least k operators.
    pub note: Vec<u8>,
    /// Records that follow, from index 0.
    pub count: u64,
}

/// A bundle as read; records and the rest lie in the caller's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBundle<'b> {
    /// What stands before the records.
    pub head: AuditBundleHead,
    /// Canonical bytes of each record, by index.
    pub records: Vec<&'b [u8]>,
    /// What stands behind them.
    pub rest: BundleRest<&'b [u8]>,
}

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBundleError {
    /// Another kind of file, or a newer format.
    #[error("not an audit bundle of format {FORMAT}")]
    Format,
    /// Ends too early, goes on too long, or the trailer differs.
    #[error("the audit bundle is damaged: {0}")]
    Damaged(&'static str),
    /// Head or tail is not in canonical form.
    #[error("the audit bundle's head or tail is not readable")]
    Head(#[from] CanonicalError),
    /// More than a bundle may hold.
    #[error("a part of the audit bundle is larger than its bound")]
    TooLarge,
}

impl From<FrameError> for AuditBundleError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::TooLarge,
            // Of bytes in memory nothing but their end can be met.
            FrameError::Short | FrameError::Io(_) => Self::Damaged("it ends inside a part"),
        }
    }
}

/// Writes a bundle piece by piece: [`BundleWriter::start`], each record in order, [`BundleWriter::finish`].
#[derive(Debug, Clone)]
pub struct BundleWriter {
    hash: sha2::Sha256,
    left: u64,
}

impl BundleWriter {
    /// Begins a bundle; the bytes come first in the file.
    ///
    /// # Errors
    /// [`AuditBundleError::TooLarge`]; [`AuditBundleError::Format`] for a head of another format.
    pub fn start(head: &AuditBundleHead) -> Result<(Self, Vec<u8>), AuditBundleError> {
        if head.format != FORMAT {
            return Err(AuditBundleError::Format);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(frame(&encode(head)?, HEAD_MAX)?);
        let mut writer = Self { hash: sha2::Sha256::new(), left: head.count };
        writer.hash.update(&bytes);
        Ok((writer, bytes))
    }

    /// The bytes of the next record.
    ///
    /// # Errors
    /// [`AuditBundleError::TooLarge`]; [`AuditBundleError::Damaged`] for more records than the head announced.
    pub fn record(&mut self, record: &[u8]) -> Result<Vec<u8>, AuditBundleError> {
        let more = AuditBundleError::Damaged("more records than announced");
        self.left = self.left.checked_sub(1).ok_or(more)?;
        let bytes = frame(record, RECORD_MAX)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// The last bytes, with nothing behind the records.
    ///
    /// # Errors
    /// As [`BundleWriter::finish_with`].
    pub fn finish(self) -> Result<Vec<u8>, AuditBundleError> {
        self.finish_with(&BundleRest::<Vec<u8>>::default())
    }

    /// The last bytes, with what stands behind the records.
    ///
    /// # Errors
    /// [`AuditBundleError::Damaged`] if records are missing; [`AuditBundleError::TooLarge`].
    pub fn finish_with<B: AsRef<[u8]>>(
        self,
        rest: &BundleRest<B>,
    ) -> Result<Vec<u8>, AuditBundleError> {
        if self.left > 0 {
            return Err(AuditBundleError::Damaged("fewer records than announced"));
        }
        end(self.hash, rest)
    }
}

fn end<B: AsRef<[u8]>>(
    mut hash: sha2::Sha256,
    rest: &BundleRest<B>,
) -> Result<Vec<u8>, AuditBundleError> {
    let mut bytes = rest.bytes()?;
    hash.update(&bytes);
    bytes.extend(hash.finalize());
    Ok(bytes)
}

/// Takes a bundle with nothing behind its records off a wire, chunk by chunk, and ends it otherwise. What comes out may be
/// written at once: only the end is held back.
#[derive(Debug)]
pub struct BundleExtender {
    hash: sha2::Sha256,
    /// The last bytes seen, as many as the end of such a bundle has.
    held: Vec<u8>,
    end: Vec<u8>,
}

impl BundleExtender {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// Never; see [`encode`].
    pub fn start() -> Result<Self, AuditBundleError> {
        let end = BundleRest::<Vec<u8>>::default().bytes()?;
        Ok(Self { hash: sha2::Sha256::new(), held: Vec::new(), end })
    }

    /// The bytes to write after this chunk.
    #[must_use]
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let keep = self.end.len().saturating_add(32);
        let ready = self.held.len().saturating_sub(keep);
        let rest = self.held.split_off(ready);
        let ready = std::mem::replace(&mut self.held, rest);
        self.hash.update(&ready);
        ready
    }

    /// The last bytes, once the wire has said that it is over.
    ///
    /// # Errors
    /// [`AuditBundleError::Damaged`] if what came was not whole.
    pub fn finish<B: AsRef<[u8]>>(self, rest: &BundleRest<B>) -> Result<Vec<u8>, AuditBundleError> {
        let due = self.hash.clone().chain_update(&self.end).finalize();
        if self.held != [self.end.as_slice(), &due].concat() {
            return Err(AuditBundleError::Damaged("it did not arrive whole"));
        }
        end(self.hash, rest)
    }
}

impl<'b> AuditBundle<'b> {
    /// Reads a bundle: form and trailer only. Nothing in it is believed yet.
    ///
    /// # Errors
    /// [`AuditBundleError`].
    pub fn open(bytes: &'b [u8]) -> Result<Self, AuditBundleError> {
        let (body, trailer) = bytes
            .split_last_chunk::<32>()
            .filter(|(body, _)| body.starts_with(MAGIC))
            .ok_or(AuditBundleError::Format)?;
        if Digest::of(body).0 != *trailer {
            return Err(AuditBundleError::Damaged("its checksum differs"));
        }
        let mut left = body.get(MAGIC.len()..).unwrap_or_default();
        let head: AuditBundleHead = decode(unframe(&mut left, HEAD_MAX)?)?;
        if head.format != FORMAT {
            return Err(AuditBundleError::Format);
        }
        // Each record takes four bytes at least: a lying count cannot reserve memory.
        let most = left.len().checked_div(4).unwrap_or(0);
        let count = usize::try_from(head.count).map_err(|_range| AuditBundleError::TooLarge)?;
        let mut records = Vec::with_capacity(count.min(most));
        for _ in 0..count {
            records.push(unframe(&mut left, RECORD_MAX)?);
        }
        let rest = BundleRest::read(&mut left)?;
        if !left.is_empty() {
            return Err(AuditBundleError::Damaged("it goes on behind its end"));
        }
        Ok(Self { head, records, rest })
    }
}

#[cfg(test)]
mod tests;
