//! What is signed and persisted: each has one canonical form.

use crate::{Read, decoders, sample};
use sekisho_agent_core::strict;
use sekisho_evidence::acknowledgement::{Acknowledgement, SignedRenewal};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::audit_proof::AuditProof;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::countersign::Countersignature;
use sekisho_evidence::fork::Fork;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::join_token::JoinToken;
use sekisho_evidence::journal;
use sekisho_evidence::location::evidence::Evidence;
use sekisho_evidence::location::transcript::SignedTranscript;
use sekisho_evidence::location::wire::Datagram;
use sekisho_evidence::package::TrustPackage;
use sekisho_evidence::payload;
use sekisho_evidence::record::Record;
use sekisho_evidence::sealed::{SealedPayload, SignedSiteKey};
use sekisho_evidence::snapshot_file::{SnapshotFileError, SnapshotReader};
use sekisho_evidence::submission::Submission;
use sekisho_evidence::tag::SignedTag;
use sekisho_fsm::entry::Entry;

fn form<T, E, F>(read: Result<T, E>, bytes: impl FnOnce(&T) -> Result<Vec<u8>, F>) -> Read {
    match read {
        Ok(value) => Read::Canonical(bytes(&value).unwrap_or_default()),
        Err(_) => Read::Refused,
    }
}

/// Reads a backup to its end.
fn whole(bytes: &[u8]) -> Result<(), SnapshotFileError> {
    let (_image, mut records) = SnapshotReader::open(bytes)?.image()?;
    while records.next_record()?.is_some() {}
    Ok(())
}

decoders! {
    genesis: [sample::genesis()], |bytes: &[u8]| form(SignedGenesis::open(bytes), encode);
    package: sample::packages(), |bytes: &[u8]| form(TrustPackage::open(bytes), TrustPackage::bytes);
    record: sample::records(), |bytes: &[u8]| form(Record::parse(bytes), Record::bytes);
    entry: sample::entries(), |bytes: &[u8]| form(decode::<Entry>(bytes), encode);
    grant: sample::grants(), |bytes: &[u8]| Read::any(strict::read(bytes));
    note: [sample::note()], |bytes: &[u8]| Read::any(Checkpoint::read(bytes));
    bundle: [sample::bundle()], |bytes: &[u8]| Read::any(AuditBundle::open(bytes));
    snapshot: [sample::snapshot()], |bytes: &[u8]| Read::any(whole(bytes));
    submission: sample::submissions(), |bytes: &[u8]| form(Submission::parse(bytes), Submission::bytes);
    tag: [sample::tag()], |bytes: &[u8]| form(decode::<SignedTag>(bytes), encode);
    join_token: [sample::join_token()], |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Read::any(JoinToken::parse(text)),
        Err(_) => Read::Refused,
    };
    transcript: sample::transcripts(), |bytes: &[u8]| form(SignedTranscript::parse(bytes), SignedTranscript::bytes);
    fix: [sample::fix()], |bytes: &[u8]| match Evidence::parse(bytes) {
        // Judging it again is a part of reading it: nobody may be stopped by a file.
        Ok(fix) => { drop(fix.judge()); Read::Canonical(fix.bytes().unwrap()) }
        Err(_) => Read::Refused,
    };
    datagram: sample::datagrams(), |bytes: &[u8]| match Datagram::parse(bytes) {
        Some(datagram) => Read::Canonical(datagram.bytes().to_vec()),
        None => Read::Refused,
    };
    acknowledgement: [sample::acknowledgement()], |bytes: &[u8]| form(Acknowledgement::parse(bytes), Acknowledgement::bytes);
    renewal: [sample::renewal()], |bytes: &[u8]| form(SignedRenewal::parse(bytes), SignedRenewal::bytes);
    adoption: [sample::adoption()], |bytes: &[u8]| form(Adoption::parse(bytes), Adoption::bytes);
    payload: [sample::payload()], |bytes: &[u8]| form(payload::read(bytes), encode);
    sealed: [sample::sealed()], |bytes: &[u8]| form(SealedPayload::parse(bytes), SealedPayload::bytes);
    site_key: [sample::site_key()], |bytes: &[u8]| form(SignedSiteKey::parse(bytes), SignedSiteKey::bytes);
    countersignature: [sample::countersignature()], |bytes: &[u8]| form(Countersignature::parse(bytes), Countersignature::bytes);
    denial: sample::denials(), |bytes: &[u8]| form(journal::Entry::parse(bytes), journal::Entry::bytes);
    fork: [sample::fork()], |bytes: &[u8]| match Fork::parse(bytes) {
        // As with a fix: judging is a part of reading.
        Ok(fork) => { drop(fork.judge(sample::endorsers())); Read::Canonical(fork.bytes().unwrap()) }
        Err(_) => Read::Refused,
    };
    proof: [sample::proof()], |bytes: &[u8]| match AuditProof::open(bytes) {
        Ok(proof) => { drop(proof.verify(None)); Read::Canonical(proof.bytes().unwrap()) }
        Err(_) => Read::Refused,
    };
}
