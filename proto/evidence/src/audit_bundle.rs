//! The file that `audit export` writes: everything that an auditor needs, with no cluster at hand (A1).
//!
//! Layout: [`MAGIC`], then length and canonical bytes of the [`AuditBundleHead`], then each record as length and
//! bytes, then the SHA-256 of all that precedes it. Lengths are four bytes, big-endian. Written and read in one pass,
//! so that an export of a million records needs no memory of its size.
//!
//! Must hold: one spelling; a changed, missing or added byte is noticed before anything is believed. The trailer only
//! finds damage: what may be *believed* follows from the checkpoint's signatures, which the verifier checks against
//! operators' keys that it knows, not against those in the file.

use crate::canonical::{CanonicalError, decode, encode};
use crate::frame::{FrameError, frame, unframe};
use crate::genesis::SignedGenesis;
use sekisho_types::id::{ClusterId, Digest};
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// First bytes of a bundle.
pub const MAGIC: &[u8; 16] = b"sekisho-audit-1\n";
/// The format that this program writes.
pub const FORMAT: u32 = 1;
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

/// A bundle as read; the records lie in the caller's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBundle<'b> {
    /// What stands before the records.
    pub head: AuditBundleHead,
    /// Canonical bytes of each record, by index.
    pub records: Vec<&'b [u8]>,
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
    /// The head is not in canonical form.
    #[error("the audit bundle's head is not readable")]
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

    /// The last bytes.
    ///
    /// # Errors
    /// [`AuditBundleError::Damaged`] if records are missing.
    pub fn finish(self) -> Result<Vec<u8>, AuditBundleError> {
        if self.left > 0 {
            return Err(AuditBundleError::Damaged("fewer records than announced"));
        }
        Ok(self.hash.finalize().to_vec())
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
        let mut rest = body.get(MAGIC.len()..).unwrap_or_default();
        let head: AuditBundleHead = decode(unframe(&mut rest, HEAD_MAX)?)?;
        if head.format != FORMAT {
            return Err(AuditBundleError::Format);
        }
        // Each record takes four bytes at least: a lying count cannot reserve memory.
        let most = rest.len().checked_div(4).unwrap_or(0);
        let count = usize::try_from(head.count).map_err(|_range| AuditBundleError::TooLarge)?;
        let mut records = Vec::with_capacity(count.min(most));
        while !rest.is_empty() {
            records.push(unframe(&mut rest, RECORD_MAX)?);
        }
        if records.len() != count {
            return Err(AuditBundleError::Damaged("its count of records differs"));
        }
        Ok(Self { head, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::EndorserBundle;
    use crate::genesis::Genesis;
    use sekisho_types::time::Timestamp;

    fn head(count: u64) -> AuditBundleHead {
        let cluster = ClusterId([1; 16]);
        let incarnation = Incarnation(1);
        let bundle = EndorserBundle {
            cluster,
            incarnation,
            version: 1,
            terms: Digest([0; 32]),
            k: 1,
            endorsers: Vec::new(),
            operators: Vec::new(),
        };
        let genesis = Genesis {
            bundle,
            created: Timestamp(1),
            table: Digest([2; 32]),
            sites: Vec::new(),
            members: Vec::new(),
            keys: Vec::new(),
            roots: Vec::new(),
            dev: true,
        };
        AuditBundleHead {
            format: FORMAT,
            cluster,
            incarnation,
            genesis: SignedGenesis { genesis, signatures: Vec::new() },
            table: Digest([2; 32]),
            note: b"note".to_vec(),
            count,
        }
    }

    fn bundle(records: &[&[u8]]) -> Vec<u8> {
        let (mut writer, mut bytes) = BundleWriter::start(&head(records.len() as u64)).unwrap();
        for record in records {
            bytes.extend(writer.record(record).unwrap());
        }
        bytes.extend(writer.finish().unwrap());
        bytes
    }

    #[test]
    fn a_bundle_round_trips_and_every_changed_byte_is_noticed() {
        let records: [&[u8]; 3] = [b"one", b"", b"three"];
        let bytes = bundle(&records);
        let opened = AuditBundle::open(&bytes).unwrap();
        assert_eq!((opened.head, opened.records), (head(3), records.to_vec()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            AuditBundle::open(&changed).unwrap_err();
            AuditBundle::open(&bytes[..at]).unwrap_err();
        }
        AuditBundle::open(&[&bytes[..], b"x"].concat()).unwrap_err();
    }

    #[test]
    fn a_count_that_lies_is_refused_under_a_good_checksum() {
        let (mut writer, mut bytes) = BundleWriter::start(&head(2)).unwrap();
        bytes.extend(writer.record(b"one").unwrap());
        writer.clone().finish().unwrap_err();
        let digest = Digest::of(&bytes);
        bytes.extend(digest.0);
        assert!(matches!(AuditBundle::open(&bytes), Err(AuditBundleError::Damaged(_))));
        writer.record(b"two").unwrap();
        writer.record(b"three").unwrap_err();
        assert_eq!(
            writer.record(&vec![0; RECORD_MAX + 1]),
            Err(AuditBundleError::Damaged("more records than announced"))
        );
        let (mut writer, _) = BundleWriter::start(&head(1)).unwrap();
        assert_eq!(writer.record(&vec![0; RECORD_MAX + 1]), Err(AuditBundleError::TooLarge));
    }
}
