//! The check list: what stands between a desired set on the wire and a process on this host (D4, P2).
//!
//! Must hold: the order of the checks is that of the design, so that every agent gives one reason; the stored head
//! never moves without a proof; a set counts whole or not at all; a grant of a sound set that is not for here, or
//! not for this place, is refused alone.
//! [`check_set`] judges a set, [`check_start`] a grant again just before its start. What comes after, the death of
//! older placements on the devices, is waited for and refuses nothing: [`crate::devices`].

use crate::desired::SignedSet;
use crate::devices::{Device, has_bucket};
use crate::ledger::{Accepted, Ledger, Refused};
use crate::limit::{DESIRED_MAX, ENTRIES_MAX};
use crate::location::{Location, Unproven, Whose};
use crate::reason::Reason;
use crate::standing::Standing;
use crate::strict::{GrantRecord, read};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::{Checkpoint, CheckpointError, assemble, verify_note};
use sekisho_evidence::grant::{Grant, NodeDesired, set_hash};
use sekisho_evidence::merkle::{Head, check_consistency, check_inclusion};
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::sealed::{Context, SealError, SealedPayload, SiteSecretKey};
use sekisho_evidence::submission::{Submission, SubmissionError};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::residency::{PlaceProof, Rules};
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the check list judges by, besides the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Host<'h> {
    /// Who and where the agent is.
    pub standing: &'h Standing,
    /// What proves where it is.
    pub location: &'h Location,
    /// What it has.
    pub devices: &'h [Device],
    /// Wall clock.
    pub now: Timestamp,
}

/// A set that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedSet {
    /// The first check that failed.
    pub reason: Reason,
    /// The placements that it names and that the ledger does not know: each gets a receipt.
    pub named: BTreeMap<PlacementId, Digest>,
}

/// A set after the strict parse.
struct Parsed<'s> {
    checkpoint: Checkpoint,
    desired: NodeDesired,
    grants: Vec<GrantRecord>,
    set: &'s SignedSet,
}

fn fail(code: ErrorCode, detail: &dyn std::fmt::Display) -> Reason {
    Reason::new(code, detail)
}

fn ensure(holds: bool, code: ErrorCode, detail: &dyn std::fmt::Display) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(fail(code, detail)) }
}

/// Judges a whole set. `Ok` is what the ledger may take; refused grants are in it.
///
/// # Errors
/// [`RejectedSet`]: nothing of the set counts, and the stored head stays.
pub fn check_set(
    host: Host<'_>,
    ledger: &Ledger,
    set: &SignedSet,
) -> Result<Accepted, Box<RejectedSet>> {
    let rejected = |reason| {
        let named = named(ledger, set);
        Box::new(RejectedSet { reason, named })
    };
    let parsed = parse(set).map_err(rejected)?;
    let head = judge_set(host, ledger, &parsed).map_err(rejected)?;
    let mut accepted = Accepted {
        head,
        floor: parsed.desired.epoch,
        desired: BTreeSet::new(),
        named: parsed.grants.iter().map(|grant| grant.placement).collect(),
        adopt: Vec::new(),
        refused: BTreeMap::new(),
    };
    for record in parsed.grants {
        take(host, ledger, record, &mut accepted);
    }
    Ok(accepted)
}

/// Judges the checks of the whole set, in their order.
fn judge_set(host: Host<'_>, ledger: &Ledger, parsed: &Parsed<'_>) -> Result<Head, Reason> {
    cluster(ledger, parsed)?;
    signers(ledger, parsed)?;
    inclusion(parsed)?;
    consistency(ledger, parsed)?;
    desired_match(parsed)?;
    ensure(
        parsed.desired.node == *host.standing.node(),
        ErrorCode::GrantNotMine,
        &format_args!("the set is of node {}", parsed.desired.node),
    )?;
    ensure(
        parsed.desired.epoch >= ledger.floor(),
        ErrorCode::EpochFenced,
        &format_args!("the set is of {}, the floor {}", parsed.desired.epoch, ledger.floor()),
    )?;
    let room = ENTRIES_MAX.saturating_sub(ledger.entries().len());
    ensure(parsed.grants.len() <= room, ErrorCode::Overloaded, &"the ledger is full")?;
    Ok(parsed.checkpoint.head)
}

