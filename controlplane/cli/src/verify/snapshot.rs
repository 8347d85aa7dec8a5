//! Offline inspection of a backup: what it is, and whether it may be restored from.
//!
//! Must hold: nobody and nothing is asked but the file, and the genesis to believe in. The image is believed only if the
//! records give it again, and the records only if k operators have signed a head at or past theirs, or at least one of
//! their own beginning; then the subject says how many follow that nobody signed.
//! Does not judge the promises again; `audit verify` does, and a backup holds the same records.

use super::report::{Report, Step};
use super::{log, replay};
use sekisho_evidence::checkpoint::{VerifiedCheckpoint, verify_note};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::merkle::check_consistency;
use sekisho_evidence::package::Trust;
use sekisho_evidence::record::Record;
use sekisho_evidence::snapshot_file::{SnapshotFileError, SnapshotHead, SnapshotReader};
use sekisho_fsm::State;
use sekisho_fsm::image::Image;
use sekisho_transport::pki::backup::recipient;
use sekisho_types::error_code::ErrorCode;
use serde::Serialize;
use std::error::Error;
use std::io::Read;

/// What a file says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Federation.
    pub cluster: String,
    /// Which life of it.
    pub incarnation: u64,
    /// SHA-256 of the endorser bundle in the genesis: compare it with what your operators published.
    pub fingerprint: String,
    /// Made by `sekisho dev`: one person may have signed for all.
    pub dev: bool,
    /// Of the state.
    pub revision: u64,
    /// When it was saved, by the member's clock.
    pub saved: String,
    /// Term, leader and index of the last entry.
    pub last_log: String,
    /// Records in it.
    pub records: u64,
    /// Root over them.
    pub root: String,
    /// Operators whose signatures under the note verified.
    pub signed_by: Vec<String>,
    /// Records under the note.
    pub signed_records: u64,
    /// State clock of the note.
    pub signed_at: String,
    /// The controllers, with their operators.
    pub members: Vec<String>,
    /// Who votes.
    pub voters: Vec<String>,
    /// Whose backup keys it is sealed to, and which.
    pub recipients: Vec<String>,
    /// How much of everything is in the state.
    pub counts: Counts,
}

/// Rows of the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sites.
    pub sites: usize,
    /// GPU hosts.
    pub nodes: usize,
    /// Customers.
    pub tenants: usize,
    /// Jobs.
    pub jobs: usize,
    /// Placements.
    pub placements: usize,
    /// Bytes of the image.
    pub image_bytes: u64,
}

/// Everything that a file holds.
struct Whole {
    head: SnapshotHead,
    image: Vec<u8>,
    records: Vec<Vec<u8>>,
}

/// A file that passed, for whoever goes on from it.
#[derive(Debug)]
pub struct Good {
    /// What stands before the image.
    pub head: SnapshotHead,
    /// The state in it.
    pub state: State,
    /// Its audit records.
    pub records: Vec<Vec<u8>>,
}

/// Inspects a file of `size` bytes that is opened already, against `trusted` if there is a genesis to believe in. What it
/// holds comes back if every step passed.
#[must_use]
pub fn inspect<R: Read>(
    size: usize,
    from: R,
    trusted: Option<&SignedGenesis>,
) -> (Subject, Report, Option<Good>) {
    let (mut subject, mut report) = (Subject::default(), Report::over(&Step::SNAPSHOT));
    let mut good = None;
    match read(from) {
        Ok(whole) => {
            report.passed(Step::File, size);
            subject.describe(&whole.head);
            // A step says itself what it found; what it stops at, the ones behind it are not checked for.
            match check(&whole, trusted, &mut subject, &mut report) {
                Ok(state) => good = Some(Good { head: whole.head, state, records: whole.records }),
                Err((step, why)) => report.failed(step, why),
            }
        }
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            report.failed(Step::File, format!("{error}{cause}"));
        }
    }
    (subject, report, good)
}

fn read<R: Read>(from: R) -> Result<Whole, SnapshotFileError> {
    let reader = SnapshotReader::open(from)?;
    let head = reader.head().clone();
    let (image, mut rest) = reader.image()?;
    let mut records = Vec::new();
    while let Some(record) = rest.next_record()? {
        records.push(record);
    }
    Ok(Whole { head, image, records })
}

fn check(
    whole: &Whole,
    trusted: Option<&SignedGenesis>,
    subject: &mut Subject,
    report: &mut Report,
) -> Result<State, (Step, String)> {
    let Whole { head, image, records: raw } = whole;
    let raw: Vec<&[u8]> = raw.iter().map(Vec::as_slice).collect();
    let trust = trust(head, trusted).map_err(|why| (Step::Trust, why))?;
    report.passed(Step::Trust, trust.bundle.operators.len());
    subject.trusts(&trust);
    let records = log::records(&raw).map_err(|why| (Step::Records, why))?;
    report.passed(Step::Records, records.len());
    let signed = signed(head, &trust, &raw, &records).map_err(|why| (Step::Head, why))?;
    report.passed(Step::Head, signed.operators.len());
    subject.signed_by(&signed);
    let (entries, state) = restored(head, image, &raw)
        .map_err(|why| (Step::Image, format!("{}: {why}", ErrorCode::SnapshotMismatch)))?;
    report.passed(Step::Image, entries);
    subject.counts(&state, head.image_len);
    Ok(state)
}

