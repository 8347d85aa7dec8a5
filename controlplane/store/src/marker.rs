//! The identity marker: whose data directory is this (R6)?
//!
//! Written once, durably, before any database; checked at each open before a database is touched. The boot count is
//! raised and synced at each open, so that a copy of the directory that starts later is behind what the peers saw; the
//! directory's own id tells it from another one that was set up for the same member. Asking the peers is not done here:
//! `raft` does, with the numbers of [`crate::Identity`].

use crate::envelope;
use crate::error::{StoreError, StoreResult};
use crate::file;
use crate::limit::FORMAT_VERSION;
use serde::{Deserialize, Serialize};
use std::path::Path;

const MARKER_FILE: &str = "identity";
const BOOT_FILE: &str = "boot";
/// What a data directory may hold before its marker is written: the lock and an unfinished marker.
const BEFORE_MARKER: [&str; 3] = ["lock", "identity.next", "lost+found"];

/// Who the caller is: cluster, its incarnation, and the member in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Cluster id, random at bootstrap.
    pub cluster_id: [u8; 16],
    /// Incarnation of the cluster: raised by a restore from backup.
    pub incarnation: u64,
    /// By which this life is told from another one of the same number: a ceremony may have been begun again.
    pub begun: [u8; 32],
    /// Raft member id; never reused.
    pub member_id: u64,
}

/// What the marker file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Layout of the data directory.
    pub format_version: u8,
    /// Whose directory it is.
    pub member: Member,
    /// Drawn when it was set up. Copies share it.
    pub directory: [u8; 16],
    /// When it was created, milliseconds since 1970, for people.
    pub created_unix_ms: u64,
}

/// Why a data directory is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// Empty directory, but the caller says that this member has data.
    #[error("data directory is empty, but this member was set up before")]
    Missing,
    /// Data without a marker.
    #[error("data directory has data but no identity marker")]
    MissingWithData,
    /// Written by another layout version.
    #[error("data directory has format version {found}, this program reads {FORMAT_VERSION}")]
    OtherFormat {
        /// Version found.
        found: u8,
    },
    /// Data of another cluster.
    #[error("data directory belongs to cluster {found}, not {expected}")]
    Foreign {
        /// Cluster id found, hexadecimal.
        found: String,
        /// Cluster id expected, hexadecimal.
        expected: String,
    },
    /// Data of another incarnation of this cluster.
    #[error("data directory belongs to incarnation {found}, not {expected}")]
    OtherIncarnation {
        /// Incarnation found.
        found: u64,
        /// Incarnation expected.
        expected: u64,
    },
    /// Data of the same incarnation, begun in another way.
    #[error("data directory belongs to another opening of incarnation {0}")]
    OtherOpening(u64),
    /// Data of another member of this cluster.
    #[error("data directory belongs to member {found}, not {expected}")]
    OtherMember {
        /// Member id found.
        found: u64,
        /// Member id expected.
        expected: u64,
    },
}

impl MarkerError {
    /// What a human can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing => {
                "if the disk was wiped or is not mounted: mount it, or remove the member and join a new one with a new id"
            }
            Self::MissingWithData => {
                "never add a marker by hand: restore the whole directory, or join a new member with an empty one"
            }
            Self::OtherFormat { .. } => {
                "run the release that wrote this directory, or upgrade step by step"
            }
            Self::Foreign { .. } | Self::OtherMember { .. } => {
                "point data_dir at this member's own directory"
            }
            Self::OtherIncarnation { .. } | Self::OtherOpening(_) => {
                "the cluster was restored: members of the old incarnation join anew with an empty directory"
            }
        }
    }
}

impl Marker {
    /// Refuses a directory that is not `expected`'s.
    ///
    /// # Errors
    /// `OtherFormat`, `Foreign`, `OtherIncarnation`, `OtherOpening` or `OtherMember`, in this order.
    pub fn check(&self, expected: &Member) -> Result<(), MarkerError> {
        let found = &self.member;
        if self.format_version != FORMAT_VERSION {
            return Err(MarkerError::OtherFormat { found: self.format_version });
        }
        if found.cluster_id != expected.cluster_id {
            let (found, expected) =
                (envelope::hex(&found.cluster_id), envelope::hex(&expected.cluster_id));
            return Err(MarkerError::Foreign { found, expected });
        }
        if found.incarnation != expected.incarnation {
            return Err(MarkerError::OtherIncarnation {
                found: found.incarnation,
                expected: expected.incarnation,
            });
        }
        if found.begun != expected.begun {
            return Err(MarkerError::OtherOpening(found.incarnation));
        }
        if found.member_id != expected.member_id {
            return Err(MarkerError::OtherMember {
                found: found.member_id,
                expected: expected.member_id,
            });
        }
        Ok(())
    }

    /// Reads the marker of `dir`.
    ///
    /// # Errors
    /// `Damaged` if there is one that cannot be read; `Io`.
    pub fn read(dir: &Path) -> StoreResult<Option<Self>> {
        let Some(bytes) = file::read(dir, MARKER_FILE)? else { return Ok(None) };
        let marker = postcard::from_bytes(&bytes);
        marker.map(Some).map_err(|e| StoreError::damaged(format!("identity marker: {e}")))
    }

    fn write(&self, dir: &Path) -> StoreResult<()> {
        let bytes = postcard::to_stdvec(self)
            .map_err(|e| StoreError::damaged(format!("identity marker: {e}")))?;
        file::replace(dir, MARKER_FILE, &bytes)
    }
}

/// The marker of `dir`, checked; written now if the directory is empty and `create_at_ms` is given.
pub(crate) fn claim(
    dir: &Path,
    expected: &Member,
    create_at_ms: Option<u64>,
) -> StoreResult<Marker> {
    if let Some(marker) = Marker::read(dir)? {
        marker.check(expected)?;
        return Ok(marker);
    }
    let failed = |e| StoreError::io("listing the data directory", dir, e);
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if !BEFORE_MARKER.iter().any(|known| name == *known) {
            return Err(MarkerError::MissingWithData.into());
        }
    }
    let created_unix_ms = create_at_ms.ok_or(MarkerError::Missing)?;
    let (format_version, directory) = (FORMAT_VERSION, rand::random());
    let marker = Marker { format_version, member: *expected, directory, created_unix_ms };
    marker.write(dir)?;
    Ok(marker)
}

/// The boot count of `dir`: 0 until the first open has finished.
pub(crate) fn boot_seq(dir: &Path) -> StoreResult<u64> {
    file::read(dir, BOOT_FILE)?.map_or(Ok(0), |bytes| envelope::be_u64(BOOT_FILE, &bytes))
}

/// Writes the boot count, durably.
pub(crate) fn set_boot_seq(dir: &Path, boot_seq: u64) -> StoreResult<()> {
    file::replace(dir, BOOT_FILE, &boot_seq.to_be_bytes())
}
