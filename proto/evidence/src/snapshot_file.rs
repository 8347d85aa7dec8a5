//! What a backup holds, before it is sealed: one moment of the federation, and every audit record up to it.
//!
//! Layout: [`MAGIC`], then the canonical [`SnapshotHead`], the image in parts of [`IMAGE_PART`] and each record, all of
//! them as length and bytes, then the SHA-256 of all that precedes it. Written and read in one pass, so that the records
//! need no memory of their size.
//!
//! Must hold: one spelling; a changed, missing or added byte is noticed before the end is told. The trailer only finds
//! damage: what may be *believed* follows from the note under operators' keys that the reader knows.
//! Does not know: what is in the image. It is bytes here.

use crate::audit_bundle::RECORD_MAX;
use crate::canonical::{CanonicalError, decode, encode};
use crate::frame::{FrameError, fill, frame, read_frame};
use crate::merkle::Head;
use crate::package::{PACKAGE_MAX, TrustPackage};
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};

/// First bytes of the file.
pub const MAGIC: &[u8; 15] = b"sekisho-snap-1\n";
/// The format that this program writes.
pub const FORMAT: u8 = 1;
/// Bytes of each part of the image but the last.
pub const IMAGE_PART: usize = 1024 * 1024;
/// Largest image, bytes: a state that its members no longer hold in memory.
pub const IMAGE_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Largest head, bytes: the trust package, and what little there is beside it.
pub const HEAD_MAX: usize = PACKAGE_MAX + 256 * 1024;

/// Where the log of the saving member ended. The greater one has every committed entry that the lesser has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LastLog {
    /// Term of the last entry.
    pub term: u64,
    /// Who led that term.
    pub leader: MemberId,
    /// Index of the last entry.
    pub index: u64,
}

/// What stands before the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// [`FORMAT`].
    pub format: u8,
    /// The way from the genesis to the bundle in force.
    pub package: TrustPackage,
    /// Which life of the federation.
    pub incarnation: Incarnation,
    /// When it was saved, by the member's clock.
    pub saved: Timestamp,
    /// Of the state.
    pub revision: Revision,
    /// Where the log ends.
    pub last_log: LastLog,
    /// Who votes in the group.
    pub voters: BTreeSet<MemberId>,
    /// Of the audit log in the state; as many records follow.
    pub head: Head,
    /// SHA-256 of the image.
    pub image: Digest,
    /// Bytes of the image.
    pub image_len: u64,
    /// Signed by k operators: at or past `head` in a file that a running member saved; before it where entries follow
    /// that nobody had signed when the member stopped.
    pub note: Option<Vec<u8>>,
    /// Shows that a note past `head` extends it.
    pub consistency: Vec<Digest>,
}

/// Why bytes are no snapshot file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// Another kind of file, or a newer format.
    #[error("not a snapshot file of format {FORMAT}")]
    Format,
    /// Ends too early, goes on too long, or something in it is not what the head or the trailer says.
    #[error("the snapshot file is damaged: {0}")]
    Damaged(&'static str),
    /// The head is not in canonical form.
    #[error("the snapshot file's head is not readable")]
    Head(#[from] CanonicalError),
    /// More than a file may hold.
    #[error("a part of the snapshot file is larger than its bound")]
    TooLarge,
    /// It cannot be read or written.
    #[error("the snapshot file cannot be read or written")]
    Io(#[from] io::Error),
}

impl From<FrameError> for SnapshotFileError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::TooLarge,
            FrameError::Short => Self::Damaged("it ends inside a part"),
            FrameError::Io(error) => Self::Io(error),
        }
    }
}