/// 1: every part in its one form.
fn parse(set: &SignedSet) -> Result<Parsed<'_>, Reason> {
    let malformed = |detail: &dyn std::fmt::Display| fail(ErrorCode::GrantMalformed, detail);
    let grants = &set.delivery.grants;
    ensure(
        grants.len() <= DESIRED_MAX,
        ErrorCode::GrantMalformed,
        &format_args!("{} grants in one set", grants.len()),
    )?;
    let checkpoint = Checkpoint::parse(&set.text).map_err(|error| malformed(&error))?;
    let record = Record::parse(&set.delivery.desired.record).map_err(|error| malformed(&error))?;
    let desired = match record.body {
        Body::Desired(desired) if desired.epoch.revision == record.revision => desired,
        Body::Desired(_)
        | Body::Entry { .. }
        | Body::Grant(_)
        | Body::Approval { .. }
        | Body::BreakGlass { .. } => {
            return Err(malformed(&"not the record of a desired set"));
        }
    };
    let grants = grants
        .iter()
        .map(|proved| read(&proved.record).map_err(|error| error.reason))
        .collect::<Result<_, _>>()?;
    Ok(Parsed { checkpoint, desired, grants, set })
}

/// 2: of this federation, in this life.
fn cluster(ledger: &Ledger, parsed: &Parsed<'_>) -> Result<(), Reason> {
    let (cluster, incarnation) = (ledger.bundle().cluster, ledger.bundle().incarnation);
    let (checkpoint, desired) = (&parsed.checkpoint, &parsed.desired);
    let same = checkpoint.cluster == cluster
        && checkpoint.incarnation == incarnation
        && desired.cluster == cluster
        && desired.epoch.incarnation == incarnation;
    let grants = parsed
        .grants
        .iter()
        .all(|grant| grant.cluster == cluster && grant.placement.epoch.incarnation <= incarnation);
    ensure(
        same && grants,
        ErrorCode::WrongCluster,
        &format_args!("pinned: cluster {cluster}, incarnation {incarnation}"),
    )
}

/// 3: k distinct operators of the pinned bundle under the byte-identical text.
fn signers(ledger: &Ledger, parsed: &Parsed<'_>) -> Result<(), Reason> {
    let note = assemble(&parsed.set.text, &parsed.set.lines);
    verify_note(ledger.bundle(), &note).map(|_verified| ()).map_err(|error| {
        let code = match error {
            CheckpointError::WrongCluster => ErrorCode::WrongCluster,
            // The text has been parsed, so what is malformed is a signature line.
            CheckpointError::Malformed
            | CheckpointError::BadSignature
            | CheckpointError::TooFewOperators { .. } => ErrorCode::GrantSigners,
        };
        fail(code, &error)
    })
}

/// 4: the set and each grant are leaves of the signed tree.
fn inclusion(parsed: &Parsed<'_>) -> Result<(), Reason> {
    let head = parsed.checkpoint.head;
    let delivery = &parsed.set.delivery;
    for proved in std::iter::once(&delivery.desired).chain(&delivery.grants) {
        check_inclusion(head.size, &head.root, proved.index, &proved.record, &proved.path)
            .map_err(|error| {
                let detail = format_args!("record {} of {}: {error}", proved.index, head.size);
                fail(ErrorCode::GrantInclusion, &detail)
            })?;
    }
    Ok(())
}

/// 5: the signed tree begins with the stored one.
fn consistency(ledger: &Ledger, parsed: &Parsed<'_>) -> Result<(), Reason> {
    let (old, new) = (ledger.head(), parsed.checkpoint.head);
    let proof = match &parsed.set.consistency {
        Some(given) if given.from_size == old.size => given.proof.as_slice(),
        Some(_) | None => &[],
    };
    check_consistency(new, old, proof).map_err(|error| {
        let detail = format_args!("from {} to {} records: {error}", old.size, new.size);
        fail(ErrorCode::GrantRollback, &detail)
    })
}