/// The package begins with a genesis that stands, and leads to the bundle in force.
fn trust(head: &SnapshotHead, trusted: Option<&SignedGenesis>) -> Result<Trust, String> {
    let genesis = &head.package.genesis;
    log::genesis(genesis, trusted)?;
    let trust = head.package.walk(&genesis.genesis.bundle).map_err(|error| error.to_string())?;
    if trust.bundle.incarnation != head.incarnation {
        return Err("head and trust package name different incarnations".to_owned());
    }
    Ok(trust)
}

/// The records are those of the head, and k operators of the bundle in force have signed at or past it, or before.
fn signed(
    head: &SnapshotHead,
    trust: &Trust,
    raw: &[&[u8]],
    records: &[Record],
) -> Result<VerifiedCheckpoint, String> {
    let own = log::tree(raw)?;
    if own != head.head {
        return Err(format!(
            "the state has {} records with root {}, the file {} with root {}",
            head.head.size, head.head.root, own.size, own.root
        ));
    }
    let endorsers = log::endorsers(&head.package.genesis.genesis.bundle, records)?;
    if endorsers != trust.bundle {
        return Err("records and trust package lead to different endorser bundles".to_owned());
    }
    let note = head.note.as_ref().ok_or("no operator has signed any of it")?;
    let signed = verify_note(&endorsers, note).map_err(|error| error.to_string())?;
    let covers = signed.checkpoint.head;
    let under = usize::try_from(covers.size).unwrap_or(usize::MAX).min(raw.len());
    if covers.size >= own.size {
        check_consistency(covers, own, &head.consistency).map_err(|error| error.to_string())?;
    } else if log::tree(raw.get(..under).unwrap_or_default())? != covers {
        return Err("the signed head is not one of these records'".to_owned());
    }
    let late = |record: &&Record| record.revision > signed.checkpoint.revision;
    if records.get(..under).unwrap_or_default().last().is_some_and(|last| late(&last)) {
        return Err("the checkpoint is older than the last record under it".to_owned());
    }
    Ok(signed)
}

/// The image, once the records have given the same tables.
fn restored(head: &SnapshotHead, image: &[u8], raw: &[&[u8]]) -> Result<(usize, State), String> {
    let image = Image::decode(image).map_err(|error| error.to_string())?;
    let state = &image.state;
    let (entries, replayed) = replay::replay(&head.package.genesis, raw)?;
    if let Some(table) = state.differs(&replayed) {
        return Err(format!("table `{table}` is not what the records give"));
    }
    if let Some(payload) = image.lacks() {
        return Err(format!("payload {payload} is missing"));
    }
    let package = state.federation().map(sekisho_fsm::state::Federation::package);
    if package.as_ref() != Some(&head.package) {
        return Err("the trust package is not the state's".to_owned());
    }
    if state.revision() != head.revision || state.revision() < replayed.revision() {
        return Err(format!("the state is of revision {}", state.revision()));
    }
    Ok((entries, image.state))
}

impl Subject {
    fn describe(&mut self, head: &SnapshotHead) {
        let genesis = &head.package.genesis.genesis;
        let last = head.last_log;
        *self = Self {
            cluster: genesis.bundle.cluster.to_string(),
            incarnation: head.incarnation.0,
            fingerprint: genesis.bundle.hash().map(|hash| hash.to_string()).unwrap_or_default(),
            dev: genesis.dev,
            revision: head.revision.0,
            saved: head.saved.to_string(),
            last_log: format!("{}/{}/{}", last.term, last.leader, last.index),
            records: head.head.size,
            root: head.head.root.to_string(),
            voters: head.voters.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
    }

    fn trusts(&mut self, trust: &Trust) {
        let member = |m: &sekisho_evidence::genesis::GenesisMember| {
            format!("{} ({}, {}, {})", m.member, m.operator, m.site, m.address)
        };
        self.members = trust.members.iter().map(member).collect();
        self.recipients = trust.bundle.backup_keys().iter().map(recipient).collect();
    }

    fn signed_by(&mut self, signed: &VerifiedCheckpoint) {
        self.signed_by = signed.operators.iter().map(ToString::to_string).collect();
        self.signed_records = signed.checkpoint.head.size;
        self.signed_at = signed.checkpoint.time.to_string();
    }

    fn counts(&mut self, state: &State, image_bytes: u64) {
        self.counts = Counts {
            sites: state.sites().count(),
            nodes: state.nodes().count(),
            tenants: state.tenants().count(),
            jobs: state.jobs().count(),
            placements: state.placements().count(),
            image_bytes,
        };
    }

    /// Records that follow the signed head.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        self.records.saturating_sub(self.signed_records)
    }
}