/// Writes a file: [`SnapshotWriter::start`], each record in order, [`SnapshotWriter::finish`].
#[derive(Debug)]
pub struct SnapshotWriter<W> {
    out: W,
    hash: sha2::Sha256,
    left: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Writes everything that stands before the records.
    ///
    /// # Errors
    /// [`SnapshotFileError`]; [`SnapshotFileError::Damaged`] for an image that is not the head's.
    pub fn start(out: W, head: &SnapshotHead, image: &[u8]) -> Result<Self, SnapshotFileError> {
        if head.format != FORMAT {
            return Err(SnapshotFileError::Format);
        }
        let len = u64::try_from(image.len()).map_err(|_range| SnapshotFileError::TooLarge)?;
        if len > IMAGE_MAX {
            return Err(SnapshotFileError::TooLarge);
        }
        if head.image_len != len || head.image != Digest::of(image) {
            return Err(SnapshotFileError::Damaged("the image is another one"));
        }
        let mut writer = Self { out, hash: sha2::Sha256::new(), left: head.head.size };
        writer.put(MAGIC)?;
        writer.put(&frame(&encode(head)?, HEAD_MAX)?)?;
        for part in image.chunks(IMAGE_PART) {
            writer.put(&frame(part, IMAGE_PART)?)?;
        }
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// [`SnapshotFileError`]; [`SnapshotFileError::Damaged`] for more records than the head's tree has.
    pub fn record(&mut self, record: &[u8]) -> Result<(), SnapshotFileError> {
        let more = SnapshotFileError::Damaged("more records than announced");
        self.left = self.left.checked_sub(1).ok_or(more)?;
        Ok(self.put(&frame(record, RECORD_MAX)?)?)
    }

    /// Writes the last bytes.
    ///
    /// # Errors
    /// [`SnapshotFileError::Damaged`] if records are missing; [`SnapshotFileError::Io`].
    pub fn finish(mut self) -> Result<W, SnapshotFileError> {
        if self.left > 0 {
            return Err(SnapshotFileError::Damaged("fewer records than announced"));
        }
        self.out.write_all(&self.hash.finalize())?;
        Ok(self.out)
    }
}

/// Hashes what passes through.
#[derive(Debug)]
struct Hashing<R> {
    from: R,
    hash: sha2::Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A file whose head was read. Nothing in it is believed yet.
#[derive(Debug)]
pub struct SnapshotReader<R> {
    from: Hashing<R>,
    head: SnapshotHead,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`SnapshotFileError`].
    pub fn open(from: R) -> Result<Self, SnapshotFileError> {
        let mut from = Hashing { from, hash: sha2::Sha256::new() };
        let mut magic = [0; MAGIC.len()];
        match fill(&mut from, &mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) | Err(FrameError::Short) => return Err(SnapshotFileError::Format),
            Err(other @ (FrameError::TooLarge | FrameError::Io(_))) => return Err(other.into()),
        }
        let head: SnapshotHead = decode(&read_frame(&mut from, HEAD_MAX)?)?;
        if head.format != FORMAT {
            return Err(SnapshotFileError::Format);
        }
        if head.image_len > IMAGE_MAX {
            return Err(SnapshotFileError::TooLarge);
        }
        Ok(Self { from, head })
    }

    /// What the file says about itself.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Reads the image, which is the head's.
    ///
    /// # Errors
    /// [`SnapshotFileError`].
    pub fn image(mut self) -> Result<(Vec<u8>, RecordReader<R>), SnapshotFileError> {
        let mut image = Vec::new();
        let mut left = self.head.image_len;
        while left > 0 {
            let part = read_frame(&mut self.from, IMAGE_PART)?;
            // Each part as long as it can be, or one image would have many files.
            let due = usize::try_from(left).unwrap_or(usize::MAX).min(IMAGE_PART);
            if part.len() != due {
                return Err(SnapshotFileError::Damaged("a part of the image has another length"));
            }
            left = left.saturating_sub(u64::try_from(due).unwrap_or(u64::MAX));
            image.extend_from_slice(&part);
        }
        if Digest::of(&image) != self.head.image {
            return Err(SnapshotFileError::Damaged("the image is another one"));
        }
        Ok((image, RecordReader { from: self.from, left: self.head.head.size }))
    }
}

/// The records of a file.
#[derive(Debug)]
pub struct RecordReader<R> {
    from: Hashing<R>,
    left: u64,
}

impl<R: Read> RecordReader<R> {
    /// The next record; `None` after the last one, once the trailer is found good and nothing follows it.
    ///
    /// # Errors
    /// [`SnapshotFileError`].
    pub fn next_record(&mut self) -> Result<Option<Vec<u8>>, SnapshotFileError> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return Ok(Some(read_frame(&mut self.from, RECORD_MAX)?));
        }
        let (due, mut trailer, mut more) = (self.from.hash.clone().finalize(), [0; 32], [0; 1]);
        fill(&mut self.from, &mut trailer)?;
        if trailer != *due {
            return Err(SnapshotFileError::Damaged("its checksum differs"));
        }
        match fill(&mut self.from, &mut more) {
            Err(FrameError::Short) => Ok(None),
            Ok(()) => Err(SnapshotFileError::Damaged("it goes on behind its end")),
            Err(other @ (FrameError::TooLarge | FrameError::Io(_))) => Err(other.into()),
        }
    }
}

#[cfg(test)]
mod tests;
