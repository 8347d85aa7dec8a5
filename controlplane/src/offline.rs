//! A backup of a member that does not run: `sekisho-controller save`.
//!
//! For the day on which too few members are left to ask any of them. Must hold: the directory's lock is taken, so that the
//! member is really stopped, and nothing in it is changed but what every opening changes; the file is sealed like any
//! other backup and leaves under its name only once it is whole and durable.

use crate::config::Config;
use crate::covered;
use crate::trust;
use anyhow::{Context as _, Result, bail};
use sekisho_evidence::merkle::Head;
use sekisho_evidence::snapshot_file::{FORMAT, SnapshotHead, SnapshotWriter};
use sekisho_raft::offline::{self, Offline};
use sekisho_store::Store;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::part::{Part, Synced};
use sekisho_transport::seal::seal;
use sekisho_types::id::Digest;
use sekisho_types::time::{Clock as _, Timestamp};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

/// Records that are read from the store at once, bytes.
const RECORDS_BYTES: usize = 1024 * 1024;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Index of the last entry.
    pub last: u64,
    /// Records in the file.
    pub records: u64,
}

/// Writes a backup of the member that `config` describes to `out`, which must not exist.
///
/// # Errors
/// What is missing or does not fit, in words; the member runs.
pub fn save(config: &Config, out: &Path) -> Result<Saved> {
    if out.exists() {
        bail!("{} is there already", out.display());
    }
    let ground = trust::Ground::read(config)?;
    let request = ground.open_request(config, None, Arc::new(SystemClock));
    let store = Store::open(&request)
        .with_context(|| format!("data directory {}", config.data_dir.display()))?;
    let offline = offline::read(&store, ground.origin()).context("reading the stopped member")?;
    let part = Part::create(out)?;
    let writing = format!("writing {}", part.path().display());
    let written = write(&store, &offline, part, SystemClock.wall());
    let (saved, synced) = written.context(writing)?;
    synced.take_name()?;
    Ok(saved)
}

fn head(store: &Store, offline: &Offline, saved: Timestamp) -> Result<SnapshotHead> {
    let (state, moment) = (&offline.state, &offline.moment);
    let federation = state.federation().context("the federation has not begun here")?;
    let head: Head = state.audit_head()?;
    // What lies past it nobody had signed yet: its own outcome is unknown to whoever asked for it (R3).
    let note = covered::kept(store).filter(|note| note.size <= head.size);
    Ok(SnapshotHead {
        format: FORMAT,
        package: federation.package(),
        incarnation: federation.incarnation,
        saved,
        revision: state.revision(),
        last_log: moment.last_log,
        voters: moment.voters.clone(),
        head,
        image: Digest::of(&moment.image),
        image_len: u64::try_from(moment.image.len())?,
        note: note.map(|note| note.bytes),
        consistency: Vec::new(),
    })
}

fn write(
    store: &Store,
    offline: &Offline,
    part: Part,
    saved: Timestamp,
) -> Result<(Saved, Synced)> {
    let head = head(store, offline, saved)?;
    let federation = offline.state.federation().context("the federation has not begun here")?;
    let sealed = seal(&federation.bundle.backup_keys(), BufWriter::new(part))?;
    let mut writer = SnapshotWriter::start(sealed, &head, &offline.moment.image)?;
    let mut next = 0u64;
    while next < offline.stored {
        let records = store.audit().records(next..offline.stored, RECORDS_BYTES)?;
        if records.is_empty() {
            bail!("audit records under the snapshot are missing from {next} on");
        }
        for record in &records {
            writer.record(record)?;
            next = next.saturating_add(1);
        }
    }
    for record in &offline.tail {
        writer.record(record)?;
    }
    let part =
        writer.finish()?.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    // The caller names the file.
    let synced = part.sync().map_err(|error| error.cause)?;
    Ok((Saved { last: head.last_log.index, records: head.head.size }, synced))
}