/// 6: the grants are the set, in its order, none from after it.
fn desired_match(parsed: &Parsed<'_>) -> Result<(), Reason> {
    let (desired, grants) = (&parsed.desired, &parsed.grants);
    let counted = u32::try_from(grants.len()).is_ok_and(|count| count == desired.count);
    let ordered = grants.is_sorted_by(|a, b| a.placement < b.placement);
    let hashed = set_hash(grants.iter().map(|grant| grant.digest)) == desired.hash;
    let earlier = grants.iter().all(|grant| grant.placement.epoch <= desired.epoch);
    ensure(
        counted && ordered && hashed && earlier,
        ErrorCode::GrantSet,
        &format_args!(
            "{} grants for a set of {} at {}",
            grants.len(),
            desired.count,
            desired.epoch
        ),
    )
}

/// 7 to 11, for one grant of a sound set.
fn take(host: Host<'_>, ledger: &Ledger, record: GrantRecord, accepted: &mut Accepted) {
    let placement = record.placement;
    if ledger.refused().contains_key(&placement) {
        return;
    }
    if let Some(entry) = ledger.entries().get(&placement) {
        // One placement, two grants: a forked history. What runs under the first is stopped by its absence.
        if entry.grant.digest() == Ok(record.digest) {
            accepted.desired.insert(placement);
        }
        return;
    }
    match judge(host, ledger, &record) {
        Ok(grant) => {
            accepted.desired.insert(placement);
            accepted.adopt.push(grant);
        }
        Err(reason) => {
            let refused = Refused { grant: record.digest, reason, acknowledged: false };
            accepted.refused.insert(placement, refused);
        }
    }
}

/// A grant that is new here.
fn judge(host: Host<'_>, ledger: &Ledger, record: &GrantRecord) -> Result<Grant, Reason> {
    let grant = record.grant.as_deref().map_err(|area| {
        fail(ErrorCode::ResidencyOutsideJp, &format_args!("the grant names {area}"))
    })?;
    mine(host.standing, ledger, grant)?;
    ensure(
        grant.placement.epoch > ledger.floor(),
        ErrorCode::EpochFenced,
        &format_args!("{} is not above the floor {}", grant.placement.epoch, ledger.floor()),
    )?;
    known_table(grant)?;
    resident(host, ledger.bundle(), grant)?;
    ensure(
        has_bucket(host.devices, grant),
        ErrorCode::NoDevice,
        &format_args!("{} {} MiB island {}", grant.class, grant.memory_mib, grant.island),
    )?;
    Ok(grant.clone())
}

fn mine(standing: &Standing, ledger: &Ledger, grant: &Grant) -> Result<(), Reason> {
    let checks = [
        (grant.node == *standing.node(), "node"),
        (grant.node_key == *standing.node_key(), "key"),
        (ledger.session() == Some(grant.session), "session"),
    ];
    match checks.iter().find(|(same, _)| !same) {
        Some((_, what)) => {
            Err(fail(ErrorCode::GrantNotMine, &format_args!("made out to another {what}")))
        }
        None => Ok(()),
    }
}

fn known_table(grant: &Grant) -> Result<(), Reason> {
    ensure(
        grant.table == table_hash(),
        ErrorCode::TableMismatch,
        &format_args!("judged by {}, this program has {}", grant.table, table_hash()),
    )
}

/// The policies are known by what they say: every rule set that binds the grant is in it.
/// Where one of them wants a proof, the host's own counts, by the landmarks that the grant names.
fn resident(host: Host<'_>, bundle: &EndorserBundle, grant: &Grant) -> Result<(), Reason> {
    let rules: Vec<&Rules> = grant.rules.iter().map(|bound| &*bound.rules).collect();
    if !rules.iter().any(|rules| rules.wants_proof()) {
        return host.standing.judge(&rules, host.now);
    }
    // What is wrong with the tag comes first, as everywhere.
    host.standing.judge(&[], host.now)?;
    let proof = own_proof(host, bundle, &grant.landmarks)?;
    host.standing.judge_proven(&rules, Some(proof), host.now)
}

/// What proves this host now, by the landmarks of that name.
///
/// # Errors
/// `TABLE_MISMATCH` if they are not known here, `RESIDENCY_TIER` if nothing is proven.
pub(crate) fn own_proof(
    host: Host<'_>,
    bundle: &EndorserBundle,
    landmarks: &Digest,
) -> Result<PlaceProof, Reason> {
    let whose = Whose {
        cluster: &bundle.cluster,
        incarnation: bundle.incarnation,
        node: host.standing.node(),
        node_key: host.standing.node_key(),
        area: host.standing.tag().area.domestic(),
    };
    host.location.proof(whose, landmarks, host.now).map_err(|unproven| {
        let code = match &unproven {
            Unproven::Table(_) => ErrorCode::TableMismatch,
            Unproven::NoFix | Unproven::Fix(_) => ErrorCode::ResidencyTier,
        };
        fail(code, &unproven)
    })
}

/// What a member gave for an accepted grant, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fetched {
    /// What to run.
    pub payload: Vec<u8>,
    /// Bytes of a [`Submission`].
    pub submission: Vec<u8>,
    /// The keys that this host has of its site, to open a sealed payload with.
    pub keys: Vec<SiteSecretKey>,
}

/// Judges an accepted grant again just before its start: its place by the tag of this moment, then what its submitter
/// signed, then its payload, which is opened last. Returns what to run.
///
/// # Errors
/// The [`Reason`] for the receipt.
pub fn check_start(
    host: Host<'_>,
    bundle: &EndorserBundle,
    grant: &Grant,
    fetched: &Fetched,
) -> Result<Vec<u8>, Reason> {
    known_table(grant)?;
    resident(host, bundle, grant)?;
    let submission = submitted(bundle, grant, &fetched.submission)?;
    let digest = Digest::of(&fetched.payload);
    ensure(
        digest == grant.payload,
        ErrorCode::PayloadMismatch,
        &format_args!("granted {}, received {digest}", grant.payload),
    )?;
    if submission.facts.is_sealed() {
        opened(grant, &submission.facts, fetched)
    } else {
        Ok(fetched.payload.clone())
    }
}

/// k operators alone start nothing: the submitter has signed this job, as it is granted (A3).
fn submitted(bundle: &EndorserBundle, grant: &Grant, bytes: &[u8]) -> Result<Submission, Reason> {
    Submission::parse(bytes)
        .and_then(|submission| submission.check(bundle, grant).map(|()| submission))
        .map_err(|error| {
            let code = if error == SubmissionError::Sharing {
                ErrorCode::ShareRefused
            } else {
                ErrorCode::GrantSubmission
            };
            fail(code, &error)
        })
}

/// A sealed payload, opened with the key of this site that its submitter sealed it to.
fn opened(grant: &Grant, facts: &JobFacts, fetched: &Fetched) -> Result<Vec<u8>, Reason> {
    let refused = |error: SealError| fail(error.code(), &error);
    let site = &grant.node.site;
    let none = || fail(ErrorCode::PayloadNotSealed, &format_args!("payload not sealed to {site}"));
    let epoch = *facts.sealed_to.get(site).ok_or_else(none)?;
    let sealed = SealedPayload::parse(&fetched.payload).map_err(refused)?;
    let of = |key: &&SiteSecretKey| key.public().site == *site && key.public().epoch == epoch;
    let key = fetched.keys.iter().find(of).ok_or_else(|| {
        let why = format_args!("this host has no key {epoch} of {site}");
        fail(ErrorCode::PayloadNotSealed, &why)
    })?;
    let context = Context::of_job(grant.cluster, &grant.job.whole()).map_err(refused)?;
    let opened = sealed.open(key, &context).map_err(refused)?;
    Ok(opened.payload().to_vec())
}

/// Placements of a rejected set that are nothing to this agent yet.
fn named(ledger: &Ledger, set: &SignedSet) -> BTreeMap<PlacementId, Digest> {
    let mut named = BTreeMap::new();
    for proved in set.delivery.grants.iter().take(DESIRED_MAX) {
        let (placement, digest) = match read(&proved.record) {
            Ok(record) => (Some(record.placement), record.digest),
            Err(error) => (error.placement, Digest::of(&[])),
        };
        if let Some(placement) = placement
            && !ledger.entries().contains_key(&placement)
            && !ledger.refused().contains_key(&placement)
        {
            named.insert(placement, digest);
        }
    }
    named
}

#[cfg(test)]
mod tests;
